//! Links that are built from validated parts only. What does not pass is shown as text.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// CircleCI's own hosts.
pub const CIRCLECI: &[&str] = &["app.circleci.com", "circleci.com"];
/// Code hosts that commits and pull requests may point to. A self-hosted one is shown as text: nothing here could
/// tell it from a stranger's.
pub const FORGES: &[&str] = &["github.com", "gitlab.com", "bitbucket.org"];

const MAX_LENGTH: usize = 500;

/// An `https` address at a known host, safe to stand in an `href`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "https://app.circleci.com/workflow/7d1f0a5e")]
pub struct Link(String);

/// The address is not one that Bifora links to.
#[derive(Debug, thiserror::Error)]
#[error("not an https address at CircleCI, the AWS console or a known code host: {0:?}")]
pub struct NotALink(String);

impl Link {
    /// Takes an address from outside when it is plain `https`, at exactly one of `hosts` and of harmless characters.
    pub fn at(hosts: &[&str], address: &str) -> Option<Self> {
        let rest = address.strip_prefix("https://")?;
        let (host, path) = rest.split_once('/')?;
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~/?#=&%:$+,@!".contains(&b);
        (address.len() <= MAX_LENGTH && hosts.contains(&host) && path.bytes().all(harmless))
            .then(|| Self(address.to_owned()))
    }

    /// Joins a host of ours with path segments from outside; each must be a [`segment`].
    pub fn join(host: &str, segments: &[&str]) -> Option<Self> {
        let valid = segments.iter().all(|s| segment(s));
        let address = format!("https://{host}/{}", segments.join("/"));
        (valid && address.len() <= MAX_LENGTH).then_some(Self(address))
    }

    /// A page of the AWS console in `region`; `path` holds only parts that the caller has validated.
    pub fn console(region: &str, path: &str) -> Option<Self> {
        let address = format!("https://{region}.console.aws.amazon.com/{path}?region={region}");
        (is_region(region) && address.len() <= MAX_LENGTH).then_some(Self(address))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.0
    }
}

impl TryFrom<String> for Link {
    type Error = NotALink;

    fn try_from(address: String) -> Result<Self, NotALink> {
        let region = address
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once(".console.aws.amazon.com/"))
            .map(|(region, _)| region)
            .filter(|region| is_region(region));
        let console = region.map(|region| format!("{region}.console.aws.amazon.com"));
        let mut hosts = [CIRCLECI, FORGES, &["gallery.ecr.aws"]].concat();
        hosts.extend(console.as_deref());
        Self::at(&hosts, &address).ok_or(NotALink(address))
    }
}

/// Whether a text is one segment of a path: 1 to 200 of `[A-Za-z0-9._~-]`, not a dot segment.
pub fn segment(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        && text.bytes().any(|b| b != b'.')
}

/// Whether a text has the form of an AWS region's name, such as `eu-central-1`.
pub fn is_region(text: &str) -> bool {
    (5..=25).contains(&text.len())
        && text.contains('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_ci_gives() {
        for good in [
            "https://circleci.com/gh/acme/bifora/42",
            "https://app.circleci.com/jobs/circleci/4yz/9Gk/42",
            "https://app.circleci.com/pipelines/github/acme/bifora/7/workflows/0-1/jobs/42",
        ] {
            assert_eq!(Link::at(CIRCLECI, good).expect(good).as_str(), good);
        }
    }

    #[test]
    fn refuses_what_is_hostile() {
        for bad in [
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)//https://circleci.com/",
            "data:text/html,<script>alert(1)</script>",
            "http://circleci.com/gh/a/b/1",
            "//circleci.com/gh/a/b/1",
            "https://circleci.com",
            "https://circleci.com.evil.example/x",
            "https://evil.example/circleci.com/",
            "https://circleci.com@evil.example/",
            "https://circleci.com:443@evil.example/",
            "https://evil.example\\@circleci.com/",
            "https://circleci.com\\@evil.example/",
            "https://circleci.com:8443/x",
            "https://circleci.com/\"><script>",
            "https://circleci.com/x y",
            "https://circleci.com/x\ny",
            "https://CIRCLECI.com/x",
            " https://circleci.com/x",
            "https://cırcleci.com/x",
        ] {
            assert_eq!(Link::at(CIRCLECI, bad), None, "{bad}");
            assert!(Link::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(
            Link::at(CIRCLECI, &format!("https://circleci.com/{}", "a".repeat(10_240))),
            None
        );
        assert_eq!(Link::join("github.com", &["acme", "..", "x"]), None);
        assert_eq!(Link::console("evil.example/#", "x"), None);
    }

    #[test]
    fn own_links_survive_a_round_trip() {
        for link in [
            Link::join("app.circleci.com", &["workflow", "7d1f0a5e-0000"]),
            Link::console("eu-central-1", "codesuite/codebuild/1/projects/p/build/p%3Au/"),
        ] {
            let link = link.expect("valid");
            let json = serde_json::to_string(&link).expect("serializes");
            assert_eq!(serde_json::from_str::<Link>(&json).expect("parses"), link);
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_at_the_host(tail in "[ -~]{0,60}", host in "[a-z@:/.\\\\]{0,20}") {
            let address = format!("https://{host}{tail}");
            if let Some(link) = Link::at(CIRCLECI, &address) {
                let uri: hyper::Uri = link.as_str().parse().expect("a link is a URI");
                prop_assert_eq!(uri.scheme_str(), Some("https"));
                prop_assert!(CIRCLECI.contains(&uri.host().expect("a host")));
                prop_assert!(!link.as_str().contains(['"', '<', '>', '\'', ' ', '\\']));
            }
        }
    }
}
