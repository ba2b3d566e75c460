//! `cargo xtask cloud status`: what runs, and how it is.

use anyhow::{Result, bail};
use clap::Args;

use super::Daemon;
use super::local_aws::LocalAws;
use super::place::Place;
use super::stack::{SERVICE, Service, Stack};
use super::state::State;
use crate::terminal;
use crate::workspace::Workspace;

/// Say what runs, and how it is; exit code 1 unless all is well
#[derive(Args)]
pub(super) struct Arguments {
    /// Print the variables that lead `aws` and `docker` there, for `eval "$(cargo xtask cloud status --env)"`
    #[arg(long)]
    env: bool,
}

/// The command.
pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let place = Place::find()?;
    let state = State::require(&place)?;
    let aws = LocalAws::of(&place, workspace);
    if arguments.env {
        let engine = super::Engine::of(&place);
        for (name, value) in engine
            .environment()
            .into_iter()
            .chain(LocalAws::environment(state.ports))
        {
            println!(
                "export {name}='{}'",
                value.to_string_lossy().replace('\'', r"'\''")
            );
        }
        return Ok(());
    }
    for daemon in ["engine", "aws"].map(|name| Daemon::of(&place, name)) {
        let pid = daemon
            .pid()
            .map_or_else(|| "gone".to_owned(), |pid| format!("process {pid}"));
        println!("  {:<8} {pid}, log {}", daemon.name(), daemon.log().display());
    }
    let stack = Stack::of(&aws, state.ports);
    let address = state.require_address()?;
    let outputs = stack.outputs(SERVICE)?;
    let services = stack.services(&outputs)?;
    let targets = stack.targets(&outputs)?;
    let heading = ["service", "tasks", "rollout", "task definition", "targets"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (service, (_, targets)) in services.iter().zip(&targets) {
        let targets: Vec<_> = targets
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        rows.push(vec![
            service.name.clone(),
            format!("{}/{}", service.running, service.desired),
            service.rollout.clone(),
            service
                .task_definition
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            targets.join(", "),
        ]);
    }
    print!("{}", terminal::table(&rows));
    println!("  {}", terminal::bold(address));
    let healthy =
        |targets: &std::collections::BTreeMap<String, u64>| targets.keys().all(|state| state == "healthy");
    if services.iter().all(Service::is_stable) && targets.iter().all(|(_, targets)| healthy(targets)) {
        Ok(())
    } else {
        bail!("not all is well")
    }
}
