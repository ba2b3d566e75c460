//! Everything that this process knows of itself, gathered once at start; only the deployment may become known later.

use crate::arch::Arch;
use crate::build_info::BuildInfo;
use crate::build_report::{BuildKeys, BuildReport, RunsOn};
use crate::circleci::CircleCi;
use crate::codebuild::CodeBuild;
use crate::deployment::{Deployment, Status};
use crate::environment::Environment;
use crate::host::{Host, Started, SystemInfo};
use crate::image::Image;
use crate::text;
use crate::whoami::WhoAmI;

/// The facts that do not change while the process lives.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The variables that facts are read from.
    pub environment: Environment,
    /// The binary.
    pub build: BuildInfo,
    /// The machine and the process.
    pub host: Host,
    /// Names this process, at random.
    pub instance: String,
    circleci: Option<CircleCi>,
    codebuild: Option<CodeBuild>,
}

impl Facts {
    /// Gathers the facts.
    pub fn gather(environment: Environment, started: Started) -> Self {
        Self {
            build: BuildInfo::of_this_binary(),
            host: Host::read(started),
            instance: format!("{:032x}", fastrand::u128(..)),
            circleci: CircleCi::from_environment(&environment),
            codebuild: CodeBuild::from_environment(&environment),
            environment,
        }
    }

    /// Where ECS task metadata is to be had, when this runs on ECS.
    pub fn metadata_endpoint(&self) -> Option<String> {
        self.environment.get("ECS_CONTAINER_METADATA_URI_V4")
    }

    /// The deployment before the endpoint has been asked.
    pub fn deployment_at_start(&self) -> Deployment {
        let on_ecs = self.metadata_endpoint().is_some();
        Deployment::unknown(if on_ecs { Status::Asking } else { Status::NotOnEcs })
    }

    /// Who answers.
    pub fn who_am_i(&self, deployment: &Deployment) -> WhoAmI {
        WhoAmI {
            arch: Arch::COMPILED,
            emulator: self.host.machine.emulator.clone(),
            hostname: self.host.hostname.clone(),
            cpu: self.host.cpu.model.clone(),
            cpus: self.host.cpu.cores,
            instance: self.instance.clone(),
            started: text::rfc3339(self.host.started.at),
            task: deployment.task(),
            zone: deployment.zone.clone(),
            version: self.build.version.clone(),
            commit: self.build.commit.clone(),
            image_digest: deployment.image_digest.clone(),
        }
    }

    /// Which build this is.
    pub fn build_report(&self, deployment: &Deployment) -> BuildReport {
        let by_hand = self.environment.get("BIFORA_IMAGE");
        let reference = deployment.image.as_deref().or(by_hand.as_deref());
        let origin = match (&self.circleci, &self.codebuild) {
            (Some(circleci), _) => circleci.origin(),
            (None, Some(codebuild)) => codebuild.origin(),
            (None, None) if deployment.status == Status::NotOnEcs => "local build".to_owned(),
            // An image on ECS was built somewhere, and nothing says where.
            (None, None) => "origin not known: no variable of CircleCI or CodeBuild is set".to_owned(),
        };
        BuildReport {
            origin,
            version_name: self.environment.get("VERSION"),
            binary: self.build.clone(),
            circleci: self.circleci.clone(),
            codebuild: self.codebuild.clone(),
            image: Image::new(
                reference,
                deployment.image_digest.as_deref(),
                Arch::COMPILED.platform(),
            ),
            runs_on: RunsOn {
                arch: Arch::COMPILED,
                emulator: self.host.machine.emulator.clone(),
                cpu: self.host.cpu.model.clone(),
                deployment: deployment.clone(),
            },
        }
    }

    /// The six keys of `GET /build`.
    pub fn build_keys(&self) -> BuildKeys {
        BuildKeys::from_environment(&self.environment)
    }

    /// The system at this moment.
    pub fn system_info(&self) -> SystemInfo {
        self.host.now(self.environment.names())
    }
}
