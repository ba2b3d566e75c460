//! An image in the layout that OCI defines, from a file that `docker save` or a builder wrote.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// No file of an archive that is looked at here is larger: images of Bifora have some 3 MB.
const LARGEST: u64 = 100_000_000;

/// The files of an archive.
pub(super) struct Archive {
    files: HashMap<String, Vec<u8>>,
}

/// The image of one platform.
pub(super) struct Image {
    /// What the index says: `linux/amd64`. None where there is no index that says it.
    pub(super) platform: Option<String>,
    /// Digest of its manifest.
    pub(super) digest: String,
    /// Its configuration.
    pub(super) config: Value,
    /// Bytes of its layers as they are stored and sent.
    pub(super) compressed: u64,
    /// The files of its layers.
    pub(super) files: Vec<ImageFile>,
}

/// A file of an image, of any layer.
pub(super) struct ImageFile {
    /// Path from the root of the image, without a slash at its beginning.
    pub(super) path: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// The whole content of an ELF file; empty for others.
    pub(super) elf: Vec<u8>,
}

impl Archive {
    /// Reads the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut files = HashMap::new();
        let mut archive = tar::Archive::new(file);
        for entry in archive
            .entries()
            .with_context(|| format!("{} is not a tar file", path.display()))?
        {
            let mut entry = entry.with_context(|| format!("{} is not a whole tar file", path.display()))?;
            if entry.header().entry_type().is_file() {
                let name = entry.path()?.display().to_string();
                ensure!(
                    entry.size() <= LARGEST,
                    "{name} in {} is too large to look at",
                    path.display()
                );
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                files.insert(name.trim_start_matches("./").to_owned(), content);
            }
        }
        if !files.contains_key("index.json") {
            bail!(
                "{} has no index.json: it is not in the OCI layout",
                path.display()
            );
        }
        Ok(Self { files })
    }

    /// The images of all platforms.
    pub(super) fn images(&self) -> Result<Vec<Image>> {
        let index = serde_json::from_slice(&self.files["index.json"]).context("index.json is not JSON")?;
        let mut images = Vec::new();
        self.collect(&index, 0, &mut images)?;
        Ok(images)
    }

    fn collect(&self, index: &Value, depth: usize, images: &mut Vec<Image>) -> Result<()> {
        ensure!(depth < 4, "indexes name each other in a circle");
        for descriptor in index["manifests"]
            .as_array()
            .context("an index has no manifests")?
        {
            let digest = text(descriptor, "digest")?;
            let manifest: Value = serde_json::from_slice(self.blob(digest)?)
                .with_context(|| format!("the manifest {digest} is not JSON"))?;
            if manifest.get("manifests").is_some() {
                self.collect(&manifest, depth + 1, images)?;
            } else {
                images.push(self.image(digest, descriptor, &manifest)?);
            }
        }
        Ok(())
    }

    fn image(&self, digest: &str, descriptor: &Value, manifest: &Value) -> Result<Image> {
        let platform = descriptor.get("platform").map(|platform| {
            let field = |name: &str| platform[name].as_str().unwrap_or("?").to_owned();
            format!("{}/{}", field("os"), field("architecture"))
        });
        let config = text(&manifest["config"], "digest")?;
        let config = serde_json::from_slice(self.blob(config)?)
            .with_context(|| format!("the configuration {config} is not JSON"))?;
        let mut image = Image {
            platform,
            digest: digest.to_owned(),
            config,
            compressed: 0,
            files: Vec::new(),
        };
        for layer in manifest["layers"]
            .as_array()
            .context("a manifest has no layers")?
        {
            let digest = text(layer, "digest")?;
            let blob = self.blob(digest)?;
            image.compressed += blob.len() as u64;
            let files = files_of_layer(blob).with_context(|| format!("the layer {digest} cannot be read"))?;
            image.files.extend(files);
        }
        Ok(image)
    }

    /// The content that a digest names, which has to have that digest.
    fn blob(&self, digest: &str) -> Result<&[u8]> {
        let hash = digest
            .strip_prefix("sha256:")
            .with_context(|| format!("{digest} is not a SHA-256 digest"))?;
        let content = self
            .files
            .get(&format!("blobs/sha256/{hash}"))
            .with_context(|| format!("{digest} is named, but not in the archive"))?;
        let found = hex(&Sha256::digest(content));
        ensure!(
            found == hash,
            "blobs/sha256/{hash} is not what its name says: its digest is {found}"
        );
        Ok(content)
    }
}

fn files_of_layer(blob: &[u8]) -> Result<Vec<ImageFile>> {
    let reader: Box<dyn Read + '_> = if blob.starts_with(&[0x1f, 0x8b]) {
        Box::new(GzDecoder::new(blob))
    } else {
        Box::new(blob)
    };
    let mut files = Vec::new();
    for entry in tar::Archive::new(reader.take(LARGEST)).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry
            .path()?
            .display()
            .to_string()
            .trim_start_matches("./")
            .to_owned();
        let mut elf = Vec::new();
        entry.by_ref().take(4).read_to_end(&mut elf)?;
        if elf == *b"\x7fELF" {
            entry.read_to_end(&mut elf)?;
        } else {
            elf.clear();
        }
        files.push(ImageFile {
            path,
            size: entry.size(),
            elf,
        });
    }
    Ok(files)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("a descriptor has no {name}"))
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // A string can always grow.
        write!(text, "{byte:02x}").ok();
    }
    text
}
