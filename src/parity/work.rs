//! What a vector works with: inputs that the compiler cannot calculate with, and a place for its results.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{cpu_time, plain};

/// Takes the inputs of one vector and digests its results.
///
/// Results are digested as bytes that depend on nothing but their value: integers with the least byte first, text and
/// bytes with their length before them.
#[derive(Debug, Default)]
pub(super) struct Work {
    digest: plain::Sha256,
    inputs: usize,
    /// The input that a test changes.
    disturbed: Option<usize>,
    /// CPU time of other threads than the vector's own.
    helpers: Duration,
}

impl Work {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Work in which the input of this number is another than the vector says.
    #[cfg(test)]
    pub(super) fn disturbed(input: usize) -> Self {
        Self {
            disturbed: Some(input),
            ..Self::default()
        }
    }

    /// How many inputs were taken.
    #[cfg(test)]
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// An input as a value of run time. Never inlined, like everything that is called from hundreds of lines here: it would
    /// cost a hundred kilobytes.
    #[inline(never)]
    pub(super) fn take<T: Input>(&mut self, value: T) -> T {
        let this = self.inputs;
        self.inputs += 1;
        let value = black_box(value);
        if self.disturbed == Some(this) {
            value.disturb()
        } else {
            value
        }
    }

    /// Several inputs.
    pub(super) fn take_all<T: Input + Copy, const N: usize>(&mut self, mut values: [T; N]) -> [T; N] {
        self.take_each(&mut values);
        values
    }

    #[inline(never)]
    fn take_each<T: Input + Copy>(&mut self, values: &mut [T]) {
        for value in values {
            *value = self.take(*value);
        }
    }

    /// A result.
    #[inline(never)]
    pub(super) fn put(&mut self, value: impl Canonical) {
        value.write(&mut self.digest);
    }

    /// Several results.
    pub(super) fn put_all(&mut self, values: impl IntoIterator<Item = impl Canonical>) {
        for value in values {
            self.put(value);
        }
    }

    /// Has `count` threads do `job`, which gets the number of its thread, and waits for what they give.
    ///
    /// # Panics
    /// When the system gives no thread, or one panics.
    pub(super) fn crew(&mut self, count: usize, job: &(dyn Fn(usize) -> u64 + Sync)) -> Vec<u64> {
        let nanoseconds = AtomicU64::new(0);
        let total = &nanoseconds;
        let given = thread::scope(|scope| {
            let start = |number| {
                let timed = move || {
                    let given = job(number);
                    let used = cpu_time::of_this_thread().as_nanos();
                    total.fetch_add(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
                    given
                };
                // They are many and call little.
                let thread = thread::Builder::new().stack_size(64 << 10);
                thread
                    .spawn_scoped(scope, timed)
                    .expect("the system gives a thread")
            };
            let crew: Vec<_> = (0..count).map(start).collect();
            let join = |member: thread::ScopedJoinHandle<'_, u64>| {
                member.join().expect("no thread of a vector panics")
            };
            crew.into_iter().map(join).collect()
        });
        self.helpers += Duration::from_nanos(nanoseconds.into_inner());
        given
    }

    /// The digest of all results in hexadecimal digits, and the CPU time of the threads that helped.
    pub(super) fn finish(self) -> (String, Duration) {
        (hexadecimal(&self.digest.finish()), self.helpers)
    }
}

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Numbers that look random and are always the same (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014; the variant called `SplitMix64`).
#[derive(Debug)]
pub(super) struct Sequence(u64);

impl Sequence {
    /// The sequence of a seed, which is an input.
    pub(super) fn new(work: &mut Work, seed: u64) -> Self {
        Self(work.take(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is far below 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From 0 to below 1, in steps of 2^-53, each of which an `f64` can hold.
    pub(super) fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let numerator = (self.next() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// Bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = count.div_ceil(8);
        let mut bytes: Vec<_> = (0..words).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// What can be an input: a test must be able to change it, so as to see that the result depends on it.
pub(super) trait Input {
    /// Another value.
    fn disturb(self) -> Self;
}

/// What can be a result.
pub(super) trait Canonical {
    /// Writes the value and nothing else.
    fn write(&self, digest: &mut plain::Sha256);
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Input for $type {
            fn disturb(self) -> Self {
                self ^ 1
            }
        }
        impl Canonical for $type {
            fn write(&self, digest: &mut plain::Sha256) {
                digest.update(&self.to_le_bytes());
            }
        }
    )*};
}
integers!(i8 u8 i16 u16 i32 u32 i64 u64 i128 u128);

impl Canonical for usize {
    fn write(&self, digest: &mut plain::Sha256) {
        (*self as u64).write(digest);
    }
}

macro_rules! floats {
    ($($type:ty)*) => {$(
        impl Input for $type {
            /// Not its neighbour, which a conversion to a shorter type would not tell from it.
            fn disturb(self) -> Self {
                if self.is_finite() { -1.0 - self } else { 1.0 }
            }
        }
        /// Every NaN is the same: which bits it has is one of the known differences.
        impl Canonical for $type {
            fn write(&self, digest: &mut plain::Sha256) {
                if self.is_nan() {
                    digest.update(b"NaN");
                } else {
                    self.to_bits().write(digest);
                }
            }
        }
    )*};
}
floats!(f32 f64);

impl Input for bool {
    fn disturb(self) -> Self {
        !self
    }
}

impl Canonical for bool {
    fn write(&self, digest: &mut plain::Sha256) {
        u8::from(*self).write(digest);
    }
}

impl Canonical for char {
    fn write(&self, digest: &mut plain::Sha256) {
        u32::from(*self).write(digest);
    }
}

impl Input for &'static str {
    fn disturb(self) -> Self {
        "another text, 1"
    }
}

impl Canonical for &str {
    fn write(&self, digest: &mut plain::Sha256) {
        self.as_bytes().write(digest);
    }
}

impl Canonical for String {
    fn write(&self, digest: &mut plain::Sha256) {
        self.as_bytes().write(digest);
    }
}

impl Canonical for [u8] {
    fn write(&self, digest: &mut plain::Sha256) {
        self.len().write(digest);
        digest.update(self);
    }
}

impl Canonical for Vec<u8> {
    fn write(&self, digest: &mut plain::Sha256) {
        self.as_slice().write(digest);
    }
}

impl<T: Canonical + ?Sized> Canonical for &T {
    fn write(&self, digest: &mut plain::Sha256) {
        T::write(self, digest);
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, digest: &mut plain::Sha256) {
        self.is_some().write(digest);
        if let Some(value) = self {
            value.write(digest);
        }
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn write(&self, digest: &mut plain::Sha256) {
        self.0.write(digest);
        self.1.write(digest);
    }
}
