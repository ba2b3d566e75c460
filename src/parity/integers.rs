//! Integers: what happens at their limits, and numbers of 128 bits.

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "integers that wrap around",
        why: "Overflow of signed integers is undefined in C, and what a compiler makes of it differs; in Rust it is defined.",
        source: "Rust reference, overflow <https://doc.rust-lang.org/reference/expressions/operator-expr.html#overflow>",
        run: wrap,
        expected: "9d3f6632690b66eaae5d831f5af8dd9cb4c87a24f8dc9e778cf5c7c808c87a1a",
    },
    Definition {
        name: "integers that saturate",
        why: "Arm has instructions that saturate and x86 has few: the one stops at the limit by itself, the other compares.",
        source: "Arm A64 instruction set, SQADD <https://developer.arm.com/documentation/ddi0602/latest/>",
        run: saturate,
        expected: "7eae36276a430e3d5d0e43899b9b5dfb0d7388a4ad047bc1aad61b9dd3b415e3",
    },
    Definition {
        name: "division at the limits",
        why: "A division by zero traps on x86 and gives 0 on Arm; code that relied on the trap goes on with a wrong number.",
        source: "Arm A64 instruction set, SDIV <https://developer.arm.com/documentation/ddi0602/latest/>",
        run: divide,
        expected: "6c30f34594962136c8598ae01878edb11c2b5064a3d0d6c0bb5c8aaa4e096290",
    },
    Definition {
        name: "shifts by too much, and bits counted",
        why: "A shift by the width is undefined in C and differs in vector units; of zero, x86's BSR finds nothing and Arm's CLZ counts all.",
        source: "Arm A64 instruction set, CLZ <https://developer.arm.com/documentation/ddi0602/latest/>",
        run: shifts_and_bits,
        expected: "a2678f61036b973832ad767edc7679f83b63497af0e08c28f4e5fa448ea41b81",
    },
    Definition {
        name: "128-bit arithmetic",
        why: "No processor has it: the compiler builds it of parts, and divides by one instruction on x86 and by a routine on Arm.",
        source: "compiler-builtins <https://github.com/rust-lang/compiler-builtins>",
        run: wide,
        expected: "e23f717b3dd5fbbd0db5af848f41235961498780718cf616b6990ca76aef78b5",
    },
];

/// Narrow and wide, with a sign and without: each more costs some kilobytes.
macro_rules! for_some_types {
    ($work:ident, $each:ident) => {
        $each!($work, i8);
        $each!($work, u16);
        $each!($work, i32);
        $each!($work, u32);
        $each!($work, i64);
    };
}

/// The values at which something happens, with what stands beside them.
macro_rules! edges {
    ($work:ident, $type:ty) => {
        $work.take_all([
            <$type>::MIN,
            <$type>::MIN + 1,
            <$type>::MAX / 2,
            <$type>::MAX - 1,
            <$type>::MAX,
            0,
            1,
            7,
            100,
        ])
    };
}

fn wrap(work: &mut Work) {
    macro_rules! each {
        ($work:ident, $type:ty) => {
            let edges = edges!($work, $type);
            for a in edges {
                $work.put(a.wrapping_neg());
                $work.put(a.wrapping_pow(3));
                for b in edges {
                    $work.put(a.wrapping_add(b));
                    $work.put(a.wrapping_sub(b));
                    $work.put(a.wrapping_mul(b));
                    $work.put(a.overflowing_add(b));
                    $work.put(a.overflowing_mul(b));
                    $work.put(a.checked_sub(b));
                }
            }
        };
    }
    for_some_types!(work, each);
}

fn saturate(work: &mut Work) {
    macro_rules! each {
        ($work:ident, $type:ty) => {
            let edges = edges!($work, $type);
            for a in edges {
                $work.put(a.saturating_pow(3));
                for b in edges {
                    $work.put(a.saturating_add(b));
                    $work.put(a.saturating_sub(b));
                    $work.put(a.saturating_mul(b));
                    $work.put(a.abs_diff(b));
                }
            }
        };
    }
    for_some_types!(work, each);
}

