//! What came of a rehearsal: jobs, steps, and what stood in for what.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::stand_ins::ENVIRONMENT;
use crate::terminal;

/// How a job or an action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Passed,
    /// For this reason, which may have several lines.
    Failed(String),
    /// Because one that it requires did not pass.
    NotRun,
}

/// A job or an action that is over.
struct Job {
    name: String,
    ended: Ended,
    /// When it began, and when it was over.
    time: (Instant, Instant),
}

impl Job {
    fn took(&self) -> Duration {
        self.time.1 - self.time.0
    }
}

/// What is noted on the way.
#[derive(Default)]
pub(super) struct Report {
    jobs: Vec<Job>,
    /// How many steps ran as they are written.
    pub(super) as_written: usize,
    /// How many steps were replaced, by what they are and why.
    replaced: BTreeMap<(&'static str, &'static str), usize>,
}

impl Report {
    /// Notes how a job ended, just now.
    pub(super) fn add(&mut self, name: &str, ended: Ended, began: Instant) {
        let job = Job {
            name: name.to_owned(),
            ended,
            time: (began, Instant::now()),
        };
        let took = terminal::duration(job.took());
        match &job.ended {
            Ended::Passed => println!("  {} in {took}", terminal::green("passed")),
            Ended::Failed(reason) => println!("  {} in {took}: {reason}", terminal::red("failed")),
            Ended::NotRun => println!("  {}", terminal::yellow("not run")),
        }
        self.jobs.push(job);
    }

    /// Notes a step that something stood in for.
    pub(super) fn replace(&mut self, step: &'static str, why: &'static str) {
        *self.replaced.entry((step, why)).or_default() += 1;
    }

    fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.name == name)
    }

    /// How a job ended; none if there was no such job.
    pub(super) fn ended(&self, name: &str) -> Option<&Ended> {
        Some(&self.job(name)?.ended)
    }

    /// When a job began, and when it was over.
    pub(super) fn time(&self, name: &str) -> Option<(Instant, Instant)> {
        Some(self.job(name)?.time)
    }

    /// The jobs that failed.
    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self
            .jobs
            .iter()
            .filter(|job| matches!(job.ended, Ended::Failed(_)));
        failed.map(|job| job.name.as_str()).collect()
    }

    /// How many steps in a hundred ran as they are written.
    pub(super) fn share_as_written(&self) -> usize {
        let replaced: usize = self.replaced.values().sum();
        self.as_written * 100 / (self.as_written + replaced).max(1)
    }

    /// Prints all of it; without what stood in, if that has been said before.
    pub(super) fn print(&self, stand_ins: bool) {
        println!("{}", terminal::bold("━━ what ran"));
        let rows: Vec<_> = self
            .jobs
            .iter()
            .map(|job| {
                let word = match job.ended {
                    Ended::Passed => "passed",
                    Ended::Failed(_) => "failed",
                    Ended::NotRun => "not run",
                };
                vec![job.name.clone(), word.to_owned(), terminal::duration(job.took())]
            })
            .collect();
        print!("{}", terminal::table(&rows));
        if !stand_ins {
            return;
        }
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
