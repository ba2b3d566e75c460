//! `/fleet`: who answers behind the load balancer. The server tells who answered this request; the script asks on.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;

use super::App;
use crate::arch::Arch;
use crate::web::negotiate::html;
use crate::whoami::WhoAmI;

/// The page.
#[derive(Template)]
#[template(path = "fleet.html")]
pub(super) struct FleetPage<'a> {
    arch: Arch,
    who: &'a WhoAmI,
}

impl<'a> FleetPage<'a> {
    pub(super) fn new(who: &'a WhoAmI) -> Self {
        Self { arch: who.arch, who }
    }

    pub(super) fn body(&self) -> Bytes {
        super::render(self)
    }
}

/// The page before its script has asked anything.
pub async fn page(State(app): State<Arc<App>>) -> Response {
    html(app.snapshot.load().fleet.clone())
}
