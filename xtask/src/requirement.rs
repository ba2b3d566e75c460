//! What a developer's machine needs: how to see whether it is there, why it is needed, and what brings it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io::Write};

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::command::{command, find, read, succeeds};
use crate::toolchain::{Toolchain, version};
use crate::workspace::Workspace;
use crate::{cloud, python};

/// The release of cargo-deny that is installed, and the oldest that is accepted if there is one already: the format
/// of `deny.toml` changes between releases.
pub(crate) const CARGO_DENY: &str = "0.20.2";

/// The Node.js that is installed for this repository where the distribution's is too old: a release with long support.
pub(crate) const NODE: &str = "22.23.3";

/// Something that has to be on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Requirement {
    /// git.
    Git,
    /// A C compiler that links static binaries for this machine.
    Linker,
    /// The same for the foreign architecture.
    CrossLinker,
    /// One Rust compiler with the standard libraries of both architectures.
    StandardLibrary,
    /// The emulator that runs the foreign binary.
    Emulator,
    /// cargo fmt.
    Rustfmt,
    /// cargo clippy.
    Clippy,
    /// cargo deny.
    CargoDeny,
    /// Node.js.
    Node,
    /// npm.
    Npm,
    /// The packages of the browser tests.
    BrowserPackages,
    /// A browser.
    Chromium,
    /// The load generator.
    Wrk,
    /// What the container engine starts containers with.
    Runc,
    /// The firewall's command.
    Iptables,
    /// The network's command.
    Iproute,
    /// What registers the emulator with the kernel.
    Binfmt,
    /// What makes a root file system of Debian's packages.
    Mmdebstrap,
    /// The load balancer.
    Haproxy,
    /// Python with virtual environments.
    Python,
    /// The container engine.
    Engine,
    /// The Python packages of the local AWS.
    LocalAws,
    /// The linters of templates, Dockerfile and Python.
    Linters,
    /// The linter of shell scripts.
    Shellcheck,
    /// The client that the pipelines' scripts ask with.
    Curl,
    /// What they read JSON with.
    Jq,
    /// What signs the token of a rehearsal.
    Openssl,
}

/// What makes a requirement met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Packages of the distribution.
    Packages(&'static [&'static str]),
    /// A component of the active toolchain.
    RustupComponent(&'static str),
    /// The standard library of this architecture: from rustup, else from the distribution.
    StandardLibrary(Arch),
    /// Node.js from the distribution, and if that is too old from npm.
    Node,
    /// cargo-deny, compiled from crates.io.
    CargoDeny,
    /// `npm ci`.
    BrowserPackages,
    /// Debian's packages, unpacked.
    Engine,
    /// Python packages in a folder of their own.
    LocalAws,
    /// The same.
    Linters,
}

impl Remedy {
    /// The remedy in a few words, for the list of what is missing.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Packages(packages) => format!("packages {}", packages.join(" ")),
            Self::RustupComponent(component) => format!("rustup component add {component}"),
            Self::StandardLibrary(arch) => format!(
                "rustup target add {}, or else packages rustc-web libstd-rust-web-dev:{}",
                arch.triple(),
                arch.debian()
            ),
            Self::Node => {
                format!("package nodejs, and if that is too old Node.js {NODE} from npm into target/tools")
            }
            Self::CargoDeny => format!("cargo install cargo-deny@{CARGO_DENY} into target/tools (a minute)"),
            Self::BrowserPackages => "npm ci in tests/browser".to_owned(),
            Self::Engine => "Docker 26 from Debian's packages, unpacked into the cache (400 MB)".to_owned(),
            Self::LocalAws => "pip install of local-cloud/requirements.txt into the cache".to_owned(),
            Self::Linters => "pip install of infra/requirements.txt into target/tools".to_owned(),
        }
    }
}

