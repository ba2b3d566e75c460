//! What the measurements come to: medians, the bars beside them, as text and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::wrk::Load;
use crate::{build, terminal};

/// The share of the bare server's requests per second that is wanted at least.
const RATIO_BAR: f64 = 0.90;
/// How much memory an idle server may use, in bytes.
const MEMORY_BAR: u64 = 10_000_000;
/// How long a server may take from its start to its first answer.
const READY_BAR: Duration = Duration::from_millis(20);

/// Everything that was measured.
pub(super) struct Report {
    /// Size of the release binary in bytes.
    pub(super) binary: u64,
    /// From start to first answer, each time.
    pub(super) ready: Vec<Duration>,
    /// Resident memory before the first request of a client, in bytes.
    pub(super) memory_idle: u64,
    /// The most it ever was, after all load, in bytes.
    pub(super) memory_peak: u64,
    /// The routes, each with its rounds.
    pub(super) routes: Vec<Route>,
}

/// The rounds of one route.
pub(super) struct Route {
    /// What it is called.
    pub(super) name: String,
    /// The rounds of Bifora.
    pub(super) bifora: Vec<Load>,
    /// The rounds of the bare server, each measured next to the one of the same index.
    pub(super) baseline: Vec<Load>,
}

impl Route {
    /// Bifora's share of the bare server's rate. The median of the pairs, because neighbours share their disturbances.
    fn ratio(&self) -> f64 {
        median(
            self.bifora
                .iter()
                .zip(&self.baseline)
                .map(|(ours, bare)| ours.rate / bare.rate),
        )
    }

    fn cells(&self) -> Vec<String> {
        let rate = |loads: &[Load]| format!("{:.0}", median(loads.iter().map(|load| load.rate)));
        let p99 = |loads: &[Load]| format!("{:.2} ms", median(loads.iter().map(|load| load.p99)) * 1e3);
        let ratio = self.ratio();
        vec![
            self.name.clone(),
            rate(&self.bifora),
            rate(&self.baseline),
            format!("{ratio:.2}"),
            format!("≥ {RATIO_BAR:.2}"),
            if ratio >= RATIO_BAR { "within" } else { "under" }.to_owned(),
            p99(&self.bifora),
            p99(&self.baseline),
        ]
    }

    fn json(&self) -> Value {
        let loads = |loads: &[Load]| -> Value {
            loads
                .iter()
                .map(|load| json!({ "requests_per_second": load.rate, "p99_seconds": load.p99 }))
                .collect()
        };
        json!({
            "route": self.name,
            "ratio": self.ratio(),
            "bifora": loads(&self.bifora),
            "baseline": loads(&self.baseline),
        })
    }
}

impl Report {
    /// The tables for a person.
    pub(super) fn text(&self) -> String {
        let head = [
            "route",
            "requests/s",
            "bare axum",
            "ratio",
            "bar",
            "",
            "p99",
            "bare axum",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.routes.iter().map(Route::cells));
        let text = format!("{}\n{}", terminal::bold("━━ Throughput"), terminal::table(&rows));

        let ready = self.median_ready();
        let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let row = |name: &str, value: String, bar: String, is_within: bool| {
            vec![
                name.to_owned(),
                value,
                format!("≤ {bar}"),
                if is_within { "within" } else { "over" }.to_owned(),
            ]
        };
        let size = terminal::megabytes;
        let within_size = self.binary <= build::SIZE_BAR;
        let rows = [
            ["measured", "value", "bar", ""].map(str::to_owned).to_vec(),
            row(
                "size of the binary",
                size(self.binary),
                size(build::SIZE_BAR),
                within_size,
            ),
            row(
                "memory, idle",
                size(self.memory_idle),
                size(MEMORY_BAR),
                self.memory_idle <= MEMORY_BAR,
            ),
            vec![
                "memory, at its peak under load".to_owned(),
                size(self.memory_peak),
            ],
            row(
                "start to first answer, median",
                milliseconds(ready),
                milliseconds(READY_BAR),
                ready <= READY_BAR,
            ),
            vec![
                "start to first answer, slowest".to_owned(),
                milliseconds(self.ready.iter().max().copied().unwrap_or_default()),
            ],
        ];
        let heading = terminal::bold("━━ Size, memory, start");
        text + &format!("\n{heading}\n{}", terminal::table(&rows))
    }

    /// Every single measurement, for comparisons later.
    pub(super) fn json(&self) -> Value {
        let ready: Value = self.ready.iter().map(Duration::as_secs_f64).collect();
        json!({
            "arch": std::env::consts::ARCH,
            "binary_bytes": self.binary,
            "ready_seconds": ready,
            "memory_idle_bytes": self.memory_idle,
            "memory_peak_bytes": self.memory_peak,
            "routes": self.routes.iter().map(Route::json).collect::<Value>(),
            "bars": {
                "ratio": RATIO_BAR,
                "binary_bytes": build::SIZE_BAR,
                "memory_idle_bytes": MEMORY_BAR,
                "ready_seconds": READY_BAR.as_secs_f64(),
            },
        })
    }

    fn median_ready(&self) -> Duration {
        Duration::from_secs_f64(median(self.ready.iter().map(Duration::as_secs_f64)))
    }
}

/// The middle of the values, or between the two in the middle. Zero if there are none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (
        values.get(values.len().saturating_sub(1) / 2),
        values.get(values.len() / 2),
    ) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_in_the_middle() {
        let close = |values: &[f64], expected: f64| (median(values.iter().copied()) - expected).abs() < 1e-9;
        assert!(close(&[3.0, 1.0, 2.0], 2.0));
        assert!(close(&[4.0, 1.0, 2.0, 3.0], 2.5));
        assert!(close(&[], 0.0));
    }

    #[test]
    fn report_says_which_bars_are_kept() {
        let load = |rate| Load { rate, p99: 0.002 };
        let report = Report {
            binary: 4_000_000,
            ready: vec![Duration::from_millis(30); 3],
            memory_idle: 12_000_000,
            memory_peak: 13_000_000,
            routes: vec![Route {
                name: "/".to_owned(),
                bifora: vec![load(95.0), load(80.0)],
                baseline: vec![load(100.0), load(100.0)],
            }],
        };
        let text = report.text();
        let line = |start: &str| {
            text.lines()
                .find(|line| line.trim().starts_with(start))
                .unwrap_or_default()
        };
        assert!(
            line("/ ").contains("0.88") && line("/ ").contains("under"),
            "{text}"
        );
        assert!(line("size").ends_with("within"), "{text}");
        assert!(line("memory, idle").ends_with("over"), "{text}");
        assert!(line("start to first answer, median").ends_with("over"), "{text}");
        assert_eq!(
            report.json()["routes"][0]["bifora"][0]["requests_per_second"],
            95.0
        );
    }
}
