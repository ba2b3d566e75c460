//! What a job, a command, an executor or an orb's element is given, held against what it declares.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::circleci::{Parameter, ParameterKind};
use crate::pipeline::yaml::{Key, Kind, Node, Problem};

/// The value of each parameter: the given one or the default. Notes what is unknown, missing or of a wrong type.
pub(crate) fn bind(
    parameters: &[Parameter],
    given: &[(Key, Node)],
    what: &str,
    line: usize,
    problems: &mut BTreeSet<Problem>,
) -> BTreeMap<String, Node> {
    for (key, value) in given {
        match parameters.iter().find(|parameter| parameter.name == key.name) {
            None => {
                let what = format!("{what} has no parameter `{}`", key.name);
                problems.insert(Problem::new(key.line, what));
            }
            Some(parameter) => {
                if let Some(wanted) = parameter.kind.refuses(value) {
                    let what = format!(
                        "the parameter `{}` of {what} has to be {wanted}, and is {}",
                        key.name,
                        value.describe()
                    );
                    problems.insert(Problem::new(key.line, what));
                }
            }
        }
    }
    let mut values = BTreeMap::new();
    for parameter in parameters {
        let value = given.iter().find(|(key, _)| key.name == parameter.name);
        if let Some(value) = value.map(|(_, value)| value).or(parameter.default.as_ref()) {
            values.insert(parameter.name.clone(), value.clone());
        } else {
            let what = format!("{what} needs the parameter `{}`", parameter.name);
            problems.insert(Problem::new(line, what));
        }
    }
    values
}

impl ParameterKind {
    /// What the value would have to be, unless it is.
    pub(crate) fn refuses(&self, value: &Node) -> Option<String> {
        let (fits, wanted) = match (self, &value.kind) {
            // A pipeline value that this push does not have.
            (Self::Text, Kind::Text(_) | Kind::Null)
            | (Self::VariableName, Kind::Text(_))
            | (Self::Boolean, Kind::Boolean(_))
            | (Self::Integer, Kind::Integer(_))
            | (Self::Steps, Kind::List(_))
            | (Self::Executor, Kind::Text(_) | Kind::Map(_)) => (true, ""),
            (Self::Enum(values), _) => {
                let fits = value.scalar().is_some_and(|value| values.contains(&value));
                return (!fits).then(|| format!("one of {}", values.join(", ")));
            }
            (Self::Text, _) => (false, "a text"),
            (Self::VariableName, _) => (false, "the name of a variable"),
            (Self::Boolean, _) => (false, "true or false"),
            (Self::Integer, _) => (false, "a number"),
            (Self::Steps, _) => (false, "a list of steps"),
            (Self::Executor, _) => (false, "an executor"),
        };
        (!fits).then(|| wanted.to_owned())
    }
}
