//! An engine for a single purpose, such as building an image, that ends with it.

use std::fs::File;

use anyhow::Result;

use super::engine::Engine;
use super::local_aws::LocalAws;
use super::place::Place;
use super::{ENGINE_REQUIREMENTS, base_image, down, network, require_root};
use crate::interrupt;
use crate::requirement::Requirement;
use crate::setup::{self, Consent};
use crate::workspace::Workspace;

/// A running engine. Dropping it ends it.
pub(crate) struct Temporary {
    place: Place,
    _lock: File,
}

impl Temporary {
    /// Starts the engine, with the image to build in.
    pub(crate) fn start(workspace: &Workspace, place: Place, consent: Consent) -> Result<Self> {
        require_root()?;
        let needs = ENGINE_REQUIREMENTS.into_iter().chain([Requirement::LocalAws]);
        setup::ensure(workspace, needs, consent)?;
        let lock = place.lock()?;
        down::clean(&place);
        interrupt::on_signal({
            let place = Place::find()?;
            move || down::clean(&place)
        });
        place.create()?;
        let temporary = Self { place, _lock: lock };
        LocalAws::of(&temporary.place, workspace).certificates()?;
        network::register_emulator()?;
        temporary.engine().start(443)?;
        base_image::ensure(workspace, &temporary.place, &temporary.engine())?;
        Ok(temporary)
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Engine<'_> {
        Engine::of(&self.place)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        down::clean(&self.place);
        interrupt::forget();
    }
}
