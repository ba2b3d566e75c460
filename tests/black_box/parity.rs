//! Parity: every result is the expected one, whichever architecture the program under test is for.

use std::collections::BTreeSet;

use bifora::parity::{Outcome, PARITY_VERSION, Parity, names};
use bifora::whoami::WhoAmI;
use futures_util::future::join_all;

use crate::support::page::assert_harmless;
use crate::support::program::arch;
use crate::support::server::Server;

#[tokio::test]
async fn every_result_is_as_expected_and_says_whose_it_is() {
    let server = Server::shared();
    let parity: Parity = server.get("/api/parity").await.json();
    assert_eq!(names(&parity.vectors, Outcome::Differs), Vec::<&str>::new());
    assert_eq!(
        names(&parity.vectors, Outcome::NotComputed),
        Vec::<&str>::new(),
        "the budget lasts"
    );
    assert_eq!(parity.version, PARITY_VERSION);
    assert!(parity.vectors.len() >= 40, "{}", parity.vectors.len());
    for vector in &parity.vectors {
        assert!(
            vector.expected.len() == 64 && vector.expected.bytes().all(|b| b.is_ascii_hexdigit()),
            "{vector:?}"
        );
        assert_eq!(
            vector.digest.as_deref(),
            Some(vector.expected.as_str()),
            "{}",
            vector.name
        );
    }
    let who: WhoAmI = server.get("/api/whoami").await.json();
    assert_eq!(parity.who.arch.name(), arch());
    assert_eq!(parity.who.identity(), who.identity());
    assert_eq!(
        (parity.who.emulator, parity.who.started),
        (who.emulator, who.started)
    );
}

/// What this architecture is known for, by name.
#[tokio::test]
async fn known_differences_are_those_of_the_architecture() {
    let parity: Parity = Server::shared().get("/api/parity").await.json();
    let value = |name: &str| {
        let found = parity
            .differences
            .iter()
            .find(|difference| difference.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not told"))
            .value
            .as_str()
    };
    let (sign, order, nan) = match arch().as_str() {
        "x86_64" => ("signed", "strong (TSO)", "fff8000000000000"),
        "aarch64" => ("unsigned", "weak, unless asked for", "7ff8000000000000"),
        other => panic!("{other} is unknown to this test"),
    };
    assert_eq!(value("sign of char in C"), sign);
    assert_eq!(value("order of loads and stores"), order);
    assert_eq!(value("bits of a default NaN"), nan);
}

/// Who comes before the results are there waits for them; nobody starts them a second time.
#[tokio::test]
async fn everyone_who_comes_at_the_start_gets_the_same_answer() {
    let server = Server::start(&[]);
    let paths = ["/api/parity", "/parity", "/api/whoami", "/readyz"];
    let answers = join_all(paths.iter().cycle().take(80).map(async |path| {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        (*path, answer.text())
    }))
    .await;
    let of = |wanted: &str| -> BTreeSet<_> {
        let asked = answers.iter().filter(|(path, _)| *path == wanted);
        asked.map(|(_, text)| text.clone()).collect()
    };
    assert_eq!(of("/api/parity").len(), 1);
    assert_eq!(of("/api/parity"), of("/parity"), "no browser asked");
    let told = server
        .line(&["every parity vector gave the expected result"])
        .await;
    assert!(told["cpu_ms"].as_f64().is_some_and(|spent| spent > 0.0), "{told}");
    let lines = server.lines();
    assert_eq!(
        lines.iter().filter(|line| line.contains("parity vector")).count(),
        1,
        "{lines:?}"
    );
}

#[tokio::test]
async fn browsers_get_the_page_and_it_has_every_result() {
    let server = Server::shared();
    let parity: Parity = server.get("/api/parity").await.json();
    let page = server.page("/parity").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("vary"), Some("accept"));
    let html = page.text();
    assert_harmless(&html);
    for vector in &parity.vectors {
        assert!(
            html.contains(&format!("data-expected=\"{}\"", vector.expected)),
            "{}",
            vector.name
        );
    }
    assert!(html.contains(&format!("{}: all {} as expected", arch(), parity.vectors.len())));
    let json = server.get("/parity").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.text(), server.get("/api/parity").await.text());
}
