//! The stages and actions of `CodePipeline`: their names, what they hand on, and the variables of others that they refer to.

use std::collections::BTreeSet;

use crate::pipeline::codepipeline::{Action, Pipeline, Provider};
use crate::pipeline::lint::{CODEPIPELINE, Report};

/// The actions in their order; those of one number run at the same time.
pub(crate) fn actions(pipeline: &Pipeline) -> impl Iterator<Item = (usize, &Action)> {
    let stages = pipeline.stages.iter().enumerate();
    stages.flat_map(|(index, stage)| {
        let actions = stage.actions.iter();
        actions.map(move |action| (index * 1000 + action.run_order as usize, action))
    })
}

/// What an action reads another has made, and what it makes another reads.
pub(crate) fn artifacts(pipeline: &Pipeline, report: &mut Report) {
    for (at, action) in actions(pipeline) {
        let mut add = |what: String| {
            report.add(
                CODEPIPELINE,
                action.line,
                format!("the action {} {what}", action.name),
            );
        };
        let is_source = matches!(action.provider, Provider::Connection | Provider::GitHub);
        if is_source && action.outputs.is_empty() {
            add("has no output artefact".to_owned());
        }
        if !is_source && action.inputs.is_empty() {
            add("has no input artefact".to_owned());
        }
        for input in &action.inputs {
            if !actions(pipeline).any(|(before, other)| before < at && other.outputs.contains(input)) {
                add(format!(
                    "reads the artefact {input}, which no action before it makes"
                ));
            }
        }
        for output in &action.outputs {
            if !actions(pipeline).any(|(_, other)| other.inputs.contains(output)) {
                add(format!("makes the artefact {output}, which no action reads"));
            }
            let makers = actions(pipeline).filter(|(_, other)| other.outputs.contains(output));
            if makers.count() > 1 {
                add(format!("makes the artefact {output}, and so does another"));
            }
        }
    }
}

/// No name stands twice.
pub(crate) fn names(pipeline: &Pipeline, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for stage in &pipeline.stages {
        if stage.actions.is_empty() {
            report.add(
                CODEPIPELINE,
                stage.line,
                format!("the stage {} has no actions", stage.name),
            );
        }
        if !seen.insert(stage.name.as_str()) {
            report.add(
                CODEPIPELINE,
                stage.line,
                format!("two stages are called {}", stage.name),
            );
        }
        let mut seen = BTreeSet::new();
        for action in &stage.actions {
            if !seen.insert(action.name.as_str()) {
                report.add(
                    CODEPIPELINE,
                    action.line,
                    format!("two actions are called {}", action.name),
                );
            }
        }
    }
    for disabled in &pipeline.disabled {
        if pipeline.stages.iter().all(|stage| stage.name != *disabled) {
            report.add(
                CODEPIPELINE,
                1,
                format!("there is no stage {disabled} to disable"),
            );
        }
    }
}

/// `#{namespace.Variable}`, in the variables and the configuration of actions.
pub(crate) fn references(pipeline: &Pipeline, report: &mut Report) {
    for (at, action) in actions(pipeline) {
        let variables = action
            .environment
            .iter()
            .map(|variable| (variable.line, &variable.value));
        let settings = action.configuration.values().map(|value| (action.line, value));
        for (line, value) in variables.chain(settings) {
            for reference in value.split("#{").skip(1) {
                let reference = reference.split('}').next().unwrap_or_default();
                let (namespace, variable) = reference.split_once('.').unwrap_or((reference, ""));
                if let Some(what) = wrong_reference(pipeline, at, namespace, variable) {
                    report.add(
                        CODEPIPELINE,
                        line,
                        format!("#{{{reference}}} of the action {}: {what}", action.name),
                    );
                }
            }
        }
        let mut seen = BTreeSet::new();
        for variable in &action.environment {
            if !seen.insert(&variable.name) {
                let what = format!("the action {} gives {} twice", action.name, variable.name);
                report.add(CODEPIPELINE, variable.line, what);
            }
            if variable.name.starts_with("CODEBUILD_") {
                let what = format!(
                    "{} of the action {} begins with CODEBUILD_, which is reserved",
                    variable.name, action.name
                );
                report.add(CODEPIPELINE, variable.line, what);
            }
        }
    }
}

/// What an action cannot do without. The templates' own linter does not look into `Configuration`.
pub(crate) fn settings(pipeline: &Pipeline, report: &mut Report) {
    for (_, action) in actions(pipeline) {
        let needed: &[&str] = match action.provider {
            Provider::Connection => &["BranchName", "ConnectionArn", "FullRepositoryId"],
            Provider::GitHub => &["Branch", "OAuthToken", "Owner", "Repo"],
            Provider::CodeBuild => &["ProjectName"],
            Provider::Ecs => &["ClusterName", "ServiceName"],
            Provider::Other(_) => &[],
        };
        for name in needed
            .iter()
            .filter(|name| !action.configuration.contains_key(**name))
        {
            report.add(
                CODEPIPELINE,
                action.line,
                format!("the action {} has no {name}", action.name),
            );
        }
        if action.provider == Provider::CodeBuild && action.inputs.len() > 1 {
            let primary = action.configuration.get("PrimarySource");
            if primary.is_none_or(|primary| !action.inputs.contains(primary)) {
                let what = format!(
                    "the action {} has several inputs: PrimarySource has to say which of them has the buildspec",
                    action.name
                );
                report.add(CODEPIPELINE, action.line, what);
            }
        }
        if let Provider::Other(name) = &action.provider {
            report.add(
                CODEPIPELINE,
                action.line,
                format!(
                    "the provider {name} of the action {} is not known here",
                    action.name
                ),
            );
        }
    }
}

fn wrong_reference(pipeline: &Pipeline, at: usize, namespace: &str, variable: &str) -> Option<String> {
    if namespace == "codepipeline" {
        return (variable != "PipelineExecutionId")
            .then(|| "codepipeline has PipelineExecutionId only".to_owned());
    }
    let mut before = actions(pipeline).filter(|(before, _)| *before < at);
    let Some((_, source)) = before.find(|(_, action)| action.namespace.as_deref() == Some(namespace)) else {
        return Some(format!("no action before it has the namespace {namespace}"));
    };
    // From the user guide of CodePipeline, "Variables available for actions".
    let known: &[&str] = match source.provider {
        Provider::Connection => &[
            "AuthorDate",
            "BranchName",
            "CommitId",
            "CommitMessage",
            "ConnectionArn",
            "FullRepositoryName",
        ],
        Provider::GitHub => &[
            "AuthorDate",
            "BranchName",
            "CommitId",
            "CommitMessage",
            "CommitUrl",
            "CommitterDate",
            "RepositoryName",
        ],
        _ => return None,
    };
    if !known.contains(&variable) {
        return Some(format!("a source of this kind has {} only", known.join(", ")));
    }
    (variable == "CommitMessage")
        .then(|| "a message with a quote or a second line in it breaks the JSON".to_owned())
}
