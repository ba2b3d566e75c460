//! The bare axum server that Bifora's throughput is measured against: routes, `axum::serve`, and nothing else. It
//! answers what was recorded from Bifora, so that both send the same bytes.
//!
//! `bifora-baseline PORT ANSWERS.json`, where the file is an array of
//! `{"path": "/", "status": 200, "headers": [["content-type", "text/html"]], "body": "/path/of/a/file"}`.

use std::net::Ipv4Addr;
use std::{env, fs};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let port = arguments
        .next()
        .context("the first argument is missing: a port")?;
    let port: u16 = port.parse().with_context(|| format!("`{port}` is not a port"))?;
    let file = arguments
        .next()
        .context("the second argument is missing: a file of answers")?;
    let answers = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let answers: Value = serde_json::from_str(&answers).with_context(|| format!("{file} is not JSON"))?;

    let mut router = Router::new().route("/readyz", get(|| async { "ready\n" }));
    for answer in answers
        .as_array()
        .with_context(|| format!("{file} is not an array"))?
    {
        let path = answer["path"].as_str().context("an answer has no path")?;
        let response = response(answer).with_context(|| format!("the answer of {path}"))?;
        router = router.route(path, get(move || async move { response }));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("port {port}"))?;
    axum::serve(listener, router).await?;
    Ok(())
}

/// An answer with everything parsed; a request only clones it.
fn response(answer: &Value) -> Result<(StatusCode, HeaderMap, Bytes)> {
    let status = answer["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .context("no status")?;
    let mut headers = HeaderMap::new();
    for header in answer["headers"].as_array().context("no headers")? {
        let (name, value) = header[0]
            .as_str()
            .zip(header[1].as_str())
            .context("a header is not a pair of texts")?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let body = answer["body"].as_str().context("no body")?;
    let body = fs::read(body).with_context(|| format!("cannot read {body}"))?;
    Ok((StatusCode::from_u16(status)?, headers, body.into()))
}
