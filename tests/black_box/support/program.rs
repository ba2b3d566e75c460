//! The program under test as the contract in `main.rs` names it, in an environment that holds only what is given.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use super::PATIENCE;

/// What `/api/whoami` must name when the contract says that the program is emulated.
pub(crate) const EMULATOR: &str = "qemu-user";

static BINARY: LazyLock<OsString> =
    LazyLock::new(|| contract("BIFORA_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_bifora").into()));

/// The runner and its arguments, by its full path: the program's own environment has no PATH to look it up in.
static RUNNER: LazyLock<Vec<OsString>> = LazyLock::new(|| {
    let Some(line) = contract("BIFORA_RUNNER") else {
        return Vec::new();
    };
    let line = line.into_string().expect("BIFORA_RUNNER is UTF-8");
    let mut words = line.split_whitespace();
    let name = words.next().expect("BIFORA_RUNNER names a program");
    let path = contract("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let runner = found.unwrap_or_else(|| PathBuf::from(name)).into_os_string();
    std::iter::once(runner).chain(words.map(OsString::from)).collect()
});

#[expect(
    clippy::disallowed_methods,
    reason = "the contract with whoever starts the tests"
)]
fn contract(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The architecture that the program must report.
pub(crate) fn arch() -> String {
    contract("BIFORA_ARCH").map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |arch| arch.into_string().expect("BIFORA_ARCH is UTF-8"),
    )
}

/// Whether the program runs under qemu-user.
pub(crate) fn is_emulated() -> bool {
    contract("BIFORA_EMULATED").is_some_and(|value| value == "1")
}

/// Whether nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    contract("CI").is_some_and(|value| value == "true" || value == "1")
}

/// The program with these arguments and nothing in its environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    program_within(&[], arguments)
}

/// The same, started by another program, such as `unshare`.
pub(crate) fn program_within(outer: &[&str], arguments: &[&str]) -> Command {
    program_at(outer, &BINARY, arguments)
}

/// The file that is the program.
pub(crate) fn binary() -> &'static Path {
    Path::new(&*BINARY)
}

/// The same, as it is at another path.
pub(crate) fn program_at(outer: &[&str], binary: &OsStr, arguments: &[&str]) -> Command {
    let mut words = outer
        .iter()
        .map(OsStr::new)
        .chain(RUNNER.iter().map(OsString::as_os_str))
        .chain([binary])
        .chain(arguments.iter().map(OsStr::new));
    let mut command = Command::new(words.next().expect("the binary, at least"));
    command.args(words).env_clear().stdin(Stdio::null());
    command
}

/// How a program that ends by itself ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; a program that a signal has killed has none.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// Runs a program to its end.
pub(crate) async fn run(command: &mut Command) -> Ended {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let pid = child.id();
    // Its pipes are read on a thread; should it not end, it is killed, and then the thread ends too.
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(output) = tokio::time::timeout(PATIENCE, waiting).await else {
        signal(pid, "KILL");
        panic!("{command:?} did not end");
    };
    output
        .expect("the thread does not panic")
        .expect("its output can be read")
        .into()
}

/// Sends a signal. The shell's own `kill` is on every machine; the one of procps is not.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .status()
        .expect("there is a shell");
    assert!(status.success(), "cannot send SIG{name} to {pid}");
}

/// Kills a child that its test has left, and takes its exit code.
pub(crate) fn kill(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
