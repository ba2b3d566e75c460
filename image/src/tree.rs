//! What is visible of an image's layers when they lie on each other: its programs, and the symbolic links on the way to
//! them. Other files need not be kept to know that.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use crate::elf::{Broken, Elf};
use crate::entries::Kind;
use crate::limits;
use crate::text;

/// Bytes of the longest path of Linux.
const LONGEST: usize = 4096;

/// What a program says of its machine.
pub(crate) type Head = Result<Elf, Broken>;

/// The visible programs and links, by path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    /// Bytes of all paths.
    bytes: usize,
    /// Steps that were taken so far.
    steps: u64,
}

#[derive(Clone, Debug)]
struct Node {
    /// The layer that it is from, counted from the lowest.
    layer: usize,
    is: Is,
}

#[derive(Clone, Debug)]
enum Is {
    Program(Head),
    Link(Vec<u8>),
}

impl Tree {
    /// Takes in an entry of a layer; `head` is what it says of its machine, if it is a program.
    pub(crate) fn add(
        &mut self,
        layer: usize,
        path: &[u8],
        kind: Kind,
        head: Option<Head>,
    ) -> Result<(), String> {
        let mut parts = components(path)?;
        let Some(name) = parts.pop_back() else {
            // The root itself.
            return Ok(());
        };
        let folder = self.resolve(parts)?;
        if self.steps > limits::STEPS {
            return Err("hides and links more than can be followed".to_owned());
        }
        if let Some(hidden) = name.strip_prefix(b".wh.") {
            if hidden == b".wh..opq" {
                self.hide_below(layer, &folder);
            } else if !hidden.starts_with(b".wh.") && !hidden.is_empty() {
                let path = child(&folder, hidden);
                self.hide(layer, &path);
                self.hide_below(layer, &path);
            }
            // Others that begin so are notes of an old kind of engine.
            return Ok(());
        }
        let path = child(&folder, &name);
        let is = match kind {
            Kind::File => head.map(Is::Program),
            // The kernel makes none that is longer.
            Kind::Symlink(target) if target.len() > LONGEST => {
                return Err(format!(
                    "has a link with {} bytes at {}",
                    target.len(),
                    text::path(&path)
                ));
            }
            Kind::Symlink(target) => Some(Is::Link(target)),
            Kind::Hardlink(target) => {
                let mut parts = components(&target)?;
                let name = parts.pop_back().unwrap_or_default();
                let target = child(&self.resolve(parts)?, &name);
                self.nodes.get(&target).map(|node| node.is.clone())
            }
            Kind::Other => None,
            Kind::Directory => {
                // What lies below stays, unless a link stood in the way.
                self.remove(&path);
                return Ok(());
            }
        };
        // What is no folder takes the place of whatever was there, a folder with all in it included.
        self.hide_below(usize::MAX, &path);
        self.remove(&path);
        is.map_or(Ok(()), |is| self.insert(path, Node { layer, is }))
    }

