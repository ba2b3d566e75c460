//! `<< … >>`: what stands between the angle brackets, and what stands in its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::yaml::{Kind, Node, Problem};

/// What a push brings: `git.branch` is `main`. The parameters of the pipeline are given without `parameters.`
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    /// Below `pipeline.`; what is left out is empty.
    pub(crate) pipeline: BTreeMap<String, String>,
    /// In place of the defaults.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// What can be referred to at one place.
pub(crate) struct Scope<'a> {
    /// `<< parameters.x >>`; there is no such thing in a workflow.
    pub(crate) parameters: Option<&'a BTreeMap<String, Node>>,
    /// `<< matrix.x >>`
    pub(crate) matrix: &'a BTreeMap<String, Node>,
    /// `<< pipeline.x >>`
    pub(crate) values: &'a Values,
    /// The parameters that the pipeline declares, with the value of this run.
    pub(crate) pipeline_parameters: &'a BTreeMap<String, Node>,
}

/// The values of CircleCI's documentation; below these with a dot at the end are more.
const PIPELINE: &[&str] = &[
    "config.file_path",
    "config.ref",
    "config.repository.",
    "config.sha",
    "definition.id",
    "deploy.",
    "event.action",
    "event.context.",
    "event.github.",
    "event.name",
    "git.base_revision",
    "git.branch",
    "git.branch.is_default",
    "git.commit.author_login",
    "git.commit.body",
    "git.commit.subject",
    "git.commit.url",
    "git.repo_id",
    "git.repo_name",
    "git.repo_owner",
    "git.repo_url",
    "git.revision",
    "git.tag",
    "id",
    "name",
    "number",
    "project.git_url",
    "project.slug",
    "project.type",
    "schedule.id",
    "schedule.name",
    "trigger.id",
    "trigger.received_at",
    "trigger.type",
    "trigger_parameters.",
];

impl Scope<'_> {
    /// `node` with everything filled in. What cannot be is left as it is, and noted.
    pub(crate) fn fill(&self, node: &Node, problems: &mut BTreeSet<Problem>) -> Node {
        let kind = match &node.kind {
            Kind::Text(text) => match placeholders(text).as_slice() {
                // Alone, it keeps its type.
                [(start, end, name)] if *start == 0 && *end == text.len() => {
                    let value = self.value(name, node.line, problems);
                    let mut value = value.unwrap_or_else(|| Node::text(node.line, text.clone()));
                    value.line = node.line;
                    return value;
                }
                _ => Kind::Text(self.fill_text(text, node.line, problems)),
            },
            Kind::List(items) => Kind::List(items.iter().map(|item| self.fill(item, problems)).collect()),
            Kind::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, value)| (key.clone(), self.fill(value, problems)));
                Kind::Map(entries.collect())
            }
            other => other.clone(),
        };
        Node {
            line: node.line,
            tag: node.tag.clone(),
            kind,
        }
    }

    fn fill_text(&self, text: &str, line: usize, problems: &mut BTreeSet<Problem>) -> String {
        let mut result = String::new();
        let mut rest = 0;
        for (start, end, name) in placeholders(text) {
            result.push_str(&text[rest..start]);
            match self.value(name, line, problems) {
                Some(value) if matches!(value.kind, Kind::List(_) | Kind::Map(_)) => {
                    let what = format!(
                        "<< {name} >> is {}, and cannot stand inside a text",
                        value.describe()
                    );
                    problems.insert(Problem::new(line, what));
                }
                Some(value) => result.push_str(&value.scalar().unwrap_or_default()),
                None => result.push_str(&text[start..end]),
            }
            rest = end;
        }
        result.push_str(&text[rest..]);
        if result.replace("\\<<", "").contains("<<") && text.replace("\\<<", "").contains("<<") {
            let unfilled = placeholders(&result).is_empty();
            if unfilled {
                let what = "CircleCI takes << for the start of << parameters.x >>; in a shell command it has to be \\<<";
                problems.insert(Problem::new(line, what));
            }
        }
        result.replace("\\<<", "<<")
    }

    /// The value of a name, such as `pipeline.git.branch`; noted as a problem if there is none.
    pub(crate) fn value(&self, name: &str, line: usize, problems: &mut BTreeSet<Problem>) -> Option<Node> {
        let mut unknown = |what: String| {
            problems.insert(Problem::new(line, what));
            None
        };
        if let Some(name) = name.strip_prefix("pipeline.parameters.") {
            let value = self.pipeline_parameters.get(name).cloned();
            return value.or_else(|| unknown(format!("undefined parameter `{name}` of the pipeline")));
        }
        if let Some(name) = name.strip_prefix("pipeline.") {
            if name == "trigger_source" {
                return unknown(
                    "pipeline.trigger_source is out of support: use pipeline.trigger.type".to_owned(),
                );
            }
            let known = PIPELINE
                .iter()
                .any(|known| *known == name || (known.ends_with('.') && name.starts_with(known)));
            if !known {
                return unknown(format!("there is no pipeline value pipeline.{name}"));
            }
            let value = self.values.pipeline.get(name).map_or("", String::as_str);
            return Some(match (name, value) {
                (_, "") => Node::of(line, Kind::Null),
                ("number", _) => value.parse().map_or_else(
                    |_| Node::text(line, value),
                    |number| Node::of(line, Kind::Integer(number)),
                ),
                (_, "true" | "false") => Node::of(line, Kind::Boolean(value == "true")),
                _ => Node::text(line, value),
            });
        }
        if let Some(name) = name.strip_prefix("matrix.") {
            let value = self.matrix.get(name).cloned();
            return value.or_else(|| unknown(format!("undefined parameter `{name}` of the matrix")));
        }
        if let Some(name) = name.strip_prefix("parameters.") {
            let value = self
                .parameters
                .and_then(|parameters| parameters.get(name))
                .cloned();
            return value.or_else(|| unknown(format!("undefined parameter `{name}`")));
        }
        unknown(format!("<< {name} >> is nothing that CircleCI fills in"))
    }
}

