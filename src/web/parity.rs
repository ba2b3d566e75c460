//! `/parity`: whether this architecture gives the same results as the other; the table for browsers, the same as JSON for
//! everyone else, as by `/api/parity`. Whoever asks before they are computed waits for them.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;

use super::{App, negotiate, snapshot};
use crate::arch::Arch;
use crate::parity::{Difference, Outcome, Parity, Vector, cited};

#[derive(Template)]
#[template(path = "parity.html")]
struct ParityPage<'a> {
    arch: Arch,
    parity: &'a Parity,
    subjects: Vec<Subject<'a>>,
    verdict: Verdict<'a>,
}

/// Vectors that belong together.
struct Subject<'a> {
    title: &'a str,
    vectors: Vec<&'a Vector>,
}

/// What one task's results say by themselves.
struct Verdict<'a> {
    all: usize,
    differ: Vec<&'a str>,
    missing: Vec<&'a str>,
}

impl<'a> Verdict<'a> {
    fn new(vectors: &'a [Vector]) -> Self {
        let named = |outcome| {
            let of_it = vectors.iter().filter(|vector| vector.outcome() == outcome);
            of_it.map(|vector| vector.name.as_str()).collect()
        };
        Self {
            all: vectors.len(),
            differ: named(Outcome::Differs),
            missing: named(Outcome::NotComputed),
        }
    }
}

/// Bodies, ready to send.
#[derive(Debug)]
pub(super) struct Bodies {
    page: Bytes,
    json: Bytes,
}

impl Bodies {
    pub(super) fn new(parity: &Parity) -> Self {
        let mut subjects: Vec<Subject> = Vec::new();
        for vector in &parity.vectors {
            match subjects.last_mut() {
                Some(last) if last.title == vector.subject => last.vectors.push(vector),
                _ => subjects.push(Subject {
                    title: &vector.subject,
                    vectors: vec![vector],
                }),
            }
        }
        let page = ParityPage {
            arch: parity.who.arch,
            parity,
            subjects,
            verdict: Verdict::new(&parity.vectors),
        };
        Self {
            page: super::render(&page),
            json: snapshot::json(parity),
        }
    }
}

/// What must come out the same on both architectures, and what may differ, for people or for programs.
#[utoipa::path(get, path = "/parity", tag = "system", responses(
    (status = 200, description = "Results beside the expected ones; for browsers the parity page", body = Parity),
    (status = 408, description = "The results, which are computed once at start, were not there in time"),
))]
pub async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    let snapshot = app.computed().await;
    let bodies = snapshot.parity.as_ref().expect("there once they are computed");
    negotiate::page_or_json(request.headers(), || bodies.page.clone(), || bodies.json.clone())
}

/// What must come out the same on both architectures, and what may differ.
#[utoipa::path(get, path = "/api/parity", tag = "system", responses(
    (status = 200, description = "Results beside the expected ones", body = Parity),
    (status = 408, description = "The results, which are computed once at start, were not there in time"),
))]
pub async fn api(State(app): State<Arc<App>>) -> Response {
    let snapshot = app.computed().await;
    let bodies = snapshot.parity.as_ref().expect("there once they are computed");
    negotiate::json(bodies.json.clone())
}
