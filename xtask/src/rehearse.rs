//! `cargo xtask rehearse`: reads a pipeline's files and runs them on this machine, against the local cloud.

mod circleci;
mod codepipeline;
mod ecs;
mod host;
mod report;
mod source;
mod stand_ins;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use crate::arch::Arch;
use crate::cloud::{self, Session, Visitors};
use crate::requirement::Requirement;
use crate::setup::{self, Consent};
use crate::terminal;
use crate::workspace::Workspace;

use report::Report;
use source::Source;

/// Run a pipeline on this machine, from its own files, until it has deployed itself to the local cloud
///
/// The local cloud starts with what is checked out; the pipeline is run for a commit with a change. Visitors come all the while.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pipeline: Pipeline,
}

#[derive(Subcommand)]
enum Pipeline {
    /// `.circleci/config.yml`
    Circleci {
        #[command(flatten)]
        consent: Consent,
    },
    /// `infra/cloudformation/codepipeline.yml`, with `buildspec.yml` and `buildspec_manifest.yml`
    Codepipeline {
        #[command(flatten)]
        consent: Consent,
    },
}

/// The local cloud, and what the scripts of the pipelines need.
pub(crate) const REQUIREMENTS: [Requirement; 14] = {
    let [a, b, c, d, e, f, g, h, i, j, k] = cloud::REQUIREMENTS;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        Requirement::Curl,
        Requirement::Jq,
        Requirement::Openssl,
    ]
};

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (consent, pipeline) = match &arguments.pipeline {
        Pipeline::Circleci { consent } => (*consent, CIRCLECI),
        Pipeline::Codepipeline { consent } => (*consent, CODEPIPELINE),
    };
    setup::ensure(workspace, REQUIREMENTS, consent)?;
    rehearse(workspace, &pipeline)
}

/// How one of the pipelines is run, and how its run is found again on the page of what it has deployed.
pub(crate) struct Rehearsed {
    run: fn(&Workspace, &Session, &Source, &Path, &mut Report) -> Result<()>,
    is_of_the_run: fn(&str) -> bool,
}

/// CircleCI's.
pub(crate) const CIRCLECI: Rehearsed = Rehearsed {
    run: circleci::run,
    is_of_the_run: circleci::is_of_the_run,
};

/// CodePipeline's.
pub(crate) const CODEPIPELINE: Rehearsed = Rehearsed {
    run: codepipeline::run,
    is_of_the_run: codepipeline::is_of_the_run,
};

/// Starts the local cloud with what is checked out, and has a pipeline deploy a commit with a change there.
pub(crate) fn rehearse(workspace: &Workspace, pipeline: &Rehearsed) -> Result<()> {
    let session = Session::start(workspace)?;
    let folder = Folder::create(workspace)?;
    let source = Source::with_a_change(workspace, &folder.0)?;
    println!(
        "{}",
        terminal::bold(&format!("━━ the pipeline, for commit {}", source.commit))
    );
    let visitors = Visitors::start(&session)?;
    let mut report = Report::default();
    let result = (pipeline.run)(workspace, &session, &source, &folder.0, &mut report);
    let visitors = visitors.finish()?;
    report.print();
    result?;
    let failed = report.failed();
    ensure!(
        failed.is_empty(),
        "did not pass: {} (the logs are in {})",
        failed.join(", "),
        folder.0.display()
    );
    let link = deployed_run(&session, &source, pipeline.is_of_the_run)?;
    println!("Both architectures answer with the new commit, and build info links to {link}");
    println!(
        "{} requests of visitors meanwhile, {} failed",
        visitors.requests, visitors.failed
    );
    ensure!(visitors.failed == 0, "visitors saw failed requests");
    Ok(())
}

/// Asks both architectures which commit they are of, and returns the links to the run that their pages have.
fn deployed_run(session: &Session, source: &Source, is_of_the_run: fn(&str) -> bool) -> Result<String> {
    let mut links = Vec::new();
    for arch in Arch::ALL {
        let answer = session.ask("/api/build", arch)?;
        let commit = &answer["binary"]["commit"];
        ensure!(
            *commit == source.commit,
            "{} answers with commit {commit}",
            arch.name()
        );
        let text = answer.to_string();
        let link = text
            .split('"')
            .find(|part| is_of_the_run(part))
            .with_context(|| format!("{} links to no run: {text}", arch.name()))?;
        links.push(link.to_owned());
    }
    Ok(links.join(" and "))
}

/// A folder for one rehearsal. It stays until the next one, to be looked at.
struct Folder(PathBuf);

impl Folder {
    fn create(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("rehearsal");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!(
                    "cannot remove what the last rehearsal has left in {}: {error}",
                    folder.display()
                )
            }
            _ => {
                fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            }
        }
        Ok(Self(folder))
    }
}
