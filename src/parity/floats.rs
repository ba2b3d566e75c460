//! Floating point: conversions, rounding, sums, and the values that are no ordinary numbers.

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "float to integer casts",
        why: "Out of range, x86's instruction gives the smallest integer and Arm's the nearest; in C it is undefined.",
        source: "Rust reference, numeric casts <https://doc.rust-lang.org/reference/expressions/operator-expr.html#numeric-cast>",
        run: float_to_integer,
        expected: "335f941b2f94bc391fac3a5c22539ff24be76fd972e57c76aee4595f6969fda4",
    },
    Definition {
        name: "integer to float casts",
        why: "Not every integer fits: which neighbour is taken must not depend on how the conversion is put together.",
        source: "Rust reference, numeric casts <https://doc.rust-lang.org/reference/expressions/operator-expr.html#numeric-cast>",
        run: integer_to_float,
        expected: "cad20832e671cd0d1b07f26af9d0d67c02216114515569dd011123aa0080e0ab",
    },
    Definition {
        name: "f64 narrowed to f32",
        why: "Rounds twice, or not to even, where values pass through wider registers such as those of x87.",
        source: "Monniaux, The pitfalls of verifying floating-point computations, 2008 <https://arxiv.org/abs/cs/0701192>",
        run: narrow,
        expected: "39c21fba1dd9f41b9f258dcad7ba6f924140fbb901a01ac7a90582d070a1a8fe",
    },
    Definition {
        name: "sums in a fixed order",
        why: "Addition depends on the order, and a compensation is zero in algebra: what reorders for wider vectors changes both.",
        source: "Goldberg, What every computer scientist should know about floating-point arithmetic, 1991 <https://doi.org/10.1145/103162.103163>",
        run: sums,
        expected: "a1103b211745725e48b2d534b7f9f16ff402ca446d9c494e657b062e814d8ed1",
    },
    Definition {
        name: "multiply, then add",
        why: "C compilers may fuse the two where the processor can: every Arm of 64 bits, only later x86. Rust never does by itself.",
        source: "GCC, -ffp-contract <https://gcc.gnu.org/onlinedocs/gcc/Optimize-Options.html>",
        run: multiply_then_add,
        expected: "5b1bbc550868ca9634377c4cfa9403b33921c8960aa8c72066a4d07284f827a9",
    },
    Definition {
        name: "fused multiply-add",
        why: "Asked for by name it rounds once, whether by an instruction or, on an x86 without it, by a routine.",
        source: "Rust, mul_add <https://doc.rust-lang.org/std/primitive.f64.html#method.mul_add>",
        run: fused,
        expected: "3f3a056d8a425b8e62ae53625648ba8144c3ec507dfbe1f7b0170a1d358ea770",
    },
    Definition {
        name: "rounding to whole numbers",
        why: "Halves go up, away from zero or to even, by instruction or by library; the four are easily mixed up.",
        source: "Rust, round_ties_even <https://doc.rust-lang.org/std/primitive.f64.html#method.round_ties_even>",
        run: round,
        expected: "f0bd7c190de3bf902036b3f7eae0a98a738a79e74ab02ee47d31ce798bcf097b",
    },
    Definition {
        name: "quotients, roots and remainders",
        why: "IEEE 754 asks for the nearest value, and for exact remainders; estimates, as in vector code, are only near it.",
        source: "IEEE 754-2019, section 5.4.1 <https://doi.org/10.1109/IEEESTD.2019.8766229>",
        run: quotients,
        expected: "d6203e2ae8a1a98862283263b681b94b4b0866dbfa3886908937d28f24111264",
    },
    Definition {
        name: "a chaotic series",
        why: "One last bit in the first step is another number after a hundred, so that nothing small stays unseen.",
        source: "May, Simple mathematical models with very complicated dynamics, 1976 <https://doi.org/10.1038/261459a0>",
        run: chaos,
        expected: "129f57fcfcc32dd2809b1af9b7e68108c5692ac09a65d3d9a4664d87bdc60b37",
    },
    Definition {
        name: "denormal numbers",
        why: "A library that sets flush-to-zero turns them into 0, and 32-bit Arm's vector unit always did.",
        source: "Arm A-profile registers, FPCR.FZ <https://developer.arm.com/documentation/ddi0601/latest/>",
        run: denormals,
        expected: "776cb206d8c987c001a882df368df5d4a2d8be1c06c299cb3fd6835964ebd863",
    },
    Definition {
        name: "minimum and maximum with NaN",
        why: "x86's MINSD gives the second operand, Arm's FMIN the NaN and FMINNM the number; Rust asks for the number.",
        source: "Rust, f64::min <https://doc.rust-lang.org/std/primitive.f64.html#method.min>",
        run: minimum_maximum,
        expected: "eed007753c55137e97b24f1e9e3f14196b5162e4dcfcf59413cead5f6ddc6b5a",
    },
    Definition {
        name: "comparisons with NaN and zeros",
        why: "After a comparison with NaN the flags of the two processors differ, and so do the branches that suit them.",
        source: "Rust, total_cmp <https://doc.rust-lang.org/std/primitive.f64.html#method.total_cmp>",
        run: comparisons,
        expected: "3cc36a6d2764ce5400bdc995f48463eded651382db08e8f02957384e6974a8a1",
    },
];

