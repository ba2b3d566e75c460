//! A layer of an image, gone through once as a stream.

use std::cell::Cell;
use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

use crate::digest::{Digest, Hasher};
use crate::elf::{Elf, HEAD};
use crate::entries::{self, Kind};
use crate::error::Error;
use crate::limits;
use crate::store::{Section, compression};
use crate::tree::Tree;

/// A file in a layer, with its path from the root of the image.
#[derive(Debug)]
pub struct File<'a> {
    /// Path as it stands in the layer, without `./` or `/` at its beginning.
    pub path: &'a str,
    /// Size in bytes; of a link 0.
    pub size: u64,
}

/// Sees each file of a layer that is no folder, with its content.
pub type Visitor<'a> = dyn FnMut(File<'_>, &mut dyn Read) -> io::Result<()> + 'a;

/// Goes through a layer. `unpacked` is the digest that its content has to have without compression; `left` is how many
/// bytes may still be unpacked.
pub(crate) fn read(
    section: Section,
    name: &str,
    (number, tree): (usize, &mut Tree),
    unpacked: Option<&Digest>,
    left: &Cell<u64>,
    visit: &mut Visitor<'_>,
) -> Result<(), Error> {
    let place = format!("layer {name}");
    let failed = |error: &io::Error| Error::io(place.clone(), error);
    // As it is stored, too: what is large need not unpack to anything.
    spend(left, section.size()).map_err(|error| failed(&error))?;
    let plain: Box<dyn Read> = match compression(&section.head()) {
        // Of several members, as Go reads it: one alone could be another file.
        Some("gzip") => Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, section))),
        Some(other) => {
            let problem = format!(
                "it is compressed with {other}, which is not read here; build with compression=gzip, or copy the image \
                 with `skopeo copy --dest-compress-format gzip`"
            );
            return Err(Error::new(place, problem));
        }
        None => Box::new(section),
    };
    let mut hashed = Hashed {
        inner: plain,
        hasher: unpacked.map(|_| Hasher::default()),
        left,
    };
    let buffered = BufReader::with_capacity(64 * 1024, &mut hashed);
    let walked = entries::each(buffered, &mut |entry| {
        let mut head = [0; HEAD];
        let mut length = 0;
        if entry.kind == Kind::File {
            while length < HEAD {
                match entry.content.read(&mut head[length..])? {
                    0 => break,
                    count => length += count,
                }
            }
        }
        let elf = Elf::read(&head[..length]);
        if entry.kind != Kind::Directory {
            let path = String::from_utf8_lossy(&entry.path);
            let file = File {
                path: path.trim_start_matches("./").trim_start_matches('/'),
                size: entry.size,
            };
            visit(file, &mut (&head[..length]).chain(entry.content))?;
        }
        tree.add(number, &entry.path, entry.kind, elf)
            .map_err(|problem| io::Error::other(format!("it {problem}")))
    });
    walked.map_err(|error| failed(&error))?;
    match (unpacked, hashed.hasher.map(Hasher::finish)) {
        (Some(expected), Some(found)) if found != *expected => {
            let problem =
                format!("the configuration says that it unpacks to {expected}, and it unpacks to {found}");
            Err(Error::new(place, problem))
        }
        _ => Ok(()),
    }
}

/// Takes bytes from what may still be looked at.
pub(crate) fn spend(left: &Cell<u64>, bytes: u64) -> io::Result<()> {
    let most = limits::UNPACKED >> 30;
    let rest = left.get().checked_sub(bytes).ok_or_else(|| {
        io::Error::other(format!(
            "all layers together have more than {most} GiB, which is the most that is looked at"
        ))
    })?;
    left.set(rest);
    Ok(())
}

/// Takes the digest of what is read, and ends when too much is.
struct Hashed<'a> {
    inner: Box<dyn Read>,
    hasher: Option<Hasher>,
    left: &'a Cell<u64>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        spend(self.left, count as u64)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
