//! The commands beside `serve`, and what a newcomer is told.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bifora::commands::info::Info;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::program::{Ended, arch, is_emulated, kill, program, run};
use crate::support::server::Server;

async fn said(arguments: &[&str]) -> String {
    let ended = run(&mut program(arguments)).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    assert!(!ended.out.contains('\u{1b}'), "no colours into a pipe");
    ended.out
}

async fn healthcheck(environment: &[(&str, &str)]) -> Ended {
    let mut command = program(&["healthcheck"]);
    run(command.envs(environment.iter().copied())).await
}

#[tokio::test]
async fn version_names_version_commit_and_target() {
    let version = said(&["--version"]).await;
    assert_eq!(version.lines().count(), 1, "{version}");
    assert_eq!(said(&["-V"]).await, version);
    let info: Info = serde_json::from_str(&said(&["info", "--json"]).await).expect("JSON");
    let build = info.build.binary;
    let short: String = build
        .commit
        .unwrap_or_else(|| "unknown".to_owned())
        .chars()
        .take(7)
        .collect();
    for part in ["bifora", &build.version, &short, &build.target] {
        assert!(version.contains(part), "{part} is not in {version}");
    }
}

#[tokio::test]
async fn help_is_enough_for_a_newcomer() {
    let help = said(&["--help"]).await;
    for part in [
        "serve",
        "healthcheck",
        "info",
        "completions",
        "8080",
        "Exit codes",
        "--version",
    ] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
    let serve = said(&["serve", "--help"]).await;
    for part in [
        "--host",
        "HOST",
        "--port",
        "PORT",
        "8080",
        "--log-format",
        "BIFORA_LOG_FORMAT",
        "--log-level",
        "BIFORA_LOG_LEVEL",
        "--shutdown-delay",
        "BIFORA_SHUTDOWN_DELAY",
        "--shutdown-deadline",
        "BIFORA_SHUTDOWN_DEADLINE",
        "--request-timeout",
        "BIFORA_REQUEST_TIMEOUT",
        "--header-timeout",
        "BIFORA_HEADER_TIMEOUT",
        "--idle-timeout",
        "BIFORA_IDLE_TIMEOUT",
        "--body-limit",
        "BIFORA_BODY_LIMIT",
        "--concurrency-limit",
        "BIFORA_CONCURRENCY_LIMIT",
        "--slow-request",
        "BIFORA_SLOW_REQUEST",
    ] {
        assert!(serve.contains(part), "{part} is not in {serve}");
    }
    for command in ["healthcheck", "info", "completions"] {
        assert!(said(&[command, "--help"]).await.contains("Usage:"));
    }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["--bogus"][..],
        &["serve", "--bogus"],
        &["sing"],
        &["info", "--xml"],
        &["--port"],
        &["serve", "extra"],
        &["completions"],
        &["completions", "cmd.exe"],
        &["healthcheck", "--port", "x"],
    ] {
        let ended = run(&mut program(arguments)).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}");
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[tokio::test]
async fn completions_complete_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&["completions", shell]).await;
        assert!(
            script.contains("healthcheck") && script.contains("shutdown-delay"),
            "{shell}"
        );
        if shell == "bash" {
            let status = Command::new("bash").args(["-n", "-c", &script]).status();
            assert!(status.expect("there is a bash").success(), "bash cannot read it");
        }
    }
}

#[tokio::test]
async fn info_tells_people_and_programs() {
    let text = said(&["info"]).await;
    for part in [&arch(), "This build", "Runs on", "local build"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let info: Info = serde_json::from_str(&said(&["info", "--json"]).await).expect("JSON");
    assert_eq!(info.build.binary.arch.name(), arch());
    assert_eq!(info.system.machine.compiled.name(), arch());
    assert_eq!(info.system.machine.emulator.is_some(), is_emulated());
}

#[tokio::test]
async fn a_reader_that_goes_early_is_no_failure() {
    for arguments in [
        &["info"][..],
        &["info", "--json"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let mut child = program(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        // As `| head -1`, only earlier.
        drop(child.stdout.take());
        let ended: Ended = child.wait_with_output().expect("ends").into();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_one_line_and_exit_code_1() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let child = program(&["info", "--json"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn();
    let ended: Ended = child.expect("starts").wait_with_output().expect("ends").into();
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(1), 1),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn a_live_server_is_healthy() {
    let server = Server::shared();
    let port = server.address.port().to_string();
    for host in ["127.0.0.1", "0.0.0.0"] {
        let ended = healthcheck(&[("PORT", &port), ("HOST", host)]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    assert_eq!(healthcheck(&[("PORT", &port)]).await.code, Some(0));
}

#[tokio::test]
async fn a_server_that_leaves_is_still_alive() {
    let server = Server::start(&["--shutdown-delay", "1h"]);
    server.signal("TERM");
    server.line(&["stopping"]).await;
    let port = server.address.port().to_string();
    assert_eq!(healthcheck(&[("PORT", &port)]).await.code, Some(0));
}

#[tokio::test]
async fn nothing_there_or_nothing_good_is_exit_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let ended = healthcheck(&[("PORT", &port)]).await;
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(1), 1),
        "{}",
        ended.err
    );
    // Nobody listens on the discard port of this address.
    let ended = healthcheck(&[("PORT", "9"), ("HOST", "127.83.83.83")]).await;
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(1), 1),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("127.83.83.83:9"), "{}", ended.err);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_within_two_seconds() {
    // Connections wait in its queue and are never answered.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port().to_string();
    let mut fastest = Duration::MAX;
    // The promise is the program's; a machine that is busy with other tests may break one of them.
    for _ in 0..3 {
        let start = Instant::now();
        let mut child = program(&["healthcheck"])
            .env("PORT", &port)
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let status = tokio::task::spawn_blocking(move || {
            let status = child.wait();
            kill(&mut child);
            status
        });
        let status = status.await.expect("the thread does not panic").expect("ends");
        assert_eq!(status.code(), Some(1));
        fastest = fastest.min(start.elapsed());
        if fastest < Duration::from_secs(2) {
            break;
        }
    }
    let allowed = if is_emulated() { 20 } else { 2 };
    assert!(fastest < Duration::from_secs(allowed), "{fastest:?}");
}

#[tokio::test]
async fn a_bad_port_is_exit_code_2() {
    let ended = healthcheck(&[("PORT", "http")]).await;
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(2), 1),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("PORT") && ended.err.contains("\"http\""),
        "{}",
        ended.err
    );
}