/// The values at which something happens.
const EDGES: [f64; 32] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    0.999_999_999_999_999_9,
    1.0,
    -1.0,
    1.5,
    2.5,
    -2.5,
    127.5,
    128.0,
    -129.0,
    255.9,
    65_536.0,
    2_147_483_647.5,
    2_147_483_648.0,
    -2_147_483_649.0,
    4_294_967_296.0,
    4_503_599_627_370_497.5,
    9_007_199_254_740_993.0,
    9_223_372_036_854_775_807.0,
    -9_223_372_036_854_777_856.0,
    18_446_744_073_709_551_616.0,
    3.402_823_466_385_288_6e38,
    1e300,
    -1e300,
    f64::MIN_POSITIVE,
    5e-324,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what becomes of values that do not fit is the question"
)]
fn float_to_integer(work: &mut Work) {
    for a in work.take_all(EDGES) {
        work.put(a as i8);
        work.put(a as u8);
        work.put(a as i16);
        work.put(a as u16);
        work.put(a as i32);
        work.put(a as u32);
        work.put(a as i64);
        work.put(a as u64);
        work.put(a as i128);
        work.put((a * 1e19) as u128);
        let a = a as f32;
        work.put(a as i8);
        work.put(a as i32);
        work.put(a as u32);
        work.put(a as i64);
        work.put(a as u64);
        work.put(a as i128);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "what becomes of values that do not fit is the question"
)]
fn integer_to_float(work: &mut Work) {
    let edges = work.take_all([
        0_u64,
        16_777_217,
        33_554_435,
        0x7fff_ffbf,
        0x7fff_ffc0,
        9_007_199_254_740_993,
        9_007_199_254_740_995,
        0x7fff_ffff_ffff_fdff,
        0x7fff_ffff_ffff_fe00,
        0xffff_ffff_ffff_fbff,
        0xffff_ffff_ffff_fc00,
        u64::MAX,
    ]);
    let mut sequence = Sequence::new(work, 3);
    let random = std::iter::repeat_with(|| sequence.next()).take(100);
    for a in edges.into_iter().chain(random) {
        work.put(a as f64);
        work.put(a as f32);
        work.put(a as i64 as f64);
        work.put(a as i64 as f32);
        work.put((a >> 32) as f32);
    }
    let wide = work.take_all([
        0_u128,
        1 << 127,
        (1 << 100) + (1 << 47),
        u128::MAX,
        u128::MAX >> 1,
        (1 << 77) + 1,
    ]);
    for a in wide {
        work.put(a as f64);
        work.put(a as f32);
        work.put(a as i128 as f64);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "that is what is looked at")]
fn narrow(work: &mut Work) {
    for a in work.take_all(EDGES) {
        work.put(a as f32);
    }
    // Half way between two values of f32, and a last bit to either side.
    let halves = work.take_all([
        1.000_000_059_604_644_8_f64,
        1.000_000_178_813_934_3,
        1e-45,
        7.006_492_321_624_085e-46,
        3.402_823_567_797_336_6e38,
    ]);
    for half in halves {
        work.put(half as f32);
        work.put(half.next_up() as f32);
        work.put(half.next_down() as f32);
    }
    let mut sequence = Sequence::new(work, 4);
    for _ in 0..100 {
        work.put(f64::from_bits(sequence.next()) as f32);
    }
}

