//! `/metrics`: what Prometheus scrapes. Labels are route patterns and known methods, so that no client can grow them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use prometheus::{
    Counter, Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use super::{App, error, negotiate};
use crate::arch::Arch;
use crate::build_info::BuildInfo;
use crate::host::{Process, Started};
use crate::logging;

/// Seconds. Answers take microseconds; what takes longer waits for a client's body or for a CPU.
const BUCKETS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The counters of one server; a registry of their own, so that tests do not share.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    pub(super) in_flight: InFlight,
    requests_in_flight: IntGauge,
    /// Follows the log's own count.
    dropped: Mutex<IntCounter>,
    memory: Gauge,
    threads: Gauge,
    open_files: Gauge,
    /// The kernel counts, and this follows; locked, so that two scrapes at once do not add the same time.
    cpu: Mutex<Counter>,
    start: Gauge,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Panics
    /// When a name is not one that Prometheus takes; they are all written here.
    pub fn new(build: &BuildInfo) -> Self {
        let labels = ["method", "route", "status"];
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("a valid name");
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new(
                    "http_requests_total",
                    "Requests, by method, route pattern and status.",
                ),
                &labels,
            )
            .expect("valid names"),
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "http_request_duration_seconds",
                    "Time from a request's headers to its answer.",
                )
                .buckets(BUCKETS.to_vec()),
                &labels,
            )
            .expect("valid names"),
            in_flight: InFlight::default(),
            requests_in_flight: IntGauge::new("http_requests_in_flight", "Requests being answered.")
                .expect("a valid name"),
            dropped: Mutex::new(
                IntCounter::new(
                    "bifora_log_lines_dropped_total",
                    "Log lines dropped because nobody read them.",
                )
                .expect("a valid name"),
            ),
            memory: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            threads: gauge("process_threads", "Number of threads."),
            open_files: gauge("process_open_fds", "Number of open file descriptors."),
            cpu: Mutex::new(
                Counter::new(
                    "process_cpu_seconds_total",
                    "Total user and system CPU time spent in seconds.",
                )
                .expect("a valid name"),
            ),
            start: gauge(
                "process_start_time_seconds",
                "Start time of the process since the Unix epoch, in seconds.",
            ),
        };
        let commit = build.commit.clone().unwrap_or_else(|| "unknown".to_owned());
        let build_info = IntGauge::with_opts(
            Opts::new("bifora_build_info", "Which build this is; always 1.")
                .const_label("version", &build.version)
                .const_label("commit", commit)
                .const_label("arch", Arch::COMPILED.name())
                .const_label("target", &build.target),
        )
        .expect("valid names");
        build_info.set(1);
        let collectors: [Box<dyn prometheus::core::Collector>; 10] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.durations.clone()),
            Box::new(metrics.requests_in_flight.clone()),
            Box::new(metrics.dropped.lock().expect("nobody else has it yet").clone()),
            Box::new(metrics.memory.clone()),
            Box::new(metrics.threads.clone()),
            Box::new(metrics.open_files.clone()),
            Box::new(metrics.cpu.lock().expect("nobody else has it yet").clone()),
            Box::new(metrics.start.clone()),
            Box::new(build_info),
        ];
        for collector in collectors {
            metrics
                .registry
                .register(collector)
                .expect("each name is registered once");
        }
        metrics
    }

    /// Counts a request out, by method, route pattern and status.
    pub(super) fn count(&self, labels: [&str; 3], took: Duration) {
        self.requests.with_label_values(&labels).inc();
        self.durations
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// How many requests are being answered.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.all()
    }

    fn text(&self, started: Started) -> Result<Vec<u8>, prometheus::Error> {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
        let set = |gauge: &Gauge, value: Option<u64>| gauge.set(value.map_or(f64::NAN, |v| v as f64));
        if let Ok(dropped) = self.dropped.lock() {
            dropped.inc_by((logging::dropped_lines() as u64).saturating_sub(dropped.get()));
        }
        self.requests_in_flight
            .set(i64::try_from(self.in_flight.all()).unwrap_or(i64::MAX));
        let process = Process::now(started);
        set(&self.memory, process.memory);
        set(&self.threads, process.threads);
        set(&self.open_files, process.open_files);
        if let (Some(seconds), Ok(cpu)) = (process.cpu_seconds, self.cpu.lock()) {
            cpu.inc_by((seconds - cpu.get()).max(0.0));
        }
        self.start.set(
            started
                .at
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(f64::NAN, |t| t.as_secs_f64()),
        );
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Requests being answered; probes are counted apart, because they take nobody's place.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    visitors: AtomicUsize,
    probes: AtomicUsize,
}

impl InFlight {
    fn of(&self, probe: bool) -> &AtomicUsize {
        if probe { &self.probes } else { &self.visitors }
    }

    /// Counts a request in; gives how many of its kind there were before it.
    pub(super) fn begin(&self, probe: bool) -> usize {
        self.of(probe).fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request out.
    pub(super) fn end(&self, probe: bool) {
        self.of(probe).fetch_sub(1, Ordering::Relaxed);
    }

    fn all(&self) -> usize {
        self.visitors.load(Ordering::Relaxed) + self.probes.load(Ordering::Relaxed)
    }
}

/// The counters in Prometheus' text format, version 0.0.4.
pub async fn scrape(State(app): State<Arc<App>>) -> Response {
    match app.metrics.text(app.facts.host.started) {
        Ok(text) => negotiate::typed(
            HeaderValue::from_static(prometheus::TEXT_FORMAT),
            Bytes::from(text),
        ),
        Err(error) => error::failed(error.to_string()),
    }
}
