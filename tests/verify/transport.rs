//! Redirects, TLS, proxies.

use std::process::Command;

use bifora::arch::Arch;
use tempfile::TempDir;

use crate::support::balancer::Balancer;
use crate::support::gate::{Ended, QUICK, SHORT, command, verify};
use crate::support::proxy;
use crate::support::server::{Server, native};

/// When a certificate is valid.
const NOW: [&str; 2] = ["-days", "30"];
const LONG_AGO: [&str; 4] = ["-startdate", "20240101000000Z", "-enddate", "20250101000000Z"];

/// A certificate for `name`, of its own authority; key and certificate are in `server.pem`.
fn certificate(name: &str, valid: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("openssl is installed");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let key = ["-newkey", "rsa:2048", "-nodes"];
    openssl(
        &[
            &[
                "req",
                "-x509",
                "-subj",
                "/CN=Test authority",
                "-days",
                "30",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ],
            &key[..],
        ]
        .concat(),
    );
    openssl(
        &[
            &[
                "req",
                "-subj",
                "/CN=test",
                "-keyout",
                "server.key",
                "-out",
                "server.csr",
            ],
            &key[..],
        ]
        .concat(),
    );
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    write("names", &format!("subjectAltName={name}\n"));
    write("index.txt", "");
    write(
        "ca.cnf",
        "[ca]\ndefault_ca = this\n[this]\ndatabase = index.txt\nnew_certs_dir = .\ndefault_md = sha256\nserial = serial\n\
         policy = any\n[any]\ncommonName = supplied\n",
    );
    openssl(
        &[
            &["ca", "-config", "ca.cnf", "-batch", "-notext", "-create_serial"][..],
            &["-cert", "ca.pem", "-keyfile", "ca.key", "-in", "server.csr"],
            &["-extfile", "names", "-out", "server.crt"],
            valid,
        ]
        .concat(),
    );
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
    let both = [read("server.crt"), read("server.key")].concat();
    std::fs::write(folder.path().join("server.pem"), both).expect("writable");
    folder
}

/// A load balancer that speaks TLS, before both architectures.
fn secured(folder: &TempDir) -> (Balancer, String, [std::sync::Arc<Server>; 2]) {
    let servers = [Server::shared(Arch::X86_64), Server::shared(Arch::Aarch64)];
    let options = format!("ssl crt {}", folder.path().join("server.pem").display());
    let balancer = Balancer::start(
        "127.0.0.1",
        &options,
        "",
        &servers.each_ref().map(|server| server.address),
    );
    let url = balancer.url().replace("http:", "https:");
    (balancer, url, servers)
}

fn ca_file(folder: &TempDir) -> String {
    folder.path().join("ca.pem").display().to_string()
}

/// Runs the gate with the authority of that certificate trusted.
fn trusting(folder: &TempDir, url: &str, commit: &str, arguments: &[&str]) -> Ended {
    let file = ca_file(folder);
    verify(url, commit, &[&["--ca-file", &file], arguments].concat())
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let folder = certificate("IP:127.0.0.1,DNS:localhost", &NOW);
    let (_balancer, url, servers) = secured(&folder);
    let commit = servers[0].commit();
    trusting(&folder, &url, &commit, &QUICK).is(0, &[&format!("Proven: {url}")]);
    let by_name = url.replace("127.0.0.1", "localhost");
    trusting(&folder, &by_name, &commit, &QUICK).is(0, &["Proven: https://localhost:"]);
    verify(&url, &commit, &SHORT).is(
        1,
        &[
            "the certificate is not valid",
            "an authority that is not trusted",
            "--ca-file",
        ],
    );
}

#[test]
fn both_versions_of_tls_are_spoken() {
    let folder = certificate("IP:127.0.0.1", &NOW);
    let server = Server::shared(native());
    for (version, limits) in [("1.2", "ssl-max-ver TLSv1.2"), ("1.3", "ssl-min-ver TLSv1.3")] {
        let options = format!("ssl crt {} {limits}", folder.path().join("server.pem").display());
        let balancer = Balancer::start("127.0.0.1", &options, "", &[server.address]);
        let url = balancer.url().replace("http:", "https:");
        let arguments = [&["--arch", native().name()], &QUICK[..]].concat();
        let ended = trusting(&folder, &url, &server.commit(), &arguments);
        assert_eq!(ended.code, Some(0), "TLS {version}: {}{}", ended.err, ended.out);
    }
}

