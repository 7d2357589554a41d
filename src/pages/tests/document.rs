//! docs/embed.md names every variable that a template gets: newsrooms write theirs by it.

use serde::Serialize;

use super::*;
use crate::pages::context::{Article, Fragment, Index, Page};
use crate::pages::oembed::Embed;

fn names(value: &impl Serialize) -> Vec<String> {
    let value = serde_json::to_value(value).expect("JSON");
    value
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_variable_is_in_the_document() {
    let document = include_str!("../../../docs/embed.md");
    let (topic, position) = (topic(), position());
    let entries = [item(entry("one"))];
    let view = view(&topic, &position, &entries);
    let index = serde_json::to_value(Index::new(&[(topic.clone(), position.clone())]));
    let index = index.expect("JSON");
    let line_of_index = index["live"][0].as_object().expect("a line");
    for (template, names) in [
        ("page.html", names(&Page::new(&view, String::new()))),
        (
            "article.html",
            names(&Article::new("", &topic, &entries[0])),
        ),
        ("fragment.html", names(&Fragment::new(&view))),
        ("oembed.html", names(&Embed::new(&view, None, 600, 400))),
        ("index.html", line_of_index.keys().cloned().collect()),
    ] {
        let begins = format!("| `{template}` | `");
        let line = document.lines().find(|line| line.starts_with(&begins));
        let line = line.unwrap_or_else(|| panic!("no variables of {template}"));
        assert!(names.len() > 5, "{template}: {names:?}");
        for name in names {
            let named = [format!("`{name}`"), format!("`{name}?`")];
            assert!(
                named.iter().any(|named| line.contains(named)),
                "{name} of {template}"
            );
        }
    }
}
