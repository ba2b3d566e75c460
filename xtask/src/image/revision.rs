//! What is being built: the commit, or the commit and what differs from it.

use anyhow::{Context, Result};

use crate::command::{command, read};
use crate::workspace::Workspace;

/// What goes into an image; the rest of the repository may differ without making it another version.
const INPUTS: [&str; 10] = [
    ".dockerignore",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "build.rs",
    "ci",
    "image",
    "src",
    "static",
    "templates",
];

/// A revision of the repository.
pub(crate) struct Revision {
    /// Full commit hash.
    pub(crate) commit: String,
    branch: String,
    /// When the commit was made, RFC 3339.
    time: String,
    /// The same in seconds since 1970.
    pub(crate) epoch: String,
    /// A digest of the inputs where they differ from the commit.
    changes: Option<String>,
    /// Where the repository is read, if that is a plain web address.
    source: Option<String>,
}

impl Revision {
    /// Asks git.
    pub(crate) fn of(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| {
            read(command("git").args(arguments).current_dir(&workspace.root))
                .map(|text| text.trim().to_owned())
        };
        let commit = git(&["rev-parse", "HEAD"])
            .context("an image is named by its commit, and git knows none here")?;
        let status = git(&[
            &["status", "--porcelain", "--untracked-files=all", "--"][..],
            &INPUTS,
        ]
        .concat())?;
        let changes = if status.is_empty() {
            None
        } else {
            Some(digest(workspace)?)
        };
        Ok(Self {
            branch: git(&["rev-parse", "--abbrev-ref", "HEAD"])?,
            time: git(&["log", "-1", "--format=%cI"])?,
            epoch: git(&["log", "-1", "--format=%ct"])?,
            source: git(&["remote", "get-url", "origin"])
                .ok()
                .and_then(|url| web_address(&url)),
            commit,
            changes,
        })
    }

    /// The tag of an image of it: the commit's first seven characters, and where there are changes a digest of them.
    pub(crate) fn tag(&self) -> String {
        let commit = &self.commit[..7];
        match &self.changes {
            None => commit.to_owned(),
            Some(changes) => format!("{commit}-{}", &changes[..7]),
        }
    }

    /// The Dockerfile's arguments that tell it.
    pub(crate) fn build_arguments(&self, version: &str) -> Vec<(&'static str, String)> {
        let mut arguments = vec![
            ("VERSION", version.to_owned()),
            ("VERGEN_GIT_SHA", self.commit.clone()),
            ("VERGEN_GIT_BRANCH", self.branch.clone()),
            ("VERGEN_GIT_COMMIT_TIMESTAMP", self.time.clone()),
            ("VERGEN_GIT_DIRTY", self.changes.is_some().to_string()),
        ];
        arguments.extend(self.source.clone().map(|source| ("SOURCE_URL", source)));
        arguments
    }
}

/// A digest of the inputs as they are: git's name of a tree of them, made with an index that is thrown away.
fn digest(workspace: &Workspace) -> Result<String> {
    let index = std::env::temp_dir().join(format!("bifora-index-{}", std::process::id()));
    let git = |arguments: &[&str]| {
        let mut git = command("git");
        read(
            git.args(arguments)
                .env("GIT_INDEX_FILE", &index)
                .current_dir(&workspace.root),
        )
    };
    let existing: Vec<_> = INPUTS
        .into_iter()
        .filter(|input| workspace.root.join(input).exists())
        .collect();
    let tree = git(&[&["add", "--all", "--"][..], &existing].concat()).and_then(|_| git(&["write-tree"]));
    std::fs::remove_file(&index).ok();
    tree.map(|tree| tree.trim().to_owned())
        .context("cannot tell what differs from the commit")
}

/// `https://github.com/o/r` of an address that git fetches from; never one with a user or a password in it.
fn web_address(remote: &str) -> Option<String> {
    let (host, path) = match remote.strip_prefix("https://") {
        Some(rest) => rest.split_once('/')?,
        None => remote.strip_prefix("git@")?.split_once(':')?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    (host.chars().all(plain) && path.chars().all(plain)).then(|| format!("https://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_says_whether_there_are_changes() {
        let mut revision = Revision {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            branch: "main".to_owned(),
            time: String::new(),
            epoch: String::new(),
            changes: None,
            source: None,
        };
        assert_eq!(revision.tag(), "0123456");
        revision.changes = Some("fedcba9876543210".to_owned());
        assert_eq!(revision.tag(), "0123456-fedcba9");
    }

    #[test]
    fn only_plain_addresses_are_told() {
        assert_eq!(
            web_address("https://github.com/o/r.git").as_deref(),
            Some("https://github.com/o/r")
        );
        assert_eq!(
            web_address("git@github.com:o/r.git").as_deref(),
            Some("https://github.com/o/r")
        );
        assert_eq!(web_address("https://user:secret@github.com/o/r"), None);
        assert_eq!(web_address("/srv/git/r"), None);
        assert_eq!(web_address("https://host/a?b"), None);
    }
}
