//! A buildspec of CodeBuild, version 0.2: the part of it that is used here. What is not known is refused.

use std::collections::BTreeMap;

use crate::pipeline::yaml::{self, Kind, Node, Problem};

/// What a build does.
#[derive(Clone, Debug)]
pub(crate) struct Buildspec {
    /// `bash` or `sh`; CodeBuild takes sh if nothing is said.
    pub(crate) shell: String,
    pub(crate) variables: BTreeMap<String, String>,
    /// Variables that actions behind this one may refer to.
    pub(crate) exported_variables: Vec<(usize, String)>,
    /// In the order in which they run, whatever the order in the file.
    pub(crate) phases: Vec<Phase>,
    pub(crate) artifacts: Option<Artifacts>,
    /// The files with results of tests.
    pub(crate) reports: Vec<String>,
}

/// A phase that has something to do.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: PhaseName,
    pub(crate) on_failure: OnFailure,
    pub(crate) commands: Vec<Command>,
    /// Run after the commands, also if one of them failed.
    pub(crate) finally: Vec<Command>,
}

/// A command and where it stands. All commands of a build run in one shell, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The phases that a buildspec can fill, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PhaseName {
    Install,
    PreBuild,
    Build,
    PostBuild,
}

/// What a failed command of a phase means for the phases behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Nothing is said: after `install` and `pre_build` the build ends, after `build` comes `post_build`.
    Unset,
    Abort,
    Continue,
}

/// What a build hands on.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    pub(crate) line: usize,
    pub(crate) files: Vec<String>,
    pub(crate) base_directory: Option<String>,
}

impl PhaseName {
    const ALL: [Self; 4] = [Self::Install, Self::PreBuild, Self::Build, Self::PostBuild];

    /// As the buildspec writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::PreBuild => "pre_build",
            Self::Build => "build",
            Self::PostBuild => "post_build",
        }
    }
}

impl Buildspec {
    /// All commands in the order in which they run if none fails.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        let phases = self.phases.iter();
        phases.flat_map(|phase| phase.commands.iter().chain(&phase.finally))
    }
}

/// Reads a buildspec.
pub(crate) fn read(text: &str) -> Result<Buildspec, Problem> {
    of(&yaml::parse(text)?)
}

/// The buildspec that this is.
pub(crate) fn of(root: &Node) -> Result<Buildspec, Problem> {
    root.only(
        "a buildspec",
        &["version", "env", "phases", "artifacts", "reports"],
    )?;
    let version = root.get("version").and_then(Node::scalar);
    if version.as_deref() != Some("0.2") {
        let line = root.get("version").map_or(1, |version| version.line);
        return Err(Problem::new(line, "the version has to be 0.2"));
    }
    let nothing = Node::of(1, Kind::Null);
    let env = root.get("env").unwrap_or(&nothing);
    env.only("env", &["shell", "variables", "exported-variables"])?;
    let variables = env.get("variables").map(Node::entries).unwrap_or_default().iter();
    let exported = env
        .get("exported-variables")
        .map(Node::items)
        .unwrap_or_default()
        .iter();
    Ok(Buildspec {
        shell: env
            .get("shell")
            .and_then(Node::scalar)
            .unwrap_or_else(|| "sh".to_owned()),
        variables: variables
            .filter_map(|(key, value)| Some((key.name.clone(), value.scalar()?)))
            .collect(),
        exported_variables: exported
            .filter_map(|name| Some((name.line, name.scalar()?)))
            .collect(),
        phases: phases(root)?,
        artifacts: root.get("artifacts").map(artifacts).transpose()?,
        reports: reports(root)?,
    })
}

fn reports(root: &Node) -> Result<Vec<String>, Problem> {
    let mut all = Vec::new();
    for (key, group) in root.get("reports").map(Node::entries).unwrap_or_default() {
        group.only(
            "a report",
            &["files", "file-format", "base-directory", "discard-paths"],
        )?;
        let format = group.get("file-format").and_then(Node::scalar);
        // What CodeBuild takes if nothing is said.
        if format.as_deref().unwrap_or("JUNITXML") != "JUNITXML" {
            return Err(Problem::new(key.line, "only reports in JUNITXML are known here"));
        }
        let files = group.get("files").map(Node::scalars).unwrap_or_default();
        if files.is_empty() {
            return Err(Problem::new(
                key.line,
                format!("the report {} has no files", key.name),
            ));
        }
        all.extend(files);
    }
    Ok(all)
}

