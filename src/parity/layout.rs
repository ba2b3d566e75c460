//! Layout in memory: sizes, alignment, the order of bytes, and reading where nothing is aligned.

use std::mem::{align_of, offset_of, size_of};
use std::num::NonZeroU64;

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "sizes of types",
        why: "Of char, usize and pointers: both architectures have 64 bits, and what is written to disk or shared memory relies on it.",
        source: "Rust reference, primitive data layout <https://doc.rust-lang.org/reference/type-layout.html#primitive-data-layout>",
        run: sizes,
        expected: "30e37476991c4f0ed2d1ede253d81b2c1b6c6b8d0b32879156d2b67385e55745",
    },
    Definition {
        name: "alignment and fields of structs",
        why: "Until Rust 1.77, 128-bit integers were aligned to 8 bytes on x86 and to 16 on Arm: structs shared by memory or file differed.",
        source: "Rust blog, changes to u128 and i128 layout <https://blog.rust-lang.org/2024/03/30/i128-layout-update/>",
        run: alignment_and_structs,
        expected: "fbe5b5e540130e7c554bcb01645ab17f4cae221521102345a671b66844b6ed93",
    },
    Definition {
        name: "order of bytes",
        why: "Arm can run either way round; Linux on AWS runs it as x86 does, least byte first.",
        source: "Arm, AArch64 memory attributes and properties <https://developer.arm.com/documentation/102376/latest/>",
        run: endianness,
        expected: "2c8caf852915d42b5f39a873d1e848ec5db4cf9fb1c43dd90c3c9a4dbe635c0f",
    },
    Definition {
        name: "reads where nothing is aligned",
        why: "x86 forgives them all; Arm forgives ordinary loads but neither exclusive ones nor device memory.",
        source: "Arm, AArch64 memory attributes and properties <https://developer.arm.com/documentation/102376/latest/>",
        run: unaligned,
        expected: "9004438a9b3adc0676d5f373f2301d06da014eee6e62344ad78a7df6d67be815",
    },
];

fn sizes(work: &mut Work) {
    work.put_all([
        size_of::<usize>(),
        size_of::<*const u8>(),
        size_of::<&str>(),
        size_of::<&dyn Send>(),
        size_of::<fn()>(),
        size_of::<char>(),
        size_of::<bool>(),
        size_of::<u128>(),
        size_of::<f64>(),
        size_of::<Option<&u8>>(),
        size_of::<Option<char>>(),
        size_of::<Option<NonZeroU64>>(),
        size_of::<std::ffi::c_int>(),
        size_of::<std::ffi::c_long>(),
        size_of::<std::ffi::c_longlong>(),
        size_of::<std::ffi::c_double>(),
    ]);
    work.put(usize::BITS);
    work.put_all(["", "a", "é", "日", "🚀"].map(length));
    // An input, so that a test can see this vector fail.
    let number = work.take(0x0102_0304_0506_0708_u64);
    work.put(usize::try_from(number).ok());
    work.put(u32::try_from(number >> 32).ok().and_then(char::from_u32));
}

fn length(text: &str) -> usize {
    std::hint::black_box(text).len()
}

fn alignment_and_structs(work: &mut Work) {
    alignments(work);
    structs(work);
}

fn alignments(work: &mut Work) {
    work.put_all([
        align_of::<u8>(),
        align_of::<u16>(),
        align_of::<u32>(),
        align_of::<u64>(),
        align_of::<u128>(),
        align_of::<f32>(),
        align_of::<f64>(),
        align_of::<usize>(),
        align_of::<char>(),
        align_of::<std::sync::atomic::AtomicU64>(),
        align_of::<std::ffi::c_long>(),
    ]);
    let bytes = work.take_all([1_u8, 2, 3, 4, 5, 6, 7, 8]);
    // Where the first aligned word begins depends on the address; how many there are of them does not.
    let number = u64::from_ne_bytes(bytes);
    let boxed = Box::new(u128::from(number));
    work.put(std::ptr::from_ref(&*boxed).is_aligned());
    work.put(*boxed);
}

#[repr(C)]
struct Record {
    kind: u8,
    flags: u16,
    id: u32,
    small: u8,
    amount: u64,
    letter: char,
    wide: u128,
    ratio: f32,
    last: u8,
}

#[repr(C, align(64))]
struct Line(u8);

#[repr(u16)]
enum Kind {
    First = 1,
    Last = 0xfffe,
}

fn structs(work: &mut Work) {
    work.put_all([
        size_of::<Record>(),
        align_of::<Record>(),
        offset_of!(Record, kind),
        offset_of!(Record, flags),
        offset_of!(Record, id),
        offset_of!(Record, small),
        offset_of!(Record, amount),
        offset_of!(Record, letter),
        offset_of!(Record, wide),
        offset_of!(Record, ratio),
        offset_of!(Record, last),
        size_of::<Line>(),
        size_of::<Kind>(),
        size_of::<[Record; 3]>(),
    ]);
    let first = work.take(7_u8);
    let line = Line(first);
    work.put(line.0);
    work.put(if first == 7 { Kind::Last } else { Kind::First } as u16);
}

fn endianness(work: &mut Work) {
    for number in work.take_all([0x0102_0304_0506_0708_u64, u64::MAX - 1, 0x80]) {
        work.put(&number.to_ne_bytes()[..]);
        work.put(&number.to_be_bytes()[..]);
        work.put(u64::from_be(number));
        work.put(number.swap_bytes());
        work.put(&u128::from(number).to_ne_bytes()[..]);
        work.put(&f64::from_bits(number).to_ne_bytes()[..]);
    }
    let short = work.take(0x0102_u16);
    work.put(&short.to_ne_bytes()[..]);
    work.put(cfg!(target_endian = "little"));
}

fn unaligned(work: &mut Work) {
    let bytes = Sequence::new(work, 70).bytes(64 + 16);
    for start in 0..64 {
        let bytes = &bytes[start..];
        work.put(bytes.first_chunk().map(|word| u16::from_ne_bytes(*word)));
        work.put(bytes.first_chunk().map(|word| u32::from_ne_bytes(*word)));
        work.put(bytes.first_chunk().map(|word| u64::from_ne_bytes(*word)));
        work.put(bytes.first_chunk().map(|word| u128::from_ne_bytes(*word)));
        work.put(
            bytes
                .first_chunk()
                .map(|word| f64::from_bits(u64::from_le_bytes(*word))),
        );
    }
}
