//! `/metrics`: what Prometheus scrapes. Labels are route patterns and known methods, so that no client can grow them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use prometheus::{
    Counter, Encoder, Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use super::{App, negotiate};
use crate::arch::Arch;
use crate::build_info::BuildInfo;
use crate::host::{Process, Started};

/// The status label of requests whose client went away before the answer; nginx uses the same number.
const CLIENT_GONE: &str = "499";

/// Seconds. Answers take microseconds; what takes longer waits for a client's body or for a CPU.
const BUCKETS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The counters of one server; a registry of their own, so that tests do not share.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    memory: Gauge,
    threads: Gauge,
    open_files: Gauge,
    cpu: Counter,
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
                    "Requests answered, by method, route pattern and status.",
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
            in_flight: IntGauge::new("http_requests_in_flight", "Requests being answered.")
                .expect("a valid name"),
            memory: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            threads: gauge("process_threads", "Number of threads."),
            open_files: gauge("process_open_fds", "Number of open file descriptors."),
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )
            .expect("a valid name"),
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
        let collectors: [Box<dyn prometheus::core::Collector>; 9] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.durations.clone()),
            Box::new(metrics.in_flight.clone()),
            Box::new(metrics.memory.clone()),
            Box::new(metrics.threads.clone()),
            Box::new(metrics.open_files.clone()),
            Box::new(metrics.cpu.clone()),
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

    /// Counts a request in; the visit counts it out, whatever becomes of it.
    pub(super) fn enter<'a>(&'a self, method: &Method, route: &'a str) -> Visit<'a> {
        self.in_flight.inc();
        Visit {
            metrics: self,
            method: label(method),
            route,
            left: false,
        }
    }

    /// How many requests are being answered.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    fn text(&self, started: Started) -> Result<Vec<u8>, prometheus::Error> {
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
        let set = |gauge: &Gauge, value: Option<u64>| gauge.set(value.map_or(f64::NAN, |v| v as f64));
        let process = Process::now(started);
        set(&self.memory, process.memory);
        set(&self.threads, process.threads);
        set(&self.open_files, process.open_files);
        // The kernel counts, and this counter follows; two scrapes at once must not turn it back.
        self.cpu
            .inc_by((process.cpu_seconds.unwrap_or_default() - self.cpu.get()).max(0.0));
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

/// One request being answered. Dropped without an answer, it counts as a client that went away.
pub(super) struct Visit<'a> {
    metrics: &'a Metrics,
    method: &'static str,
    route: &'a str,
    left: bool,
}

impl Visit<'_> {
    /// The method's label.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// The request was answered.
    pub(super) fn leave(mut self, status: StatusCode, took: Duration) {
        self.left = true;
        let labels = [self.method, self.route, status.as_str()];
        self.metrics.requests.with_label_values(&labels).inc();
        self.metrics
            .durations
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        if !self.left {
            self.metrics
                .requests
                .with_label_values(&[self.method, self.route, CLIENT_GONE])
                .inc();
        }
    }
}

/// The methods that HTTP knows; whatever a client makes up is one label.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}

/// The counters in Prometheus' text format, version 0.0.4.
pub async fn scrape(State(app): State<Arc<App>>) -> Result<Response, StatusCode> {
    let text = app.metrics.text(app.facts.host.started).map_err(|error| {
        tracing::error!(%error, "cannot write the metrics");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    Ok(negotiate::typed(
        HeaderValue::from_static(prometheus::TEXT_FORMAT),
        Bytes::from(text),
    ))
}
