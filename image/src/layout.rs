//! What the documents of an image claim: indexes, manifests and configurations in OCI's layout, or `manifest.json` of
//! `docker save`.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>, and for the other
//! <https://github.com/moby/moby/blob/v24.0.0/image/spec/v1.2.md>

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::archive::{Config, Contents, Image, Layer, Skipped, Why};
use crate::digest::Digest;
use crate::error::Error;
use crate::limits;
use crate::platform::Platform;
use crate::store::{self, Store};
use crate::text::shown;

/// An index or a manifest.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// How a document names a blob.
#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    size: Option<u64>,
    platform: Option<Platform>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<String>,
}

/// A configuration.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    config: Option<Start>,
    rootfs: Option<RootFs>,
}

/// How an image is started.
#[derive(Default, Deserialize)]
struct Start {
    #[serde(rename = "User")]
    user: Option<String>,
    #[serde(rename = "Labels")]
    labels: Option<Labels>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(rename = "org.opencontainers.image.revision")]
    revision: Option<String>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<String>>,
}

impl From<Configuration> for Config {
    fn from(read: Configuration) -> Self {
        let start = read.config.unwrap_or_default();
        Self {
            platform: Platform {
                os: read.os,
                architecture: read.architecture,
                variant: read.variant,
            },
            user: start.user.unwrap_or_default(),
            revision: start.labels.and_then(|labels| labels.revision),
            diff_ids: read.rootfs.and_then(|rootfs| rootfs.diff_ids),
        }
    }
}

/// An image in `manifest.json`.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Option<Vec<String>>,
}

/// The images of a folder or a tar file.
pub(crate) fn contents(store: &Store) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    if let Some(index) = store.document("index.json")? {
        let mut reader = Reader {
            store,
            contents: &mut contents,
            seen: HashSet::new(),
            documents: 0,
        };
        reader.first_index(&index)?;
    } else if let Some(saved) = store.document("manifest.json")? {
        let saved: Vec<Saved> = parse(&saved, "manifest.json")?;
        if saved.len() > limits::MANIFESTS {
            return Err(too_many("manifest.json"));
        }
        for image in saved {
            contents.images.push(of_docker_save(store, &image)?);
        }
    } else {
        let problem =
            "it has neither index.json (an OCI layout) nor manifest.json (docker save): it is no image";
        return Err(Error::new("the root", problem));
    }
    if !contents.images.is_empty() {
        return Ok(contents);
    }
    let problem = match contents.skipped.first() {
        None => "it names no image".to_owned(),
        Some(skipped) => format!(
            "it names no image that is there; {} is left out: {}",
            skipped.digest, skipped.why
        ),
    };
    Err(Error::new("the index", problem))
}

struct Reader<'a> {
    store: &'a Store,
    contents: &'a mut Contents,
    /// Each is read once for each platform that it is named for.
    seen: HashSet<(Digest, String)>,
    documents: usize,
}

