//! What the tests share: the program, the server, a client that hides nothing, a page's tags, a metadata endpoint.

pub(crate) mod client;
pub(crate) mod metadata;
pub(crate) mod page;
pub(crate) mod program;
pub(crate) mod server;

use std::time::Duration;

/// How long anything may take before it counts as never. No test asserts speed: under an emulator on a busy machine
/// each step may take seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How long to look away between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Every route with the methods that it takes, as `Allow` names them.
pub(crate) const ROUTES: [(&str, &[&str]); 15] = [
    ("/", &["GET", "HEAD", "POST"]),
    ("/build", &["GET", "HEAD"]),
    ("/info", &["GET", "HEAD"]),
    ("/parity", &["GET", "HEAD"]),
    ("/fleet", &["GET", "HEAD"]),
    ("/api/whoami", &["GET", "HEAD"]),
    ("/api/build", &["GET", "HEAD"]),
    ("/api/info", &["GET", "HEAD"]),
    ("/api/attest?nonce=n", &["GET", "HEAD"]),
    ("/api/parity", &["GET", "HEAD"]),
    ("/api/openapi.json", &["GET", "HEAD"]),
    ("/healthz", &["GET", "HEAD"]),
    ("/readyz", &["GET", "HEAD"]),
    ("/metrics", &["GET", "HEAD"]),
    ("/static/style.css", &["GET", "HEAD"]),
];

/// Looks until `found` gives something.
///
/// # Panics
/// When there is nothing within [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(it) = found().await {
                return it;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
