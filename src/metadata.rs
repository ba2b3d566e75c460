//! Asks the ECS metadata endpoint in the background, until it has answered. No request waits for it.

use std::time::Duration;

use serde_json::Value;

use crate::deployment::{Deployment, Status};
use crate::http_client::{self, ClientError};

const TIMEOUT: Duration = Duration::from_secs(2);
/// A task of ten containers with generous labels answers some 30 kB.
const LIMIT: usize = 256 * 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why the endpoint's answer was of no use.
#[derive(Debug, thiserror::Error)]
enum MetadataError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the endpoint answered {0}")]
    Status(hyper::StatusCode),
    #[error("the answer is not a JSON object")]
    NotAnObject,
    #[error("the answer names neither a cluster nor a task")]
    NotATask,
}

impl MetadataError {
    /// What visitors are told; addresses and the system's words are for the log.
    fn reason(&self) -> &'static str {
        match self {
            Self::Client(ClientError::Address(_)) => "its address is not http:// with an IP address",
            Self::Client(ClientError::Connect(..)) => "it cannot be reached",
            Self::Client(ClientError::Http(_)) => "it does not speak HTTP",
            Self::Client(ClientError::Body { .. }) => "its answer is too large or broke off",
            Self::Client(ClientError::Timeout(_)) => "it did not answer in time",
            Self::Status(_) => "it answered with an error",
            Self::NotAnObject => "its answer is not a JSON object",
            Self::NotATask => "its answer names neither a cluster nor a task",
        }
    }

    fn deployment(&self) -> Deployment {
        Deployment {
            reason: Some(self.reason().to_owned()),
            ..Deployment::unknown(Status::Unavailable)
        }
    }
}

/// Asks until the endpoint has answered, with growing pauses; tells every change to `tell`.
pub async fn watch(endpoint: String, mut tell: impl FnMut(Deployment)) {
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    loop {
        match ask(&endpoint).await {
            Ok(deployment) => return tell(deployment),
            Err(error) => {
                // An endpoint that stays broken in the same way is one line, not one each half minute.
                if told != Some(error.reason()) {
                    tracing::warn!(%error, "ECS task metadata is unavailable; asking again");
                    tell(error.deployment());
                    told = Some(error.reason());
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks once, for `bifora info`, which cannot wait for long.
pub async fn once(endpoint: &str) -> Deployment {
    match ask(endpoint).await {
        Ok(deployment) => deployment,
        Err(error) => error.deployment(),
    }
}

async fn ask(endpoint: &str) -> Result<Deployment, MetadataError> {
    let endpoint = endpoint.trim_end_matches('/');
    let task_address = format!("{endpoint}/task");
    let (container, task) = tokio::try_join!(object(endpoint), object(&task_address))?;
    Some(Deployment::from_metadata(&container, &task))
        .filter(|deployment| deployment.cluster.is_some() || deployment.task_arn.is_some())
        .ok_or(MetadataError::NotATask)
}

async fn object(address: &str) -> Result<Value, MetadataError> {
    let (status, body) = http_client::get(address, TIMEOUT, LIMIT).await?;
    if !status.is_success() {
        return Err(MetadataError::Status(status));
    }
    serde_json::from_slice(&body)
        .ok()
        .filter(Value::is_object)
        .ok_or(MetadataError::NotAnObject)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An endpoint that answers every connection with `answer` and then keeps it open.
    async fn endpoint(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}/v4/abc", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(&answer).await;
                    std::future::pending::<()>().await;
                });
            }
        });
        address
    }

    fn http(status: &str, body: &[u8]) -> Vec<u8> {
        [
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(),
            body,
        ]
        .concat()
    }

    #[tokio::test]
    async fn a_good_answer_is_known() {
        let body = br#"{"Name": "bifora", "Cluster": "c", "Family": "bifora-arm", "Revision": "3"}"#;
        let deployment = once(&endpoint(http("200 OK", body)).await).await;
        assert_eq!(deployment.status, Status::Known);
        assert_eq!(deployment.family.as_deref(), Some("bifora-arm"));
    }

    #[tokio::test]
    async fn hostile_answers_are_named() {
        for (answer, reason) in [
            (
                http("500 Internal Server Error", b"{}"),
                "it answered with an error",
            ),
            (http("200 OK", b"<html>"), "its answer is not a JSON object"),
            (http("200 OK", b"[1]"), "its answer is not a JSON object"),
            (
                http("200 OK", &vec![b' '; 50 << 20]),
                "its answer is too large or broke off",
            ),
            (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "it does not speak HTTP"),
            (
                http("200 OK", br#"{"error": "not yet"}"#),
                "its answer names neither a cluster nor a task",
            ),
            (
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1 << 20),
                "it does not speak HTTP",
            ),
            (Vec::new(), "it did not answer in time"),
        ] {
            let deployment = once(&endpoint(answer).await).await;
            assert_eq!(deployment.status, Status::Unavailable);
            assert_eq!(deployment.reason.as_deref(), Some(reason));
        }
        for address in [
            "ftp://127.0.0.1/",
            "http://evil.example/",
            "not an address",
            "http://127.0.0.1:99999/",
        ] {
            let reason = once(address).await.reason;
            assert_eq!(
                reason.as_deref(),
                Some("its address is not http:// with an IP address"),
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn asks_again_until_there_is_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        let watching = tokio::spawn(watch(address, move |d| {
            tell.lock().expect("not poisoned").push(d.status);
        }));
        for turn in 0.. {
            if watching.is_finished() {
                break;
            }
            let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
            let Ok(Ok((mut stream, _))) = accepted else {
                continue;
            };
            let _ = stream.read(&mut [0; 1024]).await;
            // Two connections an attempt; the first attempt meets an endpoint that is not up yet.
            let answer = if turn < 2 {
                http("503 Service Unavailable", b"")
            } else {
                http("200 OK", br#"{"Cluster": "c"}"#)
            };
            let _ = stream.write_all(&answer).await;
        }
        let told = told.lock().expect("not poisoned");
        assert!(told.first() == Some(&Status::Unavailable), "{told:?}");
        assert_eq!(told.last(), Some(&Status::Known));
    }
}
