//! `/api/whoami`: who answered.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::App;
use super::negotiate::json;
use crate::whoami::WhoAmI;

/// Who answered.
#[utoipa::path(get, path = "/api/whoami", tag = "system", responses((status = 200, description = "Who answered", body = WhoAmI)))]
pub async fn api(State(app): State<Arc<App>>) -> Response {
    json(app.snapshot.load().whoami.clone())
}
