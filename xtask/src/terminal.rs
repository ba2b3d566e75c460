//! What the output looks like: colours only where a person sees them, durations, sizes and aligned tables.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// Whether a stream that is or is not a terminal gets colours, given the value of `NO_COLOR`.
fn colours(is_terminal: bool, no_color: Option<&str>) -> bool {
    is_terminal && no_color.is_none_or(str::is_empty)
}

fn paint(is_terminal: bool, code: &str, text: &str) -> String {
    if colours(is_terminal, std::env::var("NO_COLOR").ok().as_deref()) {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Whether the standard output of this program shows colours.
pub(crate) fn has_colours() -> bool {
    let terminal = std::io::stdout().is_terminal();
    colours(terminal, std::env::var("NO_COLOR").ok().as_deref())
}

/// Whether the output is read on a terminal, and not in a log.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Bold, for headings.
pub(crate) fn bold(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "1", text)
}

/// Dim, for commands that can be repeated.
pub(crate) fn dim(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "2", text)
}

/// Green, for what is as it should be.
pub(crate) fn green(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "32", text)
}

/// Yellow, for what a person should look at.
pub(crate) fn yellow(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "33", text)
}

/// Red, for what failed.
pub(crate) fn red(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "31", text)
}

/// Red on the standard error stream, which can be a terminal while the standard output is not.
pub(crate) fn stderr_red(text: &str) -> String {
    paint(std::io::stderr().is_terminal(), "1;31", text)
}

/// `0.4 s`, `12.3 s`, `3 min 05 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// Bytes in decimal megabytes: `1.52 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are printed")]
    let bytes = bytes as f64;
    format!("{:.2} MB", bytes / 1e6)
}

/// Lines of cells as aligned text, each line indented by two. The first column is a name and stands left; the
/// others stand right. The first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            // A string can always grow.
            if column == 0 {
                write!(line, " {cell:<width$}").ok();
            } else {
                write!(line, "  {cell:>width$}").ok();
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        assert!(colours(true, None));
        assert!(
            colours(true, Some("")),
            "an empty NO_COLOR is no objection, says no-color.org"
        );
        assert!(!colours(true, Some("1")));
        assert!(!colours(false, None));
    }

    #[test]
    fn durations_read_like_a_stop_watch() {
        assert_eq!(duration(Duration::from_millis(449)), "0.4 s");
        assert_eq!(duration(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(megabytes(1_523_456), "1.52 MB");
    }

    #[test]
    fn table_aligns_names_left_and_numbers_right() {
        let rows =
            [["route", "rps"], ["/", "12345"], ["/healthz", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&rows),
            "  route       rps\n  /         12345\n  /healthz      7\n"
        );
    }
}
