//! `cargo xtask bench`: measures the release binary beside a bare axum server that gives the same answers, and says
//! which bars it keeps. It asserts nothing: a busy machine is no reason to fail.

mod recording;
mod report;
mod server;
mod wrk;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::arch::Arch;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::Workspace;
use crate::{build, interrupt, system, terminal};

use recording::Case;
use report::{Report, Route};
use server::Server;
use wrk::Load;

/// How often the start is measured.
const STARTS: usize = 20;
/// Long enough for all threads to have run and all connections to be known.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measure throughput, latency, memory, size and start beside a bare axum server
#[derive(Args)]
pub(crate) struct Arguments {
    /// How long each round of each server lasts
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many rounds each server has per route; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Also write everything that was measured to this file, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
}

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    system::require_linux("measuring")?;
    setup::ensure(
        workspace,
        Purpose::Bench.requirements().iter().copied(),
        arguments.consent,
    )?;
    let host = Arch::host()?;
    // One after the other: together they would share the features of their dependencies, and neither would be what
    // it is alone.
    build::package(workspace, "bifora", &[host])?;
    build::package(workspace, "bifora-baseline", &[host])?;
    let bench = Bench {
        bifora: build::finished(workspace, "bifora", host),
        baseline: build::finished(workspace, "bifora-baseline", host),
        folder: workspace.target.join("bench"),
        round: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds,
    };
    let report = bench.measure();
    if report.is_err() {
        // A server that a signal has ended looks like a broken one.
        interrupt::hold_if_pending();
    }
    let report = report?;
    print!("\n{}", report.text());
    if let Some(file) = &arguments.output {
        let json = format!("{:#}\n", report.json());
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// What is measured, and for how long.
struct Bench {
    bifora: PathBuf,
    baseline: PathBuf,
    /// For the answers that the baseline repeats.
    folder: PathBuf,
    round: Duration,
    rounds: u64,
}

impl Bench {
    fn measure(&self) -> Result<Report> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        let binary = fs::metadata(&self.bifora)
            .context("the release binary is gone")?
            .len();

        println!("\n{}", terminal::bold("━━ Start"));
        let mut ready = Vec::new();
        for _ in 0..STARTS {
            ready.push(self.start_bifora()?.ready_after);
        }
        println!("{STARTS} starts measured");

        let bifora = self.start_bifora()?;
        thread::sleep(WARM_UP);
        let memory_idle = bifora.memory()?.resident;
        let routes = self.routes(&bifora)?;
        let memory_peak = bifora.memory()?.peak;
        Ok(Report {
            binary,
            ready,
            memory_idle,
            memory_peak,
            routes,
        })
    }

    fn start_bifora(&self) -> Result<Server> {
        Server::start(&self.bifora, |port| {
            ["serve", "--host", "127.0.0.1", "--port", &port.to_string()]
                .map(Into::into)
                .to_vec()
        })
    }

    fn routes(&self, bifora: &Server) -> Result<Vec<Route>> {
        let cases = Case::all(bifora)?;
        let mut routes = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            let heading = format!("━━ {}/{} {}", index + 1, cases.len(), case.name);
            println!("\n{}", terminal::bold(&heading));
            let answers = case.record(bifora, &self.folder)?;
            // Its own process for each case, because the same path answers differently in the next.
            let baseline = Server::start(&self.baseline, |port| {
                vec![port.to_string().into(), answers.clone().into()]
            })?;
            routes.push(self.route(case, bifora, &baseline)?);
        }
        Ok(routes)
    }

    /// Rounds of both servers in turns, the first turn changing too: what disturbs the machine disturbs both.
    fn route(&self, case: &Case, bifora: &Server, baseline: &Server) -> Result<Route> {
        wrk::run(bifora, case, WARM_UP)?;
        wrk::run(baseline, case, WARM_UP)?;
        let (mut ours, mut bare): (Vec<Load>, Vec<Load>) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            if round % 2 == 0 {
                ours.push(wrk::run(bifora, case, self.round)?);
                bare.push(wrk::run(baseline, case, self.round)?);
            } else {
                bare.push(wrk::run(baseline, case, self.round)?);
                ours.push(wrk::run(bifora, case, self.round)?);
            }
            if let (Some(ours), Some(bare)) = (ours.last(), bare.last()) {
                println!(
                    "round {}: {:.0} requests/s, bare {:.0}",
                    round + 1,
                    ours.rate,
                    bare.rate
                );
            }
        }
        Ok(Route {
            name: case.name.clone(),
            bifora: ours,
            baseline: bare,
        })
    }
}
