//! CodePipeline's part: the stages and actions of `codepipeline.yml`, and in build actions the phases of their buildspecs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::ecs::Service;
use super::fault::Fault;
use super::host::{Host, copy_into};
use super::report::{Ended, Report};
use super::{Run, id};
use crate::cloud::Session;
use crate::command::{command, read};
use crate::pipeline::buildspec::{self, Buildspec, OnFailure, Phase, PhaseName};
use crate::pipeline::codepipeline::{self, Action, Inputs, Provider, Stage};
use crate::workspace::Workspace;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
/// Below [`super::Run::id`].
const EXECUTION: u8 = 1;
const BUILD: u8 = 2;
const TEMPLATE: &str = "infra/cloudformation/codepipeline.yml";
/// What a person gives to the template that has no default.
const PARAMETERS: [(&str, &str); 2] = [
    ("RepositoryOwner", "example"),
    (
        "ConnectionArn",
        "arn:aws:codeconnections:us-east-1:000000000000:connection/0b1f02a0-0000-4000-8000-000000000011",
    ),
];

/// A pipeline that is run.
struct Execution<'a> {
    run: &'a Run<'a>,
    host: Host,
    pipeline: codepipeline::Pipeline,
    /// `SourceVariables.CommitId` and its like.
    variables: BTreeMap<String, String>,
}

/// The registry as the template makes it: what is pushed once stays.
pub(super) fn prepare(workspace: &Workspace, session: &Session) -> Result<()> {
    let immutable = [
        "--repository-name",
        "bifora",
        "--image-tag-mutability",
        "IMMUTABLE",
    ];
    session
        .aws(
            workspace,
            &[&["ecr", "put-image-tag-mutability"][..], &immutable].concat(),
        )
        .map(drop)
}

/// Runs all stages for a push to the branch of the pipeline.
pub(super) fn run(run: &Run) -> Result<Report> {
    let inputs = Inputs {
        parameters: PARAMETERS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        imports: BTreeMap::new(),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        stack: "bifora-pipeline".to_owned(),
    };
    let text = run.source.file(TEMPLATE)?;
    let pipeline = codepipeline::read(&text, inputs).map_err(|problem| anyhow!("{TEMPLATE}: {problem}"))?;
    fs::create_dir_all(&run.folder).with_context(|| format!("cannot create {}", run.folder.display()))?;
    let rehearsal = run.rehearsal;
    let mut execution = Execution {
        run,
        host: Host::new(rehearsal.workspace, rehearsal.session, &run.folder)?,
        variables: [("codepipeline.PipelineExecutionId".to_owned(), run.id(EXECUTION))].into(),
        pipeline: pipeline.clone(),
    };
    let mut report = Report::default();
    for stage in &pipeline.stages {
        ensure!(
            !pipeline.disabled.contains(&stage.name),
            "no run can enter the stage {}",
            stage.name
        );
        // One that is in a stage keeps others out of it.
        let _stage = match pipeline.execution_mode.as_str() {
            "QUEUED" => Some(rehearsal.turns.take(&stage.name)),
            "PARALLEL" => None,
            other => bail!("the execution mode {other} is not rehearsed"),
        };
        if !execution.stage(stage, "", &run.folder, &mut report)? {
            execution.roll_back(stage, &mut report)?;
            break;
        }
    }
    Ok(report)
}

/// Whether a link is to a build of this run.
pub(super) fn is_of_the_run(link: &str, number: u32) -> bool {
    link.contains("console.aws.amazon.com/codesuite/codebuild/") && link.contains(&id(number, BUILD))
}

