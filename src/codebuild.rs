//! What the variables of CodeBuild and CodePipeline say of the build that made this binary.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::environment::Environment;
use crate::forge;
use crate::link::{self, Link};
use crate::report::Section;
use crate::text;

/// The facts of a CodeBuild build, alone or as an action of CodePipeline; `null` is "not set".
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct CodeBuild {
    /// `CODEBUILD_BUILD_ID`, `project:uuid`.
    pub build_id: Option<String>,
    /// `CODEBUILD_BUILD_NUMBER`.
    pub build_number: Option<String>,
    /// `CODEBUILD_INITIATOR`, for CodePipeline `codepipeline/<name>`.
    pub initiator: Option<String>,
    /// The commit that was built.
    pub commit: Option<String>,
    /// `CODEBUILD_LOG_PATH`: the log stream.
    pub log_stream: Option<String>,
    /// CodePipeline's execution id.
    pub pipeline_execution: Option<String>,
    /// The branch that CodePipeline's source action watches.
    pub branch: Option<String>,
    /// `owner/repository` of the source.
    pub repository: Option<String>,
    /// The commit's message, on one line.
    pub commit_message: Option<String>,
    /// Links that passed validation.
    pub links: CodeBuildLinks,
}

/// Links into the AWS console and to the code host, each built from validated parts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct CodeBuildLinks {
    /// The build.
    pub build: Option<Link>,
    /// The execution of the pipeline.
    pub pipeline_execution: Option<Link>,
    /// The commit at the code host.
    pub commit: Option<Link>,
}

impl CodeBuild {
    /// Reads the variables; `None` when none of CodeBuild's or CodePipeline's is set.
    pub fn from_environment(env: &Environment) -> Option<Self> {
        if !env.any("CODEBUILD_") && !env.any("CODEPIPELINE_") {
            return None;
        }
        let build_id = env.get("CODEBUILD_BUILD_ID");
        let initiator = env.get("CODEBUILD_INITIATOR");
        let pipeline_execution = env.get("CODEPIPELINE_EXECUTION_ID");
        let commit = env
            .get("CODEPIPELINE_COMMIT_ID")
            .or_else(|| env.get("CODEBUILD_RESOLVED_SOURCE_VERSION"));
        let repository = env.get("CODEPIPELINE_FULL_REPOSITORY_NAME");
        let arn = env.get("CODEBUILD_BUILD_ARN");
        let place = arn
            .as_deref()
            .zip(build_id.as_deref())
            .and_then(|(arn, id)| region_and_account(arn, id));
        let links = CodeBuildLinks {
            build: place
                .zip(build_id.as_deref())
                .and_then(|((r, account), id)| build_link(r, account, id)),
            pipeline_execution: place
                .zip(initiator.as_deref())
                .zip(pipeline_execution.as_deref())
                .and_then(|(((region, _), by), id)| execution_link(region, by, id)),
            commit: commit
                .as_deref()
                .zip(env.get("CODEBUILD_SOURCE_REPO_URL"))
                .and_then(|(sha, source)| forge::commit_in(&source, sha)),
        };
        Some(Self {
            build_number: env.get("CODEBUILD_BUILD_NUMBER"),
            log_stream: env.get("CODEBUILD_LOG_PATH"),
            branch: env.get("CODEPIPELINE_BRANCH_NAME"),
            commit_message: env.get("CODEPIPELINE_COMMIT_MESSAGE"),
            build_id,
            initiator,
            commit,
            pipeline_execution,
            repository,
            links,
        })
    }

    /// The build in a few words.
    pub fn origin(&self) -> String {
        self.build_number.as_ref().map_or_else(
            || "CodeBuild".to_owned(),
            |num| format!("CodeBuild build {}", text::brief(num)),
        )
    }

