//! Observations for tests.

use std::time::Duration;

use crate::arch::Arch;
use crate::attest::Attestation;
use crate::verify::expect::{Expectations, ExpectedParity};
use crate::verify::observation::{
    Answer, Failure, FailureKind, Observation, Question, Results, VectorResult,
};
use crate::whoami::WhoAmI;

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) fn digest(arch: Arch) -> String {
    format!(
        "sha256:{}",
        if arch == Arch::X86_64 { "1" } else { "2" }.repeat(64)
    )
}

pub(crate) fn binary(arch: Arch) -> String {
    format!(
        "sha256:{}",
        if arch == Arch::X86_64 { "3" } else { "4" }.repeat(64)
    )
}

/// Everything that can be expected.
pub(crate) fn expected() -> Expectations {
    let archs = [Arch::X86_64, Arch::Aarch64];
    Expectations {
        archs: archs.into(),
        commit: COMMIT[..7].to_owned(),
        digests: archs.map(|arch| (arch, [digest(arch)].into())).into(),
        binaries: archs.map(|arch| (arch, binary(arch))).into(),
        allow_emulation: false,
        parity: ExpectedParity {
            version: 1,
            vectors: [("a", "5"), ("b", "6")]
                .map(|(name, of)| (name.to_owned(), of.repeat(64)))
                .into(),
        },
    }
}

fn observation(at: u64, question: Question, outcome: Result<Answer, Failure>) -> Observation {
    Observation {
        at: Duration::from_millis(at),
        took: Duration::from_millis(3),
        question,
        outcome,
    }
}

pub(crate) fn who(arch: Arch, task: &str) -> WhoAmI {
    WhoAmI {
        arch,
        emulator: None,
        hostname: Some("h".to_owned()),
        cpu: None,
        cpus: 1,
        instance: "0".repeat(32),
        started: None,
        task: Some(format!("{task}-{arch}")),
        zone: None,
        version: "0.1.0".to_owned(),
        commit: Some(COMMIT.to_owned()),
        image_digest: Some(digest(arch)),
    }
}

pub(crate) fn whoami(at: u64, arch: Arch, task: &str) -> Observation {
    let answer = Answer::WhoAmI(Box::new(who(arch, task)));
    observation(at, Question::WhoAmI, Ok(answer))
}

pub(crate) fn parity(at: u64, arch: Arch, task: &str) -> Observation {
    let result = |(name, digest): (&String, &String)| VectorResult {
        name: name.clone(),
        digest: Some(digest.clone()),
        expected: digest.clone(),
    };
    let results = Results {
        version: 1,
        who: who(arch, task),
        vectors: expected().parity.vectors.iter().map(result).collect(),
    };
    observation(at, Question::Parity, Ok(Answer::Parity(Box::new(results))))
}

pub(crate) fn attest(at: u64, arch: Arch, task: &str) -> Observation {
    let who = who(arch, task);
    let attestation = Attestation {
        nonce: format!("n{at}"),
        arch,
        binary: Some(binary(arch)),
        elf_machine: Some(arch.name().to_owned()),
        commit: who.commit,
        image_digest: who.image_digest,
        task: who.task,
        instance: who.instance,
    };
    observation(
        at,
        Question::Attest(format!("n{at}")),
        Ok(Answer::Attest(Box::new(attestation))),
    )
}

pub(crate) fn failed(at: u64) -> Observation {
    let failure = Failure::new(FailureKind::Unanswered, "503 Service Unavailable");
    observation(at, Question::WhoAmI, Err(failure))
}

pub(crate) fn foreign(at: u64) -> Observation {
    let failure = Failure::new(FailureKind::Foreign, "200 OK, text/html, 9 B");
    observation(at, Question::WhoAmI, Err(failure))
}
