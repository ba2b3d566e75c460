//! `/api/attest`: the digest and the machine are those of the file that runs, whatever has become of its path.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use bifora::attest::Attestation;
use bifora::whoami::WhoAmI;
use bifora_image::digest::Digest;
use bifora_image::elf::Elf;
use serde_json::Value;

use crate::support::metadata::{Endpoint, Mode, container, task};
use crate::support::program::{arch, binary, program_at};
use crate::support::server::Server;

async fn attested(server: &Server, nonce: &str) -> Attestation {
    let answer = server.get(&format!("/api/attest?nonce={nonce}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let attestation: Attestation = answer.json();
    assert_eq!(attestation.nonce, nonce);
    attestation
}

fn assert_is_the_binary(attestation: &Attestation) {
    let content = fs::read(binary()).expect("the binary can be read");
    assert_eq!(attestation.binary.as_deref(), Some(Digest::of(&content).as_str()));
    let machine = Elf::read(&content)
        .expect("an ELF file")
        .expect("a whole one")
        .to_string();
    assert_eq!(attestation.elf_machine.as_deref(), Some(machine.as_str()));
    assert_eq!(
        (attestation.arch.name(), machine.as_str()),
        (arch().as_str(), arch().as_str())
    );
}

#[tokio::test]
async fn the_file_that_runs_is_told_to_whoever_asks_with_a_nonce() {
    let server = Server::shared();
    let first = attested(&server, "first").await;
    assert_is_the_binary(&first);
    let who: WhoAmI = server.get("/api/whoami").await.json();
    assert_eq!((&first.commit, &first.instance), (&who.commit, &who.instance));
    assert_eq!((&first.task, &first.image_digest), (&None, &None), "not on ECS");
    let longest = "x".repeat(128);
    let second = attested(&server, &longest).await;
    let nonce = first.nonce.clone();
    assert_eq!(Attestation { nonce, ..second }, first, "only the nonce differs");
}

#[tokio::test]
async fn a_nonce_that_is_missing_or_none_is_400_and_named() {
    let server = Server::shared();
    for query in [
        "",
        "?",
        "?nonce",
        "?nonce=",
        "?nonce=a%20b",
        "?nonce=%3Cscript%3E",
        "?nonce=a&nonce=b",
        "?nonce=%ff%00",
        &format!("?nonce={}", "x".repeat(129)),
        &format!("?nonce={}", "x".repeat(5_000)),
    ] {
        let answer = server.get(&format!("/api/attest{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        let detail = answer.problem()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(
            detail.contains("nonce") && !detail.contains("script"),
            "{query}: {detail}"
        );
        let page = server.page(&format!("/api/attest{query}")).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (400, Some("text/html; charset=utf-8"))
        );
    }
}

#[tokio::test]
async fn what_ecs_tells_is_told() {
    let endpoint = Endpoint::start(Mode::Good(container(), task())).await;
    let server = Server::start_with(&[], &[("ECS_CONTAINER_METADATA_URI_V4", endpoint.uri().into())]);
    let attestation = crate::support::eventually("the task is known", async || {
        let attestation = attested(&server, "n").await;
        attestation.task.is_some().then_some(attestation)
    })
    .await;
    let who: WhoAmI = server.get("/api/whoami").await.json();
    assert!(who.image_digest.is_some());
    assert_eq!(
        (attestation.task, attestation.image_digest),
        (who.task, who.image_digest)
    );
    assert_eq!(attestation.instance, who.instance);
}

#[tokio::test]
async fn an_executable_that_was_replaced_is_not_mistaken_for_the_one_that_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("bifora");
    fs::copy(binary(), &copy).expect("the binary can be copied");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Before the program starts, so that it is gone for sure when it looks.
    let script = r#"exec 3<"$0" && rm "$0" && echo other >"$0" && exec "$@""#;
    let path = copy.to_str().expect("text");
    let outer = ["sh", "-c", script, path];
    let arguments = ["--host", "127.0.0.1", "--port", "0"];
    let mut command = program_at(&outer, OsStr::new("/proc/self/fd/3"), &arguments);
    // For `rm`.
    command.env("PATH", OsString::from("/usr/bin:/bin"));
    let server = Server::spawn(&mut command);
    assert_eq!(fs::read_to_string(&copy).expect("replaced"), "other\n");
    assert_is_the_binary(&attested(&server, "n").await);
}

#[tokio::test]
async fn it_is_described_as_it_is() {
    let server = Server::shared();
    let description: Value = server.get("/api/openapi.json").await.json();
    let operation = &description["paths"]["/api/attest"]["get"];
    let parameter = &operation["parameters"][0];
    assert_eq!(
        (&parameter["name"], &parameter["required"]),
        (&"nonce".into(), &true.into())
    );
    assert!(operation["responses"]["400"].is_object() && operation["responses"]["503"].is_object());
    let described = description["components"]["schemas"]["Attestation"]["properties"].as_object();
    let answer: Value = server.get("/api/attest?nonce=n").await.json();
    let keys = |object: Option<&serde_json::Map<String, Value>>| {
        let mut keys: Vec<_> = object.expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(described), keys(answer.as_object()));
}
