//! When something runs out: connections, file descriptors, room in the log. The server still answers, and still ends.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::client::{Connection, get};
use crate::support::program::{kill, program, program_within, signal};
use crate::support::server::Server;
use crate::support::{PATIENCE, eventually};

/// Opens connections that ask once and then stay; every one is answered.
async fn visitors(server: &Server, count: usize) -> Vec<Connection> {
    let mut visitors = Vec::new();
    for _ in 0..count {
        let mut connection = server.connect().await;
        connection.send(&get("/healthz")).await;
        let answer = tokio::time::timeout(PATIENCE, connection.answer()).await;
        assert_eq!(answer.expect("answered in time").status, 200);
        visitors.push(connection);
    }
    visitors
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones() {
    let server = Server::start(&["--connection-limit", "10", "--idle-timeout", "1h"]);
    let mut visitors = visitors(&server, 30).await;
    let mut closed = 0;
    for visitor in &mut visitors {
        closed += usize::from(visitor.is_closed().await);
    }
    assert!(closed >= 20, "only {closed} of 30 were closed");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn silent_connections_make_room_for_new_ones() {
    let server = Server::start(&["--connection-limit", "10", "--header-timeout", "1h"]);
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn few_file_descriptors_are_enough() {
    let shell = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];
    let flags = ["--host", "127.0.0.1", "--port", "0", "--idle-timeout", "1h"];
    let server = Server::spawn(program_within(&shell, &flags).env("PATH", "/usr/bin:/bin"));
    let _visitors = visitors(&server, 100).await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let complaints = server
        .lines()
        .iter()
        .filter(|line| line.contains("running out of connections"))
        .count();
    assert!((1..=20).contains(&complaints), "{complaints} complaints");
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_nothing() {
    let flags = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--log-level",
        "debug",
        "--shutdown-delay",
        "0s",
    ];
    let mut child = program(&flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut log = BufReader::with_capacity(1024, child.stdout.take().expect("piped"));
    let mut line = String::new();
    log.read_line(&mut line)
        .expect("the server says where it listens");
    let line: Value = serde_json::from_str(&line).expect("a line of JSON");
    let address = line["address"]
        .as_str()
        .and_then(|a| a.parse().ok())
        .expect("an address");

    // More than a pipe takes (64 KiB, some 300 lines) and than may wait.
    let mut connection = Connection::open(address).await;
    for _ in 0..12_000 {
        connection.send(&get("/api/whoami")).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    signal(child.id(), "TERM");
    let status = eventually("the server ends", async || child.try_wait().expect("a child")).await;
    kill(&mut child);
    assert_eq!(status.code(), Some(0));
    drop(log);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_kept() {
    let server = Server::start(&["--header-timeout", "1h"]);
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}", "a".repeat(390_000));
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut connection = server.connect().await;
        // Refused before it has all been sent.
        let _ = connection.send_bytes(head.as_bytes()).await;
        open.push(connection);
    }
    for connection in open {
        let closed = tokio::time::timeout(Duration::from_secs(30), connection.closed()).await;
        let answer = closed.expect("closed in time");
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
