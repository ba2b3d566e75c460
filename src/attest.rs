//! What a process says of the executable that it runs, for whoever asks with a nonce. A self-report: what it proves and
//! what it does not is in `docs/attestation.md`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;

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
    use super::*;

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
