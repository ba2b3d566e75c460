//! The file of a report: whole or not at all, and known to be writable before anybody is asked anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// What a report may take, reserved beforehand, in bytes: on a full disk one learns so now, not in ten minutes.
const RESERVED: usize = 64 * 1024;

/// A file that is going to be written.
#[derive(Debug)]
pub struct Output {
    target: PathBuf,
    /// What is renamed at the end; `None` where there is no file to replace, such as a pipe.
    beside: Option<PathBuf>,
    file: File,
}

impl Output {
    /// Prepares to write `path`.
    pub fn prepare(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Self {
                    target: path.to_owned(),
                    beside: None,
                    file,
                });
            }
            Ok(_) => {
                // What is renamed into its place must not be kept out of it at the end.
                OpenOptions::new().append(true).open(path)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // The file that a link leads to is replaced, and not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.new", std::process::id()));
        let beside = target.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        let mut output = Self {
            target,
            beside: Some(beside),
            file,
        };
        output.file.write_all(&vec![0; RESERVED])?;
        output.file.sync_all()?;
        Ok(output)
    }

    /// Writes the file.
    pub fn write(mut self, content: &str) -> io::Result<()> {
        if let Some(beside) = &self.beside {
            self.file.rewind()?;
            self.file.write_all(content.as_bytes())?;
            self.file.set_len(content.len() as u64)?;
            self.file.sync_all()?;
            fs::rename(beside, &self.target)?;
            self.beside = None;
        } else {
            self.file.write_all(content.as_bytes())?;
            self.file.flush()?;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Nothing is left to be done if that fails.
            let _ = fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_there_whole_or_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.xml");
        fs::write(&path, "earlier").expect("writable");
        let output = Output::prepare(&path).expect("writable");
        assert_eq!(fs::read_to_string(&path).expect("there"), "earlier");
        drop(output);
        assert_eq!(names(folder.path()), ["report.xml"], "nothing is left behind");
        assert_eq!(fs::read_to_string(&path).expect("there"), "earlier");
        let long = "x".repeat(RESERVED + 7);
        for content in ["now", &long] {
            Output::prepare(&path)
                .expect("writable")
                .write(content)
                .expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), content);
        }
        assert_eq!(names(folder.path()), ["report.xml"]);
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "").expect("writable");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        Output::prepare(&link)
            .expect("writable")
            .write("now")
            .expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "now");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [
            folder.path().to_owned(),
            folder.path().join("not/there"),
            PathBuf::from("/proc/report.xml"),
            PathBuf::new(),
        ] {
            assert!(Output::prepare(&path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn what_is_no_file_is_written_to_and_not_replaced() {
        let full = Output::prepare(Path::new("/dev/full")).expect("Linux has it");
        let error = full.write("now").expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        Output::prepare(Path::new("/dev/null"))
            .expect("there")
            .write("now")
            .expect("taken");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }
}
