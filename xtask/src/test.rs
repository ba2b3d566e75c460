//! `cargo xtask test`: every check there is, step by step, up to the first that fails.

mod report;
mod steps;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::setup::{self, Consent};
use crate::workspace::Workspace;
use crate::{system, terminal};

use report::Report;
use steps::{Run, STEPS, Step};

/// Run all checks: formatting, lints, documentation, dependencies, tests, and both release binaries
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these steps, in the usual order
    #[arg(value_name = "STEP")]
    only: Vec<String>,
    /// List the steps and do nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    consent: Consent,
}

/// A failed step has been reported in full; the exit code is 1 and nothing is left to say.
#[derive(Debug)]
pub(crate) struct StepsFailed;

impl fmt::Display for StepsFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a step failed")
    }
}

impl std::error::Error for StepsFailed {}

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        let rows: Vec<_> = STEPS
            .iter()
            .map(|step| format!("  {:<20} {}", step.name, step.about))
            .collect();
        println!("{}", rows.join("\n"));
        return Ok(());
    }
    let steps = select(&arguments.only)?;
    system::require_linux("testing")?;
    let mut requirements = BTreeSet::new();
    for step in &steps {
        requirements.extend((step.needs)()?);
    }
    setup::ensure(workspace, requirements, arguments.consent)?;

    let session = Run {
        workspace,
        builds: steps.iter().any(|step| step.name == "build"),
    };
    let start = Instant::now();
    let mut report = Report::default();
    for (index, step) in steps.iter().enumerate() {
        let heading = format!("━━ {}/{} {}: {}", index + 1, steps.len(), step.name, step.about);
        println!("\n{}", terminal::bold(&heading));
        let start = Instant::now();
        let result = (step.run)(&session);
        if result.is_err() {
            crate::interrupt::hold_if_pending();
        }
        report.add(step.name, result, start.elapsed());
        if report.has_failed() {
            break;
        }
    }
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    report.print(&names, start.elapsed());
    let junit = workspace.target.join("junit");
    fs::create_dir_all(&junit)
        .and_then(|()| fs::write(junit.join("steps.xml"), report.junit()))
        .with_context(|| format!("cannot write to {}", junit.display()))?;
    if report.has_failed() {
        Err(StepsFailed.into())
    } else {
        Ok(())
    }
}

/// The steps of these names, or all. Fails for a name that is none, naming those that are.
fn select(only: &[String]) -> Result<Vec<&'static Step>> {
    const STEPS: &[Step] = &steps::STEPS;
    for name in only {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        ensure!(
            names.contains(&name.as_str()),
            "there is no step `{name}`; the steps are {}",
            names.join(", ")
        );
    }
    Ok(STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Purpose;

    #[test]
    fn names_select_steps_in_the_usual_order() {
        let names = |only: &[&str]| -> Result<Vec<_>> {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            Ok(select(&only)?.iter().map(|step| step.name).collect())
        };
        assert_eq!(names(&[]).expect("all").len(), STEPS.len());
        assert_eq!(
            names(&["browser", "fmt"]).expect("both exist"),
            ["fmt", "browser"]
        );
        let error = names(&["fnt"]).expect_err("no such step").to_string();
        assert!(error.contains("`fnt`") && error.contains("fmt, deny"), "{error}");
    }

    #[test]
    fn setup_knows_everything_that_a_step_needs() {
        for step in &STEPS {
            for need in (step.needs)().expect("a supported host") {
                assert!(
                    Purpose::Test.requirements().contains(&need),
                    "{}: {need:?}",
                    step.name
                );
            }
        }
    }
}
