//! What CircleCI's variables say of the run that built this binary.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::environment::Environment;
use crate::link::{self, CIRCLECI, FORGES, Link};
use crate::report::Section;

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
        let id_page = |page: &str, id: &str| Link::join("app.circleci.com", &[page, id]);
        let build_url = get("CIRCLE_BUILD_URL");
        let (workflow_id, pipeline_id) = (get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_PIPELINE_ID"));
        let (owner, repo) = (get("CIRCLE_PROJECT_USERNAME"), get("CIRCLE_PROJECT_REPONAME"));
        let sha1 = get("CIRCLE_SHA1");
        let pull_request = get("CIRCLE_PULL_REQUEST");
        let job = build_url.as_deref().and_then(|url| Link::at(CIRCLECI, url));
        let slug = get("CIRCLE_PROJECT_SLUG").or_else(|| job.as_ref().and_then(slug_of_job));
        let project_link = slug.as_deref().and_then(|slug| {
            let parts: Vec<_> = slug.split('/').collect();
            (parts.len() == 3).then(|| Link::join("app.circleci.com", &[&["pipelines"], &*parts].concat()))?
        });
        let workflow = workflow_id.as_deref().and_then(|id| id_page("workflow", id));
        let commit = get("CIRCLE_COMMIT_URL")
            .and_then(|url| Link::at(FORGES, &url))
            .filter(|link| sha1.as_deref().is_some_and(|sha| link.as_str().ends_with(sha)))
            .or_else(|| commit_link(slug.as_deref()?, sha1.as_deref()?));
        let tag = get("CIRCLE_TAG");
        Some(Self {
            trigger: trigger(
                get("CIRCLE_TRIGGER_TYPE").as_deref(),
                pull_request.is_some(),
                tag.is_some(),
            ),
            links: CircleCiLinks {
                run_again: workflow.clone().or_else(|| project_link.clone()),
                pipeline: pipeline_id.as_deref().and_then(|id| id_page("pipeline", id)),
                pull_request: pull_request.as_deref().and_then(|url| Link::at(FORGES, url)),
                project: project_link,
                job,
                workflow,
                commit,
            },
            project: match (owner, repo) {
                (Some(owner), Some(repo)) => Some(format!("{owner}/{repo}")),
                (owner, repo) => owner.or(repo).or(slug),
            },
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
        self.build_num
            .as_ref()
            .map_or_else(|| "CircleCI".to_owned(), |num| format!("CircleCI job {num}"))
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
                "CircleCI sets CIRCLE_USERNAME for people it knows",
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

/// `gh/acme/bifora` out of a job's address, which has had several forms.
fn slug_of_job(job: &Link) -> Option<String> {
    let path = job
        .as_str()
        .split('/')
        .skip(3)
        .map(|s| s.split(['?', '#']).next().unwrap_or_default());
    let parts: Vec<_> = path
        .skip_while(|part| ["jobs", "pipelines"].contains(part))
        .take(3)
        .collect();
    let vcs = match *parts.first()? {
        "github" | "gh" => "gh",
        "bitbucket" | "bb" => "bb",
        "circleci" => "circleci",
        _ => return None,
    };
    (parts.len() == 3 && parts.iter().all(|p| link::segment(p))).then(|| [vcs, parts[1], parts[2]].join("/"))
}

/// The commit's page, where the slug tells the code host.
fn commit_link(slug: &str, sha: &str) -> Option<Link> {
    let mut parts = slug.split('/');
    let (host, page) = match parts.next()? {
        "gh" | "github" => ("github.com", "commit"),
        "bb" | "bitbucket" => ("bitbucket.org", "commits"),
        _ => return None,
    };
    let (owner, repo) = (parts.next()?, parts.next()?);
    crate::build_info::is_commit(sha).then(|| Link::join(host, &[owner, repo, page, sha]))?
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
            ("CIRCLE_PIPELINE_ID", "aa-bb"),
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
            "https://app.circleci.com/pipeline/aa-bb"
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
    fn slugs_of_every_form_of_address() {
        for (address, slug) in [
            ("https://circleci.com/gh/acme/bifora/42", Some("gh/acme/bifora")),
            (
                "https://app.circleci.com/jobs/github/acme/bifora/42",
                Some("gh/acme/bifora"),
            ),
            (
                "https://app.circleci.com/pipelines/circleci/4y/9G/1/workflows/x",
                Some("circleci/4y/9G"),
            ),
            ("https://app.circleci.com/pipelines/github/acme", None),
            ("https://app.circleci.com/", None),
        ] {
            let link = Link::at(CIRCLECI, address).expect(address);
            assert_eq!(slug_of_job(&link).as_deref(), slug, "{address}");
        }
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
