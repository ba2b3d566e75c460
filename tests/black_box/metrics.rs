//! `/metrics`: text that Prometheus can read, with labels that no client can grow, and a gauge that comes back.

use std::collections::{BTreeMap, BTreeSet};

use bifora::whoami::WhoAmI;

use crate::support::client::{FORM, get, request};
use crate::support::eventually;
use crate::support::program::arch;
use crate::support::server::Server;

/// One sample of the text format.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads the text format, version 0.0.4, and refuses what is not of it.
fn parse(text: &str) -> Vec<Sample> {
    let mut types = BTreeMap::new();
    let mut samples = Vec::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            match *words {
                ["TYPE", name, kind @ ("counter" | "gauge" | "histogram")] => {
                    assert!(types.insert(name, kind).is_none(), "{name} has two types");
                }
                ["HELP", _, help] if !help.is_empty() => {}
                _ => panic!("not of the format: {line}"),
            }
            continue;
        }
        let sample = sample(line);
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            sample
                .name
                .strip_suffix(suffix)
                .filter(|base| types.contains_key(base))
        });
        assert!(
            types.contains_key(family.unwrap_or(&sample.name)),
            "{} before its type",
            sample.name
        );
        samples.push(sample);
    }
    samples
}

fn sample(line: &str) -> Sample {
    let (key, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no value: {line}"));
    let value = match value {
        "+Inf" => f64::INFINITY,
        "NaN" => f64::NAN,
        number => number.parse().unwrap_or_else(|_| panic!("not a number: {line}")),
    };
    let (name, labels) = match key.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("a closing brace")),
        None => (key, ""),
    };
    assert!(
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
        "{line}"
    );
    // No label of ours holds a quote or a comma; one that does is a label that a client has grown.
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (key, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
        let value = value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .filter(|v| !v.contains(['"', '\\', '\n']))
            .unwrap_or_else(|| panic!("{line}"));
        (key.to_owned(), value.to_owned())
    });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value,
    }
}

async fn scrape(server: &Server) -> Vec<Sample> {
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let media_type = answer.header("content-type").unwrap_or_default();
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    parse(&answer.text())
}

/// The values of a label over all samples.
fn values(samples: &[Sample], label: &str) -> BTreeSet<String> {
    samples
        .iter()
        .filter_map(|s| s.labels.get(label).cloned())
        .collect()
}

fn total(samples: &[Sample], labels: &[(&str, &str)]) -> f64 {
    let fits = |sample: &&Sample| {
        sample.name == "http_requests_total"
            && labels
                .iter()
                .all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
    };
    samples.iter().filter(fits).map(|sample| sample.value).sum()
}

#[tokio::test]
async fn requests_are_counted_and_timed() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        server.get("/api/whoami?x=1").await;
    }
    server.get("/static/style.css").await;
    server.get("/nothing").await;
    let samples = scrape(&server).await;
    for (route, status, count) in [
        ("/api/whoami", "200", 3.0),
        ("/static/{file}", "200", 1.0),
        ("unmatched", "404", 1.0),
    ] {
        let labels = [("method", "GET"), ("route", route), ("status", status)];
        let counted = total(&samples, &labels);
        assert!((counted - count).abs() < 0.5, "{route}: {counted}");
    }
    let mut buckets = BTreeMap::<_, Vec<f64>>::new();
    for sample in samples
        .iter()
        .filter(|s| s.name == "http_request_duration_seconds_bucket")
    {
        let mut series = sample.labels.clone();
        series.remove("le");
        buckets.entry(series).or_default().push(sample.value);
    }
    assert!(!buckets.is_empty());
    for (series, counts) in buckets {
        assert!(counts.is_sorted(), "buckets are cumulative: {series:?}");
        let count = samples
            .iter()
            .find(|s| s.name == "http_request_duration_seconds_count" && s.labels == series)
            .expect("a count");
        assert_eq!(
            counts.last().copied(),
            Some(count.value),
            "the last is +Inf: {series:?}"
        );
    }
}

