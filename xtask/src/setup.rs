//! `cargo xtask setup`: lists everything that is missing, asks once, and installs it.

mod packages;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::arch::Arch;
use crate::cloud::{self, Engine, LocalAws, Place};
use crate::command::{self, cargo, command, find, run_within};
use crate::python;
use crate::rehearse;
use crate::requirement::{self, CARGO_DENY, NODE, Remedy, Requirement};
use crate::system::Distribution;
use crate::terminal;
use crate::workspace::Workspace;

use packages::Packages;

/// rustup retries for a long time where its server cannot be reached, and there is another way.
const RUSTUP_LIMIT: Duration = Duration::from_mins(4);

/// Check what is needed on this machine and install what is missing
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only what this command needs, instead of everything
    #[arg(long = "for", value_name = "COMMAND")]
    purpose: Option<Purpose>,
    #[command(flatten)]
    consent: Consent,
}

/// A command whose requirements are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// `cargo xtask build` of both architectures
    Build,
    /// `cargo xtask test`
    Test,
    /// `cargo xtask bench`
    Bench,
    /// `cargo xtask image`, where the machine has no container engine of its own
    Image,
    /// `cargo xtask cloud`
    Cloud,
    /// `cargo xtask rehearse`
    Rehearse,
}

impl Purpose {
    /// What the whole command needs.
    pub(crate) const fn requirements(self) -> &'static [Requirement] {
        use Requirement as R;
        match self {
            Self::Build => &[R::Git, R::Linker, R::CrossLinker, R::StandardLibrary],
            Self::Test => &[
                R::Git,
                R::Linker,
                R::CrossLinker,
                R::StandardLibrary,
                R::Emulator,
                R::Rustfmt,
                R::Clippy,
                R::CargoDeny,
                R::Node,
                R::Npm,
                R::BrowserPackages,
                R::Chromium,
                R::Runc,
                R::Iptables,
                R::Iproute,
                R::Binfmt,
                R::Mmdebstrap,
                R::Haproxy,
                R::Python,
                R::Engine,
                R::LocalAws,
                R::Linters,
                R::Shellcheck,
                R::Curl,
                R::Jq,
                R::Openssl,
            ],
            Self::Bench => &[R::Git, R::Linker, R::Wrk],
            Self::Image => &cloud::ENGINE_REQUIREMENTS,
            Self::Cloud => &cloud::REQUIREMENTS,
            Self::Rehearse => &rehearse::REQUIREMENTS,
        }
    }
}

/// Whether missing things may be installed.
#[derive(Args, Clone, Copy)]
pub(crate) struct Consent {
    /// Install what is missing without asking; `CI=true` in the environment does the same
    #[arg(short = 'y', long = "yes")]
    given: bool,
}

impl Consent {
    /// From the flag or the environment, else from a person.
    fn obtain(self) -> io::Result<Answer> {
        if self.given || is_ci() {
            return Ok(Answer::Yes);
        }
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(Answer::NobodyThere);
        }
        print!("Install this now? [y/N] ");
        io::stdout().flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
            Answer::Yes
        } else {
            Answer::No
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    NobodyThere,
}

/// Whether this runs unattended, in a pipeline.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Something is missing, and it was not to be installed. Exit code 2.
#[derive(Debug)]
pub(crate) struct NotReady(String);

