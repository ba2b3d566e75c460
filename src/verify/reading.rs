//! Makes an answer of a reply, or says what it is in place of one.

use hyper::header;
use serde::de::DeserializeOwned;

use super::client::{LARGEST_BODY, Reply};
use super::observation::{Answer, Failure, FailureKind, Question};
use crate::text;

/// The answer to a question that is in this reply.
pub fn read(question: &Question, reply: &Reply) -> Result<Answer, Failure> {
    let status = reply.status;
    if status.is_server_error() {
        return Err(Failure::new(FailureKind::Unanswered, described(reply)));
    }
    let foreign = |why: String| Err(Failure::new(FailureKind::Foreign, why));
    let body = match &reply.body {
        Ok(body) => body,
        Err(size) => {
            return foreign(format!(
                "{}: more than the {} that are read of an answer",
                described_head(reply, *size),
                text::bytes(LARGEST_BODY as u64)
            ));
        }
    };
    if status != hyper::StatusCode::OK {
        let old = if status == hyper::StatusCode::NOT_FOUND && !matches!(question, Question::WhoAmI) {
            " (is this a Bifora from before there was such an address?)"
        } else {
            ""
        };
        return foreign(format!("{}{old}", described(reply)));
    }
    if media_type(reply) != "application/json" {
        return foreign(described(reply));
    }
    match question {
        Question::WhoAmI => parse(body).map(|who| Answer::WhoAmI(Box::new(who))),
        Question::Parity => parse(body).map(|results| Answer::Parity(Box::new(results))),
        Question::Attest(_) => parse(body).map(|attestation| Answer::Attest(Box::new(attestation))),
    }
    .map_err(|why| {
        Failure::new(
            FailureKind::Foreign,
            format!("{}: {why}", described_head(reply, body.len())),
        )
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        let said = text::clean(&error.to_string()).unwrap_or_default();
        // Where in the line it stands differs with what the line says.
        let said = said.split(" at line ").next().unwrap_or_default();
        if error.is_eof() {
            "JSON that breaks off".to_owned()
        } else {
            format!("not what this version answers ({said})")
        }
    })
}

fn media_type(reply: &Reply) -> String {
    let value = reply.headers.get(header::CONTENT_TYPE);
    let value = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value
        .as_deref()
        .and_then(|value| text::clean(value.split(';').next()?))
        .unwrap_or_else(|| "no content type".to_owned())
}

/// Status, type, size, who says so.
fn described_head(reply: &Reply, size: usize) -> String {
    let status = match reply.status.canonical_reason() {
        Some(reason) => format!("{} {reason}", reply.status.as_u16()),
        None => reply.status.as_u16().to_string(),
    };
    let mut said = format!(
        "{status}, {}, {}",
        text::brief(&media_type(reply)),
        text::bytes(size as u64)
    );
    let server = reply.headers.get(header::SERVER);
    if let Some(server) = server.and_then(|server| text::clean(&String::from_utf8_lossy(server.as_bytes()))) {
        said = format!("{said}, by server {}", text::brief(&server));
    }
    if reply.redirected {
        said = format!("{said}, redirected to {}", text::brief(&reply.from));
    }
    said
}

/// The same, and what the body begins with.
fn described(reply: &Reply) -> String {
    let body = reply.body.as_deref().unwrap_or_default();
    let head = described_head(
        reply,
        reply
            .body
            .as_ref()
            .map_or_else(|size| *size, hyper::body::Bytes::len),
    );
    // A thousand characters are plenty to find a title in.
    let content = String::from_utf8_lossy(&body[..body.len().min(4_096)]);
    match title(&content) {
        Some(title) => format!("{head}, titled “{}”", text::brief(&title)),
        None => match text::clean(&content) {
            Some(content) => format!("{head}, which begins “{}”", text::brief(&content)),
            None => head,
        },
    }
}

/// The title of a page in HTML, or of problem details.
fn title(content: &str) -> Option<String> {
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(content) {
        return text::clean(object.get("title")?.as_str()?);
    }
    let lower = content.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    text::clean(content.get(start..end)?)
}

#[cfg(test)]
mod tests {
    use hyper::body::Bytes;
    use hyper::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = "application/json";

