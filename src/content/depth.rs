//! How deep markup nests, found before anything builds a tree of it.
//!
//! An HTML parser needs time in the square of the depth, and browsers cut at 512 levels: a body beyond
//! [`DEPTH_MAX`] is shown as text. The depth of HTML is an estimate, high rather than low, from its tags alone.

use std::collections::HashMap;

use pulldown_cmark::Event;

/// Deepest nesting that is read as markup.
pub(super) const DEPTH_MAX: usize = 256;

/// Elements that hold nothing or that the next of their kind closes, so that they don't nest by themselves.
const FLAT: [&str; 15] = [
    "br", "hr", "img", "wbr", "col", "p", "li", "dt", "dd", "tr", "td", "th", "input", "meta",
    "link",
];

/// The depth of a Markdown document.
pub(super) fn of_markdown(events: &[Event<'_>]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for event in events {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The depth of HTML; an end tag counts only where an element of its name is open.
pub(super) fn of_html(html: &str) -> usize {
    let mut open: HashMap<String, usize> = HashMap::new();
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for tag in html.split('<').skip(1) {
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric());
        let name = name[..end.unwrap_or(name.len())].to_ascii_lowercase();
        if name.is_empty() || FLAT.contains(&name.as_str()) {
            continue;
        }
        let count = open.entry(name).or_default();
        if !tag.starts_with('/') {
            *count += 1;
            depth += 1;
            deepest = deepest.max(depth);
        } else if *count > 0 {
            *count -= 1;
            depth -= 1;
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_tags_of_other_names_do_not_hide_the_depth() {
        assert_eq!(of_html(&"<div></span></p>".repeat(300)), 300);
        assert_eq!(of_html(&"<DIV><b>x</B></div>".repeat(300)), 2);
        assert_eq!(of_html(&"<p>a<br>b < c".repeat(300)), 0);
        assert_eq!(of_html(""), 0);
    }
}
