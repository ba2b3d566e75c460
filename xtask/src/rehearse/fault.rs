//! What goes wrong in rehearsals, one thing at a time: what is done to bring it about, and what has to come of it.

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

use super::kind::{Kind, Part, Stage};
use super::source::Change;
use super::{Rehearsal, Run, tamper};
use crate::arch::Arch;
use crate::cloud::Session;
use crate::workspace::Workspace;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Fault {
    /// A test does not pass
    TestsFail,
    /// It compiles for one architecture and not for the other
    BuildFails,
    /// The image of one architecture holds a program of the other
    WrongArchitecture,
    /// The registry refuses an image when all of its layers are there
    PushRefused,
    /// When the images are joined, one of them is gone
    PlatformMissing,
    /// The same commit runs a second time, which is no fault of it
    SameCommit,
    /// One of the services to deploy to does not exist
    NoService,
    /// A new version that passes its tests never becomes healthy on ECS
    NeverHealthy,
    /// The deployment is said to be done, and then ECS goes back
    HiddenRollBack,
    /// The deployment is said to be done, and one service runs the old commit
    StaysBehind,
    /// The deployment is said to be done, and the service of the other architecture runs this machine's program
    ForeignProgram,
    /// Two commits are pushed one after the other, and run at the same time
    TwoRuns,
}

/// What a run publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishes {
    Nothing,
    /// The image of this architecture, under a tag of its own that nobody pulls.
    Only(Arch),
    /// Both images, joined, and the tag that moves, where there is one.
    Everything,
}

/// What has to come of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The parts that fail; none if all pass.
    pub(super) fails: Vec<Part>,
    /// Each of them says all of this.
    pub(super) says: &'static [&'static str],
    pub(super) publishes: Publishes,
    /// The architectures that answer with its commit afterwards.
    pub(super) deploys: Vec<Arch>,
}

impl Outcome {
    /// Of a run in which nothing goes wrong.
    pub(super) fn good() -> Self {
        Self {
            fails: Vec::new(),
            says: &[],
            publishes: Publishes::Everything,
            deploys: Arch::ALL.to_vec(),
        }
    }
}

impl Fault {
    /// What the commit changes that brings it about; nothing if it is not the commit's doing.
    pub(super) fn changes(self) -> Vec<Change> {
        let change = |file, edit| vec![Change { file, edit }];
        match self {
            // CircleCI's job for tests finds the one, the test of the image the other.
            Self::TestsFail => vec![
                Change {
                    file: "src/lib.rs",
                    edit: |text| {
                        format!("{text}\n// An item that rustfmt would write otherwise.\nconst  _:()=();\n")
                    },
                },
                Change {
                    file: "Dockerfile",
                    edit: |text| text.replace("USER 65532:65532", "USER 0:0"),
                },
            ],
            Self::BuildFails => change("src/lib.rs", |text| {
                format!(
                    "{text}\n#[cfg(not(target_arch = \"{}\"))]\ncompile_error!(\"not for this architecture\");\n",
                    native().name()
                )
            }),
            // Not compiled at all: some program of the machine that builds.
            Self::WrongArchitecture => change("Dockerfile", |text| {
                let compiled = "    ci/compile.sh \"${TARGETARCH}\" && \\\n    mv target/dist/cargo/*-unknown-linux-gnu/release/bifora \
                                /bifora/bifora && \\\n";
                let taken = format!(
                    "    if [ \"${{TARGETARCH}}\" = {} ]; then cp \"$(command -v env)\" /bifora/bifora; else \\\n{}; fi && \\\n",
                    foreign().debian(),
                    compiled.trim_end_matches(" && \\\n")
                );
                text.replace(compiled, &taken)
            }),
            Self::NoService => vec![
                Change {
                    file: ".circleci/config.yml",
                    edit: |text| text.replace("default: bifora-arm\n", "default: bifora-gone\n"),
                },
                Change {
                    file: "infra/cloudformation/codepipeline.yml",
                    edit: |text| {
                        text.replace(
                            "ServiceName: !Sub ${ClusterName}-arm\n",
                            "ServiceName: !Sub ${ClusterName}-gone\n",
                        )
                    },
                },
            ],
            Self::NeverHealthy | Self::HiddenRollBack => change("src/web/health.rs", |text| {
                text.replace(
                    "if app.is_serving()",
                    "if std::env::var_os(\"ECS_CONTAINER_METADATA_URI_V4\").is_none() && app.is_serving()",
                )
            }),
            Self::PushRefused | Self::PlatformMissing => change("static/style.css", |text| {
                format!("{text}\n/* A change to rehearse with, half of which is published. */\n")
            }),
            Self::SameCommit | Self::TwoRuns => a_change(),
            Self::StaysBehind | Self::ForeignProgram => a_later_change(),
        }
    }

