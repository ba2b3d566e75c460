//! CircleCI's part: the jobs of `.circleci/config.yml` in their order, each in a folder of its own, step by step.

mod orbs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::host::{Host, copy_into};
use super::report::{Ended, Report};
use super::stand_ins::{self, StandIn};
use super::turns::Turn;
use super::{Run, id};
use crate::cloud::Session;
use crate::pipeline::circleci::{self, Action, Job, Values, When, Work};
use crate::terminal;
use crate::workspace::Workspace;

/// What this rehearsal calls the organisation and the project. They are of the form of CircleCI's own.
const ORGANISATION: &str = "0b1f02a0-0000-4000-8000-00000000000a";
const PROJECT: &str = "0b1f02a0-0000-4000-8000-00000000000b";
const USER: &str = "0b1f02a0-0000-4000-8000-00000000000c";
/// Below [`Run::id`].
const PIPELINE: u8 = 1;
const WORKFLOW: u8 = 2;
const SLUG: &str = "gh/example/bifora";
/// The alias that the local AWS has in the public registry.
const ALIAS: &str = "bifora";
/// CircleCI's shell for `run` steps of machines.
const SHELL: [&str; 4] = ["bash", "-eo", "pipefail", "-c"];
const CONFIG: &str = ".circleci/config.yml";

/// A pipeline that is run.
struct Pipeline<'a> {
    run: &'a Run<'a>,
    host: Host,
}

/// The place of one job.
struct Place {
    /// `working_directory`.
    project: PathBuf,
    log: PathBuf,
    variables: BTreeMap<String, String>,
}

/// The role that its jobs take, and the registry.
pub(super) fn prepare(workspace: &Workspace, session: &Session) -> Result<()> {
    session.deploy_stack(
        workspace,
        "bifora-circleci",
        "infra/cloudformation/circleci.yml",
        &[
            format!("OrgId={ORGANISATION}"),
            format!("ProjectId={PROJECT}"),
            "VcsOrigin=github.com/example/bifora".to_owned(),
        ],
    )
}

/// Runs all jobs that a push to the default branch runs.
pub(super) fn run(run: &Run) -> Result<Report> {
    let text = run.source.file(CONFIG)?;
    let config = circleci::read(&text).map_err(|problem| anyhow!("{CONFIG}: {problem}"))?;
    let jobs = circleci::expand(&config, &values(run)).context(CONFIG)?;
    ensure!(!jobs.is_empty(), "{CONFIG} has no job for a push to main");
    fs::create_dir_all(&run.folder).with_context(|| format!("cannot create {}", run.folder.display()))?;
    let rehearsal = run.rehearsal;
    let mut host = Host::new(rehearsal.workspace, rehearsal.session, &run.folder)?;
    // Nobody has keys: what needs credentials gets them by a token, or fails.
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        host.forget(name);
    }
    let pipeline = Pipeline { run, host };
    let mut report = Report::default();
    // Of the serial group that the last job was in: it is left when a job comes that is not.
    let mut group: Option<(&str, Turn)> = None;
    for (number, job) in jobs.iter().enumerate() {
        let wanted = job.serial_group.as_deref();
        if group.as_ref().map(|(name, _)| *name) != wanted {
            drop(group.take());
            group = wanted.map(|name| (name, rehearsal.turns.take(name)));
        }
        let _machine = rehearsal.turns.take("machine");
        run.announce(&job.name);
        let began = Instant::now();
        let blocked = job
            .requires
            .iter()
            .any(|name| report.ended(name) != Some(&Ended::Passed));
        let ended = if blocked {
            Ended::NotRun
        } else {
            run.before(&job.name)?;
            pipeline.job(job, number + 1, &mut report)?
        };
        report.add(&job.name, ended, began);
    }
    Ok(report)
}

/// Whether a link is to a job of this run.
pub(super) fn is_of_the_run(link: &str, number: u32) -> bool {
    link.starts_with("https://app.circleci.com/pipelines/") && link.contains(&id(number, WORKFLOW))
}

