//! What was built, and so has to answer: from flags, or from the lock of a release.

use std::collections::{BTreeMap, BTreeSet};

use bifora_image::digest::Digest;
use bifora_image::lock::ReleaseLock;
use serde::{Deserialize, Serialize};

use crate::arch::Arch;

/// What has to answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Expectations {
    /// These architectures, all of them, and no others.
    pub archs: BTreeSet<Arch>,
    /// This commit, or one that begins so.
    pub commit: String,
    /// By architecture, one of these digests of the image that runs. ECS tells that of the platform's image or that of the
    /// index, whichever the task was started from.
    pub digests: BTreeMap<Arch, BTreeSet<String>>,
    /// By architecture, the digest of the executable that runs.
    pub binaries: BTreeMap<Arch, String>,
    /// Whether an emulated machine will do.
    pub allow_emulation: bool,
    /// What the parity vectors have to come out as.
    pub parity: ExpectedParity,
}

/// What the parity vectors have to come out as: this binary's own table, since what answers may say what it likes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExpectedParity {
    /// Version of the set of vectors.
    pub version: u32,
    /// By the vector's name, the digest of its result.
    pub vectors: BTreeMap<String, String>,
}

/// Expectations as they are given on the command line, before they are held against a lock.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--arch`.
    pub archs: BTreeSet<Arch>,
    /// `--commit`.
    pub commit: Option<String>,
    /// `--digest`.
    pub digests: Vec<(Arch, Digest)>,
    /// `--binary`.
    pub binaries: Vec<(Arch, Digest)>,
    /// `--lock`: how the file is called, and what it holds.
    pub lock: Option<(String, ReleaseLock)>,
    /// `--allow-emulation`.
    pub allow_emulation: bool,
}

/// Two of the expectations do not agree, or one that is needed is missing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Disagreement {
    /// Nothing says what was built.
    #[error("which commit? Give --commit, or --lock with the file that the build of the image has written")]
    NoCommit,
    /// A flag says one thing, the lock another.
    #[error("{flag} does not agree with {file}, which has {locked}")]
    Lock {
        /// The flag and its value.
        flag: String,
        /// The lock.
        file: String,
        /// What it has instead.
        locked: String,
    },
    /// A flag for an architecture that is not to answer.
    #[error(
        "{flag} is for {arch}, which is not among the architectures that have to answer; add --arch {arch}"
    )]
    NotAsked {
        /// The flag.
        flag: &'static str,
        /// Its architecture.
        arch: Arch,
    },
    /// Two binaries for one architecture.
    #[error("--binary has two values for {0}; a build has one binary for each architecture")]
    TwoBinaries(Arch),
}

impl Given {
    /// One set of expectations, or what in them does not agree.
    pub fn agree(self, parity: ExpectedParity) -> Result<Expectations, Disagreement> {
        let mut expected = Expectations {
            archs: self.archs,
            allow_emulation: self.allow_emulation,
            parity,
            ..Expectations::default()
        };
        if expected.archs.is_empty() {
            // What a lock has, and what Bifora is built for.
            expected.archs = BTreeSet::from([Arch::X86_64, Arch::Aarch64]);
        }
        for (arch, digest) in self.digests {
            expected
                .digests
                .entry(arch)
                .or_default()
                .insert(digest.to_string());
        }
        for (arch, binary) in self.binaries {
            let binary = binary.to_string();
            if expected
                .binaries
                .insert(arch, binary.clone())
                .is_some_and(|other| other != binary)
            {
                return Err(Disagreement::TwoBinaries(arch));
            }
        }
        for (flag, archs) in [
            ("--digest", expected.digests.keys().collect::<Vec<_>>()),
            ("--binary", expected.binaries.keys().collect()),
        ] {
            if let Some(&&arch) = archs.iter().find(|arch| !expected.archs.contains(arch)) {
                return Err(Disagreement::NotAsked { flag, arch });
            }
        }
        expected.commit = match (&self.commit, &self.lock) {
            (None, None) => return Err(Disagreement::NoCommit),
            (Some(commit), None) => commit.clone(),
            (given, Some((file, lock))) => {
                if let Some(commit) = given.as_ref().filter(|given| !lock.commit.starts_with(*given)) {
                    return Err(Disagreement::Lock {
                        flag: format!("--commit {commit}"),
                        file: file.clone(),
                        locked: lock.commit.clone(),
                    });
                }
                lock.commit.clone()
            }
        };
        if let Some((file, lock)) = &self.lock {
            expected.hold_against(file, lock)?;
        }
        Ok(expected)
    }
}

