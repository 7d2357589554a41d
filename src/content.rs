//! Markdown, HTML or text in; sanitised HTML and plain text out.
//!
//! The broker calls [`render`] once for every body and summary, before the store sees it; everything downstream
//! (log, frames, pages, feeds) carries what comes out and never sanitises again. The raw body is kept beside it,
//! so that a stricter policy can render again: [`POLICY`] says by which one a stored body was made.
//! This room knows bodies only: nothing of entries, topics, HTTP or storage.

mod depth;
mod plain;
mod policy;

use std::fmt::Write;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, html};

use crate::model::Body;

pub use plain::text;

/// Version of the sanitising policy. It goes up whenever the same body would render to other HTML.
pub const POLICY: u32 = 1;

/// The sanitised HTML of a body.
///
/// The result is a fixed point: parsed and written again it gives the same bytes, and rendering it as
/// [`Body::Html`] gives it back. So what was checked is what a browser will build. Never a script, style, SVG,
/// MathML, frame, form, event attribute, class or id; links go to http, https and mailto, images to http and
/// https, and neither is relative, because an entry is shown on pages of other sites.
///
/// The HTML can be longer than the body (`rel` on every link, escaped characters); the caller bounds it by
/// [`BODY_HTML_BYTES_MAX`](crate::model::limits::BODY_HTML_BYTES_MAX).
pub fn render(body: &Body) -> String {
    match body {
        Body::Markdown(raw) => markdown(raw),
        Body::Html(raw) => policy::clean(raw),
        Body::Text(raw) => paragraphs(raw),
    }
}

/// Markdown without raw HTML, links, images and attributes needs no sanitiser: each of its events is written here
/// in the form that the sanitiser would give it. A property test holds the two together.
fn markdown(raw: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events: Vec<Event<'_>> = Parser::new_ext(raw, options).collect();
    let mut out = String::with_capacity(raw.len() + raw.len() / 4);
    if depth::of_markdown(&events) > depth::DEPTH_MAX {
        paragraphs(raw)
    } else if events.iter().all(is_harmless) {
        html::push_html(&mut out, events.into_iter().map(normal));
        policy::trim(&out).to_owned()
    } else {
        html::push_html(&mut out, events.into_iter());
        policy::clean(&out)
    }
}

fn is_harmless(event: &Event<'_>) -> bool {
    match event {
        Event::Start(tag) => match tag {
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(None)
            | Tag::List(_)
            | Tag::Item
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::CodeBlock(CodeBlockKind::Indented) => true,
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => language.is_empty(),
            _ => false,
        },
        Event::Text(text) | Event::Code(text) => !text.chars().any(is_unprintable),
        Event::End(_) | Event::SoftBreak | Event::HardBreak | Event::Rule => true,
        _ => false,
    }
}

/// The event in the form of the sanitiser: `<br>` without a slash, quotes unescaped.
fn normal(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Text(text) => Event::InlineHtml(escape(&text).into()),
        Event::Code(text) => Event::InlineHtml(format!("<code>{}</code>", escape(&text)).into()),
        Event::HardBreak => Event::InlineHtml(CowStr::Borrowed("<br>\n")),
        Event::Rule => Event::Html(CowStr::Borrowed("<hr>\n")),
        other => other,
    }
}

/// Plain text: blank lines part paragraphs, single line breaks are kept.
fn paragraphs(raw: &str) -> String {
    let raw = raw.replace("\r\n", "\n").replace('\r', "\n");
    let mut html = String::with_capacity(raw.len() + raw.len() / 8 + 16);
    let mut in_paragraph = false;
    for line in raw.lines().map(|line| escape(line.trim())) {
        match (line.is_empty(), in_paragraph) {
            (true, true) => html.push_str("</p>\n"),
            (true, false) => {}
            (false, true) => {
                let _ = write!(html, "<br>{line}");
            }
            (false, false) => {
                let _ = write!(html, "<p>{line}");
            }
        }
        in_paragraph = !line.is_empty();
    }
    if in_paragraph {
        html.push_str("</p>");
    }
    html.truncate(html.trim_end().len());
    html
}

/// Text as the sanitiser writes it between tags. Control characters other than tab and line feed are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            c if is_unprintable(c) => {}
            c => out.push(c),
        }
    }
    out
}

