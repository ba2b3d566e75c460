//! Python packages, each set of them in a virtual environment of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{self, command, succeeds};

/// The copy of the list of requirements that is left when they have been installed.
const MARKER: &str = "requirements.txt";

/// Whether the machine's Python makes virtual environments.
pub(crate) fn makes_environments() -> bool {
    succeeds(command("python3").args(["-c", "import venv, ensurepip"]))
}

/// Whether `folder` holds what the list `requirements` names now.
pub(crate) fn is_installed(folder: &Path, requirements: &Path) -> bool {
    let installed = fs::read(folder.join(MARKER));
    // The Python that it was made with may have gone since.
    matches!((installed, fs::read(requirements)), (Ok(installed), Ok(wanted)) if installed == wanted)
        && folder.join("bin/python3").exists()
}

/// Installs what the list `requirements` names into `folder`, in place of what is there.
pub(crate) fn install(folder: &Path, requirements: &Path) -> Result<()> {
    fs::remove_dir_all(folder).ok();
    command::run(command("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = command(folder.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--requirement",
    ]);
    command::run(pip.arg(requirements))?;
    fs::copy(requirements, folder.join(MARKER))
        .map(drop)
        .with_context(|| format!("cannot note in {} what was installed", folder.display()))
}