impl NotReady {
    /// With the reason.
    pub(crate) fn new(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for NotReady {}

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let purposes = arguments
        .purpose
        .as_ref()
        .map_or(Purpose::value_variants(), std::slice::from_ref);
    let requirements: BTreeSet<_> = purposes
        .iter()
        .flat_map(|purpose| purpose.requirements())
        .copied()
        .collect();
    ensure(workspace, requirements, arguments.consent)?;
    println!("Everything that is needed is there.");
    Ok(())
}

/// Sees to it that `requirements` are met. Prints nothing if they are.
pub(crate) fn ensure(
    workspace: &Workspace,
    requirements: impl IntoIterator<Item = Requirement>,
    consent: Consent,
) -> Result<()> {
    let requirements: Vec<_> = requirements.into_iter().collect();
    let missing = missing(workspace, &requirements)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!("{}", terminal::bold("Missing on this machine:"));
    for requirement in &missing {
        println!(
            "  {} {}",
            terminal::bold(&requirement.name()?),
            requirement.reason()
        );
        println!("      {}", terminal::dim(&requirement.remedy()?.describe()));
    }
    let by_hand = "cargo xtask setup --yes";
    match consent.obtain()? {
        Answer::Yes => {}
        Answer::No => bail!(NotReady("nothing was installed".to_owned())),
        Answer::NobodyThere => bail!(NotReady(format!(
            "what is listed above is missing, and there is no terminal to ask for consent; run `{by_hand}`"
        ))),
    }
    install(workspace, &missing)?;
    let still = self::missing(workspace, &missing)?;
    if still.is_empty() {
        return Ok(());
    }
    let names = still
        .iter()
        .map(|requirement| requirement.name())
        .collect::<Result<Vec<_>>>()?;
    bail!(NotReady(format!(
        "still missing after the installation: {}",
        names.join(", ")
    )))
}

fn missing(workspace: &Workspace, requirements: &[Requirement]) -> Result<Vec<Requirement>> {
    let mut missing = Vec::new();
    for &requirement in requirements {
        if !requirement.is_met(workspace)? {
            missing.push(requirement);
        }
    }
    Ok(missing)
}

fn install(workspace: &Workspace, missing: &[Requirement]) -> Result<()> {
    let remedies = missing
        .iter()
        .map(|requirement| requirement.remedy())
        .collect::<Result<Vec<_>>>()?;
    let distribution = Distribution::detect();
    let mut packages = Packages::default();
    for remedy in &remedies {
        match remedy {
            Remedy::Packages(names) => packages.names.extend(names.iter().map(|&name| name.to_owned())),
            Remedy::RustupComponent(component) => {
                command::run(
                    command("rustup")
                        .args(["component", "add", component])
                        .current_dir(&workspace.root),
                )?;
            }
            Remedy::StandardLibrary(arch) => standard_library(workspace, *arch, distribution, &mut packages)?,
            // One that is there is too old, and so would be the distribution's.
            Remedy::Node if find(&["node"]).is_none() => packages.names.push("nodejs".to_owned()),
            Remedy::Node
            | Remedy::CargoDeny
            | Remedy::BrowserPackages
            | Remedy::Engine
            | Remedy::LocalAws
            | Remedy::Linters => {}
        }
    }
    packages.install(distribution)?;
    // These need the packages: a linker, npm, or Python.
    for remedy in &remedies {
        match remedy {
            Remedy::Engine => Engine::install(&Place::find()?, distribution)?,
            Remedy::LocalAws => LocalAws::install(&Place::find()?, workspace)?,
            Remedy::Linters => python::install(
                &requirement::linters(workspace),
                &requirement::linters_list(workspace),
            )?,
            Remedy::CargoDeny => install_cargo_deny(workspace)?,
            Remedy::Node if !Requirement::Node.is_met(workspace)? => {
                let package = format!("{}@{NODE}", Arch::host()?.node_package());
                let mut npm = command("npm");
                npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]);
                // In the folder too, because npm looks for a package.json upwards from where it runs.
                fs::create_dir_all(workspace.tools())
                    .with_context(|| format!("cannot create {}", workspace.tools().display()))?;
                command::run(
                    npm.arg(workspace.tools())
                        .arg(package)
                        .current_dir(workspace.tools()),
                )?;
            }
            Remedy::BrowserPackages => {
                let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
                command::run(
                    requirement::npm(workspace)?
                        .args(arguments)
                        .current_dir(workspace.browser_tests()),
                )?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// By rustup, if there is one and it reaches its server. Otherwise Debian has a Rust compiler that is kept current for
/// its browsers (`rustc-web`), and the standard library of the foreign architecture as a package of that architecture.
fn standard_library(
    workspace: &Workspace,
    arch: Arch,
    distribution: Distribution,
    packages: &mut Packages,
) -> Result<()> {
    if find(&["rustup"]).is_some() {
        let mut rustup = command("rustup");
        rustup
            .args(["target", "add", arch.triple()])
            .current_dir(&workspace.root);
        match run_within(&mut rustup, RUSTUP_LIMIT) {
            Ok(()) => return Ok(()),
            Err(error) => println!("{} {error:#}", terminal::yellow("rustup could not:")),
        }
    }
    if distribution != Distribution::Debian {
        bail!(NotReady(format!(
            "no way is known here to get Rust's standard library for {0}; with rustup and its server in reach, \
             `rustup target add {0}` does it",
            arch.triple()
        )));
    }
    packages.architecture = Some(arch);
    packages.names.extend([
        "rustc-web".to_owned(),
        "libstd-rust-web-dev".to_owned(),
        format!("libstd-rust-web-dev:{}", arch.debian()),
    ]);
    Ok(())
}

/// Without optimisation and debug information: it compiles four times faster, and its run stays below a second.
fn install_cargo_deny(workspace: &Workspace) -> Result<()> {
    let build = workspace.tools().join("build");
    command::run(
        cargo()
            .args([
                "install",
                "--quiet",
                "--locked",
                "cargo-deny",
                "--version",
                CARGO_DENY,
                "--no-track",
                "--force",
                "--root",
            ])
            .arg(workspace.tools())
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            // The flags of the developer's own builds would only be in the way.
            .env_remove("RUSTFLAGS"),
    )?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_needed_has_a_name_a_reason_and_a_remedy() {
        for requirement in Purpose::value_variants()
            .iter()
            .flat_map(|purpose| purpose.requirements())
        {
            assert!(!requirement.name().expect("a supported host").is_empty());
            assert!(!requirement.reason().is_empty());
            assert!(
                !requirement
                    .remedy()
                    .expect("a supported host")
                    .describe()
                    .is_empty()
            );
        }
    }

    #[test]
    fn the_tests_need_what_their_release_build_needs() {
        for requirement in Purpose::Build.requirements() {
            assert!(
                Purpose::Test.requirements().contains(requirement),
                "{requirement:?}"
            );
        }
    }
}
