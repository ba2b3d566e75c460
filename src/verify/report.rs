//! The verdict for people, for programs, and for pipelines.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::expect::Expectations;
use super::verdict::{Claim, Finding, Status, Task, Verdict};
use crate::text;

/// Everything there is to report; as it is, in the format `json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// Version of this format.
    pub version: u32,
    /// What was asked.
    pub url: String,
    /// The exit code, which says the same as the verdict's status, or 130 and 143 when it was interrupted.
    pub exit_code: u8,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// When it began, RFC 3339.
    pub started: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many questions were asked in all; the verdict has how many of them were judged.
    pub questions: usize,
    /// What had to answer.
    pub expected: Expectations,
    /// What was found.
    pub verdict: Verdict,
}

impl Report {
    /// For people.
    pub fn text(&self, colours: bool) -> String {
        let paint = Paint(colours);
        let verdict = &self.verdict;
        let mut out = format!("{}\n", paint.status(verdict.status, &self.headline()));
        for reason in self.reasons() {
            let _ = writeln!(out, "  {reason}");
        }
        out.push('\n');
        let width = verdict
            .claims
            .iter()
            .map(|claim| claim.name.chars().count())
            .max()
            .unwrap_or(0);
        for claim in &verdict.claims {
            let mark = match claim.status {
                Status::Proven => "✓",
                Status::Disproven => "✗",
                Status::Undecided => "?",
            };
            let name = format!("{:<width$}", claim.name);
            let _ = writeln!(
                out,
                "  {} {name}  {}",
                paint.status(claim.status, mark),
                paint.dim(&claim.summary)
            );
            for finding in &claim.findings {
                out.push_str(&in_lines(finding));
            }
            if let Some(hint) = &claim.hint {
                let _ = writeln!(out, "      {}", paint.dim(hint));
            }
        }
        if !verdict.tasks.is_empty() {
            let _ = writeln!(out, "\nWho answered:");
            for task in &verdict.tasks {
                let _ = writeln!(out, "  {}", row(task));
            }
        }
        let took = std::time::Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let _ = write!(
            out,
            "\n{} in {}, {} of them judged",
            text::count(self.questions, "question", "questions"),
            text::seconds(took),
            verdict.questions,
        );
        if !verdict.tasks.is_empty() {
            let _ = write!(
                out,
                "; an answer took {} ms (median), {} ms at most",
                verdict.median_ms, verdict.longest_ms
            );
        }
        out.push_str(".\n");
        out
    }

    /// The verdict in one line.
    pub fn headline(&self) -> String {
        let (url, expected) = (&self.url, &self.expected);
        let what = format!(
            "commit {} on {}",
            expected.short_commit(),
            expected.architectures()
        );
        match self.verdict.status {
            _ if self.interrupted => format!("Interrupted: what was known of {url} until then"),
            Status::Proven => format!("Proven: {url} is {what}"),
            Status::Disproven => format!("Disproven: {url} is not {what}"),
            Status::Undecided => format!("Not decided in time: whether {url} is {what}"),
        }
    }

    /// What decided it, or what was still missing: one line for each claim that is not as wanted, apart from those that nothing
    /// but the end of the time speaks against.
    fn reasons(&self) -> Vec<String> {
        let status = self.verdict.status;
        let missing = |claim: &Claim| claim.hint.is_some() || !claim.findings.is_empty();
        let claims = self.verdict.claims.iter().filter(|claim| claim.status == status);
        let reasons: Vec<_> = match status {
            Status::Proven => Vec::new(),
            Status::Disproven => claims
                .filter_map(|claim| claim.findings.first().map(in_one_line))
                .map(|finding| format!("Because {finding}"))
                .collect(),
            Status::Undecided => claims
                .filter(|claim| missing(claim))
                .map(|claim| {
                    claim
                        .findings
                        .first()
                        .map_or_else(|| claim.summary.clone(), in_one_line)
                })
                .map(|what| format!("Still missing: {what}"))
                .collect(),
        };
        if reasons.is_empty() && status == Status::Undecided {
            let last = self.verdict.claims.iter().rfind(|claim| claim.status == status);
            let summary = last.map(|claim| claim.summary.clone());
            return vec![format!("Still missing: {}", summary.unwrap_or_default())];
        }
        reasons
    }

    /// For programs.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// For pipelines: a test case for each claim.
    pub fn junit(&self) -> String {
        let claims = &self.verdict.claims;
        let cases: Vec<_> = claims.iter().map(|claim| self.case(claim)).collect();
        let count = |element: &str| cases.iter().filter(|case| case.contains(element)).count();
        let numbers = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"",
            claims.len(),
            count("<failure"),
            count("<error"),
            count("<skipped"),
            self.seconds,
        );
        let timestamp = self
            .started
            .as_deref()
            // The format has no place for the time zone, which is UTC.
            .map(|time| format!(" timestamp=\"{}\"", escape(time.trim_end_matches('Z'))))
            .unwrap_or_default();
        let name = escape(&format!("bifora verify {}", self.url));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites name=\"bifora verify\" {numbers}>\n  <testsuite name=\"{name}\" {numbers}{timestamp}>\n\
             {}  </testsuite>\n</testsuites>\n",
            cases.concat()
        )
    }

    fn case(&self, claim: &Claim) -> String {
        let mut body: String = claim.findings.iter().map(in_lines).collect();
        if let Some(hint) = &claim.hint {
            let _ = writeln!(body, "      {hint}");
        }
        let message = claim
            .findings
            .first()
            .map_or_else(|| claim.summary.clone(), in_one_line);
        let inside = match claim.status {
            Status::Proven => format!("      <system-out>{}</system-out>\n", escape(&claim.summary)),
            Status::Disproven => format!(
                "      <failure type=\"disproven\" message=\"{}\">\n{}      </failure>\n",
                escape(&message),
                escape(&body)
            ),
            // Where another claim is disproven already, this is no second fault.
            Status::Undecided if self.verdict.status == Status::Disproven => {
                format!(
                    "      <skipped message=\"{}\"/>\n",
                    escape(&format!("not decided: {message}"))
                )
            }
            Status::Undecided => format!(
                "      <error type=\"undecided\" message=\"{}\">\n{}      </error>\n",
                escape(&format!("not decided: {message}")),
                escape(&body)
            ),
        };
        format!(
            "    <testcase classname=\"bifora.verify\" name=\"{}\" time=\"0\">\n{inside}    </testcase>\n",
            escape(&claim.name)
        )
    }
}

