//! The page and the feeds as a browser, a feed reader and an attacker see them.
//!
//! Here stand the fixtures and what hostile text may not do; the parts of the page and the feeds have files of
//! their own. Everything is read back by a real HTML or XML parser, never by searching the text.

mod document;
mod feeds;
mod page;

use std::sync::LazyLock;

use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

use super::*;
use crate::model::{
    Author, AuthorType, Correction, EntryId, Epoch, RelatedLink, Source, TopicLink, TopicName,
    TopicStatus, Verification, Visibility,
};

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)></script>&amp;";
const SCRIPT_URL: &str = "javascript:alert(1)//https://a.example/";

fn at(text: &str) -> Timestamp {
    text.parse().expect("time")
}

fn topic() -> Topic {
    let mut topic = Topic::new(
        TopicName::parse("harbour").expect("name"),
        at("2026-11-24T07:00:00Z"),
    );
    topic.title = Some("The harbour reopens".into());
    topic
}

fn position() -> Position {
    Epoch::parse("k3v9q2").expect("epoch").at(42)
}

fn entry(id: &str) -> Entry {
    Entry {
        id: EntryId::parse(id).expect("id"),
        revision: 1,
        headline: Some(format!("Headline of {id}")),
        body_html: format!("<p>Body of {id}.</p>"),
        authors: vec![],
        sources: vec![],
        related_links: vec![],
        tags: vec![],
        key_event: false,
        pinned: false,
        verification: None,
        correction: None,
        published_at: at("2026-11-24T09:00:00Z"),
        released_at: None,
        created_at: at("2026-11-24T09:00:01Z"),
        updated_at: at("2026-11-24T09:00:01Z"),
    }
}

fn author(name: &str, kind: AuthorType) -> Author {
    Author {
        name: name.into(),
        kind,
        url: None,
    }
}

fn item(entry: Entry) -> Item {
    Item {
        offset: 7,
        what: What::Entry(Box::new(entry)),
    }
}

fn tombstone(id: &str, reason: Option<&str>) -> Item {
    Item {
        offset: 8,
        what: What::Tombstone(Tombstone {
            id: EntryId::parse(id).expect("id"),
            retracted: true,
            reason: reason.map(str::to_owned),
            retracted_at: at("2026-11-24T10:00:00Z"),
        }),
    }
}

fn view<'a>(topic: &'a Topic, position: &'a Position, entries: &'a [Item]) -> View<'a> {
    View {
        topic,
        position,
        entries,
        pinned: &[],
        key_events: &[],
        count: entries.len() as u64,
        first: 1,
        order: Order::Newest,
        older: None,
        newer: None,
        archive: None,
        focus: None,
        start: topic.created_at,
        base_url: "https://live.example",
        readers: None,
        templates: built_in(),
    }
}

fn built_in() -> &'static Templates {
    static BUILT_IN: LazyLock<Templates> =
        LazyLock::new(|| Templates::open(None).expect("the built-in templates"));
    &BUILT_IN
}

fn rendered(topic: &Topic, entries: &[Item]) -> Html {
    let (position, key_events) = (position(), key_events_of(entries));
    let mut view = view(topic, &position, entries);
    view.key_events = &key_events;
    Html::parse_document(&page(&view).expect("renders"))
}

fn key_events_of(entries: &[Item]) -> Vec<Item> {
    let is_key = |item: &&Item| item.entry().is_some_and(|entry| entry.key_event);
    entries.iter().filter(is_key).cloned().collect()
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("selector");
    html.select(&selector).collect()
}

fn words(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text_at(html: &Html, selector: &str) -> String {
    let found = all(html, selector);
    assert_eq!(found.len(), 1, "{selector}");
    words(found[0])
}

/// A topic and an entry with hostile text in every field that a publisher can set.
fn hostile() -> (Topic, Vec<Item>) {
    let link = TopicLink {
        topic: None,
        url: Some(SCRIPT_URL.into()),
        title: Some(HOSTILE.into()),
    };
    let mut topic = topic();
    topic.title = Some(HOSTILE.into());
    topic.summary = Some(HOSTILE.into());
    topic.language = Some(HOSTILE.into());
    topic.key_points = vec![HOSTILE.into()];
    topic.status = TopicStatus::Ended;
    topic.predecessor = Some(link.clone());
    topic.successor = Some(link);
    let hostile_author = |kind| Author {
        name: HOSTILE.into(),
        kind,
        url: Some(SCRIPT_URL.into()),
    };
    let mut bad = entry("bad");
    bad.headline = Some(HOSTILE.into());
    bad.key_event = true;
    bad.authors = vec![
        hostile_author(AuthorType::Person),
        hostile_author(AuthorType::Organization),
    ];
    bad.sources = vec![Source {
        name: HOSTILE.into(),
        url: Some(SCRIPT_URL.into()),
        role: Some(HOSTILE.into()),
    }];
    bad.related_links = vec![RelatedLink {
        title: HOSTILE.into(),
        url: SCRIPT_URL.into(),
    }];
    bad.tags = vec![HOSTILE.into()];
    bad.correction = Some(Correction {
        note: HOSTILE.into(),
    });
    (topic, vec![item(bad), tombstone("gone", Some(HOSTILE))])
}

#[test]
fn no_field_can_bring_markup_or_script_into_the_page() {
    let (topic, entries) = hostile();
    let position = position();
    let mut view = view(&topic, &position, &entries);
    view.older = Some("\"><script>x()</script>".into());
    let html = Html::parse_document(&page(&view).expect("renders"));
    let scripts = all(&html, "script");
    assert_eq!(scripts.len(), 2, "live-blog.js and JSON-LD");
    for script in scripts {
        let own = script
            .attr("src")
            .is_some_and(|src| src.starts_with("/assets/"));
        assert!(own || script.attr("type") == Some("application/ld+json"));
    }
    assert!(all(&html, "img").is_empty());
    for element in all(&html, "*") {
        for (name, value) in element.value().attrs() {
            assert!(!name.starts_with("on"), "{name}={value}");
            if matches!(name, "href" | "src") {
                assert!(!value.starts_with("javascript:"), "{value}");
            }
        }
    }
    let shown = HOSTILE.split_whitespace().collect::<Vec<_>>().join(" ");
    for selector in [
        "h1",
        "h3",
        "[data-live=points] li",
        ".related li",
        ".tags li",
        ".reason",
    ] {
        assert_eq!(text_at(&html, selector), shown, "{selector}");
    }
    assert!(text_at(&html, ".correction").ends_with(&shown));
    assert_eq!(text_at(&html, ".byline"), format!("By {shown} and {shown}"));
    assert!(
        all(
            &html,
            ".content a, [data-live=handover] a, [data-live=predecessor] a"
        )
        .is_empty()
    );
}

#[test]
fn metadata_can_not_leave_its_script_element() {
    let (topic, entries) = hostile();
    let html = rendered(&topic, &entries);
    let embedded = all(&html, r#"script[type="application/ld+json"]"#);
    let text: String = embedded[0].text().collect();
    assert!(!text.contains(['<', '>', '&']), "{text}");
    let embedded: Value = serde_json::from_str(&text).expect("JSON");
    let standalone = jsonld(&view(&topic, &position(), &entries)).expect("encodes");
    assert_eq!(
        embedded,
        serde_json::from_str::<Value>(&standalone).expect("JSON")
    );
    assert_eq!(embedded["headline"], HOSTILE);
}
