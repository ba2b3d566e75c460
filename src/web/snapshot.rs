//! The answers that change only with the deployment, rendered once for each.

use axum::body::Bytes;
use serde::Serialize;

use super::build_info::BuildInfoPage;
use super::fleet::FleetPage;
use super::home::HomePage;
use super::parity;
use crate::deployment::Deployment;
use crate::facts::Facts;
use crate::parity::Results;
use crate::whoami::WhoAmI;

/// Bodies, ready to send.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Who answers, for pages that are rendered for each request.
    pub(super) who: WhoAmI,
    /// The page of `GET /`.
    pub(super) home: Bytes,
    /// The page of `GET /fleet`.
    pub(super) fleet: Bytes,
    /// The page of `GET /build`.
    pub(super) build_page: Bytes,
    /// The six keys of `GET /build`.
    pub(super) build_keys: Bytes,
    /// `/api/whoami`.
    pub(super) whoami: Bytes,
    /// `/api/build`.
    pub(super) build: Bytes,
    /// `/parity` and `/api/parity`, once they are computed.
    pub(super) parity: Option<parity::Bodies>,
}

impl Snapshot {
    /// Renders what is known now.
    pub(super) fn new(facts: &Facts, deployment: &Deployment, results: Option<&Results>) -> Self {
        let who = facts.who_am_i(deployment);
        let report = facts.build_report(deployment);
        Self {
            home: HomePage::new(&who, None).body(),
            fleet: FleetPage::new(&who).body(),
            build_page: BuildInfoPage::new(&report).body(),
            build_keys: json(&facts.build_keys()),
            whoami: json(&who),
            build: json(&report),
            parity: results.map(|results| parity::Bodies::new(&results.told_by(&who))),
            who,
        }
    }
}

/// A value as a JSON body.
pub(super) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("types without maps of other keys than text serialize")
        .into()
}
