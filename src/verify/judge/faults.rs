//! What is wrong with one observation, and with several of them together.

use std::collections::{BTreeMap, BTreeSet};

use super::named;
use super::subject::Subject;
use crate::arch::Arch;
use crate::attest::Attestation;
use crate::text;
use crate::verify::expect::Expectations;
use crate::verify::observation::{Answer, Failure, FailureKind, Observation, Question, Results};
use crate::verify::verdict::{Finding, Task};

/// How much an observation weighs against a claim.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Nothing.
    Right,
    /// Something was not told: neither right nor wrong.
    Lacking,
    /// There was no answer: nothing while a deployment comes up, everything once it has settled.
    Failed,
    /// It is wrong, whenever it is said.
    Wrong,
}

/// Something that weighs against a claim.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) subject: Subject,
    pub(super) weight: Weight,
    pub(super) finding: Finding,
}

/// The heaviest that one observation weighs against any claim.
pub fn weigh(expected: &Expectations, observation: &Observation) -> Weight {
    of(expected, observation)
        .iter()
        .map(|fault| fault.weight)
        .max()
        .unwrap_or(Weight::Right)
}

/// The heaviest of what is wrong with an observation, in one line.
pub fn explain(expected: &Expectations, observation: &Observation) -> Option<String> {
    let faults = of(expected, observation);
    let heaviest = faults.iter().max_by_key(|fault| fault.weight)?;
    let Finding {
        what,
        place,
        expected,
        seen,
        ..
    } = &heaviest.finding;
    Some(if observation.outcome.is_err() {
        format!("{what}, {place}: {seen}")
    } else {
        format!("{what}, {place}: expected {expected}, seen {seen}")
    })
}

/// What is wrong with one observation.
pub(super) fn of(expected: &Expectations, observation: &Observation) -> Vec<Fault> {
    let answer = match &observation.outcome {
        Ok(answer) => answer,
        Err(failure) => return vec![failed(&observation.question, failure)],
    };
    let mut found = Found {
        place: place(answer.task(), answer.arch()),
        faults: Vec::new(),
    };
    let arch = answer.arch();
    if !expected.archs.contains(&arch) {
        found.wrong(
            Subject::Others,
            "an architecture answers that is not expected",
            &expected.architectures(),
            arch.name(),
        );
    }
    found.commit(expected, answer.commit());
    if let Some(digests) = expected.digests.get(&arch) {
        found.digest(arch, digests, answer.image_digest());
    }
    if let Some(emulator) = answer.who().and_then(|who| who.emulator.as_deref())
        && !expected.allow_emulation
    {
        found.wrong(
            Subject::Native,
            "the machine is emulated",
            &format!("a machine that is {arch}"),
            emulator,
        );
    }
    match answer {
        Answer::WhoAmI(_) => {}
        Answer::Parity(results) => found.parity(expected, results),
        Answer::Attest(attestation) => found.attestation(expected, &observation.question, attestation),
    }
    found.faults
}

/// A task, as findings call it.
pub(super) fn place(task: &str, arch: Arch) -> String {
    format!("task {} ({arch})", shown(task))
}

fn failed(question: &Question, failure: &Failure) -> Fault {
    let (subject, what, expected) = match failure.kind {
        FailureKind::Unanswered => (Subject::Answered, "no answer", "an answer"),
        FailureKind::Redirects => (
            Subject::Answered,
            "redirects lead to no answer",
            "an answer, or a redirect to one",
        ),
        FailureKind::Certificate => (
            Subject::Answered,
            "the certificate is not valid",
            "a certificate for this name, by an authority that is trusted, within its time",
        ),
        FailureKind::Protocol => (
            Subject::Answered,
            "what speaks there is not understood",
            "HTTP, and TLS for https",
        ),
        FailureKind::Foreign => (
            Subject::Bifora,
            "an answer that is not Bifora's",
            "JSON as this version of Bifora answers",
        ),
    };
    Fault {
        subject,
        weight: if failure.kind.is_definite() {
            Weight::Wrong
        } else {
            Weight::Failed
        },
        finding: Finding {
            what: what.to_owned(),
            place: format!("GET {}", question.route()),
            expected: expected.to_owned(),
            seen: shown(&failure.seen),
            times: 1,
        },
    }
}

/// Collects the faults of one answer.
struct Found {
    place: String,
    faults: Vec<Fault>,
}

impl Found {
    fn add(&mut self, subject: Subject, weight: Weight, what: &str, expected: &str, seen: &str) {
        self.faults.push(Fault {
            subject,
            weight,
            finding: Finding {
                what: what.to_owned(),
                place: self.place.clone(),
                expected: expected.to_owned(),
                seen: shown(seen),
                times: 1,
            },
        });
    }

    fn wrong(&mut self, subject: Subject, what: &str, expected: &str, seen: &str) {
        self.add(subject, Weight::Wrong, what, expected, seen);
    }

    fn lacking(&mut self, subject: Subject, what: &str, expected: &str) {
        self.add(subject, Weight::Lacking, what, expected, "nothing");
    }

    fn commit(&mut self, expected: &Expectations, told: Option<&str>) {
        match told {
            Some(told) if told.starts_with(&expected.commit) => {}
            Some(told) => self.wrong(Subject::Commit, "another commit answers", &expected.commit, told),
            None => self.wrong(
                Subject::Commit,
                "a build answers that knows no commit",
                &expected.commit,
                "no commit",
            ),
        }
    }

