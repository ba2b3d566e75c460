//! CircleCI's configuration: what is written in `.circleci/config.yml`, and the jobs that come of it for one push.

mod arguments;
mod config;
mod execution;
mod expand;
mod expression;
mod group;
mod steps;
mod substitute;

use std::collections::BTreeMap;

use crate::pipeline::yaml::{Node, Problem};

pub(crate) use config::{Config, Definition};
pub(crate) use expand::{Expansion, expand, expand_all};
pub(crate) use substitute::{Values, placeholders};

/// A declared parameter, of the pipeline, a job, a command, an executor or an orb's element.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) kind: ParameterKind,
    pub(crate) default: Option<Node>,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Text,
    Boolean,
    Integer,
    Enum(Vec<String>),
    Steps,
    Executor,
    VariableName,
}

/// A job as it runs: with everything filled in.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Where the workflow or the job group names it.
    pub(crate) line: usize,
    /// As the workflow shows it: `Build amd64 image`. `CIRCLE_JOB` has this, too.
    pub(crate) name: String,
    /// The key below `jobs:`, or the orb's: `aws-ecs/deploy_service_update`.
    pub(crate) definition: String,
    /// The job group that it is part of.
    pub(crate) group: Option<String>,
    /// The names of the jobs that come before it. They stand before it in the list of jobs, too.
    pub(crate) requires: Vec<String>,
    pub(crate) serial_group: Option<String>,
    pub(crate) executor: Executor,
    /// Of executor and job together.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_directory: Option<String>,
    pub(crate) work: Work,
}

/// What a job does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A job of this configuration, with its pre- and post-steps.
    Steps(Vec<Step>),
    /// The job of an orb, in which the steps before (its pre-steps and what its parameter `auth` holds) and after it are ours.
    Orb {
        /// Without the namespace and the name that the import gives it: `aws-ecs/deploy_service_update`.
        name: String,
        /// All that it declares, with the defaults of those that were not given; but for those that are steps.
        parameters: BTreeMap<String, String>,
        before: Vec<Step>,
        after: Vec<Step>,
    },
    /// Waits for a person, or for nothing.
    Nothing,
}

/// Where a job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Executor {
    pub(crate) kind: ExecutorKind,
    pub(crate) resource_class: Option<String>,
}

/// What kind of machine that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExecutorKind {
    /// What an orb's job brings, or none at all.
    #[default]
    None,
    Docker {
        images: Vec<String>,
    },
    Machine {
        image: String,
    },
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Run(Run),
    Checkout,
    AttachWorkspace {
        at: String,
    },
    PersistToWorkspace {
        root: String,
        paths: Vec<String>,
    },
    StoreTestResults {
        path: String,
    },
    StoreArtifacts {
        path: String,
    },
    /// Saves time and nothing else.
    Cache,
    SetupRemoteDocker,
    AddSshKeys,
    /// The command of an orb.
    Orb {
        /// Without the name that the import gives it: `aws-cli/setup`.
        name: String,
        /// All that it declares, with the defaults of those that were not given.
        parameters: BTreeMap<String, String>,
    },
}

/// A shell command.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: Option<String>,
    pub(crate) command: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) when: When,
    pub(crate) working_directory: Option<String>,
    pub(crate) background: bool,
}

/// Whether a step runs after one that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    OnSuccess,
    OnFail,
    Always,
}

impl Job {
    /// Its own steps, and those around an orb's.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        let (before, after): (&[Step], &[Step]) = match &self.work {
            Work::Steps(steps) => (steps, &[]),
            Work::Orb { before, after, .. } => (before, after),
            Work::Nothing => (&[], &[]),
        };
        before.iter().chain(after)
    }
}

/// Reads a configuration.
pub(crate) fn read(text: &str) -> Result<Config, Problem> {
    Config::read(&crate::pipeline::yaml::parse(text)?)
}

#[cfg(test)]
mod tests;
