//! What the head of an ELF file says: the machine that it is for. Nothing behind the head is read.
//!
//! Source: the System V ABI, chapter 4, "ELF header"; the numbers are those of its registry and of Linux's `elf-em.h`.

use std::fmt;

/// How many bytes are enough for [`Elf::read`].
pub const HEAD: usize = 20;

/// What an ELF file is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Elf {
    /// `e_machine`.
    pub machine: u16,
    /// 32 or 64.
    pub bits: u8,
    /// Whether the lowest byte of a number comes first.
    pub little_endian: bool,
}

/// A file that begins as an ELF file does, and has no whole head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Broken;

const fn elf(machine: u16, bits: u8, little_endian: bool) -> Elf {
    Elf {
        machine,
        bits,
        little_endian,
    }
}

/// 64-bit Intel and AMD.
pub const X86_64: Elf = elf(62, 64, true);
/// 64-bit Arm.
pub const AARCH64: Elf = elf(183, 64, true);

/// The architectures of images: Go's name, the kernel's, and what programs are for.
pub(crate) const ARCHITECTURES: [(&str, &str, Elf); 13] = [
    ("amd64", "x86_64", X86_64),
    ("arm64", "aarch64", AARCH64),
    ("386", "i386", elf(3, 32, true)),
    ("arm", "arm", elf(40, 32, true)),
    ("loong64", "loongarch64", elf(258, 64, true)),
    ("mips", "mips", elf(8, 32, false)),
    ("mipsle", "mipsel", elf(8, 32, true)),
    ("mips64", "mips64", elf(8, 64, false)),
    ("mips64le", "mips64el", elf(8, 64, true)),
    ("ppc64", "ppc64", elf(21, 64, false)),
    ("ppc64le", "ppc64le", elf(21, 64, true)),
    ("riscv64", "riscv64", elf(243, 64, true)),
    ("s390x", "s390x", elf(22, 64, false)),
];

impl Elf {
    /// Reads the first [`HEAD`] bytes of a file, or all of one that has less. `None` if it is no ELF file.
    pub fn read(head: &[u8]) -> Option<Result<Self, Broken>> {
        let rest = head.strip_prefix(b"\x7fELF")?;
        let [class @ (1 | 2), data @ (1 | 2), ..] = *rest else {
            return Some(Err(Broken));
        };
        let Some(&[low, high]) = head.get(18..HEAD) else {
            return Some(Err(Broken));
        };
        let little_endian = data == 1;
        let machine = if little_endian {
            u16::from_le_bytes([low, high])
        } else {
            u16::from_be_bytes([low, high])
        };
        Some(Ok(elf(machine, class * 32, little_endian)))
    }
}

/// As `uname -m` says it, where it has a word for it.
impl fmt::Display for Elf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((_, name, _)) = ARCHITECTURES.iter().find(|(_, _, elf)| elf == self) {
            return f.pad(name);
        }
        let endian = if self.little_endian { "little" } else { "big" };
        let name = match self.machine {
            0 => "no machine".to_owned(),
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            247 => "BPF".to_owned(),
            number => format!("ELF machine {number}"),
        };
        f.pad(&format!("{name} ({} bits, {endian} endian)", self.bits))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("no machine, since its ELF header is cut off or wrong")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::draft;

    #[test]
    fn this_program_is_for_this_machine() {
        let program = std::env::current_exe().expect("a running program has a path");
        let content = fs::read(program).expect("readable");
        let elf = Elf::read(&content).expect("an ELF file").expect("whole");
        assert_eq!(elf.to_string(), std::env::consts::ARCH);
    }

    #[test]
    fn heads_of_every_kind_are_read() {
        for (_, name, elf) in ARCHITECTURES {
            let head = draft::program(elf);
            assert_eq!(Elf::read(&head), Some(Ok(elf)), "{name}");
            assert_eq!(Elf::read(&head[..HEAD]), Some(Ok(elf)), "{name}");
            assert_eq!(Elf::read(&head[..HEAD - 1]), Some(Err(Broken)), "{name}");
            assert_eq!(elf.to_string(), name);
        }
        for (elf, name) in [
            (elf(62, 32, true), "x86_64 (32 bits, little endian)"),
            (elf(183, 64, false), "aarch64 (64 bits, big endian)"),
            (elf(247, 64, true), "BPF (64 bits, little endian)"),
            (elf(999, 32, true), "ELF machine 999 (32 bits, little endian)"),
        ] {
            assert_eq!(elf.to_string(), name);
        }
    }

    #[test]
    fn what_is_no_elf_file_is_none_and_what_is_half_of_one_is_broken() {
        for no in [&b""[..], b"#!/bin/sh\n", b"\x7fEL", b"MZ\x90\0", b"ELF\x7f"] {
            assert_eq!(Elf::read(no), None);
        }
        let mut head = draft::program(X86_64);
        assert_eq!(Elf::read(b"\x7fELF"), Some(Err(Broken)));
        head[4] = 3;
        assert_eq!(Elf::read(&head), Some(Err(Broken)), "128 bits");
        head[4] = 2;
        head[5] = 0;
        assert_eq!(Elf::read(&head), Some(Err(Broken)), "no order of bytes");
    }

    proptest! {
        #[test]
        fn any_head_is_read(rest in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Elf::read(&rest);
            let head = [&b"\x7fELF"[..], &rest].concat();
            if let Some(Ok(elf)) = Elf::read(&head) {
                prop_assert!(!elf.to_string().is_empty());
            }
        }
    }
}
