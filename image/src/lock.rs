//! The lock of a release, `bifora-lock.json`: what a pipeline has built, to hold against what later answers.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::{error, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::{Digest, NotADigest};
use crate::text::shown;

/// The name of the file.
pub const FILE: &str = "bifora-lock.json";

/// The version of the format that is written and read.
pub const VERSION: u64 = 1;

/// No lock is larger, in bytes; one has some 700.
const LARGEST: u64 = 64 * 1024;

/// What was released.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Value")]
pub struct ReleaseLock {
    /// [`VERSION`].
    pub version: u64,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Digest of the `Cargo.lock` that the binaries were built with.
    pub cargo_lock: Digest,
    /// Digest of the index, which the tag stands for.
    pub index: Digest,
    /// What the index holds.
    pub images: LockedImages,
}

/// The image of each architecture.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LockedImages {
    /// `linux/amd64`.
    pub x86_64: LockedImage,
    /// `linux/arm64`.
    pub aarch64: LockedImage,
}

/// The image of an architecture.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LockedImage {
    /// Digest of the program `/bifora` in it.
    pub binary: Digest,
    /// Digest of its manifest.
    pub image: Digest,
}

/// Why a lock cannot be used.
#[derive(Debug)]
pub enum LockError {
    /// The file cannot be read or written.
    File(PathBuf, io::Error),
    /// The file is too large to be one.
    TooLarge(PathBuf),
    /// Something in it is not as it has to be.
    Content(PathBuf, Invalid),
}

/// What in a lock is not as it has to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid(String);

impl ReleaseLock {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let failed = |error| LockError::File(path.to_owned(), error);
        let mut content = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(LARGEST + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() as u64 > LARGEST {
            return Err(LockError::TooLarge(path.to_owned()));
        }
        Self::parse(&content).map_err(|invalid| LockError::Content(path.to_owned(), invalid))
    }

    /// Reads a lock in memory.
    pub fn parse(content: &[u8]) -> Result<Self, Invalid> {
        let value: Value =
            serde_json::from_slice(content).map_err(|error| Invalid(format!("it is not JSON: {error}")))?;
        Self::try_from(value)
    }

    /// As it stands in the file.
    ///
    /// # Panics
    /// Never: text and a number serialize.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("text and one number serialize") + "\n"
    }

    /// Writes the file, whole or not at all: what stops in between leaves what was there.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(self.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(|error| {
            // It may not even have been created.
            let _ = fs::remove_file(&new);
            LockError::File(path.to_owned(), error)
        })
    }

    /// The image of an architecture, by the name that `uname -m` gives it.
    pub fn image(&self, arch: &str) -> Option<&LockedImage> {
        match arch {
            "x86_64" => Some(&self.images.x86_64),
            "aarch64" => Some(&self.images.aarch64),
            _ => None,
        }
    }

    /// Whether a task of this architecture that was started from `digest` runs this release. ECS tells the digest that it
    /// was asked for, which can be that of the index, or that of the platform's image.
    pub fn has_image(&self, arch: &str, digest: &str) -> bool {
        let image = self.image(arch);
        image.is_some_and(|image| image.image == *digest || self.index == *digest)
    }
}

impl TryFrom<Value> for ReleaseLock {
    type Error = Invalid;

