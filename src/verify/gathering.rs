//! Decides what is asked next, and when the settle window opens; from what was seen, without a clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::expect::Expectations;
use super::judge::{Weight, weigh};
use super::observation::{Answer, Observation, Question};
use crate::arch::Arch;
use crate::attest::Nonce;

/// After so many answers without one of the architectures, it is asked for by name.
const PATIENCE: usize = 10;

/// The answers in a row, all of them right, that the last one was part of.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// When the first of them came; `None` in an empty row.
    pub from: Option<Duration>,
    /// How many there are.
    pub length: usize,
    /// What was heard from whom.
    heard: BTreeMap<String, Heard>,
    /// When each architecture answered last, by the row's count.
    last: BTreeMap<Arch, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    arch: Arch,
    parity: bool,
    attested: bool,
}

/// What is asked, and of whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Next {
    /// The question.
    pub question: Question,
    /// Sent along as `x-bifora-arch`, by which the load balancer of `service.yml` chooses; elsewhere nobody minds it.
    pub arch: Option<Arch>,
}

impl Row {
    /// Takes in an observation; one that is not right ends the row. Tells how right it was.
    pub fn note(&mut self, expected: &Expectations, observation: &Observation) -> Weight {
        let weight = weigh(expected, observation);
        match &observation.outcome {
            Ok(answer) if weight == Weight::Right => self.add(observation.at, answer),
            _ => *self = Self::default(),
        }
        weight
    }

    fn add(&mut self, at: Duration, answer: &Answer) {
        self.from.get_or_insert(at);
        self.length += 1;
        self.last.insert(answer.arch(), self.length);
        let heard = self.heard.entry(answer.task().to_owned()).or_insert(Heard {
            arch: answer.arch(),
            parity: false,
            attested: false,
        });
        match answer {
            Answer::WhoAmI(_) => {}
            Answer::Parity(_) => heard.parity = true,
            Answer::Attest(_) => heard.attested = true,
        }
    }

    /// Whether the settle window may open: enough right answers in a row, from each architecture that is expected.
    pub fn opens(&self, expected: &Expectations, enough: usize) -> bool {
        self.length >= enough && self.absent(expected).is_empty()
    }

    /// The architectures that are expected and have not answered in this row.
    pub fn absent(&self, expected: &Expectations) -> BTreeSet<Arch> {
        let answered = |arch: &&Arch| !self.last.contains_key(*arch);
        expected.archs.iter().filter(answered).copied().collect()
    }

    /// The tasks of this row.
    pub fn tasks(&self) -> usize {
        self.heard.len()
    }

    /// Whether every task has been heard on every question.
    pub fn is_heard(&self) -> bool {
        self.heard.values().all(|heard| heard.parity && heard.attested)
    }

    /// What to ask next. The answers to all questions are samples alike: each tells who gave it. So a question is chosen by what
    /// is still to be heard from a task, and goes to whichever task the load balancer chooses.
    pub fn next(&self, expected: &Expectations) -> Next {
        let of = |wanted: fn(&Heard) -> bool| {
            self.heard
                .values()
                .filter(|heard| wanted(heard))
                .map(|heard| heard.arch)
                .next()
        };
        let (question, from) = if let Some(arch) = of(|heard| !heard.parity) {
            (Question::Parity, Some(arch))
        } else if let Some(arch) = of(|heard| !heard.attested) {
            (Question::Attest(Nonce::random().to_string()), Some(arch))
        } else {
            (Question::WhoAmI, None)
        };
        // Every other question leaves it to the load balancer, whose choice is what visitors get.
        let may_choose = self.length >= PATIENCE && self.length.is_multiple_of(2);
        let rare = || {
            expected.archs.iter().copied().find(|arch| {
                let last = self.last.get(arch).copied().unwrap_or_default();
                self.length - last >= PATIENCE
            })
        };
        Next {
            question,
            arch: if may_choose { rare().or(from) } else { None },
        }
    }
}