    /// The facts as people read them.
    pub fn section(&self) -> Section {
        let links = self.links.clone();
        Section::new("codebuild", "CodeBuild")
            .linked(
                "Build",
                self.build_id.as_ref(),
                links.build,
                "CodeBuild sets CODEBUILD_BUILD_ID in every build",
            )
            .row(
                "Build number",
                self.build_number.as_ref(),
                "CodeBuild sets CODEBUILD_BUILD_NUMBER in every build",
            )
            .row(
                "Initiator",
                self.initiator.as_ref(),
                "CodeBuild sets CODEBUILD_INITIATOR in every build",
            )
            .linked(
                "Pipeline execution",
                self.pipeline_execution.as_ref(),
                links.pipeline_execution,
                "set CODEPIPELINE_EXECUTION_ID from #{codepipeline.PipelineExecutionId}",
            )
            .row(
                "Repository",
                self.repository.as_ref(),
                "set CODEPIPELINE_FULL_REPOSITORY_NAME from #{SourceVariables.FullRepositoryName}",
            )
            .row(
                "Commit message",
                self.commit_message.as_ref(),
                "set CODEPIPELINE_COMMIT_MESSAGE in the build; an action cannot hand on a message with a quote in it",
            )
            .row(
                "Log stream",
                self.log_stream.as_ref(),
                "CodeBuild sets CODEBUILD_LOG_PATH when it logs to CloudWatch",
            )
    }
}

/// Region and account of `arn:aws:codebuild:<region>:<account>:build/<build id>`.
fn region_and_account<'a>(arn: &'a str, id: &str) -> Option<(&'a str, &'a str)> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    match *parts {
        ["arn", "aws", "codebuild", region, account, build] => {
            let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
            let same = build.strip_prefix("build/") == Some(id);
            (digits && same && link::is_region(region)).then_some((region, account))
        }
        _ => None,
    }
}

fn build_link(region: &str, account: &str, id: &str) -> Option<Link> {
    let (project, uuid) = id
        .split_once(':')
        .filter(|(p, u)| link::segment(p) && link::is_id(u))?;
    let path = format!("codesuite/codebuild/{account}/projects/{project}/build/{project}%3A{uuid}/");
    Link::console(region, &path)
}

fn execution_link(region: &str, initiator: &str, id: &str) -> Option<Link> {
    let name = initiator
        .strip_prefix("codepipeline/")
        .filter(|name| link::segment(name) && link::is_id(id))?;
    Link::console(
        region,
        &format!("codesuite/codepipeline/pipelines/{name}/executions/{id}/timeline"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10";

    fn pairs() -> Vec<(&'static str, &'static str)> {
        vec![
            ("CODEBUILD_BUILD_ID", "bifora-arm:0b1c-2d3e"),
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:eu-central-1:123456789012:build/bifora-arm:0b1c-2d3e",
            ),
            ("CODEBUILD_INITIATOR", "codepipeline/bifora"),
            ("CODEPIPELINE_EXECUTION_ID", "9f8e-7d6c"),
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", SHA),
            ("CODEBUILD_SOURCE_REPO_URL", "https://github.com/acme/bifora.git"),
        ]
    }

    #[test]
    fn links_lead_to_the_console() {
        let facts = CodeBuild::from_environment(&Environment::from_pairs(&pairs())).expect("set");
        let text = |link: Option<Link>| link.map(String::from).unwrap_or_default();
        assert_eq!(
            text(facts.links.build),
            "https://eu-central-1.console.aws.amazon.com/codesuite/codebuild/123456789012/projects/bifora-arm/build/\
             bifora-arm%3A0b1c-2d3e/?region=eu-central-1"
        );
        assert_eq!(
            text(facts.links.pipeline_execution),
            "https://eu-central-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/bifora/executions/9f8e-7d6c/\
             timeline?region=eu-central-1"
        );
        assert_eq!(
            text(facts.links.commit),
            format!("https://github.com/acme/bifora/commit/{SHA}")
        );
    }

    #[test]
    fn one_hostile_part_is_enough_for_no_link() {
        for (name, bad) in [
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:evil.example/#:123456789012:build/x",
            ),
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:eu-central-1:12345678901x:build/bifora-arm:0b1c-2d3e",
            ),
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:-----:123456789012:build/bifora-arm:0b1c-2d3e",
            ),
            (
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:eu-central-1:123456789012:build/other:0b1c-2d3e",
            ),
            ("CODEBUILD_BUILD_ID", "x/../..:y"),
            ("CODEBUILD_BUILD_ID", "\"><script>:y"),
        ] {
            let mut pairs = pairs();
            pairs.retain(|(key, _)| *key != name);
            pairs.push((name, bad));
            let facts = CodeBuild::from_environment(&Environment::from_pairs(&pairs)).expect("set");
            assert_eq!(facts.links.build, None, "{name}={bad}");
        }
    }
}
