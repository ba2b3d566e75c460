//! The lock of a release: made of an image that was built and checked, and held against one.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bifora_image::digest::Digest;
use bifora_image::lock::{FILE, LockedImage, LockedImages, ReleaseLock, VERSION};

use super::check::Found;
use crate::arch::Arch;
use crate::workspace::Workspace;

/// Where `image build` puts it.
pub(super) fn file(workspace: &Workspace) -> PathBuf {
    workspace.dist().join(FILE)
}

/// Digest of the `Cargo.lock` of the checkout.
pub(super) fn cargo_lock(workspace: &Workspace) -> Result<Digest> {
    let path = workspace.root.join("Cargo.lock");
    let digest = File::open(&path).and_then(|mut file| Digest::of_reader(&mut file));
    digest.with_context(|| format!("cannot read {}", path.display()))
}

/// The lock of an image that has been checked to have both architectures.
pub(super) fn of(found: &Found, commit: &str, cargo_lock: Digest) -> Result<ReleaseLock> {
    let index = found.contents.root.clone();
    Ok(ReleaseLock {
        version: VERSION,
        commit: commit.to_owned(),
        cargo_lock,
        index: index.context("the archive has no index of its own, and so no digest")?,
        images: LockedImages {
            x86_64: image(found, Arch::X86_64)?,
            aarch64: image(found, Arch::Aarch64)?,
        },
    })
}

fn image(found: &Found, arch: Arch) -> Result<LockedImage> {
    let is_for = |platform: &bifora_image::platform::Platform| platform.agrees_with(&arch.image_platform());
    let (image, inside) = found
        .images()
        .find(|(image, _)| is_for(image.claim()))
        .with_context(|| format!("there is no image for {}", arch.platform()))?;
    let locked = image.digest.clone().zip(inside.binary.clone());
    let (image, binary) =
        locked.with_context(|| format!("the image for {} has no digest, or no /bifora", arch.platform()))?;
    Ok(LockedImage { binary, image })
}

