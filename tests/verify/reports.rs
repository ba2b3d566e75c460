//! What people and pipelines are told, and where.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::gate::{Ended, QUICK, SHORT, command, verify};
use crate::support::server::{Server, native, program};
use crate::support::{eventually, pause};

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

fn quick<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--arch", native().name()], &QUICK[..], more].concat()
}

#[test]
fn junit_has_a_test_case_for_each_claim() {
    let server = Server::shared(native());
    let ended = verify(&url(&server), &server.commit(), &quick(&["--format", "junit"]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.err, ended.out);
    assert!(
        ended
            .out
            .starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.matches("<testcase ").count() >= 9 && !ended.out.contains("<failure"),
        "{}",
        ended.out
    );
    let short = [&["--arch", native().name(), "--format", "junit"], &SHORT[..]].concat();
    let ended = verify(&url(&server), "0123456", &short);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.out.matches("<failure type=\"disproven\"").count(),
        1,
        "{}",
        ended.out
    );
    assert!(!ended.out.contains("<error"), "{}", ended.out);
    let ended = verify("http://127.0.0.1:9", "0123456", &short);
    assert_eq!(ended.code, Some(3));
    assert!(
        ended.out.contains("<error type=\"undecided\"") && !ended.out.contains("<failure"),
        "{}",
        ended.out
    );
    well_formed(&ended.out);
}

/// By a parser that is not ours.
fn well_formed(xml: &str) {
    use std::io::Write as _;
    let mut python = Command::new("python3")
        .args([
            "-c",
            "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.stdin.buffer)",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a python3");
    python
        .stdin
        .take()
        .expect("piped")
        .write_all(xml.as_bytes())
        .expect("it reads");
    assert!(python.wait().expect("it ends").success(), "{xml}");
}

#[test]
fn json_has_all_of_it() {
    let server = Server::shared(native());
    let ended = verify(&url(&server), &server.commit(), &quick(&["--format", "json"]));
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!((ended.code, &report["exit_code"]), (Some(0), &0.into()));
    assert_eq!(report["verdict"]["status"], "proven");
    assert_eq!(report["verdict"]["tasks"][0]["answers"], 60);
    assert_eq!(report["expected"]["commit"], server.commit().as_str());
}

#[test]
fn a_file_is_written_whole_and_people_are_told_all_the_same() {
    let server = Server::shared(native());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.xml");
    let name = path.to_str().expect("text");
    let ended = verify(
        &url(&server),
        &server.commit(),
        &quick(&["--format", "junit", "--output", name]),
    );
    ended.is(0, &["Proven: http://"]);
    let written = fs::read_to_string(&path).expect("written");
    assert!(
        written.starts_with("<?xml") && written.ends_with("</testsuites>\n"),
        "{written}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anybody_is_asked() {
    let server = Server::start(native(), "127.0.0.1:0");
    let commit = server.commit();
    let before = server.requests();
    for path in ["/not/there/gate.xml", "/", "/proc/gate.xml"] {
        let ended = verify(&url(&server), &commit, &quick(&["--output", path]));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{path}");
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(
            ended.err.starts_with(&format!("bifora: --output {path}: ")),
            "{}",
            ended.err
        );
    }
    assert_eq!(server.requests(), before);
    let ended = verify(
        &url(&server),
        &commit,
        &quick(&["--output", "/dev/full", "--format", "json"]),
    );
    ended.is(
        2,
        &[
            "Proven",
            "--output /dev/full: it could not be written: No space left on device",
        ],
    );
    // What is disproven stays so.
    let short = [&["--arch", native().name(), "--output", "/dev/full"], &SHORT[..]].concat();
    verify(&url(&server), "0123456", &short).is(1, &["Disproven", "could not be written"]);
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let ended = command(&url(&server), &commit, &quick(&[]))
        .stdout(full)
        .output()
        .expect("it starts");
    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn an_interrupt_ends_it_with_what_was_known() {
    let server = Server::shared(native());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gate.json");
        let name = path.to_str().expect("text");
        let arguments = [
            "--settle",
            "50s",
            "--timeout",
            "60s",
            "--format",
            "json",
            "--output",
            name,
            "--arch",
            native().name(),
        ];
        let child = command(&url(&server), &server.commit(), &arguments)
            .spawn()
            .expect("it starts");
        pause(2_000);
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("there is a shell").success());
        let ended: Ended = child.wait_with_output().expect("it ends").into();
        ended.is(
            code,
            &[
                "Interrupted: what was known of http://",
                "nothing against it so far",
                "Who answered",
            ],
        );
        let report: Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("written")).expect("whole");
        assert_eq!(
            (&report["exit_code"], &report["interrupted"]),
            (&code.into(), &true.into())
        );
        assert_eq!(report["verdict"]["status"], "undecided");
    }
}

#[test]
fn a_terminal_gets_a_line_that_moves() {
    let server = Server::shared(native());
    let line = format!(
        "{} verify {} --arch {} --commit {} --settle 1s --samples 40",
        program(native()),
        url(&server),
        native(),
        server.commit()
    );
    for (no_color, coloured) in [("", true), ("1", false)] {
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .envs([("NO_COLOR", no_color), ("TERM", "xterm"), ("SHELL", "/bin/sh")])
            .stdin(Stdio::null())
            .output()
            .expect("util-linux has it");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        let mark = native().mark();
        assert!(
            shown.contains(&format!("{mark} settling ")) && shown.contains('█'),
            "{shown:?}"
        );
        assert!(shown.contains("Proven: "), "{shown:?}");
        assert_eq!(shown.contains("\u{1b}[1;32m"), coloured, "{shown:?}");
        assert!(!shown.contains("bifora verify: gathering"), "{shown:?}");
    }
}

#[test]
fn a_log_gets_a_line_now_and_then() {
    let server = Server::shared(native());
    let ended = verify(&url(&server), &server.commit(), &quick(&[]));
    assert_eq!(ended.code, Some(0));
    let lines = ended.err.lines().count();
    assert!((1..6).contains(&lines), "{}", ended.err);
    assert!(
        ended.err.lines().all(|line| line.starts_with("bifora verify: ")),
        "{}",
        ended.err
    );
    assert!(!(ended.err + &ended.out).contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_early_is_no_failure() {
    let server = Server::shared(native());
    let mut child = command(&url(&server), &server.commit(), &quick(&[]))
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let code = eventually("it ends", || child.try_wait().expect("it is our child"));
    assert_eq!(code.code(), Some(0));
}
