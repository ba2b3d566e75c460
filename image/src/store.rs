//! Where the files of an image are: in a folder, or in a tar file, which is read where it lies.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::entries::{self, Kind};
use crate::error::Error;
use crate::limits;
use crate::text::shown;

/// The files of an image, by their names from its root: `index.json`, `blobs/sha256/…`.
#[derive(Debug)]
pub(crate) enum Store {
    /// The root, without symbolic links.
    Folder(PathBuf),
    Tar(File, HashMap<String, Place>),
}

/// A file in a tar file.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    At {
        start: u64,
        size: u64,
    },
    /// `docker save` once wrote a layer that two images share as a link to it.
    Link(String),
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io(path.display().to_string(), &error);
        let kind = fs::metadata(path).map_err(failed)?;
        if kind.is_dir() {
            return Ok(Self::Folder(fs::canonicalize(path).map_err(failed)?));
        }
        let wrong = |problem: &str| Error::new(path.display().to_string(), problem);
        if !kind.is_file() {
            return Err(wrong(
                "it is neither a folder nor a file: save the image to a file, which can be read more than once",
            ));
        }
        let file = File::open(path).map_err(failed)?;
        if let Some(name) = compression(&Section::whole(&file).map_err(failed)?.head()) {
            return Err(wrong(&format!("it is compressed with {name}: unpack it first")));
        }
        let places = places(&file).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong("it is no tar file, or breaks off"),
            _ => wrong(&format!(
                "it is no folder, and no tar file that can be read: {}",
                shown(&error.to_string())
            )),
        })?;
        Ok(Self::Tar(file, places))
    }

    /// Opens a file of the image; `None` if there is none.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Section>, Error> {
        let failed = |error: io::Error| Error::io(shown(name), &error);
        match self {
            Self::Folder(root) => in_folder(root, name).map_err(failed),
            Self::Tar(file, places) => {
                let mut name = name.to_owned();
                for _ in 0..limits::LINKS {
                    match places.get(&name) {
                        None => return Ok(None),
                        Some(Place::Link(target)) => name.clone_from(target),
                        Some(Place::At { start, size }) => {
                            let file = file.try_clone().map_err(failed)?;
                            return Ok(Some(Section::new(file, *start, *size)));
                        }
                    }
                }
                Err(Error::new(shown(&name), "its links lead in a circle"))
            }
        }
    }

    /// Opens a file that has to be there.
    pub(crate) fn get(&self, name: &str) -> Result<Section, Error> {
        self.find(name)?
            .ok_or_else(|| Error::new(shown(name), "it is named, and not there"))
    }

    /// Reads a file, if it is there and a document.
    pub(crate) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut section) = self.find(name)? else {
            return Ok(None);
        };
        section.document(name).map(Some)
    }

    /// Opens the blob of a digest, which its content has been found to have. `None` if it is not there.
    pub(crate) fn blob(&self, digest: &Digest, size: Option<u64>) -> Result<Option<Section>, Error> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let Some(section) = self.find(&name)? else {
            return Ok(None);
        };
        if let Some(size) = size.filter(|size| *size != section.size()) {
            let problem = format!(
                "it has {} bytes, and whoever names it says {size}",
                section.size()
            );
            return Err(Error::new(name, problem));
        }
        section.require(digest, &name)?;
        Ok(Some(section))
    }
}

/// The files of a tar file.
fn places(file: &File) -> io::Result<HashMap<String, Place>> {
    let whole = Section::whole(file)?;
    let length = whole.size();
    let mut places = HashMap::new();
    let mut any = false;
    entries::each(BufReader::with_capacity(64 * 1024, whole), &mut |entry| {
        any = true;
        let place = match &entry.kind {
            Kind::File => Place::At {
                start: entry.position,
                size: entry.size,
            },
            // A link in an archive that has been unpacked would lead from the folder that it is in.
            Kind::Symlink(target) => Place::Link(join(parent(&entry.path), target)?),
            Kind::Hardlink(target) => Place::Link(join(b"", target)?),
            Kind::Directory | Kind::Other => return Ok(()),
        };
        if entry
            .position
            .checked_add(entry.size)
            .is_none_or(|end| end > length)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let name = join(b"", &entry.path)?;
        let name_shown = shown(&name);
        if places.len() >= limits::FILES {
            return Err(io::Error::other(format!(
                "it has more than {} files",
                limits::FILES
            )));
        }
        match places.insert(name, place) {
            None => Ok(()),
            // Which of them is meant depends on who reads.
            Some(_) => Err(io::Error::other(format!("it has {name_shown} twice"))),
        }
    })?;
    if any {
        Ok(places)
    } else {
        Err(io::Error::other("it is empty"))
    }
}

