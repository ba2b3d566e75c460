//! Sets up the log: to standard output, for people on a terminal and as JSON otherwise.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::settings::{LogFormat, LogLevel};

/// Starts logging for the whole process. A second call changes nothing.
pub fn start(format: LogFormat, level: LogLevel) {
    let json = match format {
        LogFormat::Auto => !io::stdout().is_terminal(),
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(io::stdout)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(io::stdout().is_terminal())
            .with_target(false)
            .with_writer(io::stdout)
            .boxed()
    };
    // The logger must not fail the process that it reports on; nor would a second one be of use.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter(level)))
        .try_init();
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}
