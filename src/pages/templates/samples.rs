//! Trying templates out: every one is rendered with samples in which each field is there, and with some in which none is.
//!
//! A template that uses what isn't there fails here, at the start. So does one that lets text through unescaped: each
//! text of the samples has markup in it that must not come out as markup.

use minijinja::context;
use serde::Deserialize;

use super::folder::Fault;
use super::{Engine, page_by, render};
use crate::model::{Entry, Epoch, Position, Tombstone, Topic, TopicStatus, Visibility};
use crate::pages::context::{Article, Fragment, Index};
use crate::pages::oembed::Embed;
use crate::pages::{Item, Order, PageError, Templates, View, What};

/// What the markup in each text begins with; the name of the field follows.
const MARK: &str = "<sample-of-";

#[derive(Deserialize)]
struct Samples {
    topic: Topic,
    bare_topic: Topic,
    entries: Vec<Entry>,
    tombstones: Vec<Tombstone>,
}

/// Renders every template that is rendered by itself with every sample.
pub(super) fn try_out(engine: &Engine) -> Result<(), Fault> {
    let samples: Samples = serde_json::from_str(include_str!("samples.json"))
        .map_err(|error| Fault::new("samples.json", error.to_string()))?;
    let position = Epoch::parse("sample")
        .map_err(|error| Fault::new("samples.json", error.to_string()))?
        .at(42);
    for base_url in ["https://live.example", ""] {
        try_topics(engine, &samples, &position, base_url)?;
    }
    let [live, ended] = [&samples.bare_topic, &samples.topic].map(Clone::clone);
    let topics = [(live, position.clone()), (ended, position)];
    for topics in [&topics[..], &[]] {
        check(engine, "index.html", &Index::new(topics))?;
    }
    check(engine, "not_found.html", &context! {})?;
    for entry in &samples.entries {
        check(engine, "feed_entry.html", &Article::of_entry(entry))?;
    }
    Ok(())
}

fn try_topics(
    engine: &Engine,
    samples: &Samples,
    position: &Position,
    base_url: &str,
) -> Result<(), Fault> {
    let tombstones = samples.tombstones.iter().cloned().map(What::Tombstone);
    let entries: Vec<_> = samples
        .entries
        .iter()
        .map(|entry| What::Entry(Box::new(entry.clone())))
        .chain(tombstones)
        .map(|what| Item { offset: 7, what })
        .collect();
    let mut live = samples.topic.clone();
    (live.status, live.ended_at) = (TopicStatus::Live, None);
    let mut private = samples.bare_topic.clone();
    private.visibility = Visibility::Private;
    let page = |number: u64| Some(format!("/t/sample?page={number}"));
    let key_events = &entries[..2];
    // A view has templates of its own, which are not asked here.
    let unused = Templates::unused();
    let view = |topic, entries, archive: Option<u64>| View {
        topic,
        position,
        entries,
        pinned: &[],
        key_events,
        count: 90,
        first: 31,
        order: archive.map_or(Order::Newest, |_| Order::Oldest),
        older: archive.and_then(|_| page(1)),
        newer: archive.and_then(|_| page(3)),
        archive,
        focus: entries.first().map(Item::id),
        start: topic.created_at,
        base_url,
        readers: Some(1_234),
        templates: &unused,
    };
    for view in [
        view(&samples.topic, &entries[..], None),
        view(&live, &entries[..], Some(2)),
        View {
            pinned: &entries[..1],
            readers: None,
            key_events: &[],
            ..view(&live, &entries[1..], None)
        },
        view(&samples.bare_topic, &[], None),
        view(&private, &[], Some(2)),
    ] {
        let html = page_by(engine, &view).map_err(|error| match error {
            PageError::Template(error) => Fault::of(&error),
            other => Fault::new("page.html", other.to_string()),
        })?;
        escaped("page.html", &html)?;
        check(engine, "fragment.html", &Fragment::new(&view))?;
        for item in view.entries {
            check(engine, "fragment.html", &Fragment::of_entry(&view, item))?;
        }
        for item in [None, view.entries.first()] {
            check(engine, "oembed.html", &Embed::new(&view, item, 600, 400))?;
        }
    }
    Ok(())
}

fn check(engine: &Engine, name: &str, value: &impl serde::Serialize) -> Result<(), Fault> {
    let html = render(engine, name, value).map_err(|error| Fault::of(&error))?;
    escaped(name, &html)
}

/// Whether the markup in the samples' texts was escaped.
fn escaped(name: &str, html: &str) -> Result<(), Fault> {
    let Some((_, rest)) = html.split_once(MARK) else {
        return Ok(());
    };
    let field = rest.split('>').next().unwrap_or_default();
    Err(Fault::new(
        name,
        format!(
            "it, or one that it includes, puts `{field}` into the page without escaping it: |safe and \
             autoescape are for summaries, bodies and JSON-LD alone"
        ),
    ))
}
