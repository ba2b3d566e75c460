//! An image as a file or folder: OCI's layout, or what `docker save` writes.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::elf::{Broken, Elf};
use crate::error::Error;
pub use crate::layer::{File, Visitor};
use crate::platform::Platform;
use crate::store::Store;
use crate::tree::Tree;
use crate::{layer, layout, limits, text};

/// An image as a file or folder.
#[derive(Debug)]
pub struct Archive {
    store: Store,
    name: String,
    /// How many bytes of layers may still be unpacked.
    left: Cell<u64>,
}

/// What an archive holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Digest of what the archive is named for: of the one index, or of the one manifest. `None` where there are several,
    /// and in the older form of `docker save`.
    pub root: Option<Digest>,
    /// The images, in the order in which they are named.
    pub images: Vec<Image>,
    /// What is named and is no image to look at.
    pub skipped: Vec<Skipped>,
}

/// The image of one platform.
#[derive(Debug)]
pub struct Image {
    /// What the index says; `None` where none says it.
    pub platform: Option<Platform>,
    /// Digest of its manifest; `None` in the older form of `docker save`, which has none.
    pub digest: Option<Digest>,
    /// Its configuration.
    pub config: Config,
    pub(crate) layers: Vec<Layer>,
}

/// What matters here of an image's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it is for.
    pub platform: Platform,
    /// The user, and after a colon the group; empty if there is none.
    pub user: String,
    /// The commit that it was built from, by its label.
    pub revision: Option<String>,
    /// Digests of its layers without compression.
    pub(crate) diff_ids: Option<Vec<String>>,
}

/// A layer, as it is named.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) blob: Option<(Digest, Option<u64>)>,
    pub(crate) file: Option<String>,
    pub(crate) unpacked: Option<Digest>,
}

/// Something that an index names and that is not looked at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Skipped {
    /// Its digest.
    pub digest: Digest,
    /// What the index says that it is for.
    pub platform: Option<Platform>,
    /// Why it is left out.
    pub why: Why,
}

/// Why something is left out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// How the image was built, which `BuildKit` puts beside it.
    Attestation,
    /// For no platform, or with a configuration that is none of an image.
    NoImage,
    /// The archive does not have it: `docker save` names every platform and writes those that were pulled.
    Missing,
}

/// What is in the layers of an image.
#[derive(Debug)]
pub struct Layers {
    /// Bytes of the layers as they are stored and sent.
    pub sent: u64,
    /// Bytes of the files of all layers.
    pub unpacked: u64,
    /// The programs that are visible in the end.
    pub programs: Vec<Program>,
}

/// An ELF file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Program {
    /// Its path, fit to show.
    pub path: String,
    /// Which layer it is from: its digest, or its file in the archive.
    pub layer: String,
    /// What it is for.
    pub machine: Result<Elf, Broken>,
}

impl Archive {
    /// Opens a folder or a tar file, of which nothing has to be true.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            store: Store::open(path)?,
            name: path.display().to_string(),
            left: Cell::new(limits::UNPACKED),
        })
    }

    /// Lowers how much may be unpacked.
    #[cfg(test)]
    pub(crate) fn limit(&self, bytes: u64) {
        self.left.set(bytes);
    }

    /// Reads what is claimed: indexes, manifests, configurations. Layers are not touched.
    pub fn contents(&self) -> Result<Contents, Error> {
        layout::contents(&self.store).map_err(|error| error.within(&self.name))
    }

    /// Goes through the layers of an image; `visit` sees each file of each of them.
    pub fn layers(&self, image: &Image, visit: &mut Visitor<'_>) -> Result<Layers, Error> {
        let mut tree = Tree::default();
        let (mut sent, mut unpacked) = (0, 0);
        for (number, layer) in image.layers.iter().enumerate() {
            let section = match (&layer.blob, &layer.file) {
                (Some((digest, size)), _) => self.store.blob(digest, *size),
                (None, file) => self.store.find(file.as_deref().unwrap_or_default()),
            };
            let missing = || Error::new(format!("layer {}", layer.name), "it is named, and not there");
            let read = section.and_then(|section| {
                let section = section.ok_or_else(missing)?;
                sent += section.size();
                layer::read(
                    section,
                    &layer.name,
                    (number, &mut tree),
                    layer.unpacked.as_ref(),
                    &self.left,
                    &mut |file, content| {
                        unpacked += file.size;
                        visit(file, content)
                    },
                )
            });
            read.map_err(|error| error.within(&self.name))?;
        }
        let programs = tree.programs().map(|(path, layer, machine)| Program {
            path: text::path(path),
            layer: image.layers[layer].name.clone(),
            machine,
        });
        Ok(Layers {
            sent,
            unpacked,
            programs: programs.collect(),
        })
    }
}

impl Image {
    /// What it is for: what the index says, or where none says so its configuration.
    pub fn claim(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.config.platform)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attestation => "it is an attestation, and no image",
            Self::NoImage => "it is no image",
            Self::Missing => "it is not in this archive",
        })
    }
}
