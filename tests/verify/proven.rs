//! What is right is proven, at what it may cost.

use std::time::{Duration, Instant};

use bifora::arch::Arch;

use crate::support::balancer::Balancer;
use crate::support::gate::{QUICK, SHORT, command, verify};
use crate::support::server::{Server, digest, native};
use crate::support::{eventually, pause, tamper};

#[test]
fn a_fleet_of_both_architectures_is_proven_and_costs_what_was_promised() {
    // Of this test's own, because their requests are counted.
    let servers = [Arch::X86_64, Arch::Aarch64].map(|arch| Server::start(arch, "127.0.0.1:0"));
    let balancer = Balancer::before(&[servers[0].address, servers[1].address]);
    let commit = servers[0].commit();
    let before: u64 = servers.iter().map(Server::requests).sum();
    let binaries = servers
        .each_ref()
        .map(|server| format!("{}={}", server.arch, digest(server.arch)));
    let settle = Duration::from_secs(5);
    let start = Instant::now();
    let ended = verify(
        &balancer.url(),
        &commit[..7],
        &[
            "--arch",
            "x86_64",
            "--arch",
            "aarch64",
            "--binary",
            &binaries[0],
            "--binary",
            &binaries[1],
            "--settle",
            "5s",
            "--timeout",
            "60s",
            "--allow-emulation",
        ],
    );
    let took = start.elapsed();
    ended.is(
        0,
        &[
            "Proven: http://127.0.0.1",
            "on x86_64 and aarch64",
            "✓ aarch64 runs the expected executable",
            "200 questions in",
        ],
    );
    let requests = servers.iter().map(Server::requests).sum::<u64>() - before;
    println!(
        "    proven {:.1} s after the settle window (bar: 5), with {requests} requests for 200 samples (bar: 204)",
        (took - settle).as_secs_f64()
    );
    assert!((200..=204).contains(&requests), "{requests} requests");
}

#[test]
fn what_the_readme_says_to_two_processes() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let commit = servers[0].commit();
    let balancer = Balancer::of_the_readme(servers[0].address, servers[1].address);
    verify(&balancer.url(), &commit, &QUICK).is(0, &["Proven"]);
    verify(&balancer.url(), "0123456", &SHORT).is(1, &["another commit answers", &commit]);
    let strict = &QUICK[..QUICK.len() - 1];
    verify(&balancer.url(), &commit, strict).is(1, &["✗ nothing is emulated"]);
}

#[test]
fn one_architecture_alone_is_proven_where_it_is_all_that_is_expected() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let server = Server::shared(arch);
        let url = format!("http://{}", server.address);
        let ended = verify(
            &url,
            &server.commit(),
            &[&["--arch", arch.name()], &QUICK[..]].concat(),
        );
        ended.is(0, &["Proven", &format!("✓ nothing but {arch} answers")]);
    }
}

#[test]
fn what_comes_up_late_is_waited_for() {
    let server = Server::shared(native());
    let commit = server.commit();
    // Nothing listens there, and then something does.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let arguments = [&["--arch", native().name()], &QUICK[..]].concat();
    let child = command(&format!("http://{address}"), &commit, &arguments)
        .spawn()
        .expect("it starts");
    pause(1_500);
    let _late = Server::start(native(), &address);
    let ended: crate::support::gate::Ended = child.wait_with_output().expect("it ends").into();
    ended.is(0, &["Proven"]);
    assert!(ended.err.contains("refuses connections"), "{}", ended.err);
}

#[test]
fn what_still_mixes_is_waited_for() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let commit = servers[0].commit();
    let (old, new) = ("0".repeat(40), commit.clone());
    // One of both is deployed later: its first answers are of the commit before, and then it is gone for some.
    let rolling = tamper::before(servers[1].address, move |exchange| match exchange.number {
        0..8 => exchange.replace(&[(&new, &old)]),
        8..12 => exchange.answer("503 Service Unavailable", "text/plain", b"down"),
        _ => exchange.hand_on(),
    });
    let balancer = Balancer::before(&[servers[0].address, rolling]);
    let ended = verify(&balancer.url(), &commit, &QUICK);
    ended.is(0, &["Proven"]);
    assert!(ended.err.contains("another commit answers"), "{}", ended.err);
}

#[test]
fn slowness_alone_is_no_fault() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let slow = tamper::before(servers[0].address, |exchange| {
        pause(300);
        exchange.hand_on();
    });
    let balancer = Balancer::before(&[slow, servers[1].address]);
    let ended = verify(&balancer.url(), &servers[0].commit(), &QUICK);
    ended.is(0, &["Proven"]);
    let longest = ended
        .out
        .split(" ms at most")
        .next()
        .and_then(|text| text.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(longest.is_some_and(|longest| longest >= 300), "{}", ended.out);
}

#[test]
fn a_task_that_hides_is_asked_for_by_its_architecture() {
    // As service.yml does it: nothing goes to aarch64 by itself, and all that asks for it.
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let rules = format!(
        "  use_backend arm if {{ hdr(x-bifora-arch) aarch64 }}\nbackend arm\n  server task {}",
        servers[1].address
    );
    let balancer = Balancer::start("127.0.0.1", "", &rules, &[servers[0].address]);
    let ended = verify(&balancer.url(), &servers[0].commit(), &QUICK);
    ended.is(0, &["Proven", "✓ aarch64 answers"]);
}

#[test]
fn ipv6_is_spoken() {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let balancer = Balancer::start("[::1]", "", "", &[servers[0].address, servers[1].address]);
    let url = balancer.url();
    assert!(url.starts_with("http://[::1]:"), "{url}");
    verify(&url, &servers[0].commit(), &QUICK).is(0, &[&format!("Proven: {url}")]);
    let by_name = url.replace("[::1]", "localhost");
    // Its IPv4 address takes no connections.
    eventually("localhost is tried at both addresses", || {
        verify(&by_name, &servers[0].commit(), &QUICK)
            .is(0, &["Proven: http://localhost:"])
            .code
    });
}
