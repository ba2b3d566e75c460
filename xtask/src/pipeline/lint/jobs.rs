//! The jobs of CircleCI among each other: who may run on which branch, and who waits for whom.

use std::collections::BTreeSet;

use crate::pipeline::circleci::{Action, Expansion, Job, Work};
use crate::pipeline::lint::scripts::Commands;
use crate::pipeline::lint::{CIRCLECI, Report, Sources, surroundings};

/// What the jobs do, as far as the checks ask.
#[expect(clippy::struct_excessive_bools, reason = "questions, each with a yes or a no")]
struct Doing<'a> {
    job: &'a Job,
    /// Takes the role, or puts something where others see it.
    released: bool,
    publishes: bool,
    deploys: bool,
    proves: bool,
    tests_image: bool,
    /// Publishes without having logged in before.
    line_without_login: Option<usize>,
}

/// Checks the jobs of a push to the default branch, and that others leave the world as it is.
pub(crate) fn check(
    sources: &Sources,
    released: &Expansion,
    others: &[Expansion],
    branch: &str,
    report: &mut Report,
) {
    for other in others {
        for job in &other.jobs {
            if doing(sources, job).released {
                let what = format!(
                    "`{}` publishes or deploys, and is not restricted to the branch {branch}",
                    job.name
                );
                report.add(CIRCLECI, job.line, what);
            }
        }
    }
    for job in released.jobs.iter().chain(&released.left_out) {
        surroundings::variables_and_scripts(sources, job, report);
        surroundings::machine(sources, job, report);
    }
    for job in &released.jobs {
        surroundings::workspace(job, &released.jobs, report);
    }
    let all: Vec<_> = released.jobs.iter().map(|job| doing(sources, job)).collect();
    if !all.iter().any(|doing| doing.deploys) {
        report.add(CIRCLECI, 1, format!("nothing is deployed on the branch {branch}"));
    }
    order(&all, &released.jobs, report);
}

fn doing<'a>(sources: &Sources, job: &'a Job) -> Doing<'a> {
    let mut doing = Doing {
        job,
        released: false,
        publishes: false,
        deploys: false,
        proves: false,
        tests_image: false,
        line_without_login: None,
    };
    let mut logged_in = false;
    for step in job.steps() {
        match &step.action {
            Action::Orb { name, .. } => {
                doing.released |= name.starts_with("aws-");
                doing.publishes |= name == "aws-ecr/push_image";
                doing.deploys |= name == "aws-ecs/update_service";
                logged_in |= name == "aws-ecr/ecr_login";
            }
            Action::Run(run) => {
                let commands =
                    Commands::read(sources, &run.command, CIRCLECI, step.line, &mut Report::default());
                doing.publishes |= commands.publishes();
                doing.proves |= commands.calls("ci/verify.sh");
                doing.tests_image |= commands.calls("ci/test-image.sh");
                if commands.publishes() && !logged_in {
                    doing.line_without_login.get_or_insert(step.line);
                }
            }
            _ => {}
        }
    }
    if let Work::Orb { name, .. } = &job.work {
        doing.released |= name.starts_with("aws-");
        doing.deploys |= name == "aws-ecs/deploy_service_update";
    }
    doing.released |= doing.publishes;
    doing
}

/// What others see comes after every check, a deployment after everything that is published, and its proof at the end.
fn order(all: &[Doing], jobs: &[Job], report: &mut Report) {
    for one in all {
        let before = upstream(one.job, jobs);
        let mut wait_for = |needed: &dyn Fn(&Doing) -> bool| {
            for other in all.iter().filter(|other| needed(other)) {
                if !before.contains(other.job.name.as_str()) {
                    let what = format!("`{}` does not wait for `{}`", one.job.name, other.job.name);
                    report.add(CIRCLECI, one.job.line, what);
                }
            }
        };
        if one.released {
            wait_for(&|other| !other.released);
        }
        if one.deploys {
            wait_for(&|other| other.publishes);
        }
        if one.proves {
            wait_for(&|other| other.deploys);
        }
        if let Some(line) = one.line_without_login {
            let what = format!("`{}` publishes without a login to the registry", one.job.name);
            report.add(CIRCLECI, line, what);
        }
        if one.publishes
            && !all
                .iter()
                .any(|other| other.tests_image && before.contains(other.job.name.as_str()))
        {
            let what = format!(
                "`{}` publishes what no job before it has tested with ci/test-image.sh",
                one.job.name
            );
            report.add(CIRCLECI, one.job.line, what);
        }
        if one.released && one.job.serial_group.is_none() {
            let what = format!(
                "`{}` is in no serial group: two pushes could release at the same time",
                one.job.name
            );
            report.add(CIRCLECI, one.job.line, what);
        }
    }
    if let Some(last) = all.iter().rfind(|doing| doing.deploys)
        && !all.iter().any(|doing| doing.proves)
    {
        report.add(
            CIRCLECI,
            last.job.line,
            "nobody proves the deployment: ci/verify.sh is not called",
        );
    }
}

/// The names of all jobs that a job waits for.
pub(crate) fn upstream<'a>(job: &'a Job, jobs: &'a [Job]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let mut open = vec![job];
    while let Some(job) = open.pop() {
        for name in &job.requires {
            if names.insert(name.as_str()) {
                open.extend(jobs.iter().filter(|other| other.name == *name));
            }
        }
    }
    names
}
