//! Whether an image is what it says: its index, its configuration and every program in it agree.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, Image, Program, Skipped};
use crate::digest::Digest;
use crate::error::Error;
use crate::platform::Platform;

/// How many liars of one image are told; what is beyond is counted.
pub const MOST_LIARS: usize = 100;

/// What was found in an archive.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Whether all claims agree, in all images.
    pub agrees: bool,
    /// The images.
    pub images: Vec<ImageReport>,
    /// What is named and was not looked at.
    pub skipped: Vec<Skipped>,
}

/// What was found in the image of one platform.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImageReport {
    /// Digest of its manifest; `null` in the older form of `docker save`, which has none.
    pub manifest: Option<Digest>,
    /// What the index claims; `null` where there is none, or where it claims nothing.
    pub index: Option<Platform>,
    /// What the configuration claims.
    pub config: Platform,
    /// How many ELF files there are for each machine.
    pub programs: BTreeMap<String, u64>,
    /// How many ELF files were not judged, because they are excepted.
    pub excepted: u64,
    /// Who contradicts the others, [`MOST_LIARS`] at most.
    pub liars: Vec<Liar>,
    /// How many there are in all.
    pub liar_count: u64,
}

/// Who contradicts the others.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Liar {
    /// The index, which every program contradicts.
    Index {
        /// What it claims.
        claims: Platform,
    },
    /// The configuration.
    Config {
        /// What it claims.
        claims: Platform,
    },
    /// An ELF file.
    Program {
        /// Its path in the image.
        path: String,
        /// The layer that it is from.
        layer: String,
        /// What it is for.
        machine: String,
    },
}

/// Inspects the archive at `path`. What is at or below the paths `except` is not judged.
pub fn inspect(path: &Path, except: &[String]) -> Result<Report, Error> {
    let archive = Archive::open(path)?;
    let contents = archive.contents()?;
    let images = contents.images.iter().map(|image| {
        let layers = archive.layers(image, &mut |_, _| Ok(()))?;
        Ok(ImageReport::new(image, &layers.programs, except))
    });
    let images: Vec<_> = images.collect::<Result<_, Error>>()?;
    Ok(Report {
        agrees: images.iter().all(|image| image.liar_count == 0),
        images,
        skipped: contents.skipped,
    })
}

impl ImageReport {
    /// Judges an image by the programs in it.
    pub fn new(image: &Image, programs: &[Program], except: &[String]) -> Self {
        let is_excepted = |program: &&Program| except.iter().any(|path| is_at_or_below(&program.path, path));
        let (excepted, judged): (Vec<_>, Vec<_>) = programs.iter().partition(is_excepted);
        let mut counts = BTreeMap::new();
        for program in &judged {
            *counts.entry(machine(program)).or_default() += 1;
        }
        let index = image.platform.as_ref();
        let config = &image.config.platform;
        let runs = |platform: &Platform, program: &Program| {
            program.machine.is_ok_and(|elf| platform.runs(elf) == Some(true))
        };
        let mut liars = Vec::new();
        // If all programs are what the configuration says it is the index that lies. Else the index is believed, since
        // whoever pulls chooses by it.
        let mut believed = config;
        if let Some(index) = index {
            if index.agrees_with(config) {
                believed = index;
            } else if !judged.is_empty() && judged.iter().all(|program| runs(config, program)) {
                liars.push(Liar::Index {
                    claims: index.clone(),
                });
            } else {
                liars.push(Liar::Config {
                    claims: config.clone(),
                });
                believed = index;
            }
        }
        let lying = judged.iter().filter(|program| !runs(believed, program));
        let mut liar_count = liars.len() as u64;
        for program in lying {
            liar_count += 1;
            if liars.len() < MOST_LIARS {
                liars.push(Liar::Program {
                    path: program.path.clone(),
                    layer: program.layer.clone(),
                    machine: machine(program),
                });
            }
        }
        Self {
            manifest: image.digest.clone(),
            index: image.platform.clone(),
            config: config.clone(),
            programs: counts,
            excepted: excepted.len() as u64,
            liars,
            liar_count,
        }
    }

    /// What it is for, as far as it claims anything.
    pub fn claim(&self) -> &Platform {
        self.index.as_ref().unwrap_or(&self.config)
    }
}

fn machine(program: &Program) -> String {
    match program.machine {
        Ok(elf) => elf.to_string(),
        Err(broken) => broken.to_string(),
    }
}

