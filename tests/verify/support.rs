//! Servers, a load balancer before them, and what comes between to break something.

pub(crate) mod balancer;
pub(crate) mod gate;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod tamper;

use std::time::{Duration, Instant};

/// Nothing here takes longer, on a machine that is busy and emulates.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A variable that `cargo xtask test verify` sets.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the contract with whoever starts the tests"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Looks until there is something to be seen.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        pause(20);
    }
}

/// Waits so many milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "this is a thread of a test and no worker of a runtime"
)]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
