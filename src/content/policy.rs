//! What HTML may pass: one allow-list, applied until nothing changes any more.
//!
//! The second pass is the point. A sanitiser that parses once can write something that parses to another tree
//! ("mutation XSS"); here the result is only given out when parsing and sanitising it again gives the same bytes.
//! This file knows HTML and nothing of Markdown or models.

use std::borrow::Cow;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use url::Url;

use super::depth;

/// Most passes until the result must stand still. One is the rule, two are rare.
const PASSES_MAX: usize = 6;

/// Elements that pass. Everything else is unwrapped: its text stays, unless it is in [`DROPPED`].
const ELEMENTS: [&str; 60] = [
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "u",
    "ul",
];

/// Elements that go with all that is in them.
const DROPPED: [&str; 14] = [
    "script",
    "style",
    "svg",
    "math",
    "iframe",
    "object",
    "embed",
    "noscript",
    "noembed",
    "noframes",
    "template",
    "title",
    "xmp",
    "plaintext",
];

/// Attributes that pass on every element.
const ATTRIBUTES: [&str; 3] = ["lang", "dir", "title"];

/// Attributes that pass on one element.
const ELEMENT_ATTRIBUTES: [(&str, &[&str]); 13] = [
    ("a", &["href", "hreflang"]),
    ("blockquote", &["cite"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("del", &["cite", "datetime"]),
    ("details", &["open"]),
    ("img", &["src", "alt", "width", "height", "loading"]),
    ("ins", &["cite", "datetime"]),
    ("ol", &["start", "reversed"]),
    ("q", &["cite"]),
    ("td", &["colspan", "rowspan"]),
    ("th", &["colspan", "rowspan", "scope"]),
    ("time", &["datetime"]),
];

static POLICY: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut policy = Builder::empty();
    policy
        .tags(ELEMENTS.into())
        .clean_content_tags(DROPPED.into())
        .generic_attributes(ATTRIBUTES.into())
        .tag_attributes(
            ELEMENT_ATTRIBUTES
                .into_iter()
                .map(|(element, attributes)| (element, attributes.iter().copied().collect()))
                .collect(),
        )
        .url_schemes(["http", "https", "mailto"].into())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .strip_comments(true)
        .attribute_filter(check_value);
    policy
});

/// Sanitised HTML in normal form; the same again for what it gave.
pub(super) fn clean(html: &str) -> String {
    if depth::of_html(html) > depth::DEPTH_MAX {
        return super::paragraphs(html);
    }
    let mut before = trim(html).to_owned();
    for _ in 0..PASSES_MAX {
        let cleaned = POLICY.clean(&before).to_string();
        let cleaned = trim(&cleaned);
        if cleaned == before {
            return before;
        }
        before = cleaned.to_owned();
    }
    // Markup that changes each time it is read has no meaning to save; its words have.
    super::paragraphs(&super::text(&before))
}

/// White space and byte order marks at the ends have no meaning, and parsers disagree on them.
pub(super) fn trim(html: &str) -> &str {
    html.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}')
}

/// The value of an allowed attribute, or none where the value is out of bounds.
fn check_value<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let passes = match (element, attribute) {
        ("img", "src") | (_, "cite") => is_web(value),
        ("img", "loading") => matches!(value, "lazy" | "eager"),
        (_, "dir") => matches!(value, "ltr" | "rtl" | "auto"),
        (_, "scope") => matches!(value, "row" | "col" | "rowgroup" | "colgroup"),
        (_, "width" | "height") => is_number(value, 5),
        // Wider spans make a browser work for minutes.
        (_, "colspan" | "rowspan" | "span") => is_number(value, 2),
        (_, "start") => is_number(value.strip_prefix('-').unwrap_or(value), 9),
        _ => true,
    };
    passes.then_some(Cow::Borrowed(value))
}

fn is_web(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_number(value: &str, digits_max: usize) -> bool {
    (1..=digits_max).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
