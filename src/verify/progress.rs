//! How it stands, while it runs: one line that changes on a terminal, now and then a line in a log.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use super::expect::Expectations;
use super::sampler::{Plan, Standing};
use crate::arch::Arch;
use crate::text;

/// Lines of a log are at least so far apart, unless something is wrong that no line has told yet.
const RARELY: Duration = Duration::from_secs(10);

/// And so far apart in any case, but for the opening of the settle window.
const AT_MOST: Duration = Duration::from_secs(2);

/// How wide the bar is, in characters.
const BAR: usize = 20;

/// Tells on one stream.
#[derive(Debug)]
pub struct Progress<W: Write> {
    out: W,
    terminal: bool,
    plan: Plan,
    expected: Vec<Arch>,
    /// When a log was last told something, and whether the settle window was open by then.
    told: Option<(Duration, bool)>,
    /// What was told to be wrong.
    known: BTreeSet<String>,
}

/// How much of what is wrong is remembered: what differs each time is not told at once each time.
const MOST_KNOWN: usize = 100;

impl<W: Write> Progress<W> {
    /// Tells `out`, which is or is not a terminal.
    pub fn new(out: W, terminal: bool, plan: Plan, expected: &Expectations) -> Self {
        Self {
            out,
            terminal,
            plan,
            expected: expected.archs.iter().copied().collect(),
            told: None,
            known: BTreeSet::new(),
        }
    }

    /// Takes note of how it stands. A stream that takes nothing any more is no fault of the deployment's.
    pub fn tell(&mut self, standing: &Standing) {
        let words = self.words(standing);
        if self.terminal {
            // On one line, however narrow the terminal: what is too long is not wrapped.
            let _ = write!(
                self.out,
                "\r\x1b[2K\x1b[?7l{} {words}\x1b[?7h",
                self.mark(standing)
            );
            let _ = self.out.flush();
            return;
        }
        let settling = standing.settling.is_some();
        let news = standing.last_wrong.as_ref();
        let news = news.filter(|wrong| self.known.len() < MOST_KNOWN && !self.known.contains(*wrong));
        let due = match self.told {
            None => standing.questions > 0,
            Some((_, false)) if settling => true,
            Some((when, _)) => {
                standing.elapsed.saturating_sub(when) >= if news.is_some() { AT_MOST } else { RARELY }
            }
        };
        if due {
            self.known.extend(news.cloned());
            let _ = writeln!(self.out, "bifora verify: {words}");
            self.told = Some((standing.elapsed, settling));
        }
    }

    /// Leaves the terminal's line empty for what comes.
    pub fn finish(&mut self) {
        if self.terminal {
            let _ = write!(self.out, "\r\x1b[2K");
            let _ = self.out.flush();
        }
    }

    /// The window in text, with the arches that have answered lit.
    fn mark(&self, standing: &Standing) -> String {
        let lit = |arch| {
            let is = standing.row > 0 && self.expected.contains(&arch) && !standing.absent.contains(&arch);
            if is { '▉' } else { '░' }
        };
        format!("[{}{}]", lit(Arch::X86_64), lit(Arch::Aarch64))
    }

    fn words(&self, standing: &Standing) -> String {
        let Some((opened, done, wanted)) = standing.settling else {
            return self.gathering(standing);
        };
        let watched = standing.elapsed.saturating_sub(opened).min(self.plan.settle);
        let bar = if self.terminal && !self.plan.settle.is_zero() {
            let share = watched.as_secs_f64() / self.plan.settle.as_secs_f64();
            let full = (0..BAR)
                .filter(|cell| f64::from(u32::try_from(*cell).unwrap_or(0)) < share * 20.0)
                .count();
            format!("{}{} ", "█".repeat(full), "░".repeat(BAR - full))
        } else {
            String::new()
        };
        let verdict = if standing.row > 0 && standing.row >= done {
            "all right so far".to_owned()
        } else {
            standing.last_wrong.clone().unwrap_or_default()
        };
        format!(
            "settling {bar}{} of {}, {done} of {wanted} questions, {}: {verdict}",
            text::seconds(watched),
            text::seconds(self.plan.settle),
            text::count(standing.tasks, "task", "tasks"),
        )
    }

    fn gathering(&self, standing: &Standing) -> String {
        let mut words = format!(
            "gathering, {} of {}: {} in a row",
            text::seconds(standing.elapsed),
            text::seconds(self.plan.timeout),
            text::count(standing.row, "right answer", "right answers"),
        );
        if standing.tasks > 0 {
            words = format!("{words} from {}", text::count(standing.tasks, "task", "tasks"));
        }
        for arch in &standing.absent {
            words = format!("{words}; {arch} is missing");
        }
        match &standing.last_wrong {
            Some(wrong) if standing.row == 0 => format!("{words}; {wrong}"),
            Some(wrong) => format!("{words}; before that, {wrong}"),
            None => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::judge::test_support::expected;

    const PLAN: Plan = Plan {
        timeout: Duration::from_mins(10),
        settle: Duration::from_secs(30),
        samples: 200,
        concurrency: 4,
    };

    fn standing(questions: usize, row: usize) -> Standing {
        Standing {
            elapsed: Duration::from_secs(12),
            questions,
            row,
            tasks: row.min(1),
            absent: vec![Arch::Aarch64],
            settling: None,
            last_wrong: None,
        }
    }

    fn told(terminal: bool, standings: &[Standing]) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::new(&mut out, terminal, PLAN, &expected());
        for standing in standings {
            progress.tell(standing);
        }
        progress.finish();
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_log_is_told_what_is_new_and_not_more() {
        let settling = Standing {
            absent: Vec::new(),
            settling: Some((Duration::from_secs(2), 5, 180)),
            ..standing(25, 25)
        };
        let log = told(
            false,
            &[
                standing(0, 0),
                standing(1, 1),
                standing(9, 9),
                settling.clone(),
                settling,
            ],
        );
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(
            lines,
            [
                "bifora verify: gathering, 12s of 10m: 1 right answer in a row from 1 task; aarch64 is missing",
                "bifora verify: settling 10s of 30s, 5 of 180 questions, 1 task: all right so far",
            ]
        );
    }

    #[test]
    fn a_log_is_not_told_the_same_again_and_again() {
        // An old task and a new one answer by turns, ten times a second.
        let mixed: Vec<_> = (0..300)
            .map(|tenth| Standing {
                elapsed: Duration::from_millis(100 * tenth),
                absent: if tenth % 2 == 0 {
                    Vec::new()
                } else {
                    vec![Arch::Aarch64]
                },
                last_wrong: Some(format!("another commit answers, task {}", tenth % 3)),
                ..standing(1, 0)
            })
            .collect();
        let log = told(false, &mixed);
        assert!((4..=6).contains(&log.lines().count()), "{log}");
        for task in 0..3 {
            assert!(log.contains(&format!("task {task}")), "{log}");
        }
    }

    #[test]
    fn a_terminal_has_one_line_that_is_gone_at_the_end() {
        let mut wrong = standing(3, 0);
        wrong.last_wrong = Some("no answer".to_owned());
        let shown = told(true, &[standing(1, 1), wrong]);
        assert!(!shown.contains('\n') && shown.ends_with("\r\x1b[2K"), "{shown:?}");
        assert!(
            shown.contains("[▉░] gathering") && shown.contains("[░░] gathering"),
            "{shown:?}"
        );
        assert!(shown.contains("; no answer"), "{shown:?}");
    }
}
