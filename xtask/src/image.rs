//! `cargo xtask image`: the container images of both architectures under one tag, built by the Dockerfile and checked.

mod check;
mod release;
mod revision;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use crate::arch::Arch;
use crate::command;
use crate::docker::Docker;
use crate::setup::Consent;
use crate::terminal;
use crate::workspace::Workspace;

use check::Found;
pub(crate) use revision::Revision;

/// The name of the image, and of the repository that it is pushed to.
pub(crate) const NAME: &str = "bifora";

/// Build the container images of both architectures under one tag, and check them
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the image for both architectures, check it, and write its release lock
    Build(Build),
    /// Check an image: platforms, machine of every ELF file, user, size, release lock
    Check(Check),
}

#[derive(Args)]
struct Build {
    /// Only this architecture; can be given more than once
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,
    /// The tag; without it the commit's first seven characters, and where files differ from the commit a digest of them
    #[arg(long)]
    tag: Option<String>,
    /// Push the image to this registry, such as public.ecr.aws/ALIAS, when it is built and checked
    #[arg(long, value_name = "REGISTRY")]
    push: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Args)]
struct Check {
    /// Image of the engine, or file that `docker save` or an OCI exporter wrote; without it what `image build` builds now
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// The architectures that it must have, and no others; both, without this
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,
    /// The release lock that it must be the image of; without IMAGE the one that `image build` wrote
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
}

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Build(arguments) => {
            let docker = Docker::find(workspace, arguments.consent)?;
            let archs = chosen(&arguments.arch);
            let revision = Revision::of(workspace)?;
            let tag = arguments.tag.clone().unwrap_or_else(|| revision.tag());
            require_tag(&tag)?;
            let image = format!("{NAME}:{tag}");
            let start = Instant::now();
            let cargo_lock = release::cargo_lock(workspace)?;
            let lock = release::file(workspace);
            // From here on it would be that of another image.
            fs::remove_file(&lock).ok();
            build(workspace, &docker, &archs, &image, &revision)?;
            println!("Built {image} in {}.", terminal::duration(start.elapsed()));
            let found = found(&docker, &image, &archs)?;
            if archs == Arch::ALL {
                let released = release::of(&found, &revision.commit, cargo_lock)?;
                require_digest(&docker, &image, released.index.as_str())?;
                fs::create_dir_all(workspace.dist()).context("cannot create target/dist")?;
                released.write(&lock)?;
                println!("Wrote {}.", workspace.relative(&lock));
            } else {
                println!("A release has both architectures, and so there is no release lock.");
            }
            if let Some(registry) = &arguments.push {
                let target = format!("{}/{image}", registry.trim_end_matches('/'));
                push(&docker, &image, &target)?;
                if let Some(index) = &found.contents.root {
                    require_pushed(&docker, &target, index.as_str())?;
                }
                println!("Pushed {target}.");
            }
            Ok(())
        }
        Command::Check(arguments) => examine(workspace, arguments),
    }
}

/// `image check`.
fn examine(workspace: &Workspace, arguments: &Check) -> Result<()> {
    let archs = chosen(&arguments.arch);
    let file = arguments.image.as_ref().map(PathBuf::from);
    let found = if let Some(file) = file.filter(|path| path.exists()) {
        check::archive(&file, &archs)?
    } else {
        let docker = Docker::find(workspace, arguments.consent)?;
        let image = match &arguments.image {
            Some(image) => image.clone(),
            None => format!("{NAME}:{}", Revision::of(workspace)?.tag()),
        };
        found(&docker, &image, &archs)?
    };
    let written = || Some(release::file(workspace)).filter(|file| arguments.image.is_none() && file.exists());
    let Some(lock) = arguments.lock.clone().or_else(written) else {
        return Ok(());
    };
    release::compare(&found, &lock)?;
    println!("It is the image of {}.", workspace.relative(&lock));
    Ok(())
}

/// Both architectures if none was chosen; each once.
fn chosen(archs: &[Arch]) -> Vec<Arch> {
    let mut archs = if archs.is_empty() {
        Arch::ALL.to_vec()
    } else {
        archs.to_vec()
    };
    archs.sort_unstable();
    archs.dedup();
    archs
}

