//! What a job of CircleCI finds where it runs: the variables and scripts that its commands need, its machine, and the
//! workspace with what jobs before it have put there.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::circleci::{Action, ExecutorKind, Job, Work};
use crate::pipeline::lint::jobs::upstream;
use crate::pipeline::lint::scripts::Commands;
use crate::pipeline::lint::{CIRCLECI, Report, Sources};
use crate::pipeline::shell::Script;

/// What a user sets for the project.
const SETTINGS: &[&str] = &[
    "AWS_ACCOUNT_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ECR_PUBLIC_REGISTRY_ALIAS",
];

/// What CircleCI sets in every job, whichever way the project is connected.
const CIRCLECI_SETS: &[&str] = &[
    "CI",
    "CIRCLECI",
    "CIRCLE_BRANCH",
    "CIRCLE_BUILD_NUM",
    "CIRCLE_BUILD_URL",
    "CIRCLE_JOB",
    "CIRCLE_NODE_INDEX",
    "CIRCLE_NODE_TOTAL",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    "CIRCLE_ORGANIZATION_ID",
    "CIRCLE_PIPELINE_ID",
    "CIRCLE_PROJECT_ID",
    "CIRCLE_PROJECT_REPONAME",
    "CIRCLE_PROJECT_USERNAME",
    "CIRCLE_SHA1",
    "CIRCLE_TAG",
    "CIRCLE_WORKFLOW_ID",
    "CIRCLE_WORKFLOW_JOB_ID",
    "CIRCLE_WORKFLOW_WORKSPACE_ID",
    "CIRCLE_WORKING_DIRECTORY",
];

/// What CircleCI sets depending on how the project is connected, and on who pushes.
const CIRCLECI_MAY_SET: &[&str] = &["CIRCLE_PULL_REQUEST", "CIRCLE_USERNAME"];

