//! The words of sanitised HTML: what feeds, search and screen-reader announcements show in place of markup.
//!
//! It reads the normal form that the policy writes (attributes in quotes, five named entities, no comments), and
//! is safe on anything: at worst a stray `<` eats text up to the next `>`. It builds no tree.

/// What parts two words: the strongest of what stood between them counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    Paragraph,
}

struct Writer {
    out: String,
    gap: Gap,
    /// Depth of `<pre>`, in which white space counts.
    verbatim: usize,
}

/// The plain text of sanitised HTML.
///
/// Blocks are parted by a blank line; list items, table rows and `<br>` by a line break; white space is collapsed
/// (outside `<pre>`) and entities are decoded. Of a link its text stays, of an image nothing.
/// A `<` in the result is a character that the author wrote, so escape it again before it goes into a page.
pub fn text(html: &str) -> String {
    let mut writer = Writer {
        out: String::with_capacity(html.len()),
        gap: Gap::None,
        verbatim: 0,
    };
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        writer.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = if rest.starts_with('<') {
            let len = tag_len(rest);
            writer.tag(&rest[1..len]);
            len
        } else {
            let (c, len) = entity(rest);
            writer.push(c);
            len
        };
        rest = &rest[len..];
    }
    writer.push_str(rest);
    writer.out.truncate(writer.out.trim_end().len());
    writer.out
}

impl Writer {
    fn push_str(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    fn push(&mut self, c: char) {
        if c == '\n' && self.verbatim > 0 {
            self.part(Gap::None);
            self.out.push('\n');
        } else if c.is_ascii_whitespace() && self.verbatim == 0 {
            self.widen(Gap::Space);
        } else {
            self.part(self.gap);
            self.out.push(c);
        }
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    fn part(&mut self, gap: Gap) {
        if !self.out.is_empty() {
            self.out.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        self.gap = Gap::None;
    }

    /// `tag` is what stands after `<`, with the `>` where there is one.
    fn tag(&mut self, tag: &str) {
        let closes = tag.starts_with('/');
        let name = tag
            .trim_start_matches('/')
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        match name {
            "br" | "li" | "tr" | "dt" | "dd" | "caption" | "figcaption" | "summary" => {
                self.widen(Gap::Line);
            }
            "td" | "th" => self.widen(Gap::Space),
            "pre" => {
                self.widen(Gap::Paragraph);
                if closes {
                    self.verbatim = self.verbatim.saturating_sub(1);
                    self.out.truncate(self.out.trim_end().len());
                } else {
                    self.verbatim += 1;
                }
            }
            "p" | "div" | "blockquote" | "ul" | "ol" | "dl" | "table" | "figure" | "details"
            | "hr" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.widen(Gap::Paragraph),
            _ => {}
        }
    }
}

/// Bytes of the tag at the start of `html`; a `>` in a quoted value doesn't end it.
fn tag_len(html: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in html.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    html.len()
}

/// The character that the entity at the start of `html` stands for, and its length; the `&` itself where there is none.
fn entity(html: &str) -> (char, usize) {
    const NAMED: [(&str, char); 5] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&nbsp;", '\u{a0}'),
    ];
    NAMED
        .into_iter()
        .find(|(name, _)| html.starts_with(name))
        .map_or(('&', 1), |(name, c)| (c, name.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_part_paragraphs_and_lines() {
        assert_eq!(text("<p>a<br>b</p>\n<p> c \n d</p>"), "a\nb\n\nc d");
        assert_eq!(
            text("<h2>A</h2><ul><li>b</li>\n<li><p>c</p></li></ul>d"),
            "A\n\nb\n\nc\n\nd"
        );
        assert_eq!(
            text("<table><tbody><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></tbody></table>"),
            "a b\nc"
        );
        assert_eq!(
            text("x<pre><code>a\n  b\n</code></pre>y"),
            "x\n\na\n  b\n\ny"
        );
        assert_eq!(text("a<strong>b</strong>c <em> d</em>"), "abc d");
        assert_eq!(text(""), "");
    }

    #[test]
    fn of_links_the_words_stay_and_entities_are_decoded_once() {
        assert_eq!(
            text(r#"<a href="https://a.example/?a>b&amp;c" title="x > y">words</a><img alt="no">"#),
            "words"
        );
        assert_eq!(
            text("&amp;lt; &lt;b&gt; &quot;x&quot; a&nbsp;b & c"),
            "&lt; <b> \"x\" a\u{a0}b & c"
        );
    }

    proptest! {
        #[test]
        fn markup_never_shows(raw in "(<[a-z]{1,3}|</p>|<b>|<a href=\"|>|\"|[a-z &;]){0,30}") {
            let html = crate::content::policy::clean(&raw);
            // Angle brackets in the text are the author's, one for each escaped one.
            let shown = text(&html);
            prop_assert_eq!(shown.matches('<').count(), text_part(&html).matches("&lt;").count());
            prop_assert!(!shown.contains("noopener"));
        }

        #[test]
        fn anything_is_read_without_a_panic(raw in "\\PC{0,60}") {
            text(&raw);
        }
    }

    /// The HTML without its tags, found in another way than the code under test does it.
    fn text_part(html: &str) -> String {
        ammonia::Builder::empty().clean(html).to_string()
    }
}
