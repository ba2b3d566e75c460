//! The repository that a pipeline is run for: a copy of this one with a change in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{self, command, read};
use crate::workspace::Workspace;

/// A repository with the commit that is pushed.
pub(super) struct Source {
    pub(super) folder: PathBuf,
    /// Full hash.
    pub(super) commit: String,
}

impl Source {
    /// Copies what is checked out, uncommitted changes included, and commits a change that visitors could see.
    pub(super) fn with_a_change(workspace: &Workspace, folder: &Path) -> Result<Self> {
        let source = folder.join("repository");
        command::run(
            command("git")
                .args(["clone", "--quiet"])
                .arg(&workspace.root)
                .arg(&source),
        )?;
        workspace.copy_files(&source)?;
        let mut source = Self {
            folder: source,
            commit: String::new(),
        };
        source.git(&["checkout", "--quiet", "-B", "main"])?;
        source.change("static/style.css", |text| {
            format!("{text}\n/* A change to rehearse with. */\n")
        })?;
        source.commit("A change to rehearse with")?;
        Ok(source)
    }

    /// Edits a file.
    pub(super) fn change(&self, file: &str, edit: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, edit(text)).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Commits everything, under a name that needs no settings.
    pub(super) fn commit(&mut self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        let who = [
            "-c",
            "user.name=Rehearsal",
            "-c",
            "user.email=rehearsal@example.com",
        ];
        self.git(&[&who[..], &["commit", "--quiet", "--message", message]].concat())?;
        self.commit = self.git(&["rev-parse", "HEAD"])?;
        Ok(())
    }

    /// Checks the commit out into an empty folder, as pipelines do.
    pub(super) fn check_out(&self, into: &Path) -> Result<()> {
        read(
            command("git")
                .args(["clone", "--quiet"])
                .arg(&self.folder)
                .arg(into),
        )?;
        read(
            command("git")
                .args(["checkout", "--quiet", &self.commit])
                .current_dir(into),
        )
        .map(drop)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        read(command("git").args(arguments).current_dir(&self.folder)).map(|text| text.trim().to_owned())
    }
}
