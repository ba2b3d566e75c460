//! Accepts connections, bounds them in time, and drains them when it is time to go.

mod connection;
pub mod shutdown;

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::shutdown::{Ending, Phase};

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the headers of a request.
    pub header: Duration,
    /// Between requests.
    pub idle: Duration,
    /// For open requests, once no new ones are taken.
    pub drain: Duration,
}

/// Replaces bytes that are about to be written to a connection: what the HTTP library answers by itself.
pub type Dress = fn(&[u8]) -> Option<Vec<u8>>;

/// Serves until `phase` says to stop; tells how that ended. Listener and phases come from outside, so that a test can
/// bind port 0 and end it.
pub async fn run(
    listener: TcpListener,
    router: Router,
    dress: Dress,
    timeouts: Timeouts,
    mut phase: watch::Receiver<Phase>,
) -> Ending {
    let mut connections = JoinSet::new();
    let serving = phase.clone();
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                connections.spawn(connection::serve(stream, router.clone(), dress, timeouts, serving.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = shutdown::reached(&mut phase, Phase::Draining) => break,
        }
    }
    // From here on a new connection is refused at once, instead of waiting in a queue that nobody reads.
    drop(listener);
    tracing::info!(
        open = connections.len(),
        "no new connections; finishing open requests"
    );
    let drained = async { while connections.join_next().await.is_some() {} };
    let ending = tokio::select! {
        biased; // a second signal counts even when there was nothing left to cut
        () = shutdown::reached(&mut phase, Phase::Now) => Ending::Now,
        () = drained => Ending::Drained,
        () = tokio::time::sleep(timeouts.drain) => Ending::Cut,
    };
    match ending {
        Ending::Drained => tracing::info!("drained"),
        Ending::Cut => tracing::warn!(
            cut = connections.len(),
            "deadline reached; open connections are cut"
        ),
        Ending::Now => tracing::warn!(cut = connections.len(), "second signal; ending at once"),
    }
    connections.shutdown().await;
    ending
}

/// The next connection. Errors pass: those of a client that is gone at once, those of too few file descriptors after
/// a pause in which some may be closed.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written in one go; to wait for more would only delay them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset => {}
                _ => {
                    tracing::error!(%error, "cannot accept connections; trying again");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
        }
    }
}
