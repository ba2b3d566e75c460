//! What a process says of the executable that it runs, for whoever asks with a nonce. A self-report: what it proves and
//! what it does not is in `docs/attestation.md`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;

use bifora_image::digest::Digest;
use bifora_image::elf::{Elf, HEAD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;
use crate::whoami::WhoAmI;

/// The executable that runs, whatever has become of its path: it can have been deleted, or replaced by another file.
const OWN: &str = "/proc/self/exe";

/// The answer of `/api/attest`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Attestation {
    /// The nonce that was asked with: this is no earlier answer.
    #[schema(example = "3f2b8c")]
    pub nonce: String,
    /// Architecture that the binary was compiled for.
    pub arch: Arch,
    /// SHA-256 of the executable that runs, `sha256:` and 64 hexadecimal digits; `null` when it cannot be read.
    pub binary: Option<String>,
    /// Machine of that file by its ELF header: `x86_64`, `aarch64`, or another one's name; `null` when it cannot be read.
    #[schema(example = "aarch64")]
    pub elf_machine: Option<String>,
    /// Full commit hash.
    pub commit: Option<String>,
    /// Digest of the image that runs, as ECS tells it.
    pub image_digest: Option<String>,
    /// ECS task id.
    pub task: Option<String>,
    /// Names the process, as in `/api/whoami`.
    pub instance: String,
}

impl Attestation {
    /// The answer to `nonce`.
    pub fn new(nonce: Nonce, who: &WhoAmI, executable: &Executable) -> Self {
        Self {
            nonce: nonce.0,
            arch: who.arch,
            binary: executable.digest.as_ref().map(ToString::to_string),
            elf_machine: executable.machine.clone(),
            commit: who.commit.clone(),
            image_digest: who.image_digest.clone(),
            task: who.task.clone(),
            instance: who.instance.clone(),
        }
    }
}

/// What there is to say of an executable; nothing of one that cannot be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Executable {
    digest: Option<Digest>,
    machine: Option<String>,
}

impl Executable {
    /// Reads the executable of this process, all of it: a few milliseconds.
    pub fn of_this_process() -> Self {
        Self::read(Path::new(OWN))
    }

    fn read(path: &Path) -> Self {
        let known = File::open(path).and_then(|file| {
            let mut head = [0; HEAD];
            file.read_exact_at(&mut head, 0)?;
            let digest = Digest::of_reader(&mut FromStart(&file, 0))?;
            Ok((digest, Elf::read(&head)))
        });
        let why: &dyn fmt::Display = match &known {
            Ok((digest, Some(Ok(elf)))) => {
                return Self {
                    digest: Some(digest.clone()),
                    machine: Some(elf.to_string()),
                };
            }
            Ok((_, Some(Err(broken)))) => broken,
            Ok((_, None)) => &"it is no ELF file",
            Err(error) => error,
        };
        tracing::warn!(
            path = %path.display(),
            reason = %why,
            "the executable cannot be read, and /api/attest does not tell all of it"
        );
        Self {
            digest: known.ok().map(|(digest, _)| digest),
            machine: None,
        }
    }
}

/// Reads a file from its start, wherever it has been read to: an emulator hands out the one that it has opened itself.
struct FromStart<'a>(&'a File, u64);

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read_at(buffer, self.1)?;
        self.1 += count as u64;
        Ok(count)
    }
}

/// What an attestation is asked with: 1 to 128 of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nonce(String);

/// A text that is no nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a nonce is 1 to 128 of A-Z a-z 0-9 . _ -")]
pub struct NotANonce;

impl Nonce {
    /// 32 random hexadecimal digits.
    pub fn random() -> Self {
        Self(format!("{:032x}", fastrand::u128(..)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = NotANonce;

    fn from_str(text: &str) -> Result<Self, NotANonce> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotANonce)
        }
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Seek;

    use super::*;

    #[test]
    fn this_executable_is_read() {
        let own = Executable::of_this_process();
        let path = std::env::current_exe().expect("a running program has a path");
        assert_eq!(own.digest, Some(Digest::of(&fs::read(path).expect("readable"))));
        assert_eq!(own.machine.as_deref(), Some(Arch::COMPILED.name()));
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).expect("writable");
            path
        };
        for path in [
            folder.path().join("missing"),
            folder.path().to_owned(),
            file("empty", b""),
        ] {
            assert_eq!(
                Executable::read(&path),
                Executable::default(),
                "{}",
                path.display()
            );
        }
        let script = b"#!/bin/sh\necho a script is none, either\n";
        for content in [&script[..], b"\x7fELF, and then something else altogether"] {
            let executable = Executable::read(&file("no-elf", content));
            assert_eq!(executable.digest, Some(Digest::of(content)));
            assert_eq!(executable.machine, None);
        }
    }

    #[test]
    fn a_file_is_read_from_its_start() {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, b"content").expect("writable");
        assert_eq!(file.stream_position().expect("a file has one"), 7);
        let digest = Digest::of_reader(&mut FromStart(&file, 0)).expect("readable");
        assert_eq!(digest, Digest::of(b"content"));
    }

    #[test]
    fn nonces_are_short_and_plain() {
        for good in ["a", "2026-01-31_x.Y", &"9".repeat(128), Nonce::random().as_str()] {
            assert_eq!(good.parse::<Nonce>().expect(good).as_str(), good);
        }
        assert_ne!(Nonce::random(), Nonce::random());
        for bad in [
            "",
            &"9".repeat(129),
            "a b",
            "a\n",
            "é",
            "a/b",
            "<script>",
            "%41",
            "a+b",
        ] {
            assert_eq!(bad.parse::<Nonce>(), Err(NotANonce), "{bad}");
        }
    }
}