impl Expectations {
    /// Takes from the lock what no flag has given, and refuses what a flag has given otherwise.
    fn hold_against(&mut self, file: &str, lock: &ReleaseLock) -> Result<(), Disagreement> {
        for arch in self.archs.clone() {
            let Some(image) = lock.image(arch.name()) else {
                continue;
            };
            let locked = [&image.image, &lock.index].map(ToString::to_string);
            let given = self.digests.entry(arch).or_insert_with(|| locked.clone().into());
            if let Some(other) = given.iter().find(|digest| !locked.contains(digest)) {
                return Err(Disagreement::Lock {
                    flag: format!("--digest {arch}={other}"),
                    file: file.to_owned(),
                    locked: locked.join(" and, for the index, "),
                });
            }
            let locked = image.binary.to_string();
            let given = self.binaries.entry(arch).or_insert_with(|| locked.clone());
            if *given != locked {
                return Err(Disagreement::Lock {
                    flag: format!("--binary {arch}={given}"),
                    file: file.to_owned(),
                    locked,
                });
            }
        }
        Ok(())
    }

    /// The first seven digits of the commit.
    pub fn short_commit(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }

    /// The architectures in words: `x86_64 and aarch64`.
    pub fn architectures(&self) -> String {
        let names: Vec<_> = self.archs.iter().map(|arch| arch.name()).collect();
        names.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    fn lock() -> (String, ReleaseLock) {
        let lock = serde_json::json!({
            "version": 1,
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "cargo_lock": digest("Cargo.lock"),
            "index": digest("index"),
            "images": {
                "x86_64": { "binary": digest("bx"), "image": digest("ix") },
                "aarch64": { "binary": digest("ba"), "image": digest("ia") },
            },
        });
        let lock = ReleaseLock::parse(lock.to_string().as_bytes()).expect("a lock");
        ("bifora-lock.json".to_owned(), lock)
    }

    fn refused(given: Given) -> String {
        given
            .agree(ExpectedParity::default())
            .expect_err("they do not agree")
            .to_string()
    }

    #[test]
    fn everything_can_come_from_the_lock() {
        let given = Given {
            lock: Some(lock()),
            ..Given::default()
        };
        let expected = given.agree(ExpectedParity::default()).expect("agrees");
        assert_eq!(expected.archs.len(), 2);
        assert_eq!(expected.short_commit(), "0123456");
        let images = &expected.digests[&Arch::Aarch64];
        assert!(images.contains(digest("ia").as_str()) && images.contains(digest("index").as_str()));
        assert_eq!(expected.binaries[&Arch::X86_64], digest("bx").as_str());
    }

    #[test]
    fn flags_that_agree_with_the_lock_narrow_it() {
        let given = Given {
            archs: [Arch::X86_64].into(),
            commit: Some("0123456".to_owned()),
            digests: vec![(Arch::X86_64, digest("index"))],
            binaries: vec![(Arch::X86_64, digest("bx"))],
            lock: Some(lock()),
            ..Given::default()
        };
        let expected = given.agree(ExpectedParity::default()).expect("agrees");
        assert_eq!(expected.commit.len(), 40, "the lock has all of it");
        assert_eq!(
            expected.digests[&Arch::X86_64],
            [digest("index").to_string()].into()
        );
        assert!(
            !expected.digests.contains_key(&Arch::Aarch64),
            "it is not asked for"
        );
    }

    #[test]
    fn flags_that_do_not_are_refused() {
        let with = |change: fn(&mut Given)| {
            let mut given = Given {
                lock: Some(lock()),
                ..Given::default()
            };
            change(&mut given);
            refused(given)
        };
        for (said, parts) in [
            (
                with(|given| given.commit = Some("7654321".to_owned())),
                ["--commit 7654321", "bifora-lock.json"],
            ),
            (
                with(|given| given.digests = vec![(Arch::X86_64, digest("ia"))]),
                ["--digest x86_64=", "for the index"],
            ),
            (
                with(|given| given.binaries = vec![(Arch::Aarch64, digest("bx"))]),
                ["--binary aarch64=", "does not agree"],
            ),
        ] {
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(refused(Given::default()).contains("--commit"));
        let commit = || Some("0123456".to_owned());
        let said = refused(Given {
            archs: [Arch::X86_64].into(),
            commit: commit(),
            binaries: vec![(Arch::Aarch64, digest("ba"))],
            ..Given::default()
        });
        assert!(said.contains("add --arch aarch64"), "{said}");
        let said = refused(Given {
            commit: commit(),
            binaries: vec![(Arch::X86_64, digest("a")), (Arch::X86_64, digest("b"))],
            ..Given::default()
        });
        assert!(said.contains("two values for x86_64"), "{said}");
    }
}
