//! The real router, asked in memory: what an answer is made of, and what the binary cannot be made to do from outside.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::*;
use crate::build_report::BuildReport;
use crate::deployment::Status;
use crate::environment::Environment;
use crate::facts::Facts;
use crate::host::Started;
use crate::parity::{BUDGET, Parity};
use crate::web::error::Problem;

const LIMITS: Limits = Limits {
    body: 1024,
    concurrency: 2,
    request_timeout: Duration::from_secs(30),
    slow_request: Duration::from_secs(1),
};

fn app(pairs: &[(&str, &str)]) -> (Arc<App>, watch::Sender<Phase>) {
    let (tell, phase) = watch::channel(Phase::Serving);
    let facts = Facts::gather(Environment::from_pairs(pairs), Started::now());
    (Arc::new(App::new(facts, LIMITS, phase)), tell)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).expect("a request")
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    router
        .clone()
        .oneshot(request)
        .await
        .expect("routers always answer")
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 10 << 20).await.expect("a body");
    String::from_utf8(bytes.into()).expect("UTF-8")
}

async fn page(router: &Router, path: &str) -> String {
    let response = ask(
        router,
        request("GET", path, &[("accept", "text/html")], Body::empty()),
    )
    .await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/html; charset=utf-8",
        "{path}"
    );
    text(response).await
}

fn assert_dressed(headers: &HeaderMap) {
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
    ] {
        assert!(headers.contains_key(name), "{name} is missing: {headers:?}");
    }
    assert!(
        headers.contains_key("x-request-id") && headers.contains_key("cache-control"),
        "{headers:?}"
    );
}

async fn broken() -> &'static str {
    panic!("the password is swordfish")
}

