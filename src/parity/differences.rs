//! What legitimately differs between architectures, or between machines of them, and bites people who take it for given.

use std::ffi::c_char;
use std::fs;
use std::hint::black_box;

use super::Difference;
use super::plain;
use super::work::hexadecimal;
use crate::arch::Arch;
use crate::host::Host;

const NOT_KNOWN: &str = "not known";

/// Every known difference as it is on this machine. The rows are the same everywhere, so that they can stand side by side.
pub(super) fn all(host: &Host) -> Vec<Difference> {
    let mut all = Vec::from(of_programs());
    all.extend(of_machines(host));
    all
}

fn row(name: &str, value: impl Into<String>, breaks: &str, source: &str) -> Difference {
    Difference {
        name: name.to_owned(),
        value: value.into(),
        breaks: breaks.to_owned(),
        source: source.to_owned(),
    }
}

/// Those of the architecture, the same on every machine of it.
fn of_programs() -> [Difference; 9] {
    [
        row(
            "names of the machine",
            format!("{}, {}", Arch::COMPILED, Arch::COMPILED.platform()),
            "Downloads and image tags that paste uname -m into an address: amd64 is x86_64, arm64 is aarch64.",
            "OCI image index, platform <https://github.com/opencontainers/image-spec/blob/main/image-index.md>",
        ),
        row(
            "sign of char in C",
            if c_char::MIN == 0 { "unsigned" } else { "signed" },
            "Bytes over 127 compare and widen differently; an EOF of -1 that is kept in a char is never found.",
            "AWS Graviton guide, signed and unsigned char <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#signed-vs-unsigned-char>",
        ),
        row(
            "long double in C",
            by_arch("80 bits of x87, in 16 bytes", "128 bits, by library routines"),
            "Files and messages with it cannot be exchanged, and sums that lean on its extra digits differ.",
            "Arm, procedure call standard AAPCS64 <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>",
        ),
        row(
            "bits of a default NaN",
            format!("{:016x}", (black_box(0.0_f64) / black_box(0.0)).to_bits()),
            "Hashes, keys and comparisons over the bytes of floats: x86 sets the sign of a NaN that it makes, Arm does not.",
            "Rust, NaN bit patterns <https://doc.rust-lang.org/std/primitive.f32.html#nan-bit-patterns>",
        ),
        row(
            "smaller one of +0 and -0",
            format!(
                "{:?} or {:?} by order",
                black_box(0.0_f64).min(black_box(-0.0)),
                black_box(-0.0_f64).min(black_box(0.0))
            ),
            "Either may be given, so that a sign bit in a stored result is no reason to call two results different.",
            "Rust, f64::min <https://doc.rust-lang.org/std/primitive.f64.html#method.min>",
        ),
        row(
            "float out of range, as the CPU casts it",
            by_arch("the smallest integer", "the nearest integer"),
            "C and C++ code in which a cast of too large a float happened to give the value that was hoped for.",
            "Rust reference, numeric casts <https://doc.rust-lang.org/reference/expressions/operator-expr.html#numeric-cast>",
        ),
        row(
            "division by zero, as the CPU does it",
            by_arch("a trap, SIGFPE in C", "0, and no trap"),
            "C code that finds the mistake by its crash: on Arm it goes on with a zero.",
            "Arm A64 instruction set, SDIV <https://developer.arm.com/documentation/ddi0602/latest/>",
        ),
        row(
            "last bits of exp, ln and pow",
            format!("{}…", &transcendental()[..12]),
            "Their precision is promised by nobody and depends on the library and on FMA: compare with a tolerance.",
            "Rust, f64::exp <https://doc.rust-lang.org/std/primitive.f64.html#method.exp>",
        ),
        row(
            "order of loads and stores",
            by_arch("strong (TSO)", "weak, unless asked for"),
            "Lock-free code that lacks its barriers works for years on x86 and fails once a day on Arm.",
            "AWS Graviton guide, ordering issues <https://github.com/aws/aws-graviton-getting-started/blob/main/optimizing.md#ordering-issues>",
        ),
    ]
}

