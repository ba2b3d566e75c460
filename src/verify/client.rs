//! Asks one question over HTTP: on a connection of its own, through the proxy that the environment names, along redirects,
//! and within bounds of time and size.

pub mod address;
mod connect;
pub mod names;
pub mod proxy;
pub mod tls;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use self::address::Address;
use self::names::Resolver;
use self::proxy::Proxy;
use super::observation::{Failure, FailureKind};
use crate::arch::Arch;
use crate::http_client::{self, Stream};
use crate::text;

/// The largest body that is read, in bytes: the longest answer of Bifora's has some 30,000.
pub const LARGEST_BODY: usize = 1 << 20;

/// What may come beside the body, in bytes.
const HEADS: usize = 64 * 1024;

/// The most redirects in a row that are followed.
const REDIRECTS: usize = 10;

/// Who asks.
pub const USER_AGENT: &str = concat!(
    "bifora-verify/",
    env!("CARGO_PKG_VERSION"),
    " (checks a deployment)"
);

/// Something that asks.
#[derive(Debug)]
pub struct Client {
    connector: Tls,
    resolver: Resolver,
    proxy: fn(&str) -> Option<String>,
    timeout: Duration,
    turn: AtomicUsize,
}

/// Its settings are nothing to show.
struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A reply, read to its end or to the bound.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Where it came from in the end.
    pub from: String,
    /// Whether that is where it was asked.
    pub redirected: bool,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or how many bytes are known of one that is too large.
    pub body: Result<Bytes, usize>,
}

/// How far a question has come, for the words when it comes no further.
#[derive(Debug)]
enum Stage {
    Connecting,
    Securing,
    Waiting,
    Reading(usize),
}

impl Client {
    /// A client that trusts whom `connector` trusts, reads the proxy's variables by `proxy`, and gives each question this long.
    pub fn new(connector: TlsConnector, proxy: fn(&str) -> Option<String>, timeout: Duration) -> Self {
        Self {
            connector: Tls(connector),
            resolver: Resolver::of_this_machine(),
            proxy,
            timeout,
            turn: AtomicUsize::new(0),
        }
    }

    /// Asks; `arch` is sent along as a wish.
    pub async fn get(&self, address: Address, arch: Option<Arch>) -> Result<Reply, Failure> {
        let stage = Mutex::new(Stage::Connecting);
        let outcome = tokio::time::timeout(self.timeout, self.follow(address, arch, &stage)).await;
        outcome.unwrap_or_else(|_| {
            let stage = stage
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let how_far = match stage {
                Stage::Connecting => "no connection".to_owned(),
                Stage::Securing => "connected, but no TLS".to_owned(),
                Stage::Waiting => "connected, but no answer".to_owned(),
                Stage::Reading(bytes) => format!("an answer, but only {bytes} bytes of its body"),
            };
            let limit = text::seconds(self.timeout);
            Err(Failure::new(
                FailureKind::Unanswered,
                format!("{how_far} within {limit}"),
            ))
        })
    }

    async fn follow(
        &self,
        address: Address,
        arch: Option<Arch>,
        stage: &Mutex<Stage>,
    ) -> Result<Reply, Failure> {
        let mut trail = vec![address];
        loop {
            let here = &trail[trail.len() - 1];
            let reply = self.exchange(here, arch, stage).await?;
            let next = match reply.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => redirect(here, &reply)?,
                _ => {
                    return Ok(Reply {
                        redirected: trail.len() > 1,
                        ..reply
                    });
                }
            };
            let failed = |why: String| Err(Failure::new(FailureKind::Redirects, why));
            if let Some(first) = trail.iter().position(|earlier| *earlier == next) {
                let circle: Vec<_> = trail[first..].iter().chain([&next]).map(without_query).collect();
                return failed(format!("redirects in a circle: {}", circle.join(" → ")));
            }
            if trail.len() > REDIRECTS {
                return failed(format!(
                    "more than {REDIRECTS} redirects, the last to {}",
                    without_query(&next)
                ));
            }
            trail.push(next);
        }
    }

    /// One request.
    async fn exchange(
        &self,
        target: &Address,
        arch: Option<Arch>,
        stage: &Mutex<Stage>,
    ) -> Result<Reply, Failure> {
        let proxy = proxy::choose(target, self.proxy)
            .map_err(|error| Failure::new(FailureKind::Protocol, error.to_string()))?;
        set(stage, Stage::Connecting);
        let stream = self.connect(target, proxy.as_ref(), stage).await?;
        set(stage, Stage::Waiting);
        // A proxy that is to answer itself is told the whole address.
        let through = proxy.filter(|_| !target.tls);
        let line = if through.is_some() {
            target.to_string()
        } else {
            target.path.clone()
        };
        let mut request = Request::get(line)
            .header(header::HOST, target.authority())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close");
        if let Some(arch) = arch {
            request = request.header("x-bifora-arch", arch.name());
        }
        if let Some(authorization) = through.and_then(|proxy| proxy.authorization) {
            request = request.header(header::PROXY_AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|_| Failure::new(FailureKind::Protocol, format!("{target} cannot be asked for")))?;
        let (response, _connection) = http_client::send(stream, request, LARGEST_BODY + HEADS)
            .await
            .map_err(|error| explained(&error))?;
        read(response, target, stage).await
    }

    async fn connect(
        &self,
        target: &Address,
        proxy: Option<&Proxy>,
        stage: &Mutex<Stage>,
    ) -> Result<Stream, Failure> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = proxy.map_or(target, |proxy| &proxy.address);
        let mut stream: Stream = Box::new(connect::connect(&self.resolver, first, turn).await?);
        if let Some(proxy) = proxy {
            if proxy.address.tls {
                set(stage, Stage::Securing);
                stream = tls::wrap(&self.connector.0, stream, &proxy.address).await?;
            }
            if target.tls {
                stream = tunnel(stream, target, proxy).await?;
            }
        }
        if target.tls {
            set(stage, Stage::Securing);
            stream = tls::wrap(&self.connector.0, stream, target).await?;
        }
        Ok(stream)
    }
}

