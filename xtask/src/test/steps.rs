//! The steps of `cargo xtask test`: what each needs and does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::report::Outcome;
use crate::arch::Arch;
use crate::command::{self, cargo, command};
use crate::requirement::{self, Requirement};
use crate::setup;
use crate::workspace::Workspace;
use crate::{build, cloud, pipeline, rehearse, terminal};

/// Fetching a few megabytes of advisories takes seconds; without a network some machines wait for minutes.
const FETCH_LIMIT: Duration = Duration::from_mins(2);

/// One check.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: fn() -> Result<Vec<Requirement>>,
    pub(super) run: fn(&Run) -> Result<Outcome>,
}

/// What the steps of one run share.
pub(super) struct Run<'a> {
    pub(super) workspace: &'a Workspace,
    /// Whether the step that builds the release binaries is part of this run, and has therefore been done already.
    pub(super) builds: bool,
}

/// In order of what fails fastest, and so that what is compiled for one step serves the next.
pub(super) const STEPS: [Step; 16] = [
    Step {
        name: "fmt",
        about: "the formatting is rustfmt's",
        needs: || Ok(vec![Requirement::Rustfmt]),
        run: |session| {
            // Left alone, rustfmt colours what goes into a file.
            let colour = if terminal::has_colours() {
                "always"
            } else {
                "never"
            };
            session.run(cargo().args(["fmt", "--all", "--check", "--", "--color", colour]))
        },
    },
    Step {
        name: "deny",
        about: "licences and sources of the dependencies are allowed",
        needs: || Ok(vec![Requirement::CargoDeny]),
        run: |session| {
            session.run(
                session
                    .cargo_deny()?
                    .args(["check", "bans", "licenses", "sources"]),
            )
        },
    },
    Step {
        name: "advisories",
        about: "no dependency has a known flaw",
        needs: || Ok(vec![Requirement::CargoDeny, Requirement::Git]),
        run: advisories,
    },
    Step {
        name: "infra",
        about: "no linter complains about pipelines, templates, Dockerfile, shell and Python",
        needs: || {
            Ok(vec![
                Requirement::Python,
                Requirement::Linters,
                Requirement::Shellcheck,
            ])
        },
        run: infra,
    },
    Step {
        name: "clippy",
        about: "no lint complains",
        needs: || Ok(vec![Requirement::Clippy]),
        run: |session| {
            session.run(cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ]))
        },
    },
    Step {
        name: "docs",
        about: "the documentation builds, and its links lead somewhere",
        needs: || Ok(vec![]),
        run: |session| {
            let arguments = [
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ];
            session.run(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
        },
    },
    Step {
        name: "unit",
        about: "the tests that need nothing but Rust",
        needs: || Ok(vec![]),
        run: |session| session.run(cargo().args(["test", "--workspace", "--locked"])),
    },
    Step {
        name: "build",
        about: "the static release binaries of both architectures",
        needs: || build::requirements(&Arch::ALL),
        run: |session| {
            build::bifora(session.workspace, &Arch::ALL)?;
            Ok(Outcome::Passed)
        },
    },
    Step {
        name: "reproducible",
        about: "the same sources in another folder give the same binaries, bit for bit",
        needs: || build::requirements(&Arch::ALL),
        run: |session| {
            let binaries = Arch::ALL.map(|arch| Ok((arch, session.binary(arch)?)));
            build::compare(
                session.workspace,
                &binaries.into_iter().collect::<Result<Vec<_>>>()?,
            )?;
            Ok(Outcome::Passed)
        },
    },
    Step {
        name: "black-box",
        about: "the release binary of this machine's architecture, seen from outside",
        needs: || build::requirements(&[Arch::host()?]),
        run: |session| session.black_box(Arch::host()?, None),
    },
    Step {
        name: "black-box-emulated",
        about: "the release binary of the other architecture, seen from outside",
        needs: || Ok([build::requirements(&Arch::ALL)?, vec![Requirement::Emulator]].concat()),
        run: |session| session.black_box(Arch::foreign()?, requirement::emulator()?.as_deref()),
    },
    Step {
        name: "verify",
        about: "`bifora verify` proves a fleet of both architectures, and sees all that can be wrong with one",
        needs: || {
            let own = [
                Requirement::Emulator,
                Requirement::Haproxy,
                Requirement::Openssl,
                Requirement::Python,
            ];
            Ok([build::requirements(&Arch::ALL)?, own.to_vec()].concat())
        },
        run: verify,
    },
    Step {
        name: "browser",
        about: "the release binaries of both architectures, seen by a visitor",
        needs: || {
            let own = [
                Requirement::Emulator,
                Requirement::Node,
                Requirement::Npm,
                Requirement::BrowserPackages,
                Requirement::Chromium,
                Requirement::Haproxy,
            ];
            Ok([build::requirements(&Arch::ALL)?, own.to_vec()].concat())
        },
        run: browser,
    },
    Step {
        name: "cloud",
        about: "the image of both architectures, in real containers behind the load balancer",
        needs: || Ok(cloud::REQUIREMENTS.to_vec()),
        run: |session| {
            let cloud = cloud::Session::start(session.workspace)?;
            // One after the other: they share the cloud. What they measured is shown at the end.
            let arguments = [
                "test",
                "--workspace",
                "--test",
                "cloud",
                "--locked",
                "--",
                "--test-threads=1",
                "--show-output",
            ];
            session.run(
                cargo()
                    .args(arguments)
                    .envs(cloud.environment(session.workspace)?),
            )
        },
    },
    Step {
        name: "circleci",
        about: "CircleCI's pipeline, from its own file, deploys itself to the local cloud; with a fault it does not",
        needs: || Ok(rehearse::REQUIREMENTS.to_vec()),
        run: |session| {
            rehearse::with_every_fault(session.workspace, rehearse::Kind::Circleci)?;
            Ok(Outcome::Passed)
        },
    },
    Step {
        name: "codepipeline",
        about: "CodePipeline's, from its template and buildspecs, too",
        needs: || Ok(rehearse::REQUIREMENTS.to_vec()),
        run: |session| {
            rehearse::with_every_fault(session.workspace, rehearse::Kind::Codepipeline)?;
            Ok(Outcome::Passed)
        },
    },
];

