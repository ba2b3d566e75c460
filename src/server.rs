//! Accepts connections, bounds them in time, and drains them when it is time to go.

mod connection;
pub mod descriptors;
pub mod shutdown;

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::shutdown::{Ending, Phase};

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long a connection may idle between requests.
    pub idle_timeout: Duration,
    /// How long open requests may take once no new ones are taken.
    pub drain: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// Replaces what the HTTP library answers by itself.
    pub dress: Dress,
}

/// Replaces bytes that are about to be written to a connection; `None` leaves them as they are.
pub type Dress = fn(&[u8]) -> Option<Vec<u8>>;

/// Serves until `phase` says to stop; tells how that ended. Listener and phases come from outside, so that a test can
/// bind port 0 and end it.
pub async fn run(
    listener: TcpListener,
    router: Router,
    config: Config,
    mut phase: watch::Receiver<Phase>,
) -> Ending {
    let mut connections = JoinSet::new();
    // While connections are scarce, those that do nothing make room.
    let (scarce, is_scarce) = watch::channel(false);
    let serving = phase.clone();
    loop {
        tokio::select! {
            stream = accept(&listener), if connections.len() < config.connections => {
                let serving = connection::serve(stream, router.clone(), config, serving.clone(), is_scarce.clone());
                connections.spawn(serving);
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = shutdown::reached(&mut phase, Phase::Draining) => break,
        }
        let tenth = config.connections.div_ceil(10);
        if connections.len() + tenth > config.connections && !*is_scarce.borrow() {
            tracing::warn!(
                open = connections.len(),
                "connections are scarce; idle ones are closed"
            );
            scarce.send_replace(true);
        } else if connections.len() + 3 * tenth < config.connections && *is_scarce.borrow() {
            scarce.send_replace(false);
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
        () = tokio::time::sleep(config.drain) => Ending::Cut,
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
