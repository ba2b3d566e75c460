//! Deploying to ECS as the two pipelines' own actions do, which cannot be had offline: CircleCI's job
//! `aws-ecs/deploy_service_update` and CodePipeline's deploy action. Both speak to the API of ECS alone.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// What an answer of `describe-task-definition` has that a request to register one may not have.
const ANSWERED: [&str; 7] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
];

/// A service that is deployed to.
pub(super) struct Service<'a> {
    /// An answer of the command line of AWS, with the credentials of whoever deploys.
    pub(super) aws: &'a dyn Fn(&[&str]) -> Result<Value>,
    /// Name of the cluster.
    pub(super) cluster: &'a str,
    /// Name of the service.
    pub(super) name: &'a str,
}

impl Service<'_> {
    /// The revision that it runs.
    pub(super) fn running(&self) -> Result<String> {
        let service = self.describe()?;
        let running = service["taskDefinition"]
            .as_str()
            .context("a service without a task definition")?;
        Ok(running.to_owned())
    }

    /// Registers `base`, a family or a revision, with its tags and other images of containers, and returns the new revision.
    pub(super) fn register(&self, base: &str, images: &[(String, String)]) -> Result<String> {
        let answer = (self.aws)(&[
            "ecs",
            "describe-task-definition",
            "--task-definition",
            base,
            "--include",
            "TAGS",
        ])?;
        let mut definition = answer["taskDefinition"].clone();
        if answer["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
            definition["tags"] = answer["tags"].clone();
        }
        for (container, image) in images {
            let containers = definition["containerDefinitions"]
                .as_array_mut()
                .context("no containers")?;
            let container = containers
                .iter_mut()
                .find(|definition| definition["name"] == container.as_str())
                .with_context(|| format!("{base} has no container {container}"))?;
            container["image"] = json!(image);
        }
        let fields = definition
            .as_object_mut()
            .context("a task definition is no object")?;
        for name in ANSWERED {
            fields.remove(name);
        }
        let request = definition.to_string();
        let answer = (self.aws)(&["ecs", "register-task-definition", "--cli-input-json", &request])?;
        let revision = answer["taskDefinition"]["taskDefinitionArn"].as_str();
        revision
            .map(str::to_owned)
            .context("the registered revision has no ARN")
    }

    /// Has it run a revision.
    pub(super) fn update(&self, revision: &str) -> Result<()> {
        let service = [
            "--cluster",
            self.cluster,
            "--service",
            self.name,
            "--task-definition",
            revision,
        ];
        (self.aws)(&[&["ecs", "update-service"][..], &service].concat()).map(drop)
    }

    /// Waits until it runs nothing but a revision; fails when it has been rolled back or the time is over.
    pub(super) fn wait(&self, revision: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let service = self.describe()?;
            let deployments = service["deployments"]
                .as_array()
                .context("a service without deployments")?;
            let event = service["events"][0]["message"]
                .as_str()
                .unwrap_or("no event")
                .to_owned();
            let failed = deployments.iter().any(|deployment| {
                deployment["taskDefinition"] == revision && deployment["rolloutState"] == "FAILED"
            });
            ensure!(
                service["taskDefinition"] == revision && !failed,
                "{} was rolled back: {event}",
                self.name
            );
            let primary = &deployments[0];
            if deployments.len() == 1 && primary["rolloutState"] == "COMPLETED" {
                return Ok(());
            }
            if start.elapsed() > limit {
                bail!(
                    "{} does not run {revision} after {} s: {event}",
                    self.name,
                    limit.as_secs()
                );
            }
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// Waits until nothing of it changes any more, whatever it then runs.
    pub(super) fn settle(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let service = self.describe()?;
            let deployments = service["deployments"].as_array().map_or(0, Vec::len);
            if deployments == 1 && service["deployments"][0]["rolloutState"] == "COMPLETED" {
                return Ok(());
            }
            ensure!(
                start.elapsed() < limit,
                "{} still changes after {} s",
                self.name,
                limit.as_secs()
            );
            thread::sleep(Duration::from_secs(1));
        }
    }

    fn describe(&self) -> Result<Value> {
        let words = [
            "ecs",
            "describe-services",
            "--cluster",
            self.cluster,
            "--services",
            self.name,
        ];
        let answer = (self.aws)(&words)?;
        let service = &answer["services"][0];
        // ECS answers with a list of failures, and no error.
        ensure!(
            service["status"] == "ACTIVE",
            "the cluster {} has no service {}",
            self.cluster,
            self.name
        );
        Ok(service.clone())
    }
}
