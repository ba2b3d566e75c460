//! CodePipeline: the stages and actions of a template, and the CodeBuild projects that they start.

mod resolve;

use std::collections::BTreeMap;

use crate::pipeline::yaml::{self, Node, Problem};

pub(crate) use resolve::{Inputs, Template};

/// A pipeline as `CloudFormation` would create it.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    /// The ARN of the role that it has.
    pub(crate) role: String,
    /// `SUPERSEDED`, `QUEUED` or `PARALLEL`.
    pub(crate) execution_mode: String,
    pub(crate) stages: Vec<Stage>,
    pub(crate) projects: Vec<Project>,
    /// The stages that runs cannot enter.
    pub(crate) disabled: Vec<String>,
}

/// A stage.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// By `RunOrder`; those of equal order run at the same time.
    pub(crate) actions: Vec<Action>,
    /// `ROLLBACK`, `FAIL`, `RETRY` or `SKIP`, if something is said.
    pub(crate) on_failure: Option<String>,
}

/// An action.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) run_order: u32,
    pub(crate) provider: Provider,
    /// But for `EnvironmentVariables`. Values may have `#{namespace.Variable}` in them.
    pub(crate) configuration: BTreeMap<String, String>,
    /// What `EnvironmentVariables` says, with `#{namespace.Variable}` as it is written.
    pub(crate) environment: Vec<Variable>,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) namespace: Option<String>,
}

/// Who carries an action out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// A connection of `CodeConnections`.
    Connection,
    /// GitHub, with a token.
    GitHub,
    CodeBuild,
    Ecs,
    Other(String),
}

/// A CodeBuild project.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) line: usize,
    pub(crate) name: String,
    /// The path of the buildspec in the source.
    pub(crate) buildspec: String,
    /// `LINUX_CONTAINER` or `ARM_CONTAINER`.
    pub(crate) container: String,
    pub(crate) image: String,
    pub(crate) privileged: bool,
    pub(crate) environment: Vec<Variable>,
    /// The ARN of the role that its builds have.
    pub(crate) service_role: String,
}

/// An environment variable of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Pipeline {
    /// The project of this name.
    pub(crate) fn project(&self, name: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.name == name)
    }
}

/// Reads the one pipeline of a template.
pub(crate) fn read(text: &str, inputs: Inputs) -> Result<Pipeline, Problem> {
    pipeline(&Template::new(yaml::parse(text)?, inputs))
}

/// The one pipeline of a template.
pub(crate) fn pipeline(template: &Template) -> Result<Pipeline, Problem> {
    let pipelines = template.resources("AWS::CodePipeline::Pipeline")?;
    let [(_, line, properties)] = pipelines.as_slice() else {
        return Err(Problem::new(
            1,
            format!("there has to be one pipeline, and there are {}", pipelines.len()),
        ));
    };
    let stages = properties.get("Stages").map(Node::items).unwrap_or_default();
    let projects = template.resources("AWS::CodeBuild::Project")?;
    let disabled = properties.get("DisableInboundStageTransitions").map(Node::items);
    Ok(Pipeline {
        name: needed(properties, "Name", *line)?,
        role: needed(properties, "RoleArn", *line)?,
        execution_mode: properties
            .get("ExecutionMode")
            .and_then(Node::scalar)
            .unwrap_or_else(|| "SUPERSEDED".to_owned()),
        stages: stages.iter().map(stage).collect::<Result<_, _>>()?,
        projects: projects
            .iter()
            .map(|(_, line, properties)| project(*line, properties))
            .collect::<Result<_, _>>()?,
        disabled: disabled
            .unwrap_or_default()
            .iter()
            .filter_map(|transition| transition.get("StageName")?.scalar())
            .collect(),
    })
}

fn needed(node: &Node, key: &str, line: usize) -> Result<String, Problem> {
    let value = node.get(key).and_then(Node::scalar);
    value.ok_or_else(|| Problem::new(line, format!("`{key}` is missing")))
}

fn stage(node: &Node) -> Result<Stage, Problem> {
    let actions = node.get("Actions").map(Node::items).unwrap_or_default();
    let mut actions = actions.iter().map(action).collect::<Result<Vec<_>, _>>()?;
    actions.sort_by_key(|action| action.run_order);
    Ok(Stage {
        line: node.line,
        name: needed(node, "Name", node.line)?,
        actions,
        on_failure: node.at(&["OnFailure", "Result"]).and_then(Node::scalar),
    })
}

