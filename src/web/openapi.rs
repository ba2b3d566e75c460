//! `/api/openapi.json`: the description of the API, generated from the types that it serves.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::response::Response;
use utoipa::OpenApi;

use super::error::Problem;
use super::negotiate::json;
use super::{attest, build_info, health, parity, snapshot, system_info, whoami};

/// The description of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Bifora", description = "Says which architecture answered, and which build it is."),
    paths(
        whoami::api,
        attest::api,
        build_info::api,
        build_info::page,
        system_info::api,
        system_info::page,
        parity::api,
        parity::page,
        health::healthz,
        health::readyz
    ),
    components(schemas(Problem)),
    tags(
        (name = "build", description = "Which build this is"),
        (name = "system", description = "Which machine this is"),
        (name = "health", description = "For probes"),
    ),
)]
struct Description;

/// The description of the API, OpenAPI 3.1.
pub async fn api() -> Response {
    static DESCRIPTION: LazyLock<Bytes> = LazyLock::new(|| snapshot::json(&Description::openapi()));
    json(DESCRIPTION.clone())
}
