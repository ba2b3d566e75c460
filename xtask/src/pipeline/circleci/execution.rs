//! What a job's definition says of the place where it runs, and its executor with it.

use std::collections::BTreeMap;

use crate::pipeline::circleci::arguments::bind;
use crate::pipeline::circleci::expand::Expander;
use crate::pipeline::circleci::{ExecutorKind, Job, Step, Work};
use crate::pipeline::yaml::{Kind, Node};

impl Expander<'_> {
    /// What a job's definition says, once it is filled in.
    pub(crate) fn fill_job(&mut self, job: &mut Job, body: &Node, [before, after]: [Vec<Step>; 2]) {
        if let Some(executor) = body.get("executor") {
            self.executor(executor, job);
        }
        self.execution(body, job);
        if job.executor.kind == ExecutorKind::None {
            let what = format!(
                "the job `{}` has neither an executor nor docker nor machine",
                job.definition
            );
            self.problem(body.line, what);
        }
        match body.get("steps") {
            Some(steps) => {
                let steps = self.steps(steps, 0);
                job.work = Work::Steps([before, steps, after].concat());
            }
            None => self.problem(body.line, format!("the job `{}` has no steps", job.definition)),
        }
    }

    /// A named executor, alone or with parameters.
    fn executor(&mut self, executor: &Node, job: &mut Job) {
        let name = executor
            .get("name")
            .unwrap_or(executor)
            .scalar()
            .unwrap_or_default();
        let given: Vec<_> = executor
            .entries()
            .iter()
            .filter(|(key, _)| key.name != "name")
            .cloned()
            .collect();
        if let Some(definition) = self.config.executor(&name) {
            self.used.executors.insert(name.clone());
            let what = format!("the executor `{name}`");
            let arguments = bind(
                &definition.parameters,
                &given,
                &what,
                executor.line,
                &mut self.problems,
            );
            let body = self.fill(&definition.body, Some(&arguments), &BTreeMap::new());
            self.execution(&body, job);
        } else {
            self.problem(executor.line, format!("undefined executor `{name}`"));
        }
    }

    /// What an executor and a job may both say.
    fn execution(&mut self, body: &Node, job: &mut Job) {
        if let Some(docker) = body.get("docker") {
            let images = docker.items().iter();
            let images = images.filter_map(|image| image.get("image")?.scalar());
            job.executor.kind = ExecutorKind::Docker {
                images: images.collect(),
            };
        }
        if let Some(machine) = body.get("machine") {
            job.executor.kind = ExecutorKind::Machine {
                image: machine.get("image").and_then(Node::scalar).unwrap_or_default(),
            };
        }
        let text = |key: &str| body.get(key).and_then(Node::scalar);
        let executor = &mut job.executor;
        executor.resource_class = text("resource_class").or(executor.resource_class.take());
        job.working_directory = text("working_directory").or(job.working_directory.take());
        let environment = self.environment(body);
        job.environment.extend(environment);
    }

    /// The variables below `environment`. CircleCI writes `<nil>` for a pipeline value that the push does not have.
    pub(crate) fn environment(&mut self, body: &Node) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for (key, value) in body.get("environment").map(Node::entries).unwrap_or_default() {
            match (&value.kind, value.scalar()) {
                (Kind::Null, _) => drop(environment.insert(key.name.clone(), "<nil>".to_owned())),
                (_, Some(value)) => drop(environment.insert(key.name.clone(), value)),
                (_, None) => {
                    let what = format!("the variable `{}` cannot be {}", key.name, value.describe());
                    self.problem(key.line, what);
                }
            }
        }
        environment
    }
}
