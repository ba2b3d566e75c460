//! What this binary knows of its own build: facts that the compiler was given by `build.rs`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;
use crate::text;

#[allow(
    dead_code,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "generated, and more than is used"
)]
mod built {
    include!(concat!(env!("OUT_DIR"), "/built.rs"));
}

/// The facts of one build.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct BuildInfo {
    /// Version of the package.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// Full commit hash; `null` when built without git and without `VERGEN_GIT_SHA`.
    pub commit: Option<String>,
    /// When the commit was made, RFC 3339.
    pub commit_time: Option<String>,
    /// Branch that was checked out.
    pub branch: Option<String>,
    /// Whether the working tree differed from the commit.
    pub dirty: Option<bool>,
    /// When the binary was built, RFC 3339; `SOURCE_DATE_EPOCH` sets it.
    pub built: Option<String>,
    /// The compiler, as it names itself.
    pub rustc: String,
    /// Target triple.
    #[schema(example = "aarch64-unknown-linux-gnu")]
    pub target: String,
    /// Architecture of the target.
    pub arch: Arch,
    /// Cargo profile.
    pub profile: String,
    /// Direct dependencies with their versions, as in `Cargo.lock`.
    pub dependencies: Vec<Dependency>,
}

/// A crate that went into the binary.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Dependency {
    /// The crate's name.
    pub name: String,
    /// The version that was compiled in.
    pub version: String,
}

impl BuildInfo {
    /// The facts of the running binary.
    pub fn of_this_binary() -> Self {
        Self {
            version: built::PKG_VERSION.to_owned(),
            commit: vergen(option_env!("VERGEN_GIT_SHA")),
            commit_time: vergen(option_env!("VERGEN_GIT_COMMIT_TIMESTAMP")).map(whole_seconds),
            branch: vergen(option_env!("VERGEN_GIT_BRANCH")).filter(|branch| branch != "HEAD"),
            dirty: vergen(option_env!("VERGEN_GIT_DIRTY")).and_then(|dirty| dirty.parse().ok()),
            built: vergen(option_env!("VERGEN_BUILD_TIMESTAMP")).map(whole_seconds),
            rustc: built::RUSTC_VERSION.to_owned(),
            target: built::TARGET.to_owned(),
            arch: Arch::COMPILED,
            profile: built::PROFILE.to_owned(),
            dependencies: dependencies(),
        }
    }

    /// The first seven characters of the commit, or `unknown`.
    pub fn short_commit(&self) -> &str {
        short(self.commit.as_deref())
    }

    /// One line for `--version`.
    pub fn one_line(&self) -> String {
        let dirty = if self.dirty == Some(true) { "-dirty" } else { "" };
        format!(
            "{} ({}{dirty}, {})",
            self.version,
            self.short_commit(),
            self.target
        )
    }
}

/// The crates that the package names as its own dependencies, with the versions of `Cargo.lock`.
fn dependencies() -> Vec<Dependency> {
    let own: Vec<_> = env!("BIFORA_DEPENDENCIES").split(',').collect();
    let locked = built::DIRECT_DEPENDENCIES
        .iter()
        .filter(|(name, _)| own.contains(name));
    locked
        .map(|(name, version)| Dependency {
            name: (*name).into(),
            version: (*version).into(),
        })
        .collect()
}

/// The first seven characters of a commit hash, or `unknown`.
pub fn short(commit: Option<&str>) -> &str {
    commit.map_or("unknown", |hash| hash.get(..7).unwrap_or(hash))
}

/// Whether a text is a full or shortened commit hash.
pub fn is_commit(hash: &str) -> bool {
    (7..=64).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A value that vergen set; its placeholder for "could not be had" is none.
fn vergen(value: Option<&str>) -> Option<String> {
    value
        .filter(|value| *value != "VERGEN_IDEMPOTENT_OUTPUT")
        .and_then(text::clean)
}

/// vergen writes nanoseconds, which say nothing here.
fn whole_seconds(time: String) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) if rest.ends_with('Z') => format!("{seconds}Z"),
        _ => time,
    }
}
