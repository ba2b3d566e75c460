//! The entries of a tar stream, read with bounds, and refused where programs differ in how they read them.
//!
//! The crate `tar` reads the headers. What stands in entries of their own before a file (long names, pax records) is read
//! here, because there it has no bound. An archive that two programs understand differently could show one file to a
//! check and another one to a container engine, and so the rules are those of Go's `archive/tar`, which the engines use,
//! and anything beside them is an error.

use std::io::{self, Read};

use tar::{Archive, EntryType, Header, PaxExtensions};

use crate::limits;
use crate::text;

/// A file of an archive, before its content is read.
pub(crate) struct Entry<'a> {
    /// Its path as it stands there.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// Size of its content in bytes.
    pub(crate) size: u64,
    /// Where its content begins, from the beginning of the archive.
    pub(crate) position: u64,
    /// Its content; what is not read is skipped.
    pub(crate) content: &'a mut dyn Read,
}

/// What an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    /// A device or a pipe.
    Other,
}

/// What entries of their own say of the entry behind them.
#[derive(Default)]
struct Ahead {
    gnu_path: Option<Vec<u8>>,
    gnu_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

/// Goes through an archive to its end, behind which nothing may stand.
pub(crate) fn each(reader: impl Read, visit: &mut dyn FnMut(Entry<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut archive = Archive::new(reader);
    let mut ahead = Ahead::default();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let header = entry.header().clone();
        let (size, position) = (entry.size(), entry.raw_file_position());
        match header.entry_type() {
            EntryType::GNULongName => set(&mut ahead.gnu_path, until_zero(bounded(&mut entry, size)?))?,
            EntryType::GNULongLink => set(&mut ahead.gnu_link, until_zero(bounded(&mut entry, size)?))?,
            EntryType::XHeader => set(&mut ahead.pax, Pax::read(&bounded(&mut entry, size)?)?)?,
            // Go hands it on as an entry, and engines pass it over: it says nothing of files.
            EntryType::XGlobalHeader => {}
            _ => {
                let (path, kind) = std::mem::take(&mut ahead).of(&header, size)?;
                visit(Entry {
                    path,
                    kind,
                    size,
                    position,
                    content: &mut entry,
                })?;
            }
        }
    }
    if ahead.gnu_path.is_some() || ahead.gnu_link.is_some() || ahead.pax.is_some() {
        return Err(wrong("ends with the name of a file that is not there"));
    }
    only_zeros(archive.into_inner())
}

impl Ahead {
    /// The path of the entry and what it is.
    fn of(self, header: &Header, size: u64) -> io::Result<(Vec<u8>, Kind)> {
        let pax = self.pax.unwrap_or_default();
        let path = self
            .gnu_path
            .or(pax.path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = text::path(&path);
        let link = || {
            let own = || header.link_name_bytes().unwrap_or_default().into_owned();
            self.gnu_link.or(pax.link).unwrap_or_else(own)
        };
        let kind = match header.entry_type() {
            EntryType::GNUSparse => return Err(sparse(&shown)),
            // In the oldest format a directory is a file whose name says so.
            EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link()),
            EntryType::Link => Kind::Hardlink(link()),
            _ => Kind::Other,
        };
        if pax.is_sparse {
            return Err(sparse(&shown));
        }
        if pax.size.is_some_and(|said| said != size) {
            return Err(wrong(&format!("says two different sizes of {shown}")));
        }
        // Some programs skip what these claim to contain, others read on in the middle of it.
        if size > 0 && kind != Kind::File {
            return Err(wrong(&format!("gives {shown} a content, which it cannot have")));
        }
        Ok((path, kind))
    }
}

impl Pax {
    fn read(records: &[u8]) -> io::Result<Self> {
        let mut pax = Self::default();
        for record in PaxExtensions::new(records) {
            let record = record?;
            let value = record.value_bytes().to_vec();
            // An empty value takes a record back.
            let text = (!value.is_empty()).then_some(value);
            match record.key_bytes() {
                b"path" => pax.path = text,
                b"linkpath" => pax.link = text,
                b"size" => {
                    let size = record.value().ok().and_then(|value| value.parse().ok());
                    pax.size = Some(size.ok_or_else(|| wrong("says a size that is no number"))?);
                }
                key => pax.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(pax)
    }
}

/// Reads the content of an entry that is about another one.
fn bounded(reader: &mut dyn Read, size: u64) -> io::Result<Vec<u8>> {
    if size > limits::HEADERS {
        return Err(wrong(&format!(
            "says {size} bytes of one file before its content"
        )));
    }
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    if content.len() as u64 == size {
        Ok(content)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn until_zero(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

fn set<T>(place: &mut Option<T>, value: T) -> io::Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(wrong("says twice what is ahead of one file")),
    }
}

/// Behind its end an archive is padded with zeros; something else there is what another program might take for a file.
fn only_zeros(mut reader: impl Read) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count if buffer[..count].iter().all(|&byte| byte == 0) => {}
            _ => return Err(wrong("goes on behind its end")),
        }
    }
}

fn sparse(path: &str) -> io::Error {
    wrong(&format!("stores {path} as a sparse file, which is not read here"))
}

fn wrong(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the tar file {problem}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::Builder;

    use super::*;

    fn read(archive: &[u8]) -> io::Result<Vec<(String, Kind, Vec<u8>)>> {
        let mut found = Vec::new();
        each(archive, &mut |entry| {
            let mut content = Vec::new();
            entry.content.read_to_end(&mut content)?;
            assert_eq!(entry.size, content.len() as u64);
            found.push((
                String::from_utf8_lossy(&entry.path).into_owned(),
                entry.kind,
                content,
            ));
            Ok(())
        })?;
        Ok(found)
    }

    fn header(kind: EntryType, path: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path(path).expect("short");
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn blocks(parts: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, path, content) in parts {
            let header = header(*kind, path, content.len() as u64);
            builder.append(&header, *content).expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }

    fn pax(records: &[(&str, &str)]) -> Vec<u8> {
        let line = |(key, value): &(&str, &str)| {
            let rest = format!(" {key}={value}\n");
            let mut length = rest.len();
            while length != rest.len() + length.to_string().len() {
                length = rest.len() + length.to_string().len();
            }
            format!("{length}{rest}")
        };
        records.iter().map(line).collect::<String>().into_bytes()
    }

    fn error(archive: &[u8]) -> String {
        read(archive).expect_err("refused").to_string()
    }

    #[test]
    fn names_of_any_length_and_form_are_read() {
        let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
        let mut builder = Builder::new(Vec::new());
        let mut one = header(EntryType::Regular, "x", 3);
        builder
            .append_data(&mut one, &long, &b"abc"[..])
            .expect("in memory");
        let mut link = header(EntryType::Symlink, "x", 0);
        builder.append_link(&mut link, "link", &long).expect("in memory");
        let found = read(&builder.into_inner().expect("in memory")).expect("good");
        assert_eq!(
            found,
            [
                (long.clone(), Kind::File, b"abc".to_vec()),
                ("link".to_owned(), Kind::Symlink(long.clone().into()), Vec::new()),
            ]
        );
        let records = pax(&[("path", &long), ("mtime", "1.5"), ("size", "2")]);
        let archive = blocks(&[
            (
                EntryType::XGlobalHeader,
                "g",
                &pax(&[("comment", "x"), ("path", "ignored")]),
            ),
            (EntryType::XHeader, "x", &records),
            (EntryType::Regular, "short", b"ab"),
            (EntryType::Regular, "next", b""),
        ]);
        let names: Vec<_> = read(&archive)
            .expect("good")
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert_eq!(names, [long.as_str(), "next"]);
    }

    #[test]
    fn what_programs_read_differently_is_refused() {
        let sized = blocks(&[
            (EntryType::XHeader, "x", &pax(&[("size", "512")])),
            (EntryType::Regular, "a", b"ab"),
        ]);
        assert!(
            error(&sized).contains("two different sizes of /a"),
            "{}",
            error(&sized)
        );
        let link = blocks(&[(EntryType::Link, "a", b"content")]);
        assert!(error(&link).contains("gives /a a content"), "{}", error(&link));
        let twice = blocks(&[
            (EntryType::GNULongName, "x", b"one\0"),
            (EntryType::GNULongName, "x", b"two\0"),
            (EntryType::Regular, "a", b""),
        ]);
        assert!(error(&twice).contains("twice"), "{}", error(&twice));
        let lost = blocks(&[(EntryType::GNULongName, "x", b"one\0")]);
        assert!(error(&lost).contains("not there"), "{}", error(&lost));
        let sparse = blocks(&[
            (EntryType::XHeader, "x", &pax(&[("GNU.sparse.major", "1")])),
            (EntryType::Regular, "a", b""),
        ]);
        assert!(error(&sparse).contains("sparse"), "{}", error(&sparse));
        let sparse = blocks(&[(EntryType::GNUSparse, "a", b"")]);
        assert!(error(&sparse).contains("sparse"), "{}", error(&sparse));
        // Behind a single block of zeros.
        let mut hidden = blocks(&[(EntryType::Regular, "a", b"")]);
        hidden.truncate(1024);
        hidden.extend(blocks(&[(EntryType::Regular, "b", b"")]));
        assert!(error(&hidden).contains("behind its end"), "{}", error(&hidden));
    }

    #[test]
    fn names_without_a_bound_are_refused_unread() {
        let mut archive = header(EntryType::GNULongName, "x", 1 << 40).as_bytes().to_vec();
        archive.extend([b'a'; 512]);
        assert!(
            error(&archive).contains("1099511627776 bytes of one file"),
            "{}",
            error(&archive)
        );
        let cut = header(EntryType::XHeader, "x", 100_000).as_bytes().to_vec();
        assert_eq!(read(&cut).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn any_stream_ends_in_a_result(content in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = each(&content[..], &mut |_| Ok(()));
        }

        #[test]
        fn any_damage_ends_in_a_result(
            places in prop::collection::vec((0_usize..6_000, any::<u8>()), 1..6), cut in 0_usize..6_000
        ) {
            let long = "l".repeat(300);
            let mut archive = blocks(&[
                (EntryType::XHeader, "x", &pax(&[("path", &long)])),
                (EntryType::Regular, "a", b"content"),
                (EntryType::GNULongName, "x", long.as_bytes()),
                (EntryType::Symlink, "b", b""),
            ]);
            for (place, byte) in places {
                if let Some(at) = archive.get_mut(place) {
                    *at = byte;
                }
            }
            archive.truncate(cut);
            let _ = each(&archive[..], &mut |_| Ok(()));
        }
    }
}
