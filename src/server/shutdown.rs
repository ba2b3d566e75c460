//! From the first signal to the end: which phase the server is in, and how it ended.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The server's phases, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Ready and serving.
    Serving,
    /// Told to stop: no longer ready, still serving, so that load balancers can turn away first.
    Leaving,
    /// No new connections; open requests finish.
    Draining,
    /// Told to stop a second time.
    Now,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Every open request was answered.
    Drained,
    /// The deadline cut what was still open.
    Cut,
    /// A second signal cut what was still open.
    Now,
}

impl Ending {
    /// The deadline is part of an orderly end; a second signal is not.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Drained | Self::Cut => ExitCode::SUCCESS,
            Self::Now => ExitCode::from(130),
        }
    }
}

/// SIGTERM and SIGINT, received from the moment that this exists.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Starts to receive.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

/// Turns signals into phases, with `delay` between the first signal and draining.
pub fn watch(mut signals: Signals, delay: Duration) -> watch::Receiver<Phase> {
    let (tell, phase) = watch::channel(Phase::Serving);
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, delay = ?delay, "stopping: no longer ready; a second signal ends at once");
        tell.send_replace(Phase::Leaving);
        tokio::select! {
            () = tokio::time::sleep(delay) => {
                tell.send_replace(Phase::Draining);
                signals.next().await;
            }
            _ = signals.next() => {}
        }
        tell.send_replace(Phase::Now);
        // Whoever asks later still finds the last phase.
        tell.closed().await;
    });
    phase
}

/// Waits until `phase` is `wanted` or past it.
pub async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|now| *now >= wanted).await.is_err() {
        // The sender is gone without having said so: nobody will ever tell this server to stop.
        std::future::pending::<()>().await;
    }
}