/// The variables that steps need are set, and the scripts that they call are there.
pub(crate) fn variables_and_scripts(sources: &Sources, job: &Job, report: &mut Report) {
    let mut known: BTreeSet<String> = SETTINGS
        .iter()
        .chain(CIRCLECI_SETS)
        .map(|&name| name.to_owned())
        .collect();
    known.extend(job.environment.keys().cloned());
    let mut has_source = false;
    let needed =
        |known: &BTreeSet<String>, name: &str, by: &Option<String>, line: usize, report: &mut Report| {
            if !known.contains(name) {
                let by = by
                    .as_ref()
                    .map(|script| format!(", for {script}"))
                    .unwrap_or_default();
                report.add(
                    CIRCLECI,
                    line,
                    format!("nothing sets the variable {name} in `{}`{by}", job.name),
                );
            }
        };
    let words = |parameters: &BTreeMap<String, String>| -> Vec<String> {
        let values = parameters.values();
        let scripts = values.map(|value| Script::read(value));
        scripts
            .flat_map(|script| script.needs().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    for step in job.steps() {
        match &step.action {
            Action::Checkout => has_source = true,
            Action::Run(run) => {
                let commands = Commands::read(sources, &run.command, CIRCLECI, step.line, report);
                let own: BTreeSet<_> = known.iter().chain(run.environment.keys()).cloned().collect();
                for (name, by) in &commands.needs {
                    needed(&own, name, by, step.line, report);
                }
                if commands.calls("ci/build-image.sh") {
                    for fact in sources.facts("CIRCLE_") {
                        if !own.contains(fact) && !CIRCLECI_MAY_SET.contains(&fact) {
                            let what = format!(
                                "`{}` does not tell the image {fact}, which the Dockerfile takes",
                                job.name
                            );
                            report.add(CIRCLECI, step.line, what);
                        }
                    }
                }
                if let (false, Some(call)) = (has_source, commands.calls.first()) {
                    let what = format!("`{}` calls {} without a checkout before", job.name, call.script);
                    report.add(CIRCLECI, step.line, what);
                }
                known.extend(commands.exports);
            }
            Action::Orb { name, parameters } => {
                // The defaults of aws-cli/setup name the variables of static keys, which a role does without.
                let parameters = parameters.clone().into_iter();
                let parameters = parameters
                    .filter(|(name, _)| !name.contains("access_key"))
                    .collect();
                for variable in words(&parameters) {
                    needed(&known, &variable, &None, step.line, report);
                }
                if name == "aws-cli/setup" {
                    known.insert("AWS_SESSION_TOKEN".to_owned());
                }
            }
            _ => {}
        }
    }
    if let Work::Orb { parameters, .. } = &job.work {
        for variable in words(parameters) {
            needed(&known, &variable, &None, job.line, report);
        }
    }
}

/// The machine has what the steps need, and is of the architecture that it says.
pub(crate) fn machine(sources: &Sources, job: &Job, report: &mut Report) {
    let remote = job
        .steps()
        .any(|step| matches!(step.action, Action::SetupRemoteDocker));
    let needs_engine = job.steps().any(|step| match &step.action {
        Action::Run(run) => {
            Commands::read(sources, &run.command, CIRCLECI, step.line, &mut Report::default()).needs_engine()
        }
        _ => false,
    });
    match &job.executor.kind {
        ExecutorKind::Docker { .. } if needs_engine && !remote => report.add(
            CIRCLECI,
            job.line,
            format!(
                "`{}` uses docker inside a docker executor: it needs a machine",
                job.name
            ),
        ),
        ExecutorKind::Machine { image } => {
            let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
            if !tag.starts_with(|c: char| c.is_ascii_digit()) {
                let what = format!(
                    "the machine image `{image}` of `{}` is another one tomorrow: name its date",
                    job.name
                );
                report.add(CIRCLECI, job.line, what);
            }
        }
        _ => {}
    }
    let is_arm = job
        .executor
        .resource_class
        .as_deref()
        .unwrap_or_default()
        .starts_with("arm.");
    for (name, value) in &job.environment {
        let says_arm = match value.as_str() {
            "arm64" | "arm64v8" | "aarch64" => true,
            "amd64" | "x86_64" => false,
            _ => continue,
        };
        if says_arm != is_arm {
            let class = job.executor.resource_class.as_deref().unwrap_or("none");
            let what = format!("`{}` has {name}={value} and the resource class {class}", job.name);
            report.add(CIRCLECI, job.line, what);
        }
    }
}

/// What a job reads from the workspace, some job before it has to put there.
pub(crate) fn workspace(job: &Job, jobs: &[Job], report: &mut Report) {
    let before = upstream(job, jobs);
    let mut handed_on = Vec::new();
    for other in jobs.iter().filter(|other| before.contains(other.name.as_str())) {
        for step in other.steps() {
            if let Action::PersistToWorkspace { paths, .. } = &step.action {
                handed_on.extend(paths.iter().map(String::as_str));
            }
        }
    }
    let mut attached: Option<&str> = None;
    let mut made = String::new();
    for step in job.steps() {
        match &step.action {
            Action::AttachWorkspace { at } => {
                attached = Some(at);
                if handed_on.is_empty() {
                    let what = format!(
                        "`{}` attaches a workspace that no job before it persists to",
                        job.name
                    );
                    report.add(CIRCLECI, step.line, what);
                }
            }
            Action::Run(run) => {
                // What the job makes itself it may read, too.
                made.push_str(&run.command);
                let Some(at) = attached else { continue };
                for path in read_below(at, &run.command) {
                    let fits = |known: &str| {
                        let known = known.trim_matches('/');
                        known == "." || path.starts_with(known) || known.contains('*')
                    };
                    let makes = made.contains(&format!(
                        "mkdir -p {at}/{}",
                        path.split('/').next().unwrap_or(path)
                    ));
                    if !handed_on.iter().any(|known| fits(known)) && !makes && !handed_on.is_empty() {
                        let what = format!(
                            "`{}` reads {at}/{path}, which no job before it persists",
                            job.name
                        );
                        report.add(CIRCLECI, step.line, what);
                    }
                }
            }
            Action::PersistToWorkspace { root, paths } => {
                for path in paths {
                    let full = format!("{}/{path}", root.trim_end_matches('/'));
                    if !path.contains('*') && path != "." && !made.contains(&full) {
                        let what = format!(
                            "`{}` persists {full}, and none of its commands makes that",
                            job.name
                        );
                        report.add(CIRCLECI, step.line, what);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The paths below a folder that a command names, as far as they are literal.
fn read_below<'a>(folder: &str, command: &'a str) -> Vec<&'a str> {
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() || folder == "." {
        return Vec::new();
    }
    let words = command.split(|c: char| c.is_whitespace() || "\"'()=;".contains(c));
    words
        .filter_map(|word| word.strip_prefix(folder)?.strip_prefix('/'))
        .map(|path| path.split(['$', '*']).next().unwrap_or_default())
        .filter(|path| !path.is_empty())
        .collect()
}
