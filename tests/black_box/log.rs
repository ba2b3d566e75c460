//! The log: failures and slow requests always, every request at debug, probes never, and nothing that a client sent
//! but its request id.

use serde_json::Value;

use crate::support::client::{FORM, get, post_form, request};
use crate::support::server::Server;

/// What stands on each line about a request.
fn assert_request(line: &Value, id: &str, route: &str, status: u16) {
    assert_eq!(line["request_id"], id, "{line}");
    assert_eq!(line["route"], route, "{line}");
    assert_eq!(line["status"], status, "{line}");
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{line}");
    assert!(
        line["level"].is_string() && line["timestamp"].is_string(),
        "{line}"
    );
}

fn about_requests(server: &Server) -> Vec<Value> {
    let lines = server.lines().into_iter();
    let values = lines.map(|line| serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")));
    values
        .filter(|line: &Value| line.get("route").is_some())
        .collect()
}

#[tokio::test]
async fn a_slow_request_is_logged_at_every_level_that_logs() {
    let server = Server::start(&["--slow-request", "1ms"]);
    let mut upload = server
        .upload("/?query=canary", &[("x-request-id", "slow-1")])
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    upload.finish().await;
    assert_eq!(upload.answer().await.status, 200);
    let line = server.line(&["slow-1"]).await;
    assert_request(&line, "slow-1", "/", 200);
    assert_eq!(line["level"], "WARN");
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms >= 1.0), "{line}");
    assert!(!line.to_string().contains("canary"), "{line}");
}

#[tokio::test]
async fn a_failure_is_logged() {
    let server = Server::start(&["--concurrency-limit", "1"]);
    let _upload = server.upload("/", &[]).await;
    let refused = get("/api/whoami").header("x-request-id", "refused-1");
    assert_eq!(server.ask(&refused).await.status, 503);
    let line = server.line(&["refused-1"]).await;
    assert_request(&line, "refused-1", "/api/whoami", 503);
    assert!(
        ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default()),
        "{line}"
    );
}

#[tokio::test]
async fn every_request_is_logged_at_debug() {
    let server = Server::start(&["--log-level", "debug", "--slow-request", "1h"]);
    let asked = [
        (get("/"), "/", 200),
        (get("/build?q=1"), "/build", 200),
        (get("/static/style.css"), "/static/{file}", 200),
        (get("/static/none"), "/static/{file}", 404),
        (get("/nothing/at%0aall"), "unmatched", 404),
        (request("DELETE", "/api/info"), "/api/info", 405),
        (post_form("x".repeat(70_000)), "/", 413),
    ];
    for (n, (request, route, status)) in asked.iter().enumerate() {
        let id = format!("every-{n}-");
        let answer = server.ask(&request.clone().header("x-request-id", &id)).await;
        assert_eq!(answer.status, *status);
        assert_request(&server.line(&[&id]).await, &id, route, *status);
    }
    let logged = about_requests(&server);
    assert_eq!(logged.len(), asked.len(), "one line each: {logged:#?}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_logged_at_debug() {
    let server = Server::start(&["--log-level", "debug"]);
    let upload = server.upload("/", &[("x-request-id", "gone-1")]).await;
    drop(upload);
    // To the server it is a bad request; that nobody waits for the answer is not seen in time.
    assert_request(&server.line(&["gone-1"]).await, "gone-1", "/", 400);
}

#[tokio::test]
async fn at_info_a_request_that_is_well_is_not_logged() {
    let server = Server::start(&["--slow-request", "1h"]);
    for path in ["/", "/build", "/nothing"] {
        server.get(path).await;
    }
    assert_eq!(about_requests(&server), Vec::<Value>::new());
}

#[tokio::test]
async fn probes_are_never_logged() {
    let server = Server::start(&[
        "--log-level",
        "debug",
        "--slow-request",
        "1ms",
        "--shutdown-delay",
        "1h",
    ]);
    for path in ["/healthz", "/readyz", "/metrics"].repeat(5) {
        server.get(path).await;
    }
    server.signal("TERM");
    server.line(&["stopping"]).await;
    assert_eq!(
        server.get("/readyz").await.status,
        503,
        "not even when it tells bad news"
    );
    let last = get("/build").header("x-request-id", "last-1");
    server.ask(&last).await;
    server.line(&["last-1"]).await;
    let logged = about_requests(&server);
    assert_eq!(logged.len(), 1, "{logged:#?}");
}

#[tokio::test]
async fn nothing_that_a_client_sent_is_in_the_log() {
    let server = Server::start(&["--log-level", "debug", "--slow-request", "1ms"]);
    let canaries = |method: &str, target: &str| {
        request(method, target)
            .header("x-request-id", "not well formed canary")
            .header("authorization", "Bearer canary")
            .header("cookie", "session=canary")
            .header("user-agent", "canary/1.0")
            .header("x-forwarded-for", "canary")
            .header("content-type", FORM)
    };
    for asking in [
        canaries("GET", "/?token=canary"),
        canaries("GET", "/canary/%22%0a%7b?canary"),
        canaries("GET", "/static/canary.css"),
        canaries("CANARY", "/build"),
        canaries("POST", "/").body("random-button=canary"),
    ] {
        server.ask(&asking).await;
    }
    let mut broken = server.connect().await;
    let _ = broken.send_bytes(b"canary canary canary\r\n\r\n").await;
    broken.closed().await;
    server.ask(&get("/build").header("x-request-id", "last-1")).await;
    server.line(&["last-1"]).await;
    let told: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.to_lowercase().contains("canary"))
        .collect();
    assert_eq!(told, Vec::<String>::new());
}

#[tokio::test]
async fn the_life_of_the_server_is_logged() {
    let server = Server::start(&["--shutdown-delay", "0s"]);
    let first: Value = serde_json::from_str(&server.lines()[0]).expect("JSON");
    assert_eq!(first["address"], server.address.to_string());
    assert_eq!(first["arch"], crate::support::program::arch());
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert!(first["commit"].is_string(), "{first}");
    server.signal("TERM");
    let (code, lines) = server.end().await;
    assert_eq!(code, Some(0));
    assert!(lines.len() >= 3, "start, signal, end: {lines:?}");
    for line in lines {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["message"].is_string(), "{line}");
    }
}