impl Run<'_> {
    /// Runs a command in the root of the repository.
    fn run(&self, command: &mut Command) -> Result<Outcome> {
        if setup::is_ci() {
            // Nobody compiles a second time there, and without its files the first time is faster.
            command.env("CARGO_INCREMENTAL", "0");
        }
        command::run(command.current_dir(&self.workspace.root))?;
        Ok(Outcome::Passed)
    }

    fn cargo_deny(&self) -> Result<Command> {
        let program = requirement::cargo_deny(self.workspace).context("cargo-deny is gone")?;
        let mut cargo_deny = command(program);
        cargo_deny.current_dir(&self.workspace.root);
        Ok(cargo_deny)
    }

    /// The release binary, built now if this run has no step that does.
    fn binary(&self, arch: Arch) -> Result<std::path::PathBuf> {
        if !self.builds {
            build::bifora(self.workspace, &[arch])?;
        }
        Ok(build::finished(self.workspace, "bifora", arch))
    }

    /// The same tests as against the debug binary in `unit`, whose build they share.
    fn black_box(&self, arch: Arch, emulator: Option<&Path>) -> Result<Outcome> {
        let mut cargo = cargo();
        // The whole workspace, because alone the package would be compiled with other features of its dependencies.
        cargo.args(["test", "--workspace", "--test", "black_box", "--locked"]);
        cargo
            .env("BIFORA_BIN", self.binary(arch)?)
            .env("BIFORA_ARCH", arch.name());
        if let Some(emulator) = emulator {
            cargo.env("BIFORA_RUNNER", emulator).env("BIFORA_EMULATED", "1");
        }
        self.run(&mut cargo)
    }
}

fn advisories(session: &Run) -> Result<Outcome> {
    if let Err(error) = command::run_within(session.cargo_deny()?.args(["fetch", "db"]), FETCH_LIMIT) {
        let error = format!("the advisory database cannot be fetched: {error:#}");
        return if is_of_the_network(&error) {
            Ok(Outcome::NotChecked(error))
        } else {
            Err(anyhow!(error))
        };
    }
    session.run(
        session
            .cargo_deny()?
            .args(["check", "--disable-fetch", "advisories"]),
    )
}

