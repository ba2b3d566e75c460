//! Numbers as text: printed so that they read back as the same, and read from text that lies near two of them.

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "f32 and f64 printed",
        why: "The shortest text that reads back as the same number: logs, JSON and cache keys stand on it.",
        source: "Adams, Ryū: fast float-to-string conversion, 2018 <https://doi.org/10.1145/3192366.3192369>",
        run: print,
        expected: "3864d1d54529831e8ac45dd7265ac5ca2f8962251f17d1f7423ea2d6a0442bee",
    },
    Definition {
        name: "floats printed to so many digits",
        why: "printf is the C library's, which rounds halves by the mode that the processor is in.",
        source: "Rust, precision <https://doc.rust-lang.org/std/fmt/index.html#precision>",
        run: print_digits,
        expected: "64a35d899a10686b4ac2671cfe987fca7eb9ad0f1b87ac1d678dde17a8d52f8b",
    },
    Definition {
        name: "f32 and f64 parsed",
        why: "Text half way between two numbers: readers with wider registers have taken the wrong one, and some never ended.",
        source: "Lemire, Number parsing at a gigabyte per second, 2021 <https://doi.org/10.1002/spe.2984>",
        run: parse,
        expected: "c83233b01658a52ac55e03285ecbb58f10e97f3e07489954936c9f90bf183f64",
    },
    Definition {
        name: "integers printed and parsed",
        why: "The limits of each type, and of 128 bits, which are divided by ten in parts.",
        source: "Rust, from_str_radix <https://doc.rust-lang.org/std/primitive.u128.html#method.from_str_radix>",
        run: integers,
        expected: "87bab42374543b9cb8410dc6247a9fdfa23db3a4a59f7e80ed0cf51c12e6579f",
    },
];

const EDGES: [f64; 16] = [
    0.0,
    -0.0,
    0.1,
    0.3,
    1.0 / 3.0,
    1e21,
    1e23,
    123_456_789_012_345_680.0,
    9_007_199_254_740_993.0,
    5e-324,
    2.225_073_858_507_201e-308,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

fn print(work: &mut Work) {
    print_f64(work);
    print_f32(work);
}

fn print_f64(work: &mut Work) {
    let edges = work.take_all(EDGES);
    let mut sequence = Sequence::new(work, 20);
    let random = std::iter::repeat_with(|| f64::from_bits(sequence.next())).take(60);
    for a in edges.into_iter().chain(random) {
        // Of a NaN nothing is printed but that it is one.
        work.put(format!("{a} {a:?} {a:e}"));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the shorter type")]
fn print_f32(work: &mut Work) {
    let edges = work.take_all(EDGES).map(|a| a as f32);
    let mut sequence = Sequence::new(work, 21);
    let random = std::iter::repeat_with(|| f32::from_bits(sequence.next() as u32)).take(60);
    for a in edges.into_iter().chain(random) {
        work.put(format!("{a} {a:?} {a:E}"));
    }
}

fn print_digits(work: &mut Work) {
    let halves = work.take_all([0.5, 1.5, 2.5, 0.125, 0.375, 1.005, -0.5, 1e15 + 0.5, 999.995]);
    for a in work.take_all(EDGES).into_iter().chain(halves) {
        work.put(format!("{a:.0} {a:.2} {a:+09.3} {a:.17e} {a:>12.1}"));
    }
}

const HARD: [&str; 24] = [
    "0.1",
    "1e23",
    "9007199254740993",
    "9007199254740992.999999999999999999999999999999999999",
    "9007199254740993.00000000000000000000000000000000001",
    "2.2250738585072011e-308",
    "2.2250738585072012e-308",
    "2.4703282292062327e-324",
    "2.4703282292062328e-324",
    "4.9e-324",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
    "1.00000017881393432617187499",
    "1.00000017881393432617187500",
    "1.00000017881393432617187501",
    "3.4028235677973366e38",
    "-1e-400",
    "1e400",
    "inf",
    "NaN",
    "1e",
    "",
    "1.0.0",
];

fn parse(work: &mut Work) {
    parse_f64(work);
    parse_f32(work);
}

fn parse_f64(work: &mut Work) {
    for text in work.take_all(HARD) {
        work.put(text.parse::<f64>().ok());
    }
    let mut sequence = Sequence::new(work, 22);
    for _ in 0..60 {
        let exponent = i64::try_from(sequence.below(640)).expect("below 640") - 320;
        let text = format!("{}.{}e{exponent}", sequence.below(10), sequence.next());
        work.put(text.parse::<f64>().ok());
    }
}

fn parse_f32(work: &mut Work) {
    for text in work.take_all(HARD) {
        work.put(text.parse::<f32>().ok());
    }
    let mut sequence = Sequence::new(work, 23);
    for _ in 0..60 {
        let exponent = i64::try_from(sequence.below(90)).expect("below 90") - 45;
        let text = format!("{}.{}e{exponent}", sequence.below(10), sequence.next());
        work.put(text.parse::<f32>().ok());
    }
}

fn integers(work: &mut Work) {
    let mut sequence = Sequence::new(work, 24);
    for shift in 0..16 {
        let number = ((u128::from(sequence.next()) << 64) | u128::from(sequence.next())) >> (shift * 8);
        let text = format!("{number} {number:x} {number:o} {:+}", number.cast_signed());
        work.put(
            text.split(' ')
                .next()
                .and_then(|decimal| decimal.parse::<u128>().ok()),
        );
        work.put(text);
    }
    for text in work.take_all([
        "0",
        "-0",
        "+7",
        "-128",
        "-129",
        "255",
        "256",
        "18446744073709551616",
        "",
        "-",
        " 1",
        "1_0",
    ]) {
        work.put(text.parse::<i8>().ok());
        work.put(text.parse::<u8>().ok());
        work.put(text.parse::<u64>().ok());
        work.put(text.parse::<i128>().ok());
        work.put(i32::from_str_radix(text, 36).ok());
    }
}

#[cfg(test)]
mod tests {
    /// Half way between two numbers the one with the even last bit is taken.
    #[test]
    fn text_half_way_is_read_to_even() {
        assert_eq!("9007199254740993".parse(), Ok(9_007_199_254_740_992.0));
        assert_eq!(
            "9007199254740993.00000000000000000000000000000000001".parse(),
            Ok(9_007_199_254_740_994.0)
        );
        assert_eq!("2.4703282292062327e-324".parse(), Ok(0.0));
        assert_eq!("2.4703282292062328e-324".parse(), Ok(5e-324));
    }
}
