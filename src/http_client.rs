//! A small HTTP client for what lies close: the metadata endpoint and our own health check. Bounded in time and size.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// What an answer may have beside its body, in bytes.
const HEADS: usize = 32 * 1024;

/// Why there was no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be asked.
    #[error("{0:?} is not an http address with an IP address (or localhost) for a host")]
    Address(String),
    /// No connection.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// The connection failed, or what came is not HTTP.
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    /// The body is larger than allowed or broke off.
    #[error("the body is larger than {limit} bytes or broke off")]
    Body {
        /// Largest body that is read, in bytes.
        limit: usize,
    },
    /// Nothing complete came in time.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
}

/// Ends the connection's task with the exchange, however that ends.
#[derive(Debug)]
pub struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks `address` once, on a connection of its own; reads at most `limit` bytes of body within `timeout` in all.
///
/// Hosts are IP addresses or `localhost`: a static binary has no system resolver to ask for more.
pub async fn get(address: &str, timeout: Duration, limit: usize) -> Result<(StatusCode, Bytes), ClientError> {
    let (uri, socket) = parse(address).ok_or_else(|| ClientError::Address(address.to_owned()))?;
    tokio::time::timeout(timeout, exchange(&uri, socket, limit))
        .await
        .map_err(|_| ClientError::Timeout(timeout))?
}

fn parse(address: &str) -> Option<(Uri, SocketAddr)> {
    let uri: Uri = address.parse().ok()?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http"))?;
    let ip = match host.trim_matches(['[', ']']) {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        literal => literal.parse().ok()?,
    };
    let port = match uri.authority()?.as_str().rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().ok()?,
        _ => 80,
    };
    let socket = SocketAddr::new(ip, port);
    Some((uri, socket))
}

async fn exchange(uri: &Uri, socket: SocketAddr, limit: usize) -> Result<(StatusCode, Bytes), ClientError> {
    let stream = TcpStream::connect(socket)
        .await
        .map_err(|error| ClientError::Connect(socket, error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(
            header::HOST,
            uri.authority().map_or_else(String::new, ToString::to_string),
        )
        .header(header::USER_AGENT, concat!("bifora/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| ClientError::Address(uri.to_string()))?;
    let (response, _connection) = send(Box::new(stream), request, limit + HEADS).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), limit).collect().await;
    Ok((status, body.map_err(|_| ClientError::Body { limit })?.to_bytes()))
}

/// Something to speak HTTP over. One type for all, so that hyper's client is compiled once.
pub type Stream = Box<dyn Duplex>;

/// What can be read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Sends a request on a connection of its own; reads at most `limit` bytes in all. The connection ends when the second part of
/// the answer is dropped.
pub async fn send(
    stream: Stream,
    request: Request<Empty<Bytes>>,
    limit: usize,
) -> Result<(Response<Incoming>, AbortOnDrop), hyper::Error> {
    // hyper bounds neither interim answers nor heads and trailers; whatever comes is bounded here.
    let (reader, writer) = tokio::io::split(stream);
    let bounded = tokio::io::join(reader.take(limit as u64), writer);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(bounded)).await?;
    let connection = AbortOnDrop(tokio::spawn(async move {
        // What goes wrong here is what the sender reports.
        let _ = connection.await;
    }));
    Ok((sender.send_request(request).await?, connection))
}
