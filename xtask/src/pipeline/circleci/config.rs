//! What stands in the configuration: definitions by name, with what is in them left as it is written.

use crate::pipeline::circleci::{Parameter, ParameterKind};
use crate::pipeline::yaml::{Kind, Node, Problem};

/// A configuration of version 2.1.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) orbs: Vec<OrbImport>,
    pub(crate) executors: Vec<Definition>,
    pub(crate) commands: Vec<Definition>,
    pub(crate) jobs: Vec<Definition>,
    pub(crate) groups: Vec<Group>,
    pub(crate) workflows: Vec<Workflow>,
}

/// An orb under the name that it has here.
#[derive(Clone, Debug)]
pub(crate) struct OrbImport {
    pub(crate) line: usize,
    pub(crate) alias: String,
    /// With its namespace: `circleci/aws-ecs`.
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A job, a command or an executor.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    /// The map with everything else.
    pub(crate) body: Node,
}

/// Jobs that are started as one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) jobs: Vec<Invocation>,
}

/// A workflow.
#[derive(Clone, Debug)]
pub(crate) struct Workflow {
    pub(crate) when: Option<Node>,
    pub(crate) unless: Option<Node>,
    pub(crate) jobs: Vec<Invocation>,
}

/// A job or a group of them, where a workflow or a group names it.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// A map, without anything in it if there is only the name.
    pub(crate) body: Node,
}

impl Config {
    /// Fails at the first key that is not CircleCI's; what the keys say is checked by expanding them.
    pub(crate) fn read(root: &Node) -> Result<Self, Problem> {
        let keys = [
            "version",
            "orbs",
            "parameters",
            "executors",
            "commands",
            "jobs",
            "job-groups",
            "workflows",
        ];
        root.only("the configuration", &keys)?;
        match root.get("version") {
            Some(version) if version.scalar().as_deref() == Some("2.1") => {}
            other => {
                let line = other.map_or(1, |version| version.line);
                return Err(Problem::new(line, "the version has to be 2.1"));
            }
        }
        Ok(Self {
            parameters: parameters(root.get("parameters"))?,
            orbs: named(root, "orbs", orb)?,
            executors: named(root, "executors", |line, name, body| {
                let keys = [
                    "docker",
                    "machine",
                    "resource_class",
                    "environment",
                    "working_directory",
                ];
                definition(line, name, body, "an executor", &keys)
            })?,
            commands: named(root, "commands", |line, name, body| {
                definition(line, name, body, "a command", &["steps"])
            })?,
            jobs: named(root, "jobs", |line, name, body| {
                let keys = [
                    "docker",
                    "machine",
                    "resource_class",
                    "environment",
                    "working_directory",
                    "executor",
                    "parallelism",
                    "type",
                    "steps",
                ];
                definition(line, name, body, "a job", &keys)
            })?,
            groups: named(root, "job-groups", |line, name, body| {
                body.only("a job group", &["jobs"])?;
                let jobs = invocations(line, body)?;
                Ok(Group { line, name, jobs })
            })?,
            workflows: named(root, "workflows", |line, _, body| {
                body.only("a workflow", &["when", "unless", "jobs", "max_auto_reruns"])?;
                Ok(Workflow {
                    when: body.get("when").cloned(),
                    unless: body.get("unless").cloned(),
                    jobs: invocations(line, body)?,
                })
            })?,
        })
    }

    pub(crate) fn executor(&self, name: &str) -> Option<&Definition> {
        self.executors.iter().find(|executor| executor.name == name)
    }

    pub(crate) fn command(&self, name: &str) -> Option<&Definition> {
        self.commands.iter().find(|command| command.name == name)
    }

    pub(crate) fn job(&self, name: &str) -> Option<&Definition> {
        self.jobs.iter().find(|job| job.name == name)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

fn named<T>(
    root: &Node,
    section: &str,
    read: impl Fn(usize, String, &Node) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let Some(section) = root.get(section) else {
        return Ok(Vec::new());
    };
    let entries = section.entries().iter();
    entries
        .map(|(key, body)| read(key.line, key.name.clone(), body))
        .collect()
}

fn orb(line: usize, alias: String, body: &Node) -> Result<OrbImport, Problem> {
    let (name, version) = body
        .as_text()
        .and_then(|text| text.split_once('@'))
        .ok_or_else(|| {
            Problem::new(
                line,
                format!("the orb `{alias}` has to be namespace/name@version"),
            )
        })?;
    Ok(OrbImport {
        line,
        alias,
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

fn definition(
    line: usize,
    name: String,
    body: &Node,
    what: &str,
    keys: &[&str],
) -> Result<Definition, Problem> {
    if !matches!(body.kind, Kind::Map(_)) {
        return Err(Problem::new(
            line,
            format!("{what} has to be a map, and `{name}` is not"),
        ));
    }
    let keys: Vec<_> = keys
        .iter()
        .copied()
        .chain(["description", "parameters"])
        .collect();
    body.only(what, &keys)?;
    let others = body.entries().iter();
    let others = others.filter(|(key, _)| key.name != "parameters" && key.name != "description");
    Ok(Definition {
        line,
        name,
        parameters: parameters(body.get("parameters"))?,
        body: Node::of(line, Kind::Map(others.cloned().collect())),
    })
}

fn parameters(section: Option<&Node>) -> Result<Vec<Parameter>, Problem> {
    let mut parameters = Vec::new();
    for (key, body) in section.map(Node::entries).unwrap_or_default() {
        body.only("a parameter", &["type", "default", "description", "enum"])?;
        let kind = body.get("type").and_then(Node::as_text);
        let kind = match kind.ok_or_else(|| Problem::new(key.line, "a parameter has to have a type"))? {
            "string" => ParameterKind::Text,
            "boolean" => ParameterKind::Boolean,
            "integer" => ParameterKind::Integer,
            "enum" => ParameterKind::Enum(body.get("enum").map(Node::scalars).unwrap_or_default()),
            "steps" => ParameterKind::Steps,
            "executor" => ParameterKind::Executor,
            "env_var_name" => ParameterKind::VariableName,
            other => {
                return Err(Problem::new(
                    key.line,
                    format!("`{other}` is no type of a parameter"),
                ));
            }
        };
        parameters.push(Parameter {
            line: key.line,
            name: key.name.clone(),
            kind,
            default: body.get("default").cloned(),
        });
    }
    Ok(parameters)
}

fn invocations(line: usize, body: &Node) -> Result<Vec<Invocation>, Problem> {
    let jobs = body
        .get("jobs")
        .ok_or_else(|| Problem::new(line, "there have to be jobs"))?;
    let items = jobs.items().iter();
    items
        .map(|item| match (&item.kind, item.entries()) {
            (Kind::Text(name), _) => Ok(Invocation {
                line: item.line,
                name: name.clone(),
                body: Node::of(item.line, Kind::Map(Vec::new())),
            }),
            (_, [(key, body)]) => Ok(Invocation {
                line: key.line,
                name: key.name.clone(),
                body: body.clone(),
            }),
            _ => Err(Problem::new(
                item.line,
                "this has to be a job's name, alone or with what it is given",
            )),
        })
        .collect()
}
