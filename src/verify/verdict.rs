//! What the judge says: claims, each proven, disproven or not decided, and what speaks against them.

use serde::{Deserialize, Serialize};

use crate::arch::Arch;

/// How it came out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is so.
    Proven,
    /// Something needed for either was missing.
    Undecided,
    /// It is not so.
    Disproven,
}

impl Status {
    /// The exit code of a verdict.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Disproven => 1,
            Self::Undecided => 3,
        }
    }
}

/// The whole of what was found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verdict {
    /// The worst of its claims.
    pub status: Status,
    /// What was to be shown.
    pub claims: Vec<Claim>,
    /// Who answered, in the time that was judged.
    pub tasks: Vec<Task>,
    /// How many questions were judged.
    pub questions: usize,
    /// How long an answer took, in milliseconds: the median and the longest.
    pub median_ms: u64,
    /// See above.
    pub longest_ms: u64,
}

/// One thing that was to be shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// What, as a sentence.
    pub name: String,
    /// How it came out.
    pub status: Status,
    /// What stands behind that, in a few words.
    pub summary: String,
    /// What speaks against it, or is missing; the most frequent first.
    pub findings: Vec<Finding>,
    /// What usually is behind it, and what to look at; for people.
    pub hint: Option<String>,
}

/// Something that speaks against a claim, or that is missing.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub what: String,
    /// Who said so, or which address was asked.
    pub place: String,
    /// What would be right.
    pub expected: String,
    /// What was seen instead.
    pub seen: String,
    /// How often.
    pub times: usize,
}

/// A task that answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Task {
    /// The task's id, or where there are none the random one of the process.
    pub id: String,
    /// The architecture that it claims.
    pub arch: Arch,
    /// What translates its instructions.
    pub emulator: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// Commit.
    pub commit: Option<String>,
    /// Digest of its image.
    pub image_digest: Option<String>,
    /// Digest of its executable.
    pub binary: Option<String>,
    /// How many answers came from it.
    pub answers: usize,
    /// Whether it has told its parity vectors.
    pub parity: bool,
    /// Whether it has attested its executable.
    pub attested: bool,
}
