//! What is claimed, in words.

use super::faults::{Fault, Weight};
use super::{Period, Seen, right_archs};
use crate::arch::Arch;
use crate::text;
use crate::verify::expect::Expectations;
use crate::verify::observation::Answer;

/// What a claim is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    /// An architecture that has to answer does.
    Answers(Arch),
    /// No other one does.
    Others,
    /// No question fails.
    Answered,
    /// No answer is somebody else's.
    Bifora,
    /// Every answer has the commit.
    Commit,
    /// Every task of an architecture runs the image.
    Digest(Arch),
    /// No task is emulated.
    Native,
    /// Every task's executable is for the machine that it claims to be.
    Program,
    /// Every task of an architecture runs the executable.
    Binary(Arch),
    /// Every parity vector is as expected.
    ParityExpected,
    /// No two tasks differ in one.
    ParitySame,
    /// All of that held for the settle window.
    Settled,
}

impl Subject {
    /// What is claimed under these expectations.
    pub(super) fn all(expected: &Expectations) -> Vec<Self> {
        let mut all: Vec<_> = expected.archs.iter().map(|arch| Self::Answers(*arch)).collect();
        // With both expected there is no other that could answer.
        if expected.archs.len() < 2 {
            all.push(Self::Others);
        }
        all.extend([Self::Answered, Self::Bifora, Self::Commit]);
        all.extend(expected.digests.keys().map(|arch| Self::Digest(*arch)));
        if !expected.allow_emulation {
            all.push(Self::Native);
        }
        all.push(Self::Program);
        all.extend(expected.binaries.keys().map(|arch| Self::Binary(*arch)));
        all.extend([Self::ParityExpected, Self::ParitySame, Self::Settled]);
        all
    }

    /// The claim.
    pub(super) fn name(self, expected: &Expectations) -> String {
        match self {
            Self::Answers(arch) => format!("{arch} answers"),
            Self::Others => format!("nothing but {} answers", expected.architectures()),
            Self::Answered => "every question is answered".to_owned(),
            Self::Bifora => "every answer is Bifora's".to_owned(),
            Self::Commit => format!("every answer is of commit {}", expected.short_commit()),
            Self::Digest(arch) => format!("{arch} runs the expected image"),
            Self::Native => "nothing is emulated".to_owned(),
            Self::Program => "every executable is for its machine".to_owned(),
            Self::Binary(arch) => format!("{arch} runs the expected executable"),
            Self::ParityExpected => "every parity vector is as expected".to_owned(),
            Self::ParitySame => "every task has the same parity vectors".to_owned(),
            Self::Settled => "it holds for the settle window".to_owned(),
        }
    }

    /// What would be needed to call it proven, if nothing speaks against it and it still is not.
    pub(super) fn missing(self, seen: &Seen) -> Option<String> {
        if let Self::Answers(arch) = self
            && !right_archs(seen).contains(&arch)
        {
            let came = came(seen, arch);
            return Some(match (seen.period, came) {
                (Period::Settling(_), _) if !seen.period.is_complete() => {
                    "no right answer yet in the settle window".to_owned()
                }
                (Period::Settling(_), 0) => format!("{arch} did not answer in the settle window"),
                (_, 0) => format!("{arch} has not answered"),
                _ => format!("{arch} has given no answer that is right in everything"),
            });
        }
        if self == Self::Settled {
            return match seen.period {
                Period::Gathering { .. } => Some("the settle window has not opened".to_owned()),
                Period::Settling(window) if !window.complete => {
                    let watched = window.until.saturating_sub(window.opened);
                    Some(format!(
                        "the settle window was watched for {} of {}",
                        text::seconds(watched),
                        text::seconds(window.settle)
                    ))
                }
                Period::Settling(_) => None,
            };
        }
        match seen.period {
            Period::Settling(window) if window.complete => None,
            _ if seen.judged.is_empty() => Some("nothing was heard".to_owned()),
            _ => Some("nothing against it so far".to_owned()),
        }
    }

