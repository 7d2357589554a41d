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
    fn xml_has_no_control_characters() {
        assert_eq!(xml_text("a\u{0}b\u{b}c\nd\u{ffff}"), "abc\nd");
    }
}
