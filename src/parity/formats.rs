//! Formats: JSON, patterns in text, and compression.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use regex_lite::Regex;
use serde_json::{Value, json};

use super::Definition;
use super::work::{Sequence, Work};

pub(super) const VECTORS: &[Definition] = &[
    Definition {
        name: "JSON there and back",
        why: "Objects, escapes and nesting, read and written again: what two services tell each other.",
        source: "RFC 8259 <https://www.rfc-editor.org/rfc/rfc8259>",
        run: json_text,
        expected: "a821b846df105e9abfea1b64e8176a68bdf3a91191e2ee98e4e8b860af0faa42",
    },
    Definition {
        name: "numbers in JSON",
        why: "JSON does not say how large or exact a number is; each reader decides, and it must be the same decision.",
        source: "RFC 8259, section 6 <https://www.rfc-editor.org/rfc/rfc8259#section-6>",
        run: json_numbers,
        expected: "d1fac7e0ae609142b6d02f0abf47e0ab65f953effc23e08a22ec103d5ab27c0d",
    },
    Definition {
        name: "regular expressions",
        why: "Routing, validation and log parsing: matches, groups and replacements at the same places.",
        source: "regex-lite, syntax <https://docs.rs/regex-lite/0.1/regex_lite/#syntax>",
        run: patterns,
        expected: "8286355d1ec3c31f1e066797a27da5c7e44550c275ea31648b0936d8198b4e1c",
    },
    Definition {
        name: "search by vector instructions",
        why: "AVX2 on x86, NEON on Arm, chosen at run time: the code under regex engines, ripgrep and many parsers.",
        source: "memchr <https://docs.rs/memchr/2/memchr/>",
        run: search,
        expected: "3c13626b5532982ac2acca1cdbc3b01da1770d729c38a2adca2d0ce5366e52cf",
    },
    Definition {
        name: "compressed bytes",
        why: "Not only the content but the compressed bytes: caches, ETags and image layers are named by their digest.",
        source: "RFC 1951 <https://www.rfc-editor.org/rfc/rfc1951>",
        run: compress,
        expected: "835a084c5bb60123d14ca963c9fa353b99f297b9f6597ddd5bfa0952f4d26aa1",
    },
    Definition {
        name: "compression there and back",
        why: "What one architecture packs the other unpacks, and damage is noticed on both.",
        source: "RFC 1950 <https://www.rfc-editor.org/rfc/rfc1950>",
        run: round_trip,
        expected: "8f68ca693dc98ecb942068153a6f95a2adb41df2b3a76669b659ff6eb14fbb76",
    },
];

const DOCUMENT: &str = r#" {"name":"bifora","arches":["x86_64","aarch64"],"nested":{"deep":[[],[{}],{"a":null,"b":true}]},
 "text":"tab\t quote\" slash\/ \u0000 \ud83d\ude80 é \u2028","":" ","order":{"z":1,"a":2,"é":3,"A":4},"lines":"a\r\nb"} "#;

fn json_text(work: &mut Work) {
    let text = work.take(DOCUMENT);
    let read: Result<Value, _> = serde_json::from_str(text);
    work.put(read.is_ok());
    let value = read.unwrap_or_else(|_| json!(text));
    let written = value.to_string();
    let again: Option<Value> = serde_json::from_str(&written).ok();
    work.put(again.as_ref() == Some(&value));
    work.put(written);
    for bad in work.take_all([
        "{",
        "[1,]",
        "\"\\ud800\"",
        "01",
        "nul",
        "{\"a\":1} x",
        "\"\u{1}\"",
    ]) {
        let error = serde_json::from_str::<Value>(bad).err();
        work.put(error.map(|error| (error.line(), error.column())));
    }
}

fn json_numbers(work: &mut Work) {
    let texts = work.take_all([
        "0",
        "-0",
        "-0.0",
        "1.0",
        "0.1",
        "1e23",
        "1E400",
        "-1e-400",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "9007199254740993",
        "123456789012345678901234567890",
        "5e-324",
        "2.2250738585072011e-308",
        "1.7976931348623157e308",
        "3.141592653589793238462643383279",
    ]);
    for text in texts {
        let value: Option<Value> = serde_json::from_str(text).ok();
        work.put(value.as_ref().map(Value::to_string));
        work.put(value.as_ref().and_then(Value::as_f64));
        work.put(value.as_ref().and_then(Value::as_u64));
        work.put(value.as_ref().and_then(Value::as_i64));
    }
    let mut sequence = Sequence::new(work, 60);
    let numbers: Vec<_> = (0..40).map(|_| f64::from_bits(sequence.next())).collect();
    let written = serde_json::to_string(&numbers).expect("numbers can be written");
    let read: Vec<Option<f64>> = serde_json::from_str(&written).expect("what was written can be read");
    work.put(written);
    work.put_all(read);
}

