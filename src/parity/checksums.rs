//! Checksums, by the instructions that the CPU has for them and in plain code. The two of a pair have the same
//! expected digest.

use sha2::Digest as _;

use super::work::{Sequence, Work};
use super::{Definition, plain};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "SHA-256 by the CPU",
        why: "SHA-NI on x86, the SHA-2 extension on Arm, found at run time: two different pieces of code that sign and verify.",
        source: "sha2, backends <https://docs.rs/sha2/0.11/sha2/>",
        run: sha256_by_the_cpu,
        expected: "2853aa78f99019f5fb4f5565a5516100f4008a78d0e0dd3b085d6f58a30a6003",
    },
    Definition {
        name: "SHA-256 in plain code",
        why: "The same messages without such instructions: what the two before are measured by.",
        source: "FIPS 180-4, section 6.2 <https://doi.org/10.6028/NIST.FIPS.180-4>",
        run: sha256_in_plain_code,
        expected: "2853aa78f99019f5fb4f5565a5516100f4008a78d0e0dd3b085d6f58a30a6003",
    },
    Definition {
        name: "CRC-32 by the CPU",
        why: "Arm has an instruction for it; x86 has one for another polynomial only, so that PCLMULQDQ is bent to the purpose.",
        source: "crc32fast <https://docs.rs/crc32fast/1/crc32fast/>",
        run: crc32_by_the_cpu,
        expected: "409ed6cf84205afde546bb0d8e30f3301bd4f07c8c6e5c3da53f6f4d601d6fc4",
    },
    Definition {
        name: "CRC-32 in plain code",
        why: "The same messages without such instructions; gzip and zip files are rejected when the two disagree.",
        source: "RFC 1952, section 8 <https://www.rfc-editor.org/rfc/rfc1952#section-8>",
        run: crc32_in_plain_code,
        expected: "409ed6cf84205afde546bb0d8e30f3301bd4f07c8c6e5c3da53f6f4d601d6fc4",
    },
];

/// Messages around the block sizes of both, and one that is long enough for the widest instructions.
fn messages(work: &mut Work) -> Vec<Vec<u8>> {
    let lengths = [
        0, 1, 3, 15, 16, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 255, 1_000, 4_099,
    ];
    let mut sequence = Sequence::new(work, 30);
    lengths.into_iter().map(|length| sequence.bytes(length)).collect()
}

fn sha256_by_the_cpu(work: &mut Work) {
    for message in messages(work) {
        work.put(sha2::Sha256::digest(&message).as_slice());
        // In odd pieces, which the instructions get as whole blocks all the same.
        let mut pieces = sha2::Sha256::new();
        message.chunks(37).for_each(|piece| pieces.update(piece));
        work.put(pieces.finalize().as_slice());
    }
}

fn sha256_in_plain_code(work: &mut Work) {
    for message in messages(work) {
        let digest = plain::sha256(&message);
        work.put(&digest[..]);
        work.put(&digest[..]);
    }
}

fn crc32_by_the_cpu(work: &mut Work) {
    for message in messages(work) {
        work.put(crc32fast::hash(&message));
        // From an address that is no multiple of anything.
        work.put(crc32fast::hash(message.get(1..).unwrap_or_default()));
        let mut pieces = crc32fast::Hasher::new();
        message.chunks(37).for_each(|piece| pieces.update(piece));
        work.put(pieces.finalize());
    }
}

fn crc32_in_plain_code(work: &mut Work) {
    for message in messages(work) {
        let whole = plain::crc32(&message);
        work.put(whole);
        work.put(plain::crc32(message.get(1..).unwrap_or_default()));
        work.put(whole);
    }
}
