//! Parity: does this architecture give the same results as the other?
//!
//! A fixed set of [`Vector`]s, each the SHA-256 of what a piece of code gives for fixed inputs, beside the digest that is
//! expected of every architecture; and the [`Difference`]s, which are no fault and bite people all the same.
//! [`Results::compute`] runs them all, once for each process.

mod checksums;
mod concurrency;
mod cpu_time;
mod differences;
mod floats;
mod formats;
mod integers;
mod layout;
mod numerals;
mod order;
mod plain;
#[cfg(test)]
mod tests;
mod time;
mod unicode;
mod work;

use std::panic::catch_unwind;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::work::Work;
use crate::host::Host;
use crate::whoami::WhoAmI;

/// The version of the set of vectors: one that is added, removed or changed makes it another. Results of different
/// versions say nothing about each other.
pub const PARITY_VERSION: u32 = 1;

/// The most CPU time that the vectors may take, all threads together.
pub const BUDGET: Duration = Duration::from_millis(100);

/// The same under an emulator, which spends most of it on translating code that runs once.
const EMULATED_BUDGET: Duration = Duration::from_secs(1);

/// What the vectors may take on this machine.
pub fn budget(host: &Host) -> Duration {
    if host.machine.emulator.is_some() {
        EMULATED_BUDGET
    } else {
        BUDGET
    }
}

/// The answer of `/api/parity`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Parity {
    /// Version of the set of vectors; results of another version are not comparable.
    #[schema(example = 1)]
    pub version: u32,
    /// Who computed them.
    pub who: WhoAmI,
    /// What must be the same everywhere.
    pub vectors: Vec<Vector>,
    /// What may differ.
    pub differences: Vec<Difference>,
}

/// One result, beside what is expected of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Vector {
    /// What is computed, in a few words; no two vectors have the same.
    #[schema(example = "float to integer casts")]
    pub name: String,
    /// What it belongs to.
    #[schema(example = "Floating point")]
    pub subject: String,
    /// Why it matters, in one line.
    pub why: String,
    /// Where that is said: a title, and an address in angle brackets.
    #[schema(
        example = "Rust reference, numeric casts <https://doc.rust-lang.org/reference/expressions/operator-expr.html#numeric-cast>"
    )]
    pub source: String,
    /// SHA-256 of the result, 64 hexadecimal digits; `null` when there is no result.
    pub digest: Option<String>,
    /// The digest that is expected of every architecture.
    pub expected: String,
    /// Why there is no result; `null` when there is one.
    pub problem: Option<String>,
}

/// Something that differs between architectures, or may, and is no fault.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Difference {
    /// What differs.
    #[schema(example = "page size")]
    pub name: String,
    /// How it is here.
    #[schema(example = "4096 bytes")]
    pub value: String,
    /// What breaks when code assumes that it is so everywhere.
    pub breaks: String,
    /// Where that is said: a title, and an address in angle brackets.
    pub source: String,
}

/// How a vector came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// With the expected digest.
    AsExpected,
    /// With another.
    Differs,
    /// Not at all: that proves nothing, one way or the other.
    NotComputed,
}

impl Vector {
    /// How it came out.
    pub fn outcome(&self) -> Outcome {
        match &self.digest {
            None => Outcome::NotComputed,
            Some(digest) if *digest == self.expected => Outcome::AsExpected,
            Some(_) => Outcome::Differs,
        }
    }
}

/// The names of those that came out like this.
pub fn names(vectors: &[Vector], outcome: Outcome) -> Vec<&str> {
    let of_it = vectors.iter().filter(|vector| vector.outcome() == outcome);
    of_it.map(|vector| vector.name.as_str()).collect()
}

/// Title and address of a source such as `RFC 8259 <https://www.rfc-editor.org/rfc/rfc8259>`.
pub fn cited(source: &str) -> Option<(&str, &str)> {
    let (title, address) = source.split_once(" <")?;
    let address = address.strip_suffix('>')?;
    (!title.is_empty() && address.starts_with("https://")).then_some((title, address))
}

/// A vector before it is run.
#[derive(Clone, Copy, Debug)]
struct Definition {
    name: &'static str,
    why: &'static str,
    source: &'static str,
    run: fn(&mut Work),
    expected: &'static str,
}