fn phases(root: &Node) -> Result<Vec<Phase>, Problem> {
    let Some(section) = root.get("phases") else {
        return Err(Problem::new(1, "a buildspec needs phases"));
    };
    section.only("phases", &PhaseName::ALL.map(PhaseName::name))?;
    let mut phases = Vec::new();
    for name in PhaseName::ALL {
        let entry = section.entries().iter().find(|(key, _)| key.name == name.name());
        let Some((key, body)) = entry else {
            continue;
        };
        body.only(
            "a phase",
            &["on-failure", "commands", "finally", "runtime-versions", "run-as"],
        )?;
        let on_failure = match body.get("on-failure").map(|value| (value.line, value.scalar())) {
            None => OnFailure::Unset,
            Some((_, Some(value))) if value == "ABORT" => OnFailure::Abort,
            Some((_, Some(value))) if value == "CONTINUE" => OnFailure::Continue,
            Some((line, _)) => return Err(Problem::new(line, "on-failure has to be ABORT or CONTINUE")),
        };
        let commands = commands(body, "commands")?;
        if commands.is_empty() {
            return Err(Problem::new(
                key.line,
                format!("the phase {} has no commands", key.name),
            ));
        }
        phases.push(Phase {
            name,
            on_failure,
            commands,
            finally: self::commands(body, "finally")?,
        });
    }
    Ok(phases)
}

fn commands(phase: &Node, key: &str) -> Result<Vec<Command>, Problem> {
    let items = phase.get(key).map(Node::items).unwrap_or_default().iter();
    items
        .map(|item| match item.scalar() {
            Some(text) => Ok(Command {
                line: item.line,
                text,
            }),
            // `- echo a: b` is a map in YAML.
            None => Err(Problem::new(
                item.line,
                format!("a command has to be a text, and this is {}", item.describe()),
            )),
        })
        .collect()
}

fn artifacts(section: &Node) -> Result<Artifacts, Problem> {
    section.only("artifacts", &["files", "base-directory"])?;
    let files = section.get("files").map(Node::scalars).unwrap_or_default();
    if files.is_empty() {
        return Err(Problem::new(section.line, "artifacts need files"));
    }
    Ok(Artifacts {
        line: section.line,
        files,
        base_directory: section.get("base-directory").and_then(Node::scalar),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_their_order_with_their_commands() {
        let buildspec = read(
            "version: 0.2\nenv: {shell: bash, variables: {A: 1}}\nphases:\n  post_build:\n    commands: [last]\n  \
             build:\n    on-failure: ABORT\n    commands:\n      - first\n      - |\n        second\n    finally: [third]\n\
             artifacts: {files: [a.json], base-directory: out}\n",
        )
        .expect("a buildspec");
        let commands: Vec<_> = buildspec.commands().map(|command| command.text.trim()).collect();
        assert_eq!(commands, ["first", "second", "third", "last"]);
        assert_eq!(buildspec.phases[0].on_failure, OnFailure::Abort);
        assert_eq!(buildspec.variables["A"], "1");
        assert_eq!(
            buildspec.artifacts.expect("artifacts").base_directory.as_deref(),
            Some("out")
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, problem) in [
            ("version: 0.1\nphases: {build: {commands: [a]}}", "version"),
            ("version: 0.2\nphases: {bulid: {commands: [a]}}", "`bulid`"),
            ("version: 0.2\nphases: {build: {command: [a]}}", "`command`"),
            (
                "version: 0.2\nphases: {build: {on-failure: STOP, commands: [a]}}",
                "ABORT or CONTINUE",
            ),
            (
                "version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b",
                "a command has to be a text",
            ),
            (
                "version: 0.2\nphases: {build: {commands: [a]}}\nartefacts: {}",
                "`artefacts`",
            ),
        ] {
            let error = read(text).expect_err(text).what;
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
