//! The container engine of the local cloud: a Docker daemon of its own, apart from one that the machine may have.
//!
//! It keeps several platforms under one tag (the containerd image store), its `/etc/hosts` leads the names of the
//! registries to the local AWS, and it trusts that one's certificates: all in a mount namespace of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::daemon::Daemon;
use super::network;
use super::place::Place;
use crate::command::{self, command, find, read, succeeds};
use crate::setup::NotReady;
use crate::system::Distribution;
use crate::toolchain::version;

/// The oldest release that keeps several platforms under one tag and saves them all.
const OLDEST: &str = "26";
/// Debian's packages of such a release, each with the suite that has it, for machines with an older one. That of buildx in
/// trixie is too old for the scripts of the pipelines: it cannot give an image another tag as it is.
const PACKAGES: [(&str, &str); 4] = [
    ("docker.io", "trixie"),
    ("docker-cli", "trixie"),
    ("containerd", "trixie"),
    ("docker-buildx", "sid"),
];
/// What is left beside the unpacked packages to tell which they are.
const MARKER: &str = "packages.txt";
/// The names of the registries that are played here: the private one of the account, and the public one.
pub(crate) const REGISTRY: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
/// See [`REGISTRY`].
pub(crate) const PUBLIC_REGISTRY: &str = "public.ecr.aws";

/// The engine.
pub(crate) struct Engine<'a> {
    place: &'a Place,
}

impl<'a> Engine<'a> {
    /// The engine of this place, running or not.
    pub(crate) const fn of(place: &'a Place) -> Self {
        Self { place }
    }

    /// Whether its programs are there: the machine's own, or else unpacked ones.
    pub(crate) fn is_installed(place: &Place) -> bool {
        own_programs()
            || fs::read_to_string(place.engine().join(MARKER)).is_ok_and(|found| found == packages())
    }

