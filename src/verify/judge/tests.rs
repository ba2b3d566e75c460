//! A table of cases, and what holds for all of them.

use std::time::Duration;

use proptest::prelude::*;

use super::test_support::{COMMIT, attest, binary, digest, expected, failed, foreign, parity, whoami};
use super::*;
use crate::arch::Arch::{self, Aarch64, X86_64};
use crate::verify::observation::{Failure, FailureKind, Question, Results, VectorResult};

const SETTLE: Duration = Duration::from_secs(10);

fn window() -> Window {
    Window {
        from: Duration::from_millis(100),
        opened: Duration::from_millis(200),
        settle: SETTLE,
        until: Duration::from_millis(10_200),
        complete: true,
    }
}

/// A fleet that is right in everything, heard in the window.
fn right() -> Vec<Observation> {
    [X86_64, Aarch64]
        .into_iter()
        .flat_map(|arch| {
            [
                whoami(150, arch, "a"),
                whoami(300, arch, "a"),
                parity(400, arch, "a"),
                attest(500, arch, "a"),
                whoami(9_000, arch, "a"),
            ]
        })
        .collect()
}

fn settled(observations: &[Observation]) -> Verdict {
    judge(&expected(), observations, Period::Settling(window()))
}

fn gathered(observations: &[Observation]) -> Verdict {
    let recent = Duration::from_millis(100);
    judge(&expected(), observations, Period::Gathering { recent })
}

fn answer(observation: &mut Observation) -> &mut Answer {
    observation.outcome.as_mut().expect("an answer")
}

fn who_is(mut observation: Observation, change: impl FnOnce(&mut crate::whoami::WhoAmI)) -> Observation {
    match answer(&mut observation) {
        Answer::WhoAmI(who) => change(who),
        Answer::Parity(results) => change(&mut results.who),
        Answer::Attest(_) => panic!("an attestation tells no more than it has to"),
    }
    observation
}

fn results_are(mut observation: Observation, change: impl FnOnce(&mut Results)) -> Observation {
    match answer(&mut observation) {
        Answer::Parity(results) => change(results),
        other => panic!("{other:?} has no results"),
    }
    observation
}

fn attestation_is(
    mut observation: Observation,
    change: impl FnOnce(&mut crate::attest::Attestation),
) -> Observation {
    match answer(&mut observation) {
        Answer::Attest(attestation) => change(attestation),
        other => panic!("{other:?} is no attestation"),
    }
    observation
}

fn failure(kind: FailureKind) -> Observation {
    let mut observation = failed(600);
    observation.outcome = Err(Failure::new(kind, "so it was"));
    observation
}

/// One thing that can be wrong: its name, the claim, how it comes out in the window and while gathering, what was expected and
/// seen, and the observation.
type Case = (
    &'static str,
    &'static str,
    Status,
    Status,
    [String; 2],
    Observation,
);

