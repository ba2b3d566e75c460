//! One connection: HTTP/1.1 by hyper, watched for clients that are slow to ask or do not go.
//!
//! hyper's own header time-out arms a timer for every request and also counts the time between requests. Here a
//! connection notes what it is doing, and one timer looks at the note a few times per time-out.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::Service;

use super::shutdown::{self, Phase};
use super::{Config, Dress};
use crate::text;

/// The longest head of a request, in bytes; load balancers send less.
const LONGEST_HEAD: usize = 64 * 1024;

/// How long the headers of a request may take while connections are scarce.
const SCARCE_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// Looks are no closer than this.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    config: Config,
    mut phase: watch::Receiver<Phase>,
    mut scarce: watch::Receiver<bool>,
) {
    scarce.mark_unchanged();
    let activity = Arc::new(Activity::new());
    activity.scarce.store(*scarce.borrow(), Ordering::Relaxed);
    let noted = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        noted.answering();
        let noted = noted.clone();
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let mut answer = answer.await.unwrap_or_else(|never| match never {});
            if noted.scarce.load(Ordering::Relaxed) {
                answer
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            noted.idle();
            Ok::<_, Infallible>(answer)
        }
    });
    let io = TokioIo::new(Wire {
        stream,
        activity: activity.clone(),
        dress: config.dress,
        dressed: None,
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(LONGEST_HEAD)
        // A clock that HTTP cannot write is left out; hyper would panic over it.
        .auto_date_header(text::rfc3339(SystemTime::now()).is_some())
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut look = pin!(tokio::time::sleep(Duration::ZERO));
    let mut draining = false;
    loop {
        tokio::select! {
            biased; // a request that has come counts before a time-out that has passed
            // The client's fault or the network's, which is nothing to report for each.
            _ = connection.as_mut() => return,
            () = look.as_mut() => match activity.next_look(config) {
                Some(at) => look.as_mut().reset(at),
                None => return tracing::debug!("connection closed: no request in time"),
            },
            Ok(()) = scarce.changed() => {
                activity.scarce.store(*scarce.borrow(), Ordering::Relaxed);
                look.as_mut().reset(Instant::now());
                // Who is sending a request may finish it; everybody else ends now, or with the answer that is under way.
                if *scarce.borrow() && !activity.is_reading() {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = shutdown::reached(&mut phase, Phase::Draining), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

const IDLE: u64 = 0;
const READING: u64 = 1;
const ANSWERING: u64 = 2;

/// What a connection is doing, in the lowest two bits of a note; above them since when, in milliseconds after its start.
///
/// The time is filled in by whoever looks next, and zero until then: requests come by the ten thousands a second and
/// looks every few seconds, so that a request need not ask the clock. A time-out may so come late by a look.
#[derive(Debug)]
struct Activity {
    start: Instant,
    note: AtomicU64,
    /// Whether connections are scarce; kept here because requests of all threads would wear out the channel's lock.
    scarce: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        // A new connection must bring its first request within the header time-out.
        Self {
            start: Instant::now(),
            note: AtomicU64::new(READING),
            scarce: AtomicBool::new(false),
        }
    }

    fn idle(&self) {
        self.note.store(IDLE, Ordering::Relaxed);
    }

    fn answering(&self) {
        self.note.store(ANSWERING, Ordering::Relaxed);
    }

    /// Bytes came; between requests they begin the next one.
    fn bytes(&self) {
        if self.note.load(Ordering::Relaxed) & 3 == IDLE {
            self.note.store(READING, Ordering::Relaxed);
        }
    }

    fn is_reading(&self) -> bool {
        self.note.load(Ordering::Relaxed) & 3 == READING
    }

    /// When to look again; `None` when the connection's time is up.
    fn next_look(&self, config: Config) -> Option<Instant> {
        let note = self.note.load(Ordering::Relaxed);
        let now = Instant::now();
        let head = if self.scarce.load(Ordering::Relaxed) {
            config.header_timeout.min(SCARCE_HEADER_TIMEOUT)
        } else {
            config.header_timeout
        };
        let (allowed, often) = match note & 3 {
            READING => (head, head),
            // The next request may begin at any time, and its head is to be noticed in time.
            IDLE => (
                config.idle_timeout,
                config.header_timeout.min(config.idle_timeout),
            ),
            // The request's own time-out takes over.
            _ => return Some(now + (config.header_timeout / 8).max(SHORTEST_LOOK)),
        };
        let soon = now + (often / 8).max(SHORTEST_LOOK);
        let since = if note >> 2 == 0 {
            let since = u64::try_from((now - self.start).as_millis())
                .unwrap_or(u64::MAX >> 2)
                .max(1);
            self.note.store(since << 2 | note, Ordering::Relaxed);
            since
        } else {
            note >> 2
        };
        let deadline = self.start + Duration::from_millis(since) + allowed;
        (now < deadline).then(|| deadline.min(soon))
    }
}

/// A stream that notes when bytes come, and dresses what the HTTP library answers by itself.
struct Wire {
    stream: TcpStream,
    activity: Arc<Activity>,
    dress: Dress,
    dressed: Option<Dressed>,
}

/// An answer that is being written in place of another.
struct Dressed {
    answer: Vec<u8>,
    written: usize,
    /// The length of the other, which its writer waits to see written.
    instead_of: usize,
}

impl Wire {
    /// Writes the dressed answer when `bytes` is to be replaced by one; `None` when they are to be written as they are.
    fn poll_dressed(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.dressed.is_none() {
            let answer = (self.dress)(bytes)?;
            self.dressed = Some(Dressed {
                answer,
                written: 0,
                instead_of: bytes.len(),
            });
        }
        let dressed = self.dressed.as_mut()?;
        while dressed.written < dressed.answer.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &dressed.answer[dressed.written..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Ok(0))),
                Poll::Ready(Ok(count)) => dressed.written += count,
                unfinished => return Some(unfinished),
            }
        }
        let instead_of = dressed.instead_of;
        self.dressed = None;
        Some(Poll::Ready(Ok(instead_of)))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes();
        }
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.poll_dressed(cx, buf) {
            Some(poll) => poll,
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs.first().and_then(|first| self.poll_dressed(cx, first)) {
            Some(poll) => poll,
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        drain: Duration::ZERO,
        connections: 1,
        dress: |_| None,
    };

    /// Seconds until the connection's time is up, when nothing more happens.
    async fn left(activity: &Activity) -> u64 {
        let from = Instant::now();
        while let Some(at) = activity.next_look(CONFIG) {
            tokio::time::sleep_until(at).await;
            if from.elapsed() > Duration::from_secs(1000) {
                return u64::MAX;
            }
        }
        from.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_state_has_its_time() {
        let activity = Activity::new();
        assert_eq!(left(&activity).await, 10, "a connection that never asks");
        activity.answering();
        assert_eq!(
            left(&activity).await,
            u64::MAX,
            "an answer takes what its own time-out allows"
        );
        activity.idle();
        assert_eq!(left(&activity).await, 75, "between requests");
        activity.idle();
        activity.bytes();
        assert!(
            activity.next_look(CONFIG).is_some(),
            "the first look fills in the time"
        );
        tokio::time::sleep(Duration::from_secs(6)).await;
        activity.bytes();
        assert_eq!(
            left(&activity).await,
            4,
            "more bytes of the same headers win no time"
        );
    }
}
