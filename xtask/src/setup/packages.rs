//! Installing packages of the distribution.

use std::process::Command;

use anyhow::{Result, bail};

use super::NotReady;
use crate::arch::Arch;
use crate::command::{self, command, find, read};
use crate::system::Distribution;
use crate::terminal;

/// Packages of the distribution that are to be installed, all at once.
#[derive(Default)]
pub(super) struct Packages {
    /// Their names.
    pub(super) names: Vec<String>,
    /// An architecture whose packages are needed too.
    pub(super) architecture: Option<Arch>,
}

impl Packages {
    /// Installs them by apt-get, and says what to do where there is none.
    pub(super) fn install(&self, distribution: Distribution) -> Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        if distribution == Distribution::Other || find(&["apt-get"]).is_none() {
            bail!(NotReady(format!(
                "packages can only be installed here where there is apt-get. Please install by hand what is listed \
                 above; Debian's packages are {}",
                self.names.join(" ")
            )));
        }
        if let Some(arch) = self.architecture {
            let known = read(command("dpkg").arg("--print-foreign-architectures"))?;
            if !known.lines().any(|name| name == arch.debian()) {
                command::run(as_root("dpkg").args(["--add-architecture", arch.debian()]))?;
            }
        }
        // One unreachable source of many makes an update fail, and the packages may still be in the others.
        if let Err(error) = command::run(as_root("apt-get").args(["update", "--quiet=2"])) {
            println!(
                "{} {error:#}",
                terminal::yellow("going on with the lists that there are:")
            );
        }
        command::run(
            as_root("apt-get")
                .args([
                    "install",
                    "--yes",
                    "--quiet=2",
                    "--no-install-recommends",
                    "-o",
                    "Acquire::Retries=3",
                    "-o",
                    "DPkg::Lock::Timeout=300",
                    "-o",
                    "Dpkg::Use-Pty=0",
                ])
                .args(&self.names),
        )
    }
}

/// A command with the rights to install packages, that does not stop to ask how to configure them.
fn as_root(program: &str) -> Command {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = command(if is_root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    command
}
