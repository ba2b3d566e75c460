//! `/build`: the build-info page for browsers, the six keys for everyone else. `/api/build`: all that is known.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;

use super::App;
use crate::arch::Arch;
use crate::build_report::BuildReport;
use crate::report::Section;
use crate::web::negotiate;

/// The page.
#[derive(Template)]
#[template(path = "build_info.html")]
pub(super) struct BuildInfoPage<'a> {
    arch: Arch,
    origin: &'a str,
    sections: Vec<Section>,
}

impl<'a> BuildInfoPage<'a> {
    pub(super) fn new(report: &'a BuildReport) -> Self {
        Self {
            arch: report.binary.arch,
            origin: &report.origin,
            sections: report.sections(),
        }
    }

    pub(super) fn body(&self) -> Bytes {
        super::render(self)
    }
}

/// The build, for people or for programs.
#[utoipa::path(get, path = "/build", tag = "build", responses(
    (status = 200, description = "The six keys; for browsers the build-info page", body = crate::build_report::BuildKeys),
))]
pub async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    let snapshot = app.snapshot.load();
    negotiate::page_or_json(
        request.headers(),
        || snapshot.build_page.clone(),
        || snapshot.build_keys.clone(),
    )
}

/// Which build this is.
#[utoipa::path(get, path = "/api/build", tag = "build", responses((status = 200, description = "The build", body = BuildReport)))]
pub async fn api(State(app): State<Arc<App>>) -> Response {
    negotiate::json(app.snapshot.load().build.clone())
}
