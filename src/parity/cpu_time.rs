//! The CPU time of a thread, which other programs on the machine do not lengthen.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this thread has used since it started.
pub(super) fn of_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
