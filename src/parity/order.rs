//! Order: sorting, searching, and the heap.

use std::collections::BinaryHeap;

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "numbers sorted and searched",
        why: "Sorts and searches choose their path by size and by what the processor is good at, branches or conditional moves.",
        source: "Rust, sort_unstable <https://doc.rust-lang.org/std/primitive.slice.html#method.sort_unstable>",
        run: numbers_and_structures,
        expected: "1588df15d018d9f6454d9b47ee1fbaa4605284859770e5fe1b49baa841a8446d",
    },
    Definition {
        name: "equals keep their order",
        why: "A stable sort that is not stable on one architecture pages through a list differently there.",
        source: "Rust, sort_by_key <https://doc.rust-lang.org/std/primitive.slice.html#method.sort_by_key>",
        run: stable,
        expected: "2a7e60d87c46711c0c3dc92179172067f7ccd8456707ca1be36c1bc3e521d0a2",
    },
    Definition {
        name: "text sorted by its bytes",
        why: "Where char has a sign, as in C on x86, everything beyond ASCII sorts before it; on Arm after it.",
        source: "AWS Graviton guide, signed and unsigned char <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#signed-vs-unsigned-char>",
        run: text,
        expected: "35a37e4334c5ecdaa8e561bee687eb2f99bd1c91b0e186562b4722138d12165d",
    },
    Definition {
        name: "floats sorted",
        why: "With NaN and two zeros among them, only a total order gives the same list every time.",
        source: "Rust, total_cmp <https://doc.rust-lang.org/std/primitive.f64.html#method.total_cmp>",
        run: floats,
        expected: "d26147e770a2a0cd8223a8a8ea2fd3d121f429f90f93a782eb8461f5e2688dfb",
    },
];

fn random(work: &mut Work, seed: u64, count: usize) -> Vec<u64> {
    let mut sequence = Sequence::new(work, seed);
    (0..count).map(|_| sequence.next()).collect()
}

fn numbers_and_structures(work: &mut Work) {
    numbers(work);
    structures(work);
}

fn numbers(work: &mut Work) {
    let numbers = random(work, 50, 600);
    // As long as an insertion sort likes, a merge, and the general case.
    for length in [0, 1, 2, 19, 20, 21, 33, 600] {
        let mut some = numbers[..length].to_vec();
        some.sort_unstable();
        work.put_all(&some);
    }
    let mut few: Vec<_> = numbers.iter().map(|n| n % 7).collect();
    few.sort_unstable();
    work.put_all(few);
}

fn stable(work: &mut Work) {
    let numbers = random(work, 51, 400);
    let mut records: Vec<_> = numbers.iter().enumerate().map(|(i, n)| (n % 13, i)).collect();
    for by in [13, 3, 5] {
        records.sort_by_key(|(key, _)| key % by);
        work.put_all(&records);
    }
}

fn text(work: &mut Work) {
    let mut words = work.take_all([
        "zebra",
        "Zebra",
        "äther",
        "a\u{308}ther",
        "ather",
        "éclair",
        "eclair",
        "\u{7f}",
        "\u{80}",
        "日本",
        "",
        "a",
        "aa",
        "a\u{0}",
        "ß",
        "ss",
        "\u{ffff}",
        "\u{10000}",
        "~",
    ]);
    words.sort_unstable();
    work.put_all(words);
    let least = words.iter().copied().min_by_key(|word| word.chars().count());
    work.put(least);
}

fn floats(work: &mut Work) {
    let numbers = random(work, 52, 300);
    let mut floats: Vec<_> = numbers.iter().map(|n| f64::from_bits(*n)).collect();
    // NaNs that are written down, not calculated, and so have the same bits everywhere.
    floats.extend(work.take_all([0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY]));
    floats.extend([
        f64::from_bits(0x7ff8_0000_0000_0000),
        f64::from_bits(0xfff8_0000_0000_0000),
    ]);
    floats.sort_unstable_by(f64::total_cmp);
    work.put_all(&floats);
    let greatest = floats
        .iter()
        .filter(|a| !a.is_nan())
        .max_by(|a, b| a.total_cmp(b));
    work.put(greatest);
}

fn structures(work: &mut Work) {
    let numbers = random(work, 53, 200);
    let mut heap: BinaryHeap<_> = numbers.iter().map(|n| n % 100).collect();
    while let Some(greatest) = heap.pop() {
        work.put(greatest);
    }
    let mut keys = numbers;
    for key in &mut keys {
        *key %= 50;
    }
    keys.sort_unstable();
    for wanted in 0..60 {
        work.put(keys.partition_point(|key| *key < wanted));
        work.put(keys.binary_search(&wanted).is_ok());
    }
}
