//! `bifora serve`: gathers the facts, binds, serves until told to stop.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpListener;

use crate::environment::Environment;
use crate::facts::Facts;
use crate::host::Started;
use crate::parity::{self, Outcome, Results};
use crate::server::shutdown::{self, Ending};
use crate::server::{self, Config};
use crate::settings::Settings;
use crate::web::{self, App, Limits};
use crate::{arch::Arch, metadata};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken, or may not be had.
    #[error("cannot listen on {0}: {1}{hint}", hint = hint(.1.kind()))]
    Bind(SocketAddr, #[source] std::io::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(#[source] std::io::Error),
}

fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied => " (choose another port with --port or PORT)",
        ErrorKind::AddrNotAvailable => " (choose an address of this machine with --host or HOST)",
        _ => "",
    }
}

/// Serves until SIGTERM or SIGINT and tells how it ended; `connections` is the most there may be at once.
pub async fn run(settings: &Settings, connections: usize, started: Started) -> Result<Ending, ServeError> {
    // Before anything else: as PID 1 a signal without a receiver would be lost.
    let signals = shutdown::Signals::new().map_err(ServeError::Signals)?;
    let address = SocketAddr::new(settings.listen.host, settings.listen.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Bind(address, error))?;
    let bound = listener.local_addr().unwrap_or(address);

    let facts = Facts::gather(Environment::from_process(), started);
    let phase = shutdown::watch(signals, settings.shutdown_delay);
    let limits = Limits {
        body: settings.body_limit,
        concurrency: settings.concurrency_limit,
        request_timeout: settings.request_timeout,
        slow_request: settings.slow_request,
    };
    let app = Arc::new(App::new(facts, limits, phase.clone()));
    tracing::info!(
        address = %bound,
        arch = Arch::COMPILED.name(),
        version = app.facts.build.version,
        commit = app.facts.build.short_commit(),
        "{} serving on http://{bound}",
        Arch::COMPILED.mark(),
    );
    tokio::spawn({
        let app = app.clone();
        // Now, so that no request has to wait for it.
        async move { drop(app.measured.executable().await.clone()) }
    });
    if let Some(endpoint) = app.facts.metadata_endpoint() {
        let app = app.clone();
        tokio::spawn(metadata::watch(endpoint, move |deployment| {
            app.deployed(&deployment);
        }));
    }
    compute_parity(&app);
    let config = Config {
        header_timeout: settings.header_timeout,
        idle_timeout: settings.idle_timeout,
        drain: settings.shutdown_deadline,
        connections,
        dress: web::refusal::dress,
    };
    Ok(server::run(listener, web::router(app), config, phase).await)
}

/// Runs the parity vectors beside everything else: nobody waits for them but who asks for their results.
fn compute_parity(app: &Arc<App>) {
    let own = app.clone();
    let compute = move || {
        let results = Results::compute(&own.facts.host, parity::budget(&own.facts.host));
        let with = |outcome| parity::names(&results.vectors, outcome);
        let (differ, not_computed) = (with(Outcome::Differs), with(Outcome::NotComputed));
        let cpu_ms = results.cpu_time.as_secs_f64() * 1e3;
        if differ.is_empty() && not_computed.is_empty() {
            tracing::info!(
                vectors = results.vectors.len(),
                cpu_ms,
                "every parity vector gave the expected result"
            );
        } else {
            tracing::error!(
                ?differ,
                ?not_computed,
                cpu_ms,
                "parity vectors without the expected result"
            );
        }
        own.computed(results);
    };
    if let Err(error) = thread::Builder::new().name("parity".to_owned()).spawn(compute) {
        tracing::error!(%error, "no thread for the parity vectors");
        app.computed(Results::missing("not run: the system gave no thread"));
    }
}
