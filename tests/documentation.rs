//! What the documentation claims of settings, variables, routes and metrics is what the code has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bifora::cli;
use bifora::environment::{self, Environment};
use bifora::facts::Facts;
use bifora::host::Started;
use bifora::parity::Results;
use bifora::server::shutdown::Phase;
use bifora::web::{self, App, Limits};
use tokio::sync::watch;
use tower::ServiceExt as _;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first cells of the tables under a heading, each split at its commas and without its backticks.
fn first_cells(text: &str, heading: &str) -> BTreeSet<String> {
    let section = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("no heading {heading}"))
        .1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells
        .flat_map(|cell| cell.split(", "))
        .filter_map(|name| Some(name.strip_prefix('`')?.trim_end_matches('`').to_owned()))
        .collect()
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let text = document("docs/operations.md");
    let definition = cli::definition();
    let serve = definition
        .find_subcommand("serve")
        .expect("there is bifora serve");
    let mut flags = BTreeSet::new();
    for argument in serve
        .get_arguments()
        .filter(|argument| argument.get_env().is_some())
    {
        let flag = argument.get_long().expect("settings have flags");
        let variable = argument.get_env().expect("filtered").to_string_lossy();
        let default = argument.get_default_values()[0].to_string_lossy();
        let row = format!("| `--{flag}` | `{variable}` | `{default}` |");
        assert!(
            text.contains(&row),
            "docs/operations.md should have the row {row}"
        );
        flags.insert(format!("--{flag}"));
    }
    assert_eq!(first_cells(&text, "## Settings"), flags);
}

#[test]
fn every_variable_is_documented() {
    let named = first_cells(&document("docs/build-info.md"), "## From the environment");
    let read: BTreeSet<_> = environment::NAMES.iter().map(ToString::to_string).collect();
    assert_eq!(named, read);
}

#[test]
fn the_image_is_given_every_variable() {
    let text = document("Dockerfile");
    for name in environment::NAMES.iter().filter(|name| !name.starts_with("ECS_")) {
        let handed_on = format!("{name}=\"${{{name}}}\"");
        assert!(
            text.contains(&handed_on),
            "the Dockerfile's last stage should have {handed_on}"
        );
        let arguments = text.split("\nARG ").skip(1).flat_map(|rest| {
            let lines = rest.split('\n').scan(true, |goes_on, line| {
                let this = *goes_on;
                *goes_on = line.ends_with('\\');
                this.then_some(line)
            });
            lines.flat_map(|line| line.split_whitespace()).collect::<Vec<_>>()
        });
        assert!(
            arguments.clone().any(|argument| argument == *name),
            "the Dockerfile has no ARG {name}"
        );
    }
}

#[test]
fn the_template_sets_what_the_app_reads_and_checks_health_as_the_image_does() {
    let template = document("infra/cloudformation/service.yml");
    let definition = cli::definition();
    let serve = definition
        .find_subcommand("serve")
        .expect("there is bifora serve");
    let read: BTreeSet<_> = serve
        .get_arguments()
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    let set: BTreeSet<_> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- {Name: ")?.split(',').next())
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    assert!(set.len() >= 5, "{set:?}");
    for name in set {
        assert!(
            read.contains(name),
            "service.yml sets {name}, which `bifora serve` does not read"
        );
    }
    let dockerfile = document("Dockerfile");
    let check = dockerfile
        .lines()
        .find(|line| line.starts_with("HEALTHCHECK "))
        .expect("a health check");
    for (option, property) in [
        ("--interval", "Interval"),
        ("--timeout", "Timeout"),
        ("--start-period", "StartPeriod"),
        ("--retries", "Retries"),
    ] {
        let value = check
            .split_whitespace()
            .find_map(|word| word.strip_prefix(option)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("{check} has no {option}"));
        let line = format!("            {property}: {}\n", value.trim_end_matches('s'));
        assert_eq!(
            template.matches(&line).count(),
            2,
            "service.yml should have {line:?} twice"
        );
    }
}

#[tokio::test]
async fn every_route_and_metric_is_documented() {
    let (_tell, phase) = watch::channel(Phase::Serving);
    let facts = Facts::gather(Environment::default(), Started::now());
    let second = Duration::from_secs(1);
    let limits = Limits {
        body: 1,
        concurrency: 1,
        request_timeout: second,
        slow_request: second,
    };
    let app = Arc::new(App::new(facts, limits, phase));
    app.computed(Results::missing("this test asks for no results"));
    let router = web::router(app);
    let ask = async |path: &str| {
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .expect("a request");
        let response = router
            .clone()
            .oneshot(request)
            .await
            .expect("routers always answer");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    };
    let named = first_cells(&document("docs/answers.md"), "# What Bifora answers");
    let paths: Vec<_> = named
        .iter()
        .filter_map(|route| route.strip_prefix("GET "))
        .collect();
    assert!(paths.len() > 9, "{named:?}");
    for path in paths.iter().filter(|path| !path.contains('…')) {
        assert!(ask(path).await.0.is_success(), "{path}");
    }
    for path in
        serde_json::from_str::<serde_json::Value>(&ask("/api/openapi.json").await.1).expect("JSON")["paths"]
            .as_object()
            .expect("paths")
            .keys()
    {
        assert!(
            paths.iter().any(|named| named.split('?').next() == Some(path)),
            "docs/answers.md should name {path}"
        );
    }
    let text = ask("/metrics").await.1;
    let served: BTreeSet<_> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(first_cells(&document("docs/operations.md"), "## Metrics"), served);
}

#[test]
fn every_command_of_the_readme_is_one() {
    let text = document("README.md");
    let definition = cli::definition();
    for line in text.lines().filter_map(|line| line.strip_prefix("bifora ")) {
        let command = line.split_whitespace().next().unwrap_or_default();
        assert!(
            definition.find_subcommand(command).is_some(),
            "README.md names `bifora {command}`"
        );
    }
    assert!(text.contains("cargo run") && text.contains("cargo xtask test"));
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![
        root.join("README.md"),
        root.join("CHANGELOG.md"),
        root.join("infra/README.md"),
        root.join("local-cloud/README.md"),
    ];
    documents.extend(
        fs::read_dir(root.join("docs"))
            .expect("docs/")
            .map(|entry| entry.expect("an entry").path()),
    );
    let mut links = 0;
    for file in documents
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "md"))
    {
        let text = fs::read_to_string(file).expect("readable");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if target.starts_with("https://") || path.is_empty() {
                continue;
            }
            links += 1;
            let there = file.parent().expect("a folder").join(path).exists();
            assert!(there, "{} links to {target}", file.display());
        }
    }
    assert!(links > 8, "found only {links} links");
}
