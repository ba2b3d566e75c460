//! Threads: what several of them do at once, and that they are as many as were asked for.
//!
//! Each result is one that every correct machine gives whatever the threads' luck, so that a wrong one is a fault. That none
//! was seen proves little: a race that is lost once in a billion is not found in milliseconds.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Barrier, Mutex, OnceLock, mpsc};
use std::thread;

use super::Definition;
use super::work::Work;

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "counters under contention",
        why: "One instruction on x86 and on Arm since 8.1 (LSE), a loop that tries again before that: no count may be lost.",
        source: "AWS Graviton guide, Large-System Extensions <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#large-system-extensions-lse>",
        run: counters,
        expected: "a96b484b297358c090718b3bfe6852ce3a28dc9f53a0bebc55ab8da7c1b72075",
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
        expected: "381de46920af5d493e3082cc08259cc150db494b3746eadc8a3333a33fe650c9",
    },
    Definition {
        name: "two flags, one of them seen",
        why: "Both processors let a load pass an earlier store; a full fence forbids it, and locks that are written by hand need it.",
        source: "Rust, fence <https://doc.rust-lang.org/std/sync/atomic/fn.fence.html>",
        run: two_flags,
        expected: "c3e42245ffdff31c980d63b232de1414ca2461a08c6efccca2af96737ef4d068",
    },
    Definition {
        name: "locks and channels",
        why: "Plain data behind a mutex, messages in the order of their sender: all that carries them from core to core is ordering.",
        source: "Rust, std::sync <https://doc.rust-lang.org/std/sync/>",
        run: locks_and_channels,
        expected: "8116762953977120acb874faf0d7e0543680a5244ee27ec6e86d88d855c01abe",
    },
    Definition {
        name: "threads asked, threads that ran",
        why: "Pools are sized by the number of CPUs: as many as were asked for must meet at the barrier.",
        source: "Rust, Barrier <https://doc.rust-lang.org/std/sync/struct.Barrier.html>",
        run: threads,
        expected: "22db114e0e655b92d96802acb70b7a06b45fd4fce41bf60f5d32e48c820de6c0",
    },
];

/// Threads of a vector, and rounds that each of them makes.
const CREW: usize = 3;
const ROUNDS: u32 = 120;

fn counters(work: &mut Work) {
    let step = work.take(3_u64);
    let (sum, greatest, bits, parity) = (
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU32::new(0),
        AtomicBool::new(false),
    );
    work.crew(CREW, |number| {
        for round in 0..ROUNDS {
            sum.fetch_add(step, Ordering::Relaxed);
            greatest.fetch_max(u64::from(round) * step + number as u64, Ordering::Relaxed);
            bits.fetch_or(1 << (round % 30), Ordering::Relaxed);
            parity.fetch_xor(true, Ordering::Relaxed);
        }
    });
    work.put(sum.into_inner());
    work.put(greatest.into_inner());
    work.put(bits.into_inner());
    work.put(parity.into_inner());
}

fn exchange(work: &mut Work) {
    let start = work.take(1_u64);
    // Multiplication by odd numbers modulo 2^64 gives the same product in any order, and a lost factor another one.
    let product = AtomicU64::new(start);
    let tickets = AtomicU32::new(0);
    let won = work.crew(CREW, |number| {
        let factor = 2 * number as u64 + 3;
        let mut won = 0_u32;
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
            if tickets
                .compare_exchange(round, round + 1, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
            {
                won += 1;
            }
        }
        won
    });
    work.put(product.into_inner());
    work.put(won.iter().sum::<u32>() == tickets.into_inner());
}

/// The letters are written without an order among them; only the flag says that they are there.
fn message(work: &mut Work) {
    let first = work.take(1_u64);
    let (a, b, flag) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU32::new(0));
    let stale = work.crew(2, |number| {
        let mut stale = 0_u32;
        for round in 1..=ROUNDS {
            let content = first.wrapping_mul(u64::from(round));
            if number == 0 {
                a.store(content, Ordering::Relaxed);
                b.store(!content, Ordering::Relaxed);
                flag.store(2 * round - 1, Ordering::Release);
                wait_until(|| flag.load(Ordering::Acquire) == 2 * round);
            } else {
                wait_until(|| flag.load(Ordering::Acquire) == 2 * round - 1);
                let read = (a.load(Ordering::Relaxed), b.load(Ordering::Relaxed));
                stale += u32::from(read != (content, !content));
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
    let mark = work.take(1_u32);
    let flags = [AtomicU32::new(0), AtomicU32::new(0)];
    let seen = [AtomicU32::new(0), AtomicU32::new(0)];
    let barrier = Barrier::new(2);
    let missed = work.crew(2, |number| {
        let mut missed = 0_u32;
        for _ in 0..20 {
            flags[number].store(0, Ordering::Relaxed);
            barrier.wait();
            flags[number].store(mark, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            seen[number].store(flags[1 - number].load(Ordering::Relaxed), Ordering::Relaxed);
            barrier.wait();
            let both = [&seen[0], &seen[1]].map(|seen| seen.load(Ordering::Relaxed));
            missed += u32::from(both == [0, 0]);
        }
        missed
    });
    work.put_all(missed);
    work.put(flags[0].load(Ordering::Relaxed));
}

fn locks_and_channels(work: &mut Work) {
    lock(work);
    channels(work);
}

fn lock(work: &mut Work) {
    let step = work.take(5_u64);
    let guarded = Mutex::new((0_u64, Vec::new()));
    let once = OnceLock::new();
    let same = work.crew(CREW, |number| {
        for _ in 0..ROUNDS / 6 {
            let mut guard = guarded.lock().expect("no thread panics");
            guard.0 += step;
            let all = guard.0;
            guard.1.push(all);
        }
        *once.get_or_init(|| number)
    });
    let (sum, list) = guarded.into_inner().expect("no thread panics");
    work.put(sum);
    work.put_all(list);
    work.put(same.iter().all(|number| Some(number) == once.get()));
}

fn channels(work: &mut Work) {
    let start = work.take(100_u64);
    let (tell, told) = mpsc::sync_channel(8);
    let told = Mutex::new(told);
    let count = CREW * 20;
    let orders = work.crew(CREW + 1, |number| {
        let mut received = vec![Vec::new(); CREW];
        if number < CREW {
            for message in 0..20 {
                tell.send((number, start + message)).expect("somebody listens");
            }
        } else {
            let told = told.lock().expect("only one thread receives");
            for (from, message) in told.iter().take(count) {
                received[from].push(message);
            }
        }
        received
    });
    for order in &orders[CREW] {
        work.put_all(order);
    }
}

fn threads(work: &mut Work) {
    for count in work.take_all([1_u32, 2, 4]) {
        let count = count as usize;
        let (barrier, arrived) = (Barrier::new(count), AtomicU32::new(0));
        // Whoever has passed the barrier has seen all of them arrive: none ran after another had ended.
        let seen = work.crew(count, |_| {
            arrived.fetch_add(1, Ordering::SeqCst);
            let leads = barrier.wait().is_leader();
            (arrived.load(Ordering::SeqCst), leads, thread::current().id())
        });
        work.put_all(seen.iter().map(|(arrived, ..)| *arrived));
        work.put(seen.iter().filter(|(_, leads, _)| *leads).count());
        let ids: HashSet<_> = seen.iter().map(|(.., id)| *id).collect();
        work.put(ids.len());
    }
}

/// Waits for another thread without burning the CPU that it may need.
fn wait_until(is_so: impl Fn() -> bool) {
    let mut looks = 0_u32;
    while !is_so() {
        looks += 1;
        if looks < 50 {
            std::hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}