/// What a push to the default branch brings.
fn values(run: &Run) -> Values {
    let commit = &run.source.commit;
    let pipeline = [
        ("id", run.id(PIPELINE)),
        ("number", run.number.to_string()),
        ("project.slug", SLUG.to_owned()),
        ("trigger.type", "webhook".to_owned()),
        ("event.name", "push".to_owned()),
        ("git.branch", "main".to_owned()),
        ("git.revision", commit.clone()),
        (
            "git.commit.url",
            format!("https://github.com/example/bifora/commit/{commit}"),
        ),
    ];
    Values {
        pipeline: pipeline
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        parameters: BTreeMap::new(),
    }
}

impl Pipeline<'_> {
    fn job(&self, job: &Job, number: usize, report: &mut Report) -> Result<Ended> {
        let place = self.place(job, number)?;
        let mut failed: Option<String> = None;
        let (before, orb, after) = match &job.work {
            Work::Steps(steps) => (&steps[..], None, &[][..]),
            Work::Orb {
                name,
                parameters,
                before,
                after,
            } => (&before[..], Some((name, parameters)), &after[..]),
            Work::Nothing => return Ok(Ended::Passed),
        };
        for step in before {
            self.step(&step.action, &place, &mut failed, report)?;
        }
        if let Some((name, parameters)) = orb
            && failed.is_none()
        {
            let entry = stand_ins::find(name).with_context(|| {
                format!("{name} is neither a step that can be run here nor in the list of stand-ins")
            })?;
            ensure!(
                entry.stand_in == StandIn::DeployService,
                "{name} is no job that is known here"
            );
            report.replace(entry.step, entry.why);
            if let Err(error) = self.deploy(parameters, &place) {
                failed = Some(format!("{name}: {error:#}"));
            }
        }
        for step in after {
            self.step(&step.action, &place, &mut failed, report)?;
        }
        Ok(failed.map_or(Ended::Passed, Ended::Failed))
    }

    fn place(&self, job: &Job, number: usize) -> Result<Place> {
        let folder = self
            .run
            .folder
            .join("jobs")
            .join(format!("{number}-{}", job.name.replace(' ', "-").to_lowercase()));
        let project = folder.join("project");
        fs::create_dir_all(&project).with_context(|| format!("cannot create {}", project.display()))?;
        let bash_env = folder.join("bash_env");
        fs::write(&bash_env, "")?;
        let (number, workflow) = ((40 + number).to_string(), self.run.id(WORKFLOW));
        let own = [
            ("CI", "true"),
            ("CIRCLECI", "true"),
            ("BASH_ENV", &bash_env.display().to_string()),
            ("CIRCLE_BRANCH", "main"),
            ("CIRCLE_BUILD_NUM", &number),
            (
                "CIRCLE_BUILD_URL",
                &format!(
                    "https://app.circleci.com/pipelines/{SLUG}/{}/workflows/{workflow}/jobs/{number}",
                    self.run.number
                ),
            ),
            ("CIRCLE_JOB", &job.name),
            ("CIRCLE_ORGANIZATION_ID", ORGANISATION),
            ("CIRCLE_PROJECT_ID", PROJECT),
            ("CIRCLE_PROJECT_REPONAME", "bifora"),
            ("CIRCLE_PROJECT_USERNAME", "example"),
            ("CIRCLE_REPOSITORY_URL", "git@github.com:example/bifora.git"),
            ("CIRCLE_SHA1", &self.run.source.commit),
            ("CIRCLE_USERNAME", "rehearsal"),
            ("CIRCLE_WORKFLOW_ID", &workflow),
            ("CIRCLE_WORKING_DIRECTORY", &project.display().to_string()),
            // What a user sets.
            ("AWS_ACCOUNT_ID", "000000000000"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ECR_PUBLIC_REGISTRY_ALIAS", ALIAS),
        ];
        let mut variables: BTreeMap<_, _> = own
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        variables.extend(job.environment.clone());
        Ok(Place {
            project,
            log: folder.join("log"),
            variables,
        })
    }

    fn step(
        &self,
        action: &Action,
        place: &Place,
        failed: &mut Option<String>,
        report: &mut Report,
    ) -> Result<()> {
        let when = match action {
            Action::Run(run) => run.when,
            // What a job stores, it stores whatever has happened.
            Action::StoreTestResults { .. } | Action::StoreArtifacts { .. } => When::Always,
            _ => When::OnSuccess,
        };
        match (when, &failed) {
            (When::OnSuccess, Some(_)) | (When::OnFail, None) => return Ok(()),
            _ => {}
        }
        if let Err(error) = self.carry_out(action, place, report)? {
            failed.get_or_insert(format!("{error:#}"));
        }
        Ok(())
    }

    /// The inner result is what the step came to, the outer one fails when it cannot be rehearsed.
    fn carry_out(&self, action: &Action, place: &Place, report: &mut Report) -> Result<Result<()>> {
        let workspace = self.run.folder.join("workspace");
        let done = match action {
            Action::Run(run) => return self.command(run, place, report),
            Action::Orb { name, parameters } => {
                let entry = stand_ins::find(name).with_context(|| {
                    format!("{name} is neither a step that can be run here nor in the list of stand-ins")
                })?;
                println!("  {name} {}", terminal::dim("(replaced)"));
                report.replace(entry.step, entry.why);
                return Ok(self.stand_in(entry.stand_in, parameters, place));
            }
            Action::Checkout => self.run.source.check_out(&place.project),
            Action::AttachWorkspace { at } => copy_into(&workspace.join("."), &place.project.join(at)),
            Action::PersistToWorkspace { root, paths } => paths.iter().try_for_each(|path| {
                let from = place.project.join(root).join(path);
                ensure!(from.exists(), "there is no {root}/{path} to persist");
                copy_into(&from, &workspace)
            }),
            Action::StoreTestResults { path } | Action::StoreArtifacts { path, .. } => {
                if place.project.join(path).exists() {
                    Ok(())
                } else {
                    Err(anyhow!("there is no {path} to store"))
                }
            }
            other => bail!("{other:?} is a step that is not rehearsed"),
        };
        report.as_written += 1;
        Ok(done)
    }

    fn command(&self, run: &circleci::Run, place: &Place, report: &mut Report) -> Result<Result<()>> {
        let name = run
            .name
            .clone()
            .unwrap_or_else(|| run.command.lines().next().unwrap_or_default().to_owned());
        ensure!(
            !run.background,
            "the step `{name}` runs in the background, which is not rehearsed"
        );
        let entry = stand_ins::find(&run.command);
        match entry {
            None => report.as_written += 1,
            Some(entry) => report.replace(entry.step, entry.why),
        }
        match entry.map(|entry| entry.stand_in) {
            None => println!("  {name}"),
            Some(StandIn::QuickestTest) => println!("  {name} {}", terminal::dim("(only the quickest)")),
            Some(other) => bail!("{other:?} does not stand in for a command"),
        }
        let mut variables = place.variables.clone();
        variables.extend(run.environment.clone());
        let directory = place
            .project
            .join(run.working_directory.as_deref().unwrap_or("."));
        let script = match entry {
            None => run.command.clone(),
            Some(_) => self.quickest_test(&run.command),
        };
        Ok(self
            .shell(&script, &directory, &variables, place)
            .with_context(|| name))
    }

    fn shell(
        &self,
        script: &str,
        directory: &Path,
        variables: &BTreeMap<String, String>,
        place: &Place,
    ) -> Result<()> {
        let done = self.host.run(&SHELL, script, directory, variables, &place.log)?;
        if done.code == 0 {
            return Ok(());
        }
        bail!("exit code {}\n{}", done.code, done.tail)
    }
}
