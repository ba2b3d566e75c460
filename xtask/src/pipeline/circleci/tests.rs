//! What comes of configurations: a small one with everything in it, and the real one.

use std::collections::BTreeMap;

use crate::pipeline::circleci::{Action, ExecutorKind, Job, Values, When, Work, expand, expand_all, read};
use crate::workspace::Workspace;

fn values(branch: &str) -> Values {
    let pipeline = [
        ("git.branch", branch),
        ("number", "7"),
        ("project.slug", "gh/owner/bifora"),
    ];
    Values {
        pipeline: pipeline
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        parameters: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
    }
}

const CONFIGURATION: &str = r#"
version: 2.1
orbs:
  ecs: circleci/aws-ecs@8.0.0
parameters:
  greeting: {type: string, default: hi}
  slow: {type: boolean, default: false}
executors:
  box:
    parameters:
      class: {type: string, default: large}
    machine: {image: "ubuntu-2404:2025.09.1"}
    resource_class: << parameters.class >>
    environment: {FROM: executor, BOTH: executor}
commands:
  greet:
    parameters:
      who: {type: string}
      after: {type: steps, default: []}
    steps:
      - run:
          name: Greet << parameters.who >>
          command: echo << pipeline.parameters.greeting >> << parameters.who >> \<< pipeline.number >>
          environment: {NUMBER: << pipeline.number >>, TAG: << pipeline.git.tag >>}
          when: always
      - steps: << parameters.after >>
jobs:
  build:
    parameters:
      arch: {type: string}
      level: {type: integer, default: 1}
    executor: {name: box, class: "<< parameters.arch >>.large"}
    environment: {BOTH: job, LEVEL: << parameters.level >>}
    steps:
      - checkout
      - greet:
          who: << parameters.arch >>
          after:
            - store_artifacts: {path: "out/<< parameters.arch >>"}
      - when:
          condition: << pipeline.parameters.slow >>
          steps: [run: slow]
      - unless:
          condition: {equal: [<< parameters.level >>, 2]}
          steps: [run: fast]
  last:
    docker: [{image: cimg/base:2025.09}]
    steps:
      - attach_workspace: {at: target}
job-groups:
  release:
    jobs:
      - ecs/deploy_service_update:
          name: Deploy
          auth: [run: log in]
          family: f
          cluster: c
          poll_interval: 5
      - last: {name: After, requires: [Deploy]}
workflows:
  all:
    jobs:
      - last:
          requires: [release]
      - release:
          requires: [Build b image]
          serial-group: << pipeline.project.slug >>/x
          filters: pipeline.git.branch == "main"
      - build:
          name: Build << matrix.arch >> image
          matrix:
            parameters:
              arch: [a, b, c]
              level: [1, 2]
            exclude:
              - {arch: a, level: 1}
              - {arch: b, level: 1}
              - {arch: c, level: 2}
          requires: [hold]
      - hold: {type: approval}
  never:
    when: pipeline.parameters.slow
    jobs:
      - last: {name: Never}
"#;

#[test]
fn a_configuration_becomes_jobs() {
    let text = CONFIGURATION.replace("      - last:\n          requires: [release]\n", "");
    let jobs = expand(&read(&text).expect("a configuration"), &values("main")).expect("jobs");
    let names: Vec<_> = jobs
        .iter()
        .map(|job| format!("{} < {}", job.name, job.requires.join("+")))
        .collect();
    assert_eq!(
        names,
        [
            "hold < ",
            "Build a image < hold",
            "Build b image < hold",
            "Deploy < Build b image",
            "After < Deploy",
            "Build c image < hold",
        ]
    );

    let build = &jobs[1];
    assert_eq!(
        build.executor.kind,
        ExecutorKind::Machine {
            image: "ubuntu-2404:2025.09.1".to_owned()
        }
    );
    assert_eq!(build.executor.resource_class.as_deref(), Some("a.large"));
    let environment: Vec<_> = build
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(environment, ["BOTH=job", "FROM=executor", "LEVEL=2"]);
    let steps: Vec<_> = build.steps().map(|step| &step.action).collect();
    let [
        Action::Checkout,
        Action::Run(run),
        Action::StoreArtifacts { path, .. },
    ] = steps.as_slice()
    else {
        panic!("{steps:?}");
    };
    assert_eq!(run.command, "echo hello a << pipeline.number >>");
    assert_eq!((run.name.as_deref(), run.when), (Some("Greet a"), When::Always));
    assert_eq!(
        (
            run.environment["NUMBER"].as_str(),
            run.environment["TAG"].as_str()
        ),
        ("7", "<nil>")
    );
    assert_eq!(path, "out/a");
    // Of the other level, and so with one step more.
    assert_eq!(jobs[5].steps().count(), 4);

    let Work::Orb {
        name,
        parameters,
        before,
        ..
    } = &jobs[3].work
    else {
        panic!("{:?}", jobs[3]);
    };
    assert_eq!(
        (name.as_str(), before.len()),
        ("aws-ecs/deploy_service_update", 1)
    );
    assert_eq!(
        (
            parameters["poll_interval"].as_str(),
            parameters["max_poll_attempts"].as_str()
        ),
        ("5", "50")
    );
    assert_eq!(jobs[3].serial_group.as_deref(), Some("gh/owner/bifora/x"));
    assert_eq!(jobs[4].group.as_deref(), Some("release"));
}

