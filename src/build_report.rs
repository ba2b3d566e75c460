//! Which build this is, from every side: the binary itself, the CI run, the image, the place where it runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;
use crate::build_info::{self, BuildInfo};
use crate::circleci::CircleCi;
use crate::codebuild::CodeBuild;
use crate::deployment::Deployment;
use crate::environment::Environment;
use crate::image::Image;
use crate::report::Section;

/// The answer of `/api/build`, and a part of `bifora info --json`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct BuildReport {
    /// Where the build was made, in a few words: `local build`, `CircleCI job 42`, `CodeBuild build 7`.
    pub origin: String,
    /// `VERSION`: what the pipeline calls this build.
    pub version_name: Option<String>,
    /// The binary.
    pub binary: BuildInfo,
    /// The CircleCI run; `null` when none of its variables is set.
    pub circleci: Option<CircleCi>,
    /// The CodeBuild build; `null` when none of its variables is set.
    pub codebuild: Option<CodeBuild>,
    /// The image.
    pub image: Image,
    /// The place.
    pub runs_on: RunsOn,
}

/// Where a build runs.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct RunsOn {
    /// Architecture of the running binary.
    pub arch: Arch,
    /// What translates its instructions; `null` when it runs natively.
    pub emulator: Option<String>,
    /// CPU model.
    pub cpu: Option<String>,
    /// ECS.
    pub deployment: Deployment,
}

/// The six keys of `GET /build`, as users of the workshop know them; `null` is "unset or empty".
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct BuildKeys {
    /// What the pipeline calls this build.
    pub version: Option<String>,
    /// The CircleCI job.
    pub circle_build_url: Option<String>,
    /// The commit.
    pub circle_sha1: Option<String>,
    /// Who triggered the run.
    pub circle_username: Option<String>,
    /// Number of the job; a text.
    pub circle_build_num: Option<String>,
    /// Architecture of the running binary, whatever the environment says.
    pub arch: Arch,
}

impl BuildKeys {
    /// Reads the keys from the environment.
    pub fn from_environment(env: &Environment) -> Self {
        Self {
            version: env.get("VERSION"),
            circle_build_url: env.get("CIRCLE_BUILD_URL"),
            circle_sha1: env.get("CIRCLE_SHA1"),
            circle_username: env.get("CIRCLE_USERNAME"),
            circle_build_num: env.get("CIRCLE_BUILD_NUM"),
            arch: Arch::COMPILED,
        }
    }
}

impl BuildReport {
    /// The facts as people read them, in the order of the build-info page.
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.this_build()];
        sections.extend(self.circleci.as_ref().map(CircleCi::section));
        sections.extend(self.codebuild.as_ref().map(CodeBuild::section));
        sections.push(self.image.section());
        sections.push(self.runs_on.section());
        sections
    }

    fn this_build(&self) -> Section {
        let build = &self.binary;
        let (circleci, codebuild) = (self.circleci.as_ref(), self.codebuild.as_ref());
        let by_ci = circleci
            .and_then(|c| c.sha1.as_ref())
            .or_else(|| codebuild.and_then(|c| c.commit.as_ref()));
        let commit = build.commit.as_ref().or(by_ci);
        let commit_link = circleci
            .and_then(|c| c.links.commit.clone())
            .or_else(|| codebuild.and_then(|c| c.links.commit.clone()))
            .filter(|link| commit.is_some_and(|commit| link.as_str().rsplit('/').next() == Some(commit)));
        let pull_request = circleci.and_then(|c| c.pull_request.as_ref());
        let (ref_label, reference) = match circleci.and_then(|c| c.tag.as_ref()) {
            Some(tag) => ("Tag", Some(tag)),
            None => (
                "Branch",
                circleci
                    .and_then(|c| c.branch.as_ref())
                    .or_else(|| codebuild.and_then(|c| c.branch.as_ref()))
                    .or(build.branch.as_ref()),
            ),
        };
        let tree = build.dirty.map(|dirty| {
            if dirty {
                "modified since the commit (dirty)"
            } else {
                "clean"
            }
        });
        let dependencies: Vec<_> = build
            .dependencies
            .iter()
            .map(|d| format!("{} {}", d.name, d.version))
            .collect();
        let mut section = Section::new("build", "This build")
            .known("Version", &build.version)
            .row(
                "Pipeline version",
                self.version_name.as_ref(),
                "set VERSION in the pipeline",
            )
            .linked(
                "Commit",
                commit,
                commit_link,
                "read from git at build time; without git, set VERGEN_GIT_SHA",
            )
            .row(
                "Committed",
                build.commit_time.as_ref(),
                "read from git at build time; without git, set VERGEN_GIT_COMMIT_TIMESTAMP",
            )
            .row(
                ref_label,
                reference,
                "read from CI or git; without either, set VERGEN_GIT_BRANCH at build time",
            )
            .linked(
                "Pull request",
                pull_request,
                circleci.and_then(|c| c.links.pull_request.clone()),
                "CircleCI sets CIRCLE_PULL_REQUEST when there is one",
            )
            .row("Built", build.built.as_ref(), "set by the build script")
            .known("Compiler", &build.rustc)
            .known("Target", &build.target)
            .known("Profile", &build.profile)
            .row(
                "Working tree",
                tree,
                "read from git at build time; without git, set VERGEN_GIT_DIRTY",
            )
            .row(
                "Dependencies",
                Some(dependencies.join(", ")).filter(|d| !d.is_empty()),
                "read from Cargo.lock at build time",
            );
        if let (Some(compiled), Some(ci)) = (&build.commit, by_ci)
            && !compiled.starts_with(ci.as_str())
            && !ci.starts_with(compiled.as_str())
        {
            section.note = Some(format!(
                "The binary was compiled from {}, but the CI variables say {}.",
                build_info::short(Some(compiled)),
                build_info::short(Some(ci)),
            ));
        }
        section
    }
}

impl RunsOn {
    fn section(&self) -> Section {
        let deployment = &self.deployment;
        let how = deployment.how();
        let arch = match &self.emulator {
            Some(emulator) => format!("{}, emulated by {emulator}", self.arch),
            None => self.arch.to_string(),
        };
        let mut section = Section::new("runs-on", "Runs on")
            .known("Architecture", arch)
            .row(
                "CPU",
                self.cpu.as_ref(),
                "read from /proc/cpuinfo, which does not name it here",
            )
            .row("Cluster", deployment.cluster.as_ref(), how)
            .row("Service", deployment.service.as_ref(), how)
            .linked("Task", deployment.task(), deployment.task_link(), how)
            .row("Container", deployment.container.as_ref(), how)
            .row("Task definition", deployment.family.as_ref(), how)
            .row("Revision", deployment.revision.as_ref(), how)
            .row("Zone", deployment.zone.as_ref(), how)
            .row("Launch type", deployment.launch_type.as_ref(), how);
        section.note = deployment
            .reason
            .as_ref()
            .map(|reason| format!("ECS task metadata is unavailable: {reason}."));
        section
    }
}
