//! From the first signal to the end.

use std::process::Stdio;

use crate::support::client::{get, post_form};
use crate::support::eventually;
use crate::support::program::{is_ci, is_emulated, program_within, signal};
use crate::support::server::Server;

async fn is_unready(server: &Server) {
    eventually("no longer ready", async || {
        (server.get("/readyz").await.status == 503).then_some(())
    })
    .await;
}

async fn serves_on_and_then_ends(name: &str) {
    // Long enough for the requests in between, on a busy machine too.
    let delay = if is_emulated() { "6s" } else { "3s" };
    let server = Server::start(&["--shutdown-delay", delay]);
    assert_eq!(server.get("/readyz").await.status, 200);
    let mut kept = server.connect().await;
    kept.send(&get("/")).await;
    assert_eq!(kept.answer().await.header("connection"), None, "it may be kept");
    server.signal(name);
    is_unready(&server).await;
    server.get("/readyz").await.problem();
    assert_eq!(
        server.get("/").await.status,
        200,
        "new connections are still served"
    );
    assert_eq!(server.get("/healthz").await.status, 200);
    kept.send(&get("/")).await;
    let last = kept.answer().await;
    assert_eq!(
        (last.status, last.header("connection")),
        (200, Some("close")),
        "kept ones are told to go"
    );
    assert!(kept.closed().await.is_empty());
    server.refuses().await;
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log:?}");
    assert!(
        log.iter().any(|line| line.contains(&format!("SIG{name}"))),
        "{log:?}"
    );
}

#[tokio::test]
async fn sigterm_turns_unready_then_serves_on_then_ends() {
    serves_on_and_then_ends("TERM").await;
}

#[tokio::test]
async fn sigint_does_the_same() {
    serves_on_and_then_ends("INT").await;
}

#[tokio::test]
async fn open_requests_finish_across_the_shutdown() {
    let server = Server::start(&["--shutdown-delay", "0s", "--shutdown-deadline", "10m"]);
    let mut upload = server.upload("/", &[]).await;
    server.signal("TERM");
    server.refuses().await;
    upload.finish().await;
    let answer = upload.answer().await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("class=\"drawn\""),
        "the random text was drawn"
    );
    assert!(upload.closed().await.is_empty());
    assert_eq!(server.end().await.0, Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let server = Server::start(&[
        "--shutdown-delay",
        "0s",
        "--shutdown-deadline",
        "10m",
        "--header-timeout",
        "10m",
        "--idle-timeout",
        "10m",
    ]);
    let mut kept = server.connect().await;
    kept.send(&get("/")).await;
    assert_eq!(kept.answer().await.status, 200);
    let never_asked = server.connect().await;
    // The one before it in the queue has been accepted when this one is answered.
    assert_eq!(server.get("/healthz").await.status, 200);
    server.signal("TERM");
    assert!(kept.closed().await.is_empty());
    assert!(never_asked.closed().await.is_empty());
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0));
    assert!(
        log.iter().any(|line| line.contains("drained")),
        "nothing was cut: {log:?}"
    );
}

#[tokio::test]
async fn what_never_ends_is_cut_at_the_deadline() {
    let server = Server::start(&[
        "--shutdown-delay",
        "0s",
        "--shutdown-deadline",
        "1s",
        "--request-timeout",
        "1h",
        "--header-timeout",
        "1h",
    ]);
    let upload = server.upload("/", &[]).await;
    let mut half_a_head = server.connect().await;
    half_a_head
        .send_bytes(b"GET / HTTP/1.1\r\nhost:")
        .await
        .expect("the server reads");
    server.signal("TERM");
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log:?}");
    assert!(
        log.iter().any(|line| line.contains("deadline")),
        "the cut is told: {log:?}"
    );
    assert!(upload.closed().await.is_empty(), "no half an answer");
    half_a_head.closed().await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let server = Server::start(&["--shutdown-delay", "1h"]);
        server.signal(first);
        is_unready(&server).await;
        server.signal(second);
        assert_eq!(server.end().await.0, Some(130), "{first}, {second}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_draining_too() {
    let server = Server::start(&[
        "--shutdown-delay",
        "0s",
        "--shutdown-deadline",
        "1h",
        "--request-timeout",
        "1h",
    ]);
    let upload = server.upload("/", &[]).await;
    server.signal("INT");
    server.refuses().await;
    server.signal("TERM");
    assert_eq!(server.end().await.0, Some(130));
    assert!(upload.closed().await.is_empty());
}

#[tokio::test]
async fn answers_during_the_drain_are_dressed_and_say_goodbye() {
    let server = Server::start(&["--shutdown-delay", "0s", "--shutdown-deadline", "10m"]);
    let mut upload = server.upload("/", &[]).await;
    server.signal("TERM");
    server.refuses().await;
    // Pipelined behind the last request that is answered: not answered any more, and the connection ends.
    upload.finish().await;
    upload
        .send_bytes(&post_form("random-button=1").bytes())
        .await
        .expect("the socket takes it");
    let answer = upload.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(upload.closed().await.is_empty());
    assert_eq!(server.end().await.0, Some(0));
}

/// The id, in this test's own count, of the only child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[tokio::test]
async fn works_as_pid_1() {
    // Without root a user namespace gives the right to make one for processes.
    let ways: [&[&str]; 2] = [
        &["/usr/bin/unshare", "--fork", "--pid", "--kill-child"],
        &[
            "/usr/bin/unshare",
            "--user",
            "--map-root-user",
            "--fork",
            "--pid",
            "--kill-child",
        ],
    ];
    let works = |way: &&&[&str]| {
        let mut trial = std::process::Command::new(way[0]);
        let trial = trial.args(&way[1..]).arg("true").stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        assert!(
            !is_ci(),
            "no process may be PID 1 here, and under CI nothing is skipped"
        );
        eprintln!("not tested: no process may be PID 1 here (needs root, or user namespaces)");
        return;
    };
    let arguments = ["--host", "127.0.0.1", "--port", "0", "--shutdown-delay", "0s"];
    let server = Server::spawn(&mut program_within(way, &arguments));
    let info: bifora::host::SystemInfo = server.get("/api/info").await.json();
    assert_eq!(info.process.pid, 1);
    assert_eq!(server.get("/").await.status, 200);
    let inner = child_of(server.pid()).expect("unshare has a child");
    signal(inner, "TERM");
    server.refuses().await;
    let (code, log) = server.end().await;
    assert_eq!(code, Some(0), "{log:?}");
    assert!(log.iter().any(|line| line.contains("SIGTERM")), "{log:?}");
}
