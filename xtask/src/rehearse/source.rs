//! The repository that a pipeline is run for: a copy of this one, and commits on top of what is checked out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{self, command, read};
use crate::workspace::Workspace;

/// A copy of what is checked out, uncommitted changes included.
pub(super) struct Repository {
    folder: PathBuf,
    /// What all changes are made to.
    base: String,
    /// Of every commit: the time of what is checked out, so that the same change is the same commit, which is built once.
    time: String,
}

/// One file, changed.
pub(super) struct Change {
    pub(super) file: &'static str,
    pub(super) edit: fn(&str) -> String,
}

/// A commit that is pushed.
#[derive(Clone)]
pub(super) struct Source {
    folder: PathBuf,
    /// Full hash.
    pub(super) commit: String,
}

impl Repository {
    /// Copies it into a folder that is made.
    pub(super) fn copy(workspace: &Workspace, folder: PathBuf) -> Result<Self> {
        command::run(
            command("git")
                .args(["clone", "--quiet"])
                .arg(&workspace.root)
                .arg(&folder),
        )?;
        workspace.copy_files(&folder)?;
        let mut repository = Self {
            folder,
            base: String::new(),
            time: String::new(),
        };
        repository.time = repository.git(&["log", "-1", "--format=%cI"])?;
        repository.git(&["checkout", "--quiet", "-B", "main"])?;
        if !repository.git(&["status", "--porcelain"])?.is_empty() {
            repository.commit("What is not committed yet")?;
        }
        repository.base = repository.git(&["rev-parse", "HEAD"])?;
        Ok(repository)
    }

    /// Commits changes to what is checked out, on a branch that has this name here.
    pub(super) fn push(&self, name: &str, changes: &[Change]) -> Result<Source> {
        self.git(&[
            "checkout",
            "--quiet",
            "-B",
            &format!("rehearsal/{name}"),
            &self.base,
        ])?;
        for change in changes {
            let path = self.folder.join(change.file);
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let edited = (change.edit)(&text);
            ensure!(
                edited != text,
                "{} has no longer what the rehearsal of {name} changes in it",
                change.file
            );
            fs::write(&path, edited).with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.commit(&format!("To rehearse: {name}"))?;
        Ok(Source {
            folder: self.folder.clone(),
            commit: self.git(&["rev-parse", "HEAD"])?,
        })
    }

    /// Commits everything, under a name that needs no settings.
    fn commit(&self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        read(
            command("git")
                .args([
                    "-c",
                    "user.name=Rehearsal",
                    "-c",
                    "user.email=rehearsal@example.com",
                ])
                .args(["commit", "--quiet", "--message", message])
                .env("GIT_AUTHOR_DATE", &self.time)
                .env("GIT_COMMITTER_DATE", &self.time)
                .current_dir(&self.folder),
        )
        .map(drop)
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        git(&self.folder, arguments)
    }
}

impl Source {
    /// A file of the commit.
    pub(super) fn file(&self, path: &str) -> Result<String> {
        read(
            command("git")
                .args(["show", &format!("{}:{path}", self.commit)])
                .current_dir(&self.folder),
        )
        .with_context(|| format!("the commit has no {path}"))
    }

    /// When its author wrote it, RFC 3339.
    pub(super) fn time(&self) -> Result<String> {
        git(&self.folder, &["log", "-1", "--format=%aI", &self.commit])
    }

    /// Checks it out into an empty folder, as pipelines do.
    pub(super) fn check_out(&self, into: &Path) -> Result<()> {
        read(
            command("git")
                .args(["clone", "--quiet"])
                .arg(&self.folder)
                .arg(into),
        )?;
        git(into, &["checkout", "--quiet", &self.commit]).map(drop)
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    read(command("git").args(arguments).current_dir(folder)).map(|text| text.trim().to_owned())
}