impl Reader<'_> {
    fn first_index(&mut self, index: &[u8]) -> Result<(), Error> {
        let Document {
            manifests: Some(manifests),
            config: None,
            layers: None,
        } = parse(index, "index.json")?
        else {
            return Err(Error::new(
                "index.json",
                "it has no list of manifests, or more than that",
            ));
        };
        // The same under two tags is there twice.
        let first = manifests.first().map(|first| first.digest.clone());
        let only = first.filter(|first| manifests.iter().all(|other| other.digest == *first));
        self.index(manifests, "index.json", 1)?;
        self.contents.root = only.map(|digest| digest_of(&digest, "index.json")).transpose()?;
        Ok(())
    }

    fn index(&mut self, manifests: Vec<Descriptor>, name: &str, depth: usize) -> Result<(), Error> {
        if depth > limits::DEPTH {
            let problem = format!("indexes in indexes, more than {} of them", limits::DEPTH);
            return Err(Error::new(shown(name), problem));
        }
        for descriptor in manifests {
            self.documents += 1;
            if self.documents > limits::MANIFESTS {
                return Err(too_many(name));
            }
            let digest = digest_of(&descriptor.digest, name)?;
            let platform = descriptor.platform.as_ref();
            let key = (
                digest.clone(),
                platform.map(ToString::to_string).unwrap_or_default(),
            );
            if self.seen.insert(key) {
                self.named(digest, descriptor, depth)?;
            }
        }
        Ok(())
    }

    /// What an index names: another index, an image, or something that is left out.
    fn named(&mut self, digest: Digest, descriptor: Descriptor, depth: usize) -> Result<(), Error> {
        let platform = descriptor.platform;
        let annotations = descriptor.annotations;
        let reference_type = annotations.and_then(|annotations| annotations.reference_type);
        let mut skip = |why| {
            self.contents.skipped.push(Skipped {
                digest: digest.clone(),
                platform: platform.clone(),
                why,
            });
            Ok(())
        };
        // No engine starts what is for this platform, and so there is nothing to hide in it.
        if platform.as_ref().is_some_and(Platform::is_unknown) {
            let is_attestation = reference_type.is_some_and(|of| of == "attestation-manifest");
            return skip(if is_attestation {
                Why::Attestation
            } else {
                Why::NoImage
            });
        }
        let place = format!("manifest {digest}");
        let Some(mut blob) = self.store.blob(&digest, descriptor.size)? else {
            return skip(Why::Missing);
        };
        let document: Document = parse(&blob.document(&place)?, &place)?;
        match document {
            Document {
                manifests: Some(manifests),
                config: None,
                layers: None,
            } => self.index(manifests, &place, depth + 1),
            Document {
                manifests: None,
                config: Some(config),
                layers: Some(layers),
            } => {
                if platform.is_none() && config.media_type.as_deref().is_some_and(is_no_image) {
                    return skip(Why::NoImage);
                }
                let image = self.image(digest, platform, &config, &layers);
                self.contents
                    .images
                    .push(image.map_err(|error| error.within(&place))?);
                Ok(())
            }
            // What is both would be read as one by some programs and as the other by others.
            _ => {
                let problem = "it is neither an index (manifests) nor a manifest (config and layers)";
                Err(Error::new(place, problem))
            }
        }
    }

    fn image(
        &self,
        digest: Digest,
        platform: Option<Platform>,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Image, Error> {
        let config_digest = digest_of(&config.digest, "config")?;
        let place = format!("configuration {config_digest}");
        let missing = || Error::new(place.clone(), "it is named, and not there");
        let mut blob = self
            .store
            .blob(&config_digest, config.size)?
            .ok_or_else(missing)?;
        let config: Config = parse::<Configuration>(&blob.document(&place)?, &place)?.into();
        let diff_ids = diff_ids(&config, layers.len(), &place)?;
        let layers = layers.iter().enumerate().map(|(number, layer)| {
            let digest = digest_of(&layer.digest, "layers")?;
            if layer
                .media_type
                .as_deref()
                .is_some_and(|of| of.contains("encrypted"))
            {
                return Err(Error::new(format!("layer {digest}"), "it is encrypted"));
            }
            Ok(Layer {
                name: digest.to_string(),
                blob: Some((digest, layer.size)),
                file: None,
                unpacked: diff_ids.get(number).cloned(),
            })
        });
        Ok(Image {
            layers: layers.collect::<Result<_, _>>()?,
            platform,
            digest: Some(digest),
            config,
        })
    }
}

/// Whether a configuration's media type says that it is of something else than an image, such as a signature.
fn is_no_image(media_type: &str) -> bool {
    ![
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    ]
    .contains(&media_type)
}

fn of_docker_save(store: &Store, saved: &Saved) -> Result<Image, Error> {
    let place = format!("configuration {}", shown(&saved.config));
    let name = name_of(&saved.config)?;
    let mut section = store.get(&name)?;
    // Its name is its digest, wherever the engine put it.
    let base = name.rsplit('/').next().unwrap_or(&name);
    let base = base.strip_suffix(".json").unwrap_or(base);
    if let Ok(digest) = format!("sha256:{base}").parse() {
        section.require(&digest, &name)?;
    }
    let config: Config = parse::<Configuration>(&section.document(&name)?, &place)?.into();
    let files = saved.layers.as_deref().unwrap_or_default();
    let diff_ids = diff_ids(&config, files.len(), &place)?;
    if diff_ids.len() != files.len() {
        return Err(Error::new(
            place,
            "it has no digests of its layers (rootfs.diff_ids)",
        ));
    }
    let layers = files.iter().zip(diff_ids).map(|(file, unpacked)| {
        Ok(Layer {
            name: shown(file),
            blob: None,
            file: Some(name_of(file)?),
            unpacked: Some(unpacked),
        })
    });
    Ok(Image {
        platform: None,
        digest: None,
        layers: layers.collect::<Result<_, _>>()?,
        config,
    })
}

/// The digests of the unpacked layers, one for each or none at all.
fn diff_ids(config: &Config, layers: usize, place: &str) -> Result<Vec<Digest>, Error> {
    if layers > limits::LAYERS {
        let problem = format!(
            "the image has {layers} layers, and {} is the most",
            limits::LAYERS
        );
        return Err(Error::new(place, problem));
    }
    let Some(named) = &config.diff_ids else {
        return Ok(Vec::new());
    };
    if named.len() != layers {
        let problem = format!(
            "it has digests of {} layers, and the image has {layers}",
            named.len()
        );
        return Err(Error::new(place, problem));
    }
    named.iter().map(|text| digest_of(text, place)).collect()
}

fn name_of(path: &str) -> Result<String, Error> {
    store::join(b"", path.as_bytes()).map_err(|error| Error::io("manifest.json", &error))
}

fn digest_of(text: &str, place: &str) -> Result<Digest, Error> {
    text.parse()
        .map_err(|error| Error::new(shown(place), format!("it names `{}`: {error}", shown(text))))
}

fn too_many(place: &str) -> Error {
    let problem = format!("more than {} manifests are named", limits::MANIFESTS);
    Error::new(shown(place), problem)
}

fn parse<T: DeserializeOwned>(content: &[u8], place: &str) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|error| {
        Error::new(
            shown(place),
            format!("it is not what it should be: {}", shown(&error.to_string())),
        )
    })
}
