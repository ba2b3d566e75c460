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
use tokio::time::Instant;

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
    let mut door = Door {
        listener,
        closed_until: None,
    };
    let mut scarcity = Scarcity::new(config.connections);
    let serving = phase.clone();
    loop {
        tokio::select! {
            stream = door.accept(), if connections.len() < config.connections => {
                let scarce = scarcity.tell.subscribe();
                connections.spawn(connection::serve(stream, router.clone(), config, serving.clone(), scarce));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = shutdown::reached(&mut phase, Phase::Draining) => break,
        }
        scarcity.judge(connections.len());
    }
    // From here on a new connection is refused at once, instead of waiting in a queue that nobody reads.
    drop(door);
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

/// Whether connections are scarce: then each one ends with its answer, so that others get in.
struct Scarcity {
    most: usize,
    tell: watch::Sender<bool>,
    since: Instant,
}

impl Scarcity {
    /// A shortage lasts at least this long, so that it does not come and go with each connection.
    const LEAST: Duration = Duration::from_secs(5);

    fn new(most: usize) -> Self {
        Self {
            most,
            tell: watch::Sender::new(false),
            since: Instant::now(),
        }
    }

    /// Begins with the last tenth, ends below seven tenths.
    fn judge(&mut self, open: usize) {
        let scarce = *self.tell.borrow();
        if !scarce && open > self.most - self.most.div_ceil(10) {
            tracing::warn!(open, "running out of connections; closing idle ones");
            self.since = Instant::now();
            self.tell.send_replace(true);
        } else if scarce && open <= self.most * 7 / 10 && self.since.elapsed() >= Self::LEAST {
            self.tell.send_replace(false);
        }
    }
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    closed_until: Option<Instant>,
}

impl Door {
    /// The next connection. Errors pass: those of a client that is gone at once, those of too few file descriptors after
    /// a pause in which some may be closed.
    async fn accept(&mut self) -> TcpStream {
        loop {
            if let Some(until) = self.closed_until {
                tokio::time::sleep_until(until).await;
                self.closed_until = None;
            }
            match self.listener.accept().await {
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
                        tracing::error!(%error, "cannot accept connections; trying again in a second");
                        self.closed_until = Some(Instant::now() + Duration::from_secs(1));
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn scarcity_comes_at_nine_tenths_and_goes_below_seven() {
        for most in [1, 3, 10, 10_000] {
            let mut scarcity = Scarcity::new(most);
            let mut is_scarce = |open| {
                scarcity.judge(open);
                *scarcity.tell.borrow()
            };
            assert!(!is_scarce(0), "{most}");
            assert!(is_scarce(most), "{most}");
            assert!(is_scarce(0), "{most}: not for a moment only");
            tokio::time::advance(Scarcity::LEAST).await;
            assert!(!is_scarce(most * 7 / 10), "{most}");
        }
    }
}
