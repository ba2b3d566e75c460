//! `/api/…`: the facts as typed JSON, and their description, generated from the same types.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use utoipa::OpenApi;

use super::negotiate::json;
use super::{App, snapshot};
use crate::build_report::BuildReport;
use crate::host::SystemInfo;
use crate::web::error::Problem;
use crate::whoami::WhoAmI;

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Bifora", description = "Says which architecture answered, and which build it is."),
    paths(whoami, build, info, super::build_info::page, super::system_info::page, super::health::healthz, super::health::readyz),
    components(schemas(Problem)),
    tags(
        (name = "build", description = "Which build this is"),
        (name = "system", description = "Which machine this is"),
        (name = "health", description = "For probes"),
    ),
)]
struct Description;

/// Who answered.
#[utoipa::path(get, path = "/api/whoami", tag = "system", responses((status = 200, description = "Who answered", body = WhoAmI)))]
pub async fn whoami(State(app): State<Arc<App>>) -> Response {
    json(app.snapshot.load().whoami.clone())
}

/// Which build this is.
#[utoipa::path(get, path = "/api/build", tag = "build", responses((status = 200, description = "The build", body = BuildReport)))]
pub async fn build(State(app): State<Arc<App>>) -> Response {
    json(app.snapshot.load().build.clone())
}

/// Which machine this is, at this moment.
#[utoipa::path(get, path = "/api/info", tag = "system", responses((status = 200, description = "The system", body = SystemInfo)))]
pub async fn info(State(app): State<Arc<App>>) -> Response {
    json(snapshot::json(&app.facts.system_info()))
}

/// The description of the API, OpenAPI 3.1.
pub async fn openapi() -> Response {
    static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| snapshot::json(&Description::openapi()));
    json(DESCRIPTION.clone())
}
