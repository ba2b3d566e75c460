//! Runs at the same time: who may go on. A pipeline has a machine for each of its jobs; here is one for all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// What only one run at a time may have, in the order in which they have asked.
#[derive(Default)]
pub(super) struct Turns {
    waiting: Mutex<BTreeMap<String, VecDeque<u64>>>,
    changed: Condvar,
    /// How often anything was taken.
    taken: AtomicUsize,
}

/// What a run has until this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    what: String,
}

impl Turns {
    /// Waits until nobody who has asked before has `what`.
    pub(super) fn take(&self, what: &str) -> Turn<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = waiting.entry(what.to_owned()).or_default();
        let ticket = queue.back().map_or(0, |last| last + 1);
        queue.push_back(ticket);
        while waiting.get(what).and_then(VecDeque::front) != Some(&ticket) {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        Turn {
            turns: self,
            what: what.to_owned(),
        }
    }

    /// How often anything was taken until now.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = waiting.get_mut(&self.what) {
            queue.pop_front();
        }
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_asks_first_goes_first_and_other_things_are_not_waited_for() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        let waiting = || turns.waiting.lock().expect("no panic")["machine"].len();
        thread::scope(|scope| {
            let held = turns.take("machine");
            for (number, run) in ["a", "b", "c"].into_iter().enumerate() {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _other = turns.take(run);
                    let _machine = turns.take("machine");
                    order.lock().expect("no panic").push(run);
                });
                while waiting() < number + 2 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            drop(held);
        });
        assert_eq!(order.into_inner().expect("no panic"), ["a", "b", "c"]);
    }
}
