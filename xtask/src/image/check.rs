//! Whether an image is what it says, and what a release of Bifora has to be: each platform, its configuration and every
//! program inside agree, and nothing is there that does not belong.

use std::path::Path;

use anyhow::{Result, bail};
use bifora_image::archive::{Archive, Contents, Image, Layers};
use bifora_image::digest::Digest;
use bifora_image::inspect::{ImageReport, Liar};

use crate::arch::Arch;
use crate::terminal;

/// How much one architecture's image may have, in bytes: as it is sent, and on a disk.
const COMPRESSED_BAR: u64 = 3_000_000;
/// See [`COMPRESSED_BAR`].
const UNPACKED_BAR: u64 = 6_000_000;

/// An image that was looked at.
pub(super) struct Found {
    /// What it claims.
    pub(super) contents: Contents,
    /// What is in the image of each platform.
    pub(super) inside: Vec<Inside>,
}

/// What is in the image of a platform.
pub(super) struct Inside {
    layers: Layers,
    /// The files of its layers beside the binary.
    others: Vec<String>,
    /// Digest of the binary.
    pub(super) binary: Option<Digest>,
}

impl Found {
    /// Reads the image in a file or a folder.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let archive = Archive::open(path)?;
        let contents = archive.contents()?;
        let inside = contents.images.iter().map(|image| {
            let (mut others, mut binary) = (Vec::new(), None);
            let layers = archive.layers(image, &mut |file, content| {
                if file.path == "bifora" {
                    binary = Some(Digest::of_reader(content)?);
                } else {
                    others.push(format!("/{}", file.path));
                }
                Ok(())
            })?;
            Ok(Inside {
                layers,
                others,
                binary,
            })
        });
        Ok(Self {
            inside: inside.collect::<Result<_>>()?,
            contents,
        })
    }

    /// Each platform's image, with what is in it.
    pub(super) fn images(&self) -> impl Iterator<Item = (&Image, &Inside)> {
        self.contents.images.iter().zip(&self.inside)
    }
}