#[expect(
    clippy::too_many_lines,
    reason = "it is a table, and tables are read in one piece"
)]
fn cases() -> Vec<Case> {
    use Status::{Disproven as No, Undecided as Open};
    let other = "f".repeat(40);
    let wrong = format!("sha256:{}", "9".repeat(64));
    let short = COMMIT[..7].to_owned();
    vec![
        (
            "another commit",
            "every answer is of commit 0123456",
            No,
            No,
            [short.clone(), other.clone()],
            who_is(whoami(600, X86_64, "a"), |who| who.commit = Some(other.clone())),
        ),
        (
            "no commit",
            "every answer is of commit 0123456",
            No,
            No,
            [short.clone(), "no commit".to_owned()],
            who_is(whoami(600, X86_64, "a"), |who| who.commit = None),
        ),
        (
            "another commit where only an attestation tells",
            "every answer is of commit 0123456",
            No,
            No,
            [short, other.clone()],
            attestation_is(attest(600, X86_64, "a"), |told| told.commit = Some(other)),
        ),
        (
            "another image",
            "aarch64 runs the expected image",
            No,
            No,
            [digest(Aarch64), digest(X86_64)],
            who_is(whoami(600, Aarch64, "a"), |who| {
                who.image_digest = Some(digest(X86_64));
            }),
        ),
        (
            "an image that is not told",
            "aarch64 runs the expected image",
            Open,
            Open,
            [digest(Aarch64), "nothing".to_owned()],
            who_is(whoami(600, Aarch64, "a"), |who| who.image_digest = None),
        ),
        (
            "an emulator",
            "nothing is emulated",
            No,
            No,
            ["a machine that is aarch64".to_owned(), "qemu-user".to_owned()],
            who_is(whoami(600, Aarch64, "a"), |who| {
                who.emulator = Some("qemu-user".to_owned());
            }),
        ),
        (
            "an executable for another machine",
            "every executable is for its machine",
            No,
            No,
            ["aarch64".to_owned(), "x86_64".to_owned()],
            attestation_is(attest(600, Aarch64, "a"), |told| {
                told.elf_machine = Some("x86_64".to_owned());
            }),
        ),
        (
            "an executable that cannot be read",
            "every executable is for its machine",
            Open,
            Open,
            ["aarch64".to_owned(), "nothing".to_owned()],
            attestation_is(attest(600, Aarch64, "a"), |told| told.elf_machine = None),
        ),
        (
            "an answer to another question",
            "every executable is for its machine",
            No,
            No,
            [
                "the nonce that was sent".to_owned(),
                "an earlier answer, or another one's".to_owned(),
            ],
            attestation_is(attest(600, Aarch64, "a"), |told| told.nonce = "0".to_owned()),
        ),
        (
            "another executable",
            "x86_64 runs the expected executable",
            No,
            No,
            [binary(X86_64), wrong.clone()],
            attestation_is(attest(600, X86_64, "a"), |told| told.binary = Some(wrong)),
        ),
        (
            "another result",
            "every parity vector is as expected",
            No,
            No,
            ["6".repeat(64), "7".repeat(64)],
            results_are(parity(600, X86_64, "a"), |results| {
                results.vectors[1].digest = Some("7".repeat(64));
            }),
        ),
        (
            "a result that is missing",
            "every parity vector is as expected",
            No,
            No,
            ["6".repeat(64), "nothing".to_owned()],
            results_are(parity(600, X86_64, "a"), |results| results.vectors.truncate(1)),
        ),
        (
            "a vector that nobody knows",
            "every parity vector is as expected",
            No,
            No,
            ["the vectors of this version".to_owned(), "c".to_owned()],
            results_are(parity(600, X86_64, "a"), |results| {
                let mut more = results.vectors[0].clone();
                more.name = "c".to_owned();
                results.vectors.push(more);
            }),
        ),
        (
            "a result that was not computed",
            "every parity vector is as expected",
            Open,
            Open,
            ["6".repeat(64), "nothing".to_owned()],
            results_are(parity(600, X86_64, "a"), |results| {
                results.vectors[1].digest = None;
            }),
        ),
        (
            "vectors of another version",
            "every parity vector is as expected",
            Open,
            Open,
            ["version 1".to_owned(), "version 2".to_owned()],
            results_are(parity(600, X86_64, "a"), |results| results.version = 2),
        ),
        (
            "no answer",
            "every question is answered",
            No,
            Open,
            ["an answer".to_owned(), "503 Service Unavailable".to_owned()],
            failed(600),
        ),
        (
            "an answer of somebody else's",
            "every answer is Bifora's",
            No,
            No,
            [
                "JSON as this version of Bifora answers".to_owned(),
                "200 OK, text/html, 9 B".to_owned(),
            ],
            foreign(600),
        ),
        (
            "redirects in a circle",
            "every question is answered",
            No,
            No,
            [
                "an answer, or a redirect to one".to_owned(),
                "so it was".to_owned(),
            ],
            failure(FailureKind::Redirects),
        ),
        (
            "a certificate",
            "every question is answered",
            No,
            No,
            [
                "a certificate for this name, by an authority that is trusted, within its time".to_owned(),
                "so it was".to_owned(),
            ],
            failure(FailureKind::Certificate),
        ),
        (
            "no HTTP",
            "every question is answered",
            No,
            No,
            ["HTTP, and TLS for https".to_owned(), "so it was".to_owned()],
            failure(FailureKind::Protocol),
        ),
    ]
}