fn set(stage: &Mutex<Stage>, now: Stage) {
    *stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
}

/// Nonces are drawn anew each time, and would part what is the same.
fn without_query(address: &Address) -> String {
    let mut address = address.clone();
    if let Some(query) = address.path.find('?') {
        address.path.truncate(query);
    }
    address.to_string()
}

/// Where a redirect leads.
fn redirect(here: &Address, reply: &Reply) -> Result<Address, Failure> {
    let failed = |why: String| Failure::new(FailureKind::Redirects, why);
    let status = reply.status.as_u16();
    let location = reply
        .headers
        .get(header::LOCATION)
        .ok_or_else(|| failed(format!("status {status} without a Location")))?;
    let shown = || text::clean(&String::from_utf8_lossy(location.as_bytes())).unwrap_or_default();
    let next = location
        .to_str()
        .map_err(|_| "it is not ASCII")
        .and_then(|location| here.redirect(location))
        .map_err(|why| failed(format!("status {status} to “{}”: {why}", text::brief(&shown()))))?;
    if here.tls && !next.tls {
        return Err(failed(format!(
            "from https to {}, where anybody could answer",
            without_query(&next)
        )));
    }
    Ok(next)
}

/// Asks a proxy for a connection to the target.
async fn tunnel(mut stream: Stream, target: &Address, proxy: &Proxy) -> Result<Stream, Failure> {
    let at = format!("{}:{}", target.host, target.port);
    let authorization = proxy
        .authorization
        .as_ref()
        .map(|value| format!("Proxy-Authorization: {value}\r\n"))
        .unwrap_or_default();
    let request =
        format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: {USER_AGENT}\r\n{authorization}\r\n");
    let broken = |error: std::io::Error| {
        Failure::new(
            FailureKind::Unanswered,
            format!("the proxy {} breaks off: {error}", proxy.address.authority()),
        )
    };
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head is the target's.
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEADS {
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    let line =
        String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    let kind = match status {
        Some(200..=299) => return Ok(stream),
        Some(500..) => FailureKind::Unanswered,
        _ => FailureKind::Protocol,
    };
    Err(Failure::new(
        kind,
        format!(
            "the proxy {} does not connect to {at}: {}",
            proxy.address.authority(),
            text::clean(&line)
                .as_deref()
                .map_or("it says nothing", text_of_line)
        ),
    ))
}

fn text_of_line(line: &str) -> &str {
    line.get(..120).unwrap_or(line)
}

/// Reads the body up to its bound.
async fn read(
    response: Response<Incoming>,
    target: &Address,
    stage: &Mutex<Stage>,
) -> Result<Reply, Failure> {
    let (parts, mut body) = response.into_parts();
    let mut content = Vec::new();
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let mut size = Err(announced);
    if announced <= LARGEST_BODY {
        size = Ok(());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| explained(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            content.extend_from_slice(data);
            set(stage, Stage::Reading(content.len()));
            if content.len() > LARGEST_BODY {
                size = Err(content.len());
                break;
            }
        }
    }
    Ok(Reply {
        from: without_query(target),
        redirected: false,
        status: parts.status,
        headers: parts.headers,
        body: size.map(|()| content.into()),
    })
}

/// What hyper says of a connection, for people.
fn explained(error: &hyper::Error) -> Failure {
    use std::error::Error as _;
    let because = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let (kind, seen) = if error.is_incomplete_message() {
        (
            FailureKind::Unanswered,
            "the connection ends before the answer does".to_owned(),
        )
    } else if error.is_parse() {
        (
            FailureKind::Protocol,
            format!("what comes is not HTTP ({error}{because})"),
        )
    } else {
        (
            FailureKind::Unanswered,
            format!("the connection breaks off ({error}{because})"),
        )
    };
    Failure::new(kind, text::clean(&seen).unwrap_or_default())
}