#[test]
fn what_requires_a_group_waits_for_its_last_jobs() {
    let config = read(CONFIGURATION).expect("a configuration");
    let jobs = expand(&config, &values("main")).expect("jobs");
    let last = jobs.iter().find(|job| job.name == "last").expect("last");
    assert_eq!(last.requires, ["After"]);
    let expansion = expand_all(&config, &values("other"));
    assert_eq!(expansion.problems.len(), 1, "{:?}", expansion.problems);
    assert!(expand(&config, &values("other")).is_err());
}

#[test]
fn what_schemas_miss_is_noted() {
    for (text, by, problem) in [
        (
            "requires: [hold]",
            "requires: [Deploy]",
            "only the group can be required from outside",
        ),
        (
            "requires: [Deploy]",
            "requires: [hold]",
            "the group `release` has no job `hold`",
        ),
        (
            "hold: {type: approval}",
            "hold: {type: build}",
            "undefined job `hold`",
        ),
        (
            "steps: [run: fast]",
            "steps: [greet: {who: a, after: [greet: {who: b}]}, greet]",
            "needs the parameter `who`",
        ),
        (
            "      - steps: << parameters.after >>",
            "      - greet: {who: a}",
            "a command calls itself",
        ),
        (
            "serial-group: <<",
            "context: [a]\n          serial-group: <<",
            "`context` is no key",
        ),
        (
            "class: \"<<",
            "clas: \"<<",
            "the executor `box` has no parameter `clas`",
        ),
        (
            "    docker: [{image: cimg/base:2025.09}]\n",
            "",
            "has neither an executor nor docker nor machine",
        ),
        (
            "greeting: {type: string, default: hi}",
            "greeting: {type: string}",
            "needs a default",
        ),
        (
            "level: {type: integer, default: 1}",
            "level: {type: boolean, default: true}",
            "has to be true or false",
        ),
    ] {
        assert!(CONFIGURATION.contains(text), "{text}");
        let config = read(&CONFIGURATION.replacen(text, by, 1)).expect(by);
        let problems: Vec<_> = expand_all(&config, &values("main"))
            .problems
            .into_iter()
            .collect();
        assert!(
            problems.iter().any(|found| found.what.contains(problem)),
            "{by}: {problems:?}"
        );
    }
}

#[test]
fn the_real_configuration_releases_from_one_branch_only() {
    let root = Workspace::find().expect("tests run in the repository").root;
    let text = std::fs::read_to_string(root.join(".circleci/config.yml")).expect("readable");
    let config = read(&text).expect("a configuration");
    let on_main = expand(&config, &values("main")).expect("jobs");
    let elsewhere = expand(&config, &values("other")).expect("jobs");
    let deploys = |jobs: &[Job]| {
        jobs.iter()
            .filter(|job| matches!(job.work, Work::Orb { .. }))
            .count()
    };
    assert_eq!((deploys(&on_main), deploys(&elsewhere)), (2, 0));
    for (index, job) in on_main.iter().enumerate() {
        for required in &job.requires {
            assert!(
                on_main[..index].iter().any(|before| before.name == *required),
                "{}",
                job.name
            );
        }
    }
}
