//! `cargo xtask cloud load`: bounded requests through the load balancer, and what came of them, second by second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::place::Place;
use super::session::Session;
use super::state::State;
use crate::arch::Arch;
use crate::terminal;

/// Send requests through the load balancer, and print what came of them, second by second
#[derive(Args)]
pub(super) struct Arguments {
    /// How many requests at most, up to 1,000,000
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    requests: u64,
    /// For how many seconds at most, up to 3,600
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// How many at a time, up to 64
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    concurrency: u64,
    /// How many to begin in a second at most; as many as are answered, without this
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    /// Ask for this architecture alone, by the header that pins a request
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,
    /// Print one JSON object at the end and nothing else
    #[arg(long)]
    json: bool,
}

/// The answer that names both the architecture and the version.
const PATH: &str = "/build";
/// No answer takes longer: after that a request has failed.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What came of one request.
struct Sample {
    /// When it began, since the start.
    at: Duration,
    took: Duration,
    /// Architecture and version, or what went wrong.
    result: Result<(String, String), String>,
}

/// What came of all requests.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// How many there were.
    pub(crate) requests: usize,
    /// How many of them failed.
    pub(crate) failed: usize,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// How many answers came from each architecture and version.
    answers: Vec<Answers>,
    /// How many requests failed in each way.
    failures: Vec<Failures>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Answers {
    arch: String,
    version: String,
    count: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failures {
    what: String,
    count: usize,
}

/// How much is asked at most.
#[derive(Clone, Copy)]
struct Plan {
    requests: u64,
    seconds: u64,
    concurrency: u64,
    rate: Option<u64>,
}

/// The command.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let state = State::require(&Place::find()?)?;
    let client = Client::of(&state, arguments.arch)?;
    let plan = Plan {
        requests: arguments.requests,
        seconds: arguments.seconds,
        concurrency: arguments.concurrency,
        rate: arguments.rate,
    };
    let summary = send(&client, plan, &AtomicBool::new(false), |number, second| {
        if !arguments.json {
            second.print(number);
        }
    });
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        summary.print();
    }
    if summary.failed > 0 {
        bail!("{} of {} requests failed", summary.failed, summary.requests);
    }
    Ok(())
}

/// Sends requests as planned or until `stop` is set, and hands over what came of each second.
fn send(client: &Client, plan: Plan, stop: &AtomicBool, mut each_second: impl FnMut(u64, Second)) -> Summary {
    let (sender, samples) = mpsc::channel();
    let start = Instant::now();
    let end = start + Duration::from_secs(plan.seconds);
    let next = AtomicU64::new(0);
    let mut all = Vec::new();
    thread::scope(|scope| {
        for _ in 0..plan.concurrency {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                let agent = Client::agent();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if let Some(rate) = plan.rate {
                        let due = start + Duration::from_nanos(number.saturating_mul(1_000_000_000) / rate);
                        thread::sleep(due.min(end).saturating_duration_since(Instant::now()));
                    }
                    if number >= plan.requests || Instant::now() >= end || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let at = start.elapsed();
                    let result = client.ask(&agent);
                    let took = start.elapsed().saturating_sub(at);
                    if sender.send(Sample { at, took, result }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut second = Second::default();
        let mut number = 0;
        // By when an answer arrived, so that a second is complete when it is handed over.
        for sample in samples {
            let arrived = (sample.at + sample.took).as_secs();
            if arrived > number {
                each_second(number, std::mem::take(&mut second));
                number = arrived;
            }
            second.add(&sample);
            all.push(sample);
        }
        each_second(number, second);
    });
    summarise(&all, start.elapsed())
}

/// Somebody who asks the service, through its load balancer.
pub(super) struct Client {
    root: String,
    host: String,
    arch: Option<Arch>,
}

impl Client {
    /// Of this service; of one architecture only, if one is given.
    pub(super) fn of(state: &State, arch: Option<Arch>) -> Result<Self> {
        let host = state
            .require_address()?
            .strip_prefix("http://")
            .context("the address of the service is not of HTTP")?;
        Ok(Self {
            // The name leads to this machine in browsers, but not in every resolver.
            root: format!("http://127.0.0.1:{}", state.ports.http),
            host: host.to_owned(),
            arch,
        })
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            // A connection of its own for each request, as visitors have them.
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent()
    }

    fn ask(&self, agent: &ureq::Agent) -> Result<(String, String), String> {
        let body = self.answer(agent, PATH)?;
        let arch = body["ARCH"].as_str().ok_or("the answer names no architecture")?;
        Ok((
            arch.to_owned(),
            body["VERSION"].as_str().unwrap_or("?").to_owned(),
        ))
    }

    /// The JSON answer of a path, or what is wrong with it.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        self.answer(&Self::agent(), path)
    }

    fn answer(&self, agent: &ureq::Agent, path: &str) -> Result<Value, String> {
        let mut request = agent
            .get(format!("{}{path}", self.root))
            .header("host", &self.host)
            .header("accept", "application/json")
            .header("connection", "close");
        if let Some(arch) = self.arch {
            request = request.header("x-bifora-arch", arch.name());
        }
        let mut response = request.call().map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .read_to_string()
            .map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("status {status}"));
        }
        serde_json::from_str(&body).map_err(|_| "the answer is not JSON".to_owned())
    }
}

