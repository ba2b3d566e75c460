//! `cargo xtask cloud`: the service as the account would run it, on this machine: real containers of both architectures
//! behind a load balancer, from the same image and the same templates.

mod base_image;
mod daemon;
mod down;
mod engine;
mod load;
mod local_aws;
mod logs;
mod network;
mod place;
mod ports;
mod session;
mod stack;
mod state;
mod status;
mod temporary;
mod up;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::requirement::Requirement;
use crate::setup::NotReady;
use crate::system;
use crate::workspace::Workspace;

pub(crate) use base_image::can_make as can_make_base_image;
pub(crate) use daemon::Daemon;
pub(crate) use engine::Engine;
pub(crate) use load::Visitors;
pub(crate) use local_aws::LocalAws;
pub(crate) use place::Place;
pub(crate) use session::Session;
pub(crate) use stack::SERVICE;
pub(crate) use temporary::Temporary;

/// Run the service on this machine as the account would: both architectures behind one load balancer
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Arguments),
    Status(status::Arguments),
    Logs(logs::Arguments),
    Load(load::Arguments),
    Down(down::Arguments),
}

/// Where the local cloud listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// The load balancer, and the API of the local AWS.
    pub(crate) http: u16,
    /// The registries.
    pub(crate) https: u16,
}

/// What images and containers need.
pub(crate) const ENGINE_REQUIREMENTS: [Requirement; 9] = [
    Requirement::Git,
    Requirement::Emulator,
    Requirement::Runc,
    Requirement::Iptables,
    Requirement::Iproute,
    Requirement::Binfmt,
    Requirement::Mmdebstrap,
    Requirement::Engine,
    Requirement::Python,
];

/// What the whole local cloud needs.
pub(crate) const REQUIREMENTS: [Requirement; 11] = {
    let [a, b, c, d, e, f, g, h, i] = ENGINE_REQUIREMENTS;
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
        Requirement::Haproxy,
        Requirement::LocalAws,
    ]
};

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    require_root()?;
    match &arguments.command {
        Command::Up(arguments) => up::run(workspace, arguments),
        Command::Status(arguments) => status::run(workspace, arguments),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Load(arguments) => load::run(arguments),
        Command::Down(arguments) => down::run(arguments),
    }
}

/// Fails where containers cannot be run.
fn require_root() -> Result<()> {
    system::require_linux("running containers")?;
    if !rustix::process::geteuid().is_root() {
        anyhow::bail!(NotReady::new(
            "running containers needs root: repeat the command with `sudo -E`"
        ));
    }
    Ok(())
}
