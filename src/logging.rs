//! Sets up the log: to standard output, for people on a terminal and as JSON otherwise.
//!
//! Lines are written by a thread of their own. Whoever reads them may stall; the server must not, so that lines beyond a
//! bound are dropped then, and counted.

use std::io::{self, IsTerminal};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::settings::{LogFormat, LogLevel};

/// Lines that may wait for their reader.
const WAITING: usize = 8_192;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How many lines were dropped because nobody read them.
pub fn dropped_lines() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// How long the end waits for a reader of the last lines.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Dropped at the end, it writes what still waits, as far as somebody reads it.
#[derive(Debug)]
pub struct Log(Option<WorkerGuard>);

impl Drop for Log {
    fn drop(&mut self) {
        // The guard's own end may wait for ever when the reader stalls: it has a thread to do so.
        let guard = self.0.take();
        let (tell, ended) = mpsc::channel();
        let thread = thread::Builder::new().spawn(move || {
            drop(guard);
            tell.send(())
        });
        if thread.is_ok() {
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

/// Starts logging for the whole process, until the answer is dropped. A second call changes nothing.
pub fn start(format: LogFormat, level: LogLevel) -> Log {
    let (lines, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .thread_name("log")
        .finish(io::stdout());
    let _ = DROPPED.set(lines.error_counter());
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
            .with_writer(lines)
            .boxed()
    } else {
        let layer = fmt::layer().with_target(false).with_writer(lines);
        // On a terminal the layer itself honours NO_COLOR.
        if io::stdout().is_terminal() {
            layer.boxed()
        } else {
            layer.with_ansi(false).boxed()
        }
    };
    // The logger must not fail the process that it reports on; nor would a second one be of use.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter(level)))
        .try_init();
    Log(Some(guard))
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
