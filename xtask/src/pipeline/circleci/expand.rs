//! From workflows to jobs: groups and matrices taken apart, definitions filled in, and everything in an order that
//! `requires` allows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::pipeline::circleci::arguments::bind;
use crate::pipeline::circleci::config::{Config, Invocation, Workflow};
use crate::pipeline::circleci::expression::holds;
use crate::pipeline::circleci::group::Scheduled;
use crate::pipeline::circleci::substitute::{Scope, Values};
use crate::pipeline::circleci::{Executor, Job, Work};
use crate::pipeline::orbs::Role;
use crate::pipeline::yaml::{Kind, Node, Problem};

/// The keys of a job in a workflow that are not parameters of the job.
const OWN_KEYS: &[&str] = &[
    "requires",
    "name",
    "context",
    "type",
    "filters",
    "matrix",
    "pre-steps",
    "post-steps",
    "serial-group",
];

/// What becomes of a configuration for one push.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    /// Those that run, each behind those that it requires.
    pub(crate) jobs: Vec<Job>,
    /// Those that a filter or a condition leaves out.
    pub(crate) left_out: Vec<Job>,
    pub(crate) problems: BTreeSet<Problem>,
    pub(crate) used: Used,
}

/// The names of what is used by some workflow, on whichever branch.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) commands: BTreeSet<String>,
    pub(crate) executors: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) jobs: BTreeSet<String>,
    pub(crate) orbs: BTreeSet<String>,
}

/// The jobs that run for a push, each behind those that it requires. Fails if anything is wrong with the configuration.
pub(crate) fn expand(config: &Config, values: &Values) -> Result<Vec<Job>> {
    let expansion = expand_all(config, values);
    if !expansion.problems.is_empty() {
        let problems = expansion.problems.iter().map(ToString::to_string);
        bail!("{}", problems.collect::<Vec<_>>().join("\n"));
    }
    Ok(expansion.jobs)
}

/// As [`expand`], with everything that is wrong, and as much of the jobs as can be told all the same.
pub(crate) fn expand_all(config: &Config, values: &Values) -> Expansion {
    let mut expander = Expander {
        config,
        values,
        pipeline_parameters: BTreeMap::new(),
        problems: BTreeSet::new(),
        used: Used::default(),
    };
    expander.bind_pipeline_parameters();
    let mut expansion = Expansion::default();
    for workflow in &config.workflows {
        expander.workflow(workflow, &mut expansion);
    }
    expansion.problems = expander.problems;
    expansion.used = expander.used;
    expansion
}

/// What is collected on the way.
pub(crate) struct Expander<'a> {
    pub(crate) config: &'a Config,
    values: &'a Values,
    pipeline_parameters: BTreeMap<String, Node>,
    pub(crate) problems: BTreeSet<Problem>,
    pub(crate) used: Used,
}

impl<'a> Expander<'a> {
    pub(crate) fn problem(&mut self, line: usize, what: impl Into<String>) {
        self.problems.insert(Problem::new(line, what));
    }

