//! What the world sees of a pipeline: the tags in the registry, and who answers.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::fault::{Outcome, Publishes};
use super::source::Source;
use super::{Kind, Rehearsal};
use crate::arch::Arch;

/// What is to be seen at one moment.
pub(super) struct Situation {
    /// Digests by tag.
    tags: BTreeMap<String, String>,
    /// The commit that answers on each architecture.
    commits: Vec<(Arch, String)>,
}

impl Situation {
    /// Looks.
    pub(super) fn look(rehearsal: &Rehearsal) -> Result<Self> {
        let registry = rehearsal.kind.registry();
        let answer = registry.ask(rehearsal.workspace, rehearsal.session, "describe-images", &[])?;
        let mut tags = BTreeMap::new();
        for image in answer["imageDetails"]
            .as_array()
            .context("a registry without images")?
        {
            let digest = image["imageDigest"]
                .as_str()
                .context("an image without a digest")?;
            for tag in image["imageTags"].as_array().into_iter().flatten() {
                let tag = tag.as_str().context("a tag that is no text")?;
                tags.insert(tag.to_owned(), digest.to_owned());
            }
        }
        let commit = |arch| {
            let answer = rehearsal.session.ask("/api/whoami", arch)?;
            let commit = answer["commit"].as_str().unwrap_or("unknown").to_owned();
            Ok((arch, commit))
        };
        Ok(Self {
            tags,
            commits: Arch::ALL.into_iter().map(commit).collect::<Result<_>>()?,
        })
    }

    /// Whether it is what has to come of a run that began at `before`.
    pub(super) fn check(&self, before: &Self, kind: Kind, source: &Source, outcome: &Outcome) -> Result<()> {
        self.tags_are_right(before, kind, &kind.tag(&source.commit), outcome.publishes)?;
        for ((arch, now), (_, before)) in self.commits.iter().zip(&before.commits) {
            let right = if outcome.deploys.contains(arch) {
                &source.commit
            } else {
                before
            };
            ensure!(
                now == right,
                "{} answers with commit {now}, and has to answer with {right}",
                arch.name()
            );
        }
        Ok(())
    }

    fn tags_are_right(&self, before: &Self, kind: Kind, own: &str, publishes: Publishes) -> Result<()> {
        let registry = kind.registry();
        let images = Arch::ALL.map(|arch| (arch, registry.tag(own, arch)));
        let pushed: Vec<_> = match publishes {
            Publishes::Nothing => Vec::new(),
            Publishes::Only(one) => images.iter().filter(|(arch, _)| *arch == one).collect(),
            Publishes::Everything => images.iter().collect(),
        };
        let mut right: Vec<&str> = pushed.iter().map(|(_, tag)| tag.as_str()).collect();
        if publishes == Publishes::Everything {
            right.insert(0, own);
        }
        let there: Vec<_> = self
            .tags
            .keys()
            .map(String::as_str)
            .filter(|tag| tag.starts_with(own))
            .collect();
        ensure!(
            there == right,
            "published are {there:?}, and it has to be {right:?}"
        );
        for (tag, digest) in &before.tags {
            // One run after another of the same commit pushes its own tags again.
            let moves = registry.overwrites && (publishes == Publishes::Everything || tag.starts_with(own));
            ensure!(
                moves || self.tags.get(tag) == Some(digest),
                "the tag {tag} has moved from {digest} to {:?}",
                self.tags.get(tag)
            );
        }
        if let (Some(latest), Publishes::Everything) = (registry.moves, publishes) {
            let pairs = images
                .iter()
                .map(|(arch, tag)| (registry.tag(latest, *arch), tag.clone()));
            for (latest, tag) in pairs.chain([(latest.to_owned(), own.to_owned())]) {
                let [latest_is, tag_is] = [&latest, &tag].map(|tag| self.tags.get(tag));
                ensure!(
                    latest_is == tag_is,
                    "{latest} is {latest_is:?}, and has to be {tag}, which is {tag_is:?}"
                );
            }
        }
        Ok(())
    }
}
