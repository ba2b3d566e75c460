//! The image that this process was started from, as far as it is known.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::link::{GALLERY, Link};
use crate::report::Section;

/// An image reference in its parts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Image {
    /// Registry and repository.
    #[schema(example = "public.ecr.aws/o5b1w9d8/bifora")]
    pub repository: Option<String>,
    /// Tag.
    pub tag: Option<String>,
    /// Digest, `sha256:…`.
    pub digest: Option<String>,
    /// Platform of the running binary.
    #[schema(example = "linux/arm64")]
    pub platform: String,
}

impl Image {
    /// Takes a reference `[registry/]repository[:tag][@digest]` apart; `digest` is what the runtime says of the image,
    /// which counts more than what the reference asked for.
    pub fn new(reference: Option<&str>, digest: Option<&str>, platform: &str) -> Self {
        let (name, asked) = match reference.map(|r| r.split_once('@').unwrap_or((r, ""))) {
            Some((name, asked)) => (Some(name), Some(asked).filter(|d| !d.is_empty())),
            None => (None, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let tag_at = name.and_then(|n| n.rfind(':').filter(|at| !n[*at..].contains('/')));
        Self {
            repository: name
                .map(|n| n[..tag_at.unwrap_or(n.len())].to_owned())
                .filter(|n| !n.is_empty()),
            tag: name
                .zip(tag_at)
                .map(|(n, at)| n[at + 1..].to_owned())
                .filter(|t| !t.is_empty()),
            digest: digest.or(asked).map(ToOwned::to_owned),
            platform: platform.to_owned(),
        }
    }

    /// The gallery's page of an image in ECR Public.
    fn gallery(&self) -> Option<Link> {
        let rest = self.repository.as_deref()?.strip_prefix("public.ecr.aws/")?;
        Link::join(GALLERY, &rest.split('/').collect::<Vec<_>>())
    }

    /// The facts as people read them.
    pub fn section(&self) -> Section {
        const HOW: &str =
            "comes from ECS task metadata; elsewhere, set BIFORA_IMAGE to the image that was pulled";
        let tag_how = if self.repository.is_some() {
            "the image was named without a tag"
        } else {
            HOW
        };
        let digest_how = if self.repository.is_some() {
            "comes from ECS task metadata, or from an image named by digest"
        } else {
            HOW
        };
        Section::new("image", "Image")
            .linked("Pulled from", self.repository.as_ref(), self.gallery(), HOW)
            .row("Tag", self.tag.as_ref(), tag_how)
            .row("Digest", self.digest.as_ref(), digest_how)
            .known("Platform", &self.platform)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_in_their_parts() {
        for (reference, repository, tag, digest) in [
            ("bifora", Some("bifora"), None, None),
            ("bifora:1", Some("bifora"), Some("1"), None),
            (
                "localhost:5000/a/bifora",
                Some("localhost:5000/a/bifora"),
                None,
                None,
            ),
            (
                "localhost:5000/bifora:14f28fe@sha256:ab",
                Some("localhost:5000/bifora"),
                Some("14f28fe"),
                Some("sha256:ab"),
            ),
            ("bifora@sha256:ab", Some("bifora"), None, Some("sha256:ab")),
            ("", None, None, None),
            (":@", None, None, None),
        ] {
            let image = Image::new(Some(reference), None, "linux/amd64");
            let parts = (
                image.repository.as_deref(),
                image.tag.as_deref(),
                image.digest.as_deref(),
            );
            assert_eq!(parts, (repository, tag, digest), "{reference}");
        }
    }

    #[test]
    fn what_runs_counts_more_than_what_was_asked_for() {
        let image = Image::new(Some("bifora@sha256:asked"), Some("sha256:runs"), "linux/arm64");
        assert_eq!(image.digest.as_deref(), Some("sha256:runs"));
    }

    #[test]
    fn public_images_lead_to_the_gallery() {
        let link = |name| Image::new(Some(name), None, "").gallery().map(String::from);
        let gallery = link("public.ecr.aws/o5b1w9d8/bifora:latest");
        assert_eq!(
            gallery.as_deref(),
            Some("https://gallery.ecr.aws/o5b1w9d8/bifora")
        );
        assert_eq!(link("public.ecr.aws/../x"), None);
        assert_eq!(link("evil.example/public.ecr.aws/x"), None);
    }

    proptest! {
        #[test]
        fn any_reference_is_taken_apart(reference in any::<String>()) {
            let _ = Image::new(Some(&reference), None, "linux/amd64").section();
        }
    }
}