/// Every vector, by what it belongs to.
const SUBJECTS: [(&str, &[Definition]); 10] = [
    ("Integers", integers::VECTORS),
    ("Floating point", floats::VECTORS),
    ("Numbers as text", numerals::VECTORS),
    ("Checksums", checksums::VECTORS),
    ("Unicode", unicode::VECTORS),
    ("Order", order::VECTORS),
    ("Formats", formats::VECTORS),
    ("Layout in memory", layout::VECTORS),
    ("Threads", concurrency::VECTORS),
    ("Time", time::VECTORS),
];

/// Every vector's name, and the digest that is expected of it.
pub fn expected() -> impl Iterator<Item = (&'static str, &'static str)> {
    definitions(&SUBJECTS).map(|(_, definition)| (definition.name, definition.expected))
}

/// What was computed: everything of [`Parity`] but who did it.
#[derive(Clone, Debug)]
pub struct Results {
    /// What must be the same everywhere.
    pub vectors: Vec<Vector>,
    /// What may differ.
    pub differences: Vec<Difference>,
    /// CPU time that the vectors took.
    pub cpu_time: Duration,
}

impl Results {
    /// Runs every vector, as far as `budget` lasts. Takes some milliseconds, so it wants a thread of its own.
    pub fn compute(host: &Host, budget: Duration) -> Self {
        let (vectors, cpu_time) = run(&SUBJECTS, budget);
        Self {
            vectors,
            differences: differences::all(host),
            cpu_time,
        }
    }

    /// No result at all, for a process that could not run them.
    pub fn missing(problem: &str) -> Self {
        let missing =
            |subject: &str, definition: &Definition| definition.found(subject, Err(problem.to_owned()));
        Self {
            vectors: definitions(&SUBJECTS)
                .map(|(subject, definition)| missing(subject, definition))
                .collect(),
            differences: Vec::new(),
            cpu_time: Duration::ZERO,
        }
    }

    /// The answer of this process.
    pub fn told_by(&self, who: &WhoAmI) -> Parity {
        Parity {
            version: PARITY_VERSION,
            who: who.clone(),
            vectors: self.vectors.clone(),
            differences: self.differences.clone(),
        }
    }
}

impl Definition {
    /// The result; a panic in a vector is its own alone.
    fn compute(&self) -> (Result<String, String>, Duration) {
        let started = cpu_time::of_this_thread();
        let run = self.run;
        let outcome = catch_unwind(|| {
            let mut work = Work::new();
            run(&mut work);
            work.finish()
        });
        let own = cpu_time::of_this_thread().saturating_sub(started);
        match outcome {
            Ok((digest, helpers)) => (Ok(digest), own + helpers),
            Err(panic) => (Err(format!("it failed: {}", words(&*panic))), own),
        }
    }

    fn found(&self, subject: &str, result: Result<String, String>) -> Vector {
        let (digest, problem) = match result {
            Ok(digest) => (Some(digest), None),
            Err(problem) => (None, Some(problem)),
        };
        Vector {
            name: self.name.to_owned(),
            subject: subject.to_owned(),
            why: self.why.to_owned(),
            source: self.source.to_owned(),
            digest,
            expected: self.expected.to_owned(),
            problem,
        }
    }
}

fn definitions<'a>(
    subjects: &'a [(&'static str, &'static [Definition])],
) -> impl Iterator<Item = (&'static str, &'static Definition)> + 'a {
    subjects
        .iter()
        .flat_map(|(subject, vectors)| vectors.iter().map(|definition| (*subject, definition)))
}

/// Runs vectors one after the other, and none any more once the budget is spent.
fn run(subjects: &[(&'static str, &'static [Definition])], budget: Duration) -> (Vec<Vector>, Duration) {
    let mut spent = Duration::ZERO;
    let vectors = definitions(subjects).map(|(subject, definition)| {
        if spent >= budget {
            let problem = format!(
                "not run: the others had used up the {} ms of CPU time for all",
                budget.as_millis()
            );
            return definition.found(subject, Err(problem));
        }
        let (result, took) = definition.compute();
        spent += took;
        definition.found(subject, result)
    });
    (vectors.collect(), spent)
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why")
}
