//! `/info`: the system page for browsers, the same facts as JSON for everyone else, as by `/api/info`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;

use super::{App, negotiate, snapshot};
use crate::arch::Arch;
use crate::report::Section;

#[derive(Template)]
#[template(path = "system_info.html")]
struct SystemInfoPage {
    arch: Arch,
    sections: Vec<Section>,
}

/// The system, for people or for programs.
#[utoipa::path(get, path = "/info", tag = "system", responses(
    (status = 200, description = "The system; for browsers the system page", body = crate::host::SystemInfo),
))]
pub async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    let info = app.facts.system_info();
    let page = || {
        super::render(&SystemInfoPage {
            arch: info.machine.compiled,
            sections: info.sections(),
        })
    };
    negotiate::page_or_json(request.headers(), page, || snapshot::json(&info))
}

/// Which machine this is, at this moment.
#[utoipa::path(get, path = "/api/info", tag = "system", responses((status = 200, description = "The system", body = crate::host::SystemInfo)))]
pub async fn api(State(app): State<Arc<App>>) -> Response {
    negotiate::json(snapshot::json(&app.facts.system_info()))
}