/// Checks the image in a file, prints what it found, and fails naming everything that is wrong.
pub(super) fn archive(path: &Path, archs: &[Arch]) -> Result<Found> {
    let found = Found::read(path)?;
    let heading = ["platform", "manifest", "sent", "bar", "unpacked", "bar", "user"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (image, inside) in found.images() {
        rows.push(vec![
            image.claim().to_string(),
            image.digest.as_ref().map_or("none", Digest::short).to_owned(),
            terminal::megabytes(inside.layers.sent),
            format!("≤ {}", terminal::megabytes(COMPRESSED_BAR)),
            terminal::megabytes(inside.layers.unpacked),
            format!("≤ {}", terminal::megabytes(UNPACKED_BAR)),
            image.config.user.clone(),
        ]);
    }
    print!("{}", terminal::table(&rows));
    let faults = faults(&found, archs);
    if faults.is_empty() {
        println!("Index, configurations and programs agree.");
        return Ok(found);
    }
    bail!("the image is not as it should be:\n  {}", faults.join("\n  "))
}

/// Everything that is wrong, one line each.
fn faults(found: &Found, archs: &[Arch]) -> Vec<String> {
    let mut faults = Vec::new();
    let claims = |image: &Image, arch: Arch| image.claim().agrees_with(&arch.image_platform());
    for &arch in archs {
        let platform = arch.platform();
        match found.images().filter(|(image, _)| claims(image, arch)).count() {
            1 => {}
            0 => faults.push(format!("the index has no image for {platform}")),
            several => faults.push(format!("the index has {several} images for {platform}")),
        }
    }
    for (image, inside) in found.images() {
        match archs.iter().copied().find(|arch| claims(image, *arch)) {
            Some(arch) => faults.extend(faults_of(image, inside, arch)),
            None => faults.push(format!(
                "{} is for {}, which is none of {}",
                image.digest.as_ref().map_or("an image", Digest::as_str),
                image.claim(),
                archs
                    .iter()
                    .map(|arch| arch.platform())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
    // What an engine passes over `docker manifest` does not.
    let skipped = found.contents.skipped.iter();
    faults.extend(
        skipped.map(|skipped| format!("the index names {} as well: {}", skipped.digest, skipped.why)),
    );
    faults
}

fn faults_of(image: &Image, inside: &Inside, arch: Arch) -> Vec<String> {
    let platform = arch.platform();
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("{platform}: {text}"));
    for liar in ImageReport::new(image, &inside.layers.programs, &[]).liars {
        fault(match liar {
            Liar::Index { .. } => "its configuration and its programs are for another platform".to_owned(),
            Liar::Config { claims } => format!("its configuration says {claims}"),
            Liar::Program { path, machine, .. } => {
                format!("{path} is for {machine}, and has to be for {}", arch.name())
            }
        });
    }
    if !inside.others.is_empty() {
        fault(format!(
            "it holds more than the binary: {}",
            inside.others.join(", ")
        ));
    }
    if !inside
        .layers
        .programs
        .iter()
        .any(|program| program.path == "/bifora")
    {
        fault("it has no program /bifora".to_owned());
    }
    let id = image.config.user.split(':').next().unwrap_or_default();
    if !id.parse::<u32>().is_ok_and(|id| id > 0) {
        fault(format!("its user is `{id}`, and has to be a number above 0"));
    }
    for (what, size, bar) in [
        ("compressed", inside.layers.sent, COMPRESSED_BAR),
        ("unpacked", inside.layers.unpacked, UNPACKED_BAR),
    ] {
        if size > bar {
            let (size, bar) = (terminal::megabytes(size), terminal::megabytes(bar));
            fault(format!("it has {size} {what}, and {bar} is the most it may have"));
        }
    }
    faults
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use bifora_image::draft::{self, Draft, ImageDraft};
    use serde_json::Value;

    use super::*;

    /// The head of an ELF file that has nothing else.
    pub(in super::super) fn program(arch: Arch) -> Vec<u8> {
        draft::program(arch.elf())
    }

    /// What one gets wrong: by the index, by the configuration, the user, the files.
    fn image<'a>(claimed: Arch, declared: Arch, user: &'a str, files: &[(&str, &[u8])]) -> ImageDraft<'a> {
        ImageDraft {
            config: declared.platform(),
            user,
            ..ImageDraft::new(claimed.platform(), files)
        }
    }

    pub(in super::super) fn good(arch: Arch) -> ImageDraft<'static> {
        image(arch, arch, "65532:65532", &[("bifora", &program(arch))])
    }

    fn check(mut draft: Draft, manifests: &[Value]) -> Result<Found> {
        draft.index(manifests);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("image.tar");
        draft.write_tar(&path);
        archive(&path, &Arch::ALL)
    }

    fn errors_with(wrong: &ImageDraft<'_>) -> String {
        let mut draft = Draft::default();
        let images = [draft.image(&good(Arch::X86_64)), draft.image(wrong)];
        let error = check(draft, &images).err().expect("something is wrong");
        format!("{error:#}")
    }

    #[test]
    fn two_honest_images_pass() {
        let mut draft = Draft::default();
        let images = Arch::ALL.map(|arch| draft.image(&good(arch)));
        check(draft, &images).expect("nothing is wrong");
    }

    #[test]
    fn a_missing_or_doubled_platform_is_named() {
        let mut one = Draft::default();
        let images = [one.image(&good(Arch::X86_64))];
        let error = check(one, &images).err().expect("one is missing").to_string();
        assert!(error.contains("no image for linux/arm64"), "{error}");
        let error = errors_with(&image(
            Arch::X86_64,
            Arch::X86_64,
            "1",
            &[("bifora", &program(Arch::X86_64))],
        ));
        assert!(error.contains("2 images for linux/amd64"), "{error}");
    }

    #[test]
    fn what_is_beside_the_images_is_named() {
        let mut draft = Draft::default();
        let mut images = Arch::ALL.map(|arch| draft.image(&good(arch))).to_vec();
        images.push(draft.image(&ImageDraft::new("unknown/unknown", &[("a", b"x")])));
        let error = check(draft, &images).err().expect("one too many").to_string();
        assert!(error.contains("as well: it is no image"), "{error}");
    }

    #[test]
    fn a_program_for_another_machine_is_named() {
        let files: [(&str, &[u8]); 1] = [("bifora", &program(Arch::X86_64))];
        let error = errors_with(&image(Arch::Aarch64, Arch::Aarch64, "1", &files));
        assert!(
            error.contains("linux/arm64: /bifora is for x86_64, and has to be for aarch64"),
            "{error}"
        );
        let error = errors_with(&image(Arch::Aarch64, Arch::X86_64, "1", &files));
        assert!(
            error.contains("linux/arm64: its configuration and its programs are for another platform"),
            "{error}"
        );
    }

    #[test]
    fn a_configuration_that_contradicts_the_index_is_named() {
        let error = errors_with(&image(
            Arch::Aarch64,
            Arch::X86_64,
            "1",
            &[("bifora", &program(Arch::Aarch64))],
        ));
        assert!(
            error.contains("linux/arm64: its configuration says linux/amd64"),
            "{error}"
        );
    }

    #[test]
    fn root_and_names_of_users_are_refused() {
        for user in ["", "0", "root", "0:0"] {
            let error = errors_with(&image(
                Arch::Aarch64,
                Arch::Aarch64,
                user,
                &[("bifora", &program(Arch::Aarch64))],
            ));
            assert!(error.contains("has to be a number above 0"), "{user}: {error}");
        }
    }

    #[test]
    fn more_than_the_binary_and_too_large_a_binary_are_refused() {
        let files: [(&str, &[u8]); 2] = [("bifora", &program(Arch::Aarch64)), ("etc/passwd", b"x")];
        let error = errors_with(&image(Arch::Aarch64, Arch::Aarch64, "1", &files));
        assert!(error.contains("more than the binary: /etc/passwd"), "{error}");
        let mut large = program(Arch::Aarch64);
        large.resize(7_000_000, 0);
        let error = errors_with(&image(Arch::Aarch64, Arch::Aarch64, "1", &[("bifora", &large)]));
        assert!(
            error.contains("7.00 MB unpacked, and 6.00 MB is the most"),
            "{error}"
        );
    }

    #[test]
    fn a_blob_that_was_changed_is_named() {
        let mut draft = Draft::default();
        let image = draft.image(&good(Arch::X86_64));
        let digest = image["digest"].as_str().expect("a digest");
        let blob = digest.replace("sha256:", "blobs/sha256/");
        let folder = tempfile::tempdir().expect("a folder");
        draft.index(std::slice::from_ref(&image));
        draft.write_folder(folder.path());
        let path = folder.path().join(&blob);
        let changed = fs::read_to_string(&path)
            .expect("readable")
            .replace("layers", "LAYERS");
        fs::write(&path, changed).expect("writable");
        let error = archive(folder.path(), &Arch::ALL)
            .err()
            .expect("changed")
            .to_string();
        assert!(
            error.contains(&blob) && error.contains("is not what its name says"),
            "{error}"
        );
    }
}
