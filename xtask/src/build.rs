//! `cargo xtask build`: the release binaries, static, of both architectures, from one compiler.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::arch::Arch;
use crate::requirement::Requirement;
use crate::setup::{self, Consent};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{command, elf, system, terminal};

/// How large a binary may be, in bytes.
pub(crate) const SIZE_BAR: u64 = 5_000_000;

/// Build the static release binaries of both architectures, into target/dist
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only this architecture; can be given more than once
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,
    #[command(flatten)]
    consent: Consent,
}

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut archs = if arguments.arch.is_empty() {
        Arch::ALL.to_vec()
    } else {
        arguments.arch.clone()
    };
    archs.sort_unstable();
    archs.dedup();
    system::require_linux("building release binaries")?;
    setup::ensure(workspace, requirements(&archs)?, arguments.consent)?;
    bifora(workspace, &archs)?;
    Ok(())
}

/// What building for `archs` needs.
pub(crate) fn requirements(archs: &[Arch]) -> Result<Vec<Requirement>> {
    let mut requirements = vec![Requirement::Git, Requirement::Linker];
    if archs.contains(&Arch::foreign()?) {
        requirements.extend([Requirement::CrossLinker, Requirement::StandardLibrary]);
    }
    Ok(requirements)
}

/// Where the finished binary of an architecture is.
pub(crate) fn finished(workspace: &Workspace, package: &str, arch: Arch) -> PathBuf {
    workspace.dist().join(format!("{package}-{}", arch.name()))
}

/// Builds Bifora itself for `archs`.
pub(crate) fn bifora(workspace: &Workspace, archs: &[Arch]) -> Result<()> {
    package(workspace, "bifora", archs)
}

