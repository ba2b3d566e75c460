//! `/api/attest`: what this process says of the executable that it runs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::OnceCell;

use super::error::Problem;
use super::{App, negotiate, snapshot};
use crate::attest::{Attestation, Executable, Nonce, NotANonce};

/// How long a request waits for the executable to be read, which takes milliseconds, in an emulator a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the executable, read once.
#[derive(Debug, Default)]
pub struct Measured(OnceCell<Executable>);

impl Measured {
    /// Reads it, or waits until whoever has begun is done.
    pub async fn executable(&self) -> &Executable {
        let read = async || {
            let reading = tokio::task::spawn_blocking(Executable::of_this_process);
            reading.await.unwrap_or_else(|error| {
                tracing::error!(%error, "reading the executable failed");
                Executable::default()
            })
        };
        self.0.get_or_init(read).await
    }
}

/// Which executable runs, by its own account.
#[utoipa::path(get, path = "/api/attest", tag = "build",
    params(("nonce" = String, Query, description = "1 to 128 of A-Z a-z 0-9 . _ -, which the answer repeats")),
    responses(
        (status = 200, description = "What the process says of itself", body = Attestation),
        (status = 400, description = "The nonce is missing or not one", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The executable has not been read yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn api(State(app): State<Arc<App>>, request: Request) -> Result<Response, Response> {
    let nonce = nonce(request.uri().query().unwrap_or_default()).map_err(IntoResponse::into_response)?;
    let executable = tokio::time::timeout(PATIENCE, app.measured.executable());
    let executable = executable.await.map_err(|_| not_yet())?;
    let attestation = Attestation::new(nonce, &app.snapshot.load().who, executable);
    Ok(negotiate::json(snapshot::json(&attestation)))
}

/// The one nonce of a query.
fn nonce(query: &str) -> Result<Nonce, Problem> {
    let wrong = |detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    let mut given = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "nonce");
    match (given.next(), given.next()) {
        (None, _) => wrong(&format!("The parameter nonce is missing: ?nonce=…; {NotANonce}.")),
        (Some(_), Some(_)) => wrong("The parameter nonce is there more than once."),
        (Some((_, text)), None) => text
            .parse()
            .or_else(|error: NotANonce| wrong(&format!("The parameter nonce is not one: {error}."))),
    }
}

fn not_yet() -> Response {
    let detail = "The executable has not been read yet. Please try again in a second.";
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    let again = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, again);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Measured {
        /// One that nobody ever finishes to read.
        pub(in crate::web) async fn never(&self) {
            self.0.get_or_init(std::future::pending).await;
        }
    }

    #[test]
    fn exactly_one_good_nonce_is_taken() {
        for (query, taken) in [
            ("nonce=abc", "abc"),
            ("x=1&nonce=a.b_c-d&y", "a.b_c-d"),
            ("nonce=%41", "A"),
        ] {
            assert_eq!(nonce(query).expect(query).as_str(), taken);
        }
        for (query, part) in [
            ("", "is missing"),
            ("Nonce=abc", "is missing"),
            ("nonce", "is not one"),
            ("nonce=", "is not one"),
            ("nonce=a+b", "is not one"),
            ("nonce=%00", "is not one"),
            ("nonce=%ff", "is not one"),
            ("nonce=a&nonce=a", "more than once"),
        ] {
            let problem = nonce(query).expect_err(query);
            assert_eq!(problem.status, 400);
            assert!(
                problem.detail.contains(part) && problem.detail.contains("nonce"),
                "{}",
                problem.detail
            );
        }
    }
}
