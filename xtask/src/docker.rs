//! Which container engine builds images: the local cloud's, the machine's own, or one that is started for the purpose.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::arch::Arch;
use crate::cloud::{Engine, Place, Temporary};
use crate::command::{command, read, succeeds};
use crate::setup::Consent;
use crate::workspace::Workspace;

/// A client of the engine that was chosen.
pub(crate) struct Docker {
    /// Its program and the variables that lead it to its engine.
    program: OsString,
    environment: Vec<(&'static str, OsString)>,
    /// Whether the engine keeps several platforms under one tag.
    keeps_platforms: bool,
    /// An engine that was started for this, and ends with it.
    _temporary: Option<Temporary>,
}

impl Docker {
    /// The local cloud's engine if it runs, else the machine's own, else one that is started and ends with the result.
    pub(crate) fn find(workspace: &Workspace, consent: Consent) -> Result<Self> {
        let place = Place::find()?;
        let engine = Engine::of(&place);
        if engine.daemon().pid().is_some() {
            return Ok(Self::of(&engine));
        }
        if succeeds(command("docker").args(["version", "--format", "{{.Server.Version}}"]))
            && succeeds(command("docker").args(["buildx", "version"]))
        {
            let driver = read(command("docker").args(["info", "--format", "{{.DriverStatus}}"]))?;
            return Ok(Self {
                program: "docker".into(),
                environment: Vec::new(),
                keeps_platforms: driver.contains("io.containerd.snapshotter"),
                _temporary: None,
            });
        }
        let temporary = Temporary::start(workspace, place, consent)?;
        let docker = Self::of(&temporary.engine());
        Ok(Self {
            _temporary: Some(temporary),
            ..docker
        })
    }

    /// The engine of the local cloud.
    pub(crate) fn of(engine: &Engine) -> Self {
        Self {
            program: engine.docker().get_program().to_owned(),
            environment: engine.environment(),
            keeps_platforms: true,
            _temporary: None,
        }
    }

    /// `docker`, and what follows is up to the caller.
    pub(crate) fn command(&self) -> Command {
        let mut docker = command(&self.program);
        docker.envs(self.environment.iter().map(|(name, value)| (name, value)));
        docker
    }

    /// Fails unless the engine can keep an image of all these architectures under one tag.
    pub(crate) fn require_platforms(&self, archs: &[Arch]) -> Result<()> {
        if archs.len() > 1 && !self.keeps_platforms {
            bail!(
                "this engine keeps one platform under a tag: switch its containerd image store on \
                 (https://docs.docker.com/engine/storage/containerd/), or build with --arch, one at a time"
            );
        }
        Ok(())
    }
}