    /// What its commit is called. One that is not to blame is that of a good run, and is not built again.
    pub(super) fn commit_name(self) -> String {
        match self {
            // Where tags cannot be pushed again, what is published of it stays.
            Self::PushRefused | Self::PlatformMissing => "half-published".to_owned(),
            Self::SameCommit | Self::TwoRuns => A_CHANGE.to_owned(),
            Self::StaysBehind | Self::ForeignProgram => A_LATER_CHANGE.to_owned(),
            Self::HiddenRollBack => Self::NeverHealthy.to_string(),
            _ => self.to_string(),
        }
    }

    /// Whether services that a run has deployed before are part of it.
    pub(super) fn follows_a_good_run(self) -> bool {
        self >= Self::SameCommit
    }

    /// What has to come of it.
    pub(super) fn outcome(self, kind: Kind) -> Outcome {
        let each = |stage| Arch::ALL.map(|arch| Part::Image(stage, arch)).to_vec();
        let deploys = Arch::ALL.map(Part::Deploy).to_vec();
        let foreign = foreign();
        let one = |stage| vec![Part::Image(stage, foreign)];
        // There the builds of both architectures push on their own, and what joins them comes after both.
        let half = match kind {
            Kind::Circleci => Publishes::Nothing,
            Kind::Codepipeline => Publishes::Only(native()),
        };
        let (fails, says, publishes) = match self {
            Self::TestsFail => match kind {
                Kind::Circleci => (vec![Part::Test], &["fmt"][..], Publishes::Nothing),
                Kind::Codepipeline => (
                    each(Stage::Test),
                    &["has to be a number above 0"][..],
                    Publishes::Nothing,
                ),
            },
            Self::BuildFails => (one(Stage::Build), &["not for this architecture"][..], half),
            Self::WrongArchitecture => (one(Stage::Test), &["and has to be for"][..], half),
            Self::PushRefused => (
                one(Stage::Publish),
                &["could not be pushed"][..],
                Publishes::Only(native()),
            ),
            Self::PlatformMissing => (
                vec![Part::Manifest],
                &["there is no "][..],
                Publishes::Only(native()),
            ),
            Self::NoService => match kind {
                // Looked for before either is touched.
                Kind::Circleci => (deploys, &["bifora-gone"][..], Publishes::Everything),
                // What is not there can neither be updated nor taken back.
                Kind::Codepipeline => (
                    vec![Part::Deploy(Arch::Aarch64), Part::TakeBack(Arch::Aarch64)],
                    &["bifora-gone"][..],
                    Publishes::Everything,
                ),
            },
            Self::NeverHealthy => (deploys, &["was rolled back"][..], Publishes::Everything),
            Self::HiddenRollBack | Self::StaysBehind => (
                vec![Part::Prove],
                &["✗ every answer is of commit", "another commit answers"][..],
                Publishes::Everything,
            ),
            Self::ForeignProgram => (
                vec![Part::Prove],
                &["another image runs", "has not answered"][..],
                Publishes::Everything,
            ),
            Self::SameCommit | Self::TwoRuns => (Vec::new(), &[][..], Publishes::Everything),
        };
        Outcome {
            deploys: match self {
                _ if fails.is_empty() => Arch::ALL.to_vec(),
                // By the commit alone one cannot tell.
                Self::ForeignProgram => Arch::ALL.to_vec(),
                Self::StaysBehind => vec![native()],
                _ => Vec::new(),
            },
            fails,
            says,
            publishes,
        }
    }