fn is_unprintable(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn markdown_of(raw: &str) -> String {
        render(&Body::Markdown(raw.to_owned()))
    }

    fn text_of(raw: &str) -> String {
        render(&Body::Text(raw.to_owned()))
    }

    #[test]
    fn markdown_has_tables_strikethrough_and_no_styles() {
        assert_eq!(
            markdown_of("# A\n\n*b* **c** ~~d~~  \ne\n\n---\n\n- f\n- `<g>`"),
            "<h1>A</h1>\n<p><em>b</em> <strong>c</strong> <del>d</del><br>\ne</p>\n<hr>\n\
             <ul>\n<li>f</li>\n<li><code>&lt;g&gt;</code></li>\n</ul>"
        );
        let table = markdown_of("| a | b |\n|:-:|---|\n| 1 | 2 |");
        assert!(table.contains("<th>a</th>"), "{table}");
        assert!(table.contains("<td>2</td>"), "{table}");
        assert!(!table.contains("style"), "{table}");
        let code = markdown_of("```rust\nlet a = \"<b>\";\n```");
        assert_eq!(code, "<pre><code>let a = \"&lt;b&gt;\";\n</code></pre>");
    }

    #[test]
    fn markdown_links_are_guarded_and_raw_html_is_sanitised() {
        assert_eq!(
            markdown_of("[a](https://a.example/?b=1&c=2)"),
            r#"<p><a href="https://a.example/?b=1&amp;c=2" rel="noopener noreferrer nofollow">a</a></p>"#
        );
        assert_eq!(
            markdown_of("[a](javascript:alert(1)) <b onclick=x>c</b>"),
            r#"<p><a rel="noopener noreferrer nofollow">a</a> <b>c</b></p>"#
        );
        assert_eq!(
            markdown_of("![“Über” & <so>](https://a.example/i.jpg)"),
            r#"<p><img src="https://a.example/i.jpg" alt="“Über” &amp; &lt;so&gt;"></p>"#
        );
    }

    #[test]
    fn typographic_quotes_and_names_pass_unharmed() {
        let words = "“He said: ‘It’s “over”.’” „Nein“, «oui» … Péter Szijjártó, Dvořák, Łódź, 北京, Kyïv’s — 'a' \"b\"";
        for html in [
            text_of(words),
            markdown_of(words),
            render(&Body::Html(format!("<p>{words}</p>"))),
        ] {
            assert_eq!(html, format!("<p>{words}</p>"));
            assert_eq!(text(&html), words);
        }
    }

    #[test]
    fn text_keeps_paragraphs_and_lines() {
        assert_eq!(
            text_of("\n\n a\r\nb \n\n \t\n\nc\rd\n"),
            "<p>a<br>b</p>\n<p>c<br>d</p>"
        );
        assert_eq!(text_of(" \n\n "), "");
        assert_eq!(
            text_of("1 < 2 & \u{0}<script>"),
            "<p>1 &lt; 2 &amp; &lt;script&gt;</p>"
        );
    }

    /// Text with the characters that Markdown, HTML and the escapes care about.
    fn awkward() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z ]{1,6}",
            2 => "[\\n\\t*_~`#>+=|&;:\"'’“<()!\\[\\]-]{1,4}",
            1 => Just("\n\n".to_owned()),
            1 => Just("\n    ".to_owned()),
            1 => Just("\n- ".to_owned()),
            1 => Just("\n7. ".to_owned()),
            1 => Just("\n> ".to_owned()),
            1 => Just("\n```\n".to_owned()),
            1 => Just("| a | b |\n|---|:-:|\n| c | d |\n".to_owned()),
            1 => Just("**".to_owned()),
            1 => Just("&nbsp;&lt;&#13;&#0;".to_owned()),
            1 => Just("<b>".to_owned()),
            1 => Just("[a](https://a.example/)".to_owned()),
            1 => "\\PC{1,3}",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_short_way_equals_the_sanitised_one(raw in awkward()) {
            let html = markdown_of(&raw);
            prop_assert_eq!(policy::clean(&html), html);
        }

        #[test]
        fn text_is_already_normal(raw in awkward()) {
            let html = text_of(&raw);
            prop_assert_eq!(policy::clean(&html), html);
        }

        #[test]
        fn no_printable_word_of_a_text_is_lost(raw in awkward()) {
            let words = |text: &str| -> Vec<String> {
                let printable: String = text.chars().map(|c| if c == '\r' { '\n' } else { c })
                    .filter(|c| !is_unprintable(*c)).collect();
                printable.split_whitespace().map(str::to_owned).collect()
            };
            prop_assert_eq!(words(&text(&text_of(&raw))), words(&raw));
        }
    }
    #[test]
    fn nesting_beyond_the_limit_is_shown_as_text() {
        for deep in [">".repeat(40_000), "<div>".repeat(40_000)] {
            assert!(!markdown_of(&deep).contains("<div>"));
            assert!(!markdown_of(&deep).contains("<blockquote>"));
        }
        let html = render(&Body::Html("<ul><li>".repeat(20_000)));
        assert!(
            html.starts_with("<p>&lt;ul&gt;&lt;li&gt;"),
            "{}",
            &html[..80]
        );
        let flat = "<p>a<br>b<b>c</b>".repeat(1_000);
        assert!(render(&Body::Html(flat)).starts_with("<p>a<br>b<b>c</b></p><p>"));
    }
}
