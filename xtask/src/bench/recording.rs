//! What is asked, and the answers to it, recorded so that the bare server can repeat them byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::server::Server;

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const JSON: &str = "application/json";
const ANY: &str = "*/*";
/// What browsers send.
const ENCODINGS: &str = "gzip, deflate, br, zstd";

/// Headers that hyper adds by itself, and that would be there twice.
const OF_THE_CONNECTION: [&str; 5] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
];

/// A request that is measured.
pub(super) struct Case {
    /// What the report calls it.
    pub(super) name: String,
    /// Path of the URL.
    pub(super) path: String,
    accept: &'static str,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Case {
    /// Every request that is measured. The path of a static file contains its hash, so that the page has to name it.
    pub(super) fn all(bifora: &Server) -> Result<Vec<Self>> {
        let case = |name: &str, path: &str, accept| Self {
            name: name.to_owned(),
            path: path.to_owned(),
            accept,
        };
        let page = case("/", "/", HTML);
        let body =
            String::from_utf8(page.ask(bifora)?.body).context("the page is not text; is it compressed?")?;
        let file = static_path(&body).context("the page links nothing below /static/")?;
        Ok(vec![
            page,
            case("/build (HTML)", "/build", HTML),
            case("/build (JSON)", "/build", JSON),
            case("/api/whoami", "/api/whoami", JSON),
            case("/healthz", "/healthz", ANY),
            case("/static/…", file, ANY),
        ])
    }

    /// The headers of the request, as `Name: value`.
    pub(super) fn headers(&self) -> [String; 2] {
        [
            format!("Accept: {}", self.accept),
            format!("Accept-Encoding: {ENCODINGS}"),
        ]
    }

    /// Asks once and writes the answer into `folder`. Returns the file for the bare server.
    pub(super) fn record(&self, server: &Server, folder: &Path) -> Result<PathBuf> {
        let Answer {
            status,
            headers,
            body,
        } = self.ask(server)?;
        ensure!(status == 200, "{} answers {status} instead of 200", self.path);
        let (body_file, answers) = (folder.join("body"), folder.join("answers.json"));
        let recorded =
            json!([{ "path": self.path, "status": status, "headers": headers, "body": body_file }]);
        fs::write(&body_file, body)
            .and_then(|()| fs::write(&answers, recorded.to_string()))
            .with_context(|| format!("cannot write the recorded answer into {}", folder.display()))?;
        Ok(answers)
    }

    fn ask(&self, server: &Server) -> Result<Answer> {
        let url = server.url(&self.path);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(10)));
        let request = ureq::Agent::from(config.build()).get(&url);
        let request = request
            .header("Accept", self.accept)
            .header("Accept-Encoding", ENCODINGS);
        let mut response = request.call().with_context(|| format!("cannot ask {url}"))?;
        let headers = response
            .headers()
            .iter()
            .filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str()))
            .map(|(name, value)| {
                Ok((
                    name.to_string(),
                    value.to_str().context("a header is not text")?.to_owned(),
                ))
            })
            .collect::<Result<_>>()?;
        let body = response
            .body_mut()
            .read_to_vec()
            .with_context(|| format!("cannot read the answer of {url}"))?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers,
            body,
        })
    }
}

/// The first static file that a page links.
fn static_path(page: &str) -> Option<&str> {
    let start = page.find("\"/static/")? + 1;
    let length = page[start..].find('"')?;
    Some(&page[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::static_path;

    #[test]
    fn static_files_are_found_in_pages() {
        let page =
            r#"<link rel="stylesheet" href="/static/app.1a2b.css"><script src="/static/app.js"></script>"#;
        assert_eq!(static_path(page), Some("/static/app.1a2b.css"));
        assert_eq!(static_path("<p>none</p>"), None);
    }
}
