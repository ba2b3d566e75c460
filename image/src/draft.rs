//! Images to test with, written file by file, so that a test can get one thing wrong.

#![allow(
    clippy::missing_panics_doc,
    reason = "whatever fails here is a test that fails"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::elf::Elf;

/// The files of an image.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    files: Vec<(String, Vec<u8>)>,
}

/// An image that is to be written.
#[derive(Clone, Debug)]
pub struct ImageDraft<'a> {
    /// What the index claims, such as `linux/arm64`; nothing if it is empty.
    pub index: &'a str,
    /// What the configuration claims.
    pub config: &'a str,
    /// Its user.
    pub user: &'a str,
    /// The commit, by its label; nothing if it is empty.
    pub revision: &'a str,
    /// Its layers, the lowest first; [`layer`] makes one.
    pub layers: Vec<Vec<u8>>,
}

impl<'a> ImageDraft<'a> {
    /// An image with one layer, for which index and configuration claim the same.
    pub fn new(platform: &'a str, files: &[(&str, &[u8])]) -> Self {
        Self {
            index: platform,
            config: platform,
            user: "65532:65532",
            revision: "",
            layers: vec![layer(files)],
        }
    }
}

impl Draft {
    /// Adds a file.
    pub fn add(&mut self, path: &str, content: &[u8]) {
        self.files.push((path.to_owned(), content.to_vec()));
    }

    /// Adds a blob, and gives its descriptor.
    pub fn blob(&mut self, content: &[u8]) -> Value {
        let digest = Digest::of(content);
        let path = format!("blobs/sha256/{}", digest.hex());
        if self.files.iter().all(|(other, _)| *other != path) {
            self.add(&path, content);
        }
        json!({ "digest": digest, "size": content.len() })
    }

    /// Adds a document as a blob, and gives its descriptor.
    pub fn document(&mut self, document: &Value) -> Value {
        self.blob(document.to_string().as_bytes())
    }

    /// Adds an image, and gives the descriptor of its manifest.
    pub fn image(&mut self, image: &ImageDraft<'_>) -> Value {
        let layers: Vec<_> = image.layers.iter().map(|layer| self.blob(layer)).collect();
        let config = self.document(&configuration(image));
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let mut descriptor = self.document(&manifest);
        if !image.index.is_empty() {
            descriptor["platform"] = platform(image.index);
        }
        descriptor
    }

    /// Adds an index of these manifests and makes it what the layout is of. Gives its digest.
    pub fn index(&mut self, manifests: &[Value]) -> Digest {
        let index = self.document(&json!({ "schemaVersion": 2, "manifests": manifests }));
        self.top(std::slice::from_ref(&index));
        let digest = index["digest"].as_str().and_then(|digest| digest.parse().ok());
        digest.expect("just made")
    }

    /// Makes these manifests what the layout is of.
    pub fn top(&mut self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        self.add("index.json", index.to_string().as_bytes());
    }

    /// Adds images as `docker save` did before it wrote OCI's layout: `folder/layer.tar` and a list.
    pub fn docker_save(&mut self, images: &[ImageDraft<'_>]) {
        let mut list = Vec::new();
        for (number, image) in images.iter().enumerate() {
            let config = configuration(image).to_string();
            let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
            self.add(&name, config.as_bytes());
            let mut layers = Vec::new();
            for (layer, content) in image.layers.iter().enumerate() {
                layers.push(format!("{number}-{layer}/layer.tar"));
                self.add(&layers[layer], content);
            }
            list.push(json!({ "Config": name, "RepoTags": ["example:latest"], "Layers": layers }));
        }
        self.add("manifest.json", json!(list).to_string().as_bytes());
    }

    /// As a tar file in memory.
    pub fn tar(&self) -> Vec<u8> {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
            .collect();
        layer(&files)
    }

    /// As a tar file.
    pub fn write_tar(&self, path: &Path) {
        fs::write(path, self.tar()).expect("the file can be written");
    }

    /// As a folder.
    pub fn write_folder(&self, folder: &Path) {
        for (path, content) in &self.files {
            let path = folder.join(path);
            let parent = path.parent().expect("a file is in a folder");
            fs::create_dir_all(parent).expect("the folder can be made");
            fs::write(path, content).expect("the file can be written");
        }
    }
}

/// A layer of these files. A name with ` -> ` in it is a symbolic link, one with ` = ` a hard link, one that ends with `/`
/// a folder.
pub fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        let links = [(" -> ", tar::EntryType::Symlink), (" = ", tar::EntryType::Link)];
        let link = links
            .iter()
            .find_map(|(sign, kind)| Some((path.split_once(sign)?, *kind)));
        let written = if let Some(((path, target), kind)) = link {
            header.set_entry_type(kind);
            builder.append_link(&mut header, path, target)
        } else {
            if path.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            builder.append_data(&mut header, path, *content)
        };
        written.expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

/// The same, compressed.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

/// The head of an ELF file that has nothing else.
pub fn program(elf: Elf) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..4].copy_from_slice(b"\x7fELF");
    head[4..7].copy_from_slice(&[elf.bits / 32, if elf.little_endian { 1 } else { 2 }, 1]);
    let machine = if elf.little_endian {
        elf.machine.to_le_bytes()
    } else {
        elf.machine.to_be_bytes()
    };
    head[18..20].copy_from_slice(&machine);
    head
}

/// `linux/arm64/v8` as documents have it.
pub fn platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let mut part = || parts.next().map(str::to_owned);
    let (os, architecture, variant) = (part(), part(), part());
    let mut platform = json!({ "os": os, "architecture": architecture });
    if let Some(variant) = variant {
        platform["variant"] = variant.into();
    }
    platform
}

fn configuration(image: &ImageDraft<'_>) -> Value {
    let mut config = platform(image.config);
    config["config"] = json!({ "User": image.user });
    if !image.revision.is_empty() {
        config["config"]["Labels"] = json!({ "org.opencontainers.image.revision": image.revision });
    }
    let diff_ids: Vec<_> = image
        .layers
        .iter()
        .map(|layer| Digest::of(&unpacked(layer)))
        .collect();
    config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
    config
}

fn unpacked(layer: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let read = std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(layer), &mut content);
    read.map_or_else(|_| layer.to_vec(), |_| content)
}