fn of<'a>(verdict: &'a Verdict, name: &str) -> &'a Claim {
    let claim = verdict.claims.iter().find(|claim| claim.name == name);
    claim.unwrap_or_else(|| panic!("no claim {name:?} in {:?}", verdict.claims))
}

#[test]
fn what_is_right_in_everything_is_proven() {
    let verdict = settled(&right());
    assert_eq!(verdict.status, Status::Proven, "{verdict:#?}");
    assert!(
        verdict
            .claims
            .iter()
            .all(|claim| claim.findings.is_empty() && claim.hint.is_none())
    );
    assert_eq!(verdict.claims.len(), 14);
    assert_eq!(verdict.tasks.len(), 2);
    assert!(
        verdict
            .tasks
            .iter()
            .all(|task| task.answers == 5 && task.binary.is_some())
    );
    assert_eq!(of(&verdict, "x86_64 answers").summary, "5 answers from 1 task");
}

#[test]
fn each_thing_that_can_be_wrong_fails_its_own_claim_and_says_what_where_expected_and_seen() {
    for (name, claim, in_window, gathering, [expected, seen], observation) in cases() {
        let mut observations = right();
        observations.push(observation);
        for (verdict, status) in [
            (settled(&observations), in_window),
            (gathered(&observations), gathering),
        ] {
            let claim = of(&verdict, claim);
            assert_eq!(claim.status, status, "{name}: {claim:?}");
            let finding = &claim.findings[0];
            assert_eq!(
                (&finding.expected, &finding.seen),
                (&expected, &seen),
                "{name}: {finding:?}"
            );
            assert!(!finding.what.is_empty() && finding.times == 1, "{name}");
            assert!(
                finding.place.contains("a-") || finding.place.contains("GET /api/"),
                "{name}: {finding:?}"
            );
            assert!(claim.hint.is_some() || status == Status::Undecided, "{name}");
        }
        // And no other claim but the comparison of results, which may see the same.
        for other in settled(&observations).claims {
            let may = other.name == claim || other.name.contains("same parity");
            assert!(may || other.status == Status::Proven, "{name}: {other:?}");
        }
    }
}

#[test]
fn what_was_wrong_before_the_window_is_history() {
    for (name, .., mut observation) in cases() {
        let mut observations = right();
        observation.at = Duration::from_millis(50);
        observations.push(observation);
        assert_eq!(settled(&observations).status, Status::Proven, "{name}");
    }
}

