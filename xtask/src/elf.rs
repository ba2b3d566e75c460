//! What a release binary must be: for the right machine, and complete in itself.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bifora_image::elf::Elf;
use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::arch::Arch;

/// What the headers of an executable say of what it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// Asks for a dynamic loader.
    has_interpreter: bool,
    /// How many shared libraries it asks for.
    needed_libraries: usize,
}

impl Needs {
    fn read(data: &[u8]) -> Result<Self, object::Error> {
        let header = FileHeader64::<Endianness>::parse(data)?;
        let endian = header.endian()?;
        let mut needs = Self::default();
        for segment in header.program_headers(endian, data)? {
            needs.has_interpreter |= segment.p_type(endian) == PT_INTERP;
            if let Some(entries) = segment.dynamic(endian, data)? {
                needs.needed_libraries += entries
                    .iter()
                    .filter(|entry| entry.tag(endian) == DT_NEEDED)
                    .count();
            }
        }
        Ok(needs)
    }
}

/// Checks a release binary, and that none of the `local` paths appears in it. Returns its size in bytes.
pub(crate) fn check(path: &Path, arch: Arch, local: &[String]) -> Result<u64> {
    let shown = path.display();
    let data = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let elf = Elf::read(&data).with_context(|| format!("{shown} is no ELF file"))?;
    ensure!(
        elf == Ok(arch.elf()),
        "{shown} is for {}, and has to be for {}",
        elf.map_or_else(|broken| broken.to_string(), |elf| elf.to_string()),
        arch.name()
    );
    let needs = Needs::read(&data).with_context(|| format!("{shown} is not a 64-bit ELF file"))?;
    ensure!(
        !needs.has_interpreter && needs.needed_libraries == 0,
        "{shown} is not static: it asks for {} and {} shared libraries",
        if needs.has_interpreter {
            "a dynamic loader"
        } else {
            "no dynamic loader"
        },
        needs.needed_libraries
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
        let needs = Needs::read(&fs::read(&program).expect("readable")).expect("an ELF file");
        let host = Arch::host().expect("a supported host");
        assert!(needs.has_interpreter);
        assert!(needs.needed_libraries >= 1, "at least the C library");
        let error = check(&program, host, &[]).expect_err("not static");
        assert!(error.to_string().contains("not static"), "{error}");
        let error =
            check(&program, Arch::foreign().expect("a supported host"), &[]).expect_err("another machine");
        assert!(error.to_string().contains("and has to be for"), "{error}");
    }

    #[test]
    fn what_is_no_executable_is_called_so() {
        assert!(Needs::read(b"#!/bin/sh\n").is_err());
        assert!(Needs::read(b"").is_err());
    }

    #[test]
    fn strings_are_found() {
        assert!(contains(b"aab", b"ab"));
        assert!(contains(b"/home/me/src", b"/home/me"));
        assert!(!contains(b"/home/m", b"/home/me"));
    }
}