    /// Downloads Debian's packages and unpacks them beside the system's, which stay as they are.
    pub(crate) fn install(place: &Place, distribution: Distribution) -> Result<()> {
        if distribution != Distribution::Debian {
            bail!(NotReady::new(&format!(
                "a container engine is unpacked on Debian only; please install Docker Engine {OLDEST} or newer with buildx \
                 (https://docs.docker.com/engine/install/), it need not run"
            )));
        }
        place.create()?;
        place.require_space(1_000_000_000)?;
        let sources = fs::read_dir("/etc/apt/sources.list.d")
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>())
            .unwrap_or_default();
        let mirror = sources
            .iter()
            .chain([&PathBuf::from("/etc/apt/sources.list")])
            .filter_map(|path| fs::read_to_string(path).ok())
            .find_map(|text| debian_mirror(&text))
            .unwrap_or_else(|| "http://deb.debian.org/debian".to_owned());
        let folder = place.root().join("engine.new");
        fs::remove_dir_all(&folder).ok();
        for inner in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join("apt").join(inner))
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let apt = folder.join("apt");
        let configuration = format!(
            "Dir::State::lists \"{0}/lists\";\nDir::Etc::sourcelist \"{0}/sources.list\";\nDir::Etc::sourceparts \"-\";\n\
             Dir::Cache \"{0}/cache\";\nAcquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n\
             Acquire::Retries \"3\";\n",
            apt.display()
        );
        let source = |suite: &str| {
            format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n")
        };
        fs::write(apt.join("apt.conf"), configuration)?;
        fs::write(
            apt.join("sources.list"),
            [source("trixie"), source("sid")].concat(),
        )?;
        let apt_get = || {
            let mut apt_get = command("apt-get");
            apt_get
                .env("APT_CONFIG", apt.join("apt.conf"))
                .current_dir(apt.join("packages"));
            apt_get
        };
        command::run(apt_get().args(["update", "--quiet=2"]))?;
        command::run(
            apt_get()
                .args(["download", "--quiet=2"])
                .args(packages().split_whitespace()),
        )?;
        let root = folder.join("root");
        for package in fs::read_dir(apt.join("packages"))?.flatten() {
            read(command("dpkg-deb").arg("-x").arg(package.path()).arg(&root))?;
        }
        fs::write(root.join(MARKER), packages()).context("cannot note what was unpacked")?;
        fs::remove_dir_all(place.engine()).ok();
        fs::rename(&root, place.engine()).context("cannot put the engine in its place")?;
        fs::remove_dir_all(&folder).context("cannot remove the packages")
    }

    /// The background process.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::of(self.place, "engine")
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&self, https_port: u16) -> Result<()> {
        self.configure()?;
        network::up(https_port, &self.place.run_file("forwarding"))?;
        let hosts = self.place.run_file("hosts");
        let configuration = self.place.run_file("engine.json");
        self.daemon().start(|daemon| {
            daemon
                .args(["unshare", "--mount", "--propagation", "slave", "sh", "-c"])
                .arg(r#"mount --bind "$0" /etc/hosts && exec dockerd --config-file "$1""#)
                .arg(&hosts)
                .arg(&configuration)
                .env("PATH", self.path())
                .env("SSL_CERT_FILE", self.place.tls().join("bundle.crt"));
        })?;
        self.daemon().wait_until(Duration::from_mins(1), || {
            succeeds(self.docker().args(["version", "--format", "{{.Server.Version}}"]))
        })
    }

    /// Ends it, and what [`network::up`] made.
    pub(crate) fn stop(&self, https_port: u16) {
        self.daemon().stop(Duration::from_secs(20));
        network::down(https_port, &self.place.run_file("forwarding"));
    }

    /// Leads the names of the registries to the local AWS, or leaves them to the internet.
    pub(crate) fn play_registries(&self, played: bool) -> Result<()> {
        let mut hosts =
            fs::read_to_string("/etc/hosts").unwrap_or_else(|_| "127.0.0.1 localhost\n".to_owned());
        if played {
            hosts = format!("{hosts}\n{} {REGISTRY} {PUBLIC_REGISTRY}\n", network::ADDRESS);
        }
        // In place: the daemon has this very file mounted.
        fs::write(self.place.run_file("hosts"), hosts).context("cannot write the engine's hosts file")
    }

    /// The client, as a person would use it.
    pub(crate) fn docker(&self) -> Command {
        let mut docker = command("docker");
        docker.envs(self.environment());
        // The program is looked up in the PATH of this process, and not in that of the command.
        let path = self.path();
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("docker"))
            .find(|path| path.is_file());
        if let Some(program) = program {
            let mut with_path = command(program);
            with_path.envs(self.environment());
            return with_path;
        }
        docker
    }

    /// The variables that lead a `docker` to this engine.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("DOCKER_HOST", self.socket().into()),
            ("DOCKER_CONFIG", self.place.run_file("docker").into()),
            ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1".into()),
            ("PATH", self.path()),
        ]
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub(crate) fn socket(&self) -> String {
        format!("unix://{}", self.place.run_file("engine.sock").display())
    }

    fn path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        if !own_programs() {
            let unpacked = ["usr/bin", "usr/sbin"].map(|folder| self.place.engine().join(folder));
            folders.splice(0..0, unpacked);
        }
        std::env::join_paths(folders).unwrap_or(path)
    }

    fn configure(&self) -> Result<()> {
        let place = self.place;
        self.play_registries(true)?;
        let configuration = serde_json::json!({
            "features": { "containerd-snapshotter": true },
            "data-root": place.data(),
            "exec-root": place.run_file("engine"),
            "pidfile": place.run_file("dockerd.pid"),
            "hosts": [self.socket()],
            "bridge": network::BRIDGE,
            // Its rules would stay behind, and those of the machine's own engine are none of ours.
            "iptables": false,
            "ip6tables": false,
            "log-opts": { "max-size": "10m", "max-file": "2" },
            "shutdown-timeout": 5,
        });
        fs::write(place.run_file("engine.json"), configuration.to_string())
            .context("cannot configure the engine")?;
        let plugins = place.run_file("docker/cli-plugins");
        fs::create_dir_all(&plugins).context("cannot configure docker")?;
        if !own_programs() {
            let plugin = "usr/libexec/docker/cli-plugins/docker-buildx";
            let link = plugins.join("docker-buildx");
            fs::remove_file(&link).ok();
            std::os::unix::fs::symlink(place.engine().join(plugin), link)
                .context("cannot configure docker")?;
        }
        Ok(())
    }
}

/// The packages as apt-get takes them.
fn packages() -> String {
    PACKAGES
        .map(|(package, suite)| format!("{package}/{suite}\n"))
        .concat()
}

/// Whether the machine has a daemon that is new enough, and a client that can build for another platform.
fn own_programs() -> bool {
    let is_new = |program: &Path| {
        read(command(program).arg("--version")).is_ok_and(|text| {
            let found = text
                .trim_start_matches("Docker version ")
                .split(',')
                .next()
                .unwrap_or_default();
            version(found) >= version(OLDEST)
        })
    };
    find(&["dockerd"]).is_some_and(|program| is_new(&program))
        && find(&["docker"]).is_some_and(|program| is_new(&program))
        && succeeds(command("docker").args(["buildx", "version"]))
}

/// The mirror of Debian in the text of one of apt's lists of sources.
fn debian_mirror(sources: &str) -> Option<String> {
    sources
        .split_whitespace()
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_machine() {
        let sources = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(
            debian_mirror(sources).as_deref(),
            Some("http://mirror.example/debian")
        );
        let sources = "deb [arch=amd64] https://mirror.example/debian/ bookworm main\n";
        assert_eq!(
            debian_mirror(sources).as_deref(),
            Some("https://mirror.example/debian/")
        );
        assert_eq!(
            debian_mirror("URIs: http://mirror.example/debian-security\n"),
            None
        );
    }
}
