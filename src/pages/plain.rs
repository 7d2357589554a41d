//! Text cut and cleaned for metadata: descriptions, labels, what XML can hold.
//!
//! The text of HTML comes from [`crate::content::text`]; whoever puts the result into a page escapes it again.

/// `text` on one line, cut behind a word where it has more than `chars_max` characters.
pub(super) fn excerpt(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(chars_max) else {
        return line;
    };
    let cut = &line[..end];
    let whole_words = cut.rfind(' ').map_or(cut, |space| &cut[..space]);
    format!(
        "{}…",
        whole_words.trim_end_matches(|c: char| c.is_ascii_punctuation())
    )
}

/// Sanitised HTML whose headings fit below an entry's own: h4 to h6, the shallowest of them h4.
///
/// web/element/src/trusted.ts does the same with what comes later.
pub(super) fn lower_headings(html: &str) -> String {
    let found = heading_levels(html);
    let Some(top) = found.iter().map(|(_, level)| *level).min() else {
        return html.to_owned();
    };
    let mut lowered = String::with_capacity(html.len());
    let mut copied = 0;
    for (place, level) in found {
        lowered.push_str(&html[copied..place]);
        lowered.push(char::from(b'0' + (level - top + 4).min(6)));
        copied = place + 1;
    }
    lowered.push_str(&html[copied..]);
    lowered
}

/// Where the digits of the names of headings stand, in opening and closing tags, and which they are.
fn heading_levels(html: &str) -> Vec<(usize, u8)> {
    let bytes = html.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = html[at..].find('<').map(|distance| at + distance) {
        let name = open + 1 + usize::from(bytes.get(open + 1) == Some(&b'/'));
        if let Some([b'h', digit @ b'1'..=b'6', b'>' | b' ', ..]) = bytes.get(name..) {
            found.push((name + 1, digit - b'0'));
        }
        at = end_of_tag(bytes, name);
    }
    found
}

/// Behind the `>` that ends a tag: one in a quoted value does not.
fn end_of_tag(bytes: &[u8], from: usize) -> usize {
    let mut quoted = false;
    for (index, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return index + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// `text` without the control characters that XML 1.0 has no way to write.
pub(super) fn xml_text(text: &str) -> String {
    text.chars()
        .filter(|c| {
            matches!(c, '\t' | '\n' | '\r')
                || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_end_behind_a_word() {
        assert_eq!(excerpt("one two", 7), "one two");
        assert_eq!(excerpt("one two, three", 10), "one two…");
        assert_eq!(excerpt("ééééé", 3), "ééé…");
    }

    #[test]
    fn headings_of_a_body_are_below_those_of_the_page() {
        let cases = [
            ("<p>None.</p>", "<p>None.</p>"),
            (
                "<h1>A</h1><h2>B</h2><h6>C</h6>",
                "<h4>A</h4><h5>B</h5><h6>C</h6>",
            ),
            (
                "<h2 title=\"<h1> > \">A</h2>é<hr>",
                "<h4 title=\"<h1> > \">A</h4>é<hr>",
            ),
            ("<h5>A</h5><h3>B</h3>", "<h6>A</h6><h4>B</h4>"),
            ("a &lt;h1&gt; <", "a &lt;h1&gt; <"),
        ];
        for (html, lowered) in cases {
            assert_eq!(lower_headings(html), lowered);
        }
    }

    #[test]
    fn xml_has_no_control_characters() {
        assert_eq!(xml_text("a\u{0}b\u{b}c\nd\u{ffff}"), "abc\nd");
    }
}