    /// Whether the pipeline is told that a deployment is done before it is.
    pub(super) fn hides_roll_backs(self) -> bool {
        self == Self::HiddenRollBack
    }

    /// What is done to the world before a part of the pipeline.
    pub(super) fn before(self, part: Part, run: &Run) -> Result<()> {
        let Rehearsal {
            kind,
            workspace,
            session,
            ..
        } = *run.rehearsal;
        let registry = kind.registry();
        let image = registry.tag(&kind.tag(&run.source.commit), foreign());
        match (self, part) {
            (Self::PushRefused, Part::Image(Stage::Publish, arch)) if arch == foreign() => {
                session.refuse_pushes(&format!("/manifests/{image}"))
            }
            (Self::PlatformMissing, Part::Manifest) => {
                registry.ask(
                    workspace,
                    session,
                    "batch-delete-image",
                    &["--image-ids", &format!("imageTag={image}")],
                )?;
                println!("  (somebody deletes {image})");
                Ok(())
            }
            (Self::StaysBehind, Part::Deploy(arch)) if arch == foreign() => tamper::remember(run, arch),
            (Self::StaysBehind, Part::Prove) => tamper::take_back(run, foreign()),
            (Self::ForeignProgram, Part::Prove) => tamper::run_foreign_program(run, foreign()),
            _ => Ok(()),
        }
    }
}

/// The name of a commit to which nobody objects.
pub(super) const A_CHANGE: &str = "a-change";

/// What it changes, which visitors could see.
pub(super) fn a_change() -> Vec<Change> {
    vec![Change {
        file: "static/style.css",
        edit: |text| format!("{text}\n/* A change to rehearse with. */\n"),
    }]
}

/// The name of a commit after it.
pub(super) const A_LATER_CHANGE: &str = "a-later-change";

/// What that changes.
pub(super) fn a_later_change() -> Vec<Change> {
    vec![Change {
        file: "static/style.css",
        edit: |text| format!("{text}\n/* A later change to rehearse with. */\n"),
    }]
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// What a pipeline publishes to.
pub(super) struct Registry {
    /// `ecr` or `ecr-public`, as the command line of AWS names them.
    pub(super) service: &'static str,
    /// What ends the tags of the images of each architecture.
    pub(super) suffix: fn(Arch) -> &'static str,
    /// The tag that moves, if there is one.
    pub(super) moves: Option<&'static str>,
    /// Whether a tag can be pushed again.
    pub(super) overwrites: bool,
}

impl Registry {
    const REPOSITORY: &'static str = "bifora";

    /// The tag of the image of one architecture.
    pub(super) fn tag(&self, tag: &str, arch: Arch) -> String {
        format!("{tag}-{}", (self.suffix)(arch))
    }

    /// An answer of its API about the repository.
    pub(super) fn ask(
        &self,
        workspace: &Workspace,
        session: &Session,
        operation: &str,
        words: &[&str],
    ) -> Result<Value> {
        let own = [self.service, operation, "--repository-name", Self::REPOSITORY];
        session.aws(workspace, &[&own[..], words].concat())
    }
}

fn native() -> Arch {
    Arch::host().unwrap_or(Arch::X86_64)
}

fn foreign() -> Arch {
    Arch::foreign().unwrap_or(Arch::Aarch64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change that changes nothing would rehearse nothing.
    #[test]
    fn every_change_finds_its_place() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for fault in Fault::value_variants() {
            for change in fault.changes() {
                let text = std::fs::read_to_string(root.join(change.file)).expect("the file is there");
                assert_ne!((change.edit)(&text), text, "{fault:?}: {}", change.file);
            }
        }
    }

    #[test]
    fn nothing_is_deployed_by_what_fails() {
        for kind in [Kind::Circleci, Kind::Codepipeline] {
            for fault in Fault::value_variants() {
                let outcome = fault.outcome(kind);
                assert!(
                    outcome.deploys.len() == 2 || !outcome.fails.is_empty(),
                    "{fault:?}"
                );
                assert_eq!(outcome.says.is_empty(), outcome.fails.is_empty(), "{fault:?}");
            }
        }
    }
}
