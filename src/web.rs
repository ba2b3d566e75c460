//! The web: every route on one screen, and what each answer passes through.

pub mod assets;
pub mod attest;
pub mod build_info;
pub mod edge;
pub mod error;
pub mod fleet;
pub mod health;
pub mod home;
pub mod metrics;
pub mod negotiate;
pub mod openapi;
pub mod parity;
pub mod refusal;
pub mod request_id;
pub mod security;
mod snapshot;
pub mod system_info;
#[cfg(test)]
mod tests;
mod visit;
pub mod whoami;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::{SetOnce, watch};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use self::metrics::Metrics;
use self::snapshot::Snapshot;
use crate::deployment::Deployment;
use crate::facts::Facts;
use crate::parity::Results;
use crate::server::shutdown::Phase;

/// Every route.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/", get(home::page).post(home::draw))
        .route("/build", get(build_info::page))
        .route("/info", get(system_info::page))
        .route("/parity", get(parity::page))
        .route("/fleet", get(fleet::page))
        .route("/api/whoami", get(whoami::api))
        .route("/api/build", get(build_info::api))
        .route("/api/info", get(system_info::api))
        .route("/api/attest", get(attest::api))
        .route("/api/parity", get(parity::api))
        .route("/api/openapi.json", get(openapi::api))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::scrape))
        .merge(assets::routes()) // /static/…
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed);
    guarded(routes, app)
}

/// What every request passes on its way in, from the top: the edge, which bounds its time and dresses whatever comes
/// back; then what turns a panic into 500 and too large a body into 413.
fn guarded(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    let guards = ServiceBuilder::new()
        .layer(from_fn_with_state(app.clone(), edge::edge))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(RequestBodyLimitLayer::new(app.limits.body))
        .layer(DefaultBodyLimit::disable());
    routes.layer(guards).with_state(app)
}

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    /// What this process knows of itself.
    pub facts: Facts,
    /// What it may spend on a request.
    pub limits: Limits,
    /// What it counts.
    pub metrics: Metrics,
    /// What it knows of the executable.
    pub measured: attest::Measured,
    phase: watch::Receiver<Phase>,
    /// What the snapshot is rendered from; taken by whoever learns something, never by a request.
    known: Mutex<Known>,
    snapshot: ArcSwap<Snapshot>,
    /// Set when the snapshot has the results of the parity vectors.
    computed: SetOnce<()>,
}

/// What becomes known only after the start, in either order.
#[derive(Debug)]
struct Known {
    deployment: Deployment,
    results: Option<Results>,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body: usize,
    /// Most requests at once.
    pub concurrency: usize,
    /// Longest time for a request.
    pub request_timeout: Duration,
    /// From when on a request is slow.
    pub slow_request: Duration,
}

impl App {
    /// An app in which nothing is known of the deployment yet, and nothing is computed.
    pub fn new(facts: Facts, limits: Limits, phase: watch::Receiver<Phase>) -> Self {
        let known = Known {
            deployment: facts.deployment_at_start(),
            results: None,
        };
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::new(&facts, &known.deployment, None)),
            metrics: Metrics::new(&facts.build),
            facts,
            limits,
            measured: attest::Measured::default(),
            phase,
            known: Mutex::new(known),
            computed: SetOnce::new(),
        }
    }

    /// Takes in what became known of the deployment.
    pub fn deployed(&self, deployment: &Deployment) {
        self.learn(|known| known.deployment = deployment.clone());
    }

    /// Takes in the results of the parity vectors, which requests may be waiting for.
    pub fn computed(&self, results: Results) {
        self.learn(|known| known.results = Some(results));
        let _ = self.computed.set(()); // a second time changes nothing for those who wait
    }

    fn learn(&self, what: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut known);
        let snapshot = Snapshot::new(&self.facts, &known.deployment, known.results.as_ref());
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Whether the server has not been told to stop.
    pub fn is_serving(&self) -> bool {
        // The first phase is Serving, and each change leads away from it. To look at the value would take a lock.
        !self.phase.has_changed().unwrap_or(false)
    }
}

/// A page as a body. Templates write to memory and call nothing that can fail.
fn render(page: &impl askama::Template) -> axum::body::Bytes {
    page.render().expect("a template writes to memory").into()
}
