//! A hostile environment: whatever the variables hold is shown as text, and never leads or does anything.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use bifora::build_report::BuildReport;
use bifora::environment::NAMES;
use serde_json::Value;

use crate::support::ROUTES;
use crate::support::page::{assert_harmless, links, text};
use crate::support::program::{program, run};
use crate::support::server::Server;

/// Those that show something of the environment.
const PAGES: [&str; 4] = ["/", "/build", "/info", "/fleet"];

/// Every variable that is read as a fact, set to the same. The metadata endpoint has tests of its own, but here a
/// hostile address of it is part of the environment.
fn all_set_to(value: &[u8]) -> Vec<(&'static str, OsString)> {
    let value = OsString::from_vec(value.to_vec());
    NAMES.iter().map(|name| (*name, value.clone())).collect()
}

/// Links of the build page that lead away. The commit that the binary was built from may have one.
async fn links_away(server: &Server) -> Vec<String> {
    let mut all = Vec::new();
    for path in PAGES {
        all.extend(links(&server.page(path).await.text()));
    }
    all.retain(|link| !link.starts_with('/') && !link.starts_with('#'));
    all
}

/// Asks everything, and looks at every page.
async fn survives(value: &[u8]) -> Server {
    let server = Server::start_with(&[], &all_set_to(value));
    for path in PAGES {
        let page = server.page(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_harmless(&page.text());
        assert!(page.body.len() < 200_000, "{path} is {} bytes", page.body.len());
    }
    for (path, _) in ROUTES {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let report: Value = server.get("/api/build").await.json();
    let again: Result<BuildReport, _> = serde_json::from_value(report);
    assert!(again.is_ok(), "{again:?}");
    server
}

#[tokio::test]
async fn a_script_is_text() {
    let value = r#""'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;"#;
    let server = survives(value.as_bytes()).await;
    assert_eq!(links_away(&server).await, Vec::<String>::new());
    let shown = text(&server.page("/build").await.text());
    assert!(shown.contains(value), "shown as it is, as text");
    let keys: Value = server.get("/build").await.json();
    assert_eq!(keys["VERSION"], value);
}

#[tokio::test]
async fn an_address_that_runs_is_text() {
    for value in [
        "javascript:alert(document.domain)//https://circleci.com/gh/a/b/1",
        "data:text/html,https://app.circleci.com/",
    ] {
        let server = survives(value.as_bytes()).await;
        assert_eq!(links_away(&server).await, Vec::<String>::new());
        assert!(text(&server.page("/build").await.text()).contains(value));
    }
}

#[tokio::test]
async fn a_foreign_host_is_text() {
    for value in [
        "https://circleci.com.evil.example/gh/acme/bifora/1",
        "https://circleci.com@evil.example/gh/acme/bifora/1",
        "arn:aws:codebuild:evil.example/#:123456789012:build/bifora:1",
    ] {
        let server = survives(value.as_bytes()).await;
        assert_eq!(links_away(&server).await, Vec::<String>::new(), "{value}");
    }
}

#[tokio::test]
async fn ten_thousand_characters_are_cut_and_it_is_said() {
    let server = survives("A".repeat(10_240).as_bytes()).await;
    let shown = text(&server.page("/build").await.text());
    assert!(!shown.contains(&"A".repeat(1_100)));
    assert!(shown.contains("10240 characters"), "what is cut is said");
    assert_eq!(links_away(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_such() {
    let server = survives(b"a\xff\xfe\x80<script>alert(1)</script>\xc3").await;
    let shown = text(&server.page("/build").await.text());
    assert!(shown.contains("a\u{fffd}\u{fffd}\u{fffd}<script>alert(1)"));
}

#[tokio::test]
async fn control_characters_hide_nothing() {
    let server = survives("a\x1b[31mb\x07c\r\nx-evil: 1\u{202e}d\u{200b}\u{feff}".as_bytes()).await;
    let page = server.page("/build").await;
    assert_eq!(page.header("x-evil"), None);
    assert!(
        !page
            .text()
            .contains(['\u{202e}', '\u{200b}', '\u{feff}', '\x1b', '\x07'])
    );
    let keys = server.get("/build").await.text();
    assert!(!keys.contains(['\u{202e}', '\u{200b}', '\x1b']), "{keys}");
}

#[tokio::test]
async fn a_terminal_is_not_taken_over_either() {
    let mut command = program(&["info"]);
    command.envs(all_set_to("a\x1b]0;owned\x07\x1b[2J\u{202e}b".as_bytes()));
    let ended = run(&mut command).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.out.contains(hidden), "{}", ended.out);
}

#[tokio::test]
async fn no_secret_is_shown_anywhere() {
    const CANARY: &str = "canary-4711";
    let secrets: Vec<_> = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "CIRCLE_TOKEN",
        "CIRCLE_OIDC_TOKEN",
        "GITHUB_TOKEN",
        "DATABASE_URL",
        "PATH",
        "HOME",
    ]
    .map(|name| (name, OsString::from(CANARY)))
    .into();
    let server = Server::start_with(&["--log-level", "debug"], &secrets);
    for path in ROUTES.map(|(path, _)| path).into_iter().chain(["/nothing"]) {
        for answer in [server.get(path).await, server.page(path).await] {
            let text = answer.text();
            assert!(!text.contains(CANARY), "{path}");
            assert!(
                !text.contains("SECRET") && !text.contains("CIRCLE_TOKEN"),
                "{path} names one"
            );
        }
    }
    assert!(!server.lines().iter().any(|line| line.contains(CANARY)));
    for arguments in [&["info"][..], &["info", "--json"]] {
        let ended = run(program(arguments).envs(secrets.clone())).await;
        assert!(!ended.out.contains(CANARY) && !ended.err.contains(CANARY));
    }
}

#[tokio::test]
async fn true_values_lead_where_they_should() {
    let sha = "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10";
    let set = |name, value: &str| (name, OsString::from(value));
    let server = Server::start_with(
        &[],
        &[
            set("VERSION", "1.2.3"),
            set("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/bifora/42"),
            set("CIRCLE_BUILD_NUM", "42"),
            set("CIRCLE_SHA1", sha),
            set("CIRCLE_USERNAME", "octocat"),
            set("CIRCLE_WORKFLOW_ID", "7d1f0a5e-1111-4222-8333-444455556666"),
            set("CIRCLE_PIPELINE_ID", "aa5e0f2b-1111-4222-8333-444455556666"),
            set("CIRCLE_PROJECT_USERNAME", "acme"),
            set("CIRCLE_PROJECT_REPONAME", "bifora"),
            set("CIRCLE_PULL_REQUEST", "javascript:alert(1)"),
            set(
                "CODEBUILD_BUILD_ID",
                "bifora:0f1e2d3c-1111-4222-8333-444455556666",
            ),
            set(
                "CODEBUILD_BUILD_ARN",
                "arn:aws:codebuild:eu-central-1:123456789012:build/bifora:0f1e2d3c-1111-4222-8333-444455556666",
            ),
            set("BIFORA_IMAGE", "public.ecr.aws/o5b1w9d8/bifora:14f28fe"),
        ],
    );
    let html = server.page("/build").await.text();
    assert_harmless(&html);
    let links = links(&html);
    for link in [
        "https://circleci.com/gh/acme/bifora/42",
        "https://app.circleci.com/workflow/7d1f0a5e-1111-4222-8333-444455556666",
        "https://app.circleci.com/pipeline/aa5e0f2b-1111-4222-8333-444455556666",
        "https://app.circleci.com/pipelines/gh/acme/bifora",
        "https://eu-central-1.console.aws.amazon.com/codesuite/codebuild/123456789012/projects/bifora/build/\
         bifora%3A0f1e2d3c-1111-4222-8333-444455556666/?region=eu-central-1",
        "https://gallery.ecr.aws/o5b1w9d8/bifora",
    ] {
        assert!(links.iter().any(|l| l == link), "{link} is not among {links:#?}");
    }
    assert!(
        !links.iter().any(|link| link.contains("javascript")),
        "one bad value spoils no other"
    );
    assert!(text(&html).contains("octocat"));
    let report: BuildReport = server.get("/api/build").await.json();
    assert_eq!(report.version_name.as_deref(), Some("1.2.3"));
    let names: Value = server.get("/api/info").await.json();
    assert!(
        names["environment"].to_string().contains("CIRCLE_SHA1"),
        "names are told"
    );
    assert!(!names.to_string().contains(sha), "values are not");
}
