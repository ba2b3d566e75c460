//! Which operating system this is, as far as installing packages and running Linux binaries depends on it.

use std::fs;

use anyhow::{Result, bail};

/// What is known of the distribution's packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// Debian: apt-get, and the standard library of a foreign architecture is a package.
    Debian,
    /// Derived from Debian (Ubuntu, Mint, …): apt-get, but foreign architectures live on other servers.
    DebianLike,
    /// Anything else: packages are installed by hand.
    Other,
}

impl Distribution {
    /// The distribution of this machine.
    pub(crate) fn detect() -> Self {
        Self::parse(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// Reads the text of an `os-release` file.
    fn parse(os_release: &str) -> Self {
        let value = |key: &str| {
            let line = os_release
                .lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\''])
        };
        if value("ID") == "debian" {
            Self::Debian
        } else if value("ID_LIKE").split_whitespace().any(|id| id == "debian") {
            Self::DebianLike
        } else {
            Self::Other
        }
    }
}

/// Fails with a clear message where `what` cannot work.
pub(crate) fn require_linux(what: &str) -> Result<()> {
    if cfg!(target_os = "linux") {
        return Ok(());
    }
    bail!(
        "{what} needs Linux, and this is {}; a container or a virtual machine will do",
        std::env::consts::OS
    )
}

#[cfg(test)]
mod tests {
    use super::Distribution;

    #[test]
    fn distributions_are_told_apart() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        let ubuntu = "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n";
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        let fedora = "ID=fedora\nVERSION_ID=42\n";
        assert_eq!(Distribution::parse(debian), Distribution::Debian);
        assert_eq!(Distribution::parse(ubuntu), Distribution::DebianLike);
        assert_eq!(Distribution::parse(mint), Distribution::DebianLike);
        assert_eq!(Distribution::parse(fedora), Distribution::Other);
        assert_eq!(Distribution::parse(""), Distribution::Other);
    }
}