    fn try_from(value: Value) -> Result<Self, Invalid> {
        let lock = Object::new(
            "",
            &value,
            &["version", "commit", "cargo_lock", "index", "images"],
        )?;
        // First of all: another version may have other fields.
        let version = lock.0.get("version").unwrap_or(&Value::Null);
        if version.as_u64() != Some(VERSION) {
            return Err(wrong("version", version, &VERSION));
        }
        lock.complete()?;
        let commit = lock.value("commit");
        let is_commit = |text: &&str| {
            text.len() == 40
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let images = Object::new("images", lock.value("images"), &["x86_64", "aarch64"])?;
        images.complete()?;
        Ok(Self {
            version: VERSION,
            commit: commit
                .as_str()
                .filter(is_commit)
                .ok_or_else(|| wrong("commit", commit, &"40 digits of 0-9 a-f"))?
                .to_owned(),
            cargo_lock: lock.digest("cargo_lock")?,
            index: lock.digest("index")?,
            images: LockedImages {
                x86_64: LockedImage::read(&images, "x86_64")?,
                aarch64: LockedImage::read(&images, "aarch64")?,
            },
        })
    }
}

impl LockedImage {
    fn read(images: &Object, arch: &str) -> Result<Self, Invalid> {
        let path = images.path(arch);
        let image = Object::new(&path, images.value(arch), &["binary", "image"])?;
        image.complete()?;
        Ok(Self {
            binary: image.digest("binary")?,
            image: image.digest("image")?,
        })
    }
}

/// An object of the lock, its path, and the fields that it has to have.
struct Object<'a>(&'a Map<String, Value>, &'a str, &'a [&'static str]);

impl<'a> Object<'a> {
    fn new(path: &'a str, value: &'a Value, fields: &'a [&'static str]) -> Result<Self, Invalid> {
        let object = value.as_object().ok_or_else(|| {
            let name = if path.is_empty() { "it" } else { path };
            wrong(name, value, &format_args!("an object of {}", fields.join(", ")))
        })?;
        Ok(Self(object, path, fields))
    }

    fn path(&self, field: &str) -> String {
        if self.1.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.1)
        }
    }

    /// Fails unless it has its fields and no others.
    fn complete(&self) -> Result<(), Invalid> {
        let all = self.2.join(", ");
        if let Some(missing) = self.2.iter().find(|field| !self.0.contains_key(**field)) {
            return Err(Invalid(format!("{} is missing", self.path(missing))));
        }
        match self.0.keys().find(|key| !self.2.contains(&key.as_str())) {
            None => Ok(()),
            Some(other) => Err(Invalid(format!(
                "{} is no field of a release lock; here it has {all}",
                format_args!("`{}`", shown(&self.path(other)))
            ))),
        }
    }

    fn value(&self, field: &str) -> &'a Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    fn digest(&self, field: &str) -> Result<Digest, Invalid> {
        let value = self.value(field);
        let digest = value.as_str().and_then(|text| text.parse().ok());
        digest.ok_or_else(|| {
            let right = NotADigest.to_string();
            let right = right.strip_prefix("a digest is ").unwrap_or(&right);
            wrong(&self.path(field), value, &right)
        })
    }
}

fn wrong(field: &str, value: &Value, right: &dyn fmt::Display) -> Invalid {
    Invalid(format!(
        "{field} is `{}`, and has to be {right}",
        shown(&value.to_string())
    ))
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Invalid {}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{} has more than {LARGEST} bytes, and is no release lock: one has less than a thousand",
                path.display()
            ),
            Self::Content(path, invalid) => {
                write!(f, "{} is no release lock: {invalid}", path.display())
            }
        }
    }
}

