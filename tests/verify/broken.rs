//! Every way to break a fleet, one at a time: the right exit code, and what a newcomer understands.

use std::net::SocketAddr;
use std::sync::Arc;

use bifora::arch::Arch;

use crate::support::balancer::Balancer;
use crate::support::gate::{Ended, QUICK, SHORT, verify};
use crate::support::server::{Server, digest, native};
use crate::support::tamper::{self, Exchange};
use crate::support::{eventually, pause};

/// Both servers, one of them behind `how`, behind a load balancer.
struct Fleet {
    balancer: Balancer,
    commit: String,
    _servers: [Arc<Server>; 2],
}

impl Fleet {
    fn broken(which: Arch, how: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
        let mut addresses: [SocketAddr; 2] = servers.each_ref().map(|server| server.address);
        let place = usize::from(which == Arch::Aarch64);
        addresses[place] = tamper::before(addresses[place], how);
        Self {
            balancer: Balancer::before(&addresses),
            commit: servers[0].commit(),
            _servers: servers,
        }
    }

    fn verify(&self, arguments: &[&str]) -> Ended {
        verify(&self.balancer.url(), &self.commit, arguments)
    }
}

#[test]
fn a_server_of_another_commit() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let commit = servers[0].commit();
    let other = "f".repeat(40);
    let (from, to) = (commit.clone(), other.clone());
    let fleet = Fleet::broken(Arch::Aarch64, move |exchange| exchange.replace(&[(&from, &to)]));
    fleet.verify(&SHORT).is(
        1,
        &[
            "Disproven: http://",
            "Because another commit answers",
            "(aarch64)",
            &commit,
            &other,
            "was it rolled back?",
        ],
    );
}

#[test]
fn one_vector_mutated() {
    let fleet = Fleet::broken(Arch::Aarch64, |exchange| {
        if !exchange.path.starts_with("/api/parity") {
            return exchange.hand_on();
        }
        let mut parity: serde_json::Value = serde_json::from_slice(&exchange.body).expect("JSON");
        // As a task would that believes itself: what it expects is what it found.
        parity["vectors"][7]["digest"] = "0".repeat(64).into();
        parity["vectors"][7]["expected"] = "0".repeat(64).into();
        exchange.answer("200 OK", "application/json", parity.to_string().as_bytes());
    });
    let parity: serde_json::Value =
        serde_json::from_str(&Server::shared(native()).get("/api/parity")).expect("JSON");
    let name = parity["vectors"][7]["name"].as_str().expect("a name").to_owned();
    fleet.verify(&SHORT).is(
        1,
        &[
            "Because the result of",
            &name,
            &"0".repeat(64),
            "✗ every parity vector is as expected",
            "/parity",
        ],
    );
}

