//! What happens on Ctrl-C, SIGTERM and SIGHUP: every process that was started here ends, then this one does.
//!
//! Children stay in the process group of the terminal, so that they can prompt and so that Ctrl-C reaches them without
//! us. A SIGTERM to this process alone does not, and a server or a browser below npm would go on for ever: therefore
//! all descendants are looked up and told.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a process may take to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

static PENDING: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static CLEANUP: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Starts to listen for signals. To be called once, before any child is started.
pub(crate) fn install() -> Result<()> {
    const SIGNALS: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];
    let pending = PENDING.get_or_init(Arc::default);
    for signal in SIGNALS {
        signal_hook::flag::register(signal, Arc::clone(pending)).context("cannot listen for signals")?;
    }
    let mut signals = Signals::new(SIGNALS).context("cannot listen for signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            eprintln!("\nInterrupted: ending what was started here.");
            end_descendants();
            if let Some(clean_up) = CLEANUP.lock().ok().and_then(|mut cleanup| cleanup.take()) {
                clean_up();
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Has `clean_up` run after a signal, when all descendants have ended: for what was started apart from this program.
pub(crate) fn on_signal(clean_up: impl FnOnce() + Send + 'static) {
    if let Ok(mut cleanup) = CLEANUP.lock() {
        *cleanup = Some(Box::new(clean_up));
    }
}

/// Takes [`on_signal`] back.
pub(crate) fn forget() {
    if let Ok(mut cleanup) = CLEANUP.lock() {
        *cleanup = None;
    }
}

/// Waits for the end of this process if a signal has arrived. To be called when a child has failed: otherwise the
/// failure, which only follows from the signal, is reported, and the process is gone before its children are.
pub(crate) fn hold_if_pending() {
    if PENDING
        .get()
        .is_some_and(|pending| pending.load(Ordering::SeqCst))
    {
        loop {
            thread::park();
        }
    }
}

fn end_descendants() {
    // Looked up once, at the beginning: the children of one that ends are handed to process 1 and no longer ours.
    let family = descendants(std::process::id(), &processes());
    let signal_all = |signal| {
        for &pid in &family {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // The only error that occurs is that it is gone already.
                let _ = kill_process(pid, signal);
            }
        }
    };
    signal_all(Signal::TERM);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let alive = processes();
        if !family.iter().any(|pid| alive.contains_key(pid)) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    signal_all(Signal::KILL);
}

/// Every process that is not a zombie, with its parent. Empty where there is no `/proc`.
fn processes() -> HashMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// The parent in a `/proc/PID/stat`, or none for a zombie. The name of the program, in parentheses, may contain both
/// spaces and parentheses.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.next()?.parse().ok()
}

/// All processes below `ancestor`.
fn descendants(ancestor: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(&current) = family.get(next) {
        family.extend(
            parents
                .iter()
                .filter(|&(_, &parent)| parent == current)
                .map(|(&pid, _)| pid),
        );
        next += 1;
    }
    family.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_survives_odd_names_and_leaves_zombies_out() {
        assert_eq!(parent("42 (a) b (c)) S 7 42 42 0"), Some(7));
        assert_eq!(parent("42 (gone) Z 7 42 42 0"), None);
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn descendants_are_found_across_generations() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (9, 8)]);
        let mut found = descendants(2, &parents);
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
    }
}
