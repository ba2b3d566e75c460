//! Why an image cannot be read.

use std::{error, fmt, io};

use crate::text::shown;

/// Where something is wrong, and what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    place: String,
    problem: String,
}

impl Error {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// Of an error while reading `place`, which can repeat what it could not read.
    pub(crate) fn io(place: impl Into<String>, error: &io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it breaks off".to_owned(),
            _ => shown(&error.to_string()),
        };
        Self::new(place, problem)
    }

    /// Puts what it is a part of before the place.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.place = format!("{outer}: {}", self.place);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl error::Error for Error {}
