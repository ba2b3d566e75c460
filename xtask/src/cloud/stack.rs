//! The stacks of the service in the local AWS: created by the command line of AWS, as they are in the account.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::local_aws::LocalAws;
use super::{Ports, engine};
use crate::command::{self, read};
use crate::image;
use crate::terminal;

/// The stack of the service.
pub(crate) const SERVICE: &str = "bifora";
const NETWORK: &str = "bifora-network";
/// How long tasks may take to become healthy: a roll-back takes some minutes, and says why.
const PATIENCE: Duration = Duration::from_mins(8);

/// The AWS command line and where it leads.
pub(crate) struct Stack<'a> {
    aws: &'a LocalAws<'a>,
    ports: Ports,
}

/// What a service of ECS says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// How many tasks there should be.
    pub(crate) desired: u64,
    /// How many there are, of all versions.
    pub(crate) running: u64,
    /// `COMPLETED`, `IN_PROGRESS` or `FAILED`.
    pub(crate) rollout: String,
    /// How many versions of it run.
    pub(crate) deployments: usize,
    /// The task definition in force.
    pub(crate) task_definition: String,
    /// What happened last.
    pub(crate) event: Option<String>,
}

impl Service {
    /// Whether all of its tasks are of one version and there.
    pub(crate) fn is_stable(&self) -> bool {
        self.rollout == "COMPLETED" && self.deployments == 1 && self.running == self.desired
    }

    fn read(service: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let deployments = service["deployments"].as_array().map_or(&[][..], Vec::as_slice);
        let primary = deployments
            .iter()
            .find(|deployment| deployment["status"] == "PRIMARY");
        Self {
            name: text(&service["serviceName"]),
            desired: service["desiredCount"].as_u64().unwrap_or_default(),
            running: service["runningCount"].as_u64().unwrap_or_default(),
            rollout: primary.map_or_else(String::new, |deployment| text(&deployment["rolloutState"])),
            deployments: deployments.len(),
            task_definition: text(&service["taskDefinition"]),
            event: service["events"][0]["message"].as_str().map(str::to_owned),
        }
    }
}

impl<'a> Stack<'a> {
    /// Of the local AWS at these ports.
    pub(crate) const fn of(aws: &'a LocalAws<'a>, ports: Ports) -> Self {
        Self { aws, ports }
    }

    fn aws(&self, words: &[&str]) -> Command {
        let mut aws = self.aws.aws(self.ports);
        aws.args(words);
        aws
    }

