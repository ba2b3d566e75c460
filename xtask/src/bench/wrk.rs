//! The load generator: how it is called and what it prints.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::recording::Case;
use super::server::Server;
use crate::command::{command, read};

/// One thread is enough to keep the other core busy, and more connections only make longer queues.
const CONNECTIONS: u32 = 32;

/// What one round measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// Requests per second.
    pub(super) rate: f64,
    /// The latency that 99 of 100 requests stay below, in seconds.
    pub(super) p99: f64,
}

/// Asks for `case` as fast as possible for as long as given.
pub(super) fn run(server: &Server, case: &Case, duration: Duration) -> Result<Load> {
    let mut wrk = command("wrk");
    wrk.args([
        "--threads",
        "1",
        "--latency",
        "--connections",
        &CONNECTIONS.to_string(),
    ]);
    wrk.args(["--duration", &format!("{}s", duration.as_secs().max(1))]);
    for header in case.headers() {
        wrk.args(["--header", &header]);
    }
    parse(&read(wrk.arg(server.url(&case.path)))?).with_context(|| format!("measuring {}", case.name))
}

fn parse(output: &str) -> Result<Load> {
    let value = |key: &str| {
        output
            .lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .map(str::trim)
    };
    if let Some(errors) = value("Socket errors:") {
        bail!("wrk had socket errors: {errors}");
    }
    if let Some(count) = value("Non-2xx or 3xx responses:") {
        bail!("{count} answers were errors");
    }
    let parsed = value("Requests/sec:")
        .and_then(|text| text.parse().ok())
        .zip(value("99%").and_then(seconds));
    let (rate, p99) =
        parsed.with_context(|| format!("wrk printed no rate and no 99th percentile:\n{output}"))?;
    Ok(Load { rate, p99 })
}

/// `850.00us`, `1.29ms`, `2.01s` or `1.00m` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 2s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   613.49us  353.96us   8.67ms   90.32%
    Req/Sec    52.59k     3.08k   56.94k    85.71%
  Latency Distribution
     50%  561.00us
     75%  691.00us
     90%    0.88ms
     99%    1.94ms
  109930 requests in 2.10s, 13.73MB read
Requests/sec:  52351.41
Transfer/sec:      6.54MB
";

    #[test]
    fn rate_and_percentile_are_read() {
        let load = parse(OUTPUT).expect("this is what wrk prints");
        assert!((load.rate - 52351.41).abs() < 1e-6);
        assert!((load.p99 - 0.00194).abs() < 1e-9);
    }

    #[test]
    fn units_of_time_are_known() {
        let close = |text, expected: f64| seconds(text).is_some_and(|found| (found - expected).abs() < 1e-9);
        assert!(close("850.00us", 0.00085));
        assert!(close("2.01s", 2.01));
        assert!(close("1.50m", 90.0));
        assert_eq!(seconds("12"), None);
        assert_eq!(seconds("12h"), None);
    }

    #[test]
    fn errors_are_not_measurements() {
        let refused = format!("  Socket errors: connect 0, read 12, write 0, timeout 0\n{OUTPUT}");
        assert!(
            parse(&refused)
                .expect_err("errors")
                .to_string()
                .contains("read 12")
        );
        let failing = format!("  Non-2xx or 3xx responses: 7\n{OUTPUT}");
        assert!(
            parse(&failing)
                .expect_err("errors")
                .to_string()
                .contains("7 answers")
        );
        assert!(parse("").is_err());
    }
}
