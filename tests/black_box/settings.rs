//! Settings: a bad value ends the program with exit code 2 and one line that helps, by flag and by variable alike.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use tokio::net::TcpListener;

use crate::support::client::get;
use crate::support::program::{Ended, program, run};
use crate::support::server::Server;

/// Each setting: flag, variable, a bad value, and a word of what is allowed.
const BAD: [(&str, &str, &str, &str); 17] = [
    ("--host", "HOST", "example.com", "IP address"),
    ("--port", "PORT", "70000", "0 to 65535"),
    ("--port", "PORT", "-1", "0 to 65535"),
    ("--port", "PORT", "", "0 to 65535"),
    ("--log-format", "BIFORA_LOG_FORMAT", "xml", "auto, human, json"),
    ("--log-level", "BIFORA_LOG_LEVEL", "loud", "debug"),
    ("--shutdown-delay", "BIFORA_SHUTDOWN_DELAY", "5", "0s to 1h"),
    (
        "--shutdown-deadline",
        "BIFORA_SHUTDOWN_DEADLINE",
        "2h",
        "0s to 1h",
    ),
    ("--request-timeout", "BIFORA_REQUEST_TIMEOUT", "0s", "1ms to 1h"),
    ("--header-timeout", "BIFORA_HEADER_TIMEOUT", "soon", "1ms to 1h"),
    (
        "--idle-timeout",
        "BIFORA_IDLE_TIMEOUT",
        "99999999999999999999s",
        "1ms to 1h",
    ),
    ("--slow-request", "BIFORA_SLOW_REQUEST", "-1s", "1ms to 1h"),
    ("--body-limit", "BIFORA_BODY_LIMIT", "0", "1 to 104857600"),
    ("--body-limit", "BIFORA_BODY_LIMIT", "64k", "1 to 104857600"),
    (
        "--concurrency-limit",
        "BIFORA_CONCURRENCY_LIMIT",
        "0",
        "1 to 100000",
    ),
    (
        "--concurrency-limit",
        "BIFORA_CONCURRENCY_LIMIT",
        "18446744073709551616",
        "1 to 100000",
    ),
    (
        "--concurrency-limit",
        "BIFORA_CONCURRENCY_LIMIT",
        "\u{1b}[31m\n\n",
        "1 to 100000",
    ),
];

fn assert_one_line(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.out, "");
    assert_eq!(ended.err.lines().count(), 1, "{:?}", ended.err);
    assert!(ended.err.ends_with('\n'), "{:?}", ended.err);
    assert!(
        !ended.err.trim_end().contains(char::is_control),
        "{:?}",
        ended.err
    );
    for part in parts {
        assert!(ended.err.contains(part), "{part} is not in {:?}", ended.err);
    }
}

#[tokio::test]
async fn a_bad_flag_is_one_line_and_exit_code_2() {
    for (flag, variable, value, allowed) in BAD {
        let ended = run(&mut program(&[&format!("{flag}={value}")])).await;
        assert_eq!(ended.code, Some(2), "{flag}={value}: {}", ended.err);
        let shown = format!("{value:?}");
        assert_one_line(&ended, &[flag, variable, &shown, allowed]);
    }
}

#[tokio::test]
async fn a_bad_variable_is_one_line_and_exit_code_2() {
    for (flag, variable, value, allowed) in BAD {
        let ended = run(program(&[]).env(variable, value)).await;
        assert_eq!(ended.code, Some(2), "{variable}={value}: {}", ended.err);
        let shown = format!("{value:?}");
        assert_one_line(&ended, &[flag, variable, &shown, allowed]);
    }
}

#[tokio::test]
async fn a_value_that_is_no_text_or_a_book_is_one_line_too() {
    let not_text = OsString::from_vec(b"80\xff80".to_vec());
    let ended = run(program(&[]).env("PORT", not_text)).await;
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert_one_line(&ended, &["PORT"]);
    let ended = run(program(&[]).env("PORT", "8".repeat(50_000))).await;
    assert_eq!(ended.code, Some(2));
    assert_one_line(&ended, &["--port", "PORT", "888", "0 to 65535"]);
    assert!(ended.err.len() < 500, "{}", ended.err);
}

#[tokio::test]
async fn a_flag_counts_more_than_its_variable() {
    let server = Server::start_with(&["--body-limit", "10"], &[("BIFORA_BODY_LIMIT", "1000".into())]);
    let post = crate::support::client::post_form("x".repeat(11));
    assert_eq!(server.ask(&post).await.status, 413);
    let server = Server::start_with(&[], &[("BIFORA_BODY_LIMIT", "10".into())]);
    assert_eq!(server.ask(&post).await.status, 413);
}

#[tokio::test]
async fn port_and_host_are_taken_from_the_environment() {
    let server = Server::spawn(program(&["serve"]).env("HOST", "::1").env("PORT", "0"));
    assert!(server.address.is_ipv6());
    assert_eq!(server.ask(&get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn a_taken_port_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let port = taken.local_addr().expect("bound").port().to_string();
    let mut command = program(&["--host", "127.0.0.1", "--port", &port]);
    let ended = run(command.env("RUST_BACKTRACE", "1").env("RUST_LIB_BACKTRACE", "1")).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_one_line(&ended, &[&address, "in use"]);
    let mut command = program(&["--host", "203.0.113.1"]);
    let ended = run(command.env("RUST_BACKTRACE", "full")).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_one_line(&ended, &["203.0.113.1"]);
}

#[tokio::test]
async fn a_log_for_people_is_one_when_asked_for() {
    let server = Server::start(&["--log-format", "human"]);
    let first = server.lines().into_iter().next().expect("a line");
    assert!(!first.starts_with('{') && !first.contains('\u{1b}'), "{first:?}");
    assert!(first.contains(&server.address.to_string()), "{first:?}");
}