const LOG: &str = r#"10.0.3.17 - - [29/Feb/2024:23:59:60 +0000] "GET /api/parity?x=1&y=%C3%A9 HTTP/1.1" 200 5123 "-" "curl/8.5.0"
2001:db8::1 - alice [01/Mar/2024:00:00:00 +0000] "POST / HTTP/2" 503 0 "https://example.org/a b" "Mozilla/5.0 (X11; Linux aarch64)"
error: aaaaaaaaaaaaaaaaaaaaaaaa! 12:34:56.789 key=value key2="quoted, value" Straße ΣΊΣΥΦΟΣ"#;

fn patterns(work: &mut Work) {
    let log = work.take(LOG);
    let patterns = work.take_all([
        r#"(?m)^(?<from>\S+) \S+ (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>[A-Z]+) (?<path>[^ ?]*)(?:\?(?<query>\S*))? HTTP/[\d.]+" (?<status>\d{3}) (?<length>\d+)"#,
        r"(\d{1,2}):(\d\d)(?::(\d\d))?",
        r#"(\w+)=("[^"]*"|\S+)"#,
        r"(?i)linux|ERROR|straSSe",
        r"(a|aa)+?!|\bcurl\b",
        r"(?s)alice.*?0",
        r"[^\x00-\x7f]+",
        r"(unclosed",
    ]);
    for pattern in patterns {
        let Ok(regex) = Regex::new(pattern) else {
            work.put(false);
            continue;
        };
        for captures in regex.captures_iter(log) {
            work.put_all(
                captures
                    .iter()
                    .map(|group| group.map(|group| (group.start(), group.end()))),
            );
        }
        work.put(regex.replace_all(log, "<$1>").as_ref());
    }
}

/// Each answer by vector code beside the plain one: a difference is written as such.
fn search(work: &mut Work) {
    let mut sequence = Sequence::new(work, 61);
    let text: Vec<_> = sequence
        .bytes(2_100)
        .into_iter()
        .map(|byte| b'a' + byte % 6)
        .collect();
    for start in [0, 1, 3, 7, 15, 16, 17, 31, 33, 63] {
        let text = &text[start..];
        for (a, b, c) in [(b'a', b'b', b'c'), (b'f', b'x', b'y'), (b'x', b'y', b'z')] {
            work.put(memchr::memchr(a, text));
            work.put(memchr::memrchr(a, text));
            work.put(memchr::memchr2(b, c, text));
            work.put(memchr::memchr3(a, b, c, &text[1_000..]));
            work.put(memchr::memchr_iter(a, text).count());
            work.put(memchr::memchr(a, text) == text.iter().position(|byte| *byte == a));
        }
        for length in [1, 2, 3, 8, 17, 40, 200] {
            let needle = &text[1_500..1_500 + length];
            let found = memchr::memmem::find(text, needle);
            work.put(found);
            work.put(found == text.windows(length).position(|window| window == needle));
            work.put(memchr::memmem::rfind(text, needle));
        }
        work.put(memchr::memmem::find_iter(text, b"fade").count());
        work.put(memchr::memmem::find(text, b"no such text"));
    }
}

/// Text with repetitions near and far, and a stretch that does not compress.
fn material(work: &mut Work) -> Vec<u8> {
    let mut sequence = Sequence::new(work, 62);
    let noise = sequence.bytes(300);
    let log = work.take(LOG).as_bytes();
    [log, log, &noise, &[b'='; 400], log, &noise[..200]].concat()
}

fn compress(work: &mut Work) {
    let material = material(work);
    for level in work.take_all([1, 6, 8]) {
        work.put(compress_to_vec_zlib(&material, level));
    }
}

fn round_trip(work: &mut Work) {
    let material = material(work);
    let mut packed = compress_to_vec_zlib(&material, 6);
    let unpack = |packed: &[u8]| decompress_to_vec_zlib(packed).ok();
    work.put(unpack(&packed).as_ref() == Some(&material));
    work.put(unpack(&packed));
    work.put(unpack(&packed[..packed.len() - 5]));
    // The checksum in the last four bytes.
    let place = packed.len() - 2;
    packed[place] ^= 1;
    work.put(unpack(&packed));
}
