//! Holds observations against what was built. A pure function: no clock, no network, and no matter in which order they come.

mod faults;
mod subject;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use self::faults::{Weight, explain, weigh};

use self::faults::{Fault, place};
use self::subject::Subject;
use super::expect::Expectations;
use super::observation::{Answer, Observation};
use super::verdict::{Claim, Finding, Status, Task, Verdict};
use crate::text;

/// The most findings that one claim shows.
const MOST_FINDINGS: usize = 20;

/// Which observations count, and how strictly; times are those at which outcomes were known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Period {
    /// The settle window did not open. What was seen from `recent` on tells why: what is wrong for good disproves, what may
    /// be a deployment coming up does not decide.
    Gathering {
        /// Before this is history.
        recent: Duration,
    },
    /// It did: everything from `from` on has to be right.
    Settling(Window),
}

/// The settle window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Where the row of right answers begins that opened it; what came before does not count.
    pub from: Duration,
    /// When it opened.
    pub opened: Duration,
    /// How long it has to be.
    pub settle: Duration,
    /// Until when it was watched.
    pub until: Duration,
    /// Whether it was watched to its end, with all questions asked that belong into it.
    pub complete: bool,
}

impl Period {
    fn from(self) -> Duration {
        match self {
            Self::Gathering { recent } => recent,
            Self::Settling(window) => window.from,
        }
    }

    /// From when on each architecture has to answer.
    fn strict(self) -> Duration {
        match self {
            Self::Gathering { recent } => recent,
            Self::Settling(window) => window.opened,
        }
    }

    fn is_complete(self) -> bool {
        matches!(self, Self::Settling(window) if window.complete)
    }
}

/// The verdict on these observations.
pub fn judge(expected: &Expectations, observations: &[Observation], period: Period) -> Verdict {
    let judged: Vec<_> = observations
        .iter()
        .filter(|observation| observation.at >= period.from())
        .collect();
    let mut faults: Vec<Fault> = judged
        .iter()
        .flat_map(|observation| faults::of(expected, observation))
        .collect();
    let tasks = tasks(&judged);
    faults.extend(faults::between_tasks(&judged));
    if period.is_complete() {
        faults.extend(tasks.iter().flat_map(faults::unheard));
    }
    let seen = Seen {
        expected,
        judged: &judged,
        tasks: &tasks,
        period,
    };
    let claims: Vec<_> = Subject::all(expected)
        .into_iter()
        .map(|subject| claim(subject, &seen, &faults))
        .collect();
    let mut took: Vec<_> = judged
        .iter()
        .filter(|observation| observation.outcome.is_ok())
        .map(|observation| u64::try_from(observation.took.as_millis()).unwrap_or(u64::MAX))
        .collect();
    took.sort_unstable();
    Verdict {
        status: claims
            .iter()
            .map(|claim| claim.status)
            .max()
            .unwrap_or(Status::Undecided),
        questions: judged.len(),
        median_ms: took.get(took.len() / 2).copied().unwrap_or_default(),
        longest_ms: took.last().copied().unwrap_or_default(),
        claims,
        tasks,
    }
}

/// What the claims are made of.
struct Seen<'a> {
    expected: &'a Expectations,
    judged: &'a [&'a Observation],
    tasks: &'a [Task],
    period: Period,
}

impl Seen<'_> {
    fn answers(&self) -> impl Iterator<Item = (&Observation, &Answer)> {
        let answer = |observation: &&'_ Observation| -> bool { observation.outcome.is_ok() };
        self.judged
            .iter()
            .copied()
            .filter(answer)
            .filter_map(|observation| {
                observation
                    .outcome
                    .as_ref()
                    .ok()
                    .map(|answer| (observation, answer))
            })
    }
}

