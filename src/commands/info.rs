//! `bifora info`: what the pages know, on a terminal.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::build_report::BuildReport;
use crate::environment::Environment;
use crate::facts::Facts;
use crate::host::{Started, SystemInfo};
use crate::metadata;

/// What `bifora info --json` prints.
#[derive(Debug, Deserialize, Serialize)]
pub struct Info {
    /// As `/api/build`.
    pub build: BuildReport,
    /// As `/api/info`.
    pub system: SystemInfo,
}

/// Gathers the facts and puts them into text.
pub async fn run(json: bool, started: Started) -> Result<String, serde_json::Error> {
    let facts = Facts::gather(Environment::from_process(), started);
    let deployment = match facts.metadata_endpoint() {
        Some(endpoint) => metadata::once(&endpoint).await,
        None => facts.deployment_at_start(),
    };
    let info = Info {
        build: facts.build_report(&deployment),
        system: facts.system_info(),
    };
    if json {
        return serde_json::to_string_pretty(&info).map(|text| text + "\n");
    }
    let mut text = format!(
        "{} Bifora on {}: {}\n",
        Arch::COMPILED.mark(),
        Arch::COMPILED,
        info.build.origin
    );
    for section in info.build.sections().into_iter().chain(info.system.sections()) {
        let _ = write!(text, "\n{section}");
    }
    Ok(text)
}
