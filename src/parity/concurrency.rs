//! Threads: what several of them do at once, and that they are as many as were asked for.
//!
//! Each result is one that every correct machine gives whatever the threads' luck, so that a wrong one is a fault. That none
//! was seen proves little: a race that is lost once in a billion is not found in milliseconds.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Barrier, Mutex, OnceLock};
use std::thread;

use super::Definition;
use super::work::Work;

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "counters under contention",
        why: "One instruction on x86 and on Arm since 8.1 (LSE), a loop that tries again before that: no count may be lost.",
        source: "AWS Graviton guide, Large-System Extensions <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#large-system-extensions-lse>",
        run: counters,
        expected: "a9e31aae87af9f0492b2c064eaa9b205b4586ef3b19caa839aa04d408b26c7cd",
    },
    Definition {
        name: "compare and exchange",
        why: "The weak form may fail for no reason on Arm and never does on x86; code without a loop loses updates there.",
        source: "Rust, compare_exchange_weak <https://doc.rust-lang.org/std/sync/atomic/struct.AtomicU64.html#method.compare_exchange_weak>",
        run: exchange,
        expected: "0886f5f3506e6ca934e91de1a880b0fe1cb5c15a1a59250d0f623acbb5a82ef1",
    },
    Definition {
        name: "message behind a flag",
        why: "x86 keeps stores in order by itself, Arm only when asked to (release, acquire): then no stale message is read.",
        source: "AWS Graviton guide, ordering issues <https://github.com/aws/aws-graviton-getting-started/blob/main/optimizing.md#ordering-issues>",
        run: message,
        expected: "e8a02c2d046c371c1bd9e8f46da57e20477ada04fe2f73e1f9b8dbb33d96fd14",
    },
    Definition {
        name: "two flags, one of them seen",
        why: "Both processors let a load pass an earlier store; a full fence forbids it, and locks that are written by hand need it.",
        source: "Rust, fence <https://doc.rust-lang.org/std/sync/atomic/fn.fence.html>",
        run: two_flags,
        expected: "85526ba79728a470972be92942ef4de212630c9368703cb4ab3cb42dece95912",
    },
    Definition {
        name: "a lock and what it guards",
        why: "Plain data behind a mutex: the lock's own ordering is all that carries it from one core to the next.",
        source: "Rust, Mutex <https://doc.rust-lang.org/std/sync/struct.Mutex.html>",
        run: lock,
        expected: "bd753de2a77ed6e0b0f8ddcaa903583b1d90fd8b423e5d434241994712dee239",
    },
    Definition {
        name: "threads asked, threads that ran",
        why: "Pools are sized by the number of CPUs: as many as were asked for must meet at the barrier.",
        source: "Rust, Barrier <https://doc.rust-lang.org/std/sync/struct.Barrier.html>",
        run: threads,
        expected: "e971c7784f84b6a0dc19918ee0e67000559fac06fee6de96791cbdee50701b33",
    },
];

/// Threads of a vector, and rounds that each of them makes.
const CREW: usize = 3;
const ROUNDS: u64 = 120;

fn counters(work: &mut Work) {
    let step = work.take(3_u64);
    let (sum, greatest) = (AtomicU64::new(0), AtomicU64::new(0));
    let (bits, parity) = (AtomicU64::new(0), AtomicU64::new(0));
    work.crew(CREW, &|number| {
        for round in 0..ROUNDS {
            sum.fetch_add(step, Ordering::Relaxed);
            greatest.fetch_max(round * step + number as u64, Ordering::Relaxed);
            bits.fetch_or(1 << (round % 60), Ordering::Relaxed);
            parity.fetch_xor(step << (round % 30), Ordering::Relaxed);
        }
        0
    });
    for counter in [sum, greatest, bits, parity] {
        work.put(counter.into_inner());
    }
}

