//! `bifora verify`, the release binary of this machine's architecture.

use std::process::{Command, Output, Stdio};

use super::server::{native, program};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// The report.
    pub(crate) out: String,
    /// How it went.
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Ended {
    /// Checks the exit code, and that the report has these texts.
    pub(crate) fn is(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.err, self.out);
        for part in parts {
            assert!(
                self.out.contains(part),
                "{part:?} is not in\n{}{}",
                self.err,
                self.out
            );
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

/// The command, with nothing in its environment.
pub(crate) fn command(url: &str, commit: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(native()));
    command
        .args(["verify", url, "--commit", commit])
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Fast enough for a test, slow enough for a busy machine.
pub(crate) const QUICK: [&str; 7] = [
    "--settle",
    "1s",
    "--samples",
    "60",
    "--timeout",
    "40s",
    "--allow-emulation",
];

/// The same, for what is not decided before the time is over.
pub(crate) const SHORT: [&str; 7] = [
    "--settle",
    "1s",
    "--samples",
    "60",
    "--timeout",
    "4s",
    "--allow-emulation",
];

/// Runs the gate to its end.
pub(crate) fn verify(url: &str, commit: &str, arguments: &[&str]) -> Ended {
    command(url, commit, arguments)
        .output()
        .expect("it starts")
        .into()
}
