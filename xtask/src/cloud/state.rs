//! What is known of the local cloud that runs.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::{Daemon, Ports};

/// Written when it is started, and gone when it has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// Where it listens.
    pub(crate) ports: Ports,
    /// Where the service answers, once it does.
    pub(crate) address: Option<String>,
}

impl State {
    /// Of the cloud that runs, whole; none if there is no such.
    pub(crate) fn running(place: &Place) -> Option<Self> {
        let alive = ["engine", "aws"]
            .iter()
            .all(|name| Daemon::of(place, name).pid().is_some());
        if alive { Self::read(place) } else { None }
    }

    /// Of the cloud that runs; the error says how to start one.
    pub(crate) fn require(place: &Place) -> Result<Self> {
        match Self::running(place) {
            Some(state) => Ok(state),
            None => bail!("the local cloud is not running; `cargo xtask cloud up` starts it"),
        }
    }

    /// What was written last, whether or not it runs.
    pub(crate) fn read(place: &Place) -> Option<Self> {
        serde_json::from_slice(&fs::read(place.run_file("state.json")).ok()?).ok()
    }

    /// Writes it down.
    pub(crate) fn write(&self, place: &Place) -> Result<()> {
        let path = place.run_file("state.json");
        fs::write(&path, serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The address, or the error that the service is not there yet.
    pub(crate) fn require_address(&self) -> Result<&str> {
        self.address
            .as_deref()
            .context("the local cloud runs, but the service is not there yet")
    }
}
