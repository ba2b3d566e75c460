//! CircleCI's configuration by itself: what its names lead to, and what nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::circleci::{Config, Definition, Expansion, Parameter, Values, expand_all, placeholders};
use crate::pipeline::lint::{CIRCLECI, CIRCLECI_ROLE, Report, Sources, jobs, traps};
use crate::pipeline::orbs::Orb;
use crate::pipeline::yaml::Node;

/// Parameters that CircleCI does not let a job have: they would be taken for keys of the workflow.
const RESERVED: &[&str] = &["name", "requires", "context", "type", "filters", "matrix"];

/// Reports what is wrong, and returns what becomes of a push to the branch that is deployed; nothing if the file cannot be
/// read at all.
pub(crate) fn check(sources: &Sources, report: &mut Report) -> Option<Expansion> {
    let root = sources.yaml(CIRCLECI, report)?;
    let config = match Config::read(root) {
        Ok(config) => config,
        Err(problem) => {
            report.problem(CIRCLECI, problem);
            return None;
        }
    };
    orbs(&config, report);
    let branch = default_branch(sources);
    let released = expand_all(&config, &push(&branch, ""));
    let others = [push("another-branch", ""), push("", "v1.0.0")].map(|values| expand_all(&config, &values));
    for expansion in others.iter().chain([&released]) {
        for problem in &expansion.problems {
            report.problem(CIRCLECI, problem.clone());
        }
    }
    unused(&config, &released, report);
    unused_parameters(&config, root, report);
    commands(root, report);
    jobs::check(sources, &released, &others, &branch, report);
    for job in released.jobs.iter().chain(&released.left_out) {
        traps::job(job, report);
    }
    Some(released)
}

/// What stands in the text of commands.
fn commands(node: &Node, report: &mut Report) {
    for (key, value) in node.entries() {
        match value.as_text() {
            Some(text) if key.name == "command" || key.name == "run" => command(text, value.line, report),
            _ => commands(value, report),
        }
    }
    for item in node.items() {
        commands(item, report);
    }
}

/// Whoever may start a pipeline chooses its parameters, without a commit that anybody has seen: in a command's text one would be
/// run, with the credentials that the job has. In the environment it is a value.
fn command(text: &str, line: usize, report: &mut Report) {
    for (_, _, placeholder) in placeholders(text) {
        if let Some(name) = placeholder.strip_prefix("pipeline.parameters.") {
            let what = format!(
                "the command would run whatever the parameter `{name}` says: pass it by `environment`"
            );
            report.add(CIRCLECI, line, what);
        }
    }
    if text.contains("cargo xtask test") && !text.contains("ci/as-root.sh cargo xtask test") {
        report.add(
            CIRCLECI,
            line,
            "runs the tests without root, which their last steps need: ci/as-root.sh does".to_owned(),
        );
    }
}

/// The branch whose pipelines may deploy, by the trust of the role.
fn default_branch(sources: &Sources) -> String {
    let template = sources.yaml(CIRCLECI_ROLE, &mut Report::default());
    let branch = template.and_then(|root| root.at(&["Parameters", "Branch", "Default"])?.scalar());
    branch.unwrap_or_else(|| "main".to_owned())
}

fn push(branch: &str, tag: &str) -> Values {
    let values = [
        ("git.branch", branch),
        ("git.tag", tag),
        ("git.revision", "0123456789abcdef0123456789abcdef01234567"),
        ("git.commit.url", "https://example.org/commit"),
        ("id", "00000000-0000-0000-0000-000000000000"),
        ("number", "1"),
        ("project.slug", "gh/owner/bifora"),
        ("trigger.type", "webhook"),
    ];
    Values {
        pipeline: values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        parameters: BTreeMap::new(),
    }
}

fn orbs(config: &Config, report: &mut Report) {
    for import in &config.orbs {
        match Orb::find(&import.name) {
            None => report.add(
                CIRCLECI,
                import.line,
                format!(
                    "the parameters of the orb `{}` are not known: add them to orbs.rs",
                    import.name
                ),
            ),
            Some(orb) if orb.version != import.version => report.add(
                CIRCLECI,
                import.line,
                format!(
                    "`{}` is used at {}, and its parameters are known of {}: compare and update orbs.rs",
                    import.name, import.version, orb.version
                ),
            ),
            Some(_) => {}
        }
    }
}

fn unused(config: &Config, expansion: &Expansion, report: &mut Report) {
    let used = &expansion.used;
    let orbs = config.orbs.iter().map(|orb| (orb.line, orb.alias.as_str()));
    let groups = config
        .groups
        .iter()
        .map(|group| (group.line, group.name.as_str()));
    let named = |definitions: &'_ [Definition]| -> Vec<(usize, String)> {
        let names = definitions.iter();
        names
            .map(|definition| (definition.line, definition.name.clone()))
            .collect()
    };
    let owned = |names: &mut dyn Iterator<Item = (usize, &str)>| -> Vec<(usize, String)> {
        names.map(|(line, name)| (line, name.to_owned())).collect()
    };
    for (what, defined, used) in [
        ("orb", owned(&mut orbs.into_iter()), &used.orbs),
        ("executor", named(&config.executors), &used.executors),
        ("command", named(&config.commands), &used.commands),
        ("job", named(&config.jobs), &used.jobs),
        ("job group", owned(&mut groups.into_iter()), &used.groups),
    ] {
        for (line, name) in defined {
            if !used.contains(&name) {
                report.add(CIRCLECI, line, format!("unused {what} `{name}`"));
            }
        }
    }
}

fn unused_parameters(config: &Config, root: &Node, report: &mut Report) {
    // An expression names them without angle brackets, so any mention counts for those of the pipeline.
    let mut texts = String::new();
    root.visit_texts(&mut |_, text| {
        texts.push_str(text);
        texts.push('\n');
    });
    for parameter in &config.parameters {
        let name = format!("pipeline.parameters.{}", parameter.name);
        let mentioned = texts.match_indices(&name).any(|(start, _)| {
            let rest = &texts[start + name.len()..];
            !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c))
        });
        if !mentioned {
            report.add(
                CIRCLECI,
                parameter.line,
                format!("unused parameter `{}` of the pipeline", parameter.name),
            );
        }
    }
    let definitions = config
        .jobs
        .iter()
        .chain(&config.commands)
        .chain(&config.executors);
    for definition in definitions {
        let mut mentioned = BTreeSet::new();
        definition.body.visit_texts(&mut |_, text| {
            let names = placeholders(text).into_iter();
            let names = names.filter_map(|(_, _, name)| name.strip_prefix("parameters."));
            mentioned.extend(names.map(str::to_owned));
        });
        for Parameter { line, name, .. } in &definition.parameters {
            if !mentioned.contains(name) {
                report.add(
                    CIRCLECI,
                    *line,
                    format!("unused parameter `{name}` of `{}`", definition.name),
                );
            }
            if RESERVED.contains(&name.as_str()) {
                report.add(CIRCLECI, *line, format!("a parameter cannot be called `{name}`"));
            }
        }
    }
}
