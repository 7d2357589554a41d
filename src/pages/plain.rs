//! Plain text out of sanitised HTML, for metadata: descriptions, labels, article bodies.
//!
//! Works on HTML that ammonia has already cleaned; what it gives is text, to be escaped again by whoever puts it
//! into a page.

use std::collections::HashSet;

/// Tags behind which a new line begins.
const BLOCK_ENDS: [&str; 9] = [
    "</p>",
    "</li>",
    "</h1>",
    "</h2>",
    "</h3>",
    "</h4>",
    "</blockquote>",
    "</tr>",
    "<br>",
];

/// The text of `html`: one line a paragraph, no empty lines.
pub(super) fn text(html: &str) -> String {
    let mut broken = html.to_owned();
    for tag in BLOCK_ENDS {
        broken = broken.replace(tag, &format!("{tag}\n"));
    }
    for tag in ["</td>", "</th>"] {
        broken = broken.replace(tag, &format!("{tag} "));
    }
    let bare = ammonia::Builder::empty()
        .clean_content_tags(HashSet::from(["script", "style"]))
        .clean(&broken)
        .to_string();
    let text = bare
        .replace("&nbsp;", "\u{a0}")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

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
    fn paragraphs_become_lines_and_entities_characters() {
        assert_eq!(
            text("<p>A &amp; B</p><p>“C” &lt;d&gt;<br>e</p><ul><li>f</li></ul>"),
            "A & B\n“C” <d>\ne\nf"
        );
        assert_eq!(text("<table><tr><td>a</td><td>b</td></tr></table>"), "a b");
        // Text that looks like an entity once decoded stays as it was written.
        assert_eq!(text("<p>&amp;lt;</p>"), "&lt;");
    }

    #[test]
    fn excerpts_end_behind_a_word() {
        assert_eq!(excerpt("one two", 7), "one two");
        assert_eq!(excerpt("one two, three", 10), "one two…");
        assert_eq!(excerpt("ééééé", 3), "ééé…");
    }

    #[test]
    fn xml_has_no_control_characters() {
        assert_eq!(xml_text("a\u{0}b\u{b}c\nd\u{ffff}"), "abc\nd");
    }
}
