//! What came of a rehearsal: jobs, steps, and what stood in for what.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stand_ins::ENVIRONMENT;
use crate::terminal;

/// How a job or an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    /// In this step, for this reason.
    Failed(String),
    /// Because one that it requires did not pass.
    NotRun,
}

/// What is noted on the way.
#[derive(Default)]
pub(super) struct Report {
    jobs: Vec<(String, Ended, Duration)>,
    /// How many steps ran as they are written.
    pub(super) as_written: usize,
    /// How many steps were replaced, by what they are and why.
    replaced: BTreeMap<(&'static str, &'static str), usize>,
}

impl Report {
    /// Notes how a job ended.
    pub(super) fn add(&mut self, name: &str, ended: Ended, took: Duration) {
        let what = match &ended {
            Ended::Passed => terminal::green("passed"),
            Ended::Failed(step) => format!("{} {step}", terminal::red("failed:")),
            Ended::NotRun => terminal::yellow("not run"),
        };
        println!("  {what} in {}", terminal::duration(took));
        self.jobs.push((name.to_owned(), ended, took));
    }

    /// Notes a step that something stood in for.
    pub(super) fn replace(&mut self, step: &'static str, why: &'static str) {
        *self.replaced.entry((step, why)).or_default() += 1;
    }

    /// How a job ended; none if there was no such job.
    pub(super) fn ended(&self, name: &str) -> Option<&Ended> {
        self.jobs
            .iter()
            .find(|(job, _, _)| job == name)
            .map(|(_, ended, _)| ended)
    }

    /// The jobs that did not pass.
    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self.jobs.iter().filter(|(_, ended, _)| *ended != Ended::Passed);
        failed.map(|(name, _, _)| name.as_str()).collect()
    }

    /// How many steps in a hundred ran as they are written.
    pub(super) fn share_as_written(&self) -> usize {
        let replaced: usize = self.replaced.values().sum();
        self.as_written * 100 / (self.as_written + replaced).max(1)
    }

    /// Prints all of it.
    pub(super) fn print(&self) {
        println!("{}", terminal::bold("━━ what ran"));
        let rows: Vec<_> = self
            .jobs
            .iter()
            .map(|(name, ended, took)| {
                let word = match ended {
                    Ended::Passed => "passed",
                    Ended::Failed(_) => "failed",
                    Ended::NotRun => "not run",
                };
                vec![name.clone(), word.to_owned(), terminal::duration(*took)]
            })
            .collect();
        print!("{}", terminal::table(&rows));
        println!("{}", terminal::bold("━━ what stood in for something else"));
        for ((step, why), count) in &self.replaced {
            println!("  {count} × {step}: {why}");
        }
        for (name, value, why) in ENVIRONMENT {
            println!("  {name}={value} in the environment: {why}");
        }
        println!(
            "{} steps ran as they are written, {} were replaced: {} %",
            self.as_written,
            self.replaced.values().sum::<usize>(),
            self.share_as_written()
        );
    }
}
