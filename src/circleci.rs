//! What CircleCI's variables say of the run that built this binary.

mod project;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::project::{Job, Slug};
use crate::environment::Environment;
use crate::forge;
use crate::link::{self, Link};
use crate::report::Section;
use crate::text;

/// The facts of a CircleCI run; `null` is "not set".
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct CircleCi {
    /// `CIRCLE_BUILD_URL`, as given.
    pub build_url: Option<String>,
    /// `CIRCLE_BUILD_NUM`.
    pub build_num: Option<String>,
    /// `CIRCLE_SHA1`.
    pub sha1: Option<String>,
    /// `CIRCLE_USERNAME`: who triggered the run.
    pub username: Option<String>,
    /// What triggered the run, in words.
    pub trigger: Option<String>,
    /// `CIRCLE_WORKFLOW_ID`.
    pub workflow_id: Option<String>,
    /// `CIRCLE_PIPELINE_ID`.
    pub pipeline_id: Option<String>,
    /// `CIRCLE_PIPELINE_NUMBER`.
    pub pipeline_number: Option<String>,
    /// `CIRCLE_BRANCH`.
    pub branch: Option<String>,
    /// `CIRCLE_TAG`.
    pub tag: Option<String>,
    /// `CIRCLE_PULL_REQUEST`, as given.
    pub pull_request: Option<String>,
    /// Organisation and repository.
    pub project: Option<String>,
    /// Links that passed validation.
    pub links: CircleCiLinks,
}

/// Links into CircleCI and the code host, each built from validated parts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct CircleCiLinks {
    /// The job.
    pub job: Option<Link>,
    /// The workflow.
    pub workflow: Option<Link>,
    /// The pipeline.
    pub pipeline: Option<Link>,
    /// The project's pipelines.
    pub project: Option<Link>,
    /// The page with the button that runs it again.
    pub run_again: Option<Link>,
    /// The commit at the code host.
    pub commit: Option<Link>,
    /// The pull request at the code host.
    pub pull_request: Option<Link>,
}

