//! `/`: which architecture answered, in the largest type on the page.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

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

/// The form's one field.
#[derive(Debug, Default, Deserialize)]
pub struct RandomForm {
    #[serde(default, rename = "random-button")]
    button: String,
}

/// The page with its invitation.
pub async fn page(State(app): State<Arc<App>>) -> Response {
    html(app.snapshot.load().home.clone())
}

/// The page with fresh random text when the button was pressed; anything else is the page as by GET.
pub async fn draw(State(app): State<Arc<App>>, form: Result<Form<RandomForm>, FormRejection>) -> Response {
    match form {
        Ok(Form(form)) if !form.button.is_empty() => {
            html(HomePage::new(&app.snapshot.load().who, Some(random_text())).body())
        }
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => rejection.into_response(),
        _ => html(app.snapshot.load().home.clone()),
    }
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