    fn reply(status: u16, media_type: &str, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        if let Ok(value) = header::HeaderValue::from_str(media_type) {
            headers.insert(header::CONTENT_TYPE, value);
        }
        Reply {
            from: "http://x.example/api/whoami".to_owned(),
            redirected: false,
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: Ok(Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    fn failure(question: &Question, reply: &Reply) -> Failure {
        read(question, reply).expect_err("no answer")
    }

    #[test]
    fn what_is_not_biforas_is_told_as_what_it_is() {
        let whoami = &Question::WhoAmI;
        let page = "<!doctype html><html><TITLE lang=en>\n Sign  in </title><body>";
        for (question, reply, definite, parts) in [
            (
                whoami,
                reply(200, "text/html; charset=utf-8", page),
                true,
                &["200 OK", "text/html", "Sign  in"][..],
            ),
            (
                whoami,
                reply(503, "text/html", "<title>503 Service Temporarily Unavailable"),
                false,
                &["503 Service"],
            ),
            (
                whoami,
                reply(502, "text/plain", "upstream"),
                false,
                &["502 Bad Gateway", "begins “upstream”"],
            ),
            (
                whoami,
                reply(500, "application/problem+json", "{\"title\":\"Oops\"}"),
                false,
                &["500", "titled “Oops”"],
            ),
            (
                whoami,
                reply(401, "", ""),
                true,
                &["401 Unauthorized", "no content type", "0 B"],
            ),
            (
                whoami,
                reply(200, JSON, "{\"arch\":\"x86_64\",\"cpus\""),
                true,
                &["JSON that breaks off"],
            ),
            (whoami, reply(200, JSON, ""), true, &["JSON that breaks off"]),
            (
                whoami,
                reply(200, JSON, "<html>"),
                true,
                &["not what this version answers"],
            ),
            (whoami, reply(200, JSON, "{}"), true, &["missing field `arch`"]),
            (
                whoami,
                reply(200, JSON, "{\"arch\":\"riscv64\"}"),
                true,
                &["riscv64", "x86_64", "aarch64"],
            ),
            (
                whoami,
                reply(200, JSON, "[7]"),
                true,
                &["not what this version answers"],
            ),
            (whoami, reply(204, "", ""), true, &["204 No Content"]),
            (
                &Question::Parity,
                reply(404, JSON, "{}"),
                true,
                &["404 Not Found", "before there was such an address"],
            ),
        ] {
            let failure = failure(question, &reply);
            assert_eq!(failure.kind.is_definite(), definite, "{failure}");
            assert!(parts.iter().all(|part| failure.seen.contains(part)), "{failure}");
        }
        let mut large = reply(200, JSON, "");
        large.body = Err(100 << 20);
        large
            .headers
            .insert(header::SERVER, "nginx".parse().expect("a value"));
        large.redirected = true;
        let said = failure(whoami, &large).seen;
        for part in [
            "100.0 MiB",
            "more than the 1.0 MiB",
            "server nginx",
            "redirected to http://x.example",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_is_biforas_is_read() {
        let who = r#"{"arch":"aarch64","emulator":null,"hostname":"h","cpu":null,"cpus":2,"instance":"i",
            "started":null,"task":"t","zone":null,"version":"0.1.0","commit":"c","image_digest":null,"more":1}"#;
        let answer = read(
            &Question::WhoAmI,
            &reply(200, "application/json; charset=utf-8", who),
        )
        .expect("an answer");
        assert_eq!(
            (answer.task(), answer.arch().name(), answer.commit()),
            ("t", "aarch64", Some("c"))
        );
        let parity = format!(
            r#"{{"version":1,"who":{who},"vectors":[{{"name":"n","why":"w","digest":null,"expected":"e"}}]}}"#
        );
        let answer = read(&Question::Parity, &reply(200, JSON, &parity)).expect("an answer");
        assert!(matches!(answer, Answer::Parity(results) if results.vectors[0].name == "n"));
    }

    proptest! {
        #[test]
        fn any_reply_is_read_or_described(status in 100u16..600, media_type in "\\PC{0,40}", body: String) {
            for question in [Question::WhoAmI, Question::Parity, Question::Attest("n".to_owned())] {
                if let Err(failure) = read(&question, &reply(status, &media_type, &body)) {
                    prop_assert!(!failure.seen.contains(char::is_control));
                    prop_assert!(failure.seen.chars().count() < 1_000, "{failure}");
                }
            }
        }
    }
}