fn claim(subject: Subject, seen: &Seen, faults: &[Fault]) -> Claim {
    let against: Vec<_> = faults.iter().filter(|fault| fault.subject == subject).collect();
    let disproves = |fault: &&Fault| match seen.period {
        Period::Gathering { .. } => fault.weight == Weight::Wrong,
        Period::Settling(_) => fault.weight >= Weight::Failed,
    };
    let missing = subject.missing(seen);
    let status = if against.iter().any(disproves) {
        Status::Disproven
    } else if !against.is_empty() || missing.is_some() {
        Status::Undecided
    } else {
        Status::Proven
    };
    let findings = grouped(&against);
    let summary = match (missing, findings.len()) {
        (Some(missing), 0) => missing,
        (None, 0) => subject.summary(seen),
        (_, count) if count > MOST_FINDINGS => {
            format!("{count} different findings; the {MOST_FINDINGS} most frequent are shown")
        }
        _ => {
            let times: usize = findings.iter().map(|finding| finding.times).sum();
            format!("{times} × not so")
        }
    };
    let hint = (status != Status::Proven)
        .then(|| subject.hint(seen, &against))
        .flatten();
    Claim {
        name: subject.name(seen.expected),
        status,
        summary,
        findings: findings.into_iter().take(MOST_FINDINGS).collect(),
        hint,
    }
}

/// Findings that say the same as one, the most frequent first.
fn grouped(faults: &[&Fault]) -> Vec<Finding> {
    let mut times: BTreeMap<&Finding, usize> = BTreeMap::new();
    for fault in faults {
        *times.entry(&fault.finding).or_default() += fault.finding.times;
    }
    let mut findings: Vec<_> = times
        .into_iter()
        .map(|(finding, times)| Finding {
            times,
            ..finding.clone()
        })
        .collect();
    findings.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.cmp(b)));
    findings
}

/// The tasks that answered, by architecture and name.
fn tasks(judged: &[&Observation]) -> Vec<Task> {
    let mut tasks: BTreeMap<(crate::arch::Arch, &str), Task> = BTreeMap::new();
    // What an answer does not tell another one may; in the order of time, whatever the order given.
    let mut answers: Vec<_> = judged
        .iter()
        .filter_map(|observation| Some((observation.at, observation.outcome.as_ref().ok()?)))
        .collect();
    answers.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| format!("{:?}", a.1).cmp(&format!("{:?}", b.1)))
    });
    for (_, answer) in answers {
        let task = tasks
            .entry((answer.arch(), answer.task()))
            .or_insert_with(|| Task {
                id: text::clean(answer.task()).unwrap_or_default(),
                arch: answer.arch(),
                emulator: None,
                hostname: None,
                zone: None,
                commit: None,
                image_digest: None,
                binary: None,
                answers: 0,
                parity: false,
                attested: false,
            });
        task.answers += 1;
        let told = |value: Option<&str>| value.and_then(text::clean);
        task.commit = told(answer.commit()).or_else(|| task.commit.take());
        task.image_digest = told(answer.image_digest()).or_else(|| task.image_digest.take());
        if let Some(who) = answer.who() {
            task.emulator = told(who.emulator.as_deref());
            task.hostname = told(who.hostname.as_deref());
            task.zone = told(who.zone.as_deref());
        }
        match answer {
            Answer::WhoAmI(_) => {}
            Answer::Parity(_) => task.parity = true,
            Answer::Attest(attestation) => {
                task.attested = true;
                task.binary = told(attestation.binary.as_deref());
            }
        }
    }
    tasks.into_values().collect()
}

/// The architectures that gave at least one answer without a fault, from the moment on from which they have to.
fn right_archs(seen: &Seen) -> BTreeSet<crate::arch::Arch> {
    seen.answers()
        .filter(|(observation, _)| observation.at >= seen.period.strict())
        .filter(|(observation, _)| weigh(seen.expected, observation) == Weight::Right)
        .map(|(_, answer)| answer.arch())
        .collect()
}

/// A task, as findings call it.
fn named(task: &Task) -> String {
    place(&task.id, task.arch)
}
