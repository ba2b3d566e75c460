//! Bounds on what a client may bring: the size of a body, and requests at once.

use crate::support::client::{FORM, get, post_form, request};
use crate::support::eventually;
use crate::support::page::{assert_harmless, text_by_name};
use crate::support::server::Server;

fn chunked(size: usize) -> Vec<u8> {
    let head =
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n");
    let body = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
    [head, body].concat().into_bytes()
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_taken() {
    let server = Server::start(&["--body-limit", "100"]);
    assert_eq!(server.ask(&post_form("x".repeat(100))).await.status, 200);
    let mut connection = server.connect().await;
    connection
        .send_bytes(&chunked(100))
        .await
        .expect("the server reads");
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let server = Server::start(&["--body-limit", "100"]);
    let told = server.ask(&post_form("x".repeat(101))).await;
    assert_eq!(told.status, 413);
    told.problem();
    let mut untold = server.connect().await;
    untold.send_bytes(&chunked(101)).await.expect("the server reads");
    let answer = untold.answer().await;
    assert_eq!(answer.status, 413, "a length that nobody has told");
    answer.problem();
    // Judged by the header alone: nothing of it has to be sent.
    let mut promised = server.connect().await;
    let head =
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 99999999999\r\n\r\n");
    promised
        .send_bytes(head.as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(promised.answer().await.status, 413);
}

#[tokio::test]
async fn a_client_may_ask_before_it_sends() {
    let server = Server::start(&["--body-limit", "100"]);
    let mut polite = server.connect().await;
    let head = |length| {
        format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    polite
        .send_bytes(head(15).as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(polite.answer().await.status, 100);
    polite
        .send_bytes(b"random-button=1")
        .await
        .expect("the server reads");
    assert_eq!(polite.answer().await.status, 200);
    let mut refused = server.connect().await;
    refused
        .send_bytes(head(101).as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(refused.answer().await.status, 413);
}

#[tokio::test]
async fn too_many_requests_at_once_are_503_and_probes_are_not() {
    let server = Server::start(&["--concurrency-limit", "2", "--log-level", "debug"]);
    let mut uploads = [server.upload("/", &[]).await, server.upload("/", &[]).await];
    for refused in [
        get("/"),
        get("/api/whoami"),
        get("/nothing"),
        post_form("random-button=1"),
        request("HEAD", "/"),
    ] {
        let answer = server.ask(&refused).await;
        assert_eq!(answer.status, 503, "{refused:?}");
        let seconds = answer.header("retry-after").and_then(|s| s.parse::<u32>().ok());
        assert!(seconds.is_some_and(|s| s >= 1), "{:?}", answer.headers);
    }
    server.get("/").await.problem();
    let page = server.page("/").await;
    assert_eq!(page.status, 503);
    assert_harmless(&page.text());
    assert_eq!(
        text_by_name(&page.text(), "h1").as_deref(),
        Some("Service Unavailable")
    );
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(probe).await.status, 200, "{probe}");
    }
    for upload in &mut uploads {
        upload.finish().await;
        assert_eq!(
            upload.answer().await.status,
            200,
            "those that were let in are answered"
        );
    }
    assert_eq!(server.get("/").await.status, 200, "there is room again");
}

#[tokio::test]
async fn clients_that_go_make_room() {
    let server = Server::start(&["--concurrency-limit", "1"]);
    let gone = server.upload("/", &[]).await;
    assert_eq!(server.get("/").await.status, 503);
    drop(gone);
    eventually("there is room again", async || {
        (server.get("/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn probes_take_no_room() {
    let server = Server::start(&["--concurrency-limit", "1"]);
    let mut prober = server.connect().await;
    let mut visitor = server.connect().await;
    let volley = get("/metrics").bytes().repeat(20);
    // Each round has a probe and a request at the same time, often enough for chance to find them so.
    for _ in 0..50 {
        prober.send_bytes(&volley).await.expect("the server reads");
        for _ in 0..20 {
            visitor.send(&get("/api/whoami")).await;
            assert_eq!(visitor.answer().await.status, 200, "refused because of a probe");
        }
        for _ in 0..20 {
            assert_eq!(prober.answer().await.status, 200);
        }
    }
}