/// Builds the image for `archs` into the engine's store.
pub(crate) fn build(
    workspace: &Workspace,
    docker: &Docker,
    archs: &[Arch],
    image: &str,
    revision: &Revision,
) -> Result<()> {
    docker.require_platforms(archs)?;
    let platforms: Vec<_> = archs.iter().map(|arch| arch.platform()).collect();
    let mut build = docker.command();
    build
        .args(["buildx", "build", "--load", "--platform", &platforms.join(",")])
        // An attestation would be one more manifest, of no platform, and `docker manifest` cannot join what has one.
        .args(["--provenance=false", "--sbom=false", "--tag", image])
        // BuildKit takes it as the time of everything that it makes.
        .env("SOURCE_DATE_EPOCH", &revision.epoch)
        .current_dir(&workspace.root);
    if !terminal::is_terminal() {
        build.arg("--progress=plain");
    }
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    for (name, value) in revision.build_arguments(tag) {
        build.arg("--build-arg").arg(format!("{name}={value}"));
    }
    // Facts of a pipeline's run, by name: the engine's client takes the value from the environment.
    let dockerfile =
        fs::read_to_string(workspace.root.join("Dockerfile")).context("cannot read the Dockerfile")?;
    for name in arguments_of(&dockerfile) {
        if is_fact_of_a_run(name) && std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
            build.args(["--build-arg", name]);
        }
    }
    command::run(build.arg("."))
}

/// Pushes an image of the engine's store to `target`.
pub(crate) fn push(docker: &Docker, image: &str, target: &str) -> Result<()> {
    command::run(docker.command().args(["tag", image, target]))?;
    command::run(docker.command().args(["push", "--quiet", target]))
}

/// Checks an image of the engine's store.
pub(crate) fn check(docker: &Docker, image: &str, archs: &[Arch]) -> Result<()> {
    found(docker, image, archs).map(drop)
}

/// The same, and what was found.
fn found(docker: &Docker, image: &str, archs: &[Arch]) -> Result<Found> {
    let folder = std::env::temp_dir().join(format!("bifora-image-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join("image.tar");
    let saved = command::read(
        docker
            .command()
            .args(["image", "save", image, "--output"])
            .arg(&file),
    );
    let result = match saved {
        Ok(_) => check::archive(&file, archs).with_context(|| image.to_owned()),
        Err(error) => Err(error),
    };
    fs::remove_dir_all(&folder).ok();
    result
}

/// Fails unless the engine has the image under this digest, which is what it pushes: an export could have made another
/// index.
fn require_digest(docker: &Docker, image: &str, digest: &str) -> Result<()> {
    let inspect = ["image", "inspect", "--format", "{{.Id}}", image];
    let own = command::read(docker.command().args(inspect))?;
    ensure!(
        own.trim() == digest,
        "the engine has {image} as {}, and has saved it as {digest}",
        own.trim()
    );
    Ok(())
}

/// Fails unless the registry has the image under this digest.
fn require_pushed(docker: &Docker, target: &str, digest: &str) -> Result<()> {
    let inspect = [
        "buildx",
        "imagetools",
        "inspect",
        "--format",
        "{{.Manifest.Digest}}",
        target,
    ];
    let there = command::read(docker.command().args(inspect))?;
    ensure!(
        there.trim() == digest,
        "{target} is {} in the registry, and {digest} was built",
        there.trim()
    );
    Ok(())
}

/// The names after `ARG` in a Dockerfile.
fn arguments_of(dockerfile: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut continues = false;
    for line in dockerfile.lines() {
        let words = if continues {
            Some(line)
        } else {
            line.strip_prefix("ARG ")
        };
        let Some(words) = words else { continue };
        continues = words.ends_with('\\');
        let of_line = words.trim_end_matches('\\').split_whitespace();
        names.extend(of_line.map(|word| word.split('=').next().unwrap_or(word)));
    }
    names
}

fn is_fact_of_a_run(name: &str) -> bool {
    ["CIRCLE_", "CODEBUILD_", "CODEPIPELINE_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Fails for what no registry takes as a tag.
fn require_tag(tag: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if tag.is_empty() || tag.len() > 128 || !tag.chars().all(good) || tag.starts_with(['.', '-']) {
        bail!("`{tag}` is no tag: 1 to 128 of A-Z a-z 0-9 . _ - that begin with a letter, digit or _");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_across_lines() {
        let dockerfile = "ARG BASE=x:1\nFROM x\nARG A B \\\n    C\nENV D=1\nARG E\n";
        assert_eq!(arguments_of(dockerfile), ["BASE", "A", "B", "C", "E"]);
    }

    #[test]
    fn tags_are_what_a_registry_takes() {
        for good in ["4c11678", "v1.0_x-2", "_"] {
            require_tag(good).expect(good);
        }
        for bad in ["", "-x", ".x", "a b", "a/b", "a:b", &"x".repeat(129)] {
            require_tag(bad).expect_err(bad);
        }
    }
}
