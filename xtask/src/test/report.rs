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
    durations: Vec<Duration>,
    reasons: Vec<(String, String)>,
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
        self.durations.push(took);
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
                self.reasons.push((name.to_owned(), reason));
                "not checked"
            }
            Err(error) => {
                self.failed += 1;
                self.failures.push(name);
                self.reasons.push((name.to_owned(), format!("{error:#}")));
                println!("{} {error:#}", terminal::red("failed:"));
                "failed"
            }
        };
        self.rows.push(vec![name.to_owned(), word.to_owned(), took]);
    }

    /// The steps in the XML of `JUnit`, for pipelines that show that.
    pub(super) fn junit(&self) -> String {
        let mut cases = String::new();
        for (row, took) in self.rows.iter().zip(&self.durations) {
            let (name, word) = (&row[0], row[1].as_str());
            let about = match word {
                "failed" => format!("<failure message=\"{}\"/>", escape(&self.reason(name))),
                "not checked" => format!("<skipped message=\"{}\"/>", escape(&self.reason(name))),
                _ => String::new(),
            };
            let seconds = took.as_secs_f64();
            let case = format!(
                "  <testcase classname=\"cargo xtask test\" name=\"{name}\" time=\"{seconds:.3}\">{about}</testcase>\n"
            );
            cases.push_str(&case);
        }
        let (tests, skipped) = (self.rows.len(), self.not_checked.len());
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"cargo xtask test\" tests=\"{tests}\" failures=\"{}\" \
             skipped=\"{skipped}\">\n{cases}</testsuite>\n",
            self.failed
        )
    }

    /// Why a step failed or was not checked.
    fn reason(&self, name: &str) -> String {
        let reasons = self.reasons.iter();
        reasons
            .filter(|(of, _)| of == name)
            .map(|(_, reason)| reason.clone())
            .collect()
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

/// A text as XML has it; what XML cannot have is left out.
fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    [
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\"", "&quot;"),
        ("\n", "&#10;"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to))
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
        let junit = report.junit();
        assert!(junit.contains(r#"tests="3" failures="1" skipped="1""#), "{junit}");
        assert!(
            junit.contains(r#"name="clippy" time="0.000"><failure message="broken"/>"#),
            "{junit}"
        );
    }

    #[test]
    fn what_went_wrong_is_told_in_xml() {
        let mut report = Report::default();
        let error = anyhow::anyhow!("a < b & \"c\"\x1b[31m");
        report.add("unit", Err(error), Duration::from_millis(1_500));
        let junit = report.junit();
        assert!(
            junit.contains(r#"message="a &lt; b &amp; &quot;c&quot;[31m""#),
            "{junit}"
        );
        assert!(junit.contains(r#"time="1.500""#), "{junit}");
    }
}
