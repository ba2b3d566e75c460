//! A real server of either architecture.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bifora::arch::Arch;
use bifora_image::digest::Digest;
use serde_json::Value;

use super::variable;

/// A running `bifora serve`. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it runs.
    pub(crate) arch: Arch,
    child: Mutex<Child>,
}

static SHARED: Mutex<[Weak<Server>; 2]> = Mutex::new([Weak::new(), Weak::new()]);

/// The architecture that this machine runs natively.
pub(crate) fn native() -> Arch {
    Arch::COMPILED
}

/// The binary of an architecture.
pub(crate) fn program(arch: Arch) -> String {
    let name = format!("BIFORA_BIN_{}", arch.name().to_uppercase());
    variable(&name).unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test verify`"))
}

/// The digest of that binary.
pub(crate) fn digest(arch: Arch) -> String {
    let mut file = File::open(program(arch)).expect("the binary is there");
    Digest::of_reader(&mut file).expect("readable").to_string()
}

impl Server {
    /// A server that tests share which only ask.
    pub(crate) fn shared(arch: Arch) -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut shared[usize::from(arch == Arch::Aarch64)];
        place.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(arch, "127.0.0.1:0"));
            *place = Arc::downgrade(&server);
            server
        })
    }

    /// A server of the test's own.
    pub(crate) fn start(arch: Arch, listen: &str) -> Self {
        let runner = variable(&format!("BIFORA_RUNNER_{}", arch.name().to_uppercase()));
        let program = program(arch);
        let mut command = match &runner {
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(&program);
                command
            }
            None => Command::new(&program),
        };
        let (host, port) = listen.rsplit_once(':').expect("HOST:PORT");
        command
            .args(["serve", "--host", host.trim_matches(['[', ']']), "--port", port])
            .args(["--log-format", "json"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                serde_json::from_str::<Value>(&line).ok()?["address"]
                    .as_str()?
                    .parse()
                    .ok()
            })
            .expect("it says where it listens");
        // Somebody has to read the rest.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            address,
            arch,
            child: Mutex::new(child),
        }
    }

    /// The text of an answer.
    pub(crate) fn get(&self, path: &str) -> String {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build()
            .new_agent();
        let url = format!("http://{}{path}", self.address);
        agent
            .get(&url)
            .header("accept", "application/json")
            .call()
            .and_then(|mut response| response.body_mut().read_to_string())
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The commit that it tells.
    pub(crate) fn commit(&self) -> String {
        let who: Value = serde_json::from_str(&self.get("/api/whoami")).expect("JSON");
        who["commit"]
            .as_str()
            .expect("it is built from a commit")
            .to_owned()
    }

    /// How many requests the API has answered, by the server's own count.
    pub(crate) fn requests(&self) -> u64 {
        let text = self.get("/metrics");
        text.lines()
            .filter(|line| line.starts_with("http_requests_total{") && line.contains("route=\"/api/"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}
