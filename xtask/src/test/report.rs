//! What is said about the steps: after each one, and at the end.

use std::time::Duration;

use anyhow::Result;

use crate::terminal;

/// How a step ended that did not fail.
pub(super) enum Outcome {
    /// All is as it should be.
    Passed,
    /// It could not be carried out, for a reason that lies outside.
    NotChecked(String),
}

/// What came of the steps.
#[derive(Default)]
pub(super) struct Report {
    passed: usize,
    failed: usize,
    rows: Vec<Vec<String>>,
    not_checked: Vec<String>,
    failures: Vec<&'static str>,
}

impl Report {
    /// Whether there is a step that failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Says and notes how a step ended.
    pub(super) fn add(&mut self, name: &'static str, result: Result<Outcome>, took: Duration) {
        let took = terminal::duration(took);
        let word = match result {
            Ok(Outcome::Passed) => {
                self.passed += 1;
                println!("{} in {took}", terminal::green("passed"));
                "passed"
            }
            Ok(Outcome::NotChecked(reason)) => {
                println!("{} {reason}", terminal::yellow("not checked:"));
                self.not_checked.push(format!("{name}: {reason}"));
                "not checked"
            }
            Err(error) => {
                self.failed += 1;
                self.failures.push(name);
                println!("{} {error:#}", terminal::red("failed:"));
                "failed"
            }
        };
        self.rows.push(vec![name.to_owned(), word.to_owned(), took]);
    }

    /// The summary. Its last line is read by programs and keeps its form.
    pub(super) fn print(&self, steps: &[&str], took: Duration) {
        let mut rows = self.rows.clone();
        for step in steps.iter().skip(self.rows.len()) {
            rows.push(vec![(*step).to_owned(), "not run".to_owned(), String::new()]);
        }
        println!(
            "\n{}",
            terminal::bold(&format!("━━ Summary, after {}", terminal::duration(took)))
        );
        print!("{}", terminal::table(&rows));
        for reason in &self.not_checked {
            println!("{} {reason}", terminal::yellow("Not checked:"));
        }
        for name in &self.failures {
            println!("To repeat only what failed: cargo xtask test {name}");
        }
        println!("{}", verdict(self.passed, self.failed));
    }
}

fn verdict(passed: usize, failed: usize) -> String {
    format!("{passed} passed, {failed} failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_what_passed_and_failed_and_nothing_else() {
        let mut report = Report::default();
        report.add("fmt", Ok(Outcome::Passed), Duration::ZERO);
        report.add(
            "advisories",
            Ok(Outcome::NotChecked("no network".to_owned())),
            Duration::ZERO,
        );
        report.add("clippy", Err(anyhow::anyhow!("broken")), Duration::ZERO);
        assert_eq!(verdict(report.passed, report.failed), "1 passed, 1 failed");
        assert_eq!(report.not_checked, ["advisories: no network"]);
    }
}