#[test]
fn what_is_missing_does_not_decide() {
    let without = |unwanted: fn(&Observation) -> bool| {
        let mut observations = right();
        observations.retain(|observation| !unwanted(observation));
        settled(&observations)
    };
    let is =
        |observation: &Observation, arch: Arch| observation.outcome.as_ref().is_ok_and(|a| a.arch() == arch);
    for (verdict, claim, part) in [
        (
            without(|o| o.question == Question::Parity),
            "every parity vector is as expected",
            "an answer of /api/parity",
        ),
        (
            without(|o| o.question == Question::Parity),
            "every task has the same parity vectors",
            "task a-x86_64",
        ),
        (
            without(|o| matches!(o.question, Question::Attest(_))),
            "every executable is for its machine",
            "an answer of /api/attest",
        ),
    ] {
        assert_eq!(verdict.status, Status::Undecided);
        let claim = of(&verdict, claim);
        assert_eq!(claim.status, Status::Undecided);
        let finding = format!("{:?}", claim.findings);
        assert!(finding.contains(part), "{finding}");
    }
    let mut one = right();
    one.retain(|observation| is(observation, X86_64));
    let verdict = settled(&one);
    assert_eq!(verdict.status, Status::Undecided);
    assert_eq!(
        of(&verdict, "aarch64 answers").summary,
        "aarch64 did not answer in the settle window"
    );
    // That it answered before the window opened is not enough.
    one.extend([
        whoami(150, Aarch64, "a"),
        parity(151, Aarch64, "a"),
        attest(152, Aarch64, "a"),
    ]);
    assert_eq!(of(&settled(&one), "aarch64 answers").status, Status::Undecided);
    assert_eq!(
        of(&gathered(&[]), "x86_64 answers").summary,
        "x86_64 has not answered"
    );
    let cut = Window {
        complete: false,
        until: Duration::from_secs(4),
        ..window()
    };
    let verdict = judge(&expected(), &right(), Period::Settling(cut));
    assert_eq!(verdict.status, Status::Undecided);
    assert_eq!(
        of(&verdict, "it holds for the settle window").summary,
        "the settle window was watched for 3.8s of 10s"
    );
}

#[test]
fn tasks_that_agree_with_nobody_are_found_whatever_is_expected() {
    let differ = |observation| {
        results_are(observation, |results| {
            results.vectors[0].digest = Some("8".repeat(64));
        })
    };
    let mut observations = right();
    observations.push(differ(parity(700, Aarch64, "b")));
    observations.push(attest(701, Aarch64, "b"));
    let verdict = settled(&observations);
    let claim = of(&verdict, "every task has the same parity vectors");
    assert_eq!(claim.status, Status::Disproven);
    assert_eq!(claim.findings.len(), 1);
    for part in ["“a”", "task b-aarch64", "and 1 more"] {
        assert!(format!("{claim:?}").contains(part), "{claim:?}");
    }
}

#[test]
fn expectations_that_were_not_given_are_no_claims() {
    let expected = Expectations {
        archs: [X86_64].into(),
        digests: BTreeMap::new(),
        binaries: BTreeMap::new(),
        allow_emulation: true,
        ..expected()
    };
    let mut observations: Vec<_> = [
        whoami(300, X86_64, "a"),
        parity(400, X86_64, "a"),
        attest(500, X86_64, "a"),
    ]
    .into();
    observations[0] = who_is(observations[0].clone(), |who| {
        who.emulator = Some("qemu-user".to_owned());
        who.image_digest = None;
    });
    let verdict = judge(&expected, &observations, Period::Settling(window()));
    assert_eq!(verdict.status, Status::Proven, "{verdict:#?}");
    observations.push(whoami(600, Aarch64, "a"));
    let verdict = judge(&expected, &observations, Period::Settling(window()));
    assert_eq!(
        of(&verdict, "nothing but x86_64 answers").status,
        Status::Disproven
    );
}

#[test]
fn what_is_told_from_outside_is_shown_in_one_line_and_bounded() {
    let evil = "\u{1b}[31m\n\u{202e}".repeat(10_000);
    let mut observations = right();
    observations.push(who_is(whoami(600, X86_64, "a"), |who| {
        who.commit = Some(evil.clone());
        who.hostname = Some(evil.clone());
        who.task = Some(evil.clone());
    }));
    let mut many = parity(700, X86_64, "a");
    many = results_are(many, |results| {
        let one = results.vectors[0].clone();
        results.vectors.extend((0..1_000).map(|n| VectorResult {
            name: format!("{n}{evil}"),
            ..one.clone()
        }));
    });
    observations.push(many);
    let verdict = settled(&observations);
    let text = serde_json::to_string(&verdict).expect("serializes");
    assert!(text.len() < 100_000, "{}", text.len());
    assert!(!text.contains("\\u001b") && !text.contains('\u{202e}') && !text.contains("\\n"));
}

