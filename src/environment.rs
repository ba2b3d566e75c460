//! The one place that reads the process's environment, and only the names in [`NAMES`].

use std::collections::BTreeMap;

use crate::text;

/// Every variable that is read as a fact (settings are in [`crate::settings`]). None of them holds a secret: values
/// from here may be shown, so a name belongs here only when that stays true.
pub const NAMES: &[&str] = &[
    // Names that users of the workshop rely on; CircleCI sets them, or pipeline values are handed on under them.
    "VERSION",
    "CIRCLE_BUILD_URL",
    "CIRCLE_SHA1",
    "CIRCLE_USERNAME",
    "CIRCLE_BUILD_NUM",
    "CIRCLE_WORKFLOW_ID",
    "CIRCLE_PIPELINE_ID",
    "CIRCLE_PIPELINE_NUMBER",
    "CIRCLE_BRANCH",
    "CIRCLE_TAG",
    "CIRCLE_PULL_REQUEST",
    "CIRCLE_PROJECT_USERNAME",
    "CIRCLE_PROJECT_REPONAME",
    "CIRCLE_PROJECT_SLUG",
    "CIRCLE_TRIGGER_TYPE",
    "CIRCLE_COMMIT_URL",
    // CodeBuild sets these in every build.
    "CODEBUILD_BUILD_ID",
    "CODEBUILD_BUILD_ARN",
    "CODEBUILD_BUILD_NUMBER",
    "CODEBUILD_INITIATOR",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "CODEBUILD_SOURCE_REPO_URL",
    "CODEBUILD_LOG_PATH",
    // CodePipeline's own variables, handed to the build action under these names.
    "CODEPIPELINE_EXECUTION_ID",
    "CODEPIPELINE_COMMIT_ID",
    "CODEPIPELINE_BRANCH_NAME",
    "CODEPIPELINE_FULL_REPOSITORY_NAME",
    "CODEPIPELINE_COMMIT_MESSAGE",
    // Where the image came from, for places without ECS task metadata.
    "BIFORA_IMAGE",
    // Set by the ECS agent.
    "ECS_CONTAINER_METADATA_URI_V4",
];

/// Conventions of terminals and clients that `bifora verify` honours; none of them is a fact of the build, and none is shown.
pub const CONVENTIONS: &[&str] = &[
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_COLOR",
    "NO_PROXY",
    "TERM",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The value of one of [`CONVENTIONS`]; `None` when unset or empty.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn convention(name: &str) -> Option<String> {
    debug_assert!(
        CONVENTIONS.contains(&name),
        "{name} is not in environment::CONVENTIONS"
    );
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables of [`NAMES`] that are set and not empty, as they are; cleaned when asked for.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// Reads the process's own environment. What is not UTF-8 is kept with U+FFFD in its place.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn from_process() -> Self {
        Self::new(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// An environment of these variables alone; names that are not in [`NAMES`] are left out.
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self::new(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn new(read: impl Fn(&str) -> Option<String>) -> Self {
        // CircleCI writes an empty pipeline value as `<nil>`.
        let empty = |value: &String| ["", "<nil>"].contains(&value.trim());
        let set = |name: &&'static str| {
            read(name)
                .filter(|value| !empty(value))
                .map(|value| (*name, value))
        };
        Self(NAMES.iter().filter_map(set).collect())
    }

    /// The value, made fit to show (see [`text::clean`]); `None` when unset or empty.
    pub fn get(&self, name: &str) -> Option<String> {
        debug_assert!(NAMES.contains(&name), "{name} is not in environment::NAMES");
        self.0.get(name).and_then(|value| text::clean(value))
    }

    /// Whether any of the names that begin with `prefix` is set.
    pub fn any(&self, prefix: &str) -> bool {
        self.0.keys().any(|name| name.starts_with(prefix))
    }

    /// The names that are set, without their values.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_in_any_way_is_not_set() {
        let env = Environment::from_pairs(&[
            ("VERSION", "1"),
            ("CIRCLE_TAG", "<nil>"),
            ("CIRCLE_BRANCH", " "),
            ("HOME", "/"),
        ]);
        assert_eq!(env.names(), ["VERSION"]);
        assert!(!env.any("CIRCLE_") && env.get("CIRCLE_TAG").is_none());
    }
}
