//! YAML with what the pipelines' files need of it: the line that each value stands on, the tags of `CloudFormation`'s
//! short forms, and an error where a key stands twice, which other readers take silently.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

/// What is wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// From 1.
    pub(crate) line: usize,
    /// A sentence without its full stop.
    pub(crate) what: String,
}

impl Problem {
    pub(crate) fn new(line: usize, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Problem {}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: usize,
    /// What follows the exclamation mark: `Ref` of `!Ref ClusterName`.
    pub(crate) tag: Option<String>,
    pub(crate) kind: Kind,
}

/// What a value is, by the core schema of YAML 1.2.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Also a number with a fraction, as it is written: nothing here calculates with one.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) line: usize,
    pub(crate) name: String,
}

impl Node {
    /// A text that stands on this line.
    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        Self::of(line, Kind::Text(text.into()))
    }

    pub(crate) fn of(line: usize, kind: Kind) -> Self {
        Self {
            line,
            tag: None,
            kind,
        }
    }

    /// The value below `key`, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(name, _)| name.name == key)
            .map(|(_, value)| value)
    }

    /// The value that these keys lead to, one below the other.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The keys and values of a map; nothing of anything else.
    pub(crate) fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; nothing of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, number or truth value as text; nothing of lists, maps and null.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.kind {
            Kind::Boolean(value) => Some(value.to_string()),
            Kind::Integer(value) => Some(value.to_string()),
            Kind::Text(text) => Some(text.clone()),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The scalars of a list, or the one scalar that stands in place of a list.
    pub(crate) fn scalars(&self) -> Vec<String> {
        match &self.kind {
            Kind::List(items) => items.iter().filter_map(Self::scalar).collect(),
            _ => self.scalar().into_iter().collect(),
        }
    }

    /// Calls `visit` with every text below this node, and the line of each; keys are not among them.
    pub(crate) fn visit_texts(&self, visit: &mut impl FnMut(usize, &str)) {
        match &self.kind {
            Kind::Text(text) => visit(self.line, text),
            Kind::List(items) => items.iter().for_each(|item| item.visit_texts(visit)),
            Kind::Map(entries) => entries.iter().for_each(|(_, value)| value.visit_texts(visit)),
            Kind::Null | Kind::Boolean(_) | Kind::Integer(_) => {}
        }
    }

    /// Whether both mean the same, wherever they stand.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::List(left), Kind::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
            }
            (Kind::Map(left), Kind::Map(_)) => {
                left.len() == other.entries().len()
                    && left
                        .iter()
                        .all(|(key, value)| other.get(&key.name).is_some_and(|other| value.same(other)))
            }
            _ => {
                let kinds = std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind);
                kinds && self.scalar() == other.scalar()
            }
        }
    }

    /// What this is, for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Boolean(value) => format!("the truth value {value}"),
            Kind::Integer(value) => format!("the number {value}"),
            Kind::Text(text) => format!("the text `{text}`"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }

    /// Fails at the first key that is none of `known`.
    pub(crate) fn only(&self, what: &str, known: &[&str]) -> Result<(), Problem> {
        for (key, _) in self.entries() {
            if !known.contains(&key.name.as_str()) {
                let what = format!(
                    "`{}` is no key of {what} that is known here; these are {}",
                    key.name,
                    known.join(", ")
                );
                return Err(Problem::new(key.line, what));
            }
        }
        Ok(())
    }
}

/// The one document of a file.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
    };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, _) => return Err(Problem::new(1, "the file is empty")),
            (event, span) => return reader.node(event, span),
        }
    }
}

struct Reader<'text> {
    events: Parser<'text, StrInput<'text>>,
    anchors: HashMap<usize, Node>,
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Span), Problem> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Problem::new(
                error.marker().line(),
                format!("this is not YAML: {}", error.info()),
            )),
            None => Err(Problem::new(1, "the file ends early")),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span) -> Result<Node, Problem> {
        let line = span.start.line();
        let (anchor, tag, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = if style == ScalarStyle::Plain && tag.is_none() {
                    plain(&text)
                } else {
                    Kind::Text(text.into_owned())
                };
                (anchor, tag, kind)
            }
            Event::SequenceStart(anchor, tag) => (anchor, tag, Kind::List(self.items()?)),
            Event::MappingStart(anchor, tag) => (anchor, tag, Kind::Map(self.entries()?)),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                return node.ok_or_else(|| Problem::new(line, "there is no anchor of this name"));
            }
            other => return Err(Problem::new(line, format!("this is not a value: {other:?}"))),
        };
        let node = Node {
            line,
            tag: tag.as_deref().map(short),
            kind,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<(Key, Node)>, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (event, span) => self.node(event, span)?,
            };
            let name = key
                .scalar()
                .ok_or_else(|| Problem::new(key.line, "a key has to be a text"))?;
            if entries.iter().any(|(other, _)| other.name == name) {
                return Err(Problem::new(key.line, format!("the key `{name}` stands twice")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            entries.push((Key { line: key.line, name }, value));
        }
    }
}

fn short(tag: &Tag) -> String {
    tag.suffix.clone()
}

fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Boolean(true),
        "false" | "False" | "FALSE" => Kind::Boolean(false),
        _ => text
            .parse()
            .map_or_else(|_| Kind::Text(text.to_owned()), Kind::Integer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_kinds_lines_and_tags() {
        let node = parse("a: 1\nb: [true, '1', 1.5, ~]\nc:\n  d: !Sub ${X}-amd\n  e: !If [F, |\n").map(drop);
        assert!(node.is_err());
        let node = parse("a: 1\nb: [true, '1', 1.5, ~]\nc:\n  d: !Sub ${X}-amd\n  e: |\n    f\n    g\n")
            .expect("YAML");
        assert_eq!(node.get("a").and_then(Node::scalar).as_deref(), Some("1"));
        let kinds: Vec<_> = node
            .get("b")
            .expect("b")
            .items()
            .iter()
            .map(Node::describe)
            .collect();
        assert_eq!(
            kinds,
            [
                "the truth value true",
                "the text `1`",
                "the text `1.5`",
                "nothing"
            ]
        );
        let d = node.at(&["c", "d"]).expect("d");
        assert_eq!((d.tag.as_deref(), d.line), (Some("Sub"), 4));
        assert_eq!(node.at(&["c", "e"]).and_then(Node::as_text), Some("f\ng\n"));
    }

    #[test]
    fn anchors_are_followed_and_double_keys_are_refused() {
        let node = parse("a: &x {b: 1}\nc: *x\n").expect("YAML");
        assert!(node.get("a").expect("a").same(node.at(&["c"]).expect("followed")));
        let problem = parse("a: 1\nb:\n  c: 1\n  c: 2\n").expect_err("twice");
        assert_eq!(problem, Problem::new(4, "the key `c` stands twice"));
    }
}