/// The way from the root, without `.` and `..`; an error where it would lead out.
pub(crate) fn join(from: &[u8], path: &[u8]) -> io::Result<String> {
    let out = || io::Error::other(format!("the path {} leads out", crate::text::path(path)));
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in from.split(|&b| b == b'/').chain(path.split(|&b| b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(out)?;
            }
            part => parts.push(part),
        }
    }
    if parts.iter().map(|part| part.len() + 1).sum::<usize>() > 4096 {
        return Err(io::Error::other("a path is longer than 4096 bytes"));
    }
    let text = String::from_utf8(parts.join(&b'/'));
    text.map_err(|_| io::Error::other(format!("the path {} is no text", crate::text::path(path))))
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..end]
}

/// Opens a file below `root`, which no symbolic link leads out of.
fn in_folder(root: &Path, name: &str) -> io::Result<Option<Section>> {
    let path = match fs::canonicalize(root.join(join(b"", name.as_bytes())?)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        path => path?,
    };
    if !path.starts_with(root) {
        return Err(io::Error::other("it is a link that leads out of the folder"));
    }
    // Before it is opened: to open a pipe would wait for somebody to write.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok(Some(Section::new(file, 0, size)))
}

/// What a file is compressed with, by its first bytes.
pub(crate) fn compression(head: &[u8]) -> Option<&'static str> {
    [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
    ]
    .into_iter()
    .find_map(|(magic, name)| head.starts_with(magic).then_some(name))
}

/// A part of a file, or all of it, with a position of its own.
#[derive(Debug)]
pub(crate) struct Section {
    file: File,
    start: u64,
    at: u64,
    end: u64,
}

impl Section {
    fn new(file: File, start: u64, size: u64) -> Self {
        Self {
            file,
            start,
            at: start,
            end: start + size,
        }
    }

