//! Foreign text made fit to show: bounded, one line, nothing that hides or reorders what stands beside it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// The longest text that is shown, in characters; what is cut is said.
pub const MAX_CHARS: usize = 1_000;

/// Cleans text from outside: `None` when nothing is left; control and bidirectional characters become U+FFFD,
/// white space one space, and text over [`MAX_CHARS`] is cut and says so.
pub fn clean(raw: &str) -> Option<String> {
    let raw = raw.trim();
    if raw.is_empty() {
        return None;
    }
    let shown = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if is_invisible(c) => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut text: String = raw.chars().take(MAX_CHARS).map(shown).collect();
    let length = raw.chars().count();
    if length > MAX_CHARS {
        let _ = write!(text, "… (cut: {length} characters)");
    }
    Some(text)
}

/// The beginning of a text that stands in a title or a badge.
pub fn brief(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Characters that reorder what stands beside them, or are not seen at all (Unicode's bidirectional controls and
/// default ignorables, and the blanks that are not white space).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Seconds from 1970 to the year 10000, which RFC 3339 cannot write.
const YEAR_10000: Duration = Duration::from_hours(70_389_528);

/// RFC 3339 in UTC, whole seconds; `None` for a clock outside the years 1970 to 9999.
pub fn rfc3339(time: SystemTime) -> Option<String> {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since < YEAR_10000)
        .then(|| humantime::format_rfc3339_seconds(time).to_string())
}

/// Bytes in binary units with one decimal: `512 B`, `1.5 GiB`.
pub fn bytes(count: u64) -> String {
    let mut unit = "B";
    let mut tenths = u128::from(count) * 10;
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// A number of things: `1 task`, `2 tasks`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A time for people, no finer than they care: `0.3s`, `12s`, `1m 30s`.
pub fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) && time.subsec_millis() >= 50 {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleans_what_hides_or_breaks_a_line() {
        assert_eq!(clean("  \t "), None);
        assert_eq!(
            clean("a\nb\0c\u{202e}d").as_deref(),
            Some("a b\u{fffd}c\u{fffd}d")
        );
        let long = clean(&"x".repeat(10_240)).expect("not empty");
        assert!(long.ends_with("… (cut: 10240 characters)"), "{long}");
    }

    #[test]
    fn clocks_out_of_range_are_not_shown() {
        assert_eq!(
            rfc3339(SystemTime::UNIX_EPOCH).as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + YEAR_10000), None);
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1 << 30), "1.0 GiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(
            (count(1, "task", "tasks"), count(0, "task", "tasks")),
            ("1 task".into(), "0 tasks".into())
        );
        for (millis, text) in [
            (0, "0s"),
            (340, "0.3s"),
            (9_000, "9s"),
            (12_900, "12s"),
            (90_000, "1m 30s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(raw in any::<String>()) {
            if let Some(text) = clean(&raw) {
                prop_assert!(text.chars().count() <= MAX_CHARS + 40);
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