impl Execution<'_> {
    /// Carries out all actions, with what is in this run's folder, and says whether they passed.
    fn stage(&mut self, stage: &Stage, why: &str, artefacts: &Path, report: &mut Report) -> Result<bool> {
        let mut passed = true;
        for action in &stage.actions {
            let name = format!("{}{why}: {}", stage.name, action.name);
            let _machine = self.run.rehearsal.turns.take("machine");
            self.run.announce(&name);
            let began = Instant::now();
            self.run.before(&name)?;
            let ended = match self.action(action, artefacts, report) {
                Ok(()) => Ended::Passed,
                Err(error) => Ended::Failed(format!("{error:#}")),
            };
            passed &= ended == Ended::Passed;
            report.add(&name, ended, began);
        }
        Ok(passed)
    }

    /// A stage that goes back when it fails does what it did in the last run that succeeded.
    fn roll_back(&mut self, stage: &Stage, report: &mut Report) -> Result<()> {
        match (stage.on_failure.as_deref(), self.run.last_good) {
            (Some("ROLLBACK"), Some(artefacts)) => {
                let artefacts = artefacts.to_owned();
                self.stage(stage, ", rolled back", &artefacts, report).map(drop)
            }
            (Some("ROLLBACK"), None) => {
                println!("  there is no run before this one to go back to");
                Ok(())
            }
            (None | Some("FAIL"), _) => Ok(()),
            (Some(other), _) => bail!("OnFailure {other} is not rehearsed"),
        }
    }

    fn action(&mut self, action: &Action, artefacts: &Path, report: &mut Report) -> Result<()> {
        match &action.provider {
            Provider::Connection | Provider::GitHub => {
                report.replace("Source", "the source is a folder of this machine, without its .git, as in the artefact of a connection");
                self.source_action(action)
            }
            Provider::CodeBuild => self.build(action, report),
            Provider::Ecs => {
                report.replace(
                    "Deploy",
                    "the deploy action of ECS: the revision that the service runs is registered with the images of the \
                     image-definitions file, the service updated and waited for",
                );
                self.deploy(action, artefacts)
            }
            Provider::Other(name) => bail!("{name} is an action that is not rehearsed"),
        }
    }

    fn artefact(&self, name: &str) -> PathBuf {
        artefact(&self.run.folder, name)
    }

    fn source_action(&mut self, action: &Action) -> Result<()> {
        let [output] = action.outputs.as_slice() else {
            bail!("{} has not one output", action.name)
        };
        let folder = self.artefact(output);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        self.run.source.check_out(&folder)?;
        fs::remove_dir_all(folder.join(".git")).context("cannot leave .git out")?;
        // A zip archive of CodePipeline need not keep which files are programs.
        read(command("chmod").args(["-R", "a-x,u+X"]).arg(folder.join("ci")))?;
        let time = self.run.source.time()?;
        let namespace = action.namespace.as_deref().unwrap_or_default();
        for (name, value) in [
            ("CommitId", self.run.source.commit.as_str()),
            ("BranchName", "main"),
            ("FullRepositoryName", "example/bifora"),
            ("RepositoryName", "bifora"),
            ("AuthorDate", time.as_str()),
        ] {
            self.variables
                .insert(format!("{namespace}.{name}"), value.to_owned());
        }
        Ok(())
    }

    /// A text with `#{namespace.Variable}` filled in; CodePipeline fails an action with one that is not there.
    fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("#{") {
            let (name, after) = after
                .split_once('}')
                .with_context(|| format!("`{text}` has no end"))?;
            let value = self
                .variables
                .get(name)
                .with_context(|| format!("there is no variable #{{{name}}}"))?;
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn build(&self, action: &Action, report: &mut Report) -> Result<()> {
        let project = action
            .configuration
            .get("ProjectName")
            .context("no ProjectName")?;
        let project = self
            .pipeline
            .project(project)
            .with_context(|| format!("there is no project {project}"))?;
        let place = self.run.folder.join("builds").join(&action.name);
        let source = place.join("src");
        let primary = match (
            action.inputs.as_slice(),
            action.configuration.get("PrimarySource"),
        ) {
            ([only], None) => only,
            (several, Some(primary)) if several.contains(primary) => primary,
            _ => bail!("{} has several inputs, and no PrimarySource", action.name),
        };
        copy_into(&self.artefact(primary).join("."), &source)?;
        let text = fs::read_to_string(source.join(&project.buildspec))
            .with_context(|| format!("the source has no {}", project.buildspec))?;
        let spec = buildspec::read(&text).map_err(|problem| anyhow!("{}: {problem}", project.buildspec))?;

        let build = self.run.id(BUILD);
        let id = format!("{}:{build}", project.name);
        let mut variables: BTreeMap<String, String> = [
            ("AWS_REGION", REGION),
            ("CI", "true"),
            (
                "CODEBUILD_BUILD_ARN",
                &format!("arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{id}"),
            ),
            ("CODEBUILD_BUILD_ID", &id),
            ("CODEBUILD_BUILD_NUMBER", "1"),
            ("CODEBUILD_BUILD_SUCCEEDING", "1"),
            (
                "CODEBUILD_INITIATOR",
                &format!("codepipeline/{}", self.pipeline.name),
            ),
            ("CODEBUILD_LOG_PATH", &build),
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", &self.run.source.commit),
            ("CODEBUILD_SRC_DIR", &source.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for input in action.inputs.iter().filter(|input| *input != primary) {
            let folder = place.join(input);
            copy_into(&self.artefact(input).join("."), &folder)?;
            // A zip archive need not keep which files are programs.
            read(command("chmod").args(["-R", "a-x,u+X"]).arg(&folder))?;
            variables.insert(format!("CODEBUILD_SRC_DIR_{input}"), folder.display().to_string());
        }
        variables.extend(spec.variables.clone());
        // What an action says counts more than what its project says.
        for variable in project.environment.iter().chain(&action.environment) {
            variables.insert(variable.name.clone(), self.fill(&variable.value)?);
        }
        if !project.privileged {
            // There is a client of Docker's, and no daemon.
            variables.insert("DOCKER_HOST".to_owned(), "unix:///run/no-daemon.sock".to_owned());
        }
        let log = place.join("log");
        let done = self
            .host
            .run(&[&spec.shell, "-c"], &script(&spec), &source, &variables, &log)?;
        let ran = fs::read_to_string(&log).unwrap_or_default();
        let mut commands = 0;
        for line in ran.lines().filter(|line| line.starts_with(MARK)) {
            commands += 1;
            println!("  {}", line.trim_start_matches(MARK).trim());
        }
        report.as_written += commands;
        ensure!(done.code == 0, "exit code {}\n{}", done.code, done.tail);
        let all: usize = spec
            .phases
            .iter()
            .map(|phase| phase.commands.len() + phase.finally.len())
            .sum();
        ensure!(
            commands == all,
            "{commands} of {all} commands of {} have run",
            project.buildspec
        );
        for file in &spec.reports {
            ensure!(source.join(file).is_file(), "there is no {file} to report");
        }
        if let (Some(artifacts), [output]) = (&spec.artifacts, action.outputs.as_slice()) {
            let folder = self.artefact(output);
            let base = source.join(artifacts.base_directory.as_deref().unwrap_or("."));
            for file in &artifacts.files {
                ensure!(base.join(file).is_file(), "there is no {file} to hand on");
                copy_into(&base.join(file), &folder)?;
            }
        }
        Ok(())
    }

    /// As ECS's own action: from the revision that the service runs.
    fn deploy(&self, action: &Action, artefacts: &Path) -> Result<()> {
        let value = |name: &str| {
            let value = action.configuration.get(name);
            value.with_context(|| format!("{} has no {name}", action.name))
        };
        let [input] = action.inputs.as_slice() else {
            bail!("{} has not one input", action.name)
        };
        let file = artefact(artefacts, input).join(value("FileName")?);
        let text = fs::read(&file).with_context(|| {
            format!(
                "the artefact {input} has no {}",
                value("FileName").map_or("", String::as_str)
            )
        })?;
        let definitions: Vec<Value> =
            serde_json::from_slice(&text).context("the image definitions are no list of JSON")?;
        let images = definitions.iter().map(|definition| {
            let text = |name: &str| {
                definition[name]
                    .as_str()
                    .with_context(|| format!("an image definition has no {name}"))
            };
            Ok((text("name")?.to_owned(), text("imageUri")?.to_owned()))
        });
        let images = images.collect::<Result<Vec<_>>>()?;
        let minutes = action
            .configuration
            .get("DeploymentTimeout")
            .and_then(|minutes| minutes.parse().ok());
        let rehearsal = self.run.rehearsal;
        let aws = |words: &[&str]| rehearsal.session.aws(rehearsal.workspace, words);
        let service = Service {
            aws: &aws,
            cluster: value("ClusterName")?,
            name: value("ServiceName")?,
        };
        let revision = service.register(&service.running()?, &images)?;
        println!("  {revision}");
        service.update(&revision)?;
        if self.run.fault.is_some_and(Fault::hides_roll_backs) {
            return Ok(());
        }
        service.wait(&revision, Duration::from_mins(minutes.unwrap_or(60)))
    }
}

/// The folder of an artefact of a run.
fn artefact(run: &Path, name: &str) -> PathBuf {
    run.join("artefacts").join(name)
}

/// Begins the lines in a build's log that say which command runs.
const MARK: &str = "[command]";

/// All commands of a build in one shell, as CodeBuild runs them: each checked, and what one exports is there for the next.
fn script(spec: &Buildspec) -> String {
    let phases: Vec<_> = spec.phases.iter().map(phase_script).collect();
    format!("result=0\n{}exit $result\n", phases.concat())
}

fn phase_script(phase: &Phase) -> String {
    let run = |text: &str| {
        let quoted = text.replace('\'', r"'\''");
        let first = quoted.lines().next().unwrap_or_default();
        format!("echo '{MARK} {first}'; eval '{quoted}' || failed=$?")
    };
    let commands = phase
        .commands
        .iter()
        .map(|command| format!("[ $failed != 0 ] || {{ {}; }}\n", run(&command.text)));
    let finally = phase
        .finally
        .iter()
        .map(|command| format!("{}\n", run(&command.text)));
    let lines: Vec<_> = commands.chain(finally).collect();
    let ends = match (phase.on_failure, phase.name) {
        (OnFailure::Abort, _) | (OnFailure::Unset, PhaseName::Install | PhaseName::PreBuild) => true,
        (OnFailure::Continue | OnFailure::Unset, _) => false,
    };
    let then = if ends {
        "exit $failed"
    } else {
        "result=$failed CODEBUILD_BUILD_SUCCEEDING=0"
    };
    format!("failed=0\n{}[ $failed = 0 ] || {then}\n", lines.concat())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn ran(buildspec: &str) -> (String, i32) {
        let spec = buildspec::read(buildspec).expect("a buildspec");
        let output = Command::new("bash")
            .args(["-c", &script(&spec)])
            .output()
            .expect("bash starts");
        let text = String::from_utf8(output.stdout).expect("text");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with(MARK)).collect();
        (lines.join(" "), output.status.code().expect("no signal"))
    }

    #[test]
    fn commands_share_a_shell_and_quotes_survive() {
        let spec =
            "version: 0.2\nphases:\n  build:\n    commands:\n      - x=\"it's here\"\n      - echo \"$x\"\n";
        assert_eq!(ran(spec), ("it's here".to_owned(), 0));
    }

    #[test]
    fn post_build_follows_a_failed_build_unless_that_aborts() {
        let spec = |on_failure: &str| {
            format!(
                "version: 0.2\nphases:\n  build:\n{on_failure}    commands:\n      - echo one\n      - (exit 3)\n      - echo two\n  \
                 post_build:\n    commands:\n      - echo after\n"
            )
        };
        assert_eq!(ran(&spec("")), ("one after".to_owned(), 3));
        assert_eq!(ran(&spec("    on-failure: ABORT\n")), ("one".to_owned(), 3));
    }
}