    pub(crate) fn scope<'s>(
        &'s self,
        parameters: Option<&'s BTreeMap<String, Node>>,
        matrix: &'s BTreeMap<String, Node>,
    ) -> Scope<'s> {
        Scope {
            parameters,
            matrix,
            values: self.values,
            pipeline_parameters: &self.pipeline_parameters,
        }
    }

    pub(crate) fn fill(
        &mut self,
        node: &Node,
        parameters: Option<&BTreeMap<String, Node>>,
        matrix: &BTreeMap<String, Node>,
    ) -> Node {
        let mut problems = std::mem::take(&mut self.problems);
        let node = self.scope(parameters, matrix).fill(node, &mut problems);
        self.problems = problems;
        node
    }

    /// Whether a condition that is filled in holds.
    pub(crate) fn holds(&mut self, condition: &Node) -> bool {
        let mut problems = std::mem::take(&mut self.problems);
        let holds = holds(condition, &self.scope(None, &BTreeMap::new()), &mut problems);
        self.problems = problems;
        holds
    }

    fn bind_pipeline_parameters(&mut self) {
        for parameter in &self.config.parameters {
            let Some(default) = &parameter.default else {
                self.problem(
                    parameter.line,
                    format!("the pipeline's parameter `{}` needs a default", parameter.name),
                );
                continue;
            };
            let value = match self.values.parameters.get(&parameter.name) {
                Some(given) => match (&default.kind, given.parse()) {
                    (Kind::Boolean(_), _) => Node::of(default.line, Kind::Boolean(given == "true")),
                    (Kind::Integer(_), Ok(number)) => Node::of(default.line, Kind::Integer(number)),
                    _ => Node::text(default.line, given.as_str()),
                },
                None => default.clone(),
            };
            if let Some(wanted) = parameter.kind.refuses(&value) {
                let what = format!("the pipeline's parameter `{}` has to be {wanted}", parameter.name);
                self.problem(parameter.line, what);
            }
            self.pipeline_parameters.insert(parameter.name.clone(), value);
        }
    }

    fn workflow(&mut self, workflow: &'a Workflow, expansion: &mut Expansion) {
        let mut runs = true;
        for (condition, wanted) in [(&workflow.when, true), (&workflow.unless, false)] {
            if let Some(condition) = condition {
                let condition = self.fill(condition, None, &BTreeMap::new());
                runs &= self.holds(&condition) == wanted;
            }
        }
        let mut scheduled = Vec::new();
        for invocation in &workflow.jobs {
            if self.config.group(&invocation.name).is_some() {
                self.group(invocation, &mut scheduled);
            } else {
                scheduled.extend(self.invocation(invocation));
            }
        }
        let (jobs, left_out) = self.order(&scheduled);
        expansion.left_out.extend(left_out);
        if runs {
            expansion.jobs.extend(jobs);
        } else {
            expansion.left_out.extend(jobs);
        }
    }

    /// One job, or one for each combination of a matrix.
    pub(crate) fn invocation(&mut self, invocation: &Invocation) -> Vec<Scheduled> {
        let combinations = self.matrix(invocation);
        let mut scheduled = Vec::new();
        for matrix in &combinations {
            // The matrix itself is not filled in with its own values.
            let entries = invocation.body.entries().iter();
            let entries = entries.filter(|(key, _)| key.name != "matrix").cloned();
            let body = Node::of(invocation.body.line, Kind::Map(entries.collect()));
            let body = self.fill(&body, None, matrix);
            scheduled.extend(self.scheduled(invocation, &body, matrix));
        }
        scheduled
    }

    fn scheduled(
        &mut self,
        invocation: &Invocation,
        body: &Node,
        matrix: &BTreeMap<String, Node>,
    ) -> Option<Scheduled> {
        let line = invocation.line;
        let name = body.get("name").and_then(Node::scalar).unwrap_or_else(|| {
            let values = matrix.values().filter_map(Node::scalar);
            let words: Vec<_> = std::iter::once(invocation.name.clone()).chain(values).collect();
            words.join("-")
        });
        let included = match body.get("filters") {
            Some(filters) => self.filter(filters),
            None => true,
        };
        let mut given: Vec<_> = body
            .entries()
            .iter()
            .filter(|(key, _)| !OWN_KEYS.contains(&key.name.as_str()))
            .cloned()
            .collect();
        let declared = invocation.body.at(&["matrix", "parameters"]);
        for (key, _) in declared.map(Node::entries).unwrap_or_default() {
            given.extend(matrix.get(&key.name).map(|value| (key.clone(), value.clone())));
        }
        let mut job = Job {
            line,
            name,
            definition: invocation.name.clone(),
            group: None,
            requires: Vec::new(),
            serial_group: body.get("serial-group").and_then(Node::scalar),
            executor: Executor::default(),
            environment: BTreeMap::new(),
            working_directory: None,
            work: Work::Nothing,
        };
        let around = ["pre-steps", "post-steps"].map(|key| match body.get(key) {
            Some(steps) => self.steps(steps, 0),
            None => Vec::new(),
        });
        let kind = body.get("type").and_then(Node::as_text);
        if let Some((alias, element)) = invocation.name.split_once('/') {
            let (orb, mut values) = self.orb_element(alias, element, Role::Job, &given, line)?;
            let [mut before, after] = around;
            if let Some(auth) = values.remove("auth") {
                before.extend(self.steps(&auth, 0));
            }
            let values = values.into_iter();
            job.work = Work::Orb {
                name: format!("{orb}/{element}"),
                parameters: values
                    .filter_map(|(name, value)| Some((name, value.scalar()?)))
                    .collect(),
                before,
                after,
            };
        } else if let Some(definition) = self.config.job(&invocation.name) {
            self.used.jobs.insert(invocation.name.clone());
            let what = format!("the job `{}`", invocation.name);
            let arguments = bind(&definition.parameters, &given, &what, line, &mut self.problems);
            let body = self.fill(&definition.body, Some(&arguments), &BTreeMap::new());
            self.fill_job(&mut job, &body, around);
        } else if !matches!(kind, Some("approval" | "no-op")) {
            self.problem(line, format!("undefined job `{}`", invocation.name));
            return None;
        }
        Some(Scheduled {
            job,
            line,
            names: Scheduled::names(invocation),
            requires: self.required(body),
            included,
        })
    }

    /// Whether a job runs on this branch or tag.
    pub(crate) fn filter(&mut self, filters: &Node) -> bool {
        if matches!(filters.kind, Kind::Text(_)) {
            return self.holds(filters);
        }
        let mut included = true;
        for (key, rules) in filters.entries() {
            let value = match key.name.as_str() {
                "branches" => self.values.pipeline.get("git.branch"),
                "tags" => self.values.pipeline.get("git.tag"),
                other => {
                    self.problem(key.line, format!("`{other}` is no filter"));
                    continue;
                }
            };
            for (key, names) in rules.entries() {
                let names = names.scalars();
                if names.iter().any(|name| name.starts_with('/')) {
                    self.problem(
                        key.line,
                        "patterns in filters are not understood here: use an expression",
                    );
                }
                let among = value.is_some_and(|value| names.contains(value));
                included &= among == (key.name == "only");
            }
        }
        // Without a filter for tags nothing runs for one.
        let has_tag = self
            .values
            .pipeline
            .get("git.tag")
            .is_some_and(|tag| !tag.is_empty());
        included && (!has_tag || filters.get("tags").is_some())
    }

    /// Every combination of a matrix; one without values if there is no matrix.
    fn matrix(&mut self, invocation: &Invocation) -> Vec<BTreeMap<String, Node>> {
        let mut combinations = vec![BTreeMap::new()];
        let Some(matrix) = invocation.body.get("matrix") else {
            return combinations;
        };
        if let Err(problem) = matrix.only("a matrix", &["parameters", "exclude", "alias"]) {
            self.problems.insert(problem);
        }
        let matrix = self.fill(matrix, None, &BTreeMap::new());
        for (key, values) in matrix.get("parameters").map(Node::entries).unwrap_or_default() {
            let declared = self.config.job(&invocation.name);
            if declared.is_some_and(|job| job.parameters.iter().all(|known| known.name != key.name)) {
                let what = format!(
                    "the matrix gives `{}`, and the job `{}` has no such parameter",
                    key.name, invocation.name
                );
                self.problem(key.line, what);
            }
            combinations = combinations
                .iter()
                .flat_map(|combination| {
                    values.items().iter().map(|value| {
                        let mut combination = combination.clone();
                        combination.insert(key.name.clone(), value.clone());
                        combination
                    })
                })
                .collect();
        }
        let excluded = matrix.get("exclude").map(Node::items).unwrap_or_default();
        combinations.retain(|combination| {
            !excluded.iter().any(|excluded| {
                let entries = excluded.entries();
                entries
                    .iter()
                    .all(|(key, value)| combination.get(&key.name).is_some_and(|own| own.same(value)))
            })
        });
        combinations
    }
}
