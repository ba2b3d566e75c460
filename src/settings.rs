//! The server's settings: each declared once, with its flag, variable, default, bounds and documentation.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Settings of `bifora serve`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    #[command(flatten)]
    pub listen: Listen,

    /// How log lines look
    #[arg(long, env = "BIFORA_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged; each level includes those before it, and probes are never logged
    #[arg(long, env = "BIFORA_LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// How long to keep serving, reported as not ready, after the first SIGTERM or SIGINT
    #[arg(long, env = "BIFORA_SHUTDOWN_DELAY", default_value = "5s", value_parser = duration_or_none)]
    pub shutdown_delay: Duration,

    /// How long open requests may take after that, before they are cut
    #[arg(long, env = "BIFORA_SHUTDOWN_DEADLINE", default_value = "20s", value_parser = duration_or_none)]
    pub shutdown_deadline: Duration,

    /// How long one request may take
    #[arg(long, env = "BIFORA_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long a client may take to send a request's headers
    #[arg(long, env = "BIFORA_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,

    /// How long a connection may idle; keep it longer than the load balancer's time-out, which is 60 s on AWS
    #[arg(long, env = "BIFORA_IDLE_TIMEOUT", default_value = "75s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Log requests that take longer than this
    #[arg(long, env = "BIFORA_SLOW_REQUEST", default_value = "1s", value_parser = duration)]
    pub slow_request: Duration,

    /// Largest request body, in bytes; a larger one is answered 413
    #[arg(long, env = "BIFORA_BODY_LIMIT", default_value = "65536", value_parser = body_limit)]
    pub body_limit: usize,

    /// Maximum concurrent requests; more are answered 503, health checks excepted
    #[arg(long, env = "BIFORA_CONCURRENCY_LIMIT", default_value = "1024", value_parser = concurrency_limit)]
    pub concurrency_limit: usize,

    /// Maximum open connections, fewer where the limit of open files is lower; when they run short, idle ones are closed
    #[arg(long, env = "BIFORA_CONNECTION_LIMIT", default_value = "10000", value_parser = connection_limit)]
    pub connection_limit: usize,
}

/// Where the server listens, and where the health check finds it.
#[derive(Args, Clone, Copy, Debug)]
pub struct Listen {
    /// IP address to listen on; the health check asks the loopback address for 0.0.0.0 and ::
    #[arg(long, env = "HOST", default_value = "0.0.0.0", value_parser = address)]
    pub host: IpAddr,

    /// Port to listen on; 0 picks a free one, shown in the log line "serving on"
    #[arg(long, env = "PORT", default_value = "8080", value_parser = port)]
    pub port: u16,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise
    Auto,
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogLevel {
    /// Nothing
    Off,
    /// Failed requests
    Error,
    /// Refused and slow requests, and what else needs attention
    Warn,
    /// Start and stop
    Info,
    /// Every request
    Debug,
}

const HOUR: Duration = Duration::from_hours(1);

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "an IP address such as 0.0.0.0, 127.0.0.1 or ::".to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "a whole number from 0 to 65535".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let allowed = |d: &Duration| (Duration::from_millis(1)..=HOUR).contains(d);
    parsed
        .filter(allowed)
        .ok_or_else(|| "a time from 1ms to 1h, such as 500ms, 30s or 2m".to_owned())
}

fn duration_or_none(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    parsed
        .filter(|d| *d <= HOUR)
        .ok_or_else(|| "a time from 0s to 1h, such as 0s, 500ms or 30s".to_owned())
}

fn body_limit(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=100 << 20)
}

fn concurrency_limit(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=100_000)
}

fn connection_limit(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=1_000_000)
}

fn whole_number(text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let wrong = || format!("a whole number from {} to {}", range.start(), range.end());
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(wrong)
}
