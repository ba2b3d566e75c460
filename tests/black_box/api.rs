//! `/api/…`: always JSON, of the crate's own types, never stored, and truly described.

use std::collections::BTreeSet;

use bifora::build_report::BuildReport;
use bifora::host::SystemInfo;
use bifora::whoami::WhoAmI;
use serde_json::Value;

use crate::support::program::{EMULATOR, arch, is_emulated};
use crate::support::server::Server;

const PATHS: [&str; 5] = [
    "/api/whoami",
    "/api/build",
    "/api/info",
    "/api/parity",
    "/api/openapi.json",
];

fn emulator() -> Option<&'static str> {
    is_emulated().then_some(EMULATOR)
}

#[tokio::test]
async fn answers_are_json_whoever_asks_and_are_not_stored() {
    let server = Server::shared();
    for path in PATHS {
        for answer in [server.get(path).await, server.page(path).await] {
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
            assert!(answer.json::<Value>().is_object(), "{path}");
        }
    }
}

#[tokio::test]
async fn whoami_tells_who_answered() {
    let server = Server::shared();
    let who: WhoAmI = server.get("/api/whoami").await.json();
    assert_eq!(who.arch.name(), arch());
    assert_eq!(who.emulator.as_deref(), emulator());
    assert_eq!(who.version, env!("CARGO_PKG_VERSION"));
    assert!(who.cpus >= 1);
    assert_eq!(who.identity(), who.instance);
    assert!(
        who.instance.len() == 32 && who.instance.bytes().all(|b| b.is_ascii_hexdigit()),
        "{}",
        who.instance
    );
    let again: WhoAmI = server.get("/api/whoami").await.json();
    assert_eq!((&again.instance, &again.started), (&who.instance, &who.started));
    assert!(who.started.is_some_and(|time| time.ends_with('Z')));
    assert_eq!(
        (who.task, who.zone, who.image_digest),
        (None, None, None),
        "not on ECS"
    );
    let commit = who.commit.as_deref();
    assert!(
        commit.is_none_or(|c| c.len() == 40 && c.bytes().all(|b| b.is_ascii_hexdigit())),
        "{commit:?}"
    );
}

#[tokio::test]
async fn build_tells_of_the_binary_that_runs() {
    let report: BuildReport = Server::shared().get("/api/build").await.json();
    assert_eq!(report.binary.arch.name(), arch());
    assert!(
        report.binary.target.starts_with(&arch()),
        "{}",
        report.binary.target
    );
    assert_eq!(report.runs_on.arch.name(), arch());
    assert_eq!(report.runs_on.emulator.as_deref(), emulator());
    assert_eq!(report.origin, "local build");
    assert!(report.circleci.is_none() && report.codebuild.is_none());
    assert_eq!(report.image.repository, None);
    let platform = if arch() == "aarch64" {
        "linux/arm64"
    } else {
        "linux/amd64"
    };
    assert_eq!(report.image.platform, platform);
    assert!(
        report.binary.rustc.starts_with("rustc 1."),
        "{}",
        report.binary.rustc
    );
    let named = |name: &str| report.binary.dependencies.iter().any(|d| d.name == name);
    assert!(named("axum") && named("tokio"));
}

#[tokio::test]
async fn info_tells_of_the_process_that_answers() {
    let server = Server::shared();
    let info: SystemInfo = server.get("/api/info").await.json();
    assert_eq!(info.machine.compiled.name(), arch());
    assert_eq!(info.machine.emulator.as_deref(), emulator());
    assert_eq!(info.process.pid, server.pid());
    assert!(info.process.threads.is_some_and(|n| n >= 1));
    assert!(info.process.memory.is_some_and(|n| n > 0));
    assert!(info.page_size.is_power_of_two());
    assert_eq!(info.environment, Vec::<String>::new(), "none of the facts is set");
    let again: Value = server.get("/info").await.json();
    assert_eq!(
        again["process"]["started"].as_str(),
        info.process.started.as_deref()
    );
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_true() {
    let server = Server::shared();
    let description: Value = server.get("/api/openapi.json").await.json();
    let version = description["openapi"].as_str().unwrap_or_default();
    assert!(version.starts_with("3.1"), "{version}");
    for path in [
        "/api/whoami",
        "/api/build",
        "/api/info",
        "/api/parity",
        "/build",
        "/info",
        "/parity",
    ] {
        let ok = &description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        let name = ok["schema"]["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
            .unwrap_or_else(|| panic!("{path} is not described: {ok}"));
        let schema = &description["components"]["schemas"][name];
        let answer: Value = server.get(path).await.json();
        assert_eq!(keys(&answer), keys(&schema["properties"]), "{path} and {name}");
    }
    let mut references = Vec::new();
    collect_references(&description, &mut references);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(
            description.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let object = object
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {object}"));
    object.keys().map(String::as_str).collect()
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            object.values().for_each(|inner| collect_references(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| collect_references(inner, found)),
        _ => {}
    }
}
