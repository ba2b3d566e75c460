//! Addresses of CircleCI: of a job, and of the project that it belongs to.

use crate::link::{self, CIRCLECI, Link};

/// A job's page and the project that its address names.
pub(super) struct Job {
    /// Its page.
    pub(super) page: Link,
    /// Its project.
    pub(super) slug: Slug,
}

impl Job {
    /// Takes a job's address in any of the forms that it has had.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let (host, parts) = link::parts(CIRCLECI, address)?;
        let (project, number) = match parts.as_slice() {
            ["jobs", project @ .., number] if project.len() == 3 => (project, number),
            [
                "pipelines",
                project @ ..,
                pipeline,
                "workflows",
                workflow,
                "jobs",
                number,
            ] if project.len() == 3 && link::is_number(pipeline) && link::is_id(workflow) => {
                (project, number)
            }
            [project @ .., number] if project.len() == 3 => (project, number),
            _ => return None,
        };
        let slug = Slug::parse(&project.join("/"))?;
        link::is_number(number).then(|| {
            Some(Self {
                page: Link::join(host, &parts)?,
                slug,
            })
        })?
    }
}

/// A project's name at CircleCI: `gh/acme/bifora`, `bb/acme/bifora` or `circleci/<organisation>/<project>`.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Slug(pub(super) String);

impl Slug {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let [vcs, owner, repo] = *parts else { return None };
        let vcs = match vcs {
            "github" | "gh" => "gh",
            "bitbucket" | "bb" => "bb",
            "circleci" => "circleci",
            _ => return None,
        };
        (link::segment(owner) && link::segment(repo)).then(|| Self([vcs, owner, repo].join("/")))
    }

    /// Whether this is the project of that name. Where it is made of ids, which say nothing of names, the job must agree.
    pub(super) fn is_of(&self, project: Option<&str>, of_job: Option<&Self>) -> bool {
        let name = self.0.split_once('/').map(|(_, name)| name);
        project.is_none() || name == project || (self.0.starts_with("circleci/") && of_job == Some(self))
    }

    /// The project's pipelines.
    pub(super) fn page(&self) -> Option<Link> {
        let parts: Vec<_> = ["pipelines"].into_iter().chain(self.0.split('/')).collect();
        Link::join("app.circleci.com", &parts)
    }

    /// The address of the repository, where the slug tells the code host.
    pub(super) fn repository(&self) -> Option<String> {
        let (vcs, name) = self.0.split_once('/')?;
        let host = match vcs {
            "gh" => "github.com",
            "bb" => "bitbucket.org",
            _ => return None,
        };
        Some(format!("https://{host}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_in_every_form_of_address() {
        for (address, slug) in [
            ("https://circleci.com/gh/acme/bifora/42", Some("gh/acme/bifora")),
            (
                "https://app.circleci.com/jobs/github/acme/bifora/42",
                Some("gh/acme/bifora"),
            ),
            (
                "https://app.circleci.com/pipelines/circleci/4y/9G/1/workflows/7d1f0a5e-1111/jobs/42",
                Some("circleci/4y/9G"),
            ),
            ("https://app.circleci.com/pipelines/github/acme", None),
            (
                "https://circleci.com/auth/logout?return-to=https://evil.example/",
                None,
            ),
            ("https://circleci.com/redirect?to=//evil.example", None),
            ("https://circleci.com/gh/acme/bifora/latest", None),
            ("https://circleci.com/evil/acme/bifora/42", None),
        ] {
            let job = Job::parse(address);
            assert_eq!(job.as_ref().map(|job| job.slug.0.as_str()), slug, "{address}");
            assert!(job.is_none_or(|job| job.page.as_str() == address));
        }
    }
}