/// Whether a path is `folder`, or in it.
fn is_at_or_below(path: &str, folder: &str) -> bool {
    let trim = |path: &str| path.trim_matches('/').to_owned();
    let (path, folder) = (trim(path), trim(folder));
    path.strip_prefix(&folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::archive::Why;
    use crate::draft::{Draft, ImageDraft, gzip, layer, program};
    use crate::elf::{AARCH64, X86_64};

    const AMD64: &str = "linux/amd64";
    const ARM64: &str = "linux/arm64/v8";

    /// A folder with `image.tar` and `image/`, the same image twice.
    struct Written(TempDir);

    impl Written {
        fn of(draft: &Draft) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            draft.write_tar(&folder.path().join("image.tar"));
            draft.write_folder(&folder.path().join("image"));
            Self(folder)
        }

        fn paths(&self) -> [PathBuf; 2] {
            ["image.tar", "image"].map(|name| self.0.path().join(name))
        }
    }

    /// What is found, which has to be the same in a tar file and in a folder.
    fn inspected(draft: &Draft) -> Report {
        let written = Written::of(draft);
        let [tar, folder] = written.paths().map(|path| inspect(&path, &[]).expect("readable"));
        assert_eq!(tar, folder);
        let json = serde_json::to_string(&tar).expect("serializes");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("parses"), tar);
        tar
    }

    /// Why it cannot be read, which has to be said in both forms, with the name of the file.
    fn refused(draft: &Draft) -> String {
        let written = Written::of(draft);
        let errors = written.paths().map(|path| {
            let error = inspect(&path, &[]).expect_err("refused").to_string();
            let (name, rest) = error.split_once(": ").expect("a place");
            assert_eq!(name, path.display().to_string());
            rest.to_owned()
        });
        assert_eq!(errors[0], errors[1]);
        errors[0].clone()
    }

    fn of(images: &[ImageDraft<'_>]) -> Draft {
        let mut draft = Draft::default();
        let manifests: Vec<_> = images.iter().map(|image| draft.image(image)).collect();
        draft.index(&manifests);
        draft
    }

    fn one(image: &ImageDraft<'_>) -> Report {
        inspected(&of(std::slice::from_ref(image)))
    }

    fn own_program() -> Vec<u8> {
        let path = std::env::current_exe().expect("a running program has a path");
        fs::read(path).expect("readable")
    }

    fn own_platform() -> &'static str {
        if cfg!(target_arch = "x86_64") {
            AMD64
        } else {
            ARM64
        }
    }

    fn liars(report: &Report) -> Vec<String> {
        let text = |liar: &Liar| match liar {
            Liar::Index { claims } => format!("index {claims}"),
            Liar::Config { claims } => format!("config {claims}"),
            Liar::Program { path, machine, .. } => format!("{path} {machine}"),
        };
        report
            .images
            .iter()
            .flat_map(|image| &image.liars)
            .map(text)
            .collect()
    }

    #[test]
    fn an_honest_image_agrees() {
        let own = own_program();
        let foreign = if own_platform() == AMD64 { ARM64 } else { AMD64 };
        let other = program(if foreign == ARM64 { AARCH64 } else { X86_64 });
        let mut images = [
            ImageDraft::new(
                own_platform(),
                &[("bifora", &own), ("etc/", b""), ("etc/x", b"#!/bin/sh")],
            ),
            ImageDraft::new(
                foreign,
                &[
                    ("usr/bin/a", &other),
                    ("usr/bin/b = usr/bin/a", b""),
                    ("bin -> usr/bin", b""),
                ],
            ),
        ];
        images[1].layers[0] = gzip(&images[1].layers[0]);
        let report = inspected(&of(&images));
        assert!(report.agrees, "{report:?}");
        assert_eq!(report.skipped, []);
        let counts = report
            .images
            .iter()
            .map(|image| image.programs.values().sum::<u64>());
        assert_eq!(counts.collect::<Vec<_>>(), [1, 2]);
        assert_eq!(
            report.images[0].programs.keys().collect::<Vec<_>>(),
            [std::env::consts::ARCH]
        );
    }

    #[test]
    fn each_liar_is_named_with_its_layer() {
        let mut image = ImageDraft::new(ARM64, &[("bin/good", &program(AARCH64))]);
        image.layers.push(gzip(&layer(&[
            ("usr/bin/liar", &program(X86_64)),
            ("cut", b"\x7fELF\x02"),
        ])));
        let report = one(&image);
        assert!(!report.agrees);
        let [cut, liar] = &report.images[0].liars[..] else {
            panic!("{report:?}")
        };
        let Liar::Program { path, layer, machine } = liar else {
            panic!("{liar:?}")
        };
        assert_eq!((path.as_str(), machine.as_str()), ("/usr/bin/liar", "x86_64"));
        assert_eq!(*layer, Digest::of(&image.layers[1]).to_string());
        assert!(
            matches!(cut, Liar::Program { path, machine, .. } if path == "/cut" && machine.contains("cut off"))
        );
    }

    #[test]
    fn who_lies_is_who_the_programs_contradict() {
        let arm = program(AARCH64);
        let draft = |index, config, content: &[u8]| ImageDraft {
            index,
            config,
            ..ImageDraft::new(index, &[("a", content), ("b", content)])
        };
        for (index, config, content, expected) in [
            (AMD64, ARM64, arm.as_slice(), &["index linux/amd64"][..]),
            (ARM64, AMD64, &arm, &["config linux/amd64"]),
            (AMD64, AMD64, &arm, &["/a aarch64", "/b aarch64"]),
            ("", AMD64, &arm, &["/a aarch64", "/b aarch64"]),
            ("", ARM64, &arm, &[]),
            (AMD64, ARM64, b"no program", &["config linux/arm64/v8"]),
            (AMD64, AMD64, b"no program", &[]),
            (
                "linux/riscv64",
                AMD64,
                &arm,
                &["config linux/amd64", "/a aarch64", "/b aarch64"],
            ),
            (
                "linux/nonsense",
                "linux/nonsense",
                &arm,
                &["/a aarch64", "/b aarch64"],
            ),
            ("windows/arm64", ARM64, &arm, &["index windows/arm64"]),
            ("linux/arm64", ARM64, &arm, &[]),
        ] {
            let report = one(&draft(index, config, content));
            assert_eq!(liars(&report), expected, "{index} {config}");
            assert_eq!(report.agrees, expected.is_empty());
        }
    }

    #[test]
    fn one_manifest_for_two_platforms_is_judged_twice() {
        let mut draft = Draft::default();
        let amd = draft.image(&ImageDraft::new(AMD64, &[("a", &program(X86_64))]));
        let mut arm = amd.clone();
        arm["platform"] = json!({ "os": "linux", "architecture": "arm64" });
        draft.index(&[amd.clone(), arm, amd]);
        let report = inspected(&draft);
        assert_eq!(report.images.len(), 2, "the same claim twice is one");
        assert_eq!(liars(&report), ["index linux/arm64"]);
    }

    #[test]
    fn what_upper_layers_hide_is_not_judged() {
        let mut image = ImageDraft::new(AMD64, &[("bin/liar", &program(AARCH64)), ("a", &program(X86_64))]);
        image.layers.push(layer(&[("bin/.wh.liar", b"")]));
        assert!(one(&image).agrees);
        // And what comes back is.
        image.layers.push(layer(&[("bin/liar", &program(AARCH64))]));
        assert_eq!(liars(&one(&image)), ["/bin/liar aarch64"]);
    }

    #[test]
    fn excepted_paths_are_counted_and_not_judged() {
        let image = ImageDraft::new(
            AMD64,
            &[
                ("a", &program(X86_64)),
                ("data/x", &program(AARCH64)),
                ("data/y", &program(AARCH64)),
                ("database", &program(AARCH64)),
            ],
        );
        let written = Written::of(&of(&[image]));
        for (except, expected, count) in [
            (&["/data"][..], &["/database aarch64"][..], 2),
            (&["data/", "/database"], &[], 3),
            (&["/data/x"], &["/data/y aarch64", "/database aarch64"], 1),
            (
                &["dat"],
                &["/data/x aarch64", "/data/y aarch64", "/database aarch64"],
                0,
            ),
            (&["/"], &[], 4),
        ] {
            let except: Vec<_> = except.iter().map(ToString::to_string).collect();
            for path in written.paths() {
                let report = inspect(&path, &except).expect("readable");
                assert_eq!(liars(&report), expected, "{except:?}");
                assert_eq!(report.images[0].excepted, count, "{except:?}");
            }
        }
    }

    #[test]
    fn many_liars_are_counted_and_not_all_told() {
        let names: Vec<_> = (0..250).map(|number| format!("f{number}")).collect();
        let wrong = program(X86_64);
        let files: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), wrong.as_slice()))
            .collect();
        let report = one(&ImageDraft::new(ARM64, &files));
        assert_eq!(
            (report.images[0].liars.len(), report.images[0].liar_count),
            (MOST_LIARS, 250)
        );
    }

    #[test]
    fn attestations_signatures_and_what_was_not_pulled_are_left_out_and_said() {
        let mut draft = Draft::default();
        let image = draft.image(&ImageDraft::new(AMD64, &[("a", &program(X86_64))]));
        let mut attestation = draft.image(&ImageDraft::new("unknown/unknown", &[("a", &program(AARCH64))]));
        attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
        let mut missing = json!({ "digest": Digest::of(b"elsewhere") });
        missing["platform"] = json!({ "os": "linux", "architecture": "arm64" });
        let empty = draft.blob(b"{}");
        let mut config = empty.clone();
        config["mediaType"] = "application/vnd.oci.empty.v1+json".into();
        let signature = draft.document(&json!({ "config": config, "layers": [empty] }));
        draft.index(&[image, attestation, missing, signature]);
        let report = inspected(&draft);
        assert!(report.agrees && report.images.len() == 1);
        let why: Vec<_> = report.skipped.iter().map(|skipped| skipped.why).collect();
        assert_eq!(why, [Why::Attestation, Why::Missing, Why::NoImage]);
        // A platform that is claimed is judged, whatever its configuration says that it is.
        let mut draft = Draft::default();
        let mut config = draft.document(&json!({ "os": "linux", "architecture": "arm64" }));
        config["mediaType"] = "application/vnd.oci.empty.v1+json".into();
        let content = draft.blob(&layer(&[("a", &program(X86_64))]));
        let mut disguised = draft.document(&json!({ "config": config, "layers": [content] }));
        disguised["platform"] = json!({ "os": "linux", "architecture": "arm64" });
        draft.index(&[disguised]);
        assert_eq!(liars(&inspected(&draft)), ["/a x86_64"]);
    }

    #[test]
    fn the_older_form_of_docker_save_is_read() {
        let mut image = ImageDraft::new(ARM64, &[("a", &program(AARCH64))]);
        image.layers.push(layer(&[("b", &program(X86_64))]));
        let mut draft = Draft::default();
        draft.docker_save(&[image, ImageDraft::new(AMD64, &[("a", &program(X86_64))])]);
        let report = inspected(&draft);
        assert_eq!(liars(&report), ["/b x86_64"]);
        assert!(
            report
                .images
                .iter()
                .all(|image| image.index.is_none() && image.manifest.is_none())
        );
        let Liar::Program { layer, .. } = &report.images[0].liars[0] else {
            panic!("{report:?}")
        };
        assert_eq!(layer, "0-1/layer.tar");
    }

    #[test]
    fn blobs_that_are_not_what_their_digest_says_are_refused() {
        let image = ImageDraft::new(AMD64, &[("a", &program(X86_64))]);
        let good = of(std::slice::from_ref(&image));
        let written = Written::of(&good);
        let [_, folder] = written.paths();
        let blobs: Vec<_> = fs::read_dir(folder.join("blobs/sha256"))
            .expect("there")
            .flatten()
            .collect();
        assert_eq!(blobs.len(), 4, "index, manifest, configuration, layer");
        for blob in blobs {
            let content = fs::read(blob.path()).expect("readable");
            let name = blob.file_name().into_string().expect("digits");
            let mut changed = content.clone();
            *changed.last_mut().expect("not empty") ^= 1;
            for (wrong, part) in [
                (changed, "is not what its name says"),
                (content[1..].to_vec(), "whoever names it says"),
            ] {
                fs::write(blob.path(), wrong).expect("writable");
                let error = inspect(&folder, &[]).expect_err("changed").to_string();
                assert!(error.contains(part) && error.contains(&name), "{error}");
            }
            fs::write(blob.path(), content).expect("writable");
        }
        inspect(&folder, &[]).expect("as it was");

        // In the older form it is the configuration that has the digests.
        let mut draft = Draft::default();
        draft.docker_save(&[image]);
        let written = Written::of(&draft);
        let [_, folder] = written.paths();
        fs::write(folder.join("0-0/layer.tar"), layer(&[("a", b"other")])).expect("writable");
        let error = inspect(&folder, &[]).expect_err("changed").to_string();
        assert!(
            error.contains("layer 0-0/layer.tar: the configuration says that it unpacks to"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_an_archive_is_named() {
        let top = |manifests: &[Value], files: &[(&str, &[u8])]| {
            let mut draft = Draft::default();
            for (path, content) in files {
                draft.add(path, content);
            }
            draft.top(manifests);
            refused(&draft)
        };
        let nothing = Digest::of(b"nothing");
        for (manifests, part) in [
            (vec![], "it names no image"),
            (
                vec![json!({ "digest": "sha256:../../etc/passwd" })],
                "it names `sha256:../../etc/passwd`: a digest is",
            ),
            (
                vec![json!({ "digest": format!("sha512:{}", "0".repeat(128)) })],
                "a digest is `sha256:`",
            ),
            (
                vec![json!({ "digest": nothing })],
                "it names no image that is there",
            ),
            (vec![json!({ "size": 1 })], "missing field `digest`"),
            (vec![json!(7)], "index.json: it is not what it should be"),
            (
                (0..1_001)
                    .map(|n: u32| json!({ "digest": Digest::of(&n.to_le_bytes()) }))
                    .collect(),
                "more than 1000",
            ),
        ] {
            let error = top(&manifests, &[]);
            assert!(error.contains(part), "{error}");
        }
        let mut draft = Draft::default();
        draft.add("something", b"else");
        assert!(refused(&draft).contains("neither index.json (an OCI layout) nor manifest.json"));
        for (name, content, part) in [
            (
                "index.json",
                &b"<html>"[..],
                "index.json: it is not what it should be: expected value",
            ),
            (
                "index.json",
                br#"{"manifests":[],"config":{"digest":""}}"#,
                "no list of manifests, or more",
            ),
            (
                "index.json",
                "[".repeat(100_000).as_bytes(),
                "it is not what it should be",
            ),
            (
                "index.json",
                &vec![b' '; 5 << 20],
                "it has 5242880 bytes, and 4194304 is the most",
            ),
            (
                "manifest.json",
                br#"[{"Config":"../../x.json","Layers":[]}]"#,
                "the path /../../x.json leads out",
            ),
            (
                "manifest.json",
                br#"[{"Config":"x.json","Layers":[]}]"#,
                "x.json: it is named, and not there",
            ),
            ("manifest.json", b"[]", "it names no image"),
        ] {
            let mut draft = Draft::default();
            draft.add(name, content);
            let error = refused(&draft);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn documents_that_are_two_things_and_indexes_without_an_end_are_refused() {
        let mut draft = Draft::default();
        let both = draft.document(&json!({ "manifests": [], "config": { "digest": "" }, "layers": [] }));
        draft.top(&[both]);
        assert!(refused(&draft).contains("it is neither an index (manifests) nor a manifest"));
        let mut draft = Draft::default();
        let mut inner = draft.image(&ImageDraft::new(AMD64, &[("a", &program(X86_64))]));
        for _ in 0..10 {
            inner = draft.document(&json!({ "manifests": [inner] }));
        }
        draft.top(&[inner]);
        assert!(refused(&draft).contains("indexes in indexes"));
        // Each level names the next one a thousand times, and each is read once.
        let mut draft = Draft::default();
        let mut inner = draft.image(&ImageDraft::new(AMD64, &[("a", &program(X86_64))]));
        for _ in 0..2 {
            inner = draft.document(&json!({ "manifests": vec![inner; 300] }));
        }
        draft.top(&[inner]);
        assert_eq!(inspected(&draft).images.len(), 1);
    }

    #[test]
    fn layers_that_are_not_read_say_why() {
        for (content, part) in [
            (
                b"\x28\xb5\x2f\xfd\x00\x01\x02\x03".to_vec(),
                "compressed with zstd, which is not read here",
            ),
            (b"BZh9xxxx".to_vec(), "compressed with bzip2"),
            (b"no tar file".to_vec(), "layer sha256:"),
            (gzip(&layer(&[("up", b"")]))[..20].to_vec(), "it breaks off"),
        ] {
            let mut image = ImageDraft::new(AMD64, &[]);
            image.layers = vec![content];
            let error = refused(&of(&[image]));
            assert!(error.contains(part), "{error}");
        }
        // A second member of gzip is a part of the layer, as it is for the engine.
        let (one, two) = (
            layer(&[("a", &program(X86_64))]),
            layer(&[("b", &program(AARCH64))]),
        );
        let mut image = ImageDraft::new(AMD64, &[]);
        image.layers = vec![[gzip(&one[..1024]), gzip(&two)].concat()];
        let found = inspected(&of(&[image]));
        assert_eq!(liars(&found), ["/b aarch64"]);
        // Another content than the configuration tells, though the digest of the blob is right.
        let mut draft = Draft::default();
        let layer = draft.blob(&layer(&[("a", b"x")]));
        let config = draft.document(&json!({ "rootfs": { "diff_ids": [Digest::of(b"other")] } }));
        let manifest = draft.document(&json!({ "config": config, "layers": [layer] }));
        draft.top(&[manifest]);
        assert!(refused(&draft).contains("the configuration says that it unpacks to sha256:"));
        let mut draft = Draft::default();
        let config = draft.document(&json!({ "rootfs": { "diff_ids": [Digest::of(b"other")] } }));
        let manifest = draft.document(&json!({ "config": config, "layers": [] }));
        draft.top(&[manifest]);
        assert!(refused(&draft).contains("digests of 1 layers, and the image has 0"));
        let mut image = ImageDraft::new(AMD64, &[]);
        image.layers = vec![Vec::new(); 501];
        assert!(refused(&of(&[image])).contains("the image has 501 layers, and 500 is the most"));
    }

    #[test]
    fn a_layer_that_never_ends_is_given_up() {
        // 16 MiB of zeros in 16 kB, in one file of a tar stream, against a limit of 1 MiB.
        let mut header = tar::Header::new_gnu();
        header.set_size(16 << 20);
        header.set_path("zeros").expect("short");
        header.set_cksum();
        let content = [header.as_bytes().as_slice(), &vec![0; (16 << 20) + 1024]].concat();
        let mut image = ImageDraft::new(AMD64, &[]);
        image.layers = vec![gzip(&content)];
        let written = Written::of(&of(&[image]));
        let archive = Archive::open(&written.paths()[0]).expect("a tar file");
        let contents = archive.contents().expect("readable");
        archive.limit(1 << 20);
        let error = archive
            .layers(&contents.images[0], &mut |_, _| Ok(()))
            .expect_err("too large");
        assert!(error.to_string().contains("together have more than"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_damage_to_an_archive_ends_in_a_result(
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in prop::option::of(any::<prop::sample::Index>()),
            older in any::<bool>()
        ) {
            let image = ImageDraft::new(ARM64, &[("a -> b", b""), ("b/c", &program(AARCH64)), ("d = b/c", b"")]);
            let mut draft = Draft::default();
            if older {
                draft.docker_save(&[image]);
            } else {
                let manifest = draft.image(&image);
                draft.index(&[manifest]);
            }
            let mut archive = draft.tar();
            for (place, byte) in places {
                let at = place.index(archive.len());
                archive[at] = byte;
            }
            if let Some(cut) = cut {
                archive.truncate(cut.index(archive.len()));
            }
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("image.tar");
            fs::write(&path, &archive).expect("writable");
            match inspect(&path, &[]) {
                Ok(report) => prop_assert!(report.images.len() <= 1),
                Err(error) => {
                    let error = error.to_string();
                    prop_assert!(!error.contains(char::is_control) && error.len() < 1_500, "{}", error);
                }
            }
        }

        #[test]
        fn any_documents_and_layers_end_in_a_result(
            index in any_document(), manifest in any_document(), config in any_document(),
            content in prop::collection::vec(any::<u8>(), 0..600), compressed in any::<bool>()
        ) {
            let mut draft = Draft::default();
            let content = if compressed { gzip(&content) } else { content };
            let layer = draft.blob(&content);
            let config = draft.document(&config);
            let mut manifest = manifest;
            if let Some(object) = manifest.as_object_mut() {
                object.entry("config").or_insert(config);
                object.entry("layers").or_insert(json!([layer]));
            }
            let manifest = draft.document(&manifest);
            let mut index = index;
            if let Some(object) = index.as_object_mut() {
                object.entry("manifests").or_insert(json!([manifest]));
            }
            draft.add("index.json", index.to_string().as_bytes());
            let folder = tempfile::tempdir().expect("a folder");
            draft.write_folder(folder.path());
            let _ = inspect(folder.path(), &[]);
        }
    }

    /// JSON with the names that matter, and values of any kind behind them.
    fn any_document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-z0-9:/.]{0,12}".prop_map(Value::from),
            Just(Value::from(format!("sha256:{}", "0".repeat(64)))),
        ];
        let names = [
            "manifests",
            "config",
            "layers",
            "digest",
            "size",
            "platform",
            "os",
            "architecture",
            "variant",
            "rootfs",
            "diff_ids",
            "annotations",
            "mediaType",
            "Labels",
            "User",
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..5).prop_map(
                    |map| {
                        map.into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect::<serde_json::Map<_, _>>()
                            .into()
                    }
                ),
            ]
        })
    }
}
