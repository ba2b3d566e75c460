//! HTTP by hand over TCP: a client that can be slow, rude and broken, and that looks at every byte of an answer.
//!
//! Every answer that it reads is checked for what no answer may lack, so that each test is a test of that, too.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

/// What a browser accepts.
pub(crate) const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A form that presses the button.
pub(crate) const FORM_BODY: &str = "random-button=random-button";

/// Headers that every answer carries, each once.
pub(crate) const DRESS: [&str; 8] = [
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "permissions-policy",
    "cross-origin-resource-policy",
    "x-request-id",
    "cache-control",
];

/// A request; `Host` and `Content-Length` are added when it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A request by any method.
pub(crate) fn request(method: &str, target: &str) -> Request {
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: None,
    }
}

/// A GET.
pub(crate) fn get(target: &str) -> Request {
    request("GET", target)
}

/// A POST of a form to the home page.
pub(crate) fn post_form(body: impl Into<Vec<u8>>) -> Request {
    request("POST", "/").header("content-type", FORM).body(body)
}

impl Request {
    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: bifora.test\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let (_, value) = values.next()?;
        assert!(
            values.next().is_none(),
            "{name} is there twice: {:?}",
            self.headers
        );
        Some(value)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as one of the crate's own types.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as problem details, with what each of them must have.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem: Value = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(
            problem["request_id"].as_str(),
            self.header("x-request-id"),
            "{problem}"
        );
        for field in ["title", "detail"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{problem}"
            );
        }
        problem
    }

    fn assert_dressed(&self) {
        for name in DRESS {
            assert!(
                self.header(name).is_some(),
                "{} without {name}: {:?}",
                self.status,
                self.headers
            );
        }
    }
}

/// A connection, on which the test may do what it likes.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket takes the option");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends a request.
    pub(crate) async fn send(&mut self, request: &Request) {
        self.send_bytes(&request.bytes()).await.expect("the server reads");
    }

    /// Sends bytes; fails when the server has closed the connection.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(PATIENCE, sending)
            .await
            .expect("the server reads or closes")
    }

    /// Sends the rest of an upload.
    pub(crate) async fn finish(&mut self) {
        self.send_bytes(FORM_BODY.as_bytes())
            .await
            .expect("the server still reads");
    }

    /// Reads the answer to `request`.
    pub(crate) async fn answer_to(&mut self, request: &Request) -> Answer {
        self.read_answer(request.method == "HEAD").await
    }

    /// Reads an answer to anything but HEAD.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.read_answer(false).await
    }

    async fn read_answer(&mut self, without_body: bool) -> Answer {
        let answer = self.bare_answer(without_body).await;
        let answer = answer.expect("an answer before the connection's end");
        if answer.status >= 200 {
            answer.assert_dressed();
        }
        answer
    }

    /// Reads an answer that may lack everything, or be none.
    pub(crate) async fn bare_answer(&mut self, without_body: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.receive().await {
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("headers are ASCII");
        let mut lines = head.lines();
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("not HTTP: {status_line}"));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        if !without_body && status != 304 && status != 204 && !(100..=199).contains(&status) {
            let length: usize = answer
                .header("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or_else(|| panic!("an answer without its length: {head}"));
            while self.received.len() < length {
                assert!(self.receive().await, "the body broke off: {head}");
            }
            answer.body = self.received.drain(..length).collect();
        }
        Some(answer)
    }

    /// Receives some bytes; `false` at the connection's end, orderly or not.
    async fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let reading = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer));
        let count = reading.await.expect("the server answers or closes").unwrap_or(0);
        self.received.extend_from_slice(&buffer[..count]);
        count > 0
    }

    /// Ends the connection with a reset, as a client that has crashed.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("a socket takes the option");
    }

    /// Waits for the connection's end and gives what came before it.
    pub(crate) async fn closed(mut self) -> Vec<u8> {
        while self.receive().await {}
        self.received
    }

    /// Whether the server has closed the connection by now.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let peeking = tokio::time::timeout(super::LOOK, self.stream.peek(&mut byte));
        matches!(peeking.await, Ok(Ok(0) | Err(_)))
    }
}