    /// The programs: path, layer, machine.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (&[u8], usize, Head)> {
        self.nodes.iter().filter_map(|(path, node)| match node.is {
            Is::Program(head) => Some((path.as_slice(), node.layer, head)),
            Is::Link(_) => None,
        })
    }

    /// Where a folder really is, with the links on the way followed as if the image were the whole file system.
    fn resolve(&mut self, mut parts: VecDeque<Vec<u8>>) -> Result<Vec<u8>, String> {
        let mut path: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = parts.pop_front() {
            self.steps += 1;
            if part == b".." {
                let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                path.truncate(end);
                continue;
            }
            let next = child(&path, &part);
            let Some(Node {
                is: Is::Link(target), ..
            }) = self.nodes.get(&next)
            else {
                path = next;
                continue;
            };
            links += 1;
            if links > limits::LINKS {
                return Err(format!(
                    "has links that lead in a circle at {}",
                    text::path(&next)
                ));
            }
            if target.starts_with(b"/") {
                path.clear();
            }
            // A target may lead up; above the root there is the root.
            for part in split(target).rev() {
                parts.push_front(part.to_vec());
            }
        }
        Ok(path)
    }

    fn insert(&mut self, path: Vec<u8>, node: Node) -> Result<(), String> {
        self.bytes += cost(&path, &node);
        if self.bytes > limits::PATHS {
            return Err(format!(
                "has programs and links whose paths have more than {} bytes",
                limits::PATHS
            ));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) {
        if let Some(node) = self.nodes.remove(path) {
            self.bytes -= cost(path, &node);
        }
    }

    /// Removes what is at a path, if it is of a layer below.
    fn hide(&mut self, layer: usize, path: &[u8]) {
        if self.nodes.get(path).is_some_and(|node| node.layer < layer) {
            self.remove(path);
        }
    }

    /// Removes what is in a folder, if it is of a layer below.
    fn hide_below(&mut self, layer: usize, folder: &[u8]) {
        let first = child(folder, b"");
        let below = self
            .nodes
            .range::<[u8], _>((Bound::Included(first.as_slice()), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(&first));
        let steps = &mut self.steps;
        let hidden: Vec<_> = below
            .inspect(|_| *steps += 1)
            .filter(|(_, node)| node.layer < layer)
            .map(|(path, _)| path.clone())
            .collect();
        for path in hidden {
            self.remove(&path);
        }
    }
}

/// Bytes that a node takes, with what the map needs for it.
fn cost(path: &[u8], node: &Node) -> usize {
    let target = match &node.is {
        Is::Link(target) => target.len(),
        Is::Program(_) => 0,
    };
    path.len() + target + 64
}

/// The path of something in a folder; of the root the path is empty.
fn child(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

/// The parts of a path of an entry, which must not lead up.
fn components(path: &[u8]) -> Result<VecDeque<Vec<u8>>, String> {
    if split(path).any(|part| part == b"..") {
        return Err(format!("has a path that leads out: {}", text::path(path)));
    }
    if path.len() > LONGEST {
        return Err(format!("has a path of {} bytes", path.len()));
    }
    Ok(split(path).map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::elf::{AARCH64, X86_64};

    /// A layer: `+path` is a program for `x86_64`, `!path` one for aarch64, `path` another file, `path/` a folder,
    /// `path -> target` a symbolic link, `path = target` a hard link.
    fn add(tree: &mut Tree, layer: usize, entries: &[&str]) -> Result<(), String> {
        for entry in entries {
            let (path, kind, head) = if let Some((path, target)) = entry.split_once(" -> ") {
                (path, Kind::Symlink(target.into()), None)
            } else if let Some((path, target)) = entry.split_once(" = ") {
                (path, Kind::Hardlink(target.into()), None)
            } else if let Some(path) = entry.strip_prefix('+') {
                (path, Kind::File, Some(Ok(X86_64)))
            } else if let Some(path) = entry.strip_prefix('!') {
                (path, Kind::File, Some(Ok(AARCH64)))
            } else if entry.ends_with('/') {
                (*entry, Kind::Directory, None)
            } else {
                (*entry, Kind::File, None)
            };
            tree.add(layer, path.as_bytes(), kind, head)?;
        }
        Ok(())
    }

    fn visible(layers: &[&[&str]]) -> String {
        let mut tree = Tree::default();
        for (layer, entries) in layers.iter().enumerate() {
            add(&mut tree, layer, entries).expect("good");
        }
        let names = tree.programs().map(|(path, layer, head)| {
            let mark = if head == Ok(X86_64) { '+' } else { '!' };
            format!("{mark}{}:{layer}", String::from_utf8_lossy(path))
        });
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn upper_layers_replace_and_hide() {
        for (layers, left) in [
            (&[&["+a", "+b"][..], &["!a"]][..], "!a:1 +b:0"),
            (&[&["+a", "+b"], &["a"]], "+b:0"),
            (&[&["+a", "+b"], &[".wh.a"]], "+b:0"),
            (&[&["+d/a", "+d/e/b", "+da"], &[".wh.d"]], "+da:0"),
            (&[&["+d/a", "+d/e/b"], &["d/.wh.e"]], "+d/a:0"),
            (&[&["+d/a", "+d/b"], &["+d/c", "d/.wh..wh..opq"]], "+d/c:1"),
            (&[&["+a", "+d/b"], &[".wh..wh..opq"]], ""),
            // In its own layer a whiteout hides nothing, whichever comes first.
            (&[&["+a"], &["!a", ".wh.a"]], "!a:1"),
            (&[&["+a"], &[".wh.a", "!a"]], "!a:1"),
            // Notes of aufs are no whiteouts.
            (&[&["+a"], &[".wh..wh.plnk", ".wh..wh.aufs", ".wh."]], "+a:0"),
            // A file where a folder was, a folder where a file was, a folder once more.
            (&[&["+d/a"], &["+d"]], "+d:1"),
            (&[&["+d"], &["d/", "+d/a"]], "+d/a:1"),
            (&[&["+d/a"], &["d/"]], "+d/a:0"),
            (&[&["./+no", "+./a", "+/b", "+c//d"], &[]], "+a:0 +b:0 +c/d:0"),
        ] {
            assert_eq!(visible(layers), left, "{layers:?}");
        }
    }

    #[test]
    fn links_are_followed_as_the_engine_follows_them() {
        for (layers, left) in [
            (&[&["lib -> usr/lib", "+lib/a"][..]][..], "+usr/lib/a:0"),
            (&[&["lib -> /usr/lib", "+lib/a"], &["usr/lib/.wh.a"]], ""),
            (&[&["lib -> usr/lib", "+lib/a"], &[".wh.lib"]], "+usr/lib/a:0"),
            (&[&["lib -> usr/lib", "+lib/a"], &["lib"]], "+usr/lib/a:0"),
            (
                &[&["lib -> usr/lib", "+lib/a"], &["lib/", "+lib/b"]],
                "+lib/b:1 +usr/lib/a:0",
            ),
            (&[&["a/b -> ../c", "+a/b/x"]], "+c/x:0"),
            (&[&["a -> ../../../c", "+a/x"]], "+c/x:0"),
            (&[&["a -> .", "+a/a/x"]], "+x:0"),
            // The last part of a path is replaced and not followed.
            (&[&["+x", "a -> x"], &["!a"]], "!a:1 +x:0"),
            (&[&["+a"], &["a -> b"]], ""),
        ] {
            assert_eq!(visible(layers), left, "{layers:?}");
        }
        let mut tree = Tree::default();
        let error = add(&mut tree, 0, &["a -> b", "b -> a", "+a/x"]).expect_err("a circle");
        assert!(error.contains("in a circle at /"), "{error}");
    }

    #[test]
    fn hard_links_outlive_what_they_link() {
        for (layers, left) in [
            (&[&["+a", "b = a"][..], &[".wh.a"]][..], "+b:0"),
            (&[&["+a"], &["b = a", ".wh.a"]], "+b:1"),
            (&[&["l -> d", "+d/a", "b = /l/a"]], "+b:0 +d/a:0"),
            (&[&["a", "b = a"]], ""),
            (&[&["+b", "b = nothing"]], ""),
        ] {
            assert_eq!(visible(layers), left, "{layers:?}");
        }
    }

    #[test]
    fn paths_that_lead_out_and_paths_without_an_end_are_refused() {
        let mut tree = Tree::default();
        for path in ["+../a", "+a/../../b", "b = ../../etc/passwd"] {
            let error = add(&mut tree, 0, &[path]).expect_err(path);
            assert!(error.contains("leads out"), "{error}");
        }
        let long = format!("+{}", "x/".repeat(3000));
        assert!(
            add(&mut tree, 0, &[&long])
                .expect_err("long")
                .contains("6000 bytes")
        );
        let target = "x".repeat(4096);
        let error = add(&mut tree, 0, &[&format!("a -> x{target}")]).expect_err("long");
        assert!(error.contains("4097 bytes at /a"), "{error}");
        let many = (0..20_000).try_for_each(|n| add(&mut tree, 0, &[&format!("{n} -> {target}")]));
        assert!(many.expect_err("too many").contains("more than"), "bounded");
    }

    fn part() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "a",
            "b",
            "c",
            "..",
            ".",
            "",
            ".wh.a",
            ".wh.b",
            ".wh..wh..opq",
        ])
    }

    proptest! {
        #[test]
        fn any_layers_leave_something_bounded(
            entries in prop::collection::vec((0_usize..3, prop::collection::vec(part(), 1..4), 0_u8..5), 0..40)
        ) {
            let mut tree = Tree::default();
            for (layer, parts, kind) in entries {
                let path = parts.join("/");
                let kind = match kind {
                    0 => Kind::Directory,
                    1 => Kind::Symlink(path.clone().into_bytes()),
                    2 => Kind::Hardlink(b"a/b".to_vec()),
                    _ => Kind::File,
                };
                let _ = tree.add(layer, path.as_bytes(), kind, Some(Ok(X86_64)));
            }
            for (path, ..) in tree.programs() {
                let path = String::from_utf8_lossy(path);
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.is_empty()));
                let name = path.rsplit('/').next().unwrap_or_default();
                prop_assert!(!name.starts_with(".wh."), "{}", path);
            }
            let costs: usize = tree.nodes.iter().map(|(path, node)| cost(path, node)).sum();
            prop_assert_eq!(costs, tree.bytes);
        }
    }
}