    fn digest(&mut self, arch: Arch, digests: &BTreeSet<String>, told: Option<&str>) {
        let right = digests
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" or ");
        match told {
            Some(told) if digests.contains(told) => {}
            Some(told) => self.wrong(Subject::Digest(arch), "another image runs", &right, told),
            None => self.lacking(
                Subject::Digest(arch),
                "the task does not tell which image it runs",
                &right,
            ),
        }
    }

    fn parity(&mut self, expected: &Expectations, results: &Results) {
        let subject = Subject::ParityExpected;
        let own = &expected.parity;
        if results.version != own.version {
            let (right, seen) = (own.version.to_string(), results.version.to_string());
            let what = "the vectors are of another version than this program knows; use `bifora verify` of the release that answers";
            return self.add(
                subject,
                Weight::Lacking,
                what,
                &format!("version {right}"),
                &format!("version {seen}"),
            );
        }
        let told: BTreeMap<_, _> = results
            .vectors
            .iter()
            .map(|vector| (vector.name.as_str(), vector.digest.as_deref()))
            .collect();
        for (name, right) in &own.vectors {
            match told.get(name.as_str()) {
                Some(Some(digest)) if digest == right => {}
                Some(Some(digest)) => {
                    self.wrong(subject, &format!("the result of “{name}” differs"), right, digest);
                }
                Some(None) => self.lacking(subject, &format!("“{name}” was not computed"), right),
                None => self.wrong(
                    subject,
                    &format!("“{name}” is not among the results"),
                    right,
                    "nothing",
                ),
            }
        }
        if let Some(name) = told.keys().find(|name| !own.vectors.contains_key(**name)) {
            let what = format!("“{}” is no vector of version {}", shown(name), own.version);
            self.wrong(subject, &what, "the vectors of this version", &shown(name));
        }
    }

    fn attestation(&mut self, expected: &Expectations, question: &Question, attestation: &Attestation) {
        let arch = attestation.arch;
        if let Question::Attest(nonce) = question
            && attestation.nonce != *nonce
        {
            // What was drawn is not shown: it differs each time, and would part what is one finding.
            let what = "the attestation is not an answer to this question: it has another nonce";
            self.wrong(
                Subject::Program,
                what,
                "the nonce that was sent",
                "an earlier answer, or another one's",
            );
        }
        match attestation.elf_machine.as_deref() {
            Some(machine) if machine == arch.name() => {}
            Some(machine) => {
                let what = format!("it claims to be {arch}, and its executable is for another machine");
                self.wrong(Subject::Program, &what, arch.name(), machine);
            }
            None => self.lacking(
                Subject::Program,
                "the task cannot read its own executable",
                arch.name(),
            ),
        }
        if let Some(binary) = expected.binaries.get(&arch) {
            match attestation.binary.as_deref() {
                Some(told) if told == binary => {}
                Some(told) => self.wrong(Subject::Binary(arch), "another executable runs", binary, told),
                None => self.lacking(
                    Subject::Binary(arch),
                    "the task cannot read its own executable",
                    binary,
                ),
            }
        }
    }
}

/// Results that differ between tasks, whatever is expected.
pub(super) fn between_tasks(judged: &[&Observation]) -> Vec<Fault> {
    let mut results: BTreeMap<&str, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    for answer in judged
        .iter()
        .filter_map(|observation| observation.outcome.as_ref().ok())
    {
        let Answer::Parity(told) = answer else { continue };
        for vector in &told.vectors {
            let Some(digest) = vector.digest.as_deref() else {
                continue;
            };
            let tasks = results
                .entry(&vector.name)
                .or_default()
                .entry(digest)
                .or_default();
            tasks.insert(place(answer.task(), answer.arch()));
        }
    }
    results
        .into_iter()
        .filter(|(_, digests)| digests.len() > 1)
        .map(|(name, digests)| {
            let seen: Vec<_> = digests
                .iter()
                .map(|(digest, tasks)| {
                    let first = tasks.first().map(String::as_str).unwrap_or_default();
                    let more = match tasks.len() {
                        0 | 1 => String::new(),
                        count => format!(" and {} more", count - 1),
                    };
                    format!("{} on {first}{more}", text::brief(digest))
                })
                .collect();
            Fault {
                subject: Subject::ParitySame,
                weight: Weight::Wrong,
                finding: Finding {
                    what: format!("tasks differ in the result of “{}”", shown(name)),
                    place: "/api/parity".to_owned(),
                    expected: "the same result everywhere".to_owned(),
                    seen: shown(&seen.join(", ")),
                    times: 1,
                },
            }
        })
        .collect()
}

/// What a task that answered has never been heard to say.
pub(super) fn unheard(task: &Task) -> Vec<Fault> {
    let fault = |subject, route: &str| Fault {
        subject,
        weight: Weight::Lacking,
        finding: Finding {
            what: "a task answered, but never this question".to_owned(),
            place: named(task),
            expected: format!("an answer of {route}"),
            seen: format!(
                "{} to other questions",
                text::count(task.answers, "answer", "answers")
            ),
            times: 1,
        },
    };
    let mut faults = Vec::new();
    if !task.parity {
        faults.push(fault(Subject::ParityExpected, "/api/parity"));
        faults.push(fault(Subject::ParitySame, "/api/parity"));
    }
    if !task.attested {
        faults.push(fault(Subject::Program, "/api/attest"));
    }
    faults
}

fn shown(foreign: &str) -> String {
    text::clean(foreign).unwrap_or_else(|| "nothing".to_owned())
}
