//! `/static/*`: files embedded in the binary, named by their content, compressed at build time.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::negotiate::{quality, typed};
use super::{App, error};

/// A file of `static/`, as it is and in the compressed forms that are smaller.
struct Asset {
    name: &'static str,
    url: &'static str,
    media_type: &'static str,
    plain: Form,
    compressed: &'static [Form],
}

/// One form of a file.
struct Form {
    encoding: Option<&'static str>,
    etag: &'static str,
    body: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// What a client may keep.
enum CachePolicy {
    /// The URL names the content: for ever.
    Immutable,
    /// The URL does not, or names another content: asked for each time.
    Revalidate,
}

impl From<CachePolicy> for HeaderValue {
    fn from(policy: CachePolicy) -> Self {
        HeaderValue::from_static(match policy {
            CachePolicy::Immutable => "public, max-age=31536000, immutable",
            CachePolicy::Revalidate => "no-cache",
        })
    }
}

/// The URL of a file in `static/`, by its name there.
///
/// # Panics
/// When there is no such file. Every page is rendered at start, so that a test finds it.
pub fn url(name: &str) -> &'static str {
    ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .map_or_else(|| panic!("static/{name} is not embedded"), |a| a.url)
}

/// The route that every file counts under.
pub(super) const ROUTE: &str = "/static/{file}";

/// A route for each file's own URL, so that nothing of it is parsed, and one for the names of other versions.
pub fn routes() -> Router<Arc<App>> {
    let own = |asset: &'static Asset| {
        get(async |request: Request| asset.answer(CachePolicy::Immutable, request.headers()))
    };
    ASSETS
        .iter()
        .fold(Router::new().route(ROUTE, get(other)), |router, asset| {
            router.route(asset.url, own(asset))
        })
}

/// A file by a name that is not this version's. Behind a load balancer the page may have come from another version of the
/// app: a name with another hash gets this version's file, not to be kept, rather than a page without its style.
async fn other(request: Request) -> Response {
    // As it stands: names of assets need no decoding.
    let name = without_hash(request.uri().path().strip_prefix("/static/").unwrap_or_default());
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.answer(CachePolicy::Revalidate, request.headers()),
        None => error::not_found().await.into_response(),
    }
}

/// `style.css` for `style.0123456789abcdef.css`, and for itself.
fn without_hash(file: &str) -> String {
    let parts: Vec<_> = file.split('.').collect();
    match *parts {
        [stem, hash, extension] if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{stem}.{extension}")
        }
        _ => file.to_owned(),
    }
}

impl Asset {
    fn answer(&self, policy: CachePolicy, headers: &HeaderMap) -> Response {
        let form = self.form(headers);
        let mut response = typed(
            HeaderValue::from_static(self.media_type),
            Bytes::from_static(form.body),
        );
        if let Some(encoding) = form.encoding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if matches(headers, form.etag) {
            response = StatusCode::NOT_MODIFIED.into_response();
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, policy.into());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::ETAG, HeaderValue::from_static(form.etag));
        response
    }

    /// The compressed form that the client wants most, of equals the smallest; the plain one when it wants none.
    fn form(&self, headers: &HeaderMap) -> &Form {
        let wanted = |form: &Form| {
            form.encoding
                .and_then(|name| quality(headers.get_all(header::ACCEPT_ENCODING), name))
                .unwrap_or(0)
        };
        let candidates = self
            .compressed
            .iter()
            .map(|form| (wanted(form), form))
            .filter(|(quality, _)| *quality > 0);
        let best = candidates.max_by_key(|(quality, form)| (*quality, Reverse(form.body.len())));
        best.map_or(&self.plain, |(_, form)| form)
    }
}

/// `If-None-Match`, compared weakly as RFC 9110 (13.1.2) asks for.
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH);
    let tags = values
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    tags.map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn compressed_forms_hold_the_same() {
        for asset in ASSETS {
            for form in asset
                .compressed
                .iter()
                .filter(|form| form.encoding == Some("gzip"))
            {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(form.body)
                    .read_to_end(&mut plain)
                    .expect("gzip");
                assert_eq!(plain, asset.plain.body, "{}", asset.name);
            }
            assert!(
                asset
                    .compressed
                    .iter()
                    .all(|form| form.body.len() < asset.plain.body.len())
            );
        }
        assert!(ASSETS.iter().any(|asset| asset.compressed.len() == 2));
    }

    #[test]
    fn the_client_chooses_the_form() {
        let asset = ASSETS
            .iter()
            .find(|asset| asset.name == "style.css")
            .expect("style.css");
        for (accept, encoding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0.1, gzip;q=0.9", Some("gzip")),
            ("br;q=0, gzip;q=0", None),
            ("zstd, identity", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
            assert_eq!(asset.form(&headers).encoding, encoding, "{accept}");
        }
    }

    #[test]
    fn names_without_their_hash() {
        assert_eq!(without_hash("style.0123456789abcdef.css"), "style.css");
        assert_eq!(without_hash("style.css"), "style.css");
        assert_eq!(without_hash("style.0123.css"), "style.0123.css");
        assert_eq!(without_hash("..%2f"), "..%2f");
    }
}