impl Requirement {
    /// What it is called in the list of what is missing.
    pub(crate) fn name(self) -> Result<String> {
        let foreign = Arch::foreign()?.name();
        Ok(match self {
            Self::Git => "git".to_owned(),
            Self::Linker => "C compiler and static C library".to_owned(),
            Self::CrossLinker => format!("C compiler and C library for {foreign}"),
            Self::StandardLibrary => format!("Rust standard library for {foreign}"),
            Self::Emulator => format!("emulator of {foreign}"),
            Self::Rustfmt => "rustfmt".to_owned(),
            Self::Clippy => "clippy".to_owned(),
            Self::CargoDeny => format!("cargo-deny {CARGO_DENY} or newer"),
            Self::Node => "Node.js, as new as tests/browser/package.json asks for".to_owned(),
            Self::Npm => "npm".to_owned(),
            Self::BrowserPackages => "packages of the browser tests".to_owned(),
            Self::Chromium => "Chromium".to_owned(),
            Self::Wrk => "wrk".to_owned(),
            Self::Runc => "runc".to_owned(),
            Self::Iptables => "iptables".to_owned(),
            Self::Iproute => "ip".to_owned(),
            Self::Binfmt => "update-binfmts".to_owned(),
            Self::Mmdebstrap => "mmdebstrap and the keys of Debian's archive".to_owned(),
            Self::Haproxy => "haproxy".to_owned(),
            Self::Python => "Python 3 with venv".to_owned(),
            Self::Engine => "container engine".to_owned(),
            Self::LocalAws => "local AWS and its command line".to_owned(),
            Self::Linters => "cfn-lint, checkov, hadolint and ruff".to_owned(),
            Self::Shellcheck => "shellcheck".to_owned(),
            Self::Curl => "curl".to_owned(),
            Self::Jq => "jq".to_owned(),
            Self::Openssl => "openssl".to_owned(),
        })
    }