fn in_lines(finding: &Finding) -> String {
    format!(
        "      {} × {}, {}\n          expected {}\n          seen     {}\n",
        finding.times, finding.place, finding.what, finding.expected, finding.seen
    )
}

/// What, where, expected and seen, with how often.
pub fn in_one_line(finding: &Finding) -> String {
    format!(
        "{} ({}): expected {}, seen {} ({} ×)",
        finding.what, finding.place, finding.expected, finding.seen, finding.times
    )
}

fn row(task: &Task) -> String {
    let mut parts = vec![
        format!("{:<7}", task.arch.name()),
        format!("{:>5} ×", task.answers),
        task.id.clone(),
    ];
    parts.extend([&task.hostname, &task.zone].into_iter().flatten().cloned());
    if let Some(commit) = &task.commit {
        parts.push(format!("commit {}", crate::build_info::short(Some(commit))));
    }
    for (name, digest) in [("image", &task.image_digest), ("executable", &task.binary)] {
        if let Some(digest) = digest {
            let short: String = digest.trim_start_matches("sha256:").chars().take(12).collect();
            parts.push(format!("{name} {short}"));
        }
    }
    if let Some(emulator) = &task.emulator {
        parts.push(format!("emulated by {emulator}"));
    }
    parts.join("  ")
}

/// Fit for XML 1.0, also as the value of an attribute.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            // What XML has no way to write.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn status(&self, status: Status, text: &str) -> String {
        let code = match status {
            Status::Proven => "1;32",
            Status::Disproven => "1;31",
            Status::Undecided => "1;35",
        };
        self.with(code, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::verify::judge::test_support::{attest, expected, failed, parity, whoami};
    use crate::verify::judge::{Period, Window, judge};
    use std::time::Duration;

    fn report(wrong: bool, complete: bool) -> Report {
        let mut observations: Vec<_> = [Arch::X86_64, Arch::Aarch64]
            .into_iter()
            .flat_map(|arch| {
                [
                    whoami(1, arch, "t<&>"),
                    parity(2, arch, "t<&>"),
                    attest(3, arch, "t<&>"),
                ]
            })
            .collect();
        if wrong {
            observations.push(failed(4));
        }
        let window = Window {
            from: Duration::ZERO,
            opened: Duration::ZERO,
            settle: Duration::from_secs(1),
            until: Duration::from_secs(1),
            complete,
        };
        let verdict = judge(&expected(), &observations, Period::Settling(window));
        Report {
            version: 1,
            url: "http://x.example".to_owned(),
            exit_code: verdict.status.exit_code(),
            interrupted: false,
            started: Some("2026-01-01T00:00:00Z".to_owned()),
            seconds: 1.5,
            questions: observations.len(),
            expected: expected(),
            verdict,
        }
    }

    #[test]
    fn people_are_told_in_the_first_line() {
        for (wrong, complete, first) in [
            (
                false,
                true,
                "Proven: http://x.example is commit 0123456 on x86_64 and aarch64",
            ),
            (true, true, "Disproven: http://x.example is not commit 0123456"),
            (false, false, "Not decided in time: whether http://x.example is"),
        ] {
            let text = report(wrong, complete).text(false);
            assert!(text.starts_with(first), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        let text = report(true, true).text(false);
        for part in [
            "✗ every question is answered",
            "1 × GET /api/whoami",
            "expected an answer",
            "seen     503",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(report(true, true).text(true).contains("\u{1b}[1;31m"));
    }

    #[test]
    fn every_claim_is_a_test_case() {
        let proven = report(false, true);
        let xml = proven.junit();
        assert_eq!(xml.matches("<testcase ").count(), proven.verdict.claims.len());
        assert!(xml.contains("failures=\"0\" errors=\"0\" skipped=\"0\""), "{xml}");
        let disproven = report(true, false).junit();
        assert!(
            disproven.contains("failures=\"1\" errors=\"0\" skipped=\"1"),
            "{disproven}"
        );
        assert!(disproven.contains("<failure type=\"disproven\" message=\"no answer (GET /api/whoami)"));
        let undecided = report(false, false).junit();
        assert!(undecided.contains("failures=\"0\" errors=\"1") && undecided.contains("skipped=\"0\""));
        assert_eq!(
            escape("<a b=\"\u{1}\">&"),
            "&lt;a b=&quot;\u{fffd}&quot;&gt;&amp;"
        );
    }

    #[test]
    fn programs_get_all_of_it() {
        let report = report(true, true);
        let read: Report = serde_json::from_str(&report.json().expect("serializes")).expect("reads");
        assert_eq!(read.verdict, report.verdict);
        assert_eq!(read.verdict.tasks.len(), 2);
    }
}
