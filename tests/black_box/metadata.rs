//! ECS task metadata: shown when it comes, and never waited for.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bifora::build_report::BuildReport;
use bifora::commands::info::Info;
use bifora::deployment::Status;
use bifora::whoami::WhoAmI;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::metadata::{Endpoint, Mode, container, task, uri};
use crate::support::page::{assert_harmless, text};
use crate::support::program::{program, run};
use crate::support::server::Server;
use crate::support::{PATIENCE, ROUTES, eventually};

const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";
const TASK: &str = "cd189a933e5849daa93386466019ab50";

fn server_with(uri: &str) -> Server {
    Server::start_with(&[], &[(VARIABLE, OsString::from(uri))])
}

async fn report(server: &Server) -> BuildReport {
    server.get("/api/build").await.json()
}

async fn is_known(server: &Server) -> BuildReport {
    eventually("the deployment is known", async || {
        let report = report(server).await;
        (report.runs_on.deployment.status == Status::Known).then_some(report)
    })
    .await
}

async fn is_unavailable(server: &Server) -> String {
    eventually("the endpoint is known to be no good", async || {
        let deployment = report(server).await.runs_on.deployment;
        deployment
            .reason
            .filter(|_| deployment.status == Status::Unavailable)
    })
    .await
}

/// Asks for every page many times; had each to wait for the endpoint, even once, it would take more than twice as
/// long as may pass.
async fn answers_meanwhile(server: &Server) {
    let start = Instant::now();
    for (path, _) in ROUTES.repeat(8) {
        let page = server.page(path).await;
        assert_eq!(page.status, 200, "{path}");
        if page
            .header("content-type")
            .is_some_and(|t| t.starts_with("text/html"))
        {
            assert_harmless(&page.text());
        }
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_good_answer_is_shown() {
    let endpoint = Endpoint::start(Mode::Good(container(), task())).await;
    let server = server_with(&endpoint.uri());
    let report = is_known(&server).await;
    let deployment = &report.runs_on.deployment;
    for (value, expected) in [
        (&deployment.cluster, "bifora"),
        (&deployment.service, "bifora-arm"),
        (&deployment.family, "bifora-arm"),
        (&deployment.revision, "7"),
        (&deployment.zone, "us-east-1b"),
        (&deployment.launch_type, "FARGATE"),
        (&report.image.repository, "public.ecr.aws/o5b1w9d8/bifora"),
        (&report.image.tag, "14f28fe"),
        (&report.image.digest, &format!("sha256:{}", "ab".repeat(32))),
    ] {
        assert_eq!(value.as_deref(), Some(expected), "{report:#?}");
    }
    let who: WhoAmI = server.get("/api/whoami").await.json();
    assert_eq!(
        (who.task.as_deref(), who.zone.as_deref()),
        (Some(TASK), Some("us-east-1b"))
    );
    let home = text(&server.page("/").await.text());
    assert!(home.contains(TASK) && home.contains("us-east-1b"), "{home}");
    let build = server.page("/build").await.text();
    assert_harmless(&build);
    for fact in [
        TASK,
        "us-east-1b",
        "FARGATE",
        "bifora-arm",
        "14f28fe",
        "sha256:abab",
    ] {
        assert!(build.contains(fact), "{fact}");
    }
    assert_eq!(endpoint.asked(), 2, "the container and the task, once each");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_delays_nothing() {
    let endpoint = Endpoint::start(Mode::Silent).await;
    let server = server_with(&endpoint.uri());
    answers_meanwhile(&server).await;
    assert!(endpoint.asked() >= 1);
    is_unavailable(&server).await;
    endpoint.becomes(Mode::Good(container(), task()));
    is_known(&server).await;
}

#[tokio::test]
async fn bad_answers_delay_and_fail_nothing() {
    let endpoint = Endpoint::start(Mode::answer("500 Internal Server Error", b"{}")).await;
    let server = server_with(&endpoint.uri());
    assert!(is_unavailable(&server).await.contains("answered with an error"));
    answers_meanwhile(&server).await;
    endpoint.becomes(Mode::answer("200 OK", b"<html><script>alert(1)</script>"));
    eventually("the reason is another one", async || {
        is_unavailable(&server).await.contains("JSON").then_some(())
    })
    .await;
    answers_meanwhile(&server).await;
    endpoint.becomes(Mode::Good(container(), task()));
    is_known(&server).await;
}

#[tokio::test]
async fn fifty_megabytes_are_not_read() {
    // Well-formed, so that nothing but its size is wrong with it.
    let endless = json!({"Cluster": "x".repeat(50 << 20)}).to_string().into_bytes();
    let endpoint = Endpoint::start(Mode::answer("200 OK", &endless)).await;
    let server = server_with(&endpoint.uri());
    answers_meanwhile(&server).await;
    assert!(is_unavailable(&server).await.contains("too large"));
    endpoint.becomes(Mode::Bytes(Arc::new(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec())));
    answers_meanwhile(&server).await;
    let memory = server
        .metric("process_resident_memory_bytes")
        .await
        .expect("a metric");
    assert!(memory < 200e6, "{memory}");
}

#[tokio::test]
async fn an_endpoint_that_comes_later_is_found() {
    // An address of its own on the loopback, where nobody else takes the port meanwhile.
    let pid = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 83, pid[2], pid[3].max(1));
    let reserved = TcpListener::bind((ip, 0)).await.expect("a free port");
    let address: SocketAddr = reserved.local_addr().expect("bound");
    drop(reserved);
    let server = server_with(&uri(address));
    assert!(is_unavailable(&server).await.contains("reached"));
    answers_meanwhile(&server).await;
    let _endpoint = Endpoint::start_at(address, Mode::Good(container(), task())).await;
    assert_eq!(
        is_known(&server).await.runs_on.deployment.zone.as_deref(),
        Some("us-east-1b")
    );
}

#[tokio::test]
async fn hostile_values_are_text() {
    let script = "\"'><script>alert(1)</script>";
    let endpoint = Endpoint::start(Mode::Good(
        json!({"Name": script, "Image": script, "ImageID": script, "Labels": {script: script}}),
        json!({
            "Cluster": script,
            "TaskARN": format!("arn:aws:ecs:evil.example/#:1:task/{script}"),
            "Family": "javascript:alert(1)",
            "Revision": script.repeat(1_000),
            "ServiceName": "\u{202e}\u{1b}[31m",
            "AvailabilityZone": script,
            "LaunchType": ["not", "a", "text"],
        }),
    ))
    .await;
    let server = server_with(&endpoint.uri());
    let report = is_known(&server).await;
    assert_eq!(report.runs_on.deployment.launch_type, None);
    assert_eq!(report.image.digest, None, "a digest has the form of one");
    for path in ["/", "/build", "/info", "/parity", "/fleet"] {
        let html = server.page(path).await.text();
        assert_harmless(&html);
        assert!(!html.contains("evil.example/#:1") || text(&html).contains("evil.example"));
        assert!(!html.contains("href=\"https://evil.example"));
    }
    assert!(
        text(&server.page("/build").await.text()).contains(script),
        "shown as text"
    );
}

#[tokio::test]
async fn addresses_that_cannot_be_asked_fail_nothing() {
    for address in [
        "not an address",
        "http://evil.example/",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/",
        "http://[::1",
        "https://127.0.0.1/",
    ] {
        let server = server_with(address);
        is_unavailable(&server).await;
        assert_eq!(server.page("/build").await.status, 200);
    }
}

#[tokio::test]
async fn the_terminal_knows_it_too_and_does_not_wait_for_ever() {
    let endpoint = Endpoint::start(Mode::Good(container(), task())).await;
    let asking = |uri: String| async move {
        let ended = run(program(&["info", "--json"]).env(VARIABLE, uri)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let info: Info = serde_json::from_str(&ended.out).expect("JSON");
        info.build.runs_on.deployment
    };
    let known = asking(endpoint.uri()).await;
    assert_eq!(
        (known.status.clone(), known.task()),
        (Status::Known, Some(TASK.to_owned()))
    );
    endpoint.becomes(Mode::Silent);
    assert_eq!(asking(endpoint.uri()).await.status, Status::Unavailable);
}
