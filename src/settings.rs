//! The server's settings: each declared once, with its flag, variable, default, bounds and documentation.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Settings of `bifora serve`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "0.0.0.0", value_parser = address)]
    pub host: IpAddr,

    /// Port to listen on; 0 takes a free one, which the first log line tells
    #[arg(long, env = "PORT", default_value = "8080", value_parser = port)]
    pub port: u16,

    /// How log lines look
    #[arg(long, env = "BIFORA_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged: failures and slow requests at warn, every request at debug, probes never
    #[arg(long, env = "BIFORA_LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// How long to go on serving, no longer ready, after the first SIGTERM or SIGINT
    #[arg(long, env = "BIFORA_SHUTDOWN_DELAY", default_value = "5s", value_parser = duration_or_none)]
    pub shutdown_delay: Bounded,

    /// How long open requests may take after that, before they are cut
    #[arg(long, env = "BIFORA_SHUTDOWN_DEADLINE", default_value = "20s", value_parser = duration_or_none)]
    pub shutdown_deadline: Bounded,

    /// How long one request may take
    #[arg(long, env = "BIFORA_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub request_timeout: Bounded,

    /// How long a client may take to send a request's headers
    #[arg(long, env = "BIFORA_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub header_timeout: Bounded,

    /// How long a connection may idle; longer than the load balancer's own time-out, 60 s on AWS
    #[arg(long, env = "BIFORA_IDLE_TIMEOUT", default_value = "75s", value_parser = duration)]
    pub idle_timeout: Bounded,

    /// From when on a request counts as slow and is logged
    #[arg(long, env = "BIFORA_SLOW_REQUEST", default_value = "1s", value_parser = duration)]
    pub slow_request: Bounded,

    /// Largest request body, in bytes; a larger one is answered 413
    #[arg(long, env = "BIFORA_BODY_LIMIT", default_value = "65536", value_parser = body_limit)]
    pub body_limit: usize,

    /// Most requests at once; further ones are answered 503, health checks excepted
    #[arg(long, env = "BIFORA_CONCURRENCY_LIMIT", default_value = "1024", value_parser = concurrency_limit)]
    pub concurrency_limit: usize,
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
    /// What failed
    Error,
    /// What failed or was slow
    Warn,
    /// Start and stop, too
    Info,
    /// Every request, too
    Debug,
    /// What the libraries have to say, too
    Trace,
}

/// A duration within the bounds of its setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounded(pub Duration);

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl From<Bounded> for Duration {
    fn from(bounded: Bounded) -> Self {
        bounded.0
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// An IP address.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "an IP address such as 0.0.0.0, 127.0.0.1 or ::".to_owned())
}

/// A port.
pub fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| "a whole number from 0 to 65535".to_owned())
}

fn duration(text: &str) -> Result<Bounded, String> {
    let parsed = humantime::parse_duration(text).ok();
    let allowed = |d: &Duration| (Duration::from_millis(1)..=HOUR).contains(d);
    parsed
        .filter(allowed)
        .map(Bounded)
        .ok_or_else(|| "a time from 1ms to 1h, such as 500ms, 30s or 2m".to_owned())
}

fn duration_or_none(text: &str) -> Result<Bounded, String> {
    let parsed = humantime::parse_duration(text).ok();
    parsed
        .filter(|d| *d <= HOUR)
        .map(Bounded)
        .ok_or_else(|| "a time from 0s to 1h, such as 0s, 500ms or 30s".to_owned())
}

fn body_limit(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=100 << 20)
}

fn concurrency_limit(text: &str) -> Result<usize, String> {
    whole_number(text, 1..=100_000)
}

fn whole_number(text: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let wrong = || format!("a whole number from {} to {}", range.start(), range.end());
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(wrong)
}