impl error::Error for LockError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::TooLarge(_) => None,
            Self::Content(_, invalid) => Some(invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn digest(of: &str) -> Value {
        Digest::of(of.as_bytes()).as_str().into()
    }

    fn example() -> Value {
        json!({
            "version": 1,
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "cargo_lock": digest("Cargo.lock"),
            "index": digest("index"),
            "images": {
                "x86_64": { "binary": digest("a"), "image": digest("b") },
                "aarch64": { "binary": digest("c"), "image": digest("d") },
            },
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let lock = ReleaseLock::try_from(example()).expect("good");
        lock.write(&path).expect("writable");
        assert_eq!(ReleaseLock::read(&path).expect("good"), lock);
        assert_eq!(serde_json::to_value(&lock).expect("serializes"), example());
        let by_serde: ReleaseLock = serde_json::from_str(&lock.to_json()).expect("good");
        assert_eq!(by_serde, lock);
        let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
        assert_eq!(left.len(), 1, "nothing beside it: {left:?}");
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let lock = ReleaseLock::try_from(example()).expect("good");
        // A folder cannot be replaced by a file.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).expect("creatable");
        lock.write(&taken).expect_err("a folder is there");
        let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn digests_of_the_platform_and_of_the_index_are_both_right() {
        let lock = ReleaseLock::try_from(example()).expect("good");
        let text = |of: &str| Digest::of(of.as_bytes()).to_string();
        assert!(lock.has_image("x86_64", &text("b")) && lock.has_image("x86_64", &text("index")));
        assert!(lock.has_image("aarch64", &text("d")) && lock.has_image("aarch64", &text("index")));
        assert!(!lock.has_image("x86_64", &text("d")), "that of the other one");
        assert!(!lock.has_image("riscv64", &text("index")));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field_and_what_is_right() {
        let digits = "`sha256:` and 64 digits of 0-9 a-f";
        for (pointer, value, parts) in [
            ("/version", json!(2), &["version is `2`", "has to be 1"][..]),
            ("/version", json!("1"), &["version is `\"1\"`", "has to be 1"]),
            (
                "/commit",
                json!("0123456"),
                &["commit is `\"0123456\"`", "40 digits"],
            ),
            ("/commit", json!("G".repeat(40)), &["commit is", "40 digits"]),
            ("/commit", json!(["x"]), &["commit is `[\"x\"]`", "40 digits"]),
            (
                "/cargo_lock",
                json!("x".repeat(5000)),
                &["cargo_lock is", "…`", digits],
            ),
            ("/index", json!(null), &["index is `null`", digits]),
            (
                "/images/x86_64/binary",
                json!("sha256:0"),
                &["images.x86_64.binary is", digits],
            ),
            (
                "/images/aarch64/image",
                json!("a\n\u{1b}[31m"),
                &["images.aarch64.image is", digits],
            ),
            (
                "/images/aarch64",
                json!(7),
                &["images.aarch64 is `7`", "an object of binary, image"],
            ),
            ("/images", json!([]), &["images is `[]`", "x86_64, aarch64"]),
            ("", json!([]), &["it is `[]`", "an object of version, commit"]),
        ] {
            let mut lock = example();
            *lock.pointer_mut(pointer).expect("there") = value;
            let error = ReleaseLock::try_from(lock).expect_err(pointer).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains(char::is_control) && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn exactly_the_known_fields_and_architectures_are_taken() {
        for (parent, name) in [
            ("", "commit"),
            ("", "images"),
            ("/images", "aarch64"),
            ("/images/x86_64", "binary"),
        ] {
            let mut lock = example();
            let object = lock.pointer_mut(parent).and_then(Value::as_object_mut);
            object.expect("an object").remove(name);
            let error = ReleaseLock::try_from(lock).expect_err(name).to_string();
            let path = format!("{parent}/{name}")
                .trim_start_matches('/')
                .replace('/', ".");
            assert_eq!(error, format!("{path} is missing"));
        }
        for parent in ["", "/images", "/images/aarch64"] {
            let mut lock = example();
            let object = lock.pointer_mut(parent).and_then(Value::as_object_mut);
            object.expect("an object").insert("riscv64".to_owned(), json!({}));
            let error = ReleaseLock::try_from(lock).expect_err(parent).to_string();
            assert!(
                error.contains("riscv64` is no field of a release lock"),
                "{error}"
            );
        }
    }

    #[test]
    fn files_are_named_and_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let error = ReleaseLock::read(&path).expect_err("not there").to_string();
        assert!(error.contains(FILE) && error.contains("No such file"), "{error}");
        for (content, part) in [
            (&b"<html>"[..], "is no release lock: it is not JSON"),
            (b"", "is not JSON"),
            (b"{\"version\":1", "is not JSON"),
            (&vec![b' '; 100_000], "has more than"),
        ] {
            fs::write(&path, content).expect("writable");
            let error = ReleaseLock::read(&path).expect_err(part).to_string();
            assert!(error.contains(FILE) && error.contains(part), "{error}");
        }
        // Without an end, and read all the same.
        let error = ReleaseLock::read(Path::new("/dev/zero"))
            .expect_err("endless")
            .to_string();
        assert!(error.contains("has more than"), "{error}");
    }

    proptest! {
        #[test]
        fn any_content_is_read_or_refused(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ReleaseLock::parse(&content);
        }
    }
}
