//! One request from its headers to its answer: counted and logged, also when the client goes away before the answer.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};

use super::metrics::Metrics;
use super::request_id::RequestId;

/// The status of requests whose client went away before the answer; nginx uses the same number.
const CLIENT_GONE: &str = "499";

/// A request being answered. Dropped without an answer, it counts as a client that went away.
pub(super) struct Visit<'a> {
    metrics: &'a Metrics,
    id: &'a RequestId,
    method: &'static str,
    route: &'a str,
    /// Above this a request is slow; `None` for probes, which are not logged.
    slow: Option<Duration>,
    start: Instant,
    answered: bool,
    /// How many requests of its kind were being answered when it came.
    pub(super) before: usize,
}

impl<'a> Visit<'a> {
    /// Counts a request in.
    pub(super) fn begin(
        metrics: &'a Metrics,
        id: &'a RequestId,
        method: &Method,
        route: &'a str,
        slow: Option<Duration>,
    ) -> Self {
        let before = metrics.in_flight.begin(slow.is_none());
        Self {
            metrics,
            id,
            method: label(method),
            route,
            slow,
            start: Instant::now(),
            answered: false,
            before,
        }
    }

    /// The request was answered; `cause` is what made it fail, for the log.
    pub(super) fn end(mut self, status: StatusCode, cause: Option<&str>) {
        self.answered = true;
        let took = self.start.elapsed();
        self.metrics
            .count([self.method, self.route, status.as_str()], took);
        let Some(slow) = self.slow else { return };
        let Self {
            id, method, route, ..
        } = self;
        let refused = status == StatusCode::SERVICE_UNAVAILABLE;
        let (status, duration_ms) = (status.as_u16(), milliseconds(took));
        if refused {
            // Said by intent, and in numbers that could bury what is broken.
            tracing::warn!(request_id = %id, method, route, status, duration_ms, "request refused");
        } else if status >= 500 {
            tracing::error!(request_id = %id, method, route, status, duration_ms, cause, "request failed");
        } else if took >= slow || status == 408 {
            tracing::warn!(request_id = %id, method, route, status, duration_ms, "slow request");
        } else {
            tracing::debug!(request_id = %id, method, route, status, duration_ms, "request");
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.end(self.slow.is_none());
        if !self.answered {
            let took = self.start.elapsed();
            self.metrics.count([self.method, self.route, CLIENT_GONE], took);
            let Some(slow) = self.slow else { return };
            let Self {
                id, method, route, ..
            } = self;
            let duration_ms = milliseconds(took);
            // The client went away, or the server was told to end.
            if took >= slow {
                tracing::warn!(request_id = %id, method, route, status = 499, duration_ms, "slow request left unanswered");
            } else {
                tracing::debug!(request_id = %id, method, route, status = 499, duration_ms, "request left unanswered");
            }
        }
    }
}

/// Three decimals: what is below a microsecond is noise.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// The methods that HTTP knows; whatever a client makes up is one label.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}
