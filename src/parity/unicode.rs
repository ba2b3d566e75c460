//! Unicode: normalisation, case, and the encodings themselves.

use unicase::UniCase;
use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "composed and decomposed text (NFC, NFD)",
        why: "Names that look the same must be the same key, whichever server stored them.",
        source: "Unicode Standard Annex #15 <https://www.unicode.org/reports/tr15/>",
        run: canonical,
        expected: "e21a117d59d4042ad55247a0cf24ef453f3de76907549bc64b1156a6f0fbf956",
    },
    Definition {
        name: "case folding",
        why: "Comparing without case is not lower case: Straße, STRASSE and final sigma show whose tables are used.",
        source: "Unicode, CaseFolding.txt <https://www.unicode.org/Public/UCD/latest/ucd/CaseFolding.txt>",
        run: folded,
        expected: "7a529931054d71685d437b7db18edc587ce06fd40048e1dda48e295a75da38b2",
    },
    Definition {
        name: "UTF-8 and UTF-16 checked and repaired",
        why: "Validation goes word by word where it can, and UTF-16 has a byte order: what replaces bad bytes must not move.",
        source: "Rust, from_utf8_lossy <https://doc.rust-lang.org/std/string/struct.String.html#method.from_utf8_lossy>",
        run: encodings,
        expected: "f59920523a64d12b21cbc014f5d58030e8c6ca2beb73c0c204a5a987a26c3f50",
    },
];

/// Of old characters only: those that a later version of Unicode adds would change results with a release of the tables.
const TEXTS: [&str; 16] = [
    "plain ASCII, long enough to be read in words of eight bytes: 0123456789 ABCXYZ abcxyz",
    "\u{212b} \u{c5} A\u{30a}",
    "a\u{301}\u{323} \u{1ea5} e\u{302}\u{323} \u{1ec7}",
    "\u{1100}\u{1161}\u{11a8} \u{ac01} \u{d7a3} \u{1112}\u{1175}",
    "ﬁ ﬀ ﬆ ① ½ ㎏ ﷺ ＡＢＣａｂｃ１２３ ｶﾞ",
    "\u{1e9b}\u{323} \u{17f}",
    "\u{915}\u{93c} \u{958} \u{9c7}\u{9be}",
    "\u{fb2c} \u{5e9}\u{5bc}\u{5c1}",
    "Straße STRASSE straẞe ŉ ǰ ΐ",
    "ΌΣΟΣ όσος Ὀδυσσεύς ΣΣ",
    "İstanbul ıI iİ",
    "ᏣᎳᎩ ꭰꭱ Ა ა",
    "ﬄ Ǆ ǅ ǆ ᾳ ᾼ ᾷ",
    "日本語 にほんご ニホンゴ \u{3099}か\u{3099}",
    "👩\u{200d}🚀 🏳️\u{200d}🌈 é\u{20e3}",
    "\u{1d160} \u{2126} \u{f900} \u{2f800} \u{344}",
];

fn canonical(work: &mut Work) {
    for text in work.take_all(TEXTS) {
        work.put(nfd(text));
        work.put(nfc(text));
        // More marks than a small buffer has room for, in an order that must be kept.
        let marks = ['\u{301}', '\u{323}', '\u{302}'].iter().cycle().take(30);
        let marked: String = text.chars().take(1).chain(marks.copied()).collect();
        work.put(nfd(&marked));
        work.put(nfc(&marked));
    }
}

/// The canonical decomposition (UAX #15, from the crate's tables for single characters: its iterators would bring the
/// tables of the compatible forms along, 60 kB).
fn nfd(text: &str) -> String {
    decomposed(text).iter().collect()
}

/// The canonical composition of that.
fn nfc(text: &str) -> String {
    let mut all: Vec<char> = Vec::new();
    // Where the last character of class 0 stands, and the class of what was kept behind it.
    let (mut starter, mut last) = (None, 0);
    for c in decomposed(text) {
        let class = canonical_combining_class(c);
        let open = starter.filter(|start| *start + 1 == all.len() || last < class);
        if let Some((start, composed)) = open.and_then(|start| Some((start, compose(all[start], c)?))) {
            all[start] = composed;
            continue;
        }
        if class == 0 {
            starter = Some(all.len());
        }
        last = class;
        all.push(c);
    }
    all.into_iter().collect()
}

