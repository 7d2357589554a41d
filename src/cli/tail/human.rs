//! A change as lines for a person at a terminal: time, headline, byline, text.
//!
//! Everything in it was written by somebody else, so everything goes through [`clean`]: no text can steer the terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::cursor::Change;
use crate::cli::output::{clean, clean_line};

/// The lines that show `change`, with times in `time_zone`.
pub fn lines(change: &Change, time_zone: &TimeZone) -> Vec<String> {
    match change.kind.as_str() {
        "entry.published" | "entry.revised" => entry(change, time_zone),
        "entry.retracted" => {
            let at = time(&change.at, time_zone);
            let why = change
                .reason
                .as_deref()
                .map(|reason| format!(": {}", clean_line(reason)));
            let why = why.unwrap_or_default();
            vec![format!("{at}  Retracted {}{why}", clean_line(&change.id))]
        }
        "topic.updated" => topic(change, time_zone),
        // A body that was taken back later; its retraction follows.
        "entry.redacted" => Vec::new(),
        kind => vec![format!(
            "{}  {}",
            time(&change.at, time_zone),
            clean_line(kind)
        )],
    }
}

fn entry(change: &Change, time_zone: &TimeZone) -> Vec<String> {
    let entry = &change.entry;
    let at = time(text(entry, "published_at"), time_zone);
    let mut marks = String::new();
    for (field, mark) in [("key_event", " [key event]"), ("pinned", " [pinned]")] {
        if entry[field] == true {
            marks.push_str(mark);
        }
    }
    if let Some(verification) = entry["verification"].as_str() {
        marks.push_str(&format!(" [{}]", clean_line(verification)));
    }
    if change.kind == "entry.revised" {
        marks.push_str(&format!(" [revision {}]", entry["revision"]));
    }
    let mut lines = vec![format!(
        "{at}  {}{marks}",
        clean_line(text(entry, "headline"))
    )];
    let byline: Vec<_> = names(&entry["authors"]);
    if !byline.is_empty() {
        lines.push(format!("  by {}", byline.join(", ")));
    }
    if let Some(note) = entry["correction"]["note"].as_str() {
        lines.push(format!("  Correction: {}", clean_line(note)));
    }
    let body = plain(text(entry, "body_html"));
    lines.extend(
        body.lines()
            .map(|line| format!("  {line}").trim_end().to_owned()),
    );
    lines.push(String::new());
    lines
}

fn topic(change: &Change, time_zone: &TimeZone) -> Vec<String> {
    let state = &change.state;
    let at = time(&change.at, time_zone);
    let title = clean_line(text(state, "title"));
    let mut lines = match text(state, "status") {
        "ended" => vec![
            format!("{at}  The blog has ended. {title}")
                .trim_end()
                .to_owned(),
        ],
        _ if title.is_empty() => vec![format!("{at}  The blog is live")],
        _ => vec![format!("{at}  The blog: {title}")],
    };
    let points = state["key_points"].as_array().into_iter().flatten();
    lines.extend(
        points
            .filter_map(Value::as_str)
            .map(|point| format!("  - {}", clean_line(point))),
    );
    let successor = &state["successor"];
    let parts: Vec<_> = ["title", "topic", "url"]
        .iter()
        .map(|field| clean_line(text(successor, field)))
        .filter(|part| !part.is_empty())
        .collect();
    if !parts.is_empty() {
        lines.push(format!("  It goes on at {}", parts.join(" · ")));
    }
    lines.push(String::new());
    lines
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn names(authors: &Value) -> Vec<String> {
    let authors = authors.as_array().into_iter().flatten();
    authors
        .map(|author| clean_line(text(author, "name")))
        .collect()
}

fn time(text: &str, time_zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => {
            let at = at.to_zoned_datetime(time_zone.clone());
            at.strftime("%Y-%m-%d %H:%M").to_string()
        }
        Err(_) => clean_line(text),
    }
}