/// Those that one machine may have otherwise than the next.
fn of_machines(host: &Host) -> [Difference; 8] {
    [
        row(
            "atomic read-modify-write",
            atomics(host),
            "Built for the first Arm servers, contended locks become loops that starve; build with outline atomics or newer.",
            "AWS Graviton guide, Large-System Extensions <https://github.com/aws/aws-graviton-getting-started/blob/main/c-c%2B%2B.md#large-system-extensions-lse>",
        ),
        row(
            "page size",
            format!("{} bytes", host.page_size),
            "Binaries and allocators that were built for 4 KiB do not start with 64 KiB, and memory use grows with it.",
            "Linux, memory layout on AArch64 <https://docs.kernel.org/arch/arm64/memory.html>",
        ),
        row(
            "cache line",
            host.cpu
                .cache_line
                .map_or_else(|| NOT_KNOWN.to_owned(), |size| format!("{size} bytes")),
            "Counters that are kept 64 bytes apart against false sharing can share a line, or a pair of lines, elsewhere.",
            "crossbeam-utils, CachePadded <https://docs.rs/crossbeam-utils/latest/crossbeam_utils/struct.CachePadded.html>",
        ),
        row(
            "widest vector registers",
            widest_vectors(host),
            "Intrinsics and results that depend on the number of lanes; with SVE it is known only when the program runs.",
            "AWS Graviton guide, SIMD and vectorization <https://github.com/aws/aws-graviton-getting-started/blob/main/SIMD_and_vectorization.md>",
        ),
        row(
            "CPU features",
            if host.cpu.features.is_empty() {
                "none of those looked for".to_owned()
            } else {
                host.cpu.features.join(", ")
            },
            "Start scripts that search the flags of /proc/cpuinfo: Arm calls the line Features, and the features otherwise.",
            "Linux, ELF hwcaps on ARM64 <https://docs.kernel.org/arch/arm64/elf_hwcaps.html>",
        ),
        row(
            "instructions for SHA-256 and CRC-32",
            checksum_instructions(),
            "Throughput of TLS, signatures and gzip changes by a factor where the instructions are missing.",
            "sha2, backends <https://docs.rs/sha2/0.11/sha2/>",
        ),
        row(
            "available parallelism",
            host.cpu.cores.to_string(),
            "Pools that are sized once by hand, and CPU limits of containers that the other task does not have.",
            "Rust, available_parallelism <https://doc.rust-lang.org/std/thread/fn.available_parallelism.html>",
        ),
        row(
            "hardware threads share a core",
            threads_share_a_core(),
            "A vCPU of Graviton is a core, of most x86 instances half of one: scaling limits do not carry over.",
            "AWS Graviton guide, transition guide <https://github.com/aws/aws-graviton-getting-started/blob/main/transition-guide.md>",
        ),
    ]
}

fn by_arch(x86_64: &'static str, aarch64: &'static str) -> &'static str {
    match Arch::COMPILED {
        Arch::X86_64 => x86_64,
        Arch::Aarch64 => aarch64,
    }
}

fn has(host: &Host, feature: &str) -> bool {
    host.cpu.features.iter().any(|found| found == feature)
}

fn atomics(host: &Host) -> &'static str {
    if has(host, "LSE") {
        "one instruction (LSE)"
    } else {
        by_arch("one instruction (LOCK)", "a loop of two (LL/SC)")
    }
}

fn widest_vectors(host: &Host) -> String {
    if has(host, "SVE") {
        // In bytes, as the kernel sets it for new processes.
        let length = fs::read_to_string("/proc/sys/abi/sve_default_vector_length").ok();
        let bits = length
            .and_then(|length| length.trim().parse::<u32>().ok())
            .map(|bytes| bytes.saturating_mul(8));
        return bits.map_or_else(
            || "SVE, of a length that is not known".to_owned(),
            |bits| format!("up to {bits} bits (SVE)"),
        );
    }
    let x86 = if has(host, "AVX-512") {
        "512 bits (AVX-512)"
    } else if has(host, "AVX2") {
        "256 bits (AVX2)"
    } else {
        "128 bits (SSE)"
    };
    by_arch(x86, "128 bits (NEON)").to_owned()
}

#[cfg(target_arch = "x86_64")]
fn checksum_instructions() -> String {
    use std::arch::is_x86_feature_detected as has;
    told(has!("sha"), "SHA-NI", has!("pclmulqdq"), "PCLMULQDQ")
}

#[cfg(target_arch = "aarch64")]
fn checksum_instructions() -> String {
    use std::arch::is_aarch64_feature_detected as has;
    told(has!("sha2"), "SHA2", has!("crc"), "CRC32")
}

fn told(sha: bool, sha_name: &str, crc: bool, crc_name: &str) -> String {
    let name = |found, name| if found { name } else { "plain code" };
    format!("{}, {}", name(sha, sha_name), name(crc, crc_name))
}

fn threads_share_a_core() -> String {
    let active = fs::read_to_string("/sys/devices/system/cpu/smt/active");
    match active.as_deref().map(str::trim) {
        Ok("1") => "yes",
        Ok("0") => "no",
        _ => NOT_KNOWN,
    }
    .to_owned()
}

/// A digest of results whose last bits nobody promises.
fn transcendental() -> String {
    let results = (1_u32..200).flat_map(|n| {
        let x = black_box(f64::from(n) * 0.37);
        [x.exp(), x.ln(), x.powf(1.7)]
    });
    let bytes: Vec<_> = results
        .flat_map(|result| result.to_bits().to_le_bytes())
        .collect();
    hexadecimal(&plain::sha256(&bytes))
}
