//! Time arithmetic, with fixed times: no clock is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "durations",
        why: "Time-outs and rates go through floats and 128-bit divisions, and end at limits.",
        source: "Rust, Duration <https://doc.rust-lang.org/std/time/struct.Duration.html>",
        run: durations,
        expected: "fd2fb400b6a4b0bb044c7749380c0bc8968a9ab6d4e7bc20a95bb2e278540a2e",
    },
    Definition {
        name: "dates of fixed times",
        why: "Leap days, centuries and the last second of a year, written and read as RFC 3339.",
        source: "RFC 3339 <https://www.rfc-editor.org/rfc/rfc3339>",
        run: dates,
        expected: "598813ef518a085c02771f000d0fff0bd28ea32a4d5d04504f5c2890565b7731",
    },
    Definition {
        name: "times beyond 2038",
        why: "time_t has 64 bits on both; a dependency that was made for 32-bit Arm may still keep 32.",
        source: "glibc, Y2038 proofness design <https://sourceware.org/glibc/wiki/Y2038ProofnessDesign>",
        run: far_times,
        expected: "53c37e9edf5242e99baf28bc203861bd38c8c476eb7ce2816341d6259474eae3",
    },
];

fn durations(work: &mut Work) {
    let mut sequence = Sequence::new(work, 80);
    let random = (0..30).map(|_| Duration::from_nanos(sequence.next()));
    let random: Vec<_> = random.collect();
    let edges = work.take_all([0_u64, 1, 999_999_999, 1_000_000_000, 86_400_000_000_000, u64::MAX]);
    let edges = edges.map(Duration::from_nanos);
    for duration in edges.into_iter().chain(random) {
        work.put(duration.as_nanos());
        work.put(duration.as_secs_f64());
        work.put(duration.as_secs_f32());
        work.put(duration.mul_f64(1.1).as_nanos());
        work.put(duration.div_f64(3.0).as_nanos());
        work.put(duration.mul_f32(0.3).as_nanos());
        work.put((duration / 7).as_nanos());
        work.put(duration.checked_mul(u32::MAX).map(|product| product.as_nanos()));
        work.put(
            duration
                .checked_sub(Duration::from_secs(1))
                .map(|rest| rest.as_nanos()),
        );
        work.put(format!("{duration:?} {duration:.3?}"));
        work.put(humantime::format_duration(duration).to_string());
    }
    for seconds in work.take_all([
        0.1,
        1e-9,
        0.5e-9,
        1.5e-9,
        2.5e-9,
        -1.0,
        f64::NAN,
        1e19,
        1.8e19,
        1e20,
    ]) {
        work.put(
            Duration::try_from_secs_f64(seconds)
                .ok()
                .map(|duration| duration.as_nanos()),
        );
    }
    for text in work.take_all([
        "1h 2m 3s",
        "1day 12h",
        "15ms",
        "1.5s",
        "",
        "18446744073709551616s",
        "2weeks",
    ]) {
        work.put(
            humantime::parse_duration(text)
                .ok()
                .map(|duration| duration.as_nanos()),
        );
    }
}

fn dates(work: &mut Work) {
    let seconds = work.take_all([
        0_u64,
        68_169_599,
        68_169_600,
        951_782_399,
        951_868_799,
        951_868_800,
        1_709_251_199,
        4_107_542_399,
        4_107_542_400,
        253_402_300_799,
    ]);
    let mut sequence = Sequence::new(work, 81);
    let random: Vec<_> = (0..30).map(|_| sequence.below(253_402_300_800)).collect();
    for seconds in seconds.into_iter().chain(random) {
        let time = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
        let text = humantime::format_rfc3339_nanos(time).to_string();
        work.put(humantime::parse_rfc3339(&text).is_ok_and(|read| read == time));
        work.put(text);
    }
    for text in work.take_all([
        "2023-02-29T00:00:00Z",
        "1900-01-01T00:00:00Z",
        "2024-02-29T23:59:60Z",
        "2024-13-01T00:00:00Z",
        "2000-02-29T12:00:00.5Z",
    ]) {
        work.put(humantime::parse_rfc3339(text).ok().and_then(nanoseconds));
    }
}

fn far_times(work: &mut Work) {
    let edges = work.take_all([
        0x7fff_ffff_u64,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        253_402_300_800,
        i64::MAX.cast_unsigned() - 1,
        i64::MAX.cast_unsigned(),
        i64::MAX.cast_unsigned() + 1,
        u64::MAX,
    ]);
    let start = UNIX_EPOCH + Duration::from_secs(edges[0]);
    for seconds in edges {
        let since = Duration::from_secs(seconds);
        work.put(UNIX_EPOCH.checked_add(since).and_then(nanoseconds));
        work.put(UNIX_EPOCH.checked_sub(since).is_some());
        work.put(start.checked_add(since).and_then(nanoseconds));
        let ordered = UNIX_EPOCH
            .checked_add(since)
            .map(|time| (time > start, time.duration_since(start).is_ok()));
        work.put(ordered);
    }
}

fn nanoseconds(time: SystemTime) -> Option<u128> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_nanos())
}
