//! What the client can read: `Accept` and `Accept-Encoding` (RFC 9110, section 12.5), and bodies to match.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

/// How much a list such as `text/html, */*;q=0.8` wants `name`, in thousandths; `None` when it is not named. Anything
/// that is not of the form counts as not named.
pub fn quality<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, name: &str) -> Option<u16> {
    let texts = values.into_iter().filter_map(|value| value.to_str().ok());
    let weight = |item: &str| {
        let (named, parameters) = item.split_once(';').unwrap_or((item, ""));
        if !named.trim().eq_ignore_ascii_case(name) {
            return None;
        }
        let weight = parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("q")
                .then(|| thousandths(value.trim()))
        });
        weight.unwrap_or(Some(1000))
    };
    texts.flat_map(|text| text.split(',')).filter_map(weight).max()
}

/// `0.8` as 800; `None` for what is not a weight.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u16 = if digits {
        format!("{fraction:0<3}").parse().ok()?
    } else {
        return None;
    };
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// Whether an answer should be a page: the client names `text/html`, and does not like JSON better.
pub fn wants_html(headers: &HeaderMap) -> bool {
    prefers_html(|| headers.get_all(header::ACCEPT))
}

/// The same of the values of `Accept`, which may have been kept longer than the request.
pub fn prefers_html<'a, V: IntoIterator<Item = &'a HeaderValue>>(accept: impl Fn() -> V) -> bool {
    let html = quality(accept(), "text/html").unwrap_or(0);
    html > 0 && html >= quality(accept(), "application/json").unwrap_or(0)
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A page.
pub fn html(body: Bytes) -> Response {
    typed(HTML, body)
}

/// A JSON body.
pub fn json(body: Bytes) -> Response {
    typed(JSON, body)
}

/// A page for those who ask for one, JSON for everyone else.
pub fn page_or_json(
    headers: &HeaderMap,
    page: impl FnOnce() -> Bytes,
    value: impl FnOnce() -> Bytes,
) -> Response {
    let mut response = if wants_html(headers) {
        html(page())
    } else {
        json(value())
    };
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// A body with its media type, and room for the headers that the edge adds.
pub fn typed(media_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = HeaderMap::with_capacity(14);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts_html(accept: &'static str) -> bool {
        wants_html(&HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static(accept),
        )]))
    }

    #[test]
    fn browsers_get_pages() {
        assert!(accepts_html(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(accepts_html("application/json, TEXT/HTML"));
        assert!(accepts_html("text/html;level=1;q=0.3"));
    }

    #[test]
    fn everyone_else_gets_json() {
        assert!(!wants_html(&HeaderMap::new()));
        for accept in [
            "*/*",
            "",
            "application/json",
            "text/html;q=0",
            "text/html;q=0.000",
            "text/html;q=2",
            "text/html;q=x",
            "text/html;q=-1",
            "text/*",
            "text/htmlx",
            "application/json, text/html;q=0.5",
            ",;,=;q=q",
        ] {
            assert!(!accepts_html(accept), "{accept}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("image/png"));
        headers.append(header::ACCEPT, HeaderValue::from_static("text/html"));
        assert!(wants_html(&headers));
    }

    proptest! {
        #[test]
        fn any_header_is_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                prop_assert!(quality([&value], "text/html").unwrap_or(0) <= 1000);
            }
        }

        #[test]
        fn a_weight_is_what_it_says(weight in 0_u16..=1000, before in "[a-z]{1,8}/[a-z]{1,8}") {
            let value = format!("{before}, text/html ; q={}.{:03}", weight / 1000, weight % 1000);
            let value = HeaderValue::from_str(&value).expect("a header");
            prop_assert_eq!(quality([&value], "text/html"), Some(weight));
        }
    }
}