/// Builds `package` for `archs`, checks the results and puts them into `target/dist`.
pub(crate) fn package(workspace: &Workspace, package: &str, archs: &[Arch]) -> Result<()> {
    let names: Vec<_> = archs.iter().map(|arch| arch.name()).collect();
    let names = names.join(" and ");
    let toolchain = Toolchain::find(workspace, archs).with_context(|| {
        format!(
            "no Rust compiler of release {} or newer is here that builds for {names}",
            workspace.oldest_rust
        )
    })?;
    println!(
        "{package} for {names}, by rustc {} ({})",
        toolchain.release,
        toolchain.rustc.display()
    );

    let start = Instant::now();
    let executables = compile(workspace, &toolchain, package, archs)?;
    let local_paths = local_paths(workspace)?;
    fs::create_dir_all(workspace.dist()).context("cannot create target/dist")?;
    let mut rows = vec![
        ["binary", "size", "bar", "finished after"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (arch, executable, after) in &executables {
        let size = elf::check(executable, *arch, &local_paths)?;
        let target = finished(workspace, package, *arch);
        replace(executable, &target)?;
        // The bare server of the benchmark is as large as it is.
        let bar = if package == "bifora" {
            ensure!(
                size <= SIZE_BAR,
                "{} has {}, and {} is the most it may have",
                workspace.relative(&target),
                terminal::megabytes(size),
                terminal::megabytes(SIZE_BAR)
            );
            format!("≤ {}", terminal::megabytes(SIZE_BAR))
        } else {
            String::new()
        };
        rows.push(vec![
            workspace.relative(&target).to_string(),
            terminal::megabytes(size),
            bar,
            terminal::duration(*after),
        ]);
    }
    print!("{}", terminal::table(&rows));
    println!(
        "Each is static and for its machine. Took {}.",
        terminal::duration(start.elapsed())
    );
    Ok(())
}

/// Runs `ci/compile.sh`, as the Dockerfile does, once for all architectures: what both need, build scripts and macros,
/// is compiled once, and the long single-threaded end of one build overlaps with that of the other. Returns each
/// executable and when it was finished.
fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    package: &str,
    archs: &[Arch],
) -> Result<Vec<(Arch, PathBuf, Duration)>> {
    let mut compile = command::command(workspace.root.join("ci/compile.sh"));
    compile
        .args(archs.iter().map(|arch| arch.name()))
        .args(["--", "--package", package, "--bin", package])
        .arg("--message-format=json-render-diagnostics")
        // A folder of its own: another compiler's results would make everything in `target` compile again.
        .env("CARGO_TARGET_DIR", target(workspace))
        .stdout(Stdio::piped());
    toolchain.apply(&mut compile);

    let start = Instant::now();
    let mut child = command::start(&mut compile)?;
    let messages = child.stdout.take().context("cargo's output is not connected")?;
    let mut executables = Vec::new();
    for line in BufReader::new(messages).lines() {
        let line = line.context("cannot read cargo's messages")?;
        if let Some(executable) = executable(&line, package) {
            let arch = archs.iter().copied().find(|arch| {
                executable
                    .components()
                    .any(|part| part.as_os_str() == arch.triple())
            });
            let arch =
                arch.with_context(|| format!("{} is for no architecture known", executable.display()))?;
            executables.push((arch, executable, start.elapsed()));
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    command::check(&compile, status)?;
    executables.sort();
    if executables.len() != archs.len() {
        bail!(
            "cargo reported {} executables of {package} instead of {}",
            executables.len(),
            archs.len()
        );
    }
    Ok(executables)
}

/// The executable in one of cargo's JSON messages, if it is that of `package`.
fn executable(message: &str, package: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    if message["reason"] == "compiler-artifact" && message["target"]["name"] == package {
        return message["executable"].as_str().map(PathBuf::from);
    }
    None
}

/// Puts a copy of `from` at `to`, also while a program that was started from `to` still runs.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new)
        .and_then(|_| fs::rename(&new, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Builds the binaries once more from a copy of the sources in another folder, and fails unless they are the same.
pub(crate) fn compare(workspace: &Workspace, binaries: &[(Arch, PathBuf)]) -> Result<()> {
    // Of another depth and length than the checkout, and with a blank in its name.
    let copy = workspace.dist().join("reproduced in/a copy");
    fs::remove_dir_all(&copy).ok();
    workspace.copy_files(&copy)?;
    let archs: Vec<_> = binaries.iter().map(|(arch, _)| *arch).collect();
    let toolchain = Toolchain::find(workspace, &archs).context("the compiler is gone")?;
    let copied = Workspace {
        target: copy.join("target"),
        root: copy.clone(),
        oldest_rust: workspace.oldest_rust.clone(),
    };
    for (arch, again, _) in compile(&copied, &toolchain, "bifora", &archs)? {
        let (_, first) = binaries
            .iter()
            .find(|(of, _)| *of == arch)
            .context("both are compared")?;
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let (one, other) = (read(first)?, read(&again)?);
        if one != other {
            let differ =
                one.iter().zip(&other).filter(|(a, b)| a != b).count() + one.len().abs_diff(other.len());
            bail!(
                "{} and {} differ in {differ} bytes",
                first.display(),
                again.display()
            );
        }
        println!(
            "  {} is the same, all {} of it",
            arch.name(),
            terminal::megabytes(one.len() as u64)
        );
    }
    fs::remove_dir_all(workspace.dist().join("reproduced in")).context("cannot remove the copy")
}

/// Where cargo builds the release binaries.
fn target(workspace: &Workspace) -> PathBuf {
    workspace.dist().join("cargo")
}

/// What `ci/compile.sh` has to keep out of the binary. With more than the bare folder, which can be as short as `/src`.
fn local_paths(workspace: &Workspace) -> Result<Vec<String>> {
    let cargo_home = match std::env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .context("neither CARGO_HOME nor a home directory is known")?
            .join(".cargo"),
    };
    let folders = [
        workspace.root.join("src/"),
        target(workspace).join(""),
        cargo_home.join("registry/"),
    ];
    Ok(folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_recognised_in_cargos_messages() {
        let message =
            r#"{"reason":"compiler-artifact","target":{"name":"bifora"},"executable":"/t/x/bifora"}"#;
        assert_eq!(executable(message, "bifora"), Some("/t/x/bifora".into()));
        assert_eq!(executable(message, "other"), None);
        let library = r#"{"reason":"compiler-artifact","target":{"name":"bifora"},"executable":null}"#;
        assert_eq!(executable(library, "bifora"), None);
        assert_eq!(executable("not JSON", "bifora"), None);
    }

    #[test]
    fn an_architecture_that_is_not_known_is_refused_by_name() {
        let root = Workspace::find().expect("tests run in the repository").root;
        for script in ["ci/compile.sh", "ci/toolchain.sh"] {
            let output = command::command(root.join(script))
                .arg("s390x")
                .output()
                .expect("it starts");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{script}: {error}");
            assert!(
                error.contains("`s390x` is not an architecture"),
                "{script}: {error}"
            );
            assert!(
                error.contains("amd64") && error.contains("arm64"),
                "{script}: {error}"
            );
        }
    }

    #[test]
    fn only_what_is_foreign_needs_a_cross_compiler() {
        let host = Arch::host().expect("a supported host");
        assert!(
            !requirements(&[host])
                .expect("known")
                .contains(&Requirement::CrossLinker)
        );
        assert!(
            requirements(&Arch::ALL)
                .expect("known")
                .contains(&Requirement::CrossLinker)
        );
    }
}
