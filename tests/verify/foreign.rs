//! Answers that are not Bifora's are told as what they are, and never crash the gate.

use crate::support::balancer::Balancer;
use crate::support::gate::{SHORT, verify};
use crate::support::pause;
use crate::support::server::{Server, native};
use crate::support::tamper::{self, Exchange};

/// A single server whose every answer goes through `how`.
fn always(how: impl Fn(Exchange) + Send + Sync + 'static, arguments: &[&str]) -> crate::support::gate::Ended {
    let server = Server::shared(native());
    let address = tamper::before(server.address, how);
    let arguments = [&["--arch", native().name()], &SHORT[..], arguments].concat();
    verify(&format!("http://{address}"), &server.commit(), &arguments)
}

#[test]
fn a_proxys_page() {
    let rules = "  http-request return status 200 content-type text/html string \"<html><title>Sign in</title></html>\"";
    let balancer = Balancer::start("127.0.0.1", "", rules, &[]);
    verify(&balancer.url(), "0123456", &SHORT).is(
        1,
        &[
            "Because an answer that is not Bifora's (GET /api/whoami)",
            "200 OK, text/html",
            "titled “Sign in”",
            "a login page",
        ],
    );
}

#[test]
fn an_old_version() {
    let ended = always(
        |exchange| {
            if exchange.path == "/api/whoami" {
                exchange.hand_on();
            } else {
                exchange.answer(
                    "404 Not Found",
                    "application/problem+json",
                    b"{\"title\":\"Not Found\"}",
                );
            }
        },
        &[],
    );
    ended.is(
        1,
        &[
            "404 Not Found",
            "a Bifora from before there was such an address",
            "✗ every answer is Bifora's",
        ],
    );
    let ended = always(
        |exchange| {
            exchange.answer(
                "200 OK",
                "application/json",
                b"{\"arch\":\"x86_64\",\"version\":\"0.0.9\"}",
            )
        },
        &[],
    );
    ended.is(1, &["not what this version answers (missing field"]);
}

#[test]
fn json_that_breaks_off() {
    let ended = always(
        |mut exchange| {
            exchange.body.truncate(40);
            let body = std::mem::take(&mut exchange.body);
            exchange.answer("200 OK", "application/json", &body);
        },
        &[],
    );
    ended.is(1, &["200 OK, application/json, 40 B: JSON that breaks off"]);
}

#[test]
fn a_connection_that_breaks_off() {
    let ended = always(
        |mut exchange| exchange.say(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"),
        &[],
    );
    ended.is(3, &["Not decided in time", "the connection"]);
    let ended = always(drop, &[]);
    ended.is(3, &["the connection ends before the answer does"]);
}

#[test]
fn a_hundred_megabytes() {
    let chunk = vec![b' '; 1 << 20];
    let ended = always(
        move |mut exchange| {
            exchange.say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
            use std::io::Write as _;
            // Until nobody reads any more.
            let _ = (0..100).try_for_each(|_| exchange.visitor.write_all(&chunk));
        },
        &[],
    );
    ended.is(1, &["more than the 1.0 MiB that are read of an answer"]);
    let ended = always(
        |mut exchange| {
            exchange.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 104857600\r\n\r\n")
        },
        &[],
    );
    ended.is(1, &["200 OK, text/html, 100.0 MiB: more than"]);
}

#[test]
fn an_answer_that_never_ends() {
    let ended = always(
        |mut exchange| {
            exchange.say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n");
            for _ in 0..60 {
                exchange.say(b" ");
                pause(100);
            }
        },
        &["--request-timeout", "1s"],
    );
    ended.is(3, &["an answer, but only ", "bytes of its body within 1s"]);
}

#[test]
fn something_else_altogether() {
    for (bytes, code, parts) in [
        (
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            1,
            &["what comes is not HTTP"][..],
        ),
        (
            b"HTTP/1.1 200 OK\r\n\x00\x01garbage\r\n\r\n",
            1,
            &["what comes is not HTTP"],
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: \xff\xfe\r\ncontent-length: 2\r\n\r\n{}",
            1,
            &["200 OK"],
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            1,
            &["text/plain", "begins “{}”"],
        ),
        (
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
            1,
            &["401 Unauthorized"],
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1, &["204 No Content"]),
        (
            b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
            1,
            &["status 302 without a Location"],
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: ftp://x/\r\ncontent-length: 0\r\n\r\n",
            1,
            &["neither http nor https"],
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nserver: awselb/2.0\r\ncontent-length: 0\r\n\r\n",
            3,
            &["502", "by server awselb/2.0"],
        ),
        (b"HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n", 1, &["999"]),
    ] {
        let ended = always(move |mut exchange| exchange.say(bytes), &[]);
        ended.is(code, parts);
    }
}

#[test]
fn a_head_that_never_ends() {
    let ended = always(
        |mut exchange| {
            exchange.say(b"HTTP/1.1 200 OK\r\n");
            use std::io::Write as _;
            let line = [b'x'; 1000];
            let _ =
                (0..100_000).try_for_each(|_| exchange.visitor.write_all(&[&line[..], b": y\r\n"].concat()));
        },
        &["--request-timeout", "2s"],
    );
    assert!(matches!(ended.code, Some(1 | 3)), "{}{}", ended.err, ended.out);
}