#[test]
fn an_expired_certificate() {
    let folder = certificate("IP:127.0.0.1", &LONG_AGO);
    let (_balancer, url, servers) = secured(&folder);
    let ended = trusting(&folder, &url, &servers[0].commit(), &SHORT);
    ended.is(
        1,
        &[
            "the certificate is not valid",
            "it expired on 2025-01-01",
            "not about the service itself",
            "✗ every question is answered",
        ],
    );
}

#[test]
fn a_certificate_for_another_name() {
    let folder = certificate("DNS:other.example", &NOW);
    let (_balancer, url, servers) = secured(&folder);
    let ended = trusting(&folder, &url, &servers[0].commit(), &SHORT);
    ended.is(1, &["it is not for 127.0.0.1"]);
}

#[test]
fn tls_where_none_is_spoken() {
    let server = Server::shared(native());
    let ended = verify(&format!("https://{}", server.address), &server.commit(), &SHORT);
    ended.is(1, &["does not speak TLS that is understood here"]);
}

#[test]
fn redirects_are_followed_to_https() {
    let folder = certificate("IP:127.0.0.1", &NOW);
    let (secure, _, servers) = secured(&folder);
    let rules = format!(
        "  http-request redirect code 301 prefix https://{}",
        secure.address
    );
    let plain = Balancer::start("127.0.0.1", "", &rules, &[]);
    let ended = trusting(&folder, &plain.url(), &servers[0].commit(), &QUICK);
    ended.is(0, &["Proven"]);
}

#[test]
fn redirects_that_lead_nowhere() {
    let folder = certificate("IP:127.0.0.1", &NOW);
    let (down, loops) = (
        "  http-request redirect code 302 location http://127.0.0.1:9/",
        "  http-request redirect code 302 location /api/whoami",
    );
    let balancer = Balancer::start("127.0.0.1", "", loops, &[]);
    verify(&balancer.url(), "0123456", &SHORT).is(
        1,
        &["redirects in a circle: http://127.0.0.1", "/api/whoami → http"],
    );
    let options = format!("ssl crt {}", folder.path().join("server.pem").display());
    let balancer = Balancer::start("127.0.0.1", &options, down, &[]);
    let url = balancer.url().replace("http:", "https:");
    let ended = trusting(&folder, &url, "0123456", &SHORT);
    ended.is(
        1,
        &["from https to http://127.0.0.1:9/, where anybody could answer"],
    );
    let endless = "  http-request redirect code 302 location /%[rand(100000000)]";
    let balancer = Balancer::start("127.0.0.1", "", endless, &[]);
    verify(&balancer.url(), "0123456", &SHORT).is(1, &["more than 10 redirects"]);
}

#[test]
fn a_proxy_of_the_environment_is_honoured() {
    let folder = certificate("DNS:bifora.test", &NOW);
    let (secure, _, servers) = secured(&folder);
    let plain = Balancer::before(&servers.each_ref().map(|server| server.address));
    let commit = servers[0].commit();
    let file = ca_file(&folder);
    let arguments = [&["--ca-file", &file], &QUICK[..]].concat();
    for (url, variable, target, line) in [
        (
            "http://bifora.test",
            "http_proxy",
            plain.address,
            "GET http://bifora.test/api/whoami HTTP/1.1",
        ),
        (
            "https://bifora.test",
            "HTTPS_PROXY",
            secure.address,
            "CONNECT bifora.test:443 HTTP/1.1",
        ),
    ] {
        let (proxy, told) = proxy::leading_to(target);
        let value = format!("http://me:secret@{proxy}");
        let output = command(url, &commit, &arguments)
            .env(variable, &value)
            .output()
            .expect("it starts");
        let ended: Ended = output.into();
        ended.is(0, &[&format!("Proven: {url}")]);
        let head = told.recv().expect("it was asked");
        assert!(head.starts_with(line), "{head}");
        assert!(
            head.to_ascii_lowercase()
                .contains("proxy-authorization: basic bwu6c2vjcmv0"),
            "{head}"
        );
        assert!(head.contains("bifora-verify/"), "{head}");
        // Nobody but the proxy knows the name.
        let output = command(url, &commit, &[&SHORT[..], &["--request-timeout", "3s"]].concat())
            .envs([(variable, value.as_str()), ("NO_PROXY", "bifora.test")])
            .output();
        let ended: Ended = output.expect("it starts").into();
        ended.is(3, &["Not decided in time"]);
    }
    // What is on this machine is asked directly.
    let output = command(&plain.url(), &commit, &QUICK)
        .env("http_proxy", "http://127.0.0.1:9")
        .output();
    let ended: Ended = output.expect("it starts").into();
    ended.is(0, &["Proven"]);
}
