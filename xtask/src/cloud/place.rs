//! Where the local cloud keeps what it downloads and what it runs.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::terminal;

/// The folders of the local cloud: one for each user of the machine, whichever checkout it is started from.
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// `BIFORA_CACHE`, else `bifora` in `XDG_CACHE_HOME` or in `~/.cache`.
    pub(crate) fn find() -> Result<Self> {
        let folder = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let root = folder("BIFORA_CACHE")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("bifora")))
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/bifora")))
            .context("no folder to keep downloads in: set BIFORA_CACHE to an absolute path")?;
        Ok(Self {
            root: root.join("cloud"),
        })
    }

    /// Everything.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The container engine, unpacked.
    pub(crate) fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }

    /// The Python packages of the local AWS.
    pub(crate) fn python(&self) -> PathBuf {
        self.root.join("python")
    }

    /// Certificates of the names that are played here.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// Images and build cache of the engine.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What is only there while something runs: sockets, process ids, logs.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// A file of [`Self::run`].
    pub(crate) fn run_file(&self, name: &str) -> PathBuf {
        self.run().join(name)
    }

    /// Makes the folders, for this user alone.
    pub(crate) fn create(&self) -> Result<()> {
        for folder in [self.root.clone(), self.run(), self.tls()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }

    /// Fails, naming the folder, where less than `bytes` are free.
    pub(crate) fn require_space(&self, bytes: u64) -> Result<()> {
        let existing = self
            .root
            .ancestors()
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("/"));
        let space = rustix::fs::statvfs(existing)
            .with_context(|| format!("cannot ask how much is free in {}", existing.display()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < bytes {
            bail!(
                "{} has {} free, and {} are needed; BIFORA_CACHE chooses another folder",
                existing.display(),
                terminal::megabytes(free),
                terminal::megabytes(bytes)
            );
        }
        Ok(())
    }

    /// Sees to it that only one command at a time starts or stops things. Held until the returned file is dropped.
    pub(crate) fn lock(&self) -> Result<fs::File> {
        self.create()?;
        let path = self.root.join("lock");
        let file = fs::File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => bail!(
                "another command is starting or stopping the local cloud right now; wait until it is done"
            ),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}