/// Numbers of very different sizes and both signs.
fn mixed(work: &mut Work, seed: u64, count: usize) -> Vec<f64> {
    let mut sequence = Sequence::new(work, seed);
    let mut one = || {
        let size = i32::try_from(sequence.below(60)).expect("below 60") - 30;
        let power = f64::from_bits(u64::try_from(1023 + size).expect("positive") << 52);
        (sequence.unit() - 0.5) * power
    };
    (0..count).map(|_| one()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the same sums in less precision")]
fn sums(work: &mut Work) {
    let numbers = mixed(work, 5, 1_000);
    let short: Vec<_> = numbers.iter().map(|a| *a as f32).collect();
    work.put(numbers.iter().fold(0.0, |sum, a| sum + a));
    work.put(numbers.iter().rev().fold(0.0, |sum, a| sum + a));
    work.put(numbers.iter().sum::<f64>());
    work.put(numbers.iter().take(30).product::<f64>());
    work.put(short.iter().fold(0.0, |sum, a| sum + a));
    work.put(short.iter().rev().fold(0.0, |sum, a| sum + a));
    // What is lost by each addition is kept (Kahan, Neumaier).
    let (mut sum, mut lost) = (0.0, 0.0);
    for a in &numbers {
        let a = a - lost;
        let next = sum + a;
        lost = (next - sum) - a;
        sum = next;
    }
    work.put(sum);
    work.put(lost);
    let (mut sum, mut lost): (f64, f64) = (0.0, 0.0);
    for &a in &numbers {
        let next = sum + a;
        lost += if sum.abs() >= a.abs() {
            (sum - next) + a
        } else {
            (a - next) + sum
        };
        sum = next;
    }
    work.put(sum + lost);
    // Four sums side by side, the way that a vector unit does it: another order, and a fixed one as well.
    let mut lanes = [0.0; 4];
    for four in numbers.chunks_exact(4) {
        for (lane, a) in lanes.iter_mut().zip(four) {
            *lane += a;
        }
    }
    work.put((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
}

#[expect(clippy::cast_possible_truncation, reason = "the same in less precision")]
fn multiply_then_add(work: &mut Work) {
    // (1 + 2^-30)^2 - (1 + 2^-29) is 2^-60 when fused, and 0 in two steps.
    let [a, c] = work.take_all([1.000_000_000_931_322_6_f64, -1.000_000_001_862_645_1]);
    work.put(a * a + c);
    let (a, b, c) = (mixed(work, 7, 200), mixed(work, 8, 200), mixed(work, 9, 200));
    let mut dot = 0.0;
    let mut short = 0.0_f32;
    for ((a, b), c) in a.iter().zip(&b).zip(&c) {
        work.put(a * b + c);
        work.put(a * b - c);
        dot += a * b;
        short += *a as f32 * *b as f32;
    }
    work.put(dot);
    work.put(short);
}

#[expect(clippy::cast_possible_truncation, reason = "the same in less precision")]
fn fused(work: &mut Work) {
    let [a, c] = work.take_all([1.000_000_000_931_322_6_f64, -1.000_000_001_862_645_1]);
    work.put(a.mul_add(a, c));
    let (a, b, c) = (mixed(work, 10, 100), mixed(work, 11, 100), mixed(work, 12, 100));
    for ((a, b), c) in a.iter().zip(&b).zip(&c) {
        work.put(a.mul_add(*b, *c));
        work.put((*a as f32).mul_add(*b as f32, *c as f32));
    }
    for a in work.take_all(EDGES) {
        work.put(a.mul_add(a, -1.0));
        work.put((a as f32).mul_add(3.0, f32::MIN_POSITIVE));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the same in less precision")]
fn round(work: &mut Work) {
    for a in work.take_all(EDGES) {
        for a in [a, a.next_up(), a.next_down()] {
            work.put_all([
                a.round(),
                a.round_ties_even(),
                a.floor(),
                a.ceil(),
                a.trunc(),
                a.fract(),
            ]);
            let a = a as f32;
            work.put_all([a.round(), a.round_ties_even(), a.floor(), a.ceil(), a.trunc()]);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the same in less precision")]
fn quotients(work: &mut Work) {
    for a in work.take_all(EDGES) {
        work.put_all([a.sqrt(), 1.0 / a, a / 3.0, a.recip()]);
        work.put_all([(a as f32).sqrt(), 1.0 / a as f32]);
    }
    let (a, b) = (mixed(work, 13, 200), mixed(work, 14, 200));
    for (a, b) in a.iter().zip(&b) {
        work.put_all([a / b, a.abs().sqrt()]);
        work.put_all([*a as f32 / *b as f32, (a.abs() as f32).sqrt()]);
    }
    let edges = work.take_all(EDGES);
    let divisors = work.take_all([1.0, -3.0, 0.1, 1e-300, 1e300, 5e-324, 0.0, f64::INFINITY]);
    for a in edges.into_iter().filter(|a| a.abs() < 1e40 || !a.is_finite()) {
        for b in divisors {
            work.put(a % b);
            work.put(a as f32 % b as f32);
        }
        work.put(a.rem_euclid(0.7));
        work.put(a.div_euclid(0.7));
    }
}

fn chaos(work: &mut Work) {
    let mut x = work.take(0.123_456_789_f64);
    let mut y = work.take(0.123_456_79_f32);
    for step in 0..1_000 {
        x = 3.99 * x * (1.0 - x);
        y = 3.99 * y * (1.0 - y);
        if step % 50 == 49 {
            work.put(x);
            work.put(y);
        }
    }
}

fn denormals(work: &mut Work) {
    let values = work.take_all([
        f64::MIN_POSITIVE,
        5e-324,
        1e-310,
        -2.225_073_858_507_201e-308,
        1e-160,
    ]);
    for a in values {
        for b in values {
            work.put_all([a + b, a - b, a * b, a / b]);
        }
        work.put_all([a * 0.5, a * 0.25, a * 1e-10, a * 1e300, a.sqrt()]);
        work.put(a.is_subnormal());
        work.put(a == 0.0);
    }
    let values = work.take_all([f32::MIN_POSITIVE, 1e-45, 1e-40, -1.175_494_2e-38, 1e-23]);
    for a in values {
        for b in values {
            work.put_all([a + b, a - b, a * b, a / b]);
        }
        work.put(f64::from(a));
        work.put(a.is_subnormal());
    }
    // Halved until nothing is left.
    let mut a = work.take(1e-300);
    let mut steps = 0_u32;
    while a > 0.0 {
        a *= 0.5;
        steps += 1;
    }
    work.put(steps);
}

/// Not of +0 and -0, where either may be given: that is one of the known differences.
fn minimum_maximum(work: &mut Work) {
    let values = work.take_all([
        f64::NAN,
        1.0,
        -1.0,
        5e-324,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e300,
    ]);
    for a in values {
        for b in values {
            work.put_all([a.min(b), a.max(b)]);
        }
        work.put(a.clamp(-2.0, 2.0));
    }
    work.put(values.into_iter().fold(f64::NAN, f64::min));
    work.put(values.into_iter().fold(f64::NAN, f64::max));
    let values = work.take_all([f32::NAN, 1.0, -1.0, 1e-45, f32::INFINITY, f32::NEG_INFINITY, 1e38]);
    for a in values {
        for b in values {
            work.put_all([a.min(b), a.max(b)]);
        }
    }
}

#[expect(
    clippy::float_cmp,
    reason = "what equality says of these values is the question"
)]
fn comparisons(work: &mut Work) {
    let values = work.take_all([
        f64::NAN,
        -f64::NAN,
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
    ]);
    for a in values {
        for b in values {
            for told in [a < b, a <= b, a == b, a != b, a >= b, a > b] {
                work.put(told);
            }
            work.put(a.partial_cmp(&b).map(|order| order as i8));
        }
        work.put(a.is_nan());
        work.put(a == 0.0 && a.is_sign_negative());
        work.put(a.abs());
        work.put(1.0_f64.copysign(if a.is_nan() { 1.0 } else { a }));
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exact values are what is promised"
)]
mod tests {
    use std::hint::black_box;

    /// What the vectors are made of, at the points where processors disagree.
    #[test]
    fn special_values_are_what_rust_says() {
        assert_eq!(black_box(1e300) as i32, i32::MAX);
        assert_eq!(black_box(f64::NAN) as u8, 0);
        assert_eq!(black_box(f64::NAN).min(1.0), 1.0);
        assert_eq!(black_box(2.5_f64).round_ties_even(), 2.0);
        assert_eq!(black_box(2.5_f64).round(), 3.0);
        let a = black_box(1.0 + 2.0_f64.powi(-30));
        let c = -(1.0 + 2.0_f64.powi(-29));
        assert_eq!(a * a + c, 0.0, "in two steps");
        assert_eq!(a.mul_add(a, c), 2.0_f64.powi(-60), "in one");
        assert!(black_box(f64::MIN_POSITIVE) / 2.0 > 0.0, "denormals are kept");
    }
}
