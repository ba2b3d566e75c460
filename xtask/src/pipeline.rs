//! The files of the two pipelines, read as CircleCI, CodePipeline and CodeBuild would, and held against each other.
//!
//! A schema says that a word may stand at a place. That a job, a command or a variable of this name exists, that what one
//! stage reads another has made, and that three files mean the same service, is seen only by who reads all of them.

pub(crate) mod buildspec;
pub(crate) mod circleci;
pub(crate) mod codepipeline;
pub(crate) mod lint;
mod orbs;
mod shell;
mod yaml;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Says everything that is wrong with the pipelines' files, and fails if there is anything.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let findings = lint::lint(&workspace.root);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("one mistake in the pipelines"),
        count => bail!("{count} mistakes in the pipelines"),
    }
}
