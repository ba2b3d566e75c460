//! CodePipeline's template: which builds on which machines the actions start, and what is deployed.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::codepipeline::{self, Action, Inputs, Pipeline, Project, Provider, Template};
use crate::pipeline::lint::actions::{self, actions};
use crate::pipeline::lint::buildspec::{self, Build};
use crate::pipeline::lint::{CODEPIPELINE, Report, Sources};

/// What the templates are read with: any account will do.
pub(crate) fn inputs(parameters: &[(&str, &str)]) -> Inputs {
    let parameters = parameters.iter();
    Inputs {
        parameters: parameters
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        imports: BTreeMap::new(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        stack: "bifora".to_owned(),
    }
}

/// The pipeline with a connection for its source.
pub(crate) struct Facts {
    pub(crate) template: Template,
    pub(crate) pipeline: Pipeline,
}

/// Reports what is wrong; nothing comes back if the template cannot be read.
pub(crate) fn check(sources: &Sources, report: &mut Report) -> Option<Facts> {
    let root = sources.yaml(CODEPIPELINE, report)?;
    let mut facts = None;
    // Both kinds of source, since their variables differ.
    let arn =
        "arn:aws:codeconnections:us-east-1:123456789012:connection/00000000-0000-0000-0000-000000000000";
    for connection in ["", arn] {
        let inputs = inputs(&[("RepositoryOwner", "owner"), ("ConnectionArn", connection)]);
        let template = Template::new(root.clone(), inputs);
        match codepipeline::pipeline(&template) {
            Ok(pipeline) => {
                of_pipeline(sources, &pipeline, report);
                facts = Some(Facts { template, pipeline });
            }
            Err(problem) => report.problem(CODEPIPELINE, problem),
        }
    }
    facts
}

fn of_pipeline(sources: &Sources, pipeline: &Pipeline, report: &mut Report) {
    actions::artifacts(pipeline, report);
    actions::names(pipeline, report);
    actions::references(pipeline, report);
    actions::settings(pipeline, report);
    for project in &pipeline.projects {
        machine(project, report);
        variables(project, report);
    }
    let mut builds: Vec<(usize, Build)> = Vec::new();
    for (index, action) in actions(pipeline) {
        if action.provider != Provider::CodeBuild {
            continue;
        }
        let name = action
            .configuration
            .get("ProjectName")
            .cloned()
            .unwrap_or_default();
        match pipeline.project(&name) {
            Some(project) => {
                builds.extend(buildspec::check(sources, action, project, report).map(|build| (index, build)));
            }
            None => report.add(
                CODEPIPELINE,
                action.line,
                format!(
                    "the action {} starts the project `{name}`, which does not exist",
                    action.name
                ),
            ),
        }
    }
    for project in &pipeline.projects {
        let starts =
            |(_, action): (usize, &Action)| action.configuration.get("ProjectName") == Some(&project.name);
        if !actions(pipeline).any(starts) {
            report.add(
                CODEPIPELINE,
                project.line,
                format!("no action starts the project `{}`", project.name),
            );
        }
    }
    for (_, build) in &builds {
        if build.needs_engine && !build.project.privileged {
            let what = format!(
                "the project {} needs Docker's daemon, and so PrivilegedMode",
                build.project.name
            );
            report.add(CODEPIPELINE, build.project.line, what);
        }
    }
    for (_, build) in &builds {
        facts(sources, build, report);
    }
    suffixes(&builds, report);
    deployments(pipeline, &builds, report);
}

fn machine(project: &Project, report: &mut Report) {
    let mut add = |what: String| {
        report.add(
            CODEPIPELINE,
            project.line,
            format!("the project {} {what}", project.name),
        );
    };
    let is_arm = match project.container.as_str() {
        "ARM_CONTAINER" => true,
        "LINUX_CONTAINER" => false,
        other => return add(format!("has the unknown container type {other}")),
    };
    if project.image.contains("aarch64") != is_arm {
        add(format!(
            "is of the type {}, and has the image {}",
            project.container, project.image
        ));
    }
    for variable in project
        .environment
        .iter()
        .filter(|variable| variable.name == "IMG_SUFFIX_ARCH")
    {
        match (variable.value.as_str(), is_arm) {
            ("amd64", false) | ("arm64v8", true) => {}
            (value, _) => add(format!(
                "is of the type {}, and IMG_SUFFIX_ARCH is {value}",
                project.container
            )),
        }
    }
}

fn variables(project: &Project, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for variable in &project.environment {
        if !seen.insert(&variable.name) {
            let what = format!("the project {} has {} twice", project.name, variable.name);
            report.add(CODEPIPELINE, variable.line, what);
        }
    }
}

/// What the image is to tell of the run, whoever builds it has to know.
fn facts(sources: &Sources, build: &Build, report: &mut Report) {
    if build.calls.iter().all(|call| call.script != "ci/build-image.sh") {
        return;
    }
    for fact in sources.facts("CODEPIPELINE_") {
        let told = build
            .action
            .environment
            .iter()
            .any(|variable| variable.name == fact);
        // Cannot be handed on, see `wrong_reference`.
        if !told && fact != "CODEPIPELINE_COMMIT_MESSAGE" {
            let what = format!(
                "the action {} does not tell the image {fact}, which the Dockerfile takes",
                build.action.name
            );
            report.add(CODEPIPELINE, build.action.line, what);
        }
    }
}

/// The images that are joined are those that were pushed before.
fn suffixes(builds: &[(usize, Build)], report: &mut Report) {
    for (at, build) in builds {
        for call in build
            .calls
            .iter()
            .filter(|call| call.script == "ci/publish-manifest.sh")
        {
            let is_suffix = |word: &&String| word.starts_with("amd64") || word.starts_with("arm64");
            let joined: BTreeSet<_> = call.words.iter().filter(is_suffix).map(String::as_str).collect();
            let before = builds.iter().filter(|(before, _)| before < at);
            let pushed: BTreeSet<_> = before
                .filter(|(_, build)| build.calls.iter().any(|call| call.script == "ci/push-image.sh"))
                .flat_map(|(_, build)| &build.project.environment)
                .filter(|variable| variable.name == "IMG_SUFFIX_ARCH")
                .map(|variable| variable.value.as_str())
                .collect();
            if joined != pushed {
                let what = format!("{joined:?} are joined, and pushed before are {pushed:?}");
                report.add(&build.project.buildspec, 1, what);
            }
        }
    }
}

fn deployments(pipeline: &Pipeline, builds: &[(usize, Build)], report: &mut Report) {
    for (_, action) in actions(pipeline) {
        if action.provider != Provider::Ecs {
            continue;
        }
        let mut add = |what: String| {
            report.add(
                CODEPIPELINE,
                action.line,
                format!("the action {} {what}", action.name),
            );
        };
        let setting = |name: &str| action.configuration.get(name).map_or("", String::as_str);
        // AWS's default, which is not the file of the blueprint.
        let file = match setting("FileName") {
            "" => "imagedefinitions.json",
            file => file,
        };
        for input in &action.inputs {
            let maker = builds
                .iter()
                .find(|(_, build)| build.action.outputs.contains(input));
            let files = maker.and_then(|(_, build)| build.buildspec.artifacts.as_ref());
            let files = files
                .map(|artifacts| artifacts.files.as_slice())
                .unwrap_or_default();
            if !files.iter().any(|name| name == file) {
                add(format!("reads {file}, and {input} has {}", files.join(", ")));
            }
        }
        let timeout = setting("DeploymentTimeout");
        if !timeout.is_empty()
            && !timeout
                .parse()
                .is_ok_and(|minutes: u32| (1..=60).contains(&minutes))
        {
            add(format!(
                "has a DeploymentTimeout of {timeout}: it has to be 1 to 60 minutes"
            ));
        }
    }
    for stage in &pipeline.stages {
        let deploys = stage
            .actions
            .iter()
            .filter(|action| action.provider == Provider::Ecs)
            .count();
        if deploys > 1 && stage.on_failure.as_deref() != Some("ROLLBACK") {
            let what = format!(
                "the stage {} has no OnFailure: ROLLBACK: one service could stay behind",
                stage.name
            );
            report.add(CODEPIPELINE, stage.line, what);
        }
    }
}