/// Sanitised HTML as plain text: tags gone, blocks on their own lines, links followed by their target.
fn plain(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut links: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        push_text(&mut out, &rest[..open]);
        let after = &rest[open + 1..];
        let Some(close) = after.find('>') else {
            rest = "";
            break;
        };
        push_tag(&mut out, &mut links, &after[..close]);
        rest = &after[close + 1..];
    }
    push_text(&mut out, rest);
    // The entities are decoded before this: a control character behind `&#27;` does not get through.
    let cleaned = clean(&out);
    let mut text = String::with_capacity(cleaned.len());
    for line in cleaned.lines().map(str::trim) {
        if !(line.is_empty() && (text.is_empty() || text.ends_with("\n\n"))) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn push_tag(out: &mut String, links: &mut Vec<String>, tag: &str) {
    let name: String = tag
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let closing = tag.starts_with('/');
    match name.as_str() {
        "br" | "tr" => out.push('\n'),
        "li" if !closing => out.push_str("\n- "),
        "td" | "th" if !closing => out.push_str("  "),
        "p" | "ul" | "ol" | "blockquote" | "pre" | "table" | "figure" | "hr" | "div" => {
            out.push_str("\n\n")
        }
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => out.push_str("\n\n"),
        "a" if closing => {
            if let Some(target) = links.pop().filter(|target| !target.is_empty()) {
                out.push_str(&format!(" <{target}>"));
            }
        }
        "a" => {
            let target = tag
                .split_once("href=\"")
                .and_then(|(_, rest)| rest.split_once('"'));
            let mut decoded = String::new();
            push_text(&mut decoded, target.map_or("", |(target, _)| target));
            links.push(decoded);
        }
        _ => {}
    }
}

/// Adds `raw` with its character references decoded: those that a sanitiser writes, and numeric ones.
fn push_text(out: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        match rest.find(';').filter(|end| *end <= 10).and_then(|end| {
            let decoded = reference(&rest[1..end])?;
            Some((decoded, end))
        }) {
            Some((decoded, end)) => {
                out.push(decoded);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(change: Value) -> String {
        let change: Change = serde_json::from_value(change).expect("a change");
        lines(&change, &TimeZone::UTC).join("\n")
    }

    #[test]
    fn an_entry_reads_as_it_would_be_told() {
        let shown = shown(json!({
            "offset": 4, "at": "2026-11-24T09:01:00.000Z", "kind": "entry.revised",
            "entry": {"id": "e", "revision": 2, "headline": "It is on", "key_event": true,
                "authors": [{"name": "Zoë Lee"}, {"name": "Wire"}], "correction": {"note": "Wrong town."},
                "published_at": "2026-11-24T09:00:00.000Z",
                "body_html": "<p>“A &amp; B”,<br>he said.</p>\n<ul>\n<li>one</li>\n<li><a href=\"https://a.example/?x=1&amp;y\" rel=\"x\">two</a></li>\n</ul>"}
        }));
        assert_eq!(
            shown,
            "2026-11-24 09:00  It is on [key event] [revision 2]\n  by Zoë Lee, Wire\n  Correction: Wrong town.\n  “A & B”,\n  he said.\n\n  - one\n\n  - two <https://a.example/?x=1&y>\n"
        );
    }

    #[test]
    fn nothing_in_an_entry_steers_the_terminal() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
        let shown = shown(json!({
            "offset": 4, "at": evil, "kind": "entry.published",
            "entry": {"headline": evil, "verification": evil, "published_at": evil,
                "authors": [{"name": evil}], "correction": {"note": evil},
                "body_html": format!("<p>{evil}&#27;[31m&#x1b;c&#x9b;</p><a href=\"{evil}&#27;\">x</a>")}
        }));
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(steers), "{shown:?}");
    }

    #[test]
    fn the_end_names_the_successor() {
        let shown = shown(json!({
            "offset": 9, "at": "2026-11-24T23:00:00Z", "kind": "topic.updated",
            "state": {"status": "ended", "title": "Night one", "key_points": ["A", "B"],
                "successor": {"topic": "night-2", "title": "Night two"}}
        }));
        assert_eq!(
            shown,
            "2026-11-24 23:00  The blog has ended. Night one\n  - A\n  - B\n  It goes on at Night two · night-2\n"
        );
    }

    #[test]
    fn a_blog_without_a_title_is_told_of_as_well() {
        for (status, told) in [
            ("ended", "The blog has ended."),
            ("live", "The blog is live"),
        ] {
            let shown = shown(json!({
                "offset": 9, "at": "2026-11-24T23:00:00Z", "kind": "topic.updated",
                "state": {"status": status}
            }));
            assert_eq!(shown, format!("2026-11-24 23:00  {told}\n"));
        }
    }

    #[test]
    fn broken_html_is_survived() {
        for (html, text) in [
            ("a < b", "a"),
            ("&", "&"),
            (
                "&bogus; &#xD800; &#99999999;",
                "&bogus; &#xD800; &#99999999;",
            ),
            ("</a></a>x<a>y</a>", "xy"),
            ("&ü;", "&ü;"),
            ("", ""),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }
}
