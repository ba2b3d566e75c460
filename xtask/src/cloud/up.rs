//! `cargo xtask cloud up`: starts the local cloud, or rolls a new version out in the one that runs.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::engine::Engine;
use super::local_aws::LocalAws;
use super::place::Place;
use super::stack::Stack;
use super::state::State;
use super::{Ports, REQUIREMENTS, base_image, down, network, ports};
use crate::arch::Arch;
use crate::command::read;
use crate::docker::Docker;
use crate::image::{self, Revision};
use crate::interrupt;
use crate::setup::{self, Consent};
use crate::terminal;
use crate::workspace::Workspace;

/// Start the local cloud with what is checked out, or roll that out in the one that runs
///
/// Stays until Ctrl-C and then ends everything, unless --keep is given or another `up` stays already.
#[derive(Args)]
pub(super) struct Arguments {
    /// Leave it running in the background; `cargo xtask cloud down` ends it
    #[arg(long)]
    keep: bool,
    /// Port of the load balancer
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORTS.http)]
    http_port: u16,
    /// Port of the registries
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORTS.https)]
    https_port: u16,
    /// Parameter of the service's template, such as WeightArm=10; can be given more than once, and is kept by the next up
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// The command.
pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    for parameter in &arguments.parameters {
        ensure!(
            parameter
                .split_once('=')
                .is_some_and(|(name, _)| !name.is_empty()),
            "`{parameter}` is not of the form NAME=VALUE"
        );
    }
    let ports = Ports {
        http: arguments.http_port,
        https: arguments.https_port,
    };
    ensure!(ports.http != ports.https, "the two ports have to be different");
    let place = Place::find()?;
    setup::ensure(workspace, REQUIREMENTS, arguments.consent)?;
    let lock = place.lock()?;
    if let Some(state) = State::running(&place) {
        println!("The local cloud runs already; what is checked out is rolled out in it.");
        let steps = Steps::default();
        let address = roll_out(workspace, &arguments.parameters, &place, &state, &steps)?;
        steps.print();
        println!("\n  {}\n", terminal::bold(&address));
        return Ok(());
    }
    let state = begin(&place, ports)?;
    let address = match run_all(workspace, &place, &state, &arguments.parameters) {
        Ok(address) => address,
        Err(error) => {
            interrupt::hold_if_pending();
            println!("{}", terminal::dim("Ending what was started."));
            down::clean(&place);
            return Err(error);
        }
    };
    println!("\n  {}\n", terminal::bold(&address));
    if arguments.keep {
        interrupt::forget();
        println!("It stays until `cargo xtask cloud down`.");
        return Ok(());
    }
    drop(lock);
    println!("It stays until Ctrl-C. In another terminal: cargo xtask cloud load");
    watch(&place)
}

/// The ports, if nobody chooses others.
pub(super) const DEFAULT_PORTS: Ports = Ports { http: 80, https: 443 };

/// Makes room, and sees to it that a signal from now on ends everything.
pub(super) fn begin(place: &Place, ports: Ports) -> Result<State> {
    // What a run has left that was killed.
    down::clean(place);
    ports::require_free(ports.http, "--http-port")?;
    ports::require_free(ports.https, "--https-port")?;
    interrupt::on_signal({
        let place = Place::find()?;
        move || down::clean(&place)
    });
    place.create()?;
    let state = State { ports, address: None };
    state.write(place)?;
    Ok(state)
}

/// Starts everything, and prints how long each part took. Returns the address of the service.
pub(super) fn run_all(
    workspace: &Workspace,
    place: &Place,
    state: &State,
    parameters: &[String],
) -> Result<String> {
    let steps = Steps::default();
    let aws = LocalAws::of(place, workspace);
    let engine = Engine::of(place);
    steps.run("container engine", || {
        aws.certificates()?;
        network::register_emulator()?;
        engine.start(state.ports.https)
    })?;
    steps.run("local AWS", || aws.start(state.ports, &engine))?;
    steps.run("image to build in", || {
        base_image::ensure(workspace, place, &engine).map(|what| println!("  {what}"))
    })?;
    let address = roll_out(workspace, parameters, place, state, &steps)?;
    steps.print();
    Ok(address)
}

/// Builds and pushes the image, and deploys it. Returns the address.
fn roll_out(
    workspace: &Workspace,
    parameters: &[String],
    place: &Place,
    state: &State,
    steps: &Steps,
) -> Result<String> {
    let engine = Engine::of(place);
    let docker = Docker::of(&engine);
    let aws = LocalAws::of(place, workspace);
    let stack = Stack::of(&aws, state.ports);
    let revision = Revision::of(workspace)?;
    let local = format!("{}:{}", image::NAME, revision.tag());
    steps.run("images of both architectures", || {
        image::build(workspace, &docker, &Arch::ALL, &local, &revision)?;
        image::check(&docker, &local, &Arch::ALL)
    })?;
    let image = steps.run("push", || {
        let target = format!("{}:{}", stack.repository(&docker)?, revision.tag());
        image::push(&docker, &local, &target)?;
        let format = ["image", "inspect", "--format", "{{.Id}}", &target];
        let digest = read(docker.command().args(format))?;
        Ok(format!("{target}@{}", digest.trim()))
    })?;
    let outputs = steps.run("stacks of the network and the service", || {
        println!("  {image}");
        stack.deploy(&image, parameters)
    })?;
    steps.run("healthy tasks of both architectures", || {
        stack.wait(&outputs, &image)
    })?;
    let name = outputs
        .get("DnsName")
        .context("the stack of the service has no output DnsName")?;
    let port = if state.ports.http == 80 {
        String::new()
    } else {
        format!(":{}", state.ports.http)
    };
    let address = format!("http://{name}{port}");
    let state = State {
        address: Some(address.clone()),
        ..state.clone()
    };
    state.write(place)?;
    Ok(address)
}

/// Stays as long as everything runs.
fn watch(place: &Place) -> Result<()> {
    loop {
        thread::sleep(Duration::from_millis(500));
        if State::running(place).is_some() {
            continue;
        }
        // Somebody else ends it, or is done with that: then the lock says so, or there is nothing left.
        thread::sleep(Duration::from_millis(500));
        if place.lock().is_err() || !place.run_file("state.json").exists() {
            interrupt::forget();
            println!("It was ended by another command.");
            return Ok(());
        }
        let dead: Vec<_> = ["engine", "aws"]
            .map(|name| super::Daemon::of(place, name))
            .into_iter()
            .filter(|daemon| daemon.pid().is_none())
            .map(|daemon| format!("{} has ended:\n{}", daemon.name(), daemon.tail()))
            .collect();
        down::clean(place);
        bail!("the local cloud is gone: {}", dead.join("\n"));
    }
}

/// The parts of the work, each announced, and timed for the summary.
#[derive(Default)]
struct Steps(RefCell<Vec<Vec<String>>>);

impl Steps {
    fn run<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("{}", terminal::bold(&format!("━━ {name}")));
        let start = Instant::now();
        let result = work().with_context(|| name.to_owned())?;
        interrupt::hold_if_pending();
        let took = terminal::duration(start.elapsed());
        self.0.borrow_mut().push(vec![name.to_owned(), took]);
        Ok(result)
    }

    fn print(&self) {
        println!("{}", terminal::bold("━━ done"));
        print!("{}", terminal::table(&self.0.borrow()));
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn a_step_that_fails_is_named() {
        let error = Steps::default()
            .run("push", || -> anyhow::Result<()> { anyhow::bail!("no registry") })
            .expect_err("it failed");
        assert_eq!(format!("{error:#}"), "push: no registry");
    }
}
