//! `/`: which architecture answered, in the largest type on the page.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::App;
use crate::arch::Arch;
use crate::web::negotiate::html;
use crate::whoami::WhoAmI;

/// The page.
#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct HomePage<'a> {
    arch: Arch,
    who: &'a WhoAmI,
    random_text: Option<String>,
}

impl<'a> HomePage<'a> {
    pub(super) fn new(who: &'a WhoAmI, random_text: Option<String>) -> Self {
        Self {
            arch: who.arch,
            who,
            random_text,
        }
    }

    pub(super) fn body(&self) -> Bytes {
        super::render(self)
    }
}

/// The page with its invitation.
pub async fn page(State(app): State<Arc<App>>) -> Response {
    html(app.snapshot.load().home.clone())
}

/// The page with fresh random text when the button was pressed; any other body is answered with the page as by GET.
/// Too large a body is 413, one that breaks off 400.
pub async fn draw(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    if is_form(&headers) && is_pressed(&body) {
        return html(HomePage::new(&app.snapshot.load().who, Some(random_text())).body());
    }
    html(app.snapshot.load().home.clone())
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn is_pressed(form: &[u8]) -> bool {
    form_urlencoded::parse(form).any(|(name, value)| name == "random-button" && !value.is_empty())
}

/// 5 to 15 of `[A-Za-z0-9]`.
fn random_text() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(fastrand::usize(5..=15))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn random_text_is_of_the_form_and_of_every_length() {
        let texts: Vec<_> = (0..5_000).map(|_| random_text()).collect();
        assert!(texts.iter().all(|t| t.bytes().all(|b| b.is_ascii_alphanumeric())));
        let lengths: BTreeSet<_> = texts.iter().map(String::len).collect();
        assert_eq!(lengths, (5..=15).collect());
    }
}