    /// Why it is needed, as the rest of a sentence that begins with its name.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Git => "tells the build its commit, and fetches the advisories about dependencies",
            Self::Linker => "links the static binary of this machine's architecture",
            Self::CrossLinker => "links the static binary of the other architecture",
            Self::StandardLibrary => {
                "both binaries must come from one compiler that knows both architectures"
            }
            Self::Emulator => "runs the binary of the other architecture in the tests",
            Self::Rustfmt => "checks the formatting",
            Self::Clippy => "checks the lints",
            Self::CargoDeny => "checks licences, sources and advisories of the dependencies",
            Self::Node => "runs the browser tests",
            Self::Npm => "installs what the browser tests are written with",
            Self::BrowserPackages => "drive the browser",
            Self::Chromium => "is the browser of the browser tests",
            Self::Wrk => "generates the load of the benchmark",
            Self::Runc => "starts containers",
            Self::Iptables => "lets containers reach the internet",
            Self::Iproute => "makes the network of the containers",
            Self::Binfmt => "lets the kernel start programs of the other architecture in containers",
            Self::Mmdebstrap => "makes the image to build in where its registry cannot be reached",
            Self::Haproxy => "is the load balancer of the local cloud and of the browser tests",
            Self::Python => "runs the local AWS and the linters",
            Self::Engine => "builds images and runs them",
            Self::LocalAws => "stands in for the account",
            Self::Linters => "check templates, Dockerfile and Python",
            Self::Shellcheck => "checks shell scripts",
            Self::Curl => "is what the pipelines' scripts ask with",
            Self::Jq => "is what the pipelines' scripts read JSON with",
            Self::Openssl => "signs the token of a rehearsal",
        }
    }

    /// What brings it.
    pub(crate) fn remedy(self) -> Result<Remedy> {
        Ok(match self {
            Self::Git => Remedy::Packages(&["git"]),
            Self::Linker => Remedy::Packages(&["gcc", "libc6-dev"]),
            Self::CrossLinker => Remedy::Packages(Arch::foreign()?.cross_gcc_packages()),
            Self::StandardLibrary => Remedy::StandardLibrary(Arch::foreign()?),
            Self::Emulator => Remedy::Packages(&["qemu-user-static"]),
            Self::Rustfmt => Remedy::RustupComponent("rustfmt"),
            Self::Clippy => Remedy::RustupComponent("clippy"),
            Self::CargoDeny => Remedy::CargoDeny,
            Self::Node => Remedy::Node,
            Self::Npm => Remedy::Packages(&["npm"]),
            Self::BrowserPackages => Remedy::BrowserPackages,
            Self::Chromium => Remedy::Packages(&["chromium"]),
            Self::Wrk => Remedy::Packages(&["wrk"]),
            Self::Runc => Remedy::Packages(&["runc"]),
            Self::Iptables => Remedy::Packages(&["iptables"]),
            Self::Iproute => Remedy::Packages(&["iproute2"]),
            Self::Binfmt => Remedy::Packages(&["binfmt-support"]),
            Self::Mmdebstrap => Remedy::Packages(&["mmdebstrap", "debian-archive-keyring"]),
            Self::Haproxy => Remedy::Packages(&["haproxy"]),
            Self::Python => Remedy::Packages(&["python3", "python3-venv"]),
            Self::Engine => Remedy::Engine,
            Self::LocalAws => Remedy::LocalAws,
            Self::Linters => Remedy::Linters,
            Self::Shellcheck => Remedy::Packages(&["shellcheck"]),
            Self::Curl => Remedy::Packages(&["curl"]),
            Self::Jq => Remedy::Packages(&["jq"]),
            Self::Openssl => Remedy::Packages(&["openssl"]),
        })
    }

    /// Looks whether it is there. Each look takes well below a second.
    pub(crate) fn is_met(self, workspace: &Workspace) -> Result<bool> {
        Ok(match self {
            Self::Git => find(&["git"]).is_some(),
            Self::Linker => links_statically("cc"),
            Self::CrossLinker => links_statically(Arch::foreign()?.cross_gcc()),
            Self::StandardLibrary => Toolchain::find(workspace, &Arch::ALL).is_some(),
            Self::Emulator => emulator()?.is_some(),
            Self::Rustfmt => succeeds(
                command("cargo")
                    .args(["fmt", "--version"])
                    .current_dir(&workspace.root),
            ),
            Self::Clippy => succeeds(
                command("cargo")
                    .args(["clippy", "--version"])
                    .current_dir(&workspace.root),
            ),
            Self::CargoDeny => cargo_deny(workspace).is_some(),
            Self::Node => node(workspace)?.is_some(),
            Self::Npm => find(&["npm"]).is_some(),
            Self::BrowserPackages => packages_are_current(&workspace.browser_tests()),
            Self::Chromium => chromium().is_some(),
            Self::Wrk => find(&["wrk"]).is_some(),
            Self::Runc => find(&["runc"]).is_some(),
            Self::Iptables => find(&["iptables"]).is_some(),
            Self::Iproute => find(&["ip"]).is_some(),
            Self::Binfmt => find(&["update-binfmts"]).is_some(),
            Self::Mmdebstrap => cloud::can_make_base_image(),
            Self::Haproxy => haproxy().is_some(),
            Self::Python => python::makes_environments(),
            Self::Engine => cloud::Engine::is_installed(&cloud::Place::find()?),
            Self::LocalAws => cloud::LocalAws::is_installed(&cloud::Place::find()?, workspace),
            Self::Shellcheck => find(&["shellcheck"]).is_some(),
            Self::Curl => find(&["curl"]).is_some(),
            Self::Jq => find(&["jq"]).is_some(),
            Self::Openssl => find(&["openssl"]).is_some(),
            Self::Linters => python::is_installed(&linters(workspace), &linters_list(workspace)),
        })
    }
}

/// The emulator of the foreign architecture.
pub(crate) fn emulator() -> Result<Option<PathBuf>> {
    Ok(find(&Arch::foreign()?.emulators()))
}

/// The browser: the one in `BIFORA_CHROMIUM` if that is set, else the one that is installed.
pub(crate) fn chromium() -> Option<PathBuf> {
    match std::env::var_os("BIFORA_CHROMIUM") {
        Some(chosen) => Some(PathBuf::from(chosen)).filter(|path| path.is_file()),
        None => find(&["chromium", "chromium-browser", "google-chrome"]),
    }
}

/// The load balancer. Debian installs it where only root's `PATH` leads.
pub(crate) fn haproxy() -> Option<PathBuf> {
    find(&["haproxy"]).or_else(|| Some(PathBuf::from("/usr/sbin/haproxy")).filter(|path| path.is_file()))
}

/// A cargo-deny that is new enough: the developer's own, else the one that was installed for this repository.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Option<PathBuf> {
    let own = workspace.tools().join("bin/cargo-deny");
    [find(&["cargo-deny"]), Some(own)]
        .into_iter()
        .flatten()
        .find(|program| {
            read(command(program).arg("--version"))
                .is_ok_and(|text| is_at_least(text.trim().trim_start_matches("cargo-deny "), CARGO_DENY))
        })
}