#[test]
fn an_x86_64_executable_that_claims_aarch64() {
    let servers = [
        Server::shared(native()),
        Server::start(native(), "127.0.0.1:0").into(),
    ];
    let foreign = if native() == Arch::X86_64 {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let [from, to] = [native(), foreign].map(|arch| format!("\"arch\":\"{arch}\""));
    let liar = tamper::before(servers[1].address, move |exchange| {
        exchange.replace(&[(&from, &to)])
    });
    let balancer = Balancer::before(&[servers[0].address, liar]);
    let commit = servers[0].commit();
    let ended = verify(&balancer.url(), &commit, &SHORT);
    let what = format!("it claims to be {foreign}, and its executable is for another machine");
    ended.is(
        1,
        &[
            &what,
            &format!("expected {foreign}"),
            &format!("seen     {}", native()),
            "✗ every executable is",
        ],
    );
    // Who knows what was built sees it by the digest as well.
    let binary = format!("{foreign}={}", digest(foreign));
    let ended = verify(
        &balancer.url(),
        &commit,
        &[&["--binary", &binary], &SHORT[..]].concat(),
    );
    let claim = format!("✗ {foreign} runs the expected executable");
    ended.is(1, &[&claim, "another executable runs", &digest(native())]);
}

#[test]
fn an_emulated_task() {
    let foreign = if native() == Arch::X86_64 {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let server = Server::shared(foreign);
    let url = format!("http://{}", server.address);
    let strict = &SHORT[..SHORT.len() - 1];
    let ended = verify(
        &url,
        &server.commit(),
        &[&["--arch", foreign.name()], strict].concat(),
    );
    ended.is(
        1,
        &[
            "the machine is emulated",
            "qemu-user",
            "✗ nothing is emulated",
            "--allow-emulation",
        ],
    );
}

#[test]
fn an_architecture_that_is_not_expected() {
    let fleet = Fleet::broken(Arch::Aarch64, Exchange::hand_on);
    let ended = fleet.verify(&[&["--arch", "x86_64"], &SHORT[..]].concat());
    ended.is(
        1,
        &[
            "an architecture answers that is not expected",
            "expected x86_64",
            "seen     aarch64",
        ],
    );
}

#[test]
fn one_task_that_answers_500_once_in_a_hundred() {
    let fleet = Fleet::broken(Arch::X86_64, |exchange| {
        if exchange.number % 100 == 60 {
            exchange.answer("500 Internal Server Error", "text/html", b"<title>Oops</title>")
        } else {
            exchange.hand_on();
        }
    });
    let ended = fleet.verify(&[
        "--settle",
        "3s",
        "--samples",
        "200",
        "--timeout",
        "60s",
        "--allow-emulation",
    ]);
    ended.is(
        1,
        &[
            "✗ every question is answered",
            "1 × GET /api/",
            "seen     500 Internal Server Error, text/html",
            "“Oops”",
        ],
    );
}

#[test]
fn a_task_that_becomes_too_slow() {
    let fleet = Fleet::broken(Arch::Aarch64, |exchange| {
        if exchange.number > 30 {
            pause(3_000);
        }
        exchange.hand_on();
    });
    let arguments = [
        "--settle",
        "4s",
        "--samples",
        "200",
        "--timeout",
        "60s",
        "--request-timeout",
        "2s",
        "--allow-emulation",
    ];
    fleet.verify(&arguments).is(
        1,
        &[
            "✗ every question is answered",
            "connected, but no answer within 2s",
        ],
    );
}

#[test]
fn a_task_that_is_too_slow_from_the_start() {
    let fleet = Fleet::broken(Arch::Aarch64, |exchange| {
        pause(3_000);
        exchange.hand_on();
    });
    let ended = fleet.verify(&[&SHORT[..], &["--request-timeout", "500ms"]].concat());
    ended.is(
        3,
        &[
            "Not decided in time",
            "Still missing: aarch64 has not answered",
            "no answer within 0.5s",
        ],
    );
}

#[test]
fn only_one_architecture() {
    let server = Server::shared(native());
    let foreign = if native() == Arch::X86_64 {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let ended = verify(&format!("http://{}", server.address), &server.commit(), &SHORT);
    let missing = format!("Still missing: {foreign} has not answered");
    ended.is(
        3,
        &[
            "Not decided in time",
            &missing,
            "does the load balancer give it weight?",
        ],
    );
}

#[test]
fn an_architecture_that_goes_away_in_the_settle_window() {
    let foreign = if native() == Arch::X86_64 {
        Arch::Aarch64
    } else {
        Arch::X86_64
    };
    let servers = [Server::shared(native()), Server::shared(foreign)];
    // After some answers, whoever is sent there is answered by the other one.
    let other = servers[0].address;
    let gone = tamper::before(servers[1].address, move |mut exchange| {
        if exchange.number < 3 {
            return exchange.hand_on();
        }
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(other).expect("it listens");
        let head = format!("GET {} HTTP/1.0\r\nhost: x\r\n\r\n", exchange.path);
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        exchange.say(&answer);
    });
    let balancer = Balancer::before(&[servers[0].address, gone]);
    let arguments = [
        "--settle",
        "2s",
        "--samples",
        "100",
        "--timeout",
        "30s",
        "--allow-emulation",
    ];
    let ended = verify(&balancer.url(), &servers[0].commit(), &arguments);
    ended.is(
        3,
        &[&format!(
            "Still missing: {foreign} did not answer in the settle window"
        )],
    );
}

#[test]
fn nobody_there() {
    let ended = verify("http://127.83.83.83:9", "0123456", &SHORT);
    ended.is(
        3,
        &[
            "Not decided in time",
            "127.83.83.83:9 refuses connections: nothing listens there",
        ],
    );
    let balancer = Balancer::before(&[]);
    let ended = verify(&balancer.url(), "0123456", &SHORT);
    ended.is(
        3,
        &[
            "503 Service Unavailable",
            "Still missing: x86_64 has not answered",
        ],
    );
}

#[test]
fn a_name_that_nobody_knows() {
    // RFC 6761 reserves it for this.
    let ended = verify("http://bifora.invalid", "0123456", &SHORT);
    ended.is(3, &["Not decided in time", "bifora.invalid"]);
}

#[test]
fn an_answer_with_another_nonce() {
    let fleet = Fleet::broken(Arch::X86_64, |exchange| {
        let nonce = exchange
            .path
            .split_once("nonce=")
            .map(|(_, nonce)| nonce.to_owned());
        match nonce {
            Some(nonce) => exchange.replace(&[(&nonce, "00000000000000000000000000000000")]),
            None => exchange.hand_on(),
        }
    });
    fleet.verify(&SHORT).is(
        1,
        &["it has another nonce", "✗ every executable is for its machine"],
    );
}

#[test]
fn a_fleet_is_as_good_as_its_lock() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let commit = servers[0].commit();
    let [x86, arm, index] = ["a", "b", "c"].map(|digit| format!("sha256:{}", digit.repeat(64)));
    // Here is no ECS that tells digests; one task tells that of its image, the other that of the index, as ECS may.
    let told = |server: &Server, digest: &str| {
        let to = format!("\"image_digest\":\"{digest}\"");
        tamper::before(server.address, move |exchange| {
            exchange.replace(&[("\"image_digest\":null", &to)])
        })
    };
    let balancer = Balancer::before(&[told(&servers[0], &x86), told(&servers[1], &index)]);
    let folder = tempfile::tempdir().expect("a folder");
    let lock = folder.path().join("bifora-lock.json");
    let mut content = serde_json::json!({
        "version": 1, "commit": commit, "cargo_lock": index, "index": index,
        "images": {
            "x86_64": { "binary": digest(Arch::X86_64), "image": x86 },
            "aarch64": { "binary": digest(Arch::Aarch64), "image": arm },
        },
    });
    let path = lock.to_str().expect("text").to_owned();
    let write = |content: &serde_json::Value| std::fs::write(&lock, content.to_string()).expect("writable");
    write(&content);
    let with_lock = [&["--lock", &path], &SHORT[..]].concat();
    let quick = [&["--lock", &path], &QUICK[..]].concat();
    verify(&balancer.url(), &commit, &quick).is(
        0,
        &[
            "✓ x86_64 runs the expected image",
            "✓ aarch64 runs the expected image",
            "✓ x86_64 runs the expected executable",
        ],
    );
    content["images"]["x86_64"]["image"] = arm.clone().into();
    write(&content);
    verify(&balancer.url(), &commit, &with_lock).is(
        1,
        &[
            "✗ x86_64 runs the expected image",
            &format!("expected {arm} or {index}"),
            &format!("seen     {x86}"),
        ],
    );
    content["images"]["x86_64"]["image"] = x86.clone().into();
    content["images"]["aarch64"]["binary"] = digest(Arch::X86_64).into();
    write(&content);
    verify(&balancer.url(), &commit, &with_lock).is(
        1,
        &[
            "✗ aarch64 runs the expected executable",
            "another executable runs",
        ],
    );
    // Where nobody tells a digest, that is missing and not wrong.
    let plain = Balancer::before(&[servers[0].address, servers[1].address]);
    content["images"]["aarch64"]["binary"] = digest(Arch::Aarch64).into();
    write(&content);
    let ended = verify(&plain.url(), &commit, &with_lock);
    ended.is(
        3,
        &[
            "Still missing: the task does not tell which image it runs",
            "ECS task metadata",
        ],
    );
    let ended = verify(&plain.url(), "0123456", &with_lock);
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(2), 1),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("--commit 0123456 does not agree with"),
        "{}",
        ended.err
    );
    eventually("the balancer still stands", || Some(&balancer));
}
