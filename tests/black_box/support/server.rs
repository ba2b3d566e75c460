//! A server of one test, or one shared by tests that only read; its log is kept line by line.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use tokio::net::TcpStream;

use super::client::{self, Connection, get};
use super::program::{self, kill, program};
use super::{PATIENCE, eventually};

/// A running `bifora serve`. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Server {
    /// A server with the settings that a fresh machine would give it, for tests that change nothing. It lives as long
    /// as one of them.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server with these flags.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// A server with these flags and variables.
    pub(crate) fn start_with(flags: &[&str], environment: &[(&str, OsString)]) -> Self {
        let mut command = program(&[&["--host", "127.0.0.1", "--port", "0"], flags].concat());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Self::spawn(&mut command)
    }

    /// A server by a command of the test's own, which must log where it listens.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = Arc::default();
        let out = child.stdout.take().expect("piped");
        let err = child.stderr.take().expect("piped");
        let mut server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            readers: vec![read_lines(out, &log), read_lines(err, &log)],
            child,
            log,
        };
        server.address = server.told_address();
        server
    }

    /// Where it says it listens; blocks the test's thread until then.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is a thread of a test and no worker of a runtime"
    )]
    fn told_address(&mut self) -> SocketAddr {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(address) = self.lines().iter().find_map(|line| address_in(line)) {
                return address;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended, {status}: {:?}", self.lines());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the server did not say where it listens: {:?}", self.lines());
    }

    /// The process's id; that of the runner when there is one.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Asks on a connection of its own.
    pub(crate) async fn ask(&self, request: &client::Request) -> client::Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer_to(request).await
    }

    /// The page or value at `path`, for a client that says nothing of what it likes.
    pub(crate) async fn get(&self, path: &str) -> client::Answer {
        self.ask(&get(path)).await
    }

    /// The page at `path`, for a browser.
    pub(crate) async fn page(&self, path: &str) -> client::Answer {
        self.ask(&get(path).header("accept", client::BROWSER)).await
    }

    /// Begins to post a form; the server is waiting for [`client::FORM_BODY`] when this returns.
    pub(crate) async fn upload(&self, target: &str, headers: &[(&str, &str)]) -> Connection {
        let length = client::FORM_BODY.len().to_string();
        let all = [
            ("content-type", client::FORM),
            ("content-length", &length),
            // The server answers this when it begins to read, which is to say that it has let the request in.
            ("expect", "100-continue"),
        ];
        let mut head = client::request("POST", target);
        for (name, value) in all.iter().chain(headers) {
            head = head.header(name, value);
        }
        let mut connection = self.connect().await;
        connection.send(&head).await;
        assert_eq!(connection.answer().await.status, 100);
        connection
    }

    /// The value of a metric, whose labels are part of its name.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text();
        text.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.parse().ok()
        })
    }

    /// Waits until `count` requests are being answered, apart from the one that asks.
    pub(crate) async fn in_flight(&self, count: u32) {
        eventually(&format!("{count} requests in flight"), async || {
            let now = self.metric("http_requests_in_flight").await?;
            ((now - f64::from(count + 1)).abs() < 0.5).then_some(())
        })
        .await;
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        program::signal(self.pid(), name);
    }

    /// Waits until connections are refused.
    pub(crate) async fn refuses(&self) {
        eventually("connections are refused", async || {
            TcpStream::connect(self.address).await.err()
        })
        .await;
    }

    /// Waits for the end; the exit code, and the whole log.
    pub(crate) async fn end(mut self) -> (Option<i32>, Vec<String>) {
        let status = eventually("the server ends", async || {
            self.child.try_wait().expect("it is our child")
        })
        .await;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        (status.code(), self.lines())
    }

    /// The log so far, standard error included.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Waits for a line of the log that has all of `parts`.
    pub(crate) async fn line(&self, parts: &[&str]) -> Value {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        let line = eventually(&format!("a log line with {parts:?}"), async || {
            self.lines().into_iter().find(has)
        })
        .await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line} is not JSON: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// The address in `"address":"…"`, or in `http://…` of a log for people.
fn address_in(line: &str) -> Option<SocketAddr> {
    let after = line
        .split_once("\"address\":\"")
        .or_else(|| line.split_once("serving on http://"))?
        .1;
    after.split(['"', ' ']).next()?.parse().ok()
}

fn read_lines(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let log = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock().expect("no reader panics").push(line);
        }
    })
}
