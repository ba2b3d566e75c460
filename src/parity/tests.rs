//! The vectors hold here, each of them can fail, and what cannot be computed is said.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::host::Started;
use crate::host::cpu::Cpu;

fn each() -> impl Iterator<Item = (&'static str, &'static Definition)> {
    definitions(&SUBJECTS)
}

fn host() -> Host {
    Host::read(Started::now())
}

/// On whichever architecture this test runs. The release binaries of both are asked by the black-box tests.
#[test]
fn every_result_is_as_expected() {
    let wrong: Vec<_> = each()
        .filter_map(|(_, definition)| match definition.compute().0 {
            Ok(digest) if digest == definition.expected => None,
            found => Some(format!("{}: {found:?}", definition.name)),
        })
        .collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A vector that gave the same whatever goes into it would prove nothing.
#[test]
fn every_vector_can_fail() {
    for (_, definition) in each() {
        let run = definition.run;
        let mut work = Work::new();
        run(&mut work);
        let inputs = work.inputs();
        assert!(inputs > 0, "{} has no input", definition.name);
        let noticed = (0..inputs)
            .filter(|input| {
                let mut work = Work::disturbed(*input);
                run(&mut work);
                work.finish().0 != definition.expected
            })
            .count();
        // Some inputs do not count: what saturates, saturates at the neighbour, too.
        assert!(
            noticed * 2 > inputs,
            "{}: of {inputs} inputs, changed one at a time, only {noticed} change the result",
            definition.name
        );
    }
}

#[test]
fn results_do_not_depend_on_the_run() {
    for (_, definition) in each() {
        for _ in 0..3 {
            assert_eq!(
                definition.compute().0.as_deref(),
                Ok(definition.expected),
                "{}",
                definition.name
            );
        }
    }
}

/// Every version of the set that there was, with a digest of its names and expected results.
const SEALS: [(u32, &str); 1] = [(
    1,
    "6a174eda14b966d4038a7baf1829fc95a22bef2dbd135db4b123344f52794a6f",
)];

#[test]
fn another_set_is_another_version() {
    let line = |(subject, it): (&str, &Definition)| format!("{subject}\n{}\n{}\n", it.name, it.expected);
    let all: String = each().map(line).collect();
    let seal = work::hexadecimal(&plain::sha256(all.as_bytes()));
    let (version, sealed) = SEALS[SEALS.len() - 1];
    assert_eq!(version, PARITY_VERSION, "SEALS lacks a line for this version");
    assert_eq!(
        seal, sealed,
        "the vectors are not those of version {version}: raise PARITY_VERSION and add a line with this seal to SEALS"
    );
    assert!(SEALS.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn names_are_unique_and_everything_has_its_reason_and_source() {
    let names: BTreeSet<_> = each().map(|(_, definition)| definition.name).collect();
    assert_eq!(names.len(), each().count());
    assert!(names.len() >= 40, "{}", names.len());
    let differences = differences::all(&host());
    let lines = each().map(|(_, d)| (d.name, d.why, d.source));
    let others = differences
        .iter()
        .map(|d| (d.name.as_str(), d.breaks.as_str(), d.source.as_str()));
    for (name, line, source) in lines.chain(others) {
        assert!((20..=130).contains(&line.chars().count()), "{name}: {line}");
        assert!(line.ends_with('.') && !line.contains('\n'), "{name}: {line}");
        let (title, address) = cited(source).unwrap_or_else(|| panic!("{name}: {source}"));
        assert!(
            !title.is_empty() && address.starts_with("https://"),
            "{name}: {source}"
        );
    }
}

#[test]
fn a_pair_of_checksums_agrees() {
    let expected = |name: &str| {
        each()
            .find(|(_, d)| d.name == name)
            .expect("it is there")
            .1
            .expected
    };
    for algorithm in ["SHA-256", "CRC-32"] {
        assert_eq!(
            expected(&format!("{algorithm} by the CPU")),
            expected(&format!("{algorithm} in plain code"))
        );
    }
}

fn panics(_: &mut Work) {
    panic!("the processor is {}", "on fire");
}

fn works(work: &mut Work) {
    let one = work.take(1_u8);
    work.put(one);
}

const ODD: &[Definition] = &[
    Definition {
        name: "first",
        why: "",
        source: "",
        run: works,
        expected: "another",
    },
    Definition {
        name: "second",
        why: "",
        source: "",
        run: panics,
        expected: "",
    },
    Definition {
        name: "third",
        why: "",
        source: "",
        run: works,
        expected: "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a", // SHA-256 of the byte 1
    },
];

#[test]
fn a_panic_is_one_vectors_own() {
    let (vectors, spent) = run(&[("Odd", ODD)], BUDGET);
    let outcomes: Vec<_> = vectors.iter().map(Vector::outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Differs, Outcome::NotComputed, Outcome::AsExpected]
    );
    assert_eq!(
        vectors[1].problem.as_deref(),
        Some("it failed: the processor is on fire")
    );
    assert!(spent > Duration::ZERO);
}

#[test]
fn what_the_budget_does_not_last_for_is_not_computed() {
    let results = Results::compute(&host(), Duration::ZERO);
    assert_eq!(results.vectors.len(), each().count());
    for vector in &results.vectors {
        assert_eq!(vector.outcome(), Outcome::NotComputed);
        assert!(
            vector
                .problem
                .as_deref()
                .is_some_and(|p| p.starts_with("not run")),
            "{vector:?}"
        );
    }
    let (vectors, _) = run(&[("Odd", ODD)], Duration::from_nanos(1));
    let outcomes: Vec<_> = vectors.iter().map(Vector::outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Differs, Outcome::NotComputed, Outcome::NotComputed]
    );
    assert!(
        Results::missing("no thread")
            .vectors
            .iter()
            .all(|v| v.outcome() == Outcome::NotComputed)
    );
}

#[test]
fn known_differences_are_told_of_any_machine() {
    let told = differences::all(&host());
    let names: BTreeSet<_> = told.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names.len(), told.len());
    assert!(told.iter().all(|d| !d.value.is_empty()), "{told:?}");
    let mut bare = host();
    bare.cpu = Cpu::read(Path::new("/nowhere"));
    bare.cpu.features.clear();
    let nowhere = differences::all(&bare);
    let row = |name: &str| nowhere.iter().find(|d| d.name == name).map(|d| d.value.as_str());
    assert_eq!(row("cache line"), Some("not known"));
    assert_eq!(row("CPU features"), Some("none of those looked for"));
    assert_eq!(
        nowhere.len(),
        told.len(),
        "the rows are the same, so that they can stand side by side"
    );
}

#[test]
fn a_source_is_a_title_and_an_address() {
    assert_eq!(
        cited("A book, 1991 <https://example.org/>"),
        Some(("A book, 1991", "https://example.org/"))
    );
    for bad in [
        "",
        "A book",
        "<https://example.org/>",
        "A book <javascript:alert(1)>",
        "A book <https://example.org/",
    ] {
        assert_eq!(cited(bad), None, "{bad}");
    }
}
