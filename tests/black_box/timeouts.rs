//! Clients that are slow: with their headers, with their body, or with their next request.

use std::time::Duration;

use crate::support::client::{get, post_form};
use crate::support::page::{assert_harmless, text_by_name};
use crate::support::server::Server;

/// Longer than the time-outs of one second that these tests set, by enough to tell "none" from "late".
const WELL_PAST: Duration = Duration::from_millis(2_500);

#[tokio::test]
async fn headers_that_drip_are_cut_off() {
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1h"]);
    let mut dripping = server.connect().await;
    dripping
        .send_bytes(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        .await
        .expect("the server reads");
    // A byte often enough to look alive, until the server has had enough.
    let mut drops = 0;
    while !dripping.is_closed().await {
        drops += 1;
        assert!(drops < 600, "a minute of dripping");
        if dripping.send_bytes(b"a").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = String::from_utf8_lossy(&dripping.closed().await).into_owned();
    assert!(!said.contains(" 200 "), "{said}");
    assert_eq!(server.get("/").await.status, 200, "others are served");
}

#[tokio::test]
async fn a_second_request_may_not_drip_either() {
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1h"]);
    let mut connection = server.connect().await;
    connection.send(&get("/healthz")).await;
    assert_eq!(connection.answer().await.status, 200);
    connection
        .send_bytes(b"GET / HT")
        .await
        .expect("the server reads");
    connection.closed().await;
}

#[tokio::test]
async fn half_a_request_behind_another_may_not_wait_for_ever() {
    // It came together with the one before it, and counts as idling until there are more bytes.
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1s"]);
    let mut connection = server.connect().await;
    let one_and_a_half = [&get("/healthz").bytes()[..], b"GET / HT"].concat();
    connection
        .send_bytes(&one_and_a_half)
        .await
        .expect("the server reads");
    assert_eq!(connection.answer().await.status, 200);
    connection.closed().await;
}

#[tokio::test]
async fn a_connection_that_never_asks_is_closed() {
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1h"]);
    assert!(server.connect().await.closed().await.is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_own_time() {
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1h"]);
    let mut connection = server.connect().await;
    for _ in 0..2 {
        connection.send(&get("/healthz")).await;
        assert_eq!(connection.answer().await.status, 200);
        tokio::time::sleep(WELL_PAST).await;
        assert!(
            !connection.is_closed().await,
            "the header time-out is not for idling"
        );
    }
    let server = Server::start(&["--header-timeout", "1h", "--idle-timeout", "1s"]);
    let mut connection = server.connect().await;
    connection.send(&get("/healthz")).await;
    assert_eq!(connection.answer().await.status, 200);
    assert!(connection.closed().await.is_empty());
}

#[tokio::test]
async fn a_body_may_take_longer_than_headers_and_idling() {
    let server = Server::start(&["--header-timeout", "1s", "--idle-timeout", "1s"]);
    let mut connection = server.upload("/", &[]).await;
    tokio::time::sleep(WELL_PAST).await;
    connection.finish().await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_408() {
    let server = Server::start(&["--request-timeout", "1s"]);
    let mut connection = server.upload("/", &[("x-request-id", "slow-1")]).await;
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.header("x-request-id")),
        (408, Some("slow-1"))
    );
    answer.problem();
    let mut browser = server.upload("/", &[("accept", "text/html")]).await;
    let page = browser.answer().await;
    assert_eq!(page.status, 408);
    assert_harmless(&page.text());
    assert_eq!(
        text_by_name(&page.text(), "h1").as_deref(),
        Some("Request Timeout")
    );
    server.in_flight(0).await;
    assert_eq!(
        server.ask(&post_form("random-button=1")).await.status,
        200,
        "the server lives"
    );
}
