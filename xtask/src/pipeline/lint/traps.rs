//! What the orbs accept and do not do as one would think.

use std::collections::BTreeMap;

use crate::pipeline::circleci::{Action, Job, Work};
use crate::pipeline::lint::{CIRCLECI, Report};

/// Checks the orbs' steps and jobs of one job.
pub(crate) fn job(job: &Job, report: &mut Report) {
    let mut takes_role = false;
    for step in job.steps() {
        if let Action::Orb { name, parameters } = &step.action {
            if name == "aws-cli/setup" {
                takes_role = true;
                if parameters.get("role_arn").is_none_or(String::is_empty) {
                    let what = format!(
                        "`{}` has to take a role: aws-cli/setup without role_arn wants static keys",
                        job.name
                    );
                    report.add(CIRCLECI, step.line, what);
                }
            } else if name.starts_with("aws-") && !takes_role {
                report.add(
                    CIRCLECI,
                    step.line,
                    format!("`{}` uses {name} before it takes a role", job.name),
                );
            }
            if name == "aws-ecr/ecr_login"
                && parameters
                    .get("public_registry")
                    .is_none_or(|value| value != "true")
            {
                let what = format!(
                    "`{}` logs in to private ECR: public_registry has to be true",
                    job.name
                );
                report.add(CIRCLECI, step.line, what);
            }
            if name == "aws-ecs/update_service" {
                deployment(job, step.line, parameters, report);
            }
        }
    }
    if let Work::Orb { name, parameters, .. } = &job.work {
        if !takes_role {
            report.add(
                CIRCLECI,
                job.line,
                format!("`{}` does not take a role before {name}", job.name),
            );
        }
        if name == "aws-ecs/deploy_service_update" {
            deployment(job, job.line, parameters, report);
        }
    }
}

fn deployment(job: &Job, line: usize, parameters: &BTreeMap<String, String>, report: &mut Report) {
    let value = |name: &str| parameters.get(name).map_or("", String::as_str);
    let mut add = |what: &str| report.add(CIRCLECI, line, format!("`{}`: {what}", job.name));
    if value("verify_revision_is_deployed") != "true" {
        add("without verify_revision_is_deployed a missing service or a roll-back passes for a deployment");
    }
    if value("fail_on_verification_timeout") != "true" {
        add("without fail_on_verification_timeout a roll-back passes for a deployment");
    }
    if value("enable_circuit_breaker") != "true" {
        add("without enable_circuit_breaker a bad image is started over and over");
    }
    for (name, value) in parameters {
        if value.contains("$(") || value.contains('`') {
            add(&format!(
                "{name} has variables substituted, and no commands run: {value}"
            ));
        }
    }
    let updates = value("container_image_name_updates");
    if !updates.contains("image-and-tag=") && !updates.contains("tag=") {
        add("without container_image_name_updates the image that runs is deployed again");
    }
    if updates
        .split(',')
        .any(|update| update.trim_start().starts_with("tag="))
    {
        add("tag= takes the digest off an image that is pinned by one: use image-and-tag=");
    }
    if updates.ends_with(":latest") {
        add("latest is another image at each start of a task");
    }
    for entry in value("container_env_var_updates").split("container=").skip(1) {
        if entry.matches("name=").count() > 1 {
            add("only the first name=,value= behind each container= counts: repeat container=");
        }
    }
}
