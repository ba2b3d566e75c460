//! Clients that are rude or broken: whatever they send, the server answers the next one.

use crate::support::client::{Connection, FORM, get};
use crate::support::page::text_by_id;
use crate::support::server::Server;

/// Sends bytes and gives the status of the answer, if one came before the connection's end.
async fn status_for(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut connection = server.connect().await;
    // The server may have had enough before it has read everything.
    let _ = connection.send_bytes(bytes).await;
    connection.bare_answer(false).await.map(|answer| answer.status)
}

async fn lives(server: &Server) {
    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn garbage_is_refused() {
    let server = Server::start(&["--header-timeout", "2s"]);
    let tls_hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03garbage\r\n\r\n".as_slice();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let zeros = [0; 4096];
    for garbage in [
        tls_hello,
        http2,
        &zeros,
        b"\r\n\r\n\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad\0header: y\r\n\r\n",
        b"GET  /  HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gibberish\r\n\r\nx",
    ] {
        let status = status_for(&server, garbage).await;
        let shown = String::from_utf8_lossy(garbage);
        assert!(
            status.is_none_or(|s| (400..500).contains(&s)),
            "{status:?} for {shown:?}"
        );
    }
    lives(&server).await;
}

/// The client looks for the headers that every answer carries, on these answers as on all.
#[tokio::test]
async fn what_cannot_be_read_is_answered_like_any_other_error() {
    let server = Server::shared();
    let long_head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "a".repeat(500 << 10));
    for (bytes, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost x\r\n\r\n", 400),
        (&long_head, 431),
    ] {
        let mut connection = server.connect().await;
        // The server may have refused before it has read all.
        let _ = connection.send_bytes(bytes.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{bytes:.40}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.text().contains("not valid HTTP/1.1"), "{}", answer.text());
    }
    lives(&server).await;
}

#[tokio::test]
async fn huge_headers_are_refused() {
    let server = Server::shared();
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(2 << 20));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(2 << 20));
    for bytes in [huge, many, long] {
        let status = status_for(&server, bytes.as_bytes()).await;
        assert!(
            status.is_none_or(|s| [400, 404, 414, 431].contains(&s)),
            "{status:?}"
        );
    }
    lives(&server).await;
}

#[tokio::test]
async fn a_broken_body_is_no_failure_of_the_server() {
    let server = Server::shared();
    for body in [
        "zz\r\nrandom-button=1\r\n0\r\n\r\n",
        "ffffffffffffffffffff\r\nx",
        "5\r\nabcdefghijk\r\n0\r\n\r\n",
    ] {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let status = status_for(&server, [head.as_bytes(), body.as_bytes()].concat().as_slice()).await;
        assert!(status.is_none_or(|s| s < 500), "{status:?} for {body:?}");
    }
    lives(&server).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::shared();
    let mut connection = server.connect().await;
    let three = [
        get("/api/whoami").bytes(),
        get("/nothing").bytes(),
        get("/healthz").bytes(),
    ]
    .concat();
    connection.send_bytes(&three).await.expect("the server reads");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(connection.answer().await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(answers[0].header("content-type"), Some("application/json"));
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| answer.header("x-request-id"))
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_taken_for_a_request() {
    let server = Server::shared();
    let mut connection = server.connect().await;
    let inner = "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n";
    let outer = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{inner}",
        inner.len()
    );
    connection
        .send_bytes(outer.as_bytes())
        .await
        .expect("the server reads");
    assert_eq!(connection.answer().await.status, 200);
    connection
        .send_bytes(&get("/api/whoami").bytes())
        .await
        .expect("the server reads");
    let next = connection.bare_answer(false).await;
    assert!(
        next.is_none_or(|answer| answer.status == 200),
        "the body was taken for a request"
    );
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = Server::shared();
    let mut connection = server.connect().await;
    connection
        .send_bytes(b"GET / HTTP/1.0\r\n\r\n")
        .await
        .expect("the server reads");
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200);
    assert!(text_by_id(&answer.text(), "random-text").is_some());
    assert!(connection.closed().await.is_empty());
}

#[tokio::test]
async fn a_connection_is_kept_and_given_back() {
    let server = Server::shared();
    let mut connection = server.connect().await;
    for path in ["/", "/nothing", "/build", "/static/style.css", "/metrics"].repeat(3) {
        connection.send(&get(path)).await;
        connection.answer().await;
    }
    connection.send(&get("/").header("connection", "close")).await;
    assert_eq!(connection.answer().await.status, 200);
    assert!(connection.closed().await.is_empty());
}

#[tokio::test]
async fn a_request_in_pieces_is_put_together() {
    let server = Server::shared();
    let mut connection = server.connect().await;
    for piece in get("/build").header("accept", "text/html").bytes().chunks(7) {
        connection.send_bytes(piece).await.expect("the server reads");
        tokio::task::yield_now().await;
    }
    let answer = connection.answer().await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let server = Server::start(&[]);
    let mut connections: Vec<Connection> = Vec::new();
    for n in 0..200 {
        let mut connection = server.connect().await;
        let begun: &[u8] = match n % 4 {
            0 => b"",
            1 => b"GET / HT",
            2 => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            _ => b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n\r\nr",
        };
        connection.send_bytes(begun).await.expect("the server reads");
        connections.push(connection);
    }
    server.in_flight(50).await;
    drop(connections);
    server.in_flight(0).await;
    lives(&server).await;
    let panics = server.lines().into_iter().find(|line| line.contains("panic"));
    assert_eq!(panics, None);
}
