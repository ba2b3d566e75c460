//! What is wrong with the command line is said in one line, before anybody is asked.

use crate::support::gate::verify;
use crate::support::server::{native, program};

#[test]
fn bad_usage_is_exit_code_2_and_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "{}").expect("writable");
    let file = file.to_str().expect("text");
    for (arguments, parts) in [
        (
            &["--samples", "0"][..],
            &["--samples", "\"0\"", "from 10 to 100000"][..],
        ),
        (&["--concurrency", "1000"], &["from 1 to 64"]),
        (&["--settle", "soon"], &["--settle", "30s"]),
        (&["--settle", "10m"], &["--settle 10m", "--timeout 10m"]),
        (&["--timeout", "0s"], &["--timeout", "10m"]),
        (
            &["--arch", "riscv64"],
            &["--arch", "\"riscv64\"", "x86_64 or aarch64"],
        ),
        (&["--digest", "x86_64=sha256:0"], &["--digest", "64 digits"]),
        (&["--binary", "sha256:0"], &["--binary", "64 digits"]),
        (&["--format", "yaml"], &["--format", "text, json, junit"]),
        (
            &["--lock", "/not/there"],
            &["--lock", "/not/there", "No such file"],
        ),
        (&["--lock", file], &["--lock", "is no release lock"]),
        (
            &["--ca-file", "/not/there"],
            &["--ca-file /not/there", "No such file"],
        ),
        (
            &["--ca-file", file],
            &["--ca-file", "-----BEGIN CERTIFICATE-----"],
        ),
    ] {
        let ended = verify("http://127.0.0.1:9", "0123456", arguments);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{arguments:?}: {}",
            ended.err
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(
            parts.iter().all(|part| ended.err.contains(part)),
            "{arguments:?}: {}",
            ended.err
        );
    }
    for url in ["127.0.0.1:9", "ftp://x", "http://", "http://u:p@x", "http://x/?q"] {
        let ended = verify(url, "0123456", &[]);
        assert_eq!(
            (ended.code, ended.err.lines().count()),
            (Some(2), 1),
            "{url}: {}",
            ended.err
        );
        assert!(ended.err.contains("an address such as http://"), "{}", ended.err);
    }
    for commit in ["", "012345", "z123456", &"0".repeat(41)] {
        let ended = verify("http://127.0.0.1:9", commit, &[]);
        assert_eq!(
            (ended.code, ended.err.lines().count()),
            (Some(2), 1),
            "{commit}: {}",
            ended.err
        );
    }
    for (variable, value, parts) in [
        (
            "ALL_PROXY",
            "socks5://me:secret@x",
            &["ALL_PROXY", "an HTTP proxy"][..],
        ),
        (
            "BIFORA_ALLOW_EMULATION",
            "maybe",
            &["BIFORA_ALLOW_EMULATION", "\"maybe\"", "true, false"],
        ),
    ] {
        let output = crate::support::gate::command("http://x.example", "0123456", &[])
            .env(variable, value)
            .output();
        let ended: crate::support::gate::Ended = output.expect("it starts").into();
        assert_eq!(
            (ended.code, ended.err.lines().count()),
            (Some(2), 1),
            "{}",
            ended.err
        );
        assert!(parts.iter().all(|part| ended.err.contains(part)), "{}", ended.err);
        assert!(!ended.err.contains("secret"), "{}", ended.err);
    }
}

#[test]
fn what_was_built_has_to_be_said() {
    let output = std::process::Command::new(program(native()))
        .args(["verify", "http://127.0.0.1:9"])
        .env_clear()
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (output.status.code(), said.lines().count()),
        (Some(2), 1),
        "{said}"
    );
    assert!(said.contains("--commit") && said.contains("--lock"), "{said}");
}

#[test]
fn help_is_enough_for_a_newcomer() {
    let output = std::process::Command::new(program(native()))
        .args(["verify", "--help"])
        .env_clear()
        .output();
    let help = String::from_utf8(output.expect("it starts").stdout).expect("UTF-8");
    for part in [
        "on a new connection each time",
        "<URL>",
        "--arch",
        "--commit",
        "--digest",
        "--binary",
        "--lock",
        "--timeout",
        "10m",
        "--settle",
        "30s",
        "--samples",
        "200",
        "--concurrency",
        "--format",
        "junit",
        "--output",
        "--ca-file",
        "--allow-emulation",
        "BIFORA_ALLOW_EMULATION",
        "Exit codes",
        "Examples",
        "http_proxy",
        "NO_COLOR",
    ] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 125), "{help}");
}
