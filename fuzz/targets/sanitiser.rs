//! Bodies in three formats: what comes out is a fixed point, and has nothing in it that is not allowed, wherever a page
//! puts it.
//!
//! Input: the format (1 byte), then the body. What is allowed stands here once more, in this target's own words.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use scraper::{Html, Node};
use tenbells::content::{render, text};
use tenbells::model::Body;
use url::Url;

const ELEMENTS: &str = " a abbr b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em \
    figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub \
    summary sup table tbody td tfoot th thead time tr u ul ";
const ATTRIBUTES: &str = " lang dir title href hreflang cite datetime open src alt width height loading start reversed \
    colspan rowspan scope span rel ";
const REL: &str = "noopener noreferrer nofollow";

fuzz_target!(|data: &[u8]| {
    let Some((format, raw)) = data.split_first() else {
        return;
    };
    let Ok(raw) = std::str::from_utf8(raw) else {
        return;
    };
    let raw = raw.to_owned();
    let html = render(&match format % 3 {
        0 => Body::Html(raw),
        1 => Body::Markdown(raw),
        _ => Body::Text(raw),
    });
    assert_eq!(render(&Body::Html(html.clone())), html, "no fixed point");
    let plain = text(&html);
    assert!(
        plain.len() <= html.len() * 4,
        "text is a part of what was written"
    );
    check(&Html::parse_fragment(&html), &html);
    // As the page has it, and as a page of somebody else may: behind what it left open.
    check(
        &Html::parse_document(&format!("<!doctype html><article>{html}</article>")),
        &html,
    );
    check(
        &Html::parse_document(&format!("<p><a><table><td><em>{html}")),
        &html,
    );
});

fn check(tree: &Html, html: &str) {
    for node in tree.tree.values() {
        match node {
            Node::Element(element) => {
                let name = element.name();
                let is_frame = matches!(name, "html" | "head" | "body" | "article");
                assert!(is_frame || listed(ELEMENTS, name), "<{name}> in {html}");
                for (attribute, value) in element.attrs() {
                    assert!(
                        listed(ATTRIBUTES, attribute),
                        "{attribute} on <{name}> in {html}"
                    );
                    check_value(name, attribute, value, html);
                }
            }
            Node::Comment(_) | Node::ProcessingInstruction(_) => panic!("a comment in {html}"),
            _ => {}
        }
    }
}

fn check_value(element: &str, attribute: &str, value: &str, html: &str) {
    match attribute {
        "href" | "src" | "cite" => {
            let url =
                Url::parse(value).unwrap_or_else(|_| panic!("{value} is relative, in {html}"));
            let schemes = if attribute == "href" {
                " http https mailto "
            } else {
                " http https "
            };
            assert!(listed(schemes, url.scheme()), "{value} in {html}");
        }
        "rel" => assert!(element == "a" && value == REL, "{html}"),
        "colspan" | "rowspan" | "span" => assert!(value.len() <= 2, "{html}"),
        _ => {}
    }
}

/// Whether a word is in a list of words with spaces around each.
fn listed(list: &str, word: &str) -> bool {
    !word.contains(' ') && list.contains(&format!(" {word} "))
}