fn action(node: &Node) -> Result<Action, Problem> {
    let line = node.line;
    let provider = node.at(&["ActionTypeId", "Provider"]).and_then(Node::scalar);
    let provider = provider.ok_or_else(|| Problem::new(line, "the action has no provider"))?;
    let run_order = node
        .get("RunOrder")
        .and_then(Node::scalar)
        .unwrap_or_else(|| "1".to_owned());
    let configuration = node.get("Configuration").map(Node::entries).unwrap_or_default();
    let artifacts = |key: &str| {
        let items = node.get(key).map(Node::items).unwrap_or_default().iter();
        items.filter_map(|item| item.get("Name")?.scalar()).collect()
    };
    let environment = node.at(&["Configuration", "EnvironmentVariables"]);
    Ok(Action {
        line,
        name: needed(node, "Name", line)?,
        run_order: run_order
            .parse()
            .map_err(|_| Problem::new(line, format!("RunOrder has to be a number, and is `{run_order}`")))?,
        provider: match provider.as_str() {
            "CodeStarSourceConnection" => Provider::Connection,
            "GitHub" => Provider::GitHub,
            "CodeBuild" => Provider::CodeBuild,
            "ECS" => Provider::Ecs,
            _ => Provider::Other(provider),
        },
        configuration: configuration
            .iter()
            .filter(|(key, _)| key.name != "EnvironmentVariables")
            .filter_map(|(key, value)| Some((key.name.clone(), value.scalar()?)))
            .collect(),
        environment: environment.map_or(Ok(Vec::new()), json_variables)?,
        inputs: artifacts("InputArtifacts"),
        outputs: artifacts("OutputArtifacts"),
        namespace: node.get("Namespace").and_then(Node::scalar),
    })
}

/// CodePipeline takes an action's variables as JSON inside a text.
fn json_variables(node: &Node) -> Result<Vec<Variable>, Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        name: String,
        value: String,
        #[serde(default, rename = "type")]
        kind: Option<String>,
    }
    let text = node.scalar().unwrap_or_default();
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| {
        Problem::new(
            node.line,
            format!("EnvironmentVariables is not what it has to be: {error}"),
        )
    })?;
    if let Some(entry) = entries
        .iter()
        .find(|entry| entry.kind.as_deref().is_some_and(|kind| kind != "PLAINTEXT"))
    {
        return Err(Problem::new(
            node.line,
            format!("`{}` is not of the type PLAINTEXT", entry.name),
        ));
    }
    let entries = entries.into_iter();
    Ok(entries
        .map(|Entry { name, value, .. }| Variable {
            line: node.line,
            name,
            value,
        })
        .collect())
}

fn project(line: usize, properties: &Node) -> Result<Project, Problem> {
    let at = |path: &[&str]| {
        let value = properties.at(path).and_then(Node::scalar);
        value.ok_or_else(|| Problem::new(line, format!("the project has no {}", path.join("."))))
    };
    let variables = properties.at(&["Environment", "EnvironmentVariables"]);
    let variables = variables.map(Node::items).unwrap_or_default();
    Ok(Project {
        line,
        name: at(&["Name"])?,
        buildspec: at(&["Source", "BuildSpec"])?,
        container: at(&["Environment", "Type"])?,
        image: at(&["Environment", "Image"])?,
        privileged: at(&["Environment", "PrivilegedMode"]).is_ok_and(|value| value == "true"),
        environment: variables
            .iter()
            .map(|variable| {
                Ok(Variable {
                    line: variable.line,
                    name: needed(variable, "Name", variable.line)?,
                    value: needed(variable, "Value", variable.line)?,
                })
            })
            .collect::<Result<_, Problem>>()?,
        service_role: at(&["ServiceRole"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn the_real_template_has_its_stages() {
        let root = Workspace::find().expect("tests run in the repository").root;
        let text =
            std::fs::read_to_string(root.join("infra/cloudformation/codepipeline.yml")).expect("readable");
        let inputs = Inputs {
            parameters: [("RepositoryOwner", "owner"), ("DeployStage", "disabled")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            imports: BTreeMap::new(),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            stack: "bifora-pipeline".to_owned(),
        };
        let pipeline = read(&text, inputs).expect("a pipeline");
        let stages: Vec<_> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(
            stages,
            ["Source", "Build_image", "Build_manifest", "Deploy", "Verify"]
        );
        assert_eq!(pipeline.disabled, ["Deploy"]);
        let source = &pipeline.stages[0].actions[0];
        assert_eq!(
            (&source.provider, source.namespace.as_deref()),
            (&Provider::GitHub, Some("SourceVariables"))
        );
        let build = &pipeline.stages[1].actions[1];
        assert_eq!(
            (build.inputs.as_slice(), build.name.as_str()),
            (source.outputs.as_slice(), "Build_app_arm64")
        );
        assert!(
            build
                .environment
                .iter()
                .any(|variable| variable.value == "#{SourceVariables.CommitId}")
        );
        let project = pipeline
            .project(&build.configuration["ProjectName"])
            .expect("a project");
        assert_eq!(
            (project.container.as_str(), project.buildspec.as_str()),
            ("ARM_CONTAINER", "buildspec.yml")
        );
        let repository = project
            .environment
            .iter()
            .find(|variable| variable.name == "REPO_URL");
        assert_eq!(
            repository.map(|variable| variable.value.as_str()),
            Some("123456789012.dkr.ecr.eu-west-1.amazonaws.com/bifora")
        );
        assert_eq!(
            pipeline.stages[3].actions[1].configuration["ServiceName"],
            "bifora-arm"
        );
    }
}
