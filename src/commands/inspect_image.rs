//! `bifora inspect-image`: whether what an image claims and what is in it agree, on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bifora_image::digest::Digest;
use bifora_image::error::Error;
use bifora_image::inspect::{self, ImageReport, Liar, Report};

use crate::cli::{InspectImage, ReportFormat};

/// How many liars of one image people are told; programs are told more.
const MOST_LINES: usize = 20;

/// What there is to print, and whether all agree.
#[derive(Debug)]
pub struct Inspected {
    /// For standard output.
    pub text: String,
    /// Whether nobody lies.
    pub agrees: bool,
}

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] Error),
    /// The report cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Inspects an image.
pub fn run(arguments: &InspectImage) -> Result<Inspected, InspectError> {
    let report = inspect::inspect(&arguments.image, &arguments.except)?;
    let text = match arguments.format {
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
        ReportFormat::Text => text(&report),
    };
    Ok(Inspected {
        text,
        agrees: report.agrees,
    })
}

fn text(report: &Report) -> String {
    let mut rows = vec![["image", "by its index", "by its configuration", "ELF files"].map(str::to_owned)];
    rows.extend(report.images.iter().map(|image| {
        [
            image.manifest.as_ref().map_or("-", Digest::short).to_owned(),
            image.index.as_ref().map_or("-".to_owned(), ToString::to_string),
            image.config.to_string(),
            programs(&image.programs, image.excepted),
        ]
    }));
    let mut text = table(&rows);
    for skipped in &report.skipped {
        let platform = skipped
            .platform
            .as_ref()
            .map(|platform| format!(" for {platform}"));
        let platform = platform.unwrap_or_default();
        let _ = writeln!(text, "{}{platform} is left out: {}.", skipped.digest, skipped.why);
    }
    for image in report.images.iter().filter(|image| image.liar_count > 0) {
        let _ = write!(text, "\n{}", lies(image));
    }
    text.push_str(if !report.agrees {
        "\nThe image is not what it says.\n"
    } else if report.images.iter().all(|image| image.index.is_some()) {
        "Index, configuration and ELF files agree.\n"
    } else {
        "Configuration and ELF files agree; where the index has a -, it does not say what the image is for.\n"
    });
    text
}

fn lies(image: &ImageReport) -> String {
    let name = image.manifest.as_ref().map(|digest| format!(" ({digest})"));
    let mut text = format!("The image for {}{}:\n", image.claim(), name.unwrap_or_default());
    let told = image.liars.len().min(MOST_LINES);
    for liar in &image.liars[..told] {
        let _ = match liar {
            Liar::Index { claims } => {
                writeln!(
                    text,
                    "  the index says {claims}; configuration and ELF files do not"
                )
            }
            Liar::Config { claims } => {
                writeln!(text, "  the configuration says {claims}; the index does not")
            }
            Liar::Program { path, layer, machine } => {
                writeln!(text, "  {path} is for {machine}, in layer {layer}")
            }
        };
    }
    let beyond = image.liar_count - told as u64;
    if beyond > 0 {
        let _ = writeln!(text, "  and {beyond} more");
    }
    text
}

/// `12 x86_64, 1 aarch64`.
fn programs(counts: &BTreeMap<String, u64>, excepted: u64) -> String {
    let mut parts: Vec<_> = counts
        .iter()
        .map(|(machine, count)| format!("{count} {machine}"))
        .collect();
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    if excepted > 0 {
        parts.push(format!("{excepted} excepted"));
    }
    parts.join(", ")
}

/// Columns as wide as what is in them.
fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [image, index, config, programs] in rows {
        let _ = writeln!(
            text,
            "{image:0$}  {index:1$}  {config:2$}  {programs}",
            widths[0], widths[1], widths[2]
        );
    }
    text
}