#[tokio::test]
async fn build_and_process_are_told() {
    let server = Server::shared();
    let who: WhoAmI = server.get("/api/whoami").await.json();
    let samples = scrape(&server).await;
    let one = |name: &str| {
        let mut found = samples.iter().filter(|s| s.name == name);
        let sample = found.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(found.next().is_none(), "{name} twice");
        sample
    };
    let build = one("bifora_build_info");
    assert!((build.value - 1.0).abs() < f64::EPSILON);
    let names: Vec<_> = build.labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["arch", "commit", "target", "version"]);
    assert_eq!(build.labels["arch"], arch());
    assert_eq!(build.labels["version"], who.version);
    assert_eq!(build.labels["commit"], who.commit.as_deref().unwrap_or("unknown"));
    assert!(build.labels["target"].starts_with(&arch()));
    for name in [
        "process_resident_memory_bytes",
        "process_threads",
        "process_start_time_seconds",
    ] {
        assert!(one(name).value > 0.0, "{name}");
    }
}

#[tokio::test]
async fn no_client_can_grow_the_labels() {
    let server = Server::start(&[]);
    let storm = async |n: usize| {
        let hostile = |method: &str, path: &str| {
            request(method, &format!("{path}{n}"))
                .header("x-request-id", &format!("id-{n}"))
                .header("user-agent", &format!("agent-{n}"))
                .header("accept", &format!("text/x-{n}"))
        };
        for asking in [
            hostile("GET", "/path-"),
            hostile("GET", "/static/file-"),
            hostile("GET", "/api/%22%7d%0a"),
            hostile("GET", "/?query="),
            hostile(&format!("BREW{n}"), "/"),
            request(&format!("BREW{n}"), "/build"),
        ] {
            server.ask(&asking).await;
        }
    };
    storm(0).await;
    scrape(&server).await;
    let before = scrape(&server).await;
    for n in 1..40 {
        storm(n).await;
    }
    let after = scrape(&server).await;
    assert_eq!(before.len(), after.len(), "series have grown");
    assert_eq!(
        values(&after, "route"),
        ["/", "/build", "/metrics", "/static/{file}", "unmatched"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(
        values(&after, "method"),
        ["GET", "OTHER"].map(str::to_owned).into()
    );
    let odd = values(&after, "status")
        .into_iter()
        .find(|status| status.len() != 3 || status.parse::<u16>().is_err());
    assert_eq!(odd, None);
}

#[tokio::test]
async fn the_gauge_survives_cancelled_requests() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        let mut uploads = Vec::new();
        for _ in 0..5 {
            let mut connection = server.connect().await;
            let head =
                format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: 9\r\n\r\nx");
            connection
                .send_bytes(head.as_bytes())
                .await
                .expect("the server reads");
            uploads.push(connection);
        }
        server.in_flight(5).await;
        drop(uploads);
        server.in_flight(0).await;
    }
    let samples = scrape(&server).await;
    let cancelled = total(&samples, &[("method", "POST"), ("route", "/")]);
    assert!(
        (cancelled - 15.0).abs() < 0.5,
        "they are counted, too: {cancelled}"
    );
    assert_eq!(server.ask(&get("/")).await.status, 200);
}

#[tokio::test]
async fn the_gauge_survives_requests_that_are_dropped() {
    let server = Server::start(&[]);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    );
    // The server drops a request when it cannot write "100 Continue" any more; whether the reset comes in time for
    // that is chance.
    eventually("a request was dropped", async || {
        let mut connection = server.connect().await;
        connection.send_bytes(head.as_bytes()).await.ok()?;
        connection.reset();
        let samples = scrape(&server).await;
        (total(&samples, &[("status", "499")]) >= 1.0).then_some(())
    })
    .await;
    server.in_flight(0).await;
}
