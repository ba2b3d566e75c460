//! `/healthz` and `/readyz`, for probes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::web::error::Problem;

/// Answers while the process can answer at all.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "The process lives", body = String)))]
pub async fn healthz() -> &'static str {
    "alive\n"
}

/// Whether new requests should come here; no longer so from the moment that shutdown starts.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "Ready", body = String),
    (status = 503, description = "Shutting down", body = Problem, content_type = "application/problem+json"),
))]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.is_serving() {
        "ready\n".into_response()
    } else {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down.").into_response()
    }
}