/// How many right answers in a row open the settle window: one in ten of the samples, of which they are a part.
pub fn enough(samples: usize) -> usize {
    (samples / 10).clamp(2, 20)
}

/// How long to wait before the next question, after so many in a row that were not right: 1/4 s, and longer each time up to
/// 5 s, and a random part of that, so that gates that wait for the same deployment do not ask in step. `random` is from 0 to 1.
pub fn backoff(wrong: u32, random: f64) -> Duration {
    let longest = Duration::from_secs(5);
    let whole = Duration::from_millis(250)
        .saturating_mul(1 << wrong.saturating_sub(1).min(10))
        .min(longest);
    whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::judge::test_support::{attest, expected, failed, parity, whoami};

    #[test]
    fn what_is_not_right_ends_the_row() {
        let expected = expected();
        let mut row = Row::default();
        for at in 0..30 {
            let arch = if at % 2 == 0 { Arch::X86_64 } else { Arch::Aarch64 };
            row.note(&expected, &whoami(at, arch, "t"));
        }
        assert!(row.opens(&expected, 20));
        assert_eq!(row.note(&expected, &failed(31)), Weight::Failed);
        assert!(!row.opens(&expected, 1) && row.length == 0);
        let mut wrong = whoami(32, Arch::X86_64, "t");
        if let Ok(Answer::WhoAmI(who)) = &mut wrong.outcome {
            who.commit = Some("f".repeat(40));
        }
        row.note(&expected, &whoami(32, Arch::X86_64, "t"));
        assert_eq!(row.note(&expected, &wrong), Weight::Wrong);
        assert_eq!(row.from, None);
    }

    #[test]
    fn one_architecture_alone_opens_nothing() {
        let expected = expected();
        let mut row = Row::default();
        for at in 0..100 {
            row.note(&expected, &whoami(at, Arch::X86_64, "t"));
        }
        assert!(!row.opens(&expected, 20));
        assert_eq!(row.absent(&expected), [Arch::Aarch64].into());
        row.note(&expected, &whoami(100, Arch::Aarch64, "u"));
        assert!(row.opens(&expected, 20));
    }

    #[test]
    fn every_task_is_heard_on_everything_before_anything_is_asked_twice() {
        let expected = expected();
        let mut row = Row::default();
        assert_eq!(row.next(&expected).question, Question::WhoAmI);
        row.note(&expected, &whoami(0, Arch::X86_64, "a"));
        row.note(&expected, &whoami(1, Arch::Aarch64, "b"));
        assert_eq!(row.next(&expected).question, Question::Parity);
        row.note(&expected, &parity(2, Arch::X86_64, "a"));
        assert_eq!(row.next(&expected).question, Question::Parity, "b is to be heard");
        row.note(&expected, &parity(3, Arch::Aarch64, "b"));
        let Question::Attest(first) = row.next(&expected).question else {
            panic!("both are to attest");
        };
        assert_ne!(
            row.next(&expected).question,
            Question::Attest(first),
            "a new nonce each time"
        );
        row.note(&expected, &attest(4, Arch::X86_64, "a"));
        assert!(!row.is_heard());
        row.note(&expected, &attest(5, Arch::Aarch64, "b"));
        assert!(row.is_heard());
        assert_eq!(row.next(&expected).question, Question::WhoAmI);
    }

    #[test]
    fn who_does_not_come_up_is_asked_for() {
        let expected = expected();
        let mut row = Row::default();
        let mut asked = BTreeSet::new();
        for at in 0..40 {
            asked.insert(row.next(&expected).arch);
            row.note(&expected, &parity(at, Arch::X86_64, "a"));
            row.note(&expected, &attest(at, Arch::X86_64, "a"));
        }
        assert_eq!(asked, [None, Some(Arch::Aarch64)].into());
    }

    #[test]
    fn waiting_grows_and_is_bounded() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(250));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(125));
        assert!(backoff(2, 0.5) > backoff(1, 0.5));
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(5));
        assert_eq!((enough(2), enough(200), enough(10_000)), (2, 20, 20));
    }
}
