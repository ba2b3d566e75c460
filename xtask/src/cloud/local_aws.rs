//! The local AWS: an emulator with what it lacks filled in, and a real proxy as its load balancer (`local-cloud/`).

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Ports;
use super::daemon::Daemon;
use super::engine::Engine;
use super::network;
use super::place::Place;
use crate::command::{self, command};
use crate::python;
use crate::workspace::Workspace;

/// The region that is played. The account is 000000000000, as the name of the registry says.
pub(crate) const REGION: &str = "us-east-1";

/// The local AWS.
pub(crate) struct LocalAws<'a> {
    place: &'a Place,
    workspace: &'a Workspace,
}

impl<'a> LocalAws<'a> {
    /// The local AWS of this place, running or not.
    pub(crate) const fn of(place: &'a Place, workspace: &'a Workspace) -> Self {
        Self { place, workspace }
    }

    fn requirements(workspace: &Workspace) -> PathBuf {
        workspace.root.join("local-cloud/requirements.txt")
    }

    /// Whether its Python packages are there, in the releases that this checkout wants.
    pub(crate) fn is_installed(place: &Place, workspace: &Workspace) -> bool {
        python::is_installed(&place.python(), &Self::requirements(workspace))
    }

    /// Installs its Python packages into a folder of their own.
    pub(crate) fn install(place: &Place, workspace: &Workspace) -> Result<()> {
        place.create()?;
        place.require_space(700_000_000)?;
        python::install(&place.python(), &Self::requirements(workspace))
    }

    /// The background process.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::of(self.place, "aws")
    }

    /// Makes the certificates of the registries, unless there are good ones. Before the engine starts, which trusts them.
    pub(crate) fn certificates(&self) -> Result<()> {
        command::read(self.python().arg("certificates").arg(self.place.tls())).map(drop)
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self, ports: Ports, engine: &Engine) -> Result<()> {
        let folder = self.place.run_file("aws");
        fs::create_dir_all(&folder).context("cannot create the folder of the local AWS")?;
        let python = self.python();
        self.daemon().start(|daemon| {
            daemon
                .arg(python.get_program())
                .args(python.get_args())
                .arg("serve")
                .arg("--run")
                .arg(&folder)
                .arg("--tls")
                .arg(self.place.tls())
                .args(["--http-port", &ports.http.to_string()])
                .args(["--https-port", &ports.https.to_string()])
                .args(["--bind", "127.0.0.1", "--bridge-address", network::ADDRESS])
                .args(["--docker-host", &engine.socket()])
                .envs(python.get_envs().filter_map(|(name, value)| Some((name, value?))))
                .envs(Self::environment(ports));
        })?;
        let health = format!("http://127.0.0.1:{}/_ministack/health", ports.http);
        self.daemon()
            .wait_until(Duration::from_mins(1), || ureq::get(&health).call().is_ok())
    }

    /// A command of the AWS command line, as it is typed in the account, that talks to this one.
    pub(crate) fn aws(&self, ports: Ports) -> Command {
        let mut aws = command(self.place.python().join("bin/aws"));
        aws.envs(Self::environment(ports))
            .current_dir(&self.workspace.root);
        aws
    }

    /// The variables that lead AWS clients to it.
    pub(crate) fn environment(ports: Ports) -> Vec<(&'static str, OsString)> {
        vec![
            (
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", ports.http).into(),
            ),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            // A pager would wait for somebody, and settings of a person's own accounts have no place here.
            ("AWS_PAGER", "".into()),
            ("AWS_CONFIG_FILE", "/dev/null".into()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
            ("AWS_MAX_ATTEMPTS", "2".into()),
        ]
    }

    fn python(&self) -> Command {
        let mut python = command(self.place.python().join("bin/python3"));
        python
            .args(["-m", "emulator"])
            .env("PYTHONPATH", self.workspace.root.join("local-cloud"))
            // Nothing is left in the checkout, and lines arrive in the log when they are written.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1");
        python
    }
}