/// Fails unless the image is the one of the lock, naming everything that differs.
pub(super) fn compare(found: &Found, path: &Path) -> Result<()> {
    let lock = ReleaseLock::read(path)?;
    // What an image does not tell is taken from the lock, and so does not differ.
    let there = of(found, &lock.commit, lock.cargo_lock.clone())?;
    let mut differences = Vec::new();
    let mut compare = |what: &str, locked: &str, found: &str| {
        if locked != found {
            differences.push(format!("{what}: {locked} by the lock, {found} in the image"));
        }
    };
    compare("index", lock.index.as_str(), there.index.as_str());
    for arch in Arch::ALL {
        let name = arch.name();
        if let (Some(locked), Some(there)) = (lock.image(name), there.image(name)) {
            compare(
                &format!("{name}, image"),
                locked.image.as_str(),
                there.image.as_str(),
            );
            compare(
                &format!("{name}, binary"),
                locked.binary.as_str(),
                there.binary.as_str(),
            );
        }
    }
    for (image, _) in found.images() {
        let revision = image.config.revision.as_deref().unwrap_or("none");
        compare(&format!("{}, commit", image.claim()), &lock.commit, revision);
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "this is not the image of {}:\n  {}",
        path.display(),
        differences.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use bifora_image::draft::Draft;

    use super::super::check::tests::{good, program};
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn found(commit: &str) -> Found {
        let mut draft = Draft::default();
        let images = Arch::ALL.map(|arch| {
            let mut image = good(arch);
            image.revision = commit;
            draft.image(&image)
        });
        draft.index(&images);
        let folder = tempfile::tempdir().expect("a folder");
        draft.write_folder(folder.path());
        Found::read(folder.path()).expect("readable")
    }

    #[test]
    fn a_lock_has_what_is_in_the_image() {
        let found = found(COMMIT);
        let lock = of(&found, COMMIT, Digest::of(b"Cargo.lock")).expect("both are there");
        assert_eq!(lock.images.x86_64.binary, Digest::of(&program(Arch::X86_64)));
        assert_eq!(lock.images.aarch64.binary, Digest::of(&program(Arch::Aarch64)));
        assert_eq!(Some(&lock.index), found.contents.root.as_ref());
        let digests: Vec<_> = found
            .contents
            .images
            .iter()
            .map(|image| image.digest.clone())
            .collect();
        assert_eq!(
            digests,
            [
                Some(lock.images.x86_64.image.clone()),
                Some(lock.images.aarch64.image.clone())
            ]
        );
        ReleaseLock::parse(lock.to_json().as_bytes()).expect("what is written is read");
    }

    #[test]
    fn another_image_than_that_of_the_lock_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let image = found(COMMIT);
        let lock = of(&image, COMMIT, Digest::of(b"Cargo.lock")).expect("both are there");
        lock.write(&path).expect("writable");
        compare(&image, &path).expect("the same");
        let other = "f".repeat(40);
        let error = compare(&found(&other), &path)
            .expect_err("another commit")
            .to_string();
        for part in [
            "index: sha256:",
            "x86_64, image: sha256:",
            "linux/arm64, commit: 0123456789",
            &other,
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("binary"), "these are the same: {error}");
        let mut wrong = lock.clone();
        wrong.images.aarch64.binary = Digest::of(b"another");
        wrong.write(&path).expect("writable");
        let error = compare(&image, &path).expect_err("another binary").to_string();
        assert!(
            error.contains("aarch64, binary: sha256:") && !error.contains("x86_64"),
            "{error}"
        );
        std::fs::write(&path, "{}").expect("writable");
        let error = compare(&image, &path).expect_err("no lock").to_string();
        assert!(
            error.contains(FILE) && error.contains("version is `null`"),
            "{error}"
        );
    }

    /// What the script of the pipelines says, where it says no.
    fn refused(arguments: &[&str], path: &std::ffi::OsStr) -> (Option<i32>, String) {
        let root = Workspace::find().expect("tests run in the repository").root;
        let mut script = crate::command::command(root.join("ci/release-lock.sh"));
        let output = script
            .args(arguments)
            .env("PATH", path)
            .output()
            .expect("it starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    #[test]
    fn the_script_refuses_what_it_cannot_make_a_lock_of() {
        let path = std::env::var_os("PATH").expect("tests have a path");
        let digest = format!("sha256:{}", "0".repeat(64));
        let image = format!("public.ecr.aws/a/bifora:1@{digest}");
        let of = |name: &str| format!("{name}@{digest}");
        for (arguments, part) in [
            (&[][..], "which image"),
            (&[image.as_str()], "which image"),
            (&[&image, COMMIT, "more"], "which image"),
            (&["public.ecr.aws/a/bifora:1", COMMIT], "no image with its digest"),
            (
                &[&of("public.ecr.aws/a/bifora"), COMMIT],
                "no image with its digest",
            ),
            (&[&image[..image.len() - 1], COMMIT], "no image with its digest"),
            (&[&of("bifora:1"), COMMIT], "`bifora` is no repository"),
            (&[&of("r.example/A b:1"), COMMIT], "is no repository"),
            (&[&image, "0123456"], "`0123456` is no commit"),
            (&[&image, &COMMIT.to_uppercase()], "is no commit"),
        ] {
            let (code, error) = refused(arguments, &path);
            assert_eq!(code, Some(2), "{arguments:?}: {error}");
            assert!(
                error.starts_with("ci/release-lock.sh: ") && error.contains(part),
                "{error}"
            );
        }
        // Without what it needs it names that, and has done nothing.
        let folder = tempfile::tempdir().expect("a folder");
        for program in ["bash", "dirname"] {
            let there = crate::command::find(&[program]).expect("on every machine");
            std::os::unix::fs::symlink(there, folder.path().join(program)).expect("possible");
        }
        let (code, error) = refused(&[&image, COMMIT], folder.path().as_os_str());
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("`docker` is needed"), "{error}");
    }

    #[test]
    fn the_checkout_has_a_cargo_lock() {
        let workspace = Workspace::find().expect("tests run in the repository");
        let content = std::fs::read(workspace.root.join("Cargo.lock")).expect("there");
        assert_eq!(cargo_lock(&workspace).expect("readable"), Digest::of(&content));
    }
}
