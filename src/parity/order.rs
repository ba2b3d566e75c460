//! Order: sorting, searching, and the heap.

use std::collections::{BTreeMap, BinaryHeap};

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "numbers sorted and searched",
        why: "Sorts and searches choose their path by size and by what the processor is good at, branches or conditional moves.",
        source: "Rust, sort_unstable <https://doc.rust-lang.org/std/primitive.slice.html#method.sort_unstable>",
        run: numbers_and_structures,
        expected: "3cccae9ffc560f90e8bb5cff9888571b8195e39cccfe87bb10ce1e0289a4aac9",
    },
    Definition {
        name: "equals keep their order",
        why: "A stable sort that is not stable on one architecture pages through a list differently there.",
        source: "Rust, sort_by_key <https://doc.rust-lang.org/std/primitive.slice.html#method.sort_by_key>",
        run: stable,
        expected: "30df9d8938920f415d612c2e0b2091bdb93f0d038c47e5aad9dd393b5c170ac9",
    },
    Definition {
        name: "text sorted by its bytes",
        why: "Where char has a sign, as in C on x86, everything beyond ASCII sorts before it; on Arm after it.",
        source: "AWS Graviton guide, signed and unsigned char <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#signed-vs-unsigned-char>",
        run: text,
        expected: "c21efa85319e35bc9950f50834b70e4e512a37b3db8c81f69a7904852e54dcbb",
    },
    Definition {
        name: "floats sorted",
        why: "With NaN and two zeros among them, only a total order gives the same list every time.",
        source: "Rust, total_cmp <https://doc.rust-lang.org/std/primitive.f64.html#method.total_cmp>",
        run: floats,
        expected: "d94645680942017a1bcbda777047857e8fdba9c1d920082ae0aa3d7aed9a2e19",
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
    // As long as an insertion sort likes, a merge, and the general case; in order, in reverse, and with many equals.
    for length in [0, 1, 2, 19, 20, 21, 33, 600] {
        let mut some = numbers[..length].to_vec();
        some.sort_unstable();
        work.put_all(&some);
        let mut signed: Vec<_> = numbers[..length].iter().map(|n| n.cast_signed()).collect();
        signed.sort_unstable_by(|a, b| b.cmp(a));
        work.put_all(signed);
    }
    let mut few: Vec<_> = numbers.iter().map(|n| n % 7).collect();
    few.sort_unstable();
    work.put_all(few);
}

fn stable(work: &mut Work) {
    let numbers = random(work, 51, 400);
    let mut records: Vec<_> = numbers.iter().enumerate().map(|(i, n)| (n % 13, i)).collect();
    records.sort_by_key(|(key, _)| *key);
    work.put_all(&records);
    records.sort_by_key(|(key, _)| std::cmp::Reverse(key % 3));
    work.put_all(&records);
    records.sort_by_cached_key(|(key, i)| (key + (*i as u64)) % 5);
    work.put_all(&records);
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
    words.sort_by_key(|word| word.encode_utf16().collect::<Vec<_>>());
    work.put_all(words);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
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
    floats.sort_by(f64::total_cmp);
    work.put_all(&floats);
    floats.retain(|a| !a.is_nan());
    floats.sort_by(|a, b| b.partial_cmp(a).expect("no NaN is left"));
    work.put_all(floats.iter().map(|a| a + 0.0));
}

fn structures(work: &mut Work) {
    let numbers = random(work, 53, 200);
    let mut heap: BinaryHeap<_> = numbers.iter().map(|n| n % 100).collect();
    while let Some(greatest) = heap.pop() {
        work.put(greatest);
    }
    let tree: BTreeMap<_, _> = numbers.iter().enumerate().map(|(i, n)| (n % 50, i)).collect();
    work.put_all(tree.iter().map(|(key, value)| (*key, *value)));
    work.put_all(tree.range(10..20).map(|(key, _)| *key));
    let keys: Vec<_> = tree.into_keys().collect();
    for wanted in 0..60 {
        work.put(keys.partition_point(|key| *key < wanted));
        work.put(keys.binary_search(&wanted).is_ok());
    }
}
