//! `bifora inspect-image`: its exit codes, and what it says to people and programs.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use bifora_image::draft::{Draft, ImageDraft, gzip, layer, program as head};
use bifora_image::elf::{AARCH64, X86_64};
use bifora_image::inspect::{Liar, Report};
use tempfile::TempDir;

use crate::support::program::{Ended, arch, binary, program, run};

async fn inspect(path: &Path, more: &[&str]) -> Ended {
    let path = path.to_str().expect("text");
    run(&mut program(&[&["inspect-image", path], more].concat())).await
}

fn write(draft: &Draft) -> (TempDir, [std::path::PathBuf; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["image", "image.tar"].map(|name| folder.path().join(name));
    draft.write_folder(&paths[0]);
    draft.write_tar(&paths[1]);
    (folder, paths)
}

/// The real program for the platforms of both architectures: honest for one of them alone.
fn with_the_same_program_twice() -> Draft {
    let content = fs::read(binary()).expect("the binary can be read");
    let mut draft = Draft::default();
    let images = ["linux/amd64", "linux/arm64"].map(|platform| {
        let mut image = ImageDraft::new(platform, &[]);
        image.layers = vec![gzip(&layer(&[("bifora", &content)]))];
        draft.image(&image)
    });
    draft.index(&images);
    draft
}

#[tokio::test]
async fn an_honest_image_is_exit_code_0() {
    let content = fs::read(binary()).expect("the binary can be read");
    let (own, other, foreign) = if arch() == "x86_64" {
        ("linux/amd64", "linux/arm64/v8", AARCH64)
    } else {
        ("linux/arm64/v8", "linux/amd64", X86_64)
    };
    let mut draft = Draft::default();
    let images = [
        draft.image(&ImageDraft::new(own, &[("bifora", &content)])),
        draft.image(&ImageDraft::new(
            other,
            &[("bifora", &head(foreign)), ("readme", b"no program")],
        )),
        draft.image(&ImageDraft::new("unknown/unknown", &[("x", b"y")])),
    ];
    draft.index(&images);
    let (_folder, paths) = write(&draft);
    for path in paths {
        let ended = inspect(&path, &[]).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
        for part in [
            own,
            other,
            "1 x86_64",
            "1 aarch64",
            "is left out: it is no image",
            "ELF files agree",
        ] {
            assert!(ended.out.contains(part), "{part} is not in {}", ended.out);
        }
        let report: Report =
            serde_json::from_str(&inspect(&path, &["--format", "json"]).await.out).expect("JSON");
        assert!(report.agrees && report.images.len() == 2 && report.skipped.len() == 1);
    }
}

#[tokio::test]
async fn a_liar_is_exit_code_1_and_named_with_its_layer() {
    let (_folder, paths) = write(&with_the_same_program_twice());
    for path in paths {
        let ended = inspect(&path, &[]).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(1), ""));
        let line = format!("/bifora is for {}, in layer sha256:", arch());
        assert_eq!(ended.out.matches(&line).count(), 1, "{}", ended.out);
        assert!(
            ended.out.ends_with("The image is not what it says.\n"),
            "{}",
            ended.out
        );
        let ended = inspect(&path, &["--format", "json"]).await;
        assert_eq!(ended.code, Some(1));
        let report: Report = serde_json::from_str(&ended.out).expect("JSON");
        let liars: Vec<_> = report.images.iter().flat_map(|image| &image.liars).collect();
        assert!(
            matches!(liars[..], [Liar::Program { path, machine, .. }] if path == "/bifora" && *machine == arch()),
            "{liars:?}"
        );
        // As data it may be there.
        assert_eq!(inspect(&path, &["--except", "/bifora"]).await.code, Some(0));
    }
}

#[tokio::test]
async fn an_index_and_a_configuration_that_lie_are_named() {
    for (index, config, line) in [
        (
            "linux/amd64",
            "linux/arm64",
            "  the index says linux/amd64; configuration and ELF files do not\n",
        ),
        (
            "linux/arm64",
            "linux/amd64",
            "  the configuration says linux/amd64; the index does not\n",
        ),
    ] {
        let mut draft = Draft::default();
        let image = draft.image(&ImageDraft {
            config,
            ..ImageDraft::new(index, &[("a", &head(AARCH64))])
        });
        draft.index(&[image]);
        let (_folder, paths) = write(&draft);
        let ended = inspect(&paths[1], &[]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.contains(line), "{}", ended.out);
    }
}

#[tokio::test]
async fn the_older_form_of_docker_save_is_read() {
    let mut draft = Draft::default();
    draft.docker_save(&[ImageDraft::new(
        "linux/arm64",
        &[("a", &head(X86_64)), ("b", &head(AARCH64))],
    )]);
    let (_folder, paths) = write(&draft);
    for path in paths {
        let ended = inspect(&path, &[]).await;
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.out.contains("  /a is for x86_64, in layer 0-0/layer.tar\n"),
            "{}",
            ended.out
        );
        assert!(!ended.out.contains("/b is"), "{}", ended.out);
    }
}

#[tokio::test]
async fn what_is_no_image_is_exit_code_2_and_one_line() {
    let (folder, [image, tar]) = write(&with_the_same_program_twice());
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("creatable");
    let text = folder.path().join("text");
    fs::write(&text, "something else").expect("writable");
    let whole = fs::read(&tar).expect("readable");
    fs::write(&tar, &whole[..whole.len() / 2]).expect("writable");
    let blobs = image.join("blobs/sha256");
    let blob = fs::read_dir(&blobs)
        .expect("there")
        .flatten()
        .max_by_key(|file| file.metadata().map_or(0, |data| data.len()));
    let blob = blob.expect("one is the largest").path();
    let mut content = fs::read(&blob).expect("readable");
    content[5_000] ^= 1;
    fs::write(&blob, content).expect("writable");
    let changed = blob.file_name().and_then(|name| name.to_str()).expect("digits");
    for (path, part) in [
        (folder.path().join("missing").as_path(), "No such file"),
        (
            &empty,
            "neither index.json (an OCI layout) nor manifest.json (docker save)",
        ),
        (&text, "no tar file"),
        (&tar, "breaks off"),
        (Path::new("/dev/null"), "neither a folder nor a file"),
        (&image, changed),
    ] {
        let ended = inspect(path, &[]).await;
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(2), ""),
            "{}",
            path.display()
        );
        let name = path.to_str().expect("text");
        assert!(
            ended.err.starts_with(&format!("bifora: {name}: ")) && ended.err.contains(part),
            "{}",
            ended.err
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    let path = image.to_str().expect("text");
    for arguments in [
        &["inspect-image"][..],
        &["inspect-image", path, path],
        &["inspect-image", path, "--format", "xml"],
        &["inspect-image", path, "--except"],
    ] {
        let ended = run(&mut program(arguments)).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_no_verdict() {
    let (_folder, [path, _]) = write(&with_the_same_program_twice());
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let mut command = program(&["inspect-image", path.to_str().expect("text")]);
    let child = command
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let ended: Ended = child.wait_with_output().expect("ends").into();
    assert_eq!(
        (ended.code, ended.err.lines().count()),
        (Some(2), 1),
        "{}",
        ended.err
    );
}
