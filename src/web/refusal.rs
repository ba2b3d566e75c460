//! The answers that the HTTP library gives by itself, to what it cannot read as a request: 400, 414 and 431. They come
//! as a bare status and never meet the router, so they are dressed on their way out.

use axum::http::{HeaderMap, StatusCode};

use super::error::Problem;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::{security, snapshot};

/// Dresses the bytes of such an answer; `None` for everything else that is written to a connection.
pub fn dress(bytes: &[u8]) -> Option<Vec<u8>> {
    let rest = bytes
        .strip_prefix(b"HTTP/1.1 4")
        .or_else(|| bytes.strip_prefix(b"HTTP/1.0 4"))?;
    let status = StatusCode::from_bytes(&[b'4', *rest.first()?, *rest.get(1)?]).ok()?;
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    // The router's own answers have an id, and most of them a body.
    if head.contains("\r\n\r\n") || head.contains(X_REQUEST_ID.as_str()) {
        return None;
    }
    let id = RequestId::of(&HeaderMap::new());
    let mut problem = Problem::new(
        status,
        "The request is not valid HTTP/1.1, or its address or headers are too large.",
    );
    problem.request_id = id.to_string();
    let body = snapshot::json(&problem);
    let mut headers = HeaderMap::new();
    security::secure(&mut headers);

    let kept = head
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let mut answer: Vec<u8> = kept
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>()
        .into_bytes();
    for (name, value) in &headers {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let last = format!(
        "cache-control: no-store\r\ncontent-type: application/problem+json\r\n{X_REQUEST_ID}: {id}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    answer.extend_from_slice(last.as_bytes());
    answer.extend_from_slice(&body);
    tracing::debug!(request_id = %id, status = status.as_u16(), "not a readable HTTP request");
    Some(answer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_refusals_are_dressed() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let answer = String::from_utf8(dress(bare).expect("dressed")).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.starts_with("HTTP/1.1 431 ")
                && head.contains("connection: close")
                && head.contains("date: x")
        );
        assert!(
            head.contains("content-security-policy: ") && !head.contains("content-length: 0"),
            "{head}"
        );
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{head}"
        );
        let problem: Problem = serde_json::from_str(body).expect("problem details");
        assert!(problem.status == 431 && head.contains(&format!("x-request-id: {}", problem.request_id)));
    }

    #[test]
    fn everything_else_is_left_alone() {
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nab",
            "HTTP/1.1 4",
            "a body",
            "",
        ] {
            assert_eq!(dress(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = dress(&bytes);
            let _ = dress(&[b"HTTP/1.1 4".as_slice(), &bytes, b"\r\n\r\n"].concat());
        }
    }
}