    /// What it rests on, when nothing speaks against it.
    pub(super) fn summary(self, seen: &Seen) -> String {
        let tasks = |wanted: &dyn Fn(&crate::verify::verdict::Task) -> bool| {
            text::count(
                seen.tasks.iter().filter(|task| wanted(task)).count(),
                "task",
                "tasks",
            )
        };
        let answers = |wanted: &dyn Fn(&Answer) -> bool| {
            text::count(
                seen.answers().filter(|(_, answer)| wanted(answer)).count(),
                "answer",
                "answers",
            )
        };
        match self {
            Self::Answers(arch) | Self::Digest(arch) => format!(
                "{} from {}",
                answers(&|answer| answer.arch() == arch),
                tasks(&|task| task.arch == arch)
            ),
            Self::Binary(arch) => format!(
                "{} attested it",
                tasks(&|task| task.arch == arch && task.attested)
            ),
            Self::Program => format!("{} attested it", tasks(&|task| task.attested)),
            Self::ParityExpected => format!(
                "{} from {}",
                text::count(seen.expected.parity.vectors.len(), "vector", "vectors"),
                tasks(&|task| task.parity)
            ),
            Self::ParitySame => format!("{} compared", tasks(&|task| task.parity)),
            Self::Answered => text::count(seen.judged.len(), "question", "questions"),
            Self::Native => tasks(&|_| true),
            Self::Settled => match seen.period {
                Period::Settling(window) => text::seconds(window.settle),
                Period::Gathering { .. } => String::new(),
            },
            Self::Others | Self::Bifora | Self::Commit => answers(&|_| true),
        }
    }

    /// What usually is behind it.
    pub(super) fn hint(self, seen: &Seen, against: &[&Fault]) -> Option<String> {
        let heaviest = against.iter().map(|fault| fault.weight).max();
        let hint = match self {
            // If it does, the other claims say what is wrong with that.
            Self::Answers(arch) if came(seen, arch) > 0 => return None,
            Self::Answers(arch) => format!(
                "Does the service of {arch} run, are its tasks healthy, and does the load balancer give it weight?"
            ),
            Self::Others => {
                heaviest?;
                "Does the load balancer have a target that does not belong there? If it does belong: --arch names it.".to_owned()
            }
            Self::Answered => match heaviest? {
                Weight::Failed => {
                    "Do all tasks run and pass their health check? The service's events and the tasks' logs tell more.".to_owned()
                }
                _ => "This is about the address and what stands before the service, not about the service itself.".to_owned(),
            },
            Self::Bifora => {
                heaviest?;
                "Something else answers at this address: a proxy, a login page, the load balancer itself, or a Bifora of another \
                 version."
                    .to_owned()
            }
            Self::Commit => {
                heaviest?;
                "A task of another build still answers: is the deployment under way, did it fail, or was it rolled back?".to_owned()
            }
            Self::Digest(_) => match heaviest? {
                Weight::Lacking => "Tasks know their image from ECS task metadata; elsewhere there is nobody to tell it.".to_owned(),
                _ => "The task was started from another image than was built: does its task definition name the image by digest?"
                    .to_owned(),
            },
            Self::Native => {
                heaviest?;
                "An image of another architecture than its machine's runs through an emulator, slowly. For a rehearsal on one machine \
                 there is --allow-emulation."
                    .to_owned()
            }
            Self::Program | Self::Binary(_) => match heaviest? {
                Weight::Lacking => return None,
                _ => "What runs is not what was built: was the image packed with the executable of another build or architecture?"
                    .to_owned(),
            },
            Self::ParityExpected | Self::ParitySame => match heaviest? {
                Weight::Lacking => "With many tasks it takes more --samples to hear each of them.".to_owned(),
                _ => "The page /parity of the deployment says why each vector matters. Do the tasks run the same executable?".to_owned(),
            },
            Self::Settled => return None,
        };
        Some(hint)
    }
}

/// How many answers came from an architecture, from the moment on from which they have to.
fn came(seen: &Seen, arch: Arch) -> usize {
    let counts = seen
        .answers()
        .filter(|(observation, answer)| answer.arch() == arch && observation.at >= seen.period.strict());
    counts.count()
}