    fn whole(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self::new(file.try_clone()?, 0, size))
    }

    pub(crate) fn size(&self) -> u64 {
        self.end - self.start
    }

    /// The first bytes, which are read again afterwards.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = vec![0; usize::try_from(self.size().min(8)).unwrap_or(8)];
        // What cannot be read has no head, and whoever reads on is told why.
        if self.file.read_exact_at(&mut head, self.start).is_err() {
            head.clear();
        }
        head
    }

    /// Fails unless the whole content has this digest; it is read from its beginning afterwards.
    pub(crate) fn require(&self, digest: &Digest, name: &str) -> Result<(), Error> {
        let again = || Ok(Self::new(self.file.try_clone()?, self.start, self.size()));
        let found = again().and_then(|mut section| Digest::of_reader(&mut section));
        let found = found.map_err(|error| Error::io(shown(name), &error))?;
        if found == *digest {
            return Ok(());
        }
        let problem = format!("it is not what its name says: its digest is {found}");
        Err(Error::new(shown(name), problem))
    }

    /// All of it, if it is a document.
    pub(crate) fn document(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        if self.size() > limits::DOCUMENT {
            let problem = format!(
                "it has {} bytes, and {} is the most",
                self.size(),
                limits::DOCUMENT
            );
            return Err(Error::new(shown(name), problem));
        }
        let mut content = Vec::new();
        let read = self.read_to_end(&mut content);
        read.map_err(|error| Error::io(shown(name), &error))?;
        Ok(content)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if count == 0 && wanted > 0 {
            // It has become shorter since it was opened.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn content(store: &Store, name: &str) -> Option<Vec<u8>> {
        store.document(name).expect("readable")
    }

    fn error(store: &Store, name: &str) -> String {
        store.document(name).expect_err("refused").to_string()
    }

    #[test]
    fn folders_keep_what_they_hold_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("image");
        fs::create_dir(&root).expect("creatable");
        fs::write(folder.path().join("secret"), "outside").expect("writable");
        fs::write(root.join("index.json"), "inside").expect("writable");
        symlink("index.json", root.join("same")).expect("possible");
        symlink("../secret", root.join("out")).expect("possible");
        symlink("loop", root.join("loop")).expect("possible");
        let pipe = Command::new("mkfifo").arg(root.join("pipe")).status();
        assert!(pipe.expect("there is mkfifo").success());
        fs::create_dir(root.join("folder")).expect("creatable");
        let store = Store::open(&root).expect("a folder");
        assert_eq!(content(&store, "index.json").as_deref(), Some(&b"inside"[..]));
        assert_eq!(content(&store, "same").as_deref(), Some(&b"inside"[..]));
        assert_eq!(content(&store, "missing"), None);
        assert!(
            error(&store, "out").contains("leads out"),
            "{}",
            error(&store, "out")
        );
        assert!(error(&store, "../secret").contains("leads out"));
        assert!(error(&store, "loop").contains("loop: "));
        for no_file in ["pipe", "folder"] {
            assert!(
                error(&store, no_file).contains("it is no file"),
                "{}",
                error(&store, no_file)
            );
        }
    }

    #[test]
    fn tar_files_are_read_where_they_lie() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image.tar");
        let write = |links: &[(&str, &str)], files: &[(&str, &[u8])]| {
            let mut builder = tar::Builder::new(Vec::new());
            for (name, content) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                builder
                    .append_data(&mut header, name, *content)
                    .expect("in memory");
            }
            for (name, target) in links {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).expect("in memory");
            }
            fs::write(&path, builder.into_inner().expect("in memory")).expect("writable");
            Store::open(&path)
        };
        let store = write(
            &[("b/layer.tar", "../a/layer.tar"), ("c", "d"), ("d", "c")],
            &[("a/layer.tar", b"layer"), ("./index.json", b"{}")],
        );
        let store = store.expect("a tar file");
        for name in ["a/layer.tar", "b/layer.tar"] {
            assert_eq!(content(&store, name).as_deref(), Some(&b"layer"[..]), "{name}");
        }
        assert_eq!(content(&store, "index.json").as_deref(), Some(&b"{}"[..]));
        assert_eq!(content(&store, "missing"), None);
        assert!(error(&store, "c").contains("in a circle"));

        let twice = write(&[], &[("a", b"1"), ("./a", b"2")]).expect_err("ambiguous");
        assert!(twice.to_string().contains("has a twice"), "{twice}");
        let out = write(&[("a", "../../etc/passwd")], &[]).expect_err("leads out");
        assert!(out.to_string().contains("leads out"), "{out}");
        let name = path.display().to_string();
        for (content, part) in [
            (
                &b"no tar file, and longer than one header would be"[..],
                "no tar file",
            ),
            (&[0; 10_240], "it is empty"),
            (b"", "it is empty"),
            (b"\x1f\x8b\x08", "compressed with gzip: unpack it first"),
            (b"\x28\xb5\x2f\xfd\0", "compressed with zstd"),
        ] {
            fs::write(&path, content).expect("writable");
            let error = Store::open(&path).expect_err(part).to_string();
            assert!(error.starts_with(&name) && error.contains(part), "{error}");
        }
        let error = Store::open(Path::new("/dev/zero"))
            .expect_err("endless")
            .to_string();
        assert!(error.contains("neither a folder nor a file"), "{error}");
        let error = Store::open(&folder.path().join("no"))
            .expect_err("missing")
            .to_string();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn what_breaks_off_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image.tar");
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5_000);
        builder
            .append_data(&mut header, "a", &[1; 5_000][..])
            .expect("in memory");
        let whole = builder.into_inner().expect("in memory");
        for length in [100, 600, 5_000] {
            fs::write(&path, &whole[..length]).expect("writable");
            let error = Store::open(&path).expect_err("cut").to_string();
            assert!(
                error.contains("breaks off") || error.contains("no tar file"),
                "{length}: {error}"
            );
        }
    }
}
