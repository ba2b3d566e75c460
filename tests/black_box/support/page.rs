//! A page as its tags: enough of HTML to see what a browser would load, follow or run.

use std::collections::BTreeMap;

/// An opening tag.
#[derive(Debug)]
pub(crate) struct Tag {
    /// Its name, in lower case.
    pub(crate) name: String,
    /// Its attributes, unescaped.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Where in the page its content begins.
    content: usize,
}

/// Every opening tag, in order.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = html[at..].find('<').map(|offset| at + offset + 1) {
        at = start;
        if !html[start..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (tag, end) = tag(html, start);
        at = end;
        found.push(tag);
    }
    found
}

fn tag(html: &str, start: usize) -> (Tag, usize) {
    let name_end = html[start..]
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .map_or(html.len(), |n| start + n);
    let mut tag = Tag {
        name: html[start..name_end].to_ascii_lowercase(),
        attributes: BTreeMap::new(),
        content: html.len(),
    };
    let mut at = name_end;
    loop {
        let rest = html[at..].trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        at = html.len() - rest.len();
        if rest.is_empty() || rest.starts_with('>') {
            tag.content = (at + 1).min(html.len());
            let end = tag.content;
            return (tag, end);
        }
        let key_end = rest
            .find(|c: char| c.is_whitespace() || "=>/".contains(c))
            .unwrap_or(rest.len())
            .max(1);
        let key = rest[..key_end].to_ascii_lowercase();
        at += key_end;
        let mut value = "";
        if let Some(after) = html[at..].strip_prefix('=') {
            let quoted = after.strip_prefix('"').map(|v| (v, '"'));
            let quoted = quoted.or_else(|| after.strip_prefix('\'').map(|v| (v, '\'')));
            let (text, end) = match quoted {
                Some((text, quote)) => (text, text.find(quote)),
                None => (after, after.find(|c: char| c.is_whitespace() || c == '>')),
            };
            value = &text[..end.unwrap_or(text.len())];
            at += 1 + value.len() + if quoted.is_some() { 2 } else { 0 };
            at = at.min(html.len());
        }
        tag.attributes.insert(key, unescape(value));
    }
}

/// The text of the first element that `wanted` accepts, without the tags in it and unescaped.
pub(crate) fn text_of(html: &str, wanted: impl Fn(&Tag) -> bool) -> Option<String> {
    let tag = tags(html).into_iter().find(wanted)?;
    let content = html[tag.content..].split(&format!("</{}>", tag.name)).next()?;
    let mut text = String::new();
    for piece in content.split('<') {
        text.push_str(if text.is_empty() && content.starts_with(piece) {
            piece
        } else {
            piece.split_once('>').map_or("", |(_, after)| after)
        });
    }
    Some(unescape(&text).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The text of the element with an id.
pub(crate) fn text_by_id(html: &str, id: &str) -> Option<String> {
    text_of(html, |tag| tag.attributes.get("id").is_some_and(|v| v == id))
}

/// The text of the first element of a name.
pub(crate) fn text_by_name(html: &str, name: &str) -> Option<String> {
    text_of(html, |tag| tag.name == name)
}

/// All text of a page, without tags and unescaped.
pub(crate) fn text(html: &str) -> String {
    let inside = html
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, after)| after));
    unescape(&inside.collect::<Vec<_>>().join(" "))
}

/// The addresses of links.
pub(crate) fn links(html: &str) -> Vec<String> {
    tags(html)
        .into_iter()
        .filter(|tag| tag.name == "a")
        .filter_map(|mut tag| tag.attributes.remove("href"))
        .collect()
}

/// # Panics
/// When the page would run, load or lead to anything but what Bifora means it to.
pub(crate) fn assert_harmless(html: &str) {
    for tag in tags(html) {
        let seen = format!("{tag:?}");
        assert!(
            !["iframe", "object", "embed", "base", "img", "style"].contains(&tag.name.as_str()),
            "{seen}"
        );
        if tag.name == "script" {
            let source = tag
                .attributes
                .get("src")
                .unwrap_or_else(|| panic!("inline: {seen}"));
            assert!(source.starts_with("/static/"), "{seen}");
        }
        for (name, value) in &tag.attributes {
            assert!(!name.starts_with("on") && name != "style", "{seen}");
            if ["href", "src", "action", "formaction", "xlink:href"].contains(&name.as_str()) {
                assert!(leads_where_it_may(value), "{seen}");
            }
        }
    }
    assert!(
        !html.to_ascii_lowercase().contains("<script>"),
        "an unescaped script"
    );
    // U+FFFD stands where such characters were.
    assert!(
        !html.contains(|c: char| c.is_control() && c != '\n'),
        "a control character"
    );
}

/// A path of our own, a place in the page, or `https` at the CI's, the cloud's, a known code host, or where the parity
/// page's sources are.
fn leads_where_it_may(address: &str) -> bool {
    const HOSTS: [&str; 17] = [
        "arxiv.org",
        "blog.rust-lang.org",
        "developer.arm.com",
        "doc.rust-lang.org",
        "docs.kernel.org",
        "docs.rs",
        "doi.org",
        "gcc.gnu.org",
        "sourceware.org",
        "www.rfc-editor.org",
        "www.unicode.org",
        "app.circleci.com",
        "circleci.com",
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "gallery.ecr.aws",
    ];
    if address.starts_with('#') || (address.starts_with('/') && !address.starts_with("//")) {
        return true;
    }
    let Some(rest) = address.strip_prefix("https://") else {
        return false;
    };
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let region = host.strip_suffix(".console.aws.amazon.com");
    let harmless = !address.contains(['"', '\'', '<', '>', ' ', '\\']);
    let in_region =
        region.is_some_and(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    harmless && (HOSTS.contains(&host) || in_region)
}

/// Resolves the character references that a template engine writes.
pub(crate) fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, tail)| {
            let c = match name {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                _ => char::from_u32(name.strip_prefix('#')?.parse().ok()?)?,
            };
            Some((c, tail))
        });
        let (c, tail) = known.unwrap_or(('&', after));
        plain.push(c);
        rest = tail;
    }
    plain.push_str(rest);
    plain
}
