//! Stands before a real server, hands on what it says, and breaks it on the way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What was asked, what the server said, and the connection to say something else on.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// How many came before it.
    pub(crate) number: usize,
    /// Path and query.
    pub(crate) path: String,
    /// Status line and headers, up to the empty line.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// To whoever asked.
    pub(crate) visitor: TcpStream,
}

impl Exchange {
    /// Says what the server said.
    pub(crate) fn hand_on(mut self) {
        let whole = [self.head.as_bytes(), b"\r\n\r\n", &self.body].concat();
        self.say(&whole);
    }

    /// Says what the server said, with each of these texts in place of the one before it.
    pub(crate) fn replace(mut self, texts: &[(&str, &str)]) {
        let mut body = String::from_utf8(self.body).expect("the API speaks UTF-8");
        for (from, to) in texts {
            body = body.replace(from, to);
        }
        self.body = Vec::new();
        self.answer("200 OK", "application/json", body.as_bytes());
    }

    /// Says something else.
    pub(crate) fn answer(mut self, status: &str, media_type: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        self.say(&[head.as_bytes(), body].concat());
    }

    /// Says just this. Whoever asked may have gone.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _ = self.visitor.write_all(bytes);
    }
}

/// Starts to stand before `server`; gives where. It lives as long as the tests do.
pub(crate) fn before(server: SocketAddr, how: impl Fn(Exchange) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (how, count) = (Arc::new(how), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for visitor in listener.incoming().map_while(Result::ok) {
            let (how, count) = (how.clone(), count.clone());
            thread::spawn(move || {
                if let Some(exchange) = exchange(server, visitor, &count) {
                    how(exchange);
                }
            });
        }
    });
    address
}

fn exchange(server: SocketAddr, visitor: TcpStream, count: &AtomicUsize) -> Option<Exchange> {
    let mut request = String::new();
    let mut reader = BufReader::new(visitor.try_clone().ok()?);
    let mut path = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        if line == "\r\n" {
            break;
        }
        if !line.to_ascii_lowercase().starts_with("connection:") {
            request.push_str(&line);
        }
    }
    let mut stream = TcpStream::connect(server).ok()?;
    stream
        .write_all(format!("{request}connection: close\r\n\r\n").as_bytes())
        .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(Exchange {
        number: count.fetch_add(1, Ordering::Relaxed),
        path: path?,
        head: String::from_utf8_lossy(&answer[..end]).into_owned(),
        body: answer[end + 4..].to_vec(),
        visitor,
    })
}
