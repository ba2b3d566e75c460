//! The platform that an image claims to be for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::elf::{ARCHITECTURES, Elf};
use crate::text::shown;

/// A platform as an index or a configuration states it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Platform {
    /// Such as `linux`.
    #[serde(default)]
    pub os: String,
    /// Go's name of the architecture, such as `amd64` or `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Which of its generations, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `OS/ARCHITECTURE`.
    pub fn of(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// Whether both claim the same. Of two generations one may be left out: most configurations do not tell it.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let variants = (self.generation(), other.generation());
        self.os == other.os
            && self.goarch() == other.goarch()
            && match variants {
                (Some(one), Some(other)) => one == other,
                _ => true,
            }
    }

    /// Whether an ELF file is for this platform; `None` when the architecture is not known here.
    pub fn runs(&self, elf: Elf) -> Option<bool> {
        let (_, _, right) = ARCHITECTURES.iter().find(|(name, ..)| *name == self.goarch())?;
        Some(*right == elf)
    }

    /// `unknown/unknown`, which `BuildKit` gives to what is no image.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// The architecture by the one name of several.
    fn goarch(&self) -> &str {
        match self.architecture.as_str() {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "i386" => "386",
            other => other,
        }
    }

    /// The variant, where it says more than the architecture alone: each is what is meant if nothing is said.
    fn generation(&self) -> Option<&str> {
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty())?;
        match (self.goarch(), variant) {
            ("arm64", "v8" | "8" | "v8.0") | ("amd64", "v1") => None,
            ("arm", digit) if digit.len() == 1 => ["v5", "v6", "v7", "v8"]
                .into_iter()
                .find(|full| full.ends_with(digit)),
            _ => Some(variant),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &str| {
            if text.is_empty() {
                "?".to_owned()
            } else {
                shown(text)
            }
        };
        let mut text = format!("{}/{}", part(&self.os), part(&self.architecture));
        if let Some(variant) = self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            text.push('/');
            text.push_str(&shown(variant));
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        Platform {
            os: parts.next().unwrap_or_default(),
            architecture: parts.next().unwrap_or_default(),
            variant: parts.next(),
        }
    }

    #[test]
    fn spellings_and_generations_of_the_same_agree() {
        for (one, other, agree) in [
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v8", "linux/aarch64", true),
            ("linux/amd64", "linux/x86_64/v1", true),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm/v7", "linux/arm/7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/amd64/v3", "linux/amd64/v2", false),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
        ] {
            let (one, other) = (platform(one), platform(other));
            assert_eq!(one.agrees_with(&other), agree, "{one} {other}");
            assert_eq!(other.agrees_with(&one), agree, "{one} {other}");
        }
    }

    #[test]
    fn platforms_are_shown_as_people_write_them() {
        for text in ["linux/amd64", "linux/arm64/v8"] {
            assert_eq!(platform(text).to_string(), text);
        }
        assert_eq!(Platform::default().to_string(), "?/?");
        assert_eq!(platform("a\nb/c").to_string(), "a\\nb/c");
    }
}