/// The `<< name >>` of a text: where each starts and ends, and the name.
pub(crate) fn placeholders(text: &str) -> Vec<(usize, usize, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("<<").map(|start| from + start) {
        from = start + 2;
        if text[..start].ends_with('\\') {
            continue;
        }
        let Some(length) = text[from..].find(">>") else {
            break;
        };
        let name = text[from..from + length].trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !name.is_empty() && name.chars().all(is_name) {
            found.push((start, from + length + 2, name));
            from += length + 2;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> (Node, Vec<String>) {
        let parameters = BTreeMap::from([
            ("arch".to_owned(), Node::text(1, "amd64")),
            ("count".to_owned(), Node::of(1, Kind::Integer(3))),
        ]);
        let mut problems = BTreeSet::new();
        let scope = Scope {
            parameters: Some(&parameters),
            matrix: &BTreeMap::new(),
            values: &Values {
                pipeline: BTreeMap::from([("git.branch".to_owned(), "main".to_owned())]),
                parameters: BTreeMap::new(),
            },
            pipeline_parameters: &BTreeMap::new(),
        };
        let node = scope.fill(&Node::text(7, text), &mut problems);
        (node, problems.into_iter().map(|problem| problem.what).collect())
    }

    #[test]
    fn names_are_filled_in_with_their_type_or_as_text() {
        let (node, problems) = fill("<< parameters.count >>");
        assert!(matches!(node.kind, Kind::Integer(3)) && node.line == 7 && problems.is_empty());
        let (node, problems) = fill("a-<<parameters.arch>>-<< parameters.count >>-<< pipeline.git.branch >>");
        assert_eq!((node.as_text(), problems.len()), (Some("a-amd64-3-main"), 0));
        let (node, problems) = fill("cat \\<<'E'\nx\nE");
        assert_eq!((node.as_text(), problems.len()), (Some("cat <<'E'\nx\nE"), 0));
    }

    #[test]
    fn what_cannot_be_filled_in_is_noted() {
        for (text, problem) in [
            ("<< parameters.arhc >>", "undefined parameter `arhc`"),
            (
                "x << pipeline.git.brnach >>",
                "no pipeline value pipeline.git.brnach",
            ),
            ("<< pipeline.trigger_source >>", "out of support"),
            ("<< matrix.arch >>", "of the matrix"),
            ("cat <<E\nx\nE", "has to be \\<<"),
        ] {
            let (_, problems) = fill(text);
            assert!(
                problems.len() == 1 && problems[0].contains(problem),
                "{text}: {problems:?}"
            );
        }
    }
}
