//! Links that are built from validated parts only. What does not pass is shown as text.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// CircleCI's own hosts.
pub const CIRCLECI: &[&str] = &["app.circleci.com", "circleci.com"];
/// The code hosts that commits and pull requests may be at.
pub const FORGES: &[&str] = &["bitbucket.org", "github.com", "gitlab.com"];
/// The gallery of Amazon ECR Public.
pub const GALLERY: &str = "gallery.ecr.aws";

const CONSOLE: &str = ".console.aws.amazon.com";
const MAX_LENGTH: usize = 500;

/// An `https` address at a known host, safe to stand in an `href`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "https://app.circleci.com/workflow/7d1f0a5e-1111-4222-8333-944445555666")]
pub struct Link(String);

/// The address is not one that Bifora links to.
#[derive(Debug, thiserror::Error)]
#[error("not an https address at CircleCI, the AWS console or a known code host: {0:?}")]
pub struct NotALink(String);

impl Link {
    /// Joins a host of ours with path segments from outside; each must be a [`segment`].
    pub fn join(host: &str, segments: &[&str]) -> Option<Self> {
        let valid = !segments.is_empty() && segments.iter().all(|s| segment(s));
        let address = format!("https://{host}/{}", segments.join("/"));
        (valid && address.len() <= MAX_LENGTH).then_some(Self(address))
    }

    /// A page of the AWS console in `region`; `path` holds only parts that the caller has validated.
    pub fn console(region: &str, path: &str) -> Option<Self> {
        let harmless = path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b));
        let address = format!("https://{region}{CONSOLE}/{path}?region={region}");
        (harmless && is_region(region) && address.len() <= MAX_LENGTH).then_some(Self(address))
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

/// Takes only what this module itself could have built.
impl TryFrom<String> for Link {
    type Error = NotALink;

    fn try_from(address: String) -> Result<Self, NotALink> {
        let console = || {
            let (region, rest) = address.strip_prefix("https://")?.split_once(CONSOLE)?;
            let path = rest
                .strip_prefix('/')?
                .strip_suffix(&format!("?region={region}"))?;
            Self::console(region, path)
        };
        let page = || {
            let hosts = [CIRCLECI, FORGES, &[GALLERY]].concat();
            let (host, parts) = parts(&hosts, &address)?;
            Self::join(host, &parts)
        };
        console().or_else(page).ok_or(NotALink(address))
    }
}

/// Takes an address apart: its host, which must be one of `hosts`, and the segments of its path. `None` for anything
/// else than plain `https`, for a query, a fragment, or a part that is not a [`segment`].
pub fn parts<'a, 'h>(hosts: &[&'h str], address: &'a str) -> Option<(&'h str, Vec<&'a str>)> {
    let (host, path) = address.strip_prefix("https://")?.split_once('/')?;
    let host = hosts.iter().find(|known| **known == host)?;
    let segments: Vec<_> = path.split('/').collect();
    (address.len() <= MAX_LENGTH && segments.iter().all(|s| segment(s))).then_some((*host, segments))
}

/// Whether a text is one segment of a path: 1 to 200 of `[A-Za-z0-9._~-]`, not a dot segment.
pub fn segment(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        && text.bytes().any(|b| b != b'.')
}

/// Whether a text is an id such as CircleCI and AWS make: 8 to 40 of `[0-9a-f-]`, in groups.
pub fn is_id(text: &str) -> bool {
    (8..=40).contains(&text.len())
        && text.split('-').all(|group| !group.is_empty())
        && text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

/// Whether a text is a whole number of up to ten digits.
pub fn is_number(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text has the form of an AWS region's name, such as `eu-central-1` or `us-gov-west-1`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let words = |parts: &[&str]| {
        parts
            .iter()
            .all(|part| (2..=12).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()))
    };
    match parts.as_slice() {
        [country, middle @ .., number] => {
            country.len() == 2 && !middle.is_empty() && words(&parts[..parts.len() - 1]) && is_number(number)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_hostile() {
        for bad in [
            "javascript:alert(1)",
            "JAVASCRIPT:alert(1)//https://circleci.com/",
            "data:text/html,<script>alert(1)</script>",
            "http://circleci.com/gh/a/b/1",
            "//circleci.com/gh/a/b/1",
            "https://circleci.com",
            "https://circleci.com/",
            "https://circleci.com.evil.example/x",
            "https://evil.example/circleci.com/",
            "https://circleci.com@evil.example/",
            "https://circleci.com:443@evil.example/",
            "https://evil.example\\@circleci.com/",
            "https://circleci.com\\@evil.example/",
            "https://circleci.com:8443/x",
            "https://circleci.com/\"><script>",
            "https://circleci.com/redirect?to=//evil.example",
            "https://circleci.com/x#y",
            "https://circleci.com/a/../b",
            "https://circleci.com/x y",
            "https://circleci.com/x\ny",
            "https://CIRCLECI.com/x",
            " https://circleci.com/x",
            "https://cırcleci.com/x",
            "https://-----.console.aws.amazon.com/x?region=-----",
            "https://eu-central-1.console.aws.amazon.com/x?region=us-east-1",
            "https://evil.example/.console.aws.amazon.com/x?region=evil.example/",
        ] {
            assert!(Link::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Link::try_from(format!("https://circleci.com/{}", "a/".repeat(5_000))).is_err());
        assert_eq!(Link::join("github.com", &["acme", "..", "x"]), None);
        assert_eq!(Link::console("evil.example/#", "x"), None);
        assert_eq!(Link::console("eu-central-1", "x?y"), None);
    }

    #[test]
    fn own_links_survive_a_round_trip() {
        for link in [
            Link::join("app.circleci.com", &["workflow", "7d1f0a5e-0000"]),
            Link::join(GALLERY, &["o5b1w9d8", "bifora"]),
            Link::console("eu-central-1", "codesuite/codebuild/1/projects/p/build/p%3Au/"),
        ] {
            let link = link.expect("valid");
            let json = serde_json::to_string(&link).expect("serializes");
            assert_eq!(serde_json::from_str::<Link>(&json).expect("parses"), link);
        }
    }

    #[test]
    fn regions_and_ids_by_their_form() {
        for region in ["eu-central-1", "us-east-1", "us-gov-west-1", "ap-southeast-2"] {
            assert!(is_region(region), "{region}");
        }
        for other in [
            "",
            "-----",
            "xn--80ak6aa92e",
            "eu-1",
            "eu-central",
            "eu-central-1.evil",
            "EU-central-1",
        ] {
            assert!(!is_region(other), "{other}");
        }
        assert!(is_id("7d1f0a5e-1111-4222-8333-944445555666") && is_id("4d1c9a0b2e3f4a5b"));
        assert!(!is_id("..a..") && !is_id("~root") && !is_id("--------") && !is_id("7D1F0A5E"));
    }

    proptest! {
        #[test]
        fn whatever_passes_is_at_the_host(tail in "[ -~]{0,60}", host in "[a-z@:/.\\\\]{0,20}") {
            let address = format!("https://{host}{tail}");
            if let Ok(link) = Link::try_from(address) {
                let uri: hyper::Uri = link.as_str().parse().expect("a link is a URI");
                prop_assert_eq!(uri.scheme_str(), Some("https"));
                let host = uri.host().expect("a host");
                prop_assert!(CIRCLECI.contains(&host) || FORGES.contains(&host) || host.ends_with(CONSOLE) || host == GALLERY);
                prop_assert!(!link.as_str().contains(['"', '<', '>', '\'', ' ', '\\']));
            }
        }
    }
}
