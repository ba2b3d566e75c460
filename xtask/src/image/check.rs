//! Whether an image is what it says: each platform, its configuration and every program inside agree.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::archive::{Archive, Image};
use crate::arch::Arch;
use crate::{elf, terminal};

/// How much one architecture's image may have, in bytes: as it is sent, and on a disk.
const COMPRESSED_BAR: u64 = 3_000_000;
/// See [`COMPRESSED_BAR`].
const UNPACKED_BAR: u64 = 6_000_000;

/// Checks the image in a file, prints what it found, and fails naming everything that is wrong.
pub(super) fn archive(path: &Path, archs: &[Arch]) -> Result<()> {
    let images = Archive::open(path)?.images()?;
    let heading = ["platform", "manifest", "sent", "bar", "unpacked", "bar", "user"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for image in &images {
        rows.push(vec![
            image.platform.clone().unwrap_or_else(|| declared(image)),
            image.digest.chars().take(19).collect(),
            terminal::megabytes(image.compressed),
            format!("≤ {}", terminal::megabytes(COMPRESSED_BAR)),
            terminal::megabytes(unpacked(image)),
            format!("≤ {}", terminal::megabytes(UNPACKED_BAR)),
            user(image).to_owned(),
        ]);
    }
    print!("{}", terminal::table(&rows));
    let faults = faults(&images, archs);
    if faults.is_empty() {
        println!("Index, configurations and programs agree.");
        return Ok(());
    }
    bail!("the image is not as it should be:\n  {}", faults.join("\n  "))
}

/// Everything that is wrong, one line each.
fn faults(images: &[Image], archs: &[Arch]) -> Vec<String> {
    let mut faults = Vec::new();
    for arch in archs {
        let platform = arch.platform();
        match images.iter().filter(|image| claims(image, platform)).count() {
            1 => {}
            0 => faults.push(format!("the index has no image for {platform}")),
            several => faults.push(format!("the index has {several} images for {platform}")),
        }
    }
    for image in images {
        match archs.iter().copied().find(|arch| claims(image, arch.platform())) {
            Some(arch) => faults.extend(faults_of(image, arch)),
            None => faults.push(format!(
                "{} is for {}, which is none of {}",
                image.digest,
                image.platform.clone().unwrap_or_else(|| declared(image)),
                archs
                    .iter()
                    .map(|arch| arch.platform())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
    faults
}

fn faults_of(image: &Image, arch: Arch) -> Vec<String> {
    let platform = arch.platform();
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("{platform}: {text}"));
    if declared(image) != platform {
        fault(format!("its configuration says {}", declared(image)));
    }
    for file in image.files.iter().filter(|file| !file.elf.is_empty()) {
        match elf::machine(&file.elf).context("not a 64-bit ELF file") {
            Ok(machine) if machine == arch.elf_machine() => {}
            Ok(machine) => fault(format!(
                "/{} is for ELF machine {machine:?}, and {} is {:?}",
                file.path,
                arch.name(),
                arch.elf_machine()
            )),
            Err(error) => fault(format!("/{}: {error:#}", file.path)),
        }
    }
    let unexpected: Vec<_> = image
        .files
        .iter()
        .filter(|file| file.path != "bifora")
        .map(|file| format!("/{}", file.path))
        .collect();
    if !unexpected.is_empty() {
        fault(format!(
            "it holds more than the binary: {}",
            unexpected.join(", ")
        ));
    }
    if !image
        .files
        .iter()
        .any(|file| file.path == "bifora" && !file.elf.is_empty())
    {
        fault("it has no program /bifora".to_owned());
    }
    let id = user(image).split(':').next().unwrap_or_default();
    if !id.parse::<u32>().is_ok_and(|id| id > 0) {
        fault(format!("its user is `{id}`, and has to be a number above 0"));
    }
    for (what, size, bar) in [
        ("compressed", image.compressed, COMPRESSED_BAR),
        ("unpacked", unpacked(image), UNPACKED_BAR),
    ] {
        if size > bar {
            let (size, bar) = (terminal::megabytes(size), terminal::megabytes(bar));
            fault(format!("it has {size} {what}, and {bar} is the most it may have"));
        }
    }
    faults
}

/// Whether the image is for this platform by its index, or where none says so by its configuration.
fn claims(image: &Image, platform: &str) -> bool {
    image.platform.as_deref().unwrap_or(&declared(image)) == platform
}

/// The platform that its configuration says.
fn declared(image: &Image) -> String {
    let field = |name: &str| image.config[name].as_str().unwrap_or("?");
    format!("{}/{}", field("os"), field("architecture"))
}

fn user(image: &Image) -> &str {
    image.config["config"]["User"].as_str().unwrap_or_default()
}

fn unpacked(image: &Image) -> u64 {
    image.files.iter().map(|file| file.size).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};

    use super::super::archive::hex;
    use super::*;

    /// An archive that is written file by file, so that each test can get one thing wrong.
    struct Draft(tar::Builder<Vec<u8>>);

    impl Draft {
        fn add(&mut self, path: &str, content: &[u8]) {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            self.0.append_data(&mut header, path, content).expect("in memory");
        }

        fn blob(&mut self, content: &[u8]) -> Value {
            let hash = hex(&Sha256::digest(content));
            self.add(&format!("blobs/sha256/{hash}"), content);
            json!({ "digest": format!("sha256:{hash}"), "size": content.len() })
        }

        fn image(&mut self, claimed: Arch, declared: Arch, user: &str, files: &[(&str, &[u8])]) -> Value {
            let mut layer = Self(tar::Builder::new(Vec::new()));
            for (path, content) in files {
                layer.add(path, content);
            }
            let layer = self.blob(&layer.0.into_inner().expect("in memory"));
            let config = json!({
                "os": "linux", "architecture": declared.debian(), "config": { "User": user }
            });
            let config = self.blob(config.to_string().as_bytes());
            let manifest = json!({ "config": config, "layers": [layer] });
            let mut descriptor = self.blob(manifest.to_string().as_bytes());
            descriptor["platform"] = json!({ "os": "linux", "architecture": claimed.debian() });
            descriptor
        }

        fn check(mut self, manifests: &[Value], name: &str) -> Result<()> {
            let inner = self.blob(json!({ "manifests": manifests }).to_string().as_bytes());
            self.add(
                "index.json",
                json!({ "manifests": [inner] }).to_string().as_bytes(),
            );
            let path = temporary(name);
            fs::write(&path, self.0.into_inner().expect("in memory")).expect("writable");
            let result = archive(&path, &Arch::ALL);
            fs::remove_file(path).expect("removable");
            result
        }
    }

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("bifora-check-{name}-{}.tar", std::process::id()))
    }

    fn draft() -> Draft {
        Draft(tar::Builder::new(Vec::new()))
    }

    /// The head of an ELF file that has nothing else.
    fn program(arch: Arch) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        head[18..20].copy_from_slice(&arch.elf_machine().0.to_le_bytes());
        head
    }

    fn good(draft: &mut Draft, arch: Arch) -> Value {
        draft.image(arch, arch, "65532:65532", &[("bifora", &program(arch))])
    }

    fn errors_with(name: &str, wrong: impl FnOnce(&mut Draft) -> Value) -> String {
        let mut draft = draft();
        let images = [good(&mut draft, Arch::X86_64), wrong(&mut draft)];
        format!("{:#}", draft.check(&images, name).expect_err(name))
    }

    #[test]
    fn two_honest_images_pass() {
        let mut draft = draft();
        let images = Arch::ALL.map(|arch| good(&mut draft, arch));
        draft.check(&images, "honest").expect("nothing is wrong");
    }

    #[test]
    fn a_missing_or_doubled_platform_is_named() {
        let mut one = draft();
        let images = [good(&mut one, Arch::X86_64)];
        let error = one
            .check(&images, "missing")
            .expect_err("one is missing")
            .to_string();
        assert!(error.contains("no image for linux/arm64"), "{error}");
        let error = errors_with("doubled", |draft| {
            draft.image(
                Arch::X86_64,
                Arch::X86_64,
                "1",
                &[("bifora", &program(Arch::X86_64))],
            )
        });
        assert!(error.contains("2 images for linux/amd64"), "{error}");
    }

    #[test]
    fn a_program_for_another_machine_is_named() {
        let error = errors_with("machine", |draft| {
            draft.image(
                Arch::Aarch64,
                Arch::Aarch64,
                "1",
                &[("bifora", &program(Arch::X86_64))],
            )
        });
        assert!(
            error.contains("linux/arm64: /bifora is for ELF machine"),
            "{error}"
        );
    }

    #[test]
    fn a_configuration_that_contradicts_the_index_is_named() {
        let error = errors_with("declared", |draft| {
            draft.image(
                Arch::Aarch64,
                Arch::X86_64,
                "1",
                &[("bifora", &program(Arch::Aarch64))],
            )
        });
        assert!(
            error.contains("linux/arm64: its configuration says linux/amd64"),
            "{error}"
        );
    }

    #[test]
    fn root_and_names_of_users_are_refused() {
        for user in ["", "0", "root", "0:0"] {
            let error = errors_with("user", |draft| {
                draft.image(
                    Arch::Aarch64,
                    Arch::Aarch64,
                    user,
                    &[("bifora", &program(Arch::Aarch64))],
                )
            });
            assert!(error.contains("has to be a number above 0"), "{user}: {error}");
        }
    }

    #[test]
    fn more_than_the_binary_and_too_large_a_binary_are_refused() {
        let error = errors_with("more", |draft| {
            let files: [(&str, &[u8]); 2] = [("bifora", &program(Arch::Aarch64)), ("etc/passwd", b"x")];
            draft.image(Arch::Aarch64, Arch::Aarch64, "1", &files)
        });
        assert!(error.contains("more than the binary: /etc/passwd"), "{error}");
        let error = errors_with("large", |draft| {
            let mut large = program(Arch::Aarch64);
            large.resize(7_000_000, 0);
            draft.image(Arch::Aarch64, Arch::Aarch64, "1", &[("bifora", &large)])
        });
        assert!(
            error.contains("7.00 MB unpacked, and 6.00 MB is the most"),
            "{error}"
        );
    }

    #[test]
    fn a_blob_that_was_changed_is_named() {
        let path = temporary("changed");
        let mut draft = draft();
        let image = good(&mut draft, Arch::X86_64);
        let hash = image["digest"]
            .as_str()
            .expect("a digest")
            .trim_start_matches("sha256:")
            .to_owned();
        draft.add(&format!("blobs/sha256/{hash}"), b"{}");
        let error = format!("{:#}", draft.check(&[image], "changed").expect_err("changed"));
        assert!(error.contains("is not what its name says"), "{error}");
        fs::write(&path, b"not a tar file").expect("writable");
        archive(&path, &Arch::ALL).expect_err("no archive");
        fs::remove_file(path).expect("removable");
    }
}
