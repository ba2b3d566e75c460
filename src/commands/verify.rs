//! `bifora verify`: the gate of a pipeline.

mod arguments;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::SystemTime;

use bifora_image::lock::{LockError, ReleaseLock};
use tokio::signal::unix::{SignalKind, signal};

pub use self::arguments::{Arguments, Format, LONG_ABOUT};
use crate::environment::convention;
use crate::parity;
use crate::text;
use crate::verify::client::Client;
use crate::verify::client::proxy::{self, NotAProxy};
use crate::verify::client::tls::{self, CaError};
use crate::verify::expect::{Disagreement, ExpectedParity, Given};
use crate::verify::judge::judge;
use crate::verify::output::Output;
use crate::verify::progress::Progress;
use crate::verify::report::Report;
use crate::verify::sampler::{self, Plan};

/// The exit code when nobody was asked anything.
pub const USAGE: u8 = 2;

/// Why nobody was asked anything: each is a line that says what would be right.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The flags do not agree with each other.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// The lock cannot be used.
    #[error("--lock: {0}")]
    Lock(#[from] LockError),
    /// The settle window does not fit.
    #[error(
        "--settle {settle} is no shorter than --timeout {timeout}; expected a shorter one, since gathering takes time as well"
    )]
    Settle {
        /// The window.
        settle: String,
        /// The time for all.
        timeout: String,
    },
    /// The file of certificates cannot be used.
    #[error("--ca-file {0}: {1}")]
    CaFile(PathBuf, CaError),
    /// The report cannot be written.
    #[error("--output {0}: it cannot be written: {1}")]
    Output(PathBuf, io::Error),
    /// The environment names a proxy that is none.
    #[error(transparent)]
    Proxy(#[from] NotAProxy),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
}

/// What is left to be done: to print, and to end.
#[derive(Debug)]
pub struct Ending {
    /// For standard output.
    pub text: String,
    /// The exit code.
    pub code: u8,
}

/// Asks, judges and reports.
pub async fn run(arguments: Arguments) -> Result<Ending, VerifyError> {
    let lock = match &arguments.lock {
        Some(path) => Some((path.display().to_string(), ReleaseLock::read(path)?)),
        None => None,
    };
    let given = Given {
        archs: arguments.arch.iter().copied().collect(),
        commit: arguments.commit,
        digests: arguments.digest,
        binaries: arguments.binary,
        lock,
        allow_emulation: arguments.allow_emulation,
    };
    let vectors = parity::expected().map(|(name, digest)| (name.to_owned(), digest.to_owned()));
    let expected = given.agree(ExpectedParity {
        version: parity::PARITY_VERSION,
        vectors: vectors.collect(),
    })?;
    let plan = Plan {
        timeout: arguments.timeout,
        settle: arguments.settle,
        samples: arguments.samples,
        concurrency: arguments.concurrency,
    };
    if plan.settle >= plan.timeout {
        return Err(VerifyError::Settle {
            settle: humantime::format_duration(plan.settle).to_string(),
            timeout: humantime::format_duration(plan.timeout).to_string(),
        });
    }
    proxy::choose(&arguments.url, convention)?;
    let ca_file = arguments.ca_file.as_deref();
    let connector = tls::connector(ca_file)
        .map_err(|error| VerifyError::CaFile(ca_file.unwrap_or("".as_ref()).to_owned(), error))?;
    let output = match &arguments.output {
        None => None,
        Some(path) => {
            let output = Output::prepare(path).map_err(|error| VerifyError::Output(path.clone(), error))?;
            Some((path, output))
        }
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(VerifyError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(VerifyError::Signals)?;

    let started = SystemTime::now();
    // A terminal that knows no more than lines gets lines.
    let terminal = io::stderr().is_terminal() && convention("TERM").is_none_or(|term| term != "dumb");
    let mut progress = Progress::new(io::stderr(), terminal, plan, &expected);
    let mut signalled = None;
    let stop = async {
        signalled = Some(tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        });
    };
    let client = Client::new(connector, convention, arguments.request_timeout);
    let watch = &mut |standing: &sampler::Standing| progress.tell(standing);
    let gathered = sampler::run(client, &arguments.url, &expected, plan, stop, watch).await;
    progress.finish();

    let verdict = judge(&expected, &gathered.observations, gathered.period);
    let report = Report {
        version: 1,
        url: arguments.url.to_string(),
        exit_code: signalled.unwrap_or(verdict.status.exit_code()),
        interrupted: gathered.interrupted,
        started: text::rfc3339(started),
        seconds: gathered.elapsed.as_secs_f64(),
        questions: gathered.questions,
        expected,
        verdict,
    };
    Ok(written(&report, arguments.format, output))
}

/// The report where it belongs. Where it goes into a file, people still get theirs.
fn written(report: &Report, format: Format, output: Option<(&PathBuf, Output)>) -> Ending {
    let colours = io::stdout().is_terminal() && convention("NO_COLOR").is_none();
    let in_format = |colours| match format {
        Format::Text => report.text(colours),
        Format::Json => report.json().expect("texts and numbers serialize"),
        Format::Junit => report.junit(),
    };
    let mut code = report.exit_code;
    let Some((path, output)) = output else {
        return Ending {
            text: in_format(colours),
            code,
        };
    };
    let mut text = report.text(colours);
    if let Err(error) = output.write(&in_format(false)) {
        text = format!(
            "{text}\n--output {}: it could not be written: {error}\n",
            path.display()
        );
        // A proof that a pipeline waits for in vain is none; what is disproven stays so.
        if code == 0 {
            code = USAGE;
        }
    }
    Ending { text, code }
}
