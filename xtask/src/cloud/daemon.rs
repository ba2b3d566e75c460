//! Background processes of the local cloud: started apart from this program, known by a file with their process id.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::place::Place;
use crate::command::{self, command};

/// How many lines of its log are shown when a background process has ended by itself.
const TAIL: usize = 15;

/// A background process.
pub(crate) struct Daemon {
    name: &'static str,
    pid_file: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// The process of this name.
    pub(crate) fn of(place: &Place, name: &'static str) -> Self {
        Self {
            name,
            pid_file: place.run_file(&format!("{name}.pid")),
            log: place.run_file(&format!("{name}.log")),
        }
    }

    /// Its name.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Where its output goes.
    pub(crate) fn log(&self) -> &PathBuf {
        &self.log
    }

    /// Its process id, if it runs. One that was given to another process since is not taken for it.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let pid = Pid::from_raw(pid.parse().ok()?)?;
        (start_time(pid).as_deref() == Some(started)).then_some(pid)
    }

    /// Starts `words` in a session of its own, so that it outlives this program and its terminal.
    pub(crate) fn start(&self, prepare: impl FnOnce(&mut Command)) -> Result<()> {
        let log = File::create(&self.log).with_context(|| format!("cannot create {}", self.log.display()))?;
        let mut shell = command("setsid");
        // The first process in between ends at once, so that the daemon is no child of ours: it is ended in order.
        shell
            .args(["--fork", "sh", "-c", r#"echo $$ > "$0.new"; exec "$@""#])
            .arg(&self.pid_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        prepare(&mut shell);
        let status = command::start(&mut shell)?.wait()?;
        command::check(&shell, status)?;
        let new = PathBuf::from(format!("{}.new", self.pid_file.display()));
        let start = Instant::now();
        loop {
            let pid = fs::read_to_string(&new).unwrap_or_default();
            if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
                let started = start_time(pid).unwrap_or_default();
                fs::write(&self.pid_file, format!("{pid} {started}\n"))
                    .and_then(|()| fs::remove_file(&new))
                    .with_context(|| format!("cannot write {}", self.pid_file.display()))?;
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(10) {
                bail!("{} did not start", self.name);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until `is_ready`, and fails with the end of the log when the process ends before.
    pub(crate) fn wait_until(&self, limit: Duration, mut is_ready: impl FnMut() -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_ready() {
            crate::interrupt::hold_if_pending();
            if self.pid().is_none() {
                bail!("{} has ended:\n{}", self.name, self.tail());
            }
            if start.elapsed() > limit {
                bail!(
                    "{} is not ready after {} seconds:\n{}",
                    self.name,
                    limit.as_secs(),
                    self.tail()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The last lines of its log, indented.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<_> = File::open(&self.log)
            .map(|file| BufReader::new(file).lines().map_while(io::Result::ok).collect())
            .unwrap_or_default();
        let from = lines.len().saturating_sub(TAIL);
        let lines: Vec<_> = lines[from..].iter().map(|line| format!("    {line}")).collect();
        format!("{}\n    ({})", lines.join("\n"), self.log.display())
    }

    /// Ends it: asked first, killed after `patience`.
    pub(crate) fn stop(&self, patience: Duration) {
        let signal = |signal| self.pid().map(|pid| kill_process(pid, signal));
        signal(Signal::TERM);
        let start = Instant::now();
        while self.pid().is_some() && start.elapsed() < patience {
            thread::sleep(Duration::from_millis(20));
        }
        signal(Signal::KILL);
        fs::remove_file(&self.pid_file).ok();
    }
}

/// When a process was started, in ticks since the machine was; none if it is gone or a zombie.
fn start_time(pid: Pid) -> Option<String> {
    test_kill_process(pid).ok()?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    // The third field of the file is the first here, and the twenty-second is the time.
    (*fields.first()? != "Z").then(|| fields.get(19).map(|&ticks| ticks.to_owned()))?
}
