//! This process: its start and its own figures.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text;

/// The start of the process on both clocks: one to show, one that nobody can set back.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// By the wall clock.
    pub at: SystemTime,
    /// By the monotonic clock.
    pub since: Instant,
}

impl Started {
    /// The start is now.
    pub fn now() -> Self {
        Self {
            at: SystemTime::now(),
            since: Instant::now(),
        }
    }
}

/// This process.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Process {
    /// Process id, in the container's own count.
    pub pid: u32,
    /// Resident memory, in bytes.
    pub memory: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and connections.
    pub open_files: Option<u64>,
    /// Seconds of CPU time, its own and the kernel's for it.
    pub cpu_seconds: Option<f64>,
    /// When it started, RFC 3339; `null` when the clock is out of range.
    pub started: Option<String>,
    /// Seconds since it started.
    pub uptime: u64,
}

impl Process {
    /// Reads the process's own figures.
    pub fn now(started: Started) -> Self {
        let read = |file: &str| fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
        let status = read("status");
        Self {
            pid: std::process::id(),
            memory: status_field(&status, "VmRSS").map(|kib| kib * 1024),
            threads: status_field(&status, "Threads"),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            cpu_seconds: cpu_seconds(&read("stat"), rustix::param::clock_ticks_per_second()),
            started: text::rfc3339(started.at),
            uptime: started.since.elapsed().as_secs(),
        }
    }
}

/// The number of a line such as `VmRSS: 1234 kB`.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time out of `/proc/self/stat` (fields 14 and 15 of proc(5)), which are counted in ticks. The
/// second field is the program's name and may hold anything, so that counting begins behind it.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times: Option<Vec<u64>> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse().ok())
        .collect();
    let times = times.filter(|times| times.len() == 2 && ticks_per_second > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process, far below 2^52")]
    Some(times.iter().sum::<u64>() as f64 / ticks_per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_process() {
        let status = "Name:\tbifora\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        assert_eq!(status_field(status, "VmRSS"), Some(1234));
        assert_eq!(status_field(status, "Threads"), Some(3));
        assert_eq!(status_field(status, "VmSwap"), None);
        assert_eq!(status_field("VmRSS: x", "VmRSS"), None);
    }

    #[test]
    fn cpu_time_of_the_process() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 3 0 1 1 1";
        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
        assert_eq!(cpu_seconds(stat, 0), None);
        assert_eq!(cpu_seconds("7 (a) S 1", 100), None);
    }
}
