//! What is wrong is said so that the client can read it, and dressed like every other answer.

use serde_json::Value;

use crate::support::ROUTES;
use crate::support::client::{DRESS, get, post_form, request};
use crate::support::page::{assert_harmless, text_by_name};
use crate::support::server::Server;

#[tokio::test]
async fn nothing_there_is_404() {
    let server = Server::shared();
    for target in [
        "/nothing",
        "/build/",
        "/api",
        "/API/whoami",
        "/%00",
        "/%ff",
        "/a/../build",
        "/?/build",
        "/index.html",
        "/.git/config",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        if target == "/?/build" {
            assert_eq!(
                server.get(target).await.status,
                200,
                "a query does not change the route"
            );
            continue;
        }
        let answer = server.get(target).await;
        assert_eq!(answer.status, 404, "{target}");
        answer.problem();
        let page = server.page(target).await;
        assert_eq!(page.status, 404, "{target}");
        assert!(!page.text().contains("alert(1)"), "the address is not repeated");
    }
}

#[tokio::test]
async fn errors_are_pages_for_those_who_ask_for_pages() {
    let server = Server::shared();
    for (accept, is_page) in [
        ("text/html", true),
        ("TEXT/HTML;level=1", true),
        ("text/html,*/*;q=0.1", true),
        ("*/*", false),
        ("application/json", false),
        ("application/problem+json", false),
        ("text/html;q=0", false),
        ("image/png", false),
    ] {
        let answer = server.ask(&get("/nothing").header("accept", accept)).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("vary"), Some("accept"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        if is_page {
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
            let html = answer.text();
            assert_harmless(&html);
            assert_eq!(text_by_name(&html, "h1").as_deref(), Some("Not Found"));
            assert!(html.contains("/static/"), "it has the style of the others");
            let id = answer.header("x-request-id").expect("checked by the client");
            assert!(html.contains(id), "the visitor can tell which request it was");
        } else {
            assert_eq!(answer.problem()["title"], "Not Found", "{accept}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_told_which_is_right() {
    let server = Server::shared();
    for (path, allowed) in ROUTES {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let answer = server.ask(&request(method, path)).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            answer.problem();
            let mut allow: Vec<_> = answer
                .header("allow")
                .unwrap_or_else(|| panic!("{method} {path} without Allow"))
                .split(',')
                .map(str::trim)
                .collect();
            allow.sort_unstable();
            assert_eq!(allow, allowed, "{method} {path}");
        }
    }
    let page = server
        .ask(&request("DELETE", "/").header("accept", "text/html"))
        .await;
    assert_eq!(page.status, 405);
    assert_eq!(
        text_by_name(&page.text(), "h1").as_deref(),
        Some("Method Not Allowed")
    );
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let server = Server::shared();
    for path in ROUTES.map(|(path, _)| path).into_iter().chain(["/nothing"]) {
        let mut connection = server.connect().await;
        let head = request("HEAD", path);
        connection.send(&head).await;
        let by_head = connection.answer_to(&head).await;
        // Had the answer a body, it would be read as the next answer.
        connection.send(&get(path)).await;
        let by_get = connection.answer().await;
        assert_eq!(by_head.status, by_get.status, "{path}");
        assert_eq!(
            by_head.header("content-type"),
            by_get.header("content-type"),
            "{path}"
        );
        assert_eq!(by_head.header("vary"), by_get.header("vary"), "{path}");
    }
}

#[tokio::test]
async fn too_large_a_body_is_413() {
    let server = Server::shared();
    let large = "x".repeat(65_537);
    let told = server.ask(&post_form(large.clone())).await;
    assert_eq!(told.status, 413);
    told.problem();
    let page = server.ask(&post_form(large).header("accept", "text/html")).await;
    assert_eq!(page.status, 413);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_harmless(&page.text());
}

#[tokio::test]
async fn security_headers_say_what_they_should_on_every_kind_of_answer() {
    let server = Server::shared();
    let style = server.get("/static/style.css").await;
    let etag = style.header("etag").expect("an ETag").to_owned();
    let answers = [
        server.page("/").await,
        style,
        server
            .ask(&get("/static/style.css").header("if-none-match", &etag))
            .await,
        server.get("/api/whoami").await,
        server.get("/metrics").await,
        server.get("/nothing").await,
        server.ask(&request("DELETE", "/")).await,
        server.ask(&post_form("x".repeat(70_000))).await,
    ];
    let statuses = answers.each_ref().map(|answer| answer.status);
    assert_eq!(statuses, [200, 200, 304, 200, 200, 404, 405, 413]);
    for answer in answers {
        let policy = answer
            .header("content-security-policy")
            .expect("checked by the client");
        let directives: Vec<_> = policy.split(';').map(str::trim).collect();
        for directive in [
            "default-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(directives.contains(&directive), "{policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        for name in [
            "server",
            "x-powered-by",
            "access-control-allow-origin",
            "set-cookie",
        ] {
            assert_eq!(answer.header(name), None);
        }
        assert_eq!(
            DRESS.iter().filter(|name| answer.header(name).is_none()).count(),
            0
        );
    }
}

#[tokio::test]
async fn errors_do_not_tell_of_the_inside() {
    let server = Server::shared();
    for answer in [
        server.get("/nothing").await,
        server.get("/static/%ff").await,
        server.ask(&post_form("x".repeat(70_000))).await,
    ] {
        let problem: Value = answer.problem();
        let text = problem.to_string().to_lowercase();
        for word in [
            "axum",
            "hyper",
            "tower",
            "panic",
            "src/",
            ".rs",
            "utf-8",
            "rejection",
        ] {
            assert!(!text.contains(word), "{text}");
        }
    }
}