fn any_arch() -> impl Strategy<Value = Arch> {
    prop_oneof![Just(X86_64), Just(Aarch64)]
}

/// Right answers to any question, of any of three tasks, at any time.
fn any_right() -> impl Strategy<Value = Observation> {
    (
        0..12_000_u64,
        any_arch(),
        prop::sample::select(vec!["a", "b", "c"]),
        0..3,
    )
        .prop_map(|(at, arch, task, question)| match question {
            0 => whoami(at, arch, task),
            1 => parity(at, arch, task),
            _ => attest(at, arch, task),
        })
}

fn any_wrong() -> impl Strategy<Value = Observation> {
    prop::sample::select(cases())
        .prop_filter("it decides", |case| case.2 == Status::Disproven)
        .prop_map(|case| case.5)
}

/// Anything at all.
fn any_observation() -> impl Strategy<Value = Observation> {
    let any_case = prop::sample::select(cases()).prop_map(|case| case.5);
    (prop_oneof![3 => any_right(), 1 => any_case], 0..12_000_u64).prop_map(|(mut observation, at)| {
        observation.at = Duration::from_millis(at);
        observation
    })
}

fn any_period() -> impl Strategy<Value = Period> {
    (0..10_000_u64, any::<bool>(), any::<bool>()).prop_map(|(from, settling, complete)| {
        let from = Duration::from_millis(from);
        if settling {
            Period::Settling(Window {
                from,
                opened: from + Duration::from_millis(100),
                complete,
                ..window()
            })
        } else {
            Period::Gathering { recent: from }
        }
    })
}

/// What makes a task one that was heard on everything.
fn heard(arch: Arch, task: &str) -> [Observation; 3] {
    [
        whoami(210, arch, task),
        parity(211, arch, task),
        attest(212, arch, task),
    ]
}

proptest! {
    #[test]
    fn one_wrong_answer_in_the_window_always_fails(
        rights in prop::collection::vec(any_right(), 0..30), mut wrong in any_wrong(), at in 100..12_000_u64, complete: bool,
    ) {
        let mut observations = right();
        observations.extend(rights);
        wrong.at = Duration::from_millis(at);
        observations.push(wrong);
        let period = Period::Settling(Window { complete, ..window() });
        prop_assert_eq!(judge(&expected(), &observations, period).status, Status::Disproven);
    }

    #[test]
    fn order_never_matters(
        (ordered, shuffled) in prop::collection::vec(any_observation(), 0..40)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        period in any_period(),
    ) {
        prop_assert_eq!(judge(&expected(), &ordered, period), judge(&expected(), &shuffled, period));
    }

    #[test]
    fn adding_right_answers_never_turns_a_pass_into_a_fail(more in prop::collection::vec(any_right(), 0..40)) {
        let mut observations = right();
        // Tasks that would otherwise be new, and never heard on everything, which is no pass.
        for task in ["b", "c"] {
            observations.extend([X86_64, Aarch64].into_iter().flat_map(|arch| heard(arch, task)));
        }
        prop_assert_eq!(settled(&observations).status, Status::Proven);
        observations.extend(more);
        prop_assert_eq!(settled(&observations).status, Status::Proven);
    }

    #[test]
    fn adding_right_answers_disproves_nothing(
        all in prop::collection::vec(any_observation(), 0..40), more in prop::collection::vec(any_right(), 0..40),
        period in any_period(),
    ) {
        let before = judge(&expected(), &all, period).status;
        let after = judge(&expected(), &[all, more].concat(), period).status;
        prop_assert!((before == Status::Disproven) == (after == Status::Disproven), "{before:?} {after:?}");
    }

    #[test]
    fn nothing_is_proven_without_a_whole_window(all in prop::collection::vec(any_observation(), 0..40), period in any_period()) {
        if !period.is_complete() {
            prop_assert_ne!(judge(&expected(), &all, period).status, Status::Proven);
        }
    }
}
