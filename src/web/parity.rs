//! `/parity`: whether this architecture gives the same results as the other; the table for browsers, the same as JSON for
//! everyone else, as by `/api/parity`. Whoever asks before they are computed waits for them.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;

use super::{App, negotiate, snapshot};
use crate::arch::Arch;
use crate::parity::{Difference, Outcome, Parity, Vector, cited, names};

#[derive(Template)]
#[template(path = "parity.html")]
struct ParityPage<'a> {
    arch: Arch,
    parity: &'a Parity,
    subjects: Vec<Subject<'a>>,
    differences: Vec<(&'a Difference, Option<Source<'a>>)>,
    all: usize,
    differ: Vec<&'a str>,
    missing: Vec<&'a str>,
}

/// Vectors that belong together.
struct Subject<'a> {
    title: &'a str,
    lines: Vec<Line<'a>>,
}

/// A vector in the table.
struct Line<'a> {
    number: usize,
    vector: &'a Vector,
    source: Option<Source<'a>>,
}

/// Title and address.
type Source<'a> = (&'a str, &'a str);

impl Line<'_> {
    /// The part of the digest that is always shown, and the one that is shown when the visitor wants it.
    fn digest(&self) -> Option<(&str, &str)> {
        self.vector.digest.as_deref()?.split_at_checked(8)
    }
}

fn subjects(vectors: &[Vector]) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject> = Vec::new();
    for (number, vector) in vectors.iter().enumerate() {
        let source = cited(&vector.source);
        let line = Line {
            number,
            vector,
            source,
        };
        match subjects.last_mut() {
            Some(last) if last.title == vector.subject => last.lines.push(line),
            _ => subjects.push(Subject {
                title: &vector.subject,
                lines: vec![line],
            }),
        }
    }
    subjects
}

/// Bodies, ready to send.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    page: Bytes,
    json: Bytes,
}

impl Bodies {
    pub(super) fn new(parity: &Parity) -> Self {
        let page = ParityPage {
            arch: parity.who.arch,
            parity,
            subjects: subjects(&parity.vectors),
            differences: parity
                .differences
                .iter()
                .map(|it| (it, cited(&it.source)))
                .collect(),
            all: parity.vectors.len(),
            differ: names(&parity.vectors, Outcome::Differs),
            missing: names(&parity.vectors, Outcome::NotComputed),
        };
        Self {
            page: super::render(&page),
            json: snapshot::json(parity),
        }
    }
}

/// The bodies, as soon as they are there. The edge bounds the wait.
async fn bodies(app: &App) -> Bodies {
    app.computed.wait().await;
    let snapshot = app.snapshot.load();
    snapshot
        .parity
        .clone()
        .expect("it is set when the snapshot has them, and no later one is without")
}

/// What must come out the same on both architectures, and what may differ, for people or for programs.
#[utoipa::path(get, path = "/parity", tag = "system", responses(
    (status = 200, description = "Results beside the expected ones; for browsers the parity page", body = Parity),
    (status = 408, description = "The results are computed once at start, and were not there in time"),
))]
pub async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    let bodies = bodies(&app).await;
    negotiate::page_or_json(request.headers(), || bodies.page, || bodies.json)
}

/// What must come out the same on both architectures, and what may differ.
#[utoipa::path(get, path = "/api/parity", tag = "system", responses(
    (status = 200, description = "Results beside the expected ones", body = Parity),
    (status = 408, description = "The results are computed once at start, and were not there in time"),
))]
pub async fn api(State(app): State<Arc<App>>) -> Response {
    negotiate::json(bodies(&app).await.json)
}
