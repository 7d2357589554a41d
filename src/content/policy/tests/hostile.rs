//! The corpus of `tests/hostile/xss.txt`, looked at with another parser than the sanitiser's own reading of it: what is
//! built of the result has nothing but what `tests/hostile/allowed.json` allows. A browser does the same in
//! `web/tests/page/hostile.spec.ts`.

use std::collections::{HashMap, HashSet};

use scraper::Html;
use scraper::node::Node;
use serde::Deserialize;

use super::super::{ATTRIBUTES, ELEMENT_ATTRIBUTES, ELEMENTS, clean};
use crate::content::render;
use crate::model::Body;

const CORPUS: &str = include_str!("../../../../tests/hostile/xss.txt");
const ALLOWED: &str = include_str!("../../../../tests/hostile/allowed.json");

#[derive(Deserialize)]
struct Allowed {
    elements: HashSet<String>,
    attributes: HashSet<String>,
    of: HashMap<String, HashSet<String>>,
}

fn allowed() -> Allowed {
    serde_json::from_str(ALLOWED).expect("JSON")
}

/// The attempts of the corpus.
fn corpus() -> Vec<String> {
    let lines = CORPUS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines
        .map(|line| match line.strip_prefix('"') {
            Some(_) => serde_json::from_str(line).expect(line),
            None => line.to_owned(),
        })
        .collect()
}

/// Looks at everything that a parser builds of this HTML.
fn assert_harmless(allowed: &Allowed, html: &str, built: &Html, frame: &[&str]) {
    for node in built.tree.values() {
        let element = match node {
            Node::Document | Node::Fragment | Node::Text(_) => continue,
            Node::Element(element) => element,
            other => panic!("{other:?} in {html}"),
        };
        let name = element.name();
        if frame.contains(&name) && element.attrs().next().is_none() {
            continue;
        }
        assert!(allowed.elements.contains(name), "<{name}> in {html}");
        assert_eq!(&*element.name.ns, "http://www.w3.org/1999/xhtml", "{html}");
        for (key, value) in element.attrs() {
            let own = allowed.of.get(name).is_some_and(|own| own.contains(key));
            assert!(
                own || allowed.attributes.contains(key),
                "{key} on <{name}> in {html}"
            );
            if matches!(key, "href" | "src" | "cite") {
                let url = url::Url::parse(value).expect("absolute");
                let is_fine = matches!(url.scheme(), "http" | "https")
                    || key == "href" && url.scheme() == "mailto";
                assert!(is_fine, "{value} in {html}");
            }
        }
    }
}

fn assert_all(allowed: &Allowed, html: &str) {
    assert_eq!(clean(html), html, "it stands still");
    let frame = ["html", "head", "body"];
    assert_harmless(allowed, html, &Html::parse_fragment(html), &frame);
    assert_harmless(allowed, html, &Html::parse_document(html), &frame);
    let cell = format!("<table><tbody><tr><td>{html}</td></tr></tbody></table>");
    assert_harmless(allowed, html, &Html::parse_fragment(&cell), &frame);
}

#[test]
fn the_list_of_what_is_allowed_is_that_of_the_policy() {
    let allowed = allowed();
    let names =
        |list: &[&str]| -> HashSet<String> { list.iter().map(|&name| name.to_owned()).collect() };
    assert_eq!(allowed.elements, names(&ELEMENTS));
    assert_eq!(allowed.attributes, names(&ATTRIBUTES));
    let mut of: HashMap<_, _> = ELEMENT_ATTRIBUTES
        .iter()
        .map(|(element, attributes)| ((*element).to_owned(), names(attributes)))
        .collect();
    // The policy writes it on every link itself.
    of.entry("a".to_owned())
        .or_default()
        .insert("rel".to_owned());
    assert_eq!(allowed.of, of);
}

#[test]
fn nothing_of_the_corpus_is_built_by_another_parser() {
    let (allowed, corpus) = (allowed(), corpus());
    assert!(corpus.len() >= 250, "{}", corpus.len());
    let distinct: HashSet<_> = corpus.iter().collect();
    assert_eq!(distinct.len(), corpus.len(), "an attempt is there twice");
    for attempt in &corpus {
        let mut inputs = vec![
            attempt.clone(),
            format!("<p>a {attempt} b</p>"),
            format!("<table><tr><td>{attempt}</table>{attempt}"),
            format!("<a href=\"https://a.example/?{attempt}\" title='{attempt}'>{attempt}"),
            format!("<pre>{attempt}</pre><ul><li>{attempt}"),
        ];
        inputs.extend(
            attempt
                .char_indices()
                .step_by(7)
                .map(|(at, _)| attempt[..at].to_owned()),
        );
        for input in inputs {
            assert_all(&allowed, &clean(&input));
        }
        for body in [
            Body::Markdown(attempt.clone()),
            Body::Markdown(format!("- *{attempt}*\n\n> [x]({attempt})")),
            Body::Text(attempt.clone()),
        ] {
            assert_all(&allowed, &render(&body));
        }
    }
}

#[test]
fn the_whole_corpus_in_one_body_is_harmless() {
    let all = corpus().join("\n");
    let allowed = allowed();
    assert_all(&allowed, &clean(&all));
    assert_all(&allowed, &render(&Body::Markdown(all)));
}