    /// An answer of the AWS command line.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Value> {
        let answer = read(self.aws(words).args(["--output", "json"]))?;
        serde_json::from_str(&answer)
            .with_context(|| format!("`aws {}` did not answer in JSON", words.join(" ")))
    }

    /// The repository of the image, made if it is not there; and the engine's client logged in to its registry.
    pub(crate) fn repository(&self, docker: &crate::docker::Docker) -> Result<String> {
        let name = ["--repository-names", image::NAME];
        if self
            .ask(&[&["ecr", "describe-repositories"][..], &name].concat())
            .is_err()
        {
            self.ask(&[
                "ecr",
                // With tags that may change: before release 27 Docker pushes each platform under the tag of the index first.
                "create-repository",
                "--repository-name",
                image::NAME,
            ])?;
        }
        let password = read(&mut self.aws(&["ecr", "get-login-password"]))?;
        let mut login = docker.command();
        login.args(["login", "--username", "AWS", "--password-stdin", engine::REGISTRY]);
        command::feed(&mut login, password.trim())
            .with_context(|| format!("the registry {} does not let the engine log in", engine::REGISTRY))?;
        Ok(format!("{}/{}", engine::REGISTRY, image::NAME))
    }

    /// Creates or updates both stacks, and returns the outputs of the service's. Stacks wait for their services.
    pub(crate) fn deploy(&self, image: &str, parameters: &[String]) -> Result<BTreeMap<String, String>> {
        self.deploy_one(NETWORK, "infra/cloudformation/network.yml", &[])?;
        // The outputs of the one have the names of the parameters of the other.
        let network = self.outputs(NETWORK)?;
        let mut all: Vec<_> = network
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.push(format!("ImageUri={image}"));
        all.extend(parameters.iter().cloned());
        self.deploy_one(SERVICE, "infra/cloudformation/service.yml", &all)?;
        self.outputs(SERVICE)
    }

    /// Creates or updates a stack. Parameters that are not given keep their values.
    ///
    /// Does what `aws cloudformation deploy` does, which would look only every half minute whether it is done.
    pub(crate) fn deploy_one(&self, name: &str, template: &str, parameters: &[String]) -> Result<()> {
        let before = self.stack(name).ok();
        let mut all: Vec<Value> = parameters
            .iter()
            .filter_map(|parameter| parameter.split_once('='))
            .map(|(key, value)| json!({ "ParameterKey": key, "ParameterValue": value }))
            .collect();
        let kept = before
            .as_ref()
            .and_then(|stack| stack["Parameters"].as_array())
            .into_iter()
            .flatten();
        for key in kept.map(|parameter| &parameter["ParameterKey"]) {
            if !all.iter().any(|parameter| parameter["ParameterKey"] == *key) {
                all.push(json!({ "ParameterKey": key, "UsePreviousValue": true }));
            }
        }
        let action = if before.is_some() {
            "update-stack"
        } else {
            "create-stack"
        };
        let mut deploy = self.aws(&["cloudformation", action, "--stack-name", name]);
        deploy.args(["--template-body", &format!("file://{template}")]);
        deploy.args(["--capabilities", "CAPABILITY_NAMED_IAM"]);
        deploy.args(["--parameters", &json!(all).to_string()]);
        let failed = |error: anyhow::Error| match self.failure(name) {
            Some(reason) => error.context(format!("the stack {name} was not made: {reason}")),
            None => error.context(format!("the stack {name} was not made")),
        };
        match read(&mut deploy) {
            Err(error) if format!("{error:#}").contains("No updates are to be performed") => return Ok(()),
            result => result.map_err(failed)?,
        };
        let start = Instant::now();
        loop {
            let status = self.stack(name)?["StackStatus"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            match status.as_str() {
                "CREATE_COMPLETE" | "UPDATE_COMPLETE" => return Ok(()),
                status if !status.ends_with("IN_PROGRESS") => {
                    return Err(failed(anyhow!("it is in state {status}")));
                }
                _ if start.elapsed() > PATIENCE => {
                    return Err(failed(anyhow!("it is still in state {status}")));
                }
                _ => thread::sleep(Duration::from_millis(300)),
            }
        }
    }

    fn stack(&self, name: &str) -> Result<Value> {
        let answer = self.ask(&["cloudformation", "describe-stacks", "--stack-name", name])?;
        Ok(answer["Stacks"][0].clone())
    }

    /// The first failure among the events of a stack.
    fn failure(&self, name: &str) -> Option<String> {
        let answer = self
            .ask(&["cloudformation", "describe-stack-events", "--stack-name", name])
            .ok()?;
        let events = answer["StackEvents"].as_array()?;
        events.iter().rev().find_map(|event| {
            let failed = event["ResourceStatus"].as_str()?.ends_with("_FAILED");
            let reason = event["ResourceStatusReason"].as_str()?;
            failed.then(|| format!("{}: {reason}", event["LogicalResourceId"].as_str().unwrap_or("?")))
        })
    }

    /// The outputs of a stack.
    pub(crate) fn outputs(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let stack = self.stack(name)?;
        let outputs = stack["Outputs"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(outputs
            .iter()
            .map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"])))
            .collect())
    }

    /// What the services of the cluster say.
    pub(crate) fn services(&self, outputs: &BTreeMap<String, String>) -> Result<Vec<Service>> {
        let output = |name: &str| {
            outputs
                .get(name)
                .with_context(|| format!("the stack {SERVICE} has no output {name}"))
        };
        let answer = self.ask(&[
            "ecs",
            "describe-services",
            "--cluster",
            output("ClusterName")?,
            "--services",
            output("ServiceAmd")?,
            output("ServiceArm")?,
        ])?;
        let services = answer["services"]
            .as_array()
            .context("describe-services names no services")?;
        Ok(services.iter().map(Service::read).collect())
    }

    /// Of both target groups, how many targets there are in each state.
    pub(crate) fn targets(
        &self,
        outputs: &BTreeMap<String, String>,
    ) -> Result<Vec<(String, BTreeMap<String, u64>)>> {
        ["TargetGroupAmd", "TargetGroupArm"]
            .iter()
            .map(|&name| {
                let group = outputs
                    .get(name)
                    .with_context(|| format!("the stack {SERVICE} has no output {name}"))?;
                let answer = self.ask(&["elbv2", "describe-target-health", "--target-group-arn", group])?;
                let mut states = BTreeMap::new();
                for target in answer["TargetHealthDescriptions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    let state = target["TargetHealth"]["State"].as_str().unwrap_or("?");
                    *states.entry(state.to_owned()).or_default() += 1;
                }
                Ok((name.to_owned(), states))
            })
            .collect()
    }

    /// Waits until all tasks of both services are of this image and healthy, saying what changes on the way.
    pub(crate) fn wait(&self, outputs: &BTreeMap<String, String>, image: &str) -> Result<()> {
        let start = Instant::now();
        let mut said = String::new();
        loop {
            let services = self.services(outputs)?;
            let line: Vec<_> = services
                .iter()
                .map(|service| {
                    format!(
                        "{} {}/{} {}",
                        service.name, service.running, service.desired, service.rollout
                    )
                })
                .collect();
            let line = line.join(", ");
            if line != said {
                println!("  {} {line}", terminal::dim(&terminal::duration(start.elapsed())));
                said = line;
            }
            if services.iter().all(Service::is_stable) {
                break;
            }
            if start.elapsed() > PATIENCE {
                let events: Vec<_> = services
                    .iter()
                    .filter_map(|service| service.event.clone())
                    .collect();
                bail!("the services are not stable: {}", events.join("; "));
            }
            thread::sleep(Duration::from_secs(1));
        }
        // After a roll-back they are stable as well, with what was there before.
        for service in self.services(outputs)? {
            let answer = self.ask(&[
                "ecs",
                "describe-task-definition",
                "--task-definition",
                &service.task_definition,
            ])?;
            let runs = answer["taskDefinition"]["containerDefinitions"][0]["image"]
                .as_str()
                .unwrap_or_default();
            if runs != image {
                bail!(
                    "{} runs {runs} and not {image}: the new version was rolled back ({})",
                    service.name,
                    service.event.unwrap_or_default()
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Service;

    #[test]
    fn a_service_is_stable_when_one_version_runs_in_full() {
        let service = |running: u64, rollout: &str, deployments: usize| {
            let mut all = vec![json!({ "status": "PRIMARY", "rolloutState": rollout })];
            all.resize(deployments, json!({ "status": "ACTIVE" }));
            Service::read(&json!({
                "serviceName": "bifora-amd", "desiredCount": 2, "runningCount": running, "deployments": all
            }))
        };
        assert!(service(2, "COMPLETED", 1).is_stable());
        assert!(!service(1, "COMPLETED", 1).is_stable());
        assert!(!service(2, "IN_PROGRESS", 1).is_stable());
        assert!(!service(2, "COMPLETED", 2).is_stable());
    }
}
