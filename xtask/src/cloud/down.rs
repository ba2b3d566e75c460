//! `cargo xtask cloud down`: ends everything, and leaves nothing but the cache.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;

use super::Daemon;
use super::engine::{Engine, REGISTRY};
use super::network;
use super::place::Place;
use super::state::State;
use crate::command::{command, read, succeeds};
use crate::image;

/// End the local cloud; only the cache stays
#[derive(Args)]
pub(super) struct Arguments {
    /// Remove the cache as well: engine, Python packages, images
    #[arg(long)]
    cache: bool,
}

/// The command.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let place = Place::find()?;
    let lock = place.lock()?;
    let was_there = place.run_file("engine.json").exists();
    clean(&place);
    println!(
        "{}",
        if was_there {
            "The local cloud has ended."
        } else {
            "The local cloud was not running."
        }
    );
    if arguments.cache {
        fs::remove_dir_all(place.root())
            .with_context(|| format!("cannot remove {}", place.root().display()))?;
        println!("{} is removed.", place.root().display());
    }
    drop(lock);
    Ok(())
}

/// Ends whatever runs, and removes what it leaves. Whatever is gone already is no error.
pub(super) fn clean(place: &Place) {
    let https_port = State::read(place).map_or(443, |state| state.ports.https);
    Daemon::of(place, "aws").stop(std::time::Duration::from_secs(10));
    let engine = Engine::of(place);
    if engine.daemon().pid().is_some() {
        remove(&engine, "container", &["ps", "--all", "--quiet"]);
        // The registry that had them is gone. What they are made of stays, in the images that were built here.
        let pattern = format!("{REGISTRY}/{}", image::NAME);
        remove(
            &engine,
            "image",
            &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", &pattern],
        );
        engine.stop(https_port);
    } else {
        network::down(https_port, &place.run_file("forwarding"));
    }
    // Networks of containers are mounted there, and stay so when the engine was killed.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let run = place.run().display().to_string();
    for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
        if mount.starts_with(&run) {
            succeeds(command("umount").args(["--lazy", mount]));
        }
    }
    fs::remove_dir_all(place.run()).ok();
}

fn remove(engine: &Engine, what: &str, list: &[&str]) {
    let names = read(engine.docker().args(list)).unwrap_or_default();
    let names: Vec<_> = names.lines().collect();
    if !names.is_empty() {
        succeeds(engine.docker().args([what, "rm", "--force"]).args(names));
    }
}
