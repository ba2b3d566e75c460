//! A machine for the steps of a pipeline: this one, with names, clients and variables that lead to the local cloud.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::stand_ins::ENVIRONMENT;
use crate::cloud::Session;
use crate::command::{self, command};
use crate::workspace::Workspace;

/// How many lines of a command that failed are told: the report of the gate fits.
const TAIL: usize = 80;

/// What a step of a pipeline did.
pub(super) struct Done {
    /// Its exit code; 128 + n if a signal ended it.
    pub(super) code: i32,
    /// The end of what it wrote.
    pub(super) tail: String,
}

/// The machine.
pub(super) struct Host {
    hosts: PathBuf,
    certificates: PathBuf,
    environment: BTreeMap<OsString, OsString>,
}

impl Host {
    /// A machine whose own files, such as its home, are in `folder`.
    pub(super) fn new(workspace: &Workspace, session: &Session, folder: &Path) -> Result<Self> {
        let (home, docker) = (folder.join("home"), folder.join("docker"));
        for folder in [&home, &docker] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let mut environment: BTreeMap<OsString, OsString> = session
            .environment(workspace)?
            .into_iter()
            .filter(|(name, _)| !name.starts_with("BIFORA_"))
            .map(|(name, value)| (name.into(), value))
            .collect();
        // A client of its own, logged in nowhere, with the plugins of the engine's.
        if let Some(own) = environment.insert("DOCKER_CONFIG".into(), docker.clone().into()) {
            let plugins = Path::new(&own).join("cli-plugins");
            std::os::unix::fs::symlink(plugins, docker.join("cli-plugins")).ok();
        }
        let path = environment
            .remove(std::ffi::OsStr::new("PATH"))
            .unwrap_or_default();
        let aws = session.aws_folder();
        let path = [aws].into_iter().chain(std::env::split_paths(&path));
        environment.insert("PATH".into(), std::env::join_paths(path)?);
        // The machine's own Rust is found by its user's home, which is another one here.
        if let Some(user) = std::env::home_dir() {
            for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                let value = std::env::var_os(name).unwrap_or_else(|| user.join(folder).into());
                environment.insert(name.into(), value);
            }
        }
        environment.insert("HOME".into(), home.into());
        environment.insert("LANG".into(), "C.UTF-8".into());
        environment.insert("SSL_CERT_FILE".into(), session.certificates().into());
        for (name, value, _) in ENVIRONMENT {
            environment.insert(name.into(), value.into());
        }
        Ok(Self {
            hosts: session.hosts(),
            certificates: session.certificates(),
            environment,
        })
    }

    /// Takes a variable away from everything that runs here.
    pub(super) fn forget(&mut self, name: &str) {
        self.environment.remove(std::ffi::OsStr::new(name));
    }

    /// Runs a script as its pipeline would: by `shell`, in `directory`, with these variables and none of a person's own.
    pub(super) fn run(
        &self,
        shell: &[&str],
        script: &str,
        directory: &Path,
        variables: &BTreeMap<String, String>,
        log: &Path,
    ) -> Result<Done> {
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let before = output.metadata()?.len();
        let mut step: Command = command("unshare");
        step.args(["--mount", "--propagation", "slave", "sh", "-c"])
            .arg(r#"mount --bind "$0" /etc/hosts && exec "$@""#)
            .arg(&self.hosts)
            .args(shell)
            .arg(script)
            .env_clear()
            .envs(&self.environment)
            .envs(variables)
            .env("AWS_CA_BUNDLE", &self.certificates)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let status = command::start(&mut step)?.wait()?;
        crate::interrupt::hold_if_pending();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default();
        let text = fs::read(log).unwrap_or_default();
        let written = text
            .get(usize::try_from(before).unwrap_or_default()..)
            .unwrap_or_default();
        let written = String::from_utf8_lossy(written);
        let lines: Vec<_> = written.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        Ok(Done {
            code: status.code().unwrap_or(128 + signal),
            tail,
        })
    }
}

/// Copies a file or a folder into a folder, as it is.
pub(super) fn copy_into(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    command::read(command("cp").arg("--archive").arg(from).arg(to)).map(drop)
}
