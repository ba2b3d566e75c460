//! What is said when something is wrong: one wording for each status, as a page or as problem details (RFC 9457).
//!
//! Handlers and layers answer with a status, and a [`Problem`] where there is more to say; the edge dresses it. What
//! caused a failure is for the log and never for the visitor.

use std::any::Any;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request_id::RequestId;
use super::snapshot;
use crate::arch::Arch;

/// Problem details.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Problem {
    /// The status again.
    #[schema(example = 404)]
    pub status: u16,
    /// What the status means.
    #[schema(example = "Not Found")]
    pub title: String,
    /// What is wrong here, and what would be right.
    pub detail: String,
    /// The request's id, to find it in the log.
    #[serde(default)]
    pub request_id: String,
}

impl Problem {
    /// A problem with words of its own.
    pub fn new(status: StatusCode, detail: &str) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self {
            status: status.as_u16(),
            title,
            detail: detail.to_owned(),
            request_id: String::new(),
        }
    }

    /// What there is to say of a status that came without words.
    fn of(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::REQUEST_TIMEOUT => "The request did not arrive in time.",
            StatusCode::PAYLOAD_TOO_LARGE => "The request body is too large.",
            status if status.is_server_error() => {
                "Something went wrong on our side. The server log has the details under this request id."
            }
            _ => "The request could not be understood.",
        };
        Self::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    arch: Arch,
    status: u16,
    title: String,
    detail: String,
    request_id: String,
}

/// Gives an error the body that the client can read.
pub(super) fn dress(response: &mut Response, html: bool, id: &RequestId) {
    let status = response.status();
    let mut problem = response
        .extensions_mut()
        .remove::<Problem>()
        .unwrap_or_else(|| Problem::of(status));
    problem.request_id = id.to_string();
    let (media_type, body) = if html {
        let Problem {
            status,
            title,
            detail,
            request_id,
        } = problem;
        let page = ErrorPage {
            arch: Arch::COMPILED,
            status,
            title,
            detail,
            request_id,
        };
        ("text/html; charset=utf-8", super::render(&page))
    } else {
        ("application/problem+json", snapshot::json(&problem))
    };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    *response.body_mut() = Body::from(body);
}

/// No such page.
pub async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

/// A page, but not by this method; `Allow` tells which.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address does not support that method; the Allow header lists those it does.",
    )
}

/// More requests at once than the server takes.
pub(super) fn overloaded() -> Response {
    let mut response = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many requests at once. Please try again in a second.",
    )
    .into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// What made a request fail; for the log, where it stands beside the request's id.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) String);

/// Something failed that should not have.
pub(super) fn failed(cause: String) -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Cause(cause));
    response
}

/// A handler panicked.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    failed(format!("panic: {}", words.unwrap_or("no message")))
}