/// Whether an error says that another machine could not be reached, in the words of git, curl and this program.
fn is_of_the_network(error: &str) -> bool {
    [
        "unable to access",
        "Could not resolve host",
        "Failed to connect",
        "Connection",
        "took longer than",
    ]
    .iter()
    .any(|words| error.contains(words))
}

/// Each in the folder where its configuration is.
fn infra(session: &Run) -> Result<Outcome> {
    pipeline::run(session.workspace)?;
    let root = &session.workspace.root;
    let linter = |name: &str| command(requirement::linters(session.workspace).join("bin").join(name));
    command::run(linter("cfn-lint").current_dir(root.join("infra")))?;
    command::run(linter("checkov").current_dir(root.join("infra")))?;
    for (name, arguments) in [
        ("hadolint", &["--no-color", "Dockerfile"][..]),
        ("ruff", &["check", "--no-cache", "local-cloud"]),
        ("ruff", &["format", "--no-cache", "--check", "local-cloud"]),
    ] {
        command::run(linter(name).args(arguments).current_dir(root))?;
    }
    let mut scripts: Vec<_> = fs::read_dir(root.join("ci"))
        .context("cannot look into ci/")?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.sort();
    command::run(
        command("shellcheck")
            .args(["--external-sources", ".ci/run"])
            .args(scripts.iter().filter_map(|script| script.strip_prefix(root).ok()))
            .current_dir(root),
    )?;
    Ok(Outcome::Passed)
}

fn verify(session: &Run) -> Result<Outcome> {
    let (host, foreign) = (Arch::host()?, Arch::foreign()?);
    let mut cargo = cargo();
    // What they measured is shown at the end. Not all at once: they measure time, and one of two servers is emulated.
    let arguments = [
        "test",
        "--workspace",
        "--test",
        "verify",
        "--locked",
        "--",
        "--test-threads=4",
        "--show-output",
    ];
    cargo
        .args(arguments)
        .env(variable("BIN", host), session.binary(host)?)
        .env(variable("BIN", foreign), session.binary(foreign)?)
        .env(
            variable("RUNNER", foreign),
            requirement::emulator()?.context("the emulator is gone")?,
        );
    session.run(&mut cargo)
}

fn browser(session: &Run) -> Result<Outcome> {
    let folder = session.workspace.browser_tests();
    if !folder.join("package.json").is_file() {
        bail!("{} has no package.json", session.workspace.relative(&folder));
    }
    let screenshots = session.workspace.target.join("screenshots");
    fs::create_dir_all(&screenshots).with_context(|| format!("cannot create {}", screenshots.display()))?;
    let (host, foreign) = (Arch::host()?, Arch::foreign()?);
    let mut npm = requirement::npm(session.workspace)?;
    npm.arg("test")
        .env(variable("BIN", host), session.binary(host)?)
        .env(variable("BIN", foreign), session.binary(foreign)?)
        .env(
            variable("RUNNER", foreign),
            requirement::emulator()?.context("the emulator is gone")?,
        )
        .env(
            "BIFORA_CHROMIUM",
            requirement::chromium().context("the browser is gone")?,
        )
        .env(
            "BIFORA_HAPROXY",
            requirement::haproxy().context("the load balancer is gone")?,
        )
        .env("BIFORA_SCREENSHOTS", &screenshots)
        .current_dir(folder);
    command::run(&mut npm)?;
    Ok(Outcome::Passed)
}

/// Binary and runner of an architecture, as tests of both ask for them: `BIFORA_BIN_AARCH64`.
fn variable(what: &str, arch: Arch) -> String {
    format!("BIFORA_{what}_{}", arch.name().to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_excuses_a_check() {
        assert!(is_of_the_network(
            "fatal: unable to access 'https://example.org/': Could not resolve host"
        ));
        assert!(!is_of_the_network(
            "fatal: could not create work tree dir: No space left on device"
        ));
    }
}
