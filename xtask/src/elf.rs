//! What a release binary must be: for the right machine, and complete in itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64, Machine, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::arch::Arch;

/// What the headers of an executable say.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    machine: Machine,
    /// Asks for a dynamic loader.
    has_interpreter: bool,
    /// How many shared libraries it asks for.
    needed_libraries: usize,
}

impl Facts {
    fn read(data: &[u8]) -> Result<Self, object::Error> {
        let header = FileHeader64::<Endianness>::parse(data)?;
        let endian = header.endian()?;
        let mut facts = Self {
            machine: header.e_machine(endian),
            has_interpreter: false,
            needed_libraries: 0,
        };
        for segment in header.program_headers(endian, data)? {
            facts.has_interpreter |= segment.p_type(endian) == PT_INTERP;
            if let Some(entries) = segment.dynamic(endian, data)? {
                facts.needed_libraries += entries
                    .iter()
                    .filter(|entry| entry.tag(endian) == DT_NEEDED)
                    .count();
            }
        }
        Ok(facts)
    }
}

/// The machine that an ELF file is for.
pub(crate) fn machine(data: &[u8]) -> Result<Machine> {
    // Only the head is read: a file of which the rest is cut off still says what it is for.
    let header = FileHeader64::<Endianness>::parse(data)?;
    Ok(header.e_machine(header.endian()?))
}

/// Checks a release binary, and that none of the `local` paths appears in it. Returns its size in bytes.
pub(crate) fn check(path: &Path, arch: Arch, local: &[String]) -> Result<u64> {
    let shown = path.display();
    let data = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let facts = Facts::read(&data).with_context(|| format!("{shown} is not a 64-bit ELF file"))?;
    ensure!(
        facts.machine == arch.elf_machine(),
        "{shown} is for ELF machine {:?}, and {} is {:?}",
        facts.machine,
        arch.name(),
        arch.elf_machine()
    );
    ensure!(
        !facts.has_interpreter && facts.needed_libraries == 0,
        "{shown} is not static: it asks for {} and {} shared libraries",
        if facts.has_interpreter {
            "a dynamic loader"
        } else {
            "no dynamic loader"
        },
        facts.needed_libraries
    );
    for path in local {
        ensure!(
            !contains(&data, path.as_bytes()),
            "{shown} tells a path of the machine it was built on: {path}"
        );
    }
    Ok(data.len() as u64)
}

/// Whether `needle` occurs in `data`.
fn contains(data: &[u8], needle: &[u8]) -> bool {
    let Some((&first, rest)) = needle.split_first() else {
        return true;
    };
    let mut data = data;
    while let Some(position) = data.iter().position(|&byte| byte == first) {
        data = &data[position + 1..];
        if data.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_for_this_machine_and_dynamic() {
        let program = std::env::current_exe().expect("a running program has a path");
        let facts = Facts::read(&fs::read(&program).expect("readable")).expect("an ELF file");
        let host = Arch::host().expect("a supported host");
        assert_eq!(facts.machine, host.elf_machine());
        assert!(facts.has_interpreter);
        assert!(facts.needed_libraries >= 1, "at least the C library");
        let error = check(&program, host, &[]).expect_err("not static");
        assert!(error.to_string().contains("not static"), "{error}");
        let error =
            check(&program, Arch::foreign().expect("a supported host"), &[]).expect_err("another machine");
        assert!(error.to_string().contains("ELF machine"), "{error}");
    }

    #[test]
    fn what_is_no_executable_is_called_so() {
        assert!(Facts::read(b"#!/bin/sh\n").is_err());
        assert!(Facts::read(b"").is_err());
    }

    #[test]
    fn strings_are_found() {
        assert!(contains(b"aab", b"ab"));
        assert!(contains(b"/home/me/src", b"/home/me"));
        assert!(!contains(b"/home/m", b"/home/me"));
    }
}
