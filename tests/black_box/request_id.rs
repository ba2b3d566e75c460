//! The request id: the client's or the load balancer's when well-formed, else one of our own.

use std::collections::BTreeSet;

use crate::support::client::get;
use crate::support::server::Server;

const TRACE: &str = "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678";

async fn id_of(server: &Server, headers: &[(&str, &str)]) -> String {
    let mut asking = get("/api/whoami");
    for (name, value) in headers {
        asking = asking.header(name, value);
    }
    let answer = server.ask(&asking).await;
    assert_eq!(answer.status, 200);
    answer
        .header("x-request-id")
        .expect("checked by the client")
        .to_owned()
}

#[tokio::test]
async fn a_well_formed_id_comes_back() {
    let server = Server::shared();
    assert_eq!(
        id_of(&server, &[("x-request-id", "7f3a-1_b.c")]).await,
        "7f3a-1_b.c"
    );
    assert_eq!(id_of(&server, &[("X-Amzn-Trace-Id", TRACE)]).await, TRACE);
    assert_eq!(
        id_of(&server, &[("x-amzn-trace-id", TRACE), ("x-request-id", "mine")]).await,
        "mine"
    );
    assert_eq!(
        id_of(
            &server,
            &[("x-request-id", "not well formed"), ("x-amzn-trace-id", TRACE)]
        )
        .await,
        TRACE
    );
}

#[tokio::test]
async fn any_other_id_is_replaced() {
    let server = Server::shared();
    let long = "a".repeat(10_000);
    let mut seen = BTreeSet::new();
    for bad in [
        "",
        " ",
        "a b",
        "\"><script>alert(1)</script>",
        "a,b",
        "{\"x\":1}",
        "\u{e9}\u{202e}",
        &long,
    ] {
        let id = id_of(&server, &[("x-request-id", bad)]).await;
        assert!(
            id.len() >= 16 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{bad} became {id}"
        );
        assert!(seen.insert(id), "ids are random");
    }
}

#[tokio::test]
async fn errors_have_the_clients_id_too() {
    let server = Server::shared();
    for accept in ["text/html", "*/*"] {
        let asking = get("/nothing")
            .header("x-request-id", "find-me-1")
            .header("accept", accept);
        let answer = server.ask(&asking).await;
        assert_eq!(answer.header("x-request-id"), Some("find-me-1"));
        assert!(answer.text().contains("find-me-1"));
    }
}