fn exchange(work: &mut Work) {
    let start = work.take(1_u64);
    // Multiplication by odd numbers modulo 2^64 gives the same product in any order, and a lost factor another one.
    let (product, tickets) = (AtomicU64::new(start), AtomicU64::new(0));
    let won = work.crew(CREW, &|number| {
        let factor = 2 * number as u64 + 3;
        let mut won = 0;
        for round in 0..ROUNDS {
            let mut seen = product.load(Ordering::Relaxed);
            while let Err(other) = product.compare_exchange_weak(
                seen,
                seen.wrapping_mul(factor),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                seen = other;
            }
            // Each ticket is had by one thread and no more.
            let had = tickets.compare_exchange(round, round + 1, Ordering::AcqRel, Ordering::Acquire);
            won += u64::from(had.is_ok());
        }
        won
    });
    work.put(product.into_inner());
    work.put(won.iter().sum::<u64>() == tickets.into_inner());
}

/// The letters are written without an order among them; only the flag says that they are there.
fn message(work: &mut Work) {
    let first = work.take(1_u64);
    let (a, b, flag) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let stale = work.crew(2, &|number| {
        let mut stale = 0;
        for round in 1..=ROUNDS {
            let content = first.wrapping_mul(round);
            if number == 0 {
                a.store(content, Ordering::Relaxed);
                b.store(!content, Ordering::Relaxed);
                flag.store(2 * round - 1, Ordering::Release);
                wait_until(&flag, 2 * round);
            } else {
                wait_until(&flag, 2 * round - 1);
                let read = (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed));
                stale += u64::from(read != (content, !content));
                flag.store(2 * round, Ordering::Release);
            }
        }
        stale
    });
    work.put_all(stale);
    work.put(a.into_inner());
}

/// Each of two threads raises its flag and looks at the other's. That neither sees one raised is impossible.
fn two_flags(work: &mut Work) {
    let mark = work.take(1_u64);
    let flags = [AtomicU64::new(0), AtomicU64::new(0)];
    let seen = [AtomicU64::new(0), AtomicU64::new(0)];
    let barrier = Barrier::new(2);
    let missed = work.crew(2, &|number| {
        let mut missed = 0;
        for _ in 0..20 {
            flags[number].store(0, Ordering::Relaxed);
            barrier.wait();
            flags[number].store(mark, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            seen[number].store(flags[1 - number].load(Ordering::Relaxed), Ordering::Relaxed);
            barrier.wait();
            let both = [&seen[0], &seen[1]].map(|seen| seen.load(Ordering::Relaxed));
            missed += u64::from(both == [0, 0]);
        }
        missed
    });
    work.put_all(missed);
    work.put(flags[0].load(Ordering::Relaxed));
}

fn lock(work: &mut Work) {
    let step = work.take(5_u64);
    let guarded = Mutex::new((0_u64, Vec::new()));
    let once = OnceLock::new();
    let first = work.crew(CREW, &|number| {
        for _ in 0..ROUNDS / 4 {
            let mut guard = guarded.lock().expect("no thread panics");
            guard.0 += step;
            let all = guard.0;
            guard.1.push(all);
        }
        *once.get_or_init(|| number as u64)
    });
    let (sum, list) = guarded.into_inner().expect("no thread panics");
    work.put(sum);
    work.put_all(list);
    work.put(first.iter().all(|number| Some(number) == once.get()));
}

/// Whoever has passed the barrier has seen all of them arrive: none ran after another had ended.
fn threads(work: &mut Work) {
    for count in work.take_all([1_u32, 2, 4]) {
        let count = count as usize;
        let (barrier, arrived, leaders) = (Barrier::new(count), AtomicU64::new(0), AtomicU64::new(0));
        let seen = work.crew(count, &|_| {
            arrived.fetch_add(1, Ordering::SeqCst);
            if barrier.wait().is_leader() {
                leaders.fetch_add(1, Ordering::SeqCst);
            }
            arrived.load(Ordering::SeqCst)
        });
        work.put_all(seen);
        work.put(leaders.into_inner());
    }
}

/// Waits for another thread without burning the CPU that it may need.
fn wait_until(flag: &AtomicU64, value: u64) {
    let mut looks = 0_u32;
    while flag.load(Ordering::Acquire) != value {
        looks += 1;
        if looks < 50 {
            std::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}
