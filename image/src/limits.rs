//! How much of an image is looked at, so that one that was made to harm can do none. Far above what honest ones have.

/// Bytes of an index, a manifest or a configuration. Registries take manifests of up to 4 MiB.
pub const DOCUMENT: u64 = 4 << 20;

/// Files of an archive.
pub const FILES: usize = 100_000;

/// Manifests and indexes of an archive.
pub const MANIFESTS: usize = 1_000;

/// Layers of an image. Engines take 127.
pub const LAYERS: usize = 500;

/// Bytes of all layers of an archive, as they are stored and unpacked.
pub const UNPACKED: u64 = 64 << 30;

/// Bytes of a path, of the target of a link, and of what else is said of a file before its content.
pub const HEADERS: u64 = 1 << 20;

/// Bytes of the paths of programs and symbolic links of an image.
pub const PATHS: usize = 64 << 20;

/// Symbolic links on the way to one file, as in the kernel.
pub const LINKS: usize = 40;

/// Indexes in indexes.
pub const DEPTH: usize = 4;

/// Parts of paths and files in hidden folders that are looked at; an image of a million files has some ten million.
pub const STEPS: u64 = 200_000_000;
