//! Foreign text fit to show.

/// Some text of a file: one line, without what a terminal would obey, and not too long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        // The quotes of JSON are no danger, and what is shown twice is not to become longer.
        if ['"', '\'', '\\'].contains(&c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The same of a path, which need not be text.
pub(crate) fn path(bytes: &[u8]) -> String {
    format!("/{}", shown(&String::from_utf8_lossy(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_short_line() {
        assert_eq!(
            shown("a \"b\"\n\u{1b}[31m\u{202e}"),
            "a \"b\"\\n\\u{1b}[31m\\u{202e}"
        );
        assert_eq!(shown(&shown("a\n")), "a\\n");
        assert_eq!(shown(&"x".repeat(400)).chars().count(), 301);
        assert_eq!(path(b"usr/\xff"), "/usr/\u{fffd}");
    }
}
