//! Running other programs: with an environment as if typed by hand, and with errors that can be pasted into a shell.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{interrupt, terminal};

/// A command with the environment that the developer's shell has.
///
/// `cargo run` adds variables about xtask itself. `LD_LIBRARY_PATH` would point another compiler to this one's
/// libraries, and build scripts that watch `CARGO_MANIFEST_DIR` and its like would run again after every plain `cargo`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    for (name, _) in std::env::vars_os() {
        let leaked = name.to_str().is_some_and(|name| {
            ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if leaked {
            command.env_remove(name);
        }
    }
    command
}

/// The `cargo` that started this program.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Shows the command, runs it with the output of this program, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("{}", terminal::dim(&format!("$ {}", display(command))));
    let status = start(command)?
        .wait()
        .with_context(|| format!("cannot wait for `{}`", display(command)))?;
    check(command, status)
}

/// As [`run`], but kills the command and fails when it takes longer than `limit`. The error ends with the last line of
/// what the command complained of.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    println!("{}", terminal::dim(&format!("$ {}", display(command))));
    let mut child = start(command.stderr(Stdio::piped()))?;
    let complaints = child.stderr.take().context("the error stream is not connected")?;
    let complaints = thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(complaints).lines().map_while(Result::ok) {
            eprintln!("{line}");
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        }
        last
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().ok();
            child.wait().ok();
            // Not waiting for what it complained of: something it has started may still hold the stream.
            bail!(
                "`{}` took longer than {} and was ended",
                display(command),
                terminal::duration(limit)
            );
        }
        thread::sleep(Duration::from_millis(50));
    };
    check(command, status).with_context(|| complaints.join().unwrap_or_default())
}

/// Starts the command; the error says which it was.
pub(crate) fn start(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(command)))
}

/// The standard output of a command that must succeed. Shows nothing; the error carries what the command complained of.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    check(command, status).with_context(|| String::from_utf8_lossy(&stderr).trim().to_owned())?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Gives a command that must succeed something to read that others should not, such as a password. Shows nothing.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = start(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    )?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it cannot be written the command has ended, and its status says why.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().context("cannot wait for a command")?;
    check(command, output.status).with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// Whether a command can be started and succeeds. Shows nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Fails, naming the command, unless `status` is success.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    interrupt::hold_if_pending();
    bail!("`{}` failed ({status})", display(command))
}

/// The first of `names` that `PATH` leads to, as a full path.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    names.iter().find_map(|name| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|candidate| candidate.is_file())
    })
}

/// The command as it would be typed in a shell, with the variables that were set for it.
fn display(command: &Command) -> String {
    // What leads a client to the engine of the local cloud is long, and `cargo xtask cloud status --env` prints it.
    const LED: [&str; 4] = [
        "BUILDX_NO_DEFAULT_ATTESTATIONS",
        "DOCKER_CONFIG",
        "DOCKER_HOST",
        "PATH",
    ];
    let variables = command
        .get_envs()
        .filter(|(name, _)| !LED.iter().any(|led| name == led))
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quote(value?))));
    let program = Path::new(command.get_program());
    // The full path of cargo or docker says nothing, that of a program of ours says which one it is.
    let program = match program.file_name() {
        Some(name) if name == "cargo" || name == "docker" => name,
        _ => program.as_os_str(),
    };
    let words = std::iter::once(program).chain(command.get_args()).map(quote);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    // Cargo separates encoded flags by a control character, which a shell can only show.
    let word = word.to_string_lossy().replace('\x1f', " ");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_commands_can_be_pasted() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command
            .args(["test", "it's here", ""])
            .env("BIFORA_ARCH", "aarch64")
            .env_remove("LD_LIBRARY_PATH");
        assert_eq!(
            display(&command),
            r"BIFORA_ARCH=aarch64 cargo test 'it'\''s here' ''"
        );
    }

    #[test]
    fn failures_name_the_command() {
        let error = read(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]))
            .expect_err("exit 3 is a failure");
        let text = format!("{error:#}");
        assert!(
            text.contains("broken") && text.contains("sh -c") && text.contains("exit status: 3"),
            "{text}"
        );
    }

    #[test]
    fn what_is_fed_arrives_and_failures_are_told() {
        feed(Command::new("grep").args(["--quiet", "secret"]), "a secret").expect("it is there");
        let error =
            feed(Command::new("sh").args(["-c", "echo refused >&2; exit 1"]), "x").expect_err("exit 1");
        assert!(format!("{error:#}").contains("refused"), "{error:#}");
    }

    #[test]
    fn what_fails_or_takes_too_long_says_so() {
        let start = Instant::now();
        let error =
            run_within(Command::new("sleep").arg("60"), Duration::from_millis(100)).expect_err("too slow");
        assert!(error.to_string().contains("took longer than"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
