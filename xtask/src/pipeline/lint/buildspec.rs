//! One build of CodePipeline: its buildspec with the variables that project and action give it.

use std::collections::BTreeSet;

use crate::pipeline::buildspec::{self, Buildspec, Command, OnFailure, Phase, PhaseName};
use crate::pipeline::codepipeline::{Action, Project};
use crate::pipeline::lint::scripts::Commands;
use crate::pipeline::lint::{Report, Sources};
use crate::pipeline::shell::Call;

/// What CodeBuild sets in every build, also under CodePipeline.
const CODEBUILD_SETS: &[&str] = &[
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "CODEBUILD_BUILD_ARN",
    "CODEBUILD_BUILD_ID",
    "CODEBUILD_BUILD_IMAGE",
    "CODEBUILD_BUILD_NUMBER",
    "CODEBUILD_BUILD_SUCCEEDING",
    "CODEBUILD_INITIATOR",
    "CODEBUILD_LOG_PATH",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "CODEBUILD_SOURCE_VERSION",
    "CODEBUILD_SRC_DIR",
    "CODEBUILD_START_TIME",
];

/// A build action with all that it is made of.
pub(crate) struct Build<'a> {
    pub(crate) action: &'a Action,
    pub(crate) project: &'a Project,
    pub(crate) buildspec: Buildspec,
    /// The calls of scripts, in their order.
    pub(crate) calls: Vec<Call>,
    /// The text of all commands and scripts.
    pub(crate) text: String,
    pub(crate) needs_engine: bool,
    pub(crate) publishes: bool,
}

/// Reads the buildspec of an action's project and reports what is wrong with it.
pub(crate) fn check<'a>(
    sources: &Sources,
    action: &'a Action,
    project: &'a Project,
    report: &mut Report,
) -> Option<Build<'a>> {
    let file = project.buildspec.as_str();
    let buildspec = match buildspec::of(sources.yaml(file, report)?) {
        Ok(buildspec) => buildspec,
        Err(problem) => {
            report.problem(file, problem);
            return None;
        }
    };
    for (line, name) in &buildspec.exported_variables {
        if name.starts_with("AWS_") {
            report.add(
                file,
                *line,
                format!("the exported variable {name} must not begin with AWS_"),
            );
        }
    }
    let given = project.environment.iter().chain(&action.environment);
    let mut known: BTreeSet<String> = CODEBUILD_SETS.iter().map(|&name| name.to_owned()).collect();
    known.extend(given.map(|variable| variable.name.clone()));
    known.extend(buildspec.variables.keys().cloned());
    let primary = action.configuration.get("PrimarySource");
    let others = action.inputs.iter().filter(|&input| Some(input) != primary);
    known.extend(others.map(|input| format!("CODEBUILD_SRC_DIR_{input}")));
    let mut build = Build {
        action,
        project,
        buildspec,
        calls: Vec::new(),
        text: String::new(),
        needs_engine: false,
        publishes: false,
    };
    let mut protected = true;
    for phase in &build.buildspec.phases {
        protected &= phase.on_failure == OnFailure::Abort;
        for command in phase.commands.iter().chain(&phase.finally) {
            let commands = Commands::read(sources, &command.text, file, command.line, report);
            for (name, by) in &commands.needs {
                if !known.contains(name) {
                    let by = by
                        .as_ref()
                        .map(|script| format!(", for {script}"))
                        .unwrap_or_default();
                    let what = format!(
                        "nothing sets the variable {name} in the project {}{by}",
                        project.name
                    );
                    report.add(file, command.line, what);
                }
            }
            if build.buildspec.shell != "bash" && has_bashisms(&command.text) {
                report.add(file, command.line, "this is bash, and env.shell is not");
            }
            if commands.publishes() {
                for what in wrong_place(&build, &commands, phase, command, protected) {
                    report.add(file, command.line, what);
                }
            }
            known.extend(commands.sets.iter().cloned());
            build.needs_engine |= commands.needs_engine();
            build.publishes |= commands.publishes();
            build.text.push_str(&commands.text);
            build.calls.extend(commands.calls);
        }
    }
    artifacts(&build, report);
    Some(build)
}

/// What is wrong with publishing something by this command, behind those that `build` has already.
fn wrong_place(
    build: &Build,
    commands: &Commands,
    phase: &Phase,
    command: &Command,
    protected: bool,
) -> Vec<&'static str> {
    let logged_in = build.text.contains("docker login") || commands.mentions(&["docker login"]);
    let tested = build.calls.iter().any(|call| call.script == "ci/test-image.sh");
    let last = phase.finally.iter().any(|last| last.line == command.line);
    let wrong = [
        (
            !logged_in,
            "something is published without a login to the registry",
        ),
        (
            commands.calls("ci/push-image.sh") && !tested,
            "an image is pushed that nobody has tested with ci/test-image.sh",
        ),
        (
            !protected,
            "something is published although this phase or one before has no on-failure: ABORT",
        ),
        (
            phase.name == PhaseName::PostBuild,
            "post_build runs after a failed build, too: publish in build",
        ),
        (
            last,
            "`finally` runs after a failed command, too: nothing may be published there",
        ),
    ];
    wrong
        .into_iter()
        .filter_map(|(wrong, what)| wrong.then_some(what))
        .collect()
}

/// Substrings and double brackets, which no other shell has.
fn has_bashisms(command: &str) -> bool {
    let substring = command.split("${").skip(1).any(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        rest.strip_prefix(':')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    substring || command.contains("[[ ")
}

fn artifacts(build: &Build, report: &mut Report) {
    let file = build.project.buildspec.as_str();
    let (action, outputs) = (&build.action.name, &build.action.outputs);
    match &build.buildspec.artifacts {
        None if !outputs.is_empty() => {
            let what = format!(
                "the action {action} hands on {}, and the buildspec has no artifacts",
                outputs.join(", ")
            );
            report.add(file, 1, what);
        }
        Some(artifacts) if outputs.is_empty() => {
            let what = format!("artifacts that the action {action} does not hand on");
            report.add(file, artifacts.line, what);
        }
        Some(artifacts) => {
            for name in artifacts.files.iter().filter(|name| !name.contains('*')) {
                let made = build
                    .buildspec
                    .commands()
                    .any(|command| command.text.contains(name.as_str()));
                if !made {
                    report.add(
                        file,
                        artifacts.line,
                        format!("no command makes the artifact {name}"),
                    );
                }
            }
        }
        None => {}
    }
}
