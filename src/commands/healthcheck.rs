//! `bifora healthcheck`: for images without a shell or curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::http_client::{self, ClientError};
use crate::settings::Listen;

/// Below the 2 s that are promised, so that starting and ending fit in as well.
const TIMEOUT: Duration = Duration::from_millis(1_800);

/// Why the server does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// No answer.
    #[error("http://{0}/healthz: {1}")]
    Client(SocketAddr, #[source] ClientError),
    /// An answer other than 200.
    #[error("http://{0}/healthz answered {1}")]
    Status(SocketAddr, hyper::StatusCode),
}

/// Asks the server that listens there.
pub async fn run(Listen { host, port }: Listen) -> Result<(), HealthcheckError> {
    let host = match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    let address = SocketAddr::new(host, port);
    let answer = http_client::get(&format!("http://{address}/healthz"), TIMEOUT, 64 * 1024).await;
    match answer.map_err(|error| HealthcheckError::Client(address, error))? {
        (hyper::StatusCode::OK, _) => Ok(()),
        (status, _) => Err(HealthcheckError::Status(address, status)),
    }
}
