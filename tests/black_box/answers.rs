//! The pages: which architecture answered, the random text, the build, the system, the probes.

use std::collections::BTreeSet;
use std::ffi::OsString;

use bifora::whoami::WhoAmI;
use serde_json::{Value, json};

use crate::support::client::{Answer, FORM, get, post_form, request};
use crate::support::page::{assert_harmless, tags, text, text_by_id, text_by_name};
use crate::support::program::{EMULATOR, arch, is_emulated};
use crate::support::server::Server;

const INVITATION: &str = "Hit the button for a few random characters.";

fn random_text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_harmless(&answer.text());
    text_by_id(&answer.text(), "random-text").expect("#random-text")
}

#[tokio::test]
async fn home_says_which_architecture_answered() {
    let server = Server::shared();
    for answer in [server.page("/").await, server.get("/").await] {
        assert_eq!(random_text(&answer), INVITATION);
        let html = answer.text();
        let heading = text_by_name(&html, "h1");
        assert_eq!(heading, Some(format!("Currently running on {}", arch())));
        let root = tags(&html)
            .into_iter()
            .find(|tag| tag.name == "html")
            .expect("<html>");
        assert_eq!(
            root.attributes["data-arch"],
            arch(),
            "colour and drawing follow it"
        );
        assert_eq!(
            html.contains("Emulated by"),
            is_emulated(),
            "an emulator is named, and only then"
        );
    }
}

