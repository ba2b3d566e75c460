//! What schemas miss: every name leads somewhere, everything declared is used, what one step needs another has made, and
//! nothing is in the files that is known to go wrong.

mod actions;
mod agreement;
mod buildspec;
mod circleci;
mod codepipeline;
mod jobs;
#[cfg(test)]
mod mutations;
mod permissions;
mod scripts;
mod surroundings;
mod traps;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

use crate::pipeline::lint::scripts::ScriptFile;
use crate::pipeline::yaml::{self, Node, Problem};

/// Names the facts of a run that it takes.
const DOCKERFILE: &str = "Dockerfile";
const CIRCLECI: &str = ".circleci/config.yml";
const SERVICE: &str = "infra/cloudformation/service.yml";
const CIRCLECI_ROLE: &str = "infra/cloudformation/circleci.yml";
const CODEPIPELINE: &str = "infra/cloudformation/codepipeline.yml";

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// From the root of the repository.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Everything that is wrong with the pipelines of the repository at `root`, by file and line.
pub(crate) fn lint(root: &Path) -> Vec<Finding> {
    check(&Sources::read(root))
}

fn check(sources: &Sources) -> Vec<Finding> {
    let mut report = Report::default();
    let circleci = circleci::check(sources, &mut report);
    let codepipeline = codepipeline::check(sources, &mut report);
    agreement::check(sources, circleci.as_ref(), codepipeline.as_ref(), &mut report);
    no_keys(sources, &mut report);
    report.findings.into_iter().collect()
}

/// The files of both pipelines, by their path from the root of the repository.
#[derive(Clone, Debug, Default)]
struct Sources {
    files: BTreeMap<String, Source>,
}

#[derive(Clone, Debug)]
struct Source {
    text: String,
    executable: bool,
    /// What is in it, once somebody has asked.
    tree: OnceCell<Result<Node, Problem>>,
    script: OnceCell<Rc<ScriptFile>>,
}

impl Source {
    fn new(text: String, executable: bool) -> Self {
        Self {
            text,
            executable,
            tree: OnceCell::new(),
            script: OnceCell::new(),
        }
    }
}

impl Sources {
    /// What cannot be read is left out, and missed by whoever needs it.
    fn read(root: &Path) -> Self {
        let mut paths: Vec<String> = [DOCKERFILE, CIRCLECI, SERVICE, CIRCLECI_ROLE, CODEPIPELINE]
            .map(str::to_owned)
            .to_vec();
        for (folder, prefix) in [("", "buildspec"), ("ci/", "")] {
            let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let names = names.filter(|name| name.starts_with(prefix));
            let names = names.filter(|name| matches!(name.rsplit_once('.'), Some((_, "sh" | "yml"))));
            paths.extend(names.map(|name| format!("{folder}{name}")));
        }
        let files = paths.into_iter().filter_map(|path| {
            let text = fs::read_to_string(root.join(&path)).ok()?;
            let mode = fs::metadata(root.join(&path)).ok()?.permissions().mode();
            Some((path, Source::new(text, mode & 0o111 != 0)))
        });
        Self {
            files: files.collect(),
        }
    }

    /// The YAML of a file; a finding if there is none.
    fn yaml(&self, path: &str, report: &mut Report) -> Option<&Node> {
        let Some(source) = self.files.get(path) else {
            report.add(path, 1, "there is no such file, or it cannot be read");
            return None;
        };
        match source.tree.get_or_init(|| yaml::parse(&source.text)) {
            Ok(tree) => Some(tree),
            Err(problem) => {
                report.problem(path, problem.clone());
                None
            }
        }
    }
}

impl Sources {
    /// The build arguments of the Dockerfile that begin so: facts of a run, which somebody has to tell.
    fn facts(&self, prefix: &str) -> Vec<&str> {
        let text = self
            .files
            .get(DOCKERFILE)
            .map_or("", |source| source.text.as_str());
        let mut facts = Vec::new();
        let mut declares = false;
        for line in text.lines() {
            declares |= line.starts_with("ARG ");
            if declares {
                facts.extend(line.split_whitespace().filter(|word| word.starts_with(prefix)));
            }
            declares &= line.ends_with('\\');
        }
        facts
    }
}

/// What was found so far.
#[derive(Default)]
struct Report {
    findings: BTreeSet<Finding>,
}

impl Report {
    fn add(&mut self, file: &str, line: usize, what: impl Into<String>) {
        self.findings.insert(Finding {
            file: file.to_owned(),
            line,
            what: what.into(),
        });
    }

    fn problem(&mut self, file: &str, problem: Problem) {
        self.add(file, problem.line, problem.what);
    }
}

/// Both pipelines take roles. A key that is named anywhere would be one that somebody has to keep.
fn no_keys(sources: &Sources, report: &mut Report) {
    for (path, source) in &sources.files {
        for (index, line) in source.text.lines().enumerate() {
            let is_key = line.match_indices("AKIA").any(|(start, _)| {
                let id = line[start..].chars().take_while(char::is_ascii_alphanumeric);
                id.count() >= 20
            });
            let upper = line.to_ascii_uppercase();
            if is_key || upper.contains("AWS_ACCESS_KEY_ID") || upper.contains("AWS_SECRET_ACCESS_KEY") {
                report.add(path, index + 1, "no static keys of AWS: pipelines take a role");
            }
        }
    }
}
