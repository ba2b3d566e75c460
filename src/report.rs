//! A report as people read it: sections of labelled facts. The pages and the terminal render the same sections.

use std::fmt;

use crate::link::Link;

/// Facts that belong together, under a heading.
#[derive(Clone, Debug)]
pub struct Section {
    /// A name for links and tests.
    pub id: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What must be said about the section as a whole.
    pub note: Option<String>,
    /// The facts, in order.
    pub rows: Vec<Row>,
}

/// One labelled fact.
#[derive(Clone, Debug)]
pub struct Row {
    /// What the fact is about.
    pub label: &'static str,
    /// The fact.
    pub fact: Fact,
}

/// A value, or how it would be known.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The value; `None` is "not known".
    pub text: Option<String>,
    /// Where the value leads.
    pub link: Option<Link>,
    /// One line on how the value would be known; shown when it is not.
    pub how: &'static str,
}

impl Section {
    /// A section without rows.
    pub fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            note: None,
            rows: Vec::new(),
        }
    }

    /// Adds a fact that is always known.
    #[must_use]
    pub fn known(self, label: &'static str, value: impl ToString) -> Self {
        self.row(label, Some(value), "")
    }

    /// Adds a fact that leads nowhere; `how` says how it would be known.
    #[must_use]
    pub fn row(self, label: &'static str, text: Option<impl ToString>, how: &'static str) -> Self {
        self.linked(label, text, None, how)
    }

    /// Adds a fact that may lead somewhere.
    #[must_use]
    pub fn linked(
        mut self,
        label: &'static str,
        text: Option<impl ToString>,
        link: Option<Link>,
        how: &'static str,
    ) -> Self {
        let fact = Fact {
            text: text.map(|t| t.to_string()),
            link,
            how,
        };
        self.rows.push(Row { label, fact });
        self
    }
}

/// The section on a terminal: a heading, then a line for each fact.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        if let Some(note) = &self.note {
            writeln!(f, "  {note}")?;
        }
        let width = self
            .rows
            .iter()
            .map(|row| row.label.chars().count())
            .max()
            .unwrap_or(0);
        for Row { label, fact } in &self.rows {
            match &fact.text {
                Some(text) => writeln!(f, "  {label:width$}  {text}")?,
                None => writeln!(f, "  {label:width$}  not known ({})", fact.how)?,
            }
            if let Some(link) = fact
                .link
                .as_ref()
                .filter(|link| Some(link.as_str()) != fact.text.as_deref())
            {
                writeln!(f, "  {:width$}  {link}", "")?;
            }
        }
        Ok(())
    }
}
