//! What the binary knows at compile time: facts of this build (built, vergen) and the embedded files of `static/`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use vergen_gitcl::{Build, Emitter, Gitcl};

fn main() -> Result<()> {
    // What vergen and built watch is not enough: the "dirty" of an edited source would go stale. Files that do not go
    // into the binary are left out, so that editing one does not build it again.
    for path in [
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "static",
        "templates",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    for fact in [
        "GIT_SHA",
        "GIT_COMMIT_TIMESTAMP",
        "GIT_BRANCH",
        "GIT_DIRTY",
        "BUILD_TIMESTAMP",
    ] {
        println!("cargo:rerun-if-env-changed=VERGEN_{fact}");
    }
    built::write_built_file().context("writing the facts of this build")?;
    println!("cargo:rustc-env=BIFORA_DEPENDENCIES={}", dependencies()?);
    Emitter::default()
        .add_instructions(&Build::builder().build_timestamp(true).build())?
        .add_instructions(
            &Gitcl::builder()
                .branch(true)
                .commit_timestamp(true)
                .sha(false)
                .dirty(true)
                .build(),
        )?
        .emit()
        .context("writing the facts of the commit")?;
    pack_relocations();
    description(Path::new("src/web/openapi.json"))?;
    embed(Path::new("static"))
}

/// Has the linker write the relocations of a static binary in the short form, `DT_RELR`, which saves 170 kB on x86_64. What undoes
/// it at start is glibc's own code, of 2.36 and newer; linkers for aarch64 learned it later than that, and are left alone.
#[expect(
    clippy::disallowed_methods,
    reason = "it is how cargo tells a build script what it builds for"
)]
fn pack_relocations() {
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let is_static = target("FEATURE")
        .split(',')
        .any(|feature| feature == "crt-static");
    if !is_static || target("ARCH") != "x86_64" || target("ENV") != "gnu" {
        return;
    }
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = version.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let mut numbers = version
        .trim()
        .trim_start_matches("glibc ")
        .split('.')
        .map(str::parse::<u32>);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
        && (major, minor) >= (2, 36)
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Writes the description of the API without the blanks that it has for readers. Texts in JSON have no line breaks.
fn description(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let compact: String = text.lines().map(str::trim_start).collect();
    fs::write(out()?.join("openapi.json"), compact)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is how cargo tells a build script where to write"
)]
fn out() -> Result<PathBuf> {
    Ok(PathBuf::from(
        env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?,
    ))
}

/// The names under `[dependencies]`: Cargo.lock does not tell them from those of tests and of this script.
fn dependencies() -> Result<String> {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml")?
        .parse()
        .context("parsing Cargo.toml")?;
    let table = manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .context("no [dependencies]")?;
    Ok(table.keys().cloned().collect::<Vec<_>>().join(","))
}

/// Writes `assets.rs`: one `Asset` per entry of `folder`, named by its content and compressed as far as it helps.
fn embed(folder: &Path) -> Result<()> {
    let out = out()?;
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let (name, identity) = entry(&file)?;
        let (stem, extension) = name
            .rsplit_once('.')
            .with_context(|| format!("{name}: no extension"))?;
        let (media_type, text) = match extension {
            "css" => ("text/css; charset=utf-8", true),
            "js" => ("text/javascript; charset=utf-8", true),
            "svg" => ("image/svg+xml", true),
            "txt" => ("text/plain; charset=utf-8", true),
            "png" => ("image/png", false),
            "ico" => ("image/x-icon", false),
            other => {
                bail!("static/{name}: no media type for .{other}; allowed are css, js, svg, txt, png, ico")
            }
        };
        let digest = Sha256::digest(&identity);
        let hash = digest.iter().take(8).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let mut forms = String::new();
        for (encoding, bytes) in [("br", brotli(&identity)?), ("gzip", gzip(&identity)?)] {
            // A file that compression does not make smaller is sent as it is.
            if text && bytes.len() < identity.len() {
                fs::write(out.join(format!("{name}.{encoding}")), bytes)?;
                write!(
                    forms,
                    "Form {{ encoding: Some({encoding:?}), etag: \"\\\"{hash}-{encoding}\\\"\", \
                     body: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.{encoding}\")) }}, "
                )?;
            }
        }
        fs::write(out.join(&name), &identity)?;
        writeln!(
            table,
            "Asset {{ name: {name:?}, url: \"/static/{stem}.{hash}.{extension}\", \
             media_type: {media_type:?}, compressed: &[{forms}], \
             plain: Form {{ encoding: None, etag: \"\\\"{hash}\\\"\", \
             body: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")) }} }},"
        )?;
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

/// Name and content of an entry of `static/`. A folder of scripts is one script, in the order of their names: behind a
/// load balancer, during a rollout, a page that loads several may get them from several versions.
fn entry(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .context("names of static files are UTF-8")?;
    let read = |file: &Path| fs::read(file).with_context(|| format!("reading {}", file.display()));
    if !path.is_dir() {
        return Ok((name.to_owned(), read(path)?));
    }
    let mut scripts: Vec<_> = fs::read_dir(path)?
        .map(|script| script.map(|s| s.path()))
        .collect::<Result<_, _>>()?;
    scripts.sort();
    let mut whole = Vec::new();
    for script in scripts {
        if script.extension().is_none_or(|extension| extension != "js") {
            bail!("{}: a folder of static/ holds scripts only", script.display());
        }
        whole.extend(read(&script)?);
    }
    Ok((format!("{name}.js"), whole))
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &*bytes, &mut out, &parameters)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