/// Visitors who come all the while, until they are told to stop.
pub(crate) struct Visitors {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Summary>,
}

impl Visitors {
    /// Twenty a second.
    pub(crate) fn start(session: &Session) -> Result<Self> {
        let client = Client::of(session.state(), None)?;
        let plan = Plan {
            requests: u64::MAX,
            seconds: 7_200,
            concurrency: 4,
            rate: Some(20),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || send(&client, plan, &stop, |_, _| {})
        });
        Ok(Self { stop, thread })
    }

    /// What came of their requests.
    pub(crate) fn finish(self) -> Result<Summary> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the visitors have panicked"))
    }
}

/// What came of the requests whose answers arrived within one second.
#[derive(Default)]
struct Second {
    answers: BTreeMap<(String, String), usize>,
    failed: usize,
    took: Vec<Duration>,
}

impl Second {
    fn add(&mut self, sample: &Sample) {
        self.took.push(sample.took);
        match &sample.result {
            Ok(key) => *self.answers.entry(key.clone()).or_default() += 1,
            Err(_) => self.failed += 1,
        }
    }

    fn print(mut self, number: u64) {
        if self.took.is_empty() {
            return;
        }
        self.took.sort_unstable();
        let answers: Vec<_> = self
            .answers
            .iter()
            .map(|((arch, version), count)| format!("{arch} {version} {count:>5}"))
            .collect();
        let failed = format!("failed {}", self.failed);
        println!(
            "{number:>4} s  {}  {}  p50 {:>4.0} ms  p99 {:>4.0} ms",
            answers.join("  "),
            if self.failed > 0 {
                terminal::red(&failed)
            } else {
                failed
            },
            percentile(&self.took, 50),
            percentile(&self.took, 99)
        );
    }
}

fn summarise(samples: &[Sample], took: Duration) -> Summary {
    let mut answers: BTreeMap<&(String, String), usize> = BTreeMap::new();
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    for sample in samples {
        match &sample.result {
            Ok(key) => *answers.entry(key).or_default() += 1,
            Err(what) => *failures.entry(what).or_default() += 1,
        }
    }
    let mut durations: Vec<_> = samples.iter().map(|sample| sample.took).collect();
    durations.sort_unstable();
    Summary {
        requests: samples.len(),
        failed: failures.values().sum(),
        seconds: took.as_secs_f64(),
        p50_ms: percentile(&durations, 50),
        p99_ms: percentile(&durations, 99),
        answers: answers
            .into_iter()
            .map(|((arch, version), count)| Answers {
                arch: arch.clone(),
                version: version.clone(),
                count,
            })
            .collect(),
        failures: failures
            .into_iter()
            .map(|(what, count)| Failures {
                what: what.to_owned(),
                count,
            })
            .collect(),
    }
}

impl Summary {
    fn print(&self) {
        println!("{}", terminal::bold("━━ in all"));
        for answers in &self.answers {
            #[expect(clippy::cast_precision_loss, reason = "one decimal is printed")]
            let share = answers.count as f64 * 100.0 / self.requests.max(1) as f64;
            println!(
                "  {} {} {:>7} {share:>5.1} %",
                answers.arch, answers.version, answers.count
            );
        }
        for failures in &self.failures {
            println!("  {} {} times", terminal::red(&failures.what), failures.count);
        }
        println!(
            "  {} requests in {:.1} s, {} failed, p50 {:.0} ms, p99 {:.0} ms",
            self.requests, self.seconds, self.failed, self.p50_ms, self.p99_ms
        );
    }
}

/// In milliseconds, of durations in order.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len().saturating_mul(percent))
        .div_ceil(100)
        .saturating_sub(1);
    sorted
        .get(index)
        .map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(took: u64, result: Result<(&str, &str), &str>) -> Sample {
        Sample {
            at: Duration::ZERO,
            took: Duration::from_millis(took),
            result: result
                .map(|(arch, version)| (arch.to_owned(), version.to_owned()))
                .map_err(str::to_owned),
        }
    }

    #[test]
    fn answers_and_failures_are_counted_apart() {
        let samples = [
            sample(1, Ok(("x86_64", "a"))),
            sample(2, Ok(("x86_64", "a"))),
            sample(3, Ok(("aarch64", "b"))),
            sample(90, Err("status 502")),
        ];
        let summary = summarise(&samples, Duration::from_secs(1));
        assert_eq!((summary.requests, summary.failed), (4, 1));
        assert_eq!(
            summary.failures,
            [Failures {
                what: "status 502".to_owned(),
                count: 1
            }]
        );
        let counts: Vec<_> = summary
            .answers
            .iter()
            .map(|answers| (answers.arch.as_str(), answers.count))
            .collect();
        assert_eq!(counts, [("aarch64", 1), ("x86_64", 2)]);
        assert!(
            (summary.p50_ms - 2.0).abs() < 1e-9 && (summary.p99_ms - 90.0).abs() < 1e-9,
            "{summary:?}"
        );
    }

    #[test]
    fn percentiles_of_few_samples() {
        assert!(percentile(&[], 99).abs() < 1e-9);
        assert!((percentile(&[Duration::from_millis(7)], 50) - 7.0).abs() < 1e-9);
    }
}
