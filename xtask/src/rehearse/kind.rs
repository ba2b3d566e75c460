//! The two pipelines, told apart: what each calls its parts, what it publishes to, and how its run is found again.

use anyhow::{Result, bail, ensure};

use super::fault::Registry;
use super::report::Report;
use super::{Run, circleci, codepipeline};
use crate::arch::Arch;
use crate::cloud::Session;
use crate::workspace::Workspace;

/// A pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.circleci/config.yml`
    Circleci,
    /// `codepipeline.yml` and the buildspecs.
    Codepipeline,
}

/// A part that both have, whatever they call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The tests of the code.
    Test,
    /// Something with the image of one architecture.
    Image(Stage, Arch),
    /// The images are joined.
    Manifest,
    /// The service of one architecture is updated.
    Deploy(Arch),
    /// The service of one architecture goes back to what the last good run deployed.
    TakeBack(Arch),
    /// The gate.
    Prove,
}

/// What is done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Build,
    Test,
    Publish,
}

impl Part {
    /// All of a run that goes forward.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let stages = [Stage::Build, Stage::Test, Stage::Publish];
        let images = stages
            .into_iter()
            .flat_map(|stage| Arch::ALL.map(|arch| Self::Image(stage, arch)));
        [Self::Test, Self::Manifest, Self::Prove]
            .into_iter()
            .chain(images)
            .chain(Arch::ALL.map(Self::Deploy))
    }
}

impl Kind {
    /// What the job or the action is called.
    pub(super) fn name_of(self, part: Part) -> String {
        match (self, part) {
            (Self::Circleci, Part::Test) => "Test".to_owned(),
            (Self::Circleci, Part::Image(stage, arch)) => format!("{stage:?} {} image", arch.debian()),
            (Self::Circleci, Part::Manifest) => "Publish manifest".to_owned(),
            (Self::Circleci, Part::Prove) => "Prove".to_owned(),
            (Self::Circleci, Part::Deploy(arch)) => format!("Deploy {}", arch.debian()),
            // It takes nothing back. The other one has no tests but those of the images.
            (Self::Circleci, Part::TakeBack(_)) | (Self::Codepipeline, Part::Test) => String::new(),
            // All of it in one build.
            (Self::Codepipeline, Part::Image(_, arch)) => {
                format!("Build_image: Build_app_{}", arch.debian())
            }
            (Self::Codepipeline, Part::Manifest) => "Build_manifest: Build_manifest".to_owned(),
            (Self::Codepipeline, Part::Prove) => "Verify: Verify".to_owned(),
            (Self::Codepipeline, Part::Deploy(arch)) => format!("Deploy: Deploy_{}", arch.debian()),
            (Self::Codepipeline, Part::TakeBack(arch)) => {
                format!("Deploy, rolled back: Deploy_{}", arch.debian())
            }
        }
    }

    /// What it publishes to.
    pub(super) fn registry(self) -> Registry {
        match self {
            Self::Circleci => Registry {
                service: "ecr-public",
                suffix: Arch::debian,
                moves: Some("latest"),
                overwrites: true,
            },
            Self::Codepipeline => Registry {
                service: "ecr",
                suffix: |arch| match arch {
                    Arch::X86_64 => "amd64",
                    Arch::Aarch64 => "arm64v8",
                },
                moves: None,
                overwrites: false,
            },
        }
    }

    /// The tag of a commit.
    pub(super) fn tag(self, commit: &str) -> String {
        match self {
            Self::Circleci => commit.to_owned(),
            Self::Codepipeline => commit.chars().take(7).collect(),
        }
    }

    /// What has to be there before the first run.
    pub(super) fn prepare(self, workspace: &Workspace, session: &Session) -> Result<()> {
        match self {
            Self::Circleci => circleci::prepare(workspace, session),
            Self::Codepipeline => codepipeline::prepare(workspace, session),
        }
    }

    /// Runs it; fails when it cannot be rehearsed, and not when one of its parts fails.
    pub(super) fn run(self, run: &Run) -> Result<Report> {
        match self {
            Self::Circleci => circleci::run(run),
            Self::Codepipeline => codepipeline::run(run),
        }
    }

    /// Whether a link is to a job or a build of the run with this number.
    pub(super) fn is_of_the_run(self, link: &str, number: u32) -> bool {
        match self {
            Self::Circleci => circleci::is_of_the_run(link, number),
            Self::Codepipeline => codepipeline::is_of_the_run(link, number),
        }
    }

    /// That of two runs at the same time only one at a time did what others see; fails otherwise.
    pub(super) fn one_after_the_other(self, one: &Report, other: &Report) -> Result<()> {
        let first = match self {
            Self::Circleci => Part::Image(Stage::Publish, Arch::X86_64),
            // Its stages are taken one by one.
            Self::Codepipeline => Part::Deploy(Arch::X86_64),
        };
        let both = [one, other].map(|report| {
            let (began, _) = report.time(&self.name_of(first))?;
            let (_, ended) = report.time(&self.name_of(Part::Deploy(Arch::Aarch64)))?;
            Some((began, ended))
        });
        let [Some(one), Some(other)] = both else {
            bail!("one of the two did not come to the deployment");
        };
        ensure!(
            one.1 <= other.0,
            "the second run began to release when the first had not ended: both would deploy at once"
        );
        Ok(())
    }
}
