//! The flags of `bifora verify`: each declared once, with its default, bounds and documentation.

use std::path::PathBuf;
use std::time::Duration;

use bifora_image::digest::Digest;
use clap::{Args, ValueEnum};

use crate::arch::Arch;
use crate::verify::client::address::Address;

/// What the command does, at length.
pub const LONG_ABOUT: &str = "Prove that what answers at an address is what was built, on every architecture.

Asks through the load balancer, on a new connection each time, until every architecture has answered right and has gone on
to do so for a whole settle window without one wrong or failed answer; then compares the parity vectors of all tasks.";

const EXAMPLES: &str = "Examples:
  bifora verify http://localhost:8080 --arch x86_64 --commit \"$(git rev-parse HEAD)\"
  bifora verify https://bifora.example --lock bifora-lock.json --format junit --output gate.xml

Exit codes: 0 proven, 1 disproven, 2 bad usage (nobody was asked), 3 not decided in time, 130 and 143
ended by a signal.

http_proxy, https_proxy, all_proxy and no_proxy are honoured, and NO_COLOR.";

/// What to ask, what to expect, and how to report.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Address of the deployment, which is that of its load balancer
    #[arg(value_parser = url)]
    pub url: Address,

    /// An architecture that has to answer; can be given more than once [default: both]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub arch: Vec<Arch>,

    /// The commit that has to answer, 7 digits or more of it; needed unless there is a lock
    #[arg(long, value_parser = commit)]
    pub commit: Option<String>,

    /// Digest of the image that an architecture has to run; more than one allows either
    #[arg(long, value_name = "ARCH=sha256:…", value_parser = of_arch)]
    pub digest: Vec<(Arch, Digest)>,

    /// Digest of the executable that an architecture has to run
    #[arg(long, value_name = "ARCH=sha256:…", value_parser = of_arch)]
    pub binary: Vec<(Arch, Digest)>,

    /// Take commit, digests and executables from the lock that the build of the image has written, bifora-lock.json
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,

    /// How long to try in all
    #[arg(long, env = "BIFORA_VERIFY_TIMEOUT", value_name = "TIME", default_value = "10m", value_parser = timeout)]
    pub timeout: Duration,

    /// How long everything has to be right without interruption
    #[arg(long, env = "BIFORA_VERIFY_SETTLE", value_name = "TIME", default_value = "30s", value_parser = settle)]
    pub settle: Duration,

    /// How many questions to ask of a deployment that is right; more find rarer faults
    #[arg(long, value_name = "NUMBER", default_value = "200", value_parser = samples)]
    pub samples: usize,

    /// How many questions to ask at the same time, at most
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = concurrency)]
    pub concurrency: usize,

    /// How long one answer may take, redirects included
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = request_timeout)]
    pub request_timeout: Duration,

    /// How the report looks
    #[arg(long, default_value = "text")]
    pub format: Format,

    /// Write the report into this file, and print that for people beside
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Trust the certificates in this file (PEM) instead of the public authorities
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Take emulated machines for real ones: for rehearsals on one machine
    #[arg(long, env = "BIFORA_ALLOW_EMULATION")]
    pub allow_emulation: bool,
}

/// How the report looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For pipelines: one test case for each claim
    Junit,
}

const DAY: Duration = Duration::from_hours(24);

fn url(text: &str) -> Result<Address, String> {
    Address::parse_base(text)
        .map_err(|why| format!("an address such as http://bifora.example or http://[::1]:8080 ({why})"))
}

fn arch(text: &str) -> Result<Arch, String> {
    Arch::from_machine(text).ok_or_else(|| "x86_64 or aarch64".to_owned())
}

fn commit(text: &str) -> Result<String, String> {
    let right = (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    right
        .then(|| text.to_ascii_lowercase())
        .ok_or_else(|| "7 to 40 hexadecimal digits, as git shows them".to_owned())
}

fn of_arch(text: &str) -> Result<(Arch, Digest), String> {
    text.split_once('=')
        .and_then(|(name, digest)| Some((Arch::from_machine(name)?, digest.parse().ok()?)))
        .ok_or_else(|| "x86_64= or aarch64=, and then sha256: and 64 digits of 0-9 a-f".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), DAY).ok_or_else(|| "a time from 1s to 24h, such as 10m".to_owned())
}

fn settle(text: &str) -> Result<Duration, String> {
    time(text, Duration::ZERO, DAY).ok_or_else(|| "a time from 0s to 24h, such as 30s".to_owned())
}

fn request_timeout(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_millis(10), Duration::from_mins(10))
        .ok_or_else(|| "a time from 10ms to 10m, such as 10s".to_owned())
}

fn time(text: &str, least: Duration, most: Duration) -> Option<Duration> {
    humantime::parse_duration(text)
        .ok()
        .filter(|time| (least..=most).contains(time))
}

fn samples(text: &str) -> Result<usize, String> {
    number(text, 10, 100_000)
}

fn concurrency(text: &str) -> Result<usize, String> {
    number(text, 1, 64)
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}
