//! How many connections there may be at once, as far as the process's file descriptors allow.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What the process needs beside connections: the log, the listener, the runtime, /proc.
const RESERVED: u64 = 32;

/// Raises the soft limit of open files to the hard one, and gives the most connections that fit, `wanted` at the most.
pub fn connections(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            ..limit
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    // No limit is a limit that nobody reaches.
    let descriptors = limit.current.unwrap_or(u64::MAX);
    wanted
        .min(usize::try_from(descriptors.saturating_sub(RESERVED)).unwrap_or(usize::MAX))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_wanted_but_no_more_than_fit() {
        assert_eq!(connections(3), 3);
        assert!(connections(usize::MAX) >= 32);
    }
}
