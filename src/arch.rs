//! The two architectures that Bifora is built for, and their mark in text.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An architecture, by the name that `uname -m` gives it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
pub enum Arch {
    /// Intel and AMD, 64 bits; the left arch of the window.
    #[serde(rename = "x86_64")]
    X86_64,
    /// Arm, 64 bits (AWS Graviton); the right arch of the window.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The architecture that this binary was compiled for.
    pub const COMPILED: Self = if cfg!(target_arch = "x86_64") {
        Self::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        panic!("Bifora is built for x86_64 and aarch64")
    };

    /// The name as in `uname -m`, for use in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The name as in an image's platform.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::X86_64 => "linux/amd64",
            Self::Aarch64 => "linux/arm64",
        }
    }

    /// The window in text: the arch that answered is lit.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::X86_64 => "[▉░]",
            Self::Aarch64 => "[░▉]",
        }
    }

    /// Reads a machine name of any of the usual spellings.
    pub fn from_machine(name: &str) -> Option<Self> {
        match name.trim() {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "aarch64_be" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
