//! A local cloud for the length of a test.

use std::ffi::OsString;
use std::fs::File;

use anyhow::{Context, Result, bail};

use super::engine::Engine;
use super::local_aws::LocalAws;
use super::place::Place;
use super::state::State;
use super::{down, require_root, up};
use crate::interrupt;
use crate::workspace::Workspace;

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

impl Drop for Session {
    fn drop(&mut self) {
        down::clean(&self.place);
        interrupt::forget();
    }
}
