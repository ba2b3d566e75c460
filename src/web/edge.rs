//! What every answer passes: request id, limit, measurement, error pages, headers, log line. One layer, so that no
//! answer can skip a part of it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::Cause;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::visit::Visit;
use super::{App, assets, error, negotiate, security};

/// Routes for probes: never refused, never logged.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The label of requests that no route matches.
const UNMATCHED: &str = "unmatched";

/// Caching is decided here: what does not say otherwise is not stored.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Passes a request on and dresses its answer.
pub async fn edge(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    // Only errors ask what the client can read, and by then the request is gone.
    let accept: Vec<_> = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .cloned()
        .collect();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = match path.as_ref().map(MatchedPath::as_str) {
        Some(file) if file.starts_with("/static/") => assets::ROUTE,
        Some(route) => route,
        None => UNMATCHED,
    };
    let probe = PROBES.contains(&route);
    let slow = (!probe).then_some(app.limits.slow_request);
    let visit = Visit::begin(&app.metrics, &id, request.method(), route, slow);

    let mut response = if !probe && visit.before >= app.limits.concurrency {
        error::overloaded()
    } else {
        within(app.limits.request_timeout, next.run(request)).await
    };

    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        error::dress(&mut response, negotiate::prefers_html(|| &accept), &id);
    }
    // What is left of such a request is not read, so that the connection ends with the answer.
    let unread = [
        StatusCode::BAD_REQUEST,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::PAYLOAD_TOO_LARGE,
    ]
    .contains(&status);
    let leaving = !app.is_serving();
    let headers = response.headers_mut();
    security::secure(headers);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_REQUEST_ID, id.header());
    if leaving || unread {
        // Kept-alive connections end with an answer, not with a reset.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let cause = response.extensions_mut().remove::<Cause>();
    visit.end(status, cause.as_ref().map(|Cause(words)| words.as_str()));
    response
}

/// The answer, or 408 when it takes longer. Most answers are there at once; only those that wait need a timer.
async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    let at_once = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    });
    match at_once.await {
        Some(answer) => answer,
        None => match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        },
    }
}