fn divide(work: &mut Work) {
    macro_rules! each {
        ($work:ident, $type:ty) => {
            let edges = edges!($work, $type);
            // -1 in the signed types.
            let all = edges.into_iter().chain([!0]);
            for a in all.clone() {
                for b in all.clone() {
                    $work.put(a.checked_div(b));
                    $work.put(a.checked_rem(b));
                    $work.put(a.checked_div_euclid(b));
                    $work.put(a.checked_rem_euclid(b));
                    if b != 0 {
                        $work.put(a.wrapping_div(b));
                        $work.put(a.wrapping_rem(b));
                    }
                }
            }
        };
    }
    for_some_types!(work, each);
}

fn shift(work: &mut Work) {
    macro_rules! each {
        ($work:ident, $type:ty) => {
            let edges = edges!($work, $type);
            let counts = $work.take_all([
                0_u32,
                1,
                7,
                8,
                15,
                16,
                31,
                32,
                33,
                63,
                64,
                65,
                127,
                255,
                u32::MAX,
            ]);
            for a in edges {
                for count in counts {
                    $work.put(a.wrapping_shl(count));
                    $work.put(a.wrapping_shr(count));
                    $work.put(a.checked_shl(count));
                    $work.put(a.checked_shr(count));
                    $work.put(a.rotate_left(count));
                    $work.put(a.rotate_right(count));
                }
            }
        };
    }
    for_some_types!(work, each);
}

fn bits(work: &mut Work) {
    macro_rules! each {
        ($work:ident, $type:ty) => {
            for a in edges!($work, $type) {
                $work.put(a.leading_zeros());
                $work.put(a.trailing_zeros());
                $work.put(a.leading_ones());
                $work.put(a.count_ones());
                $work.put(a.swap_bytes());
                $work.put(a.reverse_bits());
                $work.put(a.checked_ilog2());
                $work.put(a.checked_ilog10());
            }
        };
    }
    for_some_types!(work, each);
}

/// Numbers of all lengths, most of them long.
fn long_numbers(work: &mut Work, seed: u64) -> Vec<u128> {
    let mut sequence = Sequence::new(work, seed);
    let random = (0..24).map(|i| {
        let number = (u128::from(sequence.next()) << 64) | u128::from(sequence.next());
        number >> (i * 5)
    });
    let edges = [
        0,
        1,
        10,
        u128::from(u64::MAX),
        1 << 64,
        1 << 127,
        u128::MAX - 1,
        u128::MAX,
    ];
    random.chain(edges).collect()
}

fn shifts_and_bits(work: &mut Work) {
    shift(work);
    bits(work);
}

fn wide(work: &mut Work) {
    multiply_128(work);
    divide_128(work);
}

fn multiply_128(work: &mut Work) {
    let numbers = long_numbers(work, 1);
    for &a in &numbers {
        work.put(a.cast_signed().wrapping_mul(-3));
        for &b in &numbers {
            work.put(a.wrapping_mul(b));
            work.put(a.overflowing_add(b));
            work.put(a.checked_mul(b));
            work.put(a.cast_signed().saturating_mul(b.cast_signed()));
        }
    }
}

fn divide_128(work: &mut Work) {
    let numbers = long_numbers(work, 2);
    for &a in &numbers {
        for &b in &numbers {
            work.put(a.checked_div(b));
            work.put(a.checked_rem(b));
            work.put(a.cast_signed().checked_div(b.cast_signed()));
            work.put(a.cast_signed().checked_rem_euclid(b.cast_signed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    /// What the vectors are made of, at the points where processors disagree.
    #[test]
    fn limits_are_where_rust_says() {
        assert_eq!(black_box(i32::MAX).wrapping_add(1), i32::MIN);
        assert_eq!(black_box(i8::MIN).saturating_sub(1), i8::MIN);
        assert_eq!(black_box(i64::MIN).checked_div(-1), None);
        assert_eq!(black_box(i64::MIN).wrapping_div(-1), i64::MIN);
        assert_eq!(black_box(1_u32).wrapping_shl(33), 2);
        assert_eq!(black_box(0_u64).leading_zeros(), 64);
        assert_eq!(
            black_box(u128::MAX) / 10,
            34_028_236_692_093_846_346_337_460_743_176_821_145
        );
    }
}
