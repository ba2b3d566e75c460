//! The steps of a job, with commands replaced by what they consist of.

use std::collections::BTreeMap;

use crate::pipeline::circleci::arguments::bind;
use crate::pipeline::circleci::expand::Expander;
use crate::pipeline::circleci::{Action, Run, Step, When};
use crate::pipeline::orbs::{Orb, Role};
use crate::pipeline::yaml::{Key, Kind, Node};

/// Commands in commands; more are one that calls itself.
const DEPTH: usize = 20;

impl Expander<'_> {
    /// The steps of a list that is filled in.
    pub(crate) fn steps(&mut self, list: &Node, depth: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        if depth > DEPTH {
            self.problem(list.line, "a command calls itself");
            return steps;
        }
        if !matches!(list.kind, Kind::List(_)) {
            self.problem(
                list.line,
                format!("steps have to be a list, and this is {}", list.describe()),
            );
        }
        for item in list.items() {
            match (&item.kind, item.entries()) {
                (Kind::Text(name), _) => {
                    let nothing = Node::of(item.line, Kind::Null);
                    self.step(name, &nothing, item.line, depth, &mut steps);
                }
                (_, [(key, value)]) => self.step(&key.name, value, key.line, depth, &mut steps),
                _ => self.problem(
                    item.line,
                    "a step has to be a name, alone or with what it is given",
                ),
            }
        }
        steps
    }

    fn step(&mut self, name: &str, given: &Node, line: usize, depth: usize, steps: &mut Vec<Step>) {
        if name == "run" {
            steps.extend(self.run(given, line).map(|action| Step { line, action }));
        } else if let Some(action) = self.builtin(name, given, line) {
            steps.push(Step { line, action });
        } else if name == "when" || name == "unless" {
            if let Err(problem) = given.only("a conditional step", &["condition", "steps"]) {
                self.problems.insert(problem);
            }
            let (Some(condition), Some(list)) = (given.get("condition"), given.get("steps")) else {
                self.problem(line, "a conditional step needs a condition and steps");
                return;
            };
            let holds = self.holds(condition);
            // Expanded in either case: what is wrong with them is wrong on any branch.
            let conditional = self.steps(list, depth + 1);
            if holds == (name == "when") {
                steps.extend(conditional);
            }
        } else if name == "steps" {
            steps.extend(self.steps(given, depth + 1));
        } else if let Some((alias, element)) = name.split_once('/') {
            let given = given.entries();
            if let Some((orb, parameters)) = self.orb_element(alias, element, Role::Command, given, line) {
                let parameters = parameters.into_iter();
                let parameters = parameters.filter_map(|(name, value)| Some((name, value.scalar()?)));
                let action = Action::Orb {
                    name: format!("{orb}/{element}"),
                    parameters: parameters.collect(),
                };
                steps.push(Step { line, action });
            }
        } else if let Some(command) = self.config.command(name) {
            self.used.commands.insert(name.to_owned());
            let what = format!("the command `{name}`");
            let arguments = bind(
                &command.parameters,
                given.entries(),
                &what,
                line,
                &mut self.problems,
            );
            let body = self.fill(&command.body, Some(&arguments), &BTreeMap::new());
            match body.get("steps") {
                Some(list) => steps.extend(self.steps(list, depth + 1)),
                None => self.problem(command.line, format!("{what} has no steps")),
            }
        } else {
            self.problem(line, format!("undefined command `{name}`"));
        }
    }

    /// A command or a job of an orb: the orb's name without its namespace, and the value of each parameter.
    pub(crate) fn orb_element(
        &mut self,
        alias: &str,
        element: &str,
        role: Role,
        given: &[(Key, Node)],
        line: usize,
    ) -> Option<(&'static str, BTreeMap<String, Node>)> {
        let config = self.config;
        let Some(import) = config.orbs.iter().find(|import| import.alias == alias) else {
            self.problem(line, format!("undefined orb `{alias}`"));
            return None;
        };
        self.used.orbs.insert(alias.to_owned());
        // A release that the table does not describe is a finding of its own.
        let orb = Orb::find(&import.name)?;
        let word = if role == Role::Job { "job" } else { "command" };
        let Some(parameters) = orb.parameters(role, element) else {
            let names = orb.names(role).join(", ");
            let what = format!(
                "the orb `{}` has no {word} `{element}` that is known here: {names}",
                import.name
            );
            self.problem(line, what);
            return None;
        };
        let what = format!("the {word} `{alias}/{element}`");
        let values = bind(&parameters, given, &what, line, &mut self.problems);
        let name = orb.name.rsplit('/').next().unwrap_or(orb.name);
        Some((name, values))
    }

    /// What CircleCI brings itself, beside `run`.
    fn builtin(&mut self, name: &str, given: &Node, line: usize) -> Option<Action> {
        let keys: &[&str] = match name {
            "checkout" => &["path", "method"],
            "attach_workspace" => &["at"],
            "persist_to_workspace" => &["root", "paths"],
            "store_test_results" => &["path"],
            "store_artifacts" => &["path", "destination"],
            "save_cache" => &["key", "paths", "name", "when"],
            "restore_cache" => &["key", "keys", "name"],
            "setup_remote_docker" => &["version", "docker_layer_caching"],
            "add_ssh_keys" => &["fingerprints"],
            _ => return None,
        };
        if let Err(problem) = given.only(&format!("the step `{name}`"), keys) {
            self.problems.insert(problem);
        }
        let mut needs = |key: &str| {
            let value = given.get(key).and_then(Node::scalar);
            value.unwrap_or_else(|| {
                self.problem(line, format!("the step `{name}` needs `{key}`"));
                String::new()
            })
        };
        let list = |key: &str| given.get(key).map(Node::scalars).unwrap_or_default();
        Some(match name {
            "checkout" => Action::Checkout,
            "attach_workspace" => Action::AttachWorkspace { at: needs("at") },
            "persist_to_workspace" => Action::PersistToWorkspace {
                root: needs("root"),
                paths: list("paths"),
            },
            "store_test_results" => Action::StoreTestResults { path: needs("path") },
            "store_artifacts" => Action::StoreArtifacts { path: needs("path") },
            "save_cache" | "restore_cache" => Action::Cache,
            "setup_remote_docker" => Action::SetupRemoteDocker,
            _ => Action::AddSshKeys,
        })
    }

    fn run(&mut self, given: &Node, line: usize) -> Option<Action> {
        let keys = [
            "name",
            "command",
            "environment",
            "when",
            "working_directory",
            "background",
            "no_output_timeout",
        ];
        if let Err(problem) = given.only("the step `run`", &keys) {
            self.problems.insert(problem);
        }
        let text = |key: &str| given.get(key).and_then(Node::scalar);
        let Some(command) = given.scalar().or_else(|| text("command")) else {
            self.problem(line, "the step `run` needs a command");
            return None;
        };
        let when = match text("when").as_deref() {
            None | Some("on_success") => When::OnSuccess,
            Some("on_fail") => When::OnFail,
            Some("always") => When::Always,
            Some(other) => {
                let what = format!("`when` has to be on_success, on_fail or always, and is `{other}`");
                self.problem(line, what);
                When::OnSuccess
            }
        };
        Some(Action::Run(Run {
            name: text("name"),
            command,
            environment: self.environment(given),
            when,
            working_directory: text("working_directory"),
            background: text("background").as_deref() == Some("true"),
        }))
    }
}
