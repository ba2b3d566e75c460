//! The image that the Dockerfile builds in: the real one, and where its registry cannot be reached a stand-in.
//!
//! The stand-in is Debian with its Rust compiler for both architectures, under the name that the Dockerfile asks for, so
//! that the Dockerfile needs no change. It exists in the engine of the local cloud alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::engine::Engine;
use super::place::Place;
use crate::arch::Arch;
use crate::command::{self, command, read, run_within, succeeds};
use crate::terminal;
use crate::workspace::Workspace;

/// Asking a registry that cannot be reached takes long where packets vanish; a download takes its time.
const REACH_LIMIT: Duration = Duration::from_secs(8);
const PULL_LIMIT: Duration = Duration::from_mins(5);
/// Tells a stand-in from the image that it stands in for.
const LABEL: &str = "bifora.stand-in";
/// Debian's packages for compiling: the compiler, both libraries, both linkers.
const DEBIAN_RELEASE: &str = "bookworm";

/// The name of the image, from the Dockerfile.
pub(crate) fn name(workspace: &Workspace) -> Result<String> {
    let dockerfile =
        fs::read_to_string(workspace.root.join("Dockerfile")).context("cannot read the Dockerfile")?;
    dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ARG RUST_IMAGE="))
        .map(str::to_owned)
        .context("the Dockerfile has no line `ARG RUST_IMAGE=…`")
}

/// Sees to it that the image is there. Says what it is.
pub(crate) fn ensure(workspace: &Workspace, place: &Place, engine: &Engine) -> Result<&'static str> {
    let name = name(workspace)?;
    let inspect = || {
        let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
        read(
            engine
                .docker()
                .args(["image", "inspect", "--format", &format, &name]),
        )
        .ok()
    };
    let describe = |label: String| {
        if label.trim() == "true" {
            "stand-in"
        } else {
            "original"
        }
    };
    if let Some(label) = inspect() {
        return Ok(describe(label));
    }
    engine.play_registries(false)?;
    let pulled =
        reachable(&name) && run_within(engine.docker().args(["pull", "--quiet", &name]), PULL_LIMIT).is_ok();
    engine.play_registries(true)?;
    if !pulled {
        println!(
            "{} {name} cannot be pulled; a stand-in is made of Debian's packages",
            terminal::yellow("offline:")
        );
        make(place, engine, &name)?;
    }
    inspect()
        .map(describe)
        .context("the image to build in is not there after all")
}

/// Whether the registry in the name of an image answers at all.
fn reachable(name: &str) -> bool {
    let registry = name.split('/').next().unwrap_or_default();
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(REACH_LIMIT))
        .http_status_as_error(false)
        .build()
        .new_agent();
    // Without TLS, which this program does not speak: a registry answers that with a redirection.
    agent.get(format!("http://{registry}/v2/")).call().is_ok()
}

fn make(place: &Place, engine: &Engine, name: &str) -> Result<()> {
    place.require_space(5_000_000_000)?;
    let (host, foreign) = (Arch::host()?, Arch::foreign()?);
    let archive = place.root().join("base-new.tar");
    let sources = place.root().join("base-new.list");
    fs::write(&sources, sources_of_debian())?;
    let mut packages = vec![
        "ca-certificates".to_owned(),
        "cargo-web".to_owned(),
        "gcc".to_owned(),
        "libc6-dev".to_owned(),
        "rustc-web".to_owned(),
        format!("libstd-rust-web-dev:{}", foreign.debian()),
    ];
    packages.extend(
        foreign
            .cross_gcc_packages()
            .iter()
            .map(|&package| package.to_owned()),
    );
    let mut debootstrap = command("mmdebstrap");
    debootstrap
        .args(["--quiet", "--mode=root", "--variant=apt", "--skip=check/qemu"])
        .arg(format!("--architectures={},{}", host.debian(), foreign.debian()))
        .arg(r#"--aptopt=APT::Install-Recommends "false""#)
        .arg(r#"--aptopt=Acquire::Retries "3""#)
        // Its usual user may not look into the folder of the cache.
        .arg(r#"--aptopt=APT::Sandbox::User "root""#)
        .args(["doc", "man", "locale"].map(|folder| format!("--dpkgopt=path-exclude=/usr/share/{folder}/*")))
        .arg(format!("--include={}", packages.join(",")))
        // The authorities that this machine trusts, or crates could not be fetched through its proxy.
        .arg(r#"--customize-hook=cat /etc/ssl/certs/ca-certificates.crt > "$1/etc/ssl/certs/ca-certificates.crt""#)
        .arg(r#"--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/archives/*.deb"#)
        .arg(DEBIAN_RELEASE)
        .arg(&archive)
        .arg(&sources)
        .env("TMPDIR", place.root());
    let made = command::run(&mut debootstrap).and_then(|()| {
        command::run(
            engine
                .docker()
                .args(["import", "--platform", &format!("linux/{}", host.debian())])
                .args(["--change", &format!("LABEL {LABEL}=true")])
                .arg(&archive)
                .arg(name),
        )
    });
    for file in [&archive, &sources] {
        fs::remove_file(file).ok();
    }
    made
}

/// The machine's own sources of Debian's packages, in apt's one-line form; Debian's own where it has none.
fn sources_of_debian() -> String {
    let text = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let lines = one_line_sources(&text);
    if lines.contains(&format!(" {DEBIAN_RELEASE} ")) {
        return lines;
    }
    let mirror = "http://deb.debian.org";
    format!(
        "deb {mirror}/debian {DEBIAN_RELEASE} main\ndeb {mirror}/debian {DEBIAN_RELEASE}-updates main\n\
         deb {mirror}/debian-security {DEBIAN_RELEASE}-security main\n"
    )
}

/// The stanzas of a `.sources` file, each as one line for each suite.
fn one_line_sources(stanzas: &str) -> String {
    let mut lines = Vec::new();
    for stanza in stanzas.split("\n\n") {
        let field = |name: &str| {
            let value = stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        for uri in field("URIs").split_whitespace() {
            for suite in field("Suites").split_whitespace() {
                lines.push(format!("deb {uri} {suite} main\n"));
            }
        }
    }
    lines.concat()
}

/// Whether `mmdebstrap` and the keys of Debian's archive are there.
pub(crate) fn can_make() -> bool {
    succeeds(command("mmdebstrap").arg("--version"))
        && Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").is_file()
}

#[cfg(test)]
mod tests {
    use super::one_line_sources;

    #[test]
    fn sources_become_lines() {
        let stanzas = "Types: deb\n# a comment\nURIs: http://a/debian\nSuites: bookworm bookworm-updates\n\n\
                       Types: deb\nURIs: http://a/debian-security\nSuites: bookworm-security\n";
        assert_eq!(
            one_line_sources(stanzas),
            "deb http://a/debian bookworm main\ndeb http://a/debian bookworm-updates main\n\
             deb http://a/debian-security bookworm-security main\n"
        );
    }
}