#[tokio::test]
async fn a_panic_is_500_and_says_nothing_of_its_cause() {
    let (app, _tell) = app(&[]);
    let router = guarded(Router::new().route("/broken", get(broken)), app.clone());
    for accept in ["text/html", "application/json"] {
        let response = ask(
            &router,
            request("GET", "/broken", &[("accept", accept)], Body::empty()),
        )
        .await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_dressed(response.headers());
        let body = text(response).await;
        assert!(
            body.contains("Internal Server Error") && !body.contains("swordfish"),
            "{body}"
        );
    }
    assert_eq!(app.metrics.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn too_long_a_request_is_408() {
    let (app, _tell) = app(&[]);
    let router = guarded(Router::new().route("/slow", get(std::future::pending::<()>)), app);
    let response = ask(&router, request("GET", "/slow", &[], Body::empty())).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_dressed(response.headers());
    let problem: Problem = serde_json::from_str(&text(response).await).expect("problem details");
    assert_eq!((problem.status, problem.title.as_str()), (408, "Request Timeout"));
}

#[tokio::test]
async fn too_many_at_once_are_turned_away_but_probes_are_not() {
    let (app, _tell) = app(&[]);
    let slow = Router::new()
        .route("/slow", get(std::future::pending::<()>))
        .route("/healthz", get(health::healthz));
    let router = guarded(slow, app.clone());
    let slow = || {
        tokio::spawn(
            router
                .clone()
                .oneshot(request("GET", "/slow", &[], Body::empty())),
        )
    };
    let open = [slow(), slow()];
    while app.metrics.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = ask(&router, request("GET", "/slow", &[], Body::empty())).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_dressed(refused.headers());
    let probe = ask(&router, request("GET", "/healthz", &[], Body::empty())).await;
    assert_eq!(probe.status(), StatusCode::OK);

    for task in open {
        task.abort();
        assert!(task.await.is_err(), "was cancelled");
    }
    assert_eq!(app.metrics.in_flight(), 0, "cancelled requests are counted out");
    let metrics = text(metrics::scrape(axum::extract::State(app)).await).await;
    assert!(
        metrics.contains(r#"http_requests_total{method="GET",route="/slow",status="499"} 2"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn large_bodies_are_413_with_and_without_their_length() {
    let (app, _tell) = app(&[]);
    let router = router(app);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let known = request("POST", "/", &form, "x".repeat(1025));
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>("x".repeat(100))));
    let unknown = request("POST", "/", &form, Body::from_stream(chunks));
    for request in [known, unknown] {
        let response = ask(&router, request).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_dressed(response.headers());
    }
}

#[tokio::test]
async fn ready_until_told_to_leave() {
    let (app, tell) = app(&[]);
    let router = router(app);
    let ready = || ask(&router, request("GET", "/readyz", &[], Body::empty()));
    assert_eq!(ready().await.status(), StatusCode::OK);
    tell.send_replace(Phase::Leaving);
    let response = ready().await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::CONNECTION], "close");
    let healthy = ask(&router, request("GET", "/healthz", &[], Body::empty())).await;
    assert_eq!(healthy.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_becomes_known_of_the_deployment_is_told() {
    let (app, _tell) = app(&[("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x")]);
    let router = router(app.clone());
    assert!(page(&router, "/build").await.contains("has not answered yet"));
    app.deployed(&Deployment {
        status: Status::Known,
        task_arn: Some("arn:aws:ecs:us-east-1:123456789012:task/bifora/4d1c9a0b2e3f".into()),
        cluster: Some("bifora".into()),
        zone: Some("us-east-1b".into()),
        image: Some("public.ecr.aws/o5b1w9d8/bifora:14f28fe".into()),
        image_digest: Some("sha256:ab<b>".into()),
        ..Deployment::default()
    });
    assert!(page(&router, "/").await.contains("us-east-1b"));
    let build = page(&router, "/build").await;
    assert!(
        build.contains("/ecs/v2/clusters/bifora/tasks/4d1c9a0b2e3f/configuration"),
        "{build}"
    );
    assert!(
        build.contains("https://gallery.ecr.aws/o5b1w9d8/bifora") && !build.contains("ab<b>"),
        "{build}"
    );
    let report = ask(&router, request("GET", "/api/build", &[], Body::empty())).await;
    let report: BuildReport = serde_json::from_str(&text(report).await).expect("a build report");
    assert_eq!(report.image.tag.as_deref(), Some("14f28fe"));
}

#[tokio::test]
async fn sections_come_in_order_and_only_when_there_is_something_to_tell() {
    let order = |html: &str| {
        let ids = ["build", "circleci", "codebuild", "image", "runs-on"];
        let mut found: Vec<_> = ids
            .iter()
            .filter_map(|id| Some((html.find(&format!("<h2 id=\"{id}\""))?, *id)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect::<Vec<_>>().join(" ")
    };
    let local = page(&router(app(&[]).0), "/build").await;
    assert_eq!(order(&local), "build image runs-on");
    assert!(local.contains("local build"));
    let both = app(&[("CIRCLE_BUILD_NUM", "42"), ("CODEBUILD_BUILD_NUMBER", "7")]).0;
    let both = page(&router(both), "/build").await;
    assert_eq!(order(&both), "build circleci codebuild image runs-on");
    assert!(both.contains("CircleCI job 42"));
}

#[tokio::test]
async fn every_route_answers_a_wrong_method_with_what_it_allows() {
    let router = router(app(&[]).0);
    for (path, allow) in [
        ("/", "GET,HEAD,POST"),
        ("/build", "GET,HEAD"),
        ("/static/style.css", "GET,HEAD"),
    ] {
        let response = ask(&router, request("PUT", path, &[], Body::empty())).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.headers()[header::ALLOW], allow, "{path}");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
        assert_dressed(response.headers());
    }
}

#[tokio::test]
async fn the_description_names_every_json_route_and_its_types() {
    let router = router(app(&[]).0);
    let description = text(ask(&router, request("GET", "/api/openapi.json", &[], Body::empty())).await).await;
    let description: serde_json::Value = serde_json::from_str(&description).expect("JSON");
    assert!(
        description["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    for path in [
        "/api/whoami",
        "/api/attest",
        "/api/build",
        "/api/info",
        "/api/parity",
        "/build",
        "/info",
        "/parity",
        "/healthz",
        "/readyz",
    ] {
        assert!(
            description["paths"][path]["get"]["responses"]["200"].is_object(),
            "{path}"
        );
    }
    for name in [
        "WhoAmI",
        "Attestation",
        "BuildReport",
        "SystemInfo",
        "BuildKeys",
        "Problem",
    ] {
        assert!(description["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_executable_is_told_to_come_again() {
    let (app, _tell) = app(&[]);
    let reading = app.clone();
    let reading = tokio::spawn(async move { reading.measured.never().await });
    tokio::task::yield_now().await;
    let router = router(app);
    let response = ask(&router, request("GET", "/api/attest?nonce=n", &[], Body::empty())).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_dressed(response.headers());
    reading.abort();
}

#[tokio::test]
async fn posted_forms_of_any_kind_answer_200() {
    let router = router(app(&[]).0);
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, body, drawn) in [
        (&[form][..], "random-button=random-button", true),
        (&[form], "random-button=", false),
        (&[form], "other=x", false),
        (&[form], "random-button=a&random-button=b", true),
        (&[form], "%ff%00=&&&==", false),
        (
            &[("content-type", "application/json")],
            "{\"random-button\":\"x\"}",
            false,
        ),
        (&[], "random-button=x", false),
    ] {
        let response = ask(&router, request("POST", "/", headers, body)).await;
        assert_eq!(response.status(), StatusCode::OK, "{body}");
        let invited = text(response)
            .await
            .contains("Hit the button for a few random characters.");
        assert_eq!(invited, !drawn, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_parity_too_early_waits_but_not_for_ever() {
    let (app, _tell) = app(&[]);
    let router = router(app.clone());
    let early = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, request("GET", "/api/parity", &[], Body::empty())).await }
    });
    tokio::time::sleep(LIMITS.request_timeout / 2).await;
    assert!(!early.is_finished());
    // Meanwhile everything else is answered.
    let other = ask(&router, request("GET", "/api/whoami", &[], Body::empty())).await;
    assert_eq!(other.status(), StatusCode::OK);
    app.computed(Results::compute(&app.facts.host, BUDGET));
    let answer = early.await.expect("it does not panic");
    assert_eq!(answer.status(), StatusCode::OK);
    let parity: Parity = serde_json::from_str(&text(answer).await).expect("parity");
    assert_eq!(parity.who.instance, app.facts.instance);
}

#[tokio::test(start_paused = true)]
async fn results_that_never_come_are_a_408() {
    let router = router(app(&[]).0);
    for path in ["/parity", "/api/parity"] {
        let answer = ask(&router, request("GET", path, &[], Body::empty())).await;
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
        assert_dressed(answer.headers());
    }
}

#[tokio::test]
async fn results_and_deployment_may_become_known_in_either_order() {
    for results_first in [true, false] {
        let (app, _tell) = app(&[]);
        let router = router(app.clone());
        let deployment = Deployment {
            status: Status::Known,
            task_arn: Some("arn:aws:ecs:us-east-1:123456789012:task/bifora/4d1c9a0b2e3f".into()),
            ..Deployment::default()
        };
        if !results_first {
            app.deployed(&deployment);
        }
        app.computed(Results::missing("not yet"));
        if results_first {
            app.deployed(&deployment);
        }
        let answer = ask(&router, request("GET", "/parity", &[], Body::empty())).await;
        let parity: Parity = serde_json::from_str(&text(answer).await).expect("parity");
        assert_eq!(
            parity.who.identity(),
            "4d1c9a0b2e3f",
            "results first: {results_first}"
        );
        assert_eq!(parity.vectors[0].problem.as_deref(), Some("not yet"));
    }
}

#[tokio::test]
async fn the_parity_page_never_takes_what_is_missing_or_wrong_for_right() {
    let (app, _tell) = app(&[]);
    let router = router(app.clone());
    let mut results = Results::compute(&app.facts.host, BUDGET);
    app.computed(results.clone());
    let all = results.vectors.len();
    let html = page(&router, "/parity").await;
    assert!(html.contains(&format!("all {all} as expected")), "{html}");
    assert_eq!(html.matches("as expected</td>").count(), all);

    results.vectors[3].digest = None;
    results.vectors[3].problem = Some("it failed: <b>".into());
    app.computed(results.clone());
    let html = page(&router, "/parity").await;
    assert!(
        html.contains(&format!("{} of {all} as expected", all - 1)),
        "{html}"
    );
    assert!(html.contains("Not computed, and so not known") && html.contains("<b>not computed</b>"));
    assert!(html.contains("it failed: &#60;b&#62;"), "{html}");

    results.vectors[0].digest = Some("0123456789abcdef".repeat(4));
    app.computed(results);
    let html = page(&router, "/parity").await;
    assert!(
        html.contains(&format!("differs in 1 of {all}")) && html.contains(" broken-"),
        "{html}"
    );
    assert_eq!(html.matches("as expected</td>").count(), all - 2);
    assert_eq!(html.matches("<b>differs</b>").count(), 1);
}
