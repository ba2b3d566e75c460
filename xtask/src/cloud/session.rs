//! A local cloud for the length of a test.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::engine::Engine;
use super::load::Client;
use super::local_aws::LocalAws;
use super::place::Place;
use super::stack::Stack;
use super::state::State;
use super::{down, require_root, up};
use crate::arch::Arch;
use crate::command;
use crate::docker::Docker;
use crate::interrupt;
use crate::workspace::Workspace;

/// The file of the local AWS that says which pushes its registries refuse.
const REFUSED: &str = "aws/refused-push";

/// A running cloud with the service in it. Dropping it ends it.
pub(crate) struct Session {
    place: Place,
    state: State,
    _lock: File,
}

impl Session {
    /// Starts it with what is checked out. One that runs already is somebody's, and left alone.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        require_root()?;
        let place = Place::find()?;
        let lock = place.lock()?;
        if State::running(&place).is_some() {
            bail!(
                "the local cloud is running, and the tests need one of their own: `cargo xtask cloud down` first"
            );
        }
        let mut session = Self {
            state: up::begin(&place, up::DEFAULT_PORTS)?,
            place,
            _lock: lock,
        };
        let address = up::run_all(workspace, &session.place, &session.state, &[])?;
        session.state.address = Some(address);
        Ok(session)
    }

    /// The variables by which the tests find it.
    pub(crate) fn environment(&self, workspace: &Workspace) -> Result<Vec<(&'static str, OsString)>> {
        let engine = Engine::of(&self.place);
        let aws = LocalAws::of(&self.place, workspace).aws(self.state.ports);
        let mut variables = engine.environment();
        variables.extend(LocalAws::environment(self.state.ports));
        variables.extend([
            ("BIFORA_CLOUD_ADDRESS", self.state.require_address()?.into()),
            ("BIFORA_AWS", aws.get_program().to_owned()),
            ("BIFORA_DOCKER", engine.docker().get_program().to_owned()),
            (
                "BIFORA_XTASK",
                std::env::current_exe()
                    .context("this program has no path")?
                    .into(),
            ),
        ]);
        Ok(variables)
    }
}

/// What steps of a pipeline are given, and what is asked about what they have done.
impl Session {
    /// An answer of the AWS command line.
    pub(crate) fn aws(&self, workspace: &Workspace, words: &[&str]) -> Result<Value> {
        let aws = LocalAws::of(&self.place, workspace);
        Stack::of(&aws, self.state.ports).ask(words)
    }

    /// Creates or updates a stack.
    pub(crate) fn deploy_stack(
        &self,
        workspace: &Workspace,
        name: &str,
        template: &str,
        parameters: &[String],
    ) -> Result<()> {
        let aws = LocalAws::of(&self.place, workspace);
        Stack::of(&aws, self.state.ports).deploy_one(name, template, parameters)
    }

    /// The JSON answer of a path, from a task of this architecture, through the load balancer.
    pub(crate) fn ask(&self, path: &str, arch: Arch) -> Result<Value> {
        let client = Client::of(&self.state, Some(arch))?;
        client
            .get(path)
            .map_err(|error| anyhow!("{path} on {}: {error}", arch.name()))
    }

    /// Has the registries refuse pushes to addresses that end like this, from now on.
    pub(crate) fn refuse_pushes(&self, address: &str) -> Result<()> {
        let file = self.place.run_file(REFUSED);
        std::fs::write(&file, address).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Has them take everything again.
    pub(crate) fn accept_pushes(&self) -> Result<()> {
        let file = self.place.run_file(REFUSED);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// Builds the image that a folder describes, for one architecture, pushes it under a tag, and returns it with its digest.
    pub(crate) fn push_image(&self, folder: &Path, arch: Arch, tag: &str) -> Result<String> {
        let docker = Docker::of(&Engine::of(&self.place));
        let image = format!("{}/{}:{tag}", super::engine::REGISTRY, crate::image::NAME);
        let platform = ["--load", "--platform", arch.platform(), "--tag", &image];
        command::read(
            docker
                .command()
                .args(["buildx", "build", "--quiet", "--provenance=false", "--sbom=false"])
                .args(platform)
                .arg(folder),
        )?;
        command::read(docker.command().args(["push", "--quiet", &image]))?;
        let digest = command::read(
            docker
                .command()
                .args(["image", "inspect", "--format", "{{.Id}}", &image]),
        )?;
        Ok(format!("{image}@{}", digest.trim()))
    }

    /// The folder of the AWS command line.
    pub(crate) fn aws_folder(&self) -> PathBuf {
        self.place.python().join("bin")
    }

    /// The authorities that vouch for the registries played here, and everybody else's.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.place.tls().join("bundle.crt")
    }

    /// The key of the issuer of tokens that is played here.
    pub(crate) fn oidc_key(&self) -> PathBuf {
        self.place.tls().join("oidc.key")
    }

    /// The hosts file in which the registries' names lead here.
    pub(crate) fn hosts(&self) -> PathBuf {
        self.place.run_file("hosts")
    }

    /// What `Visitors` need to know.
    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        down::clean(&self.place);
        interrupt::forget();
    }
}
