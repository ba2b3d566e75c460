//! Which Rust compiler builds the binaries: both architectures have to come from one release of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::command;
use crate::workspace::Workspace;

/// Where distributions install their own compiler, beside the one of rustup.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// A Rust compiler on this machine, and which standard libraries lie beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// Its release, such as `1.95.0`.
    pub(crate) release: String,
    /// The architectures it can build for.
    pub(crate) libraries: Vec<Arch>,
}

impl Toolchain {
    /// The compiler that builds `wanted`, or none if no compiler on this machine can.
    pub(crate) fn find(workspace: &Workspace, wanted: &[Arch]) -> Option<Self> {
        let active = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
        let candidates: Vec<_> = [active.as_path(), Path::new(SYSTEM_RUSTC)]
            .into_iter()
            .filter_map(|rustc| Self::inspect(rustc, &workspace.root).ok())
            .collect();
        choose(&candidates, wanted, &workspace.oldest_rust).cloned()
    }

    fn inspect(rustc: &Path, folder: &Path) -> Result<Self> {
        // In the repository, because rustup may choose another toolchain there than elsewhere.
        let ask =
            |arguments: &[&str]| command::read(command::command(rustc).args(arguments).current_dir(folder));
        let release = release(&ask(&["-vV"])?)
            .context("rustc -vV names no release")?
            .to_owned();
        let has_library = |arch: &Arch| {
            ask(&["--print", "target-libdir", "--target", arch.triple()])
                .is_ok_and(|folder| contains_std(Path::new(folder.trim())))
        };
        let libraries = Arch::ALL.into_iter().filter(has_library).collect();
        Ok(Self {
            rustc: rustc.to_owned(),
            release,
            libraries,
        })
    }

    /// Makes cargo use this compiler.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        // Of rustup's compiler only the name is known, and cargo finds it by itself.
        if self.rustc.is_absolute() {
            cargo.env("RUSTC", &self.rustc);
        }
    }
}

/// The first candidate that can build both architectures, and otherwise the first that can build what is wanted now.
///
/// So that a binary comes from the same compiler whether it is built alone or together with the other one, and so
/// that a machine without anything foreign can still build for itself.
fn choose<'a>(candidates: &'a [Toolchain], wanted: &[Arch], oldest: &str) -> Option<&'a Toolchain> {
    let able = |archs: &[Arch]| {
        candidates.iter().find(|toolchain| {
            version(&toolchain.release) >= version(oldest)
                && archs.iter().all(|arch| toolchain.libraries.contains(arch))
        })
    };
    able(&Arch::ALL).or_else(|| able(wanted))
}

/// `1.95.0` from the output of `rustc -vV`.
fn release(verbose_version: &str) -> Option<&str> {
    verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
}

/// A version as numbers that compare as versions do. What follows a hyphen (`-nightly`) does not count.
pub(crate) fn version(text: &str) -> Vec<u32> {
    let number = text
        .trim()
        .trim_start_matches('v')
        .split(['-', '+', ' '])
        .next()
        .unwrap_or_default();
    number.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Whether a folder of libraries holds the standard library. The folder alone may exist without.
fn contains_std(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().map(|entry| entry.path()).any(|path| {
            path.extension().is_some_and(|extension| extension == "rlib")
                && path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| name.starts_with("libstd-"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(rustc: &str, release: &str, libraries: &[Arch]) -> Toolchain {
        Toolchain {
            rustc: rustc.into(),
            release: release.into(),
            libraries: libraries.to_vec(),
        }
    }

    #[test]
    fn the_active_compiler_comes_first_if_it_can_do_both() {
        let found = [
            toolchain("rustc", "1.95.0", &Arch::ALL),
            toolchain(SYSTEM_RUSTC, "1.96.0", &Arch::ALL),
        ];
        assert_eq!(choose(&found, &Arch::ALL, "1.95"), Some(&found[0]));
    }

    #[test]
    fn one_compiler_builds_both_even_if_only_one_is_wanted() {
        let found = [
            toolchain("rustc", "1.95.0", &[Arch::X86_64]),
            toolchain(SYSTEM_RUSTC, "1.96.0", &Arch::ALL),
        ];
        assert_eq!(choose(&found, &Arch::ALL, "1.95"), Some(&found[1]));
        assert_eq!(choose(&found, &[Arch::X86_64], "1.95"), Some(&found[1]));
    }

    #[test]
    fn never_two_compilers() {
        let found = [
            toolchain("rustc", "1.95.0", &[Arch::X86_64]),
            toolchain(SYSTEM_RUSTC, "1.96.0", &[Arch::Aarch64]),
        ];
        assert_eq!(choose(&found, &Arch::ALL, "1.95"), None);
        assert_eq!(choose(&found, &[Arch::X86_64], "1.95"), Some(&found[0]));
    }

    #[test]
    fn too_old_a_compiler_does_not_count() {
        let found = [
            toolchain("rustc", "1.95.0", &[Arch::X86_64]),
            toolchain(SYSTEM_RUSTC, "1.85.0", &Arch::ALL),
        ];
        assert_eq!(choose(&found, &Arch::ALL, "1.95"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(version("1.100.0") > version("1.95"));
        assert!(version("v20.20.2") >= version("18"));
        assert_eq!(version("1.97.0-nightly (abc 2026-01-01)"), [1, 97, 0]);
        assert!(version("nonsense").is_empty());
    }

    #[test]
    fn release_is_read_from_rustc() {
        assert_eq!(
            release("rustc 1.95.0 (abc)\nhost: x\nrelease: 1.95.0\nLLVM version: 22\n"),
            Some("1.95.0")
        );
    }
}
