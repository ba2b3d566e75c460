//! Where things are: the root of the repository, cargo's target directory, and what this program puts below it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command;

/// The folders of this checkout.
pub(crate) struct Workspace {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, `target` unless the developer has configured another.
    pub(crate) target: PathBuf,
    /// The oldest Rust release that may compile Bifora, from `rust-version`.
    pub(crate) oldest_rust: String,
}

impl Workspace {
    /// Asks cargo, from wherever in the repository this program was started.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets it again for each run; the value from compile time would be wrong in a checkout that was moved.
        let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = crate_folder
            .parent()
            .context("xtask has no folder above it")?
            .to_owned();
        let metadata = command::read(
            command::cargo()
                .args(["metadata", "--no-deps", "--format-version", "1"])
                .current_dir(&root),
        )?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target_directory")?
            .into();
        let package = metadata["packages"]
            .as_array()
            .and_then(|packages| packages.iter().find(|package| package["name"] == "bifora"))
            .context("the workspace has no package `bifora`")?;
        let oldest_rust = package["rust_version"]
            .as_str()
            .context("`bifora` has no rust-version")?
            .to_owned();
        Ok(Self {
            root,
            target,
            oldest_rust,
        })
    }

    /// Where finished binaries are put.
    pub(crate) fn dist(&self) -> PathBuf {
        self.target.join("dist")
    }

    /// Where programs are installed that only this repository uses.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The browser tests.
    pub(crate) fn browser_tests(&self) -> PathBuf {
        self.root.join("tests/browser")
    }

    /// The files of the repository, as paths from its root: those that git has, and those that it would not ignore. One
    /// that was removed and not committed is among them.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let files = command::read(command::command("git").args(list).current_dir(&self.root))?;
        Ok(files
            .split('\0')
            .filter(|file| !file.is_empty())
            .map(PathBuf::from)
            .collect())
    }

    /// Copies these files into another folder.
    pub(crate) fn copy_files(&self, into: &Path) -> Result<()> {
        for file in self.files()? {
            let (from, to) = (self.root.join(&file), into.join(&file));
            if from.is_file() {
                std::fs::create_dir_all(to.parent().context("a file is in a folder")?)
                    .and_then(|()| std::fs::copy(&from, &to))
                    .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
            }
        }
        Ok(())
    }

    /// `path` as it is typed from the root of the repository.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