/// A Node.js that is as new as the browser tests want it: the developer's own, else the one that was installed for this
/// repository.
pub(crate) fn node(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let manifest = fs::read_to_string(workspace.browser_tests().join("package.json")).unwrap_or_default();
    let oldest = oldest_node(&manifest);
    let own = workspace
        .tools()
        .join("node_modules")
        .join(Arch::host()?.node_package())
        .join("bin/node");
    Ok([find(&["node"]), Some(own)]
        .into_iter()
        .flatten()
        .find(|program| {
            read(command(program).arg("--version")).is_ok_and(|text| is_at_least(&text, &oldest))
        }))
}

/// Where the linters are installed.
pub(crate) fn linters(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("python")
}

/// What is installed there.
pub(crate) fn linters_list(workspace: &Workspace) -> PathBuf {
    workspace.root.join("infra/requirements.txt")
}

/// A command of npm that runs on, and runs, the right Node.js.
pub(crate) fn npm(workspace: &Workspace) -> Result<Command> {
    let node = node(workspace)?.context("Node.js is missing or too old")?;
    let folder = node.parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut npm = command("npm");
    if find(&["node"]).as_deref() != Some(&node) {
        npm.env(
            "PATH",
            std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&path)))?,
        );
    }
    Ok(npm)
}

/// The release that a `package.json` asks for in `engines`, which has to be of the form `>=20.10`.
fn oldest_node(manifest: &str) -> String {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
    let engine = manifest["engines"]["node"].as_str().unwrap_or_default();
    engine.trim_start_matches(['>', '=', ' ']).to_owned()
}

fn is_at_least(found: &str, oldest: &str) -> bool {
    version(found) >= version(oldest)
}

/// Whether this C compiler links a static program. Tried out, because a compiler without its C library, or with only
/// the shared one, is common and fails after minutes, at the end of a build.
fn links_statically(compiler: &str) -> bool {
    let mut linker = Command::new(compiler);
    linker
        .args(["-static", "-x", "c", "-", "-o", "/dev/null"])
        .stdin(Stdio::piped());
    let Ok(mut child) = linker.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    if let Some(mut source) = child.stdin.take() {
        // If it cannot be written the compiler has ended, and its status says why.
        source.write_all(b"int main(void) { return 0; }\n").ok();
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Whether `npm ci` has run since the lock file was last changed. npm leaves a copy of the lock file when it is done.
fn packages_are_current(folder: &Path) -> bool {
    let modified = |path: &str| fs::metadata(folder.join(path)).and_then(|metadata| metadata.modified());
    match (
        modified("package-lock.json"),
        modified("node_modules/.package-lock.json"),
    ) {
        (Ok(wanted), Ok(installed)) => installed >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_programs_are_compared() {
        assert!(is_at_least("v20.20.2\n", "18"));
        assert!(!is_at_least("v16.1.0\n", "18"));
        assert!(is_at_least("0.100.0", "0.20.2"));
        assert!(!is_at_least("", "18"));
    }

    #[test]
    fn the_oldest_node_is_what_the_tests_ask_for() {
        assert_eq!(oldest_node(r#"{ "engines": { "node": ">=20.10" } }"#), "20.10");
        assert_eq!(oldest_node("{}"), "", "any will do");
    }

    #[test]
    fn a_compiler_that_is_not_there_does_not_link() {
        assert!(!links_statically("no-such-compiler"));
    }

    #[test]
    fn packages_are_stale_when_the_lock_file_is_newer() {
        let folder = std::env::temp_dir().join(format!("bifora-xtask-{}", std::process::id()));
        fs::create_dir_all(folder.join("node_modules")).expect("the temporary folder is writable");
        let lock = folder.join("package-lock.json");
        fs::write(&lock, "{}").expect("writable");
        assert!(!packages_are_current(&folder), "never installed");
        fs::write(folder.join("node_modules/.package-lock.json"), "{}").expect("writable");
        assert!(packages_are_current(&folder), "just installed");
        let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
        fs::File::options()
            .write(true)
            .open(&lock)
            .and_then(|file| file.set_modified(later))
            .expect("writable");
        assert!(!packages_are_current(&folder), "changed since");
        fs::remove_dir_all(folder).expect("removable");
    }
}