fn decomposed(text: &str) -> Vec<char> {
    let mut all = Vec::new();
    text.chars()
        .for_each(|c| decompose_canonical(c, |part| all.push(part)));
    // Marks between two characters of class 0 go by their class, and those of one class stay as they were.
    for marks in all.split_mut(|c| canonical_combining_class(*c) == 0) {
        for end in 1..marks.len() {
            let class = canonical_combining_class(marks[end]);
            let place = marks[..end].partition_point(|c| canonical_combining_class(*c) <= class);
            marks[place..=end].rotate_right(1);
        }
    }
    all
}

fn folded(work: &mut Work) {
    let texts = work.take_all(TEXTS);
    for text in texts {
        work.put(UniCase::unicode(text).to_folded_case());
    }
    let words = work.take_all([
        "Straße", "STRASSE", "strasse", "ΌΣΟΣ", "όσος", "ﬀ", "FF", "K", "\u{212a}",
    ]);
    for one in words {
        for other in words {
            work.put(UniCase::unicode(one) == UniCase::unicode(other));
        }
    }
}

fn encodings(work: &mut Work) {
    utf8(work);
    utf16(work);
}

fn utf8(work: &mut Work) {
    let mut sequence = Sequence::new(work, 40);
    let texts = work.take_all(TEXTS);
    for text in texts {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..4 {
            work.put(bytes.as_slice());
            let checked = std::str::from_utf8(&bytes);
            work.put(
                checked
                    .err()
                    .map(|error| (error.valid_up_to(), error.error_len())),
            );
            work.put(String::from_utf8_lossy(&bytes).as_ref());
            let bound = u64::try_from(bytes.len()).expect("short");
            let place = usize::try_from(sequence.below(bound)).expect("short");
            bytes[place] ^= 0x80;
        }
    }
    for bad in [
        &b"\xc0\x80"[..],
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xff",
    ] {
        work.put(String::from_utf8_lossy(bad).as_ref());
    }
}

fn utf16(work: &mut Work) {
    for text in work.take_all(TEXTS) {
        let units: Vec<_> = text.encode_utf16().collect();
        let bytes: Vec<_> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        work.put(bytes);
        work.put(String::from_utf16(&units).is_ok_and(|back| back == text));
        work.put(String::from_utf16_lossy(&units[1..]));
        let halves: Vec<_> = units.iter().rev().copied().collect();
        work.put(String::from_utf16_lossy(&halves));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization as _;

    use super::*;

    /// By the standard's own examples.
    #[test]
    fn text_is_normalised_and_folded_as_the_standard_says() {
        assert_eq!(nfc("\u{212b}"), "\u{c5}");
        assert_eq!(nfd("\u{1e9b}\u{323}"), "\u{17f}\u{323}\u{307}");
        assert_eq!(nfc("\u{1100}\u{1161}\u{11a8}"), "\u{ac01}");
        assert_eq!(UniCase::unicode("Straße"), UniCase::unicode("STRASSE"));
        assert_eq!(UniCase::unicode("ΌΣΟΣ").to_folded_case(), "όσοσ");
    }

    #[test]
    fn every_text_of_the_vectors_is_normalised_as_by_the_crate() {
        for text in TEXTS {
            assert_eq!(nfc(text), text.nfc().collect::<String>());
            assert_eq!(nfd(text), text.nfd().collect::<String>());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_normalised_as_by_the_crate(text in "[a-z\u{c0}-\u{17f}\u{300}-\u{345}\u{5b0}-\u{5ea}\u{1100}-\u{11ff}\u{1e00}-\u{1fff}가-각]{0,12}") {
            prop_assert_eq!(nfc(&text), text.nfc().collect::<String>());
            prop_assert_eq!(nfd(&text), text.nfd().collect::<String>());
        }
    }
}
