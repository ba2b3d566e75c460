//! Pages at the code hosts that are known: commits and pull requests, taken apart and put together again.
//!
//! A self-hosted code host is shown as text: nothing here could tell it from a stranger's.

use crate::build_info::is_commit;
use crate::link::{self, FORGES, Link};

/// A commit's page, when `address` is one and is that of `sha`.
pub fn commit(address: &str, sha: &str) -> Option<Link> {
    let (host, parts) = link::parts(FORGES, address)?;
    let hash = match (host, parts.as_slice()) {
        ("github.com", [_, _, "commit", hash])
        | ("bitbucket.org", [_, _, "commits", hash])
        | ("gitlab.com", [_, .., _, "-", "commit", hash]) => *hash,
        _ => return None,
    };
    (hash == sha && is_commit(sha)).then(|| Link::join(host, &parts))?
}

/// The page of a commit in the repository at `repository`.
pub fn commit_in(repository: &str, sha: &str) -> Option<Link> {
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    let (host, mut parts) = link::parts(FORGES, repository)?;
    parts.extend(match host {
        "github.com" => &["commit"][..],
        "bitbucket.org" => &["commits"],
        _ => &["-", "commit"],
    });
    parts.push(sha);
    commit(&Link::join(host, &parts)?.to_string(), sha)
}

/// The page of a pull request (a merge request at GitLab).
pub fn pull_request(address: &str) -> Option<Link> {
    let (host, parts) = link::parts(FORGES, address)?;
    let (("github.com", [_, _, "pull", number])
    | ("bitbucket.org", [_, _, "pull-requests", number])
    | ("gitlab.com", [_, .., _, "-", "merge_requests", number])) = (host, parts.as_slice())
    else {
        return None;
    };
    link::is_number(number).then(|| Link::join(host, &parts))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10";

    #[test]
    fn commits_of_every_host() {
        for (repository, page) in [
            (
                "https://github.com/acme/bifora.git",
                "https://github.com/acme/bifora/commit/",
            ),
            (
                "https://bitbucket.org/acme/bifora",
                "https://bitbucket.org/acme/bifora/commits/",
            ),
            (
                "https://gitlab.com/acme/tools/bifora.git",
                "https://gitlab.com/acme/tools/bifora/-/commit/",
            ),
        ] {
            let link = commit_in(repository, SHA).map(String::from);
            assert_eq!(link, Some(format!("{page}{SHA}")), "{repository}");
        }
    }

    #[test]
    fn what_is_no_commit_of_ours_is_no_link() {
        let other = "0".repeat(40);
        for address in [
            format!("https://github.com/acme/bifora/commit/{other}"),
            format!("https://github.com/acme/bifora/releases/download/{SHA}"),
            format!("https://github.com/acme/bifora/commit/{SHA}?diff=split"),
            format!("https://github.com/acme/x/commit/evil#{SHA}"),
            format!("https://github.com/login/oauth/authorize?x=/commit/{SHA}"),
            format!("https://github.com@evil.example/acme/bifora/commit/{SHA}"),
        ] {
            assert_eq!(commit(&address, SHA), None, "{address}");
        }
        assert_eq!(commit("https://github.com/acme/bifora/commit/e", "e"), None);
        assert_eq!(commit_in("https://github.com/acme", SHA), None);
        assert_eq!(commit_in("https://evil.example/acme/bifora", SHA), None);
    }

    #[test]
    fn pull_requests_and_nothing_like_them() {
        for good in [
            "https://github.com/acme/bifora/pull/5",
            "https://bitbucket.org/acme/bifora/pull-requests/5",
            "https://gitlab.com/acme/tools/bifora/-/merge_requests/5",
        ] {
            assert_eq!(pull_request(good).map(String::from).as_deref(), Some(good));
        }
        for bad in [
            "https://github.com/login/oauth/authorize?client_id=evil&scope=repo",
            "https://github.com/evil/x/releases/download/v1/install.exe",
            "https://github.com/acme/bifora/pull/5/../../evil",
            "https://github.com/acme/bifora/pull/five",
            "https://github.com/acme/bifora/pull/5#x",
        ] {
            assert_eq!(pull_request(bad), None, "{bad}");
        }
    }
}