impl CircleCi {
    /// Reads the variables; `None` when none of CircleCI's is set.
    pub fn from_environment(env: &Environment) -> Option<Self> {
        if !env.any("CIRCLE_") {
            return None;
        }
        let get = |name: &str| env.get(name);
        let id_page = |page: &str, id: Option<&str>| {
            id.filter(|id| link::is_id(id))
                .and_then(|id| Link::join("app.circleci.com", &[page, id]))
        };
        let build_url = get("CIRCLE_BUILD_URL");
        let (workflow_id, pipeline_id) = (get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_PIPELINE_ID"));
        let sha1 = get("CIRCLE_SHA1");
        let pull_request = get("CIRCLE_PULL_REQUEST");
        let tag = get("CIRCLE_TAG");
        let project = match (get("CIRCLE_PROJECT_USERNAME"), get("CIRCLE_PROJECT_REPONAME")) {
            (Some(owner), Some(repo)) => Some(format!("{owner}/{repo}")),
            (owner, repo) => owner.or(repo),
        };
        let job = build_url.as_deref().and_then(Job::parse);
        // A link must lead where its text says.
        let of_job = job.as_ref().map(|job| &job.slug);
        let fits = |slug: &Slug| slug.is_of(project.as_deref(), of_job);
        let given = get("CIRCLE_PROJECT_SLUG")
            .as_deref()
            .and_then(Slug::parse)
            .filter(fits);
        let slug = given.or_else(|| of_job.cloned().filter(fits));
        let project_link = slug.as_ref().and_then(Slug::page);
        let workflow = id_page("workflow", workflow_id.as_deref());
        let commit = sha1.as_deref().and_then(|sha| {
            let of_project = |link: &Link| {
                project
                    .as_ref()
                    .is_none_or(|project| link.as_str().contains(&format!("/{project}/")))
            };
            let given = get("CIRCLE_COMMIT_URL")
                .and_then(|address| forge::commit(&address, sha))
                .filter(of_project);
            given.or_else(|| forge::commit_in(&slug.as_ref()?.repository()?, sha))
        });
        Some(Self {
            trigger: trigger(
                get("CIRCLE_TRIGGER_TYPE").as_deref(),
                pull_request.is_some(),
                tag.is_some(),
            ),
            links: CircleCiLinks {
                run_again: workflow.clone().or_else(|| project_link.clone()),
                pipeline: id_page("pipeline", pipeline_id.as_deref()),
                pull_request: pull_request.as_deref().and_then(forge::pull_request),
                project: project_link,
                job: job.map(|job| job.page),
                workflow,
                commit,
            },
            project: project.or_else(|| slug.map(|slug| slug.0)),
            build_num: get("CIRCLE_BUILD_NUM"),
            username: get("CIRCLE_USERNAME"),
            pipeline_number: get("CIRCLE_PIPELINE_NUMBER"),
            branch: get("CIRCLE_BRANCH"),
            tag,
            build_url,
            sha1,
            workflow_id,
            pipeline_id,
            pull_request,
        })
    }

    /// The run in a few words.
    pub fn origin(&self) -> String {
        self.build_num.as_ref().map_or_else(
            || "CircleCI".to_owned(),
            |num| format!("CircleCI job {}", text::brief(num)),
        )
    }

    /// The facts as people read them.
    pub fn section(&self) -> Section {
        let links = self.links.clone();
        let run_again = links.run_again.as_ref().map(|_| match links.workflow {
            Some(_) => "Open the workflow and choose Rerun",
            None => "Open the project and choose Trigger Pipeline",
        });
        Section::new("circleci", "CircleCI")
            .linked(
                "Job",
                self.build_url.as_ref(),
                links.job,
                "CircleCI sets CIRCLE_BUILD_URL in every job",
            )
            .row(
                "Job number",
                self.build_num.as_ref(),
                "CircleCI sets CIRCLE_BUILD_NUM in every job",
            )
            .linked(
                "Workflow",
                self.workflow_id.as_ref(),
                links.workflow,
                "CircleCI sets CIRCLE_WORKFLOW_ID",
            )
            .linked(
                "Pipeline",
                self.pipeline_id.as_ref(),
                links.pipeline,
                "set CIRCLE_PIPELINE_ID from the value pipeline.id",
            )
            .row(
                "Pipeline number",
                self.pipeline_number.as_ref(),
                "set CIRCLE_PIPELINE_NUMBER from the value pipeline.number",
            )
            .linked(
                "Project",
                self.project.as_ref(),
                links.project,
                "CircleCI sets CIRCLE_PROJECT_USERNAME and CIRCLE_PROJECT_REPONAME",
            )
            .row(
                "Triggered by",
                self.username.as_ref(),
                "CircleCI sets CIRCLE_USERNAME for users it knows",
            )
            .row(
                "Trigger",
                self.trigger.as_ref(),
                "set CIRCLE_TRIGGER_TYPE from the value pipeline.trigger.type",
            )
            .linked(
                "Run again",
                run_again,
                links.run_again,
                "known with CIRCLE_WORKFLOW_ID or CIRCLE_PROJECT_SLUG",
            )
    }
}

/// CircleCI's word for the trigger in everybody's words. A webhook is a push or a pull request, which the other
/// variables tell apart.
fn trigger(kind: Option<&str>, pull_request: bool, tag: bool) -> Option<String> {
    let words = match kind {
        Some("webhook" | "github_app" | "push") | None if pull_request => "pull request",
        Some("webhook" | "github_app" | "push") if tag => "push of a tag",
        Some("webhook" | "github_app" | "push") => "push",
        Some("pull_request" | "pull-request") => "pull request",
        Some("api") => "API",
        Some("schedule" | "scheduled" | "scheduled_pipeline" | "cron") => "schedule",
        Some("explicit" | "manual") => "by hand",
        Some(other) => other,
        None => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circleci(pairs: &[(&str, &str)]) -> CircleCi {
        CircleCi::from_environment(&Environment::from_pairs(pairs)).expect("CircleCI's variables are set")
    }

    #[test]
    fn nothing_set_is_no_circleci() {
        let env = Environment::from_pairs(&[("CIRCLE_SHA1", ""), ("VERSION", "1")]);
        assert!(CircleCi::from_environment(&env).is_none());
    }

    #[test]
    fn links_lead_to_the_run() {
        let sha = "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10";
        let facts = circleci(&[
            ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/bifora/42"),
            ("CIRCLE_WORKFLOW_ID", "7d1f0a5e-1111"),
            ("CIRCLE_PIPELINE_ID", "0b6b9c1e-7777"),
            ("CIRCLE_SHA1", sha),
            ("CIRCLE_TRIGGER_TYPE", "webhook"),
        ]);
        let text = |link: &Option<Link>| link.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!(text(&facts.links.job), "https://circleci.com/gh/acme/bifora/42");
        assert_eq!(
            text(&facts.links.workflow),
            "https://app.circleci.com/workflow/7d1f0a5e-1111"
        );
        assert_eq!(
            text(&facts.links.pipeline),
            "https://app.circleci.com/pipeline/0b6b9c1e-7777"
        );
        assert_eq!(
            text(&facts.links.project),
            "https://app.circleci.com/pipelines/gh/acme/bifora"
        );
        assert_eq!(
            text(&facts.links.commit),
            format!("https://github.com/acme/bifora/commit/{sha}")
        );
        assert_eq!(text(&facts.links.run_again), text(&facts.links.workflow));
        assert_eq!(facts.trigger.as_deref(), Some("push"));
    }

    #[test]
    fn a_link_leads_where_its_text_says() {
        let facts = circleci(&[
            ("CIRCLE_PROJECT_USERNAME", "acme"),
            ("CIRCLE_PROJECT_REPONAME", "bifora"),
            ("CIRCLE_PROJECT_SLUG", "gh/evil/other"),
        ]);
        assert_eq!(
            (facts.project.as_deref(), facts.links.project),
            (Some("acme/bifora"), None)
        );
    }

    #[test]
    fn hostile_values_never_become_links() {
        for bad in [
            "javascript:alert(1)",
            "\"><script>alert(1)</script>",
            "https://evil.example/x",
            "../../x",
        ] {
            let names = crate::environment::NAMES
                .iter()
                .filter(|n| n.starts_with("CIRCLE_"));
            let pairs: Vec<_> = names.map(|name| (*name, bad)).collect();
            let facts = circleci(&pairs);
            let links = serde_json::to_value(&facts.links).expect("serializes");
            assert!(
                links
                    .as_object()
                    .expect("an object")
                    .values()
                    .all(serde_json::Value::is_null),
                "{links}"
            );
            assert_eq!(facts.build_url.as_deref(), Some(bad), "shown as text");
        }
    }

    #[test]
    fn a_commit_link_must_lead_to_the_commit() {
        let other = "https://github.com/acme/bifora/commit/0000000000000000000000000000000000000000";
        let facts = circleci(&[
            ("CIRCLE_SHA1", "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10"),
            ("CIRCLE_COMMIT_URL", other),
        ]);
        assert_eq!(facts.links.commit, None);
    }

    #[test]
    fn triggers_in_words() {
        assert_eq!(
            trigger(Some("webhook"), true, false).as_deref(),
            Some("pull request")
        );
        assert_eq!(
            trigger(Some("webhook"), false, true).as_deref(),
            Some("push of a tag")
        );
        assert_eq!(trigger(Some("api"), false, false).as_deref(), Some("API"));
        assert_eq!(
            trigger(Some("scheduled_pipeline"), false, false).as_deref(),
            Some("schedule")
        );
        assert_eq!(trigger(Some("comet"), false, false).as_deref(), Some("comet"));
        assert_eq!(trigger(None, false, false), None);
    }
}