#[tokio::test]
async fn home_has_the_form_and_the_link() {
    let html = Server::shared().page("/").await.text();
    let by_id = |id: &str| {
        let tag = tags(&html)
            .into_iter()
            .find(|tag| tag.attributes.get("id").is_some_and(|v| v == id));
        tag.unwrap_or_else(|| panic!("#{id}"))
    };
    let form = by_id("random-form");
    assert_eq!(
        (form.name.as_str(), form.attributes["method"].as_str()),
        ("form", "post")
    );
    assert_eq!(form.attributes.get("action").map_or("/", String::as_str), "/");
    let button = by_id("random-button");
    assert_eq!(button.name, "button");
    assert_eq!(button.attributes["name"], "random-button");
    assert_eq!(button.attributes["value"], "random-button");
    assert!(html.contains(r#"<a href="/build">Build info</a>"#));
}

#[tokio::test]
async fn the_button_draws_new_text_each_time() {
    let server = Server::shared();
    let mut texts = BTreeSet::new();
    for _ in 0..20 {
        let text = random_text(&server.ask(&post_form("random-button=random-button")).await);
        assert!((5..=15).contains(&text.len()), "{text}");
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
        texts.insert(text);
    }
    assert_eq!(texts.len(), 20, "{texts:?}");
    assert_eq!(
        random_text(&server.page("/").await),
        INVITATION,
        "a plain GET has the invitation again"
    );
}

#[tokio::test]
async fn the_button_works_with_every_way_to_send_a_form() {
    let server = Server::shared();
    for answer in [
        server.ask(&post_form("other=1&random-button=x&more=2")).await,
        server
            .ask(&post_form("random-button=%3Cscript%3Ealert(1)%3C/script%3E"))
            .await,
        server
            .ask(&post_form("random-button=random-button").header("accept", "application/json"))
            .await,
        server
            .ask(
                &request("POST", "/?random-button=")
                    .header("content-type", &format!("{FORM}; charset=UTF-8"))
                    .body("random-button=1"),
            )
            .await,
    ] {
        assert_ne!(random_text(&answer), INVITATION);
        assert!(
            !answer.text().contains("alert(1)"),
            "the field's value is not shown"
        );
    }
}

#[tokio::test]
async fn a_post_without_the_field_is_the_page_as_by_get() {
    let server = Server::shared();
    let page = server.get("/").await.text();
    for form in [
        post_form("random-button="),
        post_form(""),
        post_form("random=random-button"),
        post_form("RANDOM-BUTTON=1"),
        post_form("random-button"),
        post_form(&b"\xff\xfe\0\0&&&=;=%"[..]),
        post_form("random-button=&random-button="),
        request("POST", "/"),
        request("POST", "/").body("random-button=random-button"),
        request("POST", "/")
            .header("content-type", "application/json")
            .body(r#"{"random-button": "x"}"#),
        request("POST", "/")
            .header("content-type", "multipart/form-data; boundary=b")
            .body("--b--"),
        request("POST", "/")
            .header("content-type", "\u{b5}/;;=")
            .body("random-button=x"),
    ] {
        let answer = server.ask(&form).await;
        assert_eq!(answer.status, 200, "{form:?}");
        assert_eq!(answer.text(), page, "{form:?}");
    }
}

#[tokio::test]
async fn a_value_in_a_broken_encoding_does_no_harm() {
    let server = Server::shared();
    for body in [
        &b"random-button=%ff%fe"[..],
        b"random-button=%zz%",
        b"random-button=\xc3\x28",
        b"random-button=%00",
    ] {
        // Not empty, whatever it means: random text, and nothing of the value.
        assert_ne!(random_text(&server.ask(&post_form(body)).await), INVITATION);
    }
}

#[tokio::test]
async fn build_has_the_six_keys() {
    let set = |name, value: &str| (name, OsString::from(value));
    let server = Server::start_with(
        &[],
        &[
            set("VERSION", "1.2.3"),
            set("CIRCLE_BUILD_URL", ""),
            set("CIRCLE_SHA1", "   "),
            set("CIRCLE_BUILD_NUM", "42"),
            set("ARCH", "sparc"),
        ],
    );
    let expected = json!({
        "VERSION": "1.2.3",
        "CIRCLE_BUILD_URL": null,
        "CIRCLE_SHA1": null,
        "CIRCLE_USERNAME": null,
        "CIRCLE_BUILD_NUM": "42",
        "ARCH": arch(),
    });
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/json, text/html;q=0.5",
        "text/html;q=0",
    ] {
        let answer = server.ask(&get("/build").header("accept", accept)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("vary"), Some("accept"));
        assert_eq!(answer.json::<Value>(), expected, "{accept}");
    }
    let page = server.page("/build").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("vary"), Some("accept"));
}

#[tokio::test]
async fn build_page_of_a_local_build() {
    let html = Server::shared().page("/build").await.text();
    assert_harmless(&html);
    assert_eq!(text_by_name(&html, "h1").as_deref(), Some("Build info"));
    assert!(html.contains("local build"));
    let headings: Vec<_> = tags(&html)
        .iter()
        .filter(|tag| tag.name == "h2")
        .filter_map(|tag| tag.attributes.get("id").and_then(|id| text_by_id(&html, id)))
        .collect();
    assert_eq!(headings, ["This build", "Image", "Runs on"]);
    for name in ["dd", "dt", "h2"] {
        let blank = format!("<{name}></{name}>");
        assert!(!html.contains(&blank), "a blank cell");
    }
    assert!(html.contains("not known"), "what is not known says so");
}

#[tokio::test]
async fn system_page_tells_the_architecture() {
    let server = Server::shared();
    let html = server.page("/info").await.text();
    assert_harmless(&html);
    assert_eq!(text_by_name(&html, "h1").as_deref(), Some("System"));
    assert!(html.contains(&arch()));
    assert_eq!(html.contains(EMULATOR), is_emulated());
    let answer = server.get("/info").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("vary"), Some("accept"));
}

#[tokio::test]
async fn fleet_page_tells_who_answered_it() {
    let server = Server::shared();
    let who: WhoAmI = server.get("/api/whoami").await.json();
    let html = server.page("/fleet").await.text();
    assert_harmless(&html);
    assert_eq!(text_by_name(&html, "h1").as_deref(), Some("Fleet"));
    let shown = text(&html);
    assert!(shown.contains(who.identity()), "{shown}");
    for fact in [who.cpu, who.started, Some(who.version)].into_iter().flatten() {
        assert!(shown.contains(&fact), "{fact} is not in {shown}");
    }
    assert_eq!(shown.contains(EMULATOR), is_emulated());
}

#[tokio::test]
async fn probes_answer() {
    let server = Server::shared();
    for path in ["/healthz", "/readyz"] {
        for answer in [server.get(path).await, server.page(path).await] {
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (200, Some("no-store"))
            );
        }
    }
}
