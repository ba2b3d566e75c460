//! Both services behind the load balancer: who answers, how often, and what is told about it.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    ARCHS, ask, aws, count, deployed, docker, load, note, tag, text, update_stack, versions, wait_for,
};

/// The task definition that a task's container was started from, by the task's id: `bifora-amd:1`.
fn task_definition(task: &str) -> String {
    let answer = aws(&["ecs", "describe-tasks", "--cluster", "bifora", "--tasks", task]);
    text(&answer["tasks"][0]["taskDefinitionArn"])
        .rsplit('/')
        .next()
        .expect("not empty")
        .to_owned()
}

#[test]
fn both_architectures_answer_through_one_address_and_neither_is_mistaken() {
    let mut seen = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    for _ in 0..60 {
        let answer = ask("/api/whoami", None);
        let arch = text(&answer["arch"]);
        assert_eq!(
            answer["emulator"].is_null(),
            arch == std::env::consts::ARCH,
            "{answer}"
        );
        if tasks.insert(text(&answer["task"])) {
            let (_, _, family) = ARCHS
                .iter()
                .find(|(name, _, _)| *name == arch)
                .expect("one of both");
            let definition = task_definition(&text(&answer["task"]));
            assert!(definition.starts_with(family), "{arch} answers from {definition}");
        }
        seen.insert(arch);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(tasks.len(), 4, "two tasks of each architecture: {tasks:?}");
}

/// How often `aarch64` answers among `requests`, if its share is `share`, give or take four standard deviations.
fn expected(requests: f64, share: f64) -> std::ops::RangeInclusive<f64> {
    let deviation = 4.0 * (requests * share * (1.0 - share)).sqrt();
    requests * share - deviation..=requests * share + deviation
}

#[test]
fn split_follows_the_weights() {
    for (amd, arm) in [(90, 10), (50, 50)] {
        update_stack(&[("WeightAmd", &amd.to_string()), ("WeightArm", &arm.to_string())]);
        // The stack is updated; the load balancer takes it up within moments.
        thread::sleep(Duration::from_secs(3));
        let summary = load(&["--requests", "2000", "--seconds", "120"]);
        assert_eq!(summary["failed"], 0, "{summary}");
        assert_eq!(summary["requests"], 2000, "{summary}");
        let answers = count(&summary, "aarch64");
        note((amd, arm, "aarch64", answers));
        let expected = expected(2000.0, f64::from(arm) / f64::from(amd + arm));
        let answers = f64::from(u32::try_from(answers).expect("at most 2,000"));
        assert!(
            expected.contains(&answers),
            "{amd}/{arm}: {answers} is not in {expected:?}"
        );
    }
}

#[test]
fn header_pins_a_request_to_an_architecture() {
    for (arch, _, _) in ARCHS {
        let summary = load(&["--requests", "200", "--arch", arch]);
        assert_eq!(summary["failed"], 0, "{summary}");
        assert_eq!(count(&summary, arch), 200, "{summary}");
    }
    let answer = ask("/api/whoami", Some("sparc64"));
    assert!(
        answer["arch"].is_string(),
        "what names no architecture goes by weight: {answer}"
    );
}

#[test]
fn build_info_tells_where_the_image_came_from() {
    let image = deployed();
    let digests = digests(&image);
    for (arch, platform, family) in ARCHS {
        let answer = ask("/api/build", Some(arch));
        let deployment = &answer["runs_on"]["deployment"];
        assert_eq!(deployment["image"], image.as_str(), "{answer}");
        let digest = digests
            .iter()
            .find(|(name, _)| name == platform)
            .expect("both platforms")
            .1
            .clone();
        assert_eq!(answer["image"]["digest"], digest, "{arch}: {answer}");
        assert_eq!(deployment["family"], family, "{answer}");
        let task = text(&deployment["task_arn"]);
        let revision = text(&deployment["revision"]);
        assert_eq!(task_definition(&task), format!("{family}:{revision}"), "{answer}");
        let flat = ask("/build", Some(arch));
        assert_eq!(flat["VERSION"], tag(&image), "{flat}");
        assert_eq!(flat["ARCH"], arch, "{flat}");
    }
}

/// Platform and digest of each manifest in the index of an image, as the registry has it.
fn digests(image: &str) -> Vec<(String, String)> {
    let (_, digest) = image.split_once('@').expect("deployed by digest");
    let id = format!("imageDigest={digest}");
    let answer = aws(&[
        "ecr",
        "batch-get-image",
        "--repository-name",
        "bifora",
        "--image-ids",
        &id,
    ]);
    let manifest = text(&answer["images"][0]["imageManifest"]);
    let index: Value = serde_json::from_str(&manifest).expect("an index is JSON");
    let manifests = index["manifests"].as_array().expect("an index has manifests");
    manifests
        .iter()
        .map(|manifest| {
            let platform = &manifest["platform"];
            let platform = format!("{}/{}", text(&platform["os"]), text(&platform["architecture"]));
            (platform, text(&manifest["digest"]))
        })
        .collect()
}

#[test]
fn tasks_have_no_more_rights_than_the_template_gives_them() {
    let containers = docker(&["ps", "--quiet", "--filter", "label=com.amazonaws.ecs.task-arn"]);
    let containers: Vec<_> = containers.lines().collect();
    assert_eq!(containers.len(), 4, "{containers:?}");
    for container in containers {
        let inspect = |format: &str| docker(&["inspect", "--format", format, container]);
        assert_eq!(inspect("{{.HostConfig.ReadonlyRootfs}}"), "true");
        assert_eq!(inspect("{{.HostConfig.CapDrop}}"), "[ALL]");
        assert_eq!(inspect("{{.HostConfig.Privileged}}"), "false");
        assert_eq!(inspect("{{.Config.User}}"), "65532:65532");
        wait_for("the container is healthy", Duration::from_mins(1), || {
            (inspect("{{.State.Health.Status}}") == "healthy").then_some(())
        });
    }
}

#[test]
fn every_answer_is_of_the_deployed_version() {
    let summary = load(&["--requests", "500"]);
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(versions(&summary), [tag(&deployed())], "{summary}");
}
