//! What one question brought: an answer of Bifora's, or what came in its place.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::attest::Attestation;
use crate::whoami::WhoAmI;

/// One question, asked once.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When its outcome was known, since the start.
    pub at: Duration,
    /// How long that took.
    pub took: Duration,
    /// What was asked.
    pub question: Question,
    /// What came.
    pub outcome: Result<Answer, Failure>,
}

/// What can be asked. Every answer tells who gave it, so that each is a sample of the fleet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// `/api/whoami`.
    WhoAmI,
    /// `/api/parity`.
    Parity,
    /// `/api/attest` with this nonce.
    Attest(String),
}

impl Question {
    /// The address below that of the deployment.
    pub fn path(&self) -> String {
        match self {
            Self::WhoAmI => "/api/whoami".to_owned(),
            Self::Parity => "/api/parity".to_owned(),
            Self::Attest(nonce) => format!("/api/attest?nonce={nonce}"),
        }
    }

    /// The address without what is drawn anew each time.
    pub const fn route(&self) -> &'static str {
        match self {
            Self::WhoAmI => "/api/whoami",
            Self::Parity => "/api/parity",
            Self::Attest(_) => "/api/attest",
        }
    }
}

/// An answer of Bifora's.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of `/api/whoami`.
    WhoAmI(Box<WhoAmI>),
    /// Of `/api/parity`.
    Parity(Box<Results>),
    /// Of `/api/attest`.
    Attest(Box<Attestation>),
}

/// What is read of `/api/parity`: [`crate::parity::Parity`] without what is written for people.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Results {
    /// Version of the set of vectors.
    pub version: u32,
    /// Who computed them.
    pub who: WhoAmI,
    /// The results.
    pub vectors: Vec<VectorResult>,
}

/// One result.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VectorResult {
    /// What was computed.
    pub name: String,
    /// SHA-256 of the result; `null` when there is none.
    pub digest: Option<String>,
    /// The digest that the task itself expects.
    pub expected: String,
}

impl Answer {
    /// What tells the task from others.
    pub fn task(&self) -> &str {
        match self {
            Self::WhoAmI(who) => who.identity(),
            Self::Parity(results) => results.who.identity(),
            Self::Attest(attestation) => attestation.task.as_deref().unwrap_or(&attestation.instance),
        }
    }

    /// Who says so, where the answer tells more than its task.
    pub fn who(&self) -> Option<&WhoAmI> {
        match self {
            Self::WhoAmI(who) => Some(who),
            Self::Parity(results) => Some(&results.who),
            Self::Attest(_) => None,
        }
    }

    /// The architecture that it claims.
    pub fn arch(&self) -> Arch {
        match self {
            Self::Attest(attestation) => attestation.arch,
            Self::WhoAmI(who) => who.arch,
            Self::Parity(results) => results.who.arch,
        }
    }

    /// The commit that it tells.
    pub fn commit(&self) -> Option<&str> {
        match self {
            Self::Attest(attestation) => attestation.commit.as_deref(),
            Self::WhoAmI(who) => who.commit.as_deref(),
            Self::Parity(results) => results.who.commit.as_deref(),
        }
    }

    /// The digest of its image that it tells.
    pub fn image_digest(&self) -> Option<&str> {
        match self {
            Self::Attest(attestation) => attestation.image_digest.as_deref(),
            Self::WhoAmI(who) => who.image_digest.as_deref(),
            Self::Parity(results) => results.who.image_digest.as_deref(),
        }
    }
}

/// What came in place of an answer of Bifora's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Of what kind it is.
    pub kind: FailureKind,
    /// What came, in words that are fit to show.
    pub seen: String,
}

/// The kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// Nobody answers there, or not in time, or not to the end; or the answer says that the service is down (5xx).
    Unanswered,
    /// An answer that Bifora does not give.
    Foreign,
    /// Redirects that lead nowhere.
    Redirects,
    /// A certificate that is not to be trusted.
    Certificate,
    /// What is spoken there is not TLS, or not HTTP.
    Protocol,
}

impl FailureKind {
    /// Whether it is wrong for good, and not what a deployment passes through while it comes up.
    pub const fn is_definite(self) -> bool {
        !matches!(self, Self::Unanswered)
    }
}

impl Failure {
    /// A failure.
    pub fn new(kind: FailureKind, seen: impl Into<String>) -> Self {
        Self {
            kind,
            seen: seen.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)
    }
}
