//! The feeds: Atom (RFC 4287) and JSON Feed 1.1.
//!
//! Both carry whole entries, with their corrections, because many readers see nothing else of a live blog.
//! Atom also carries tombstones (RFC 6721), so that a retraction reaches feed readers that know them.

use std::collections::BTreeMap;

use atom_syndication as atom_feed;
use atom_syndication::extension::{Extension, ExtensionMap};
use jiff::Timestamp;
use serde::Serialize;

use super::context::{description, entry_title, last_change};
use super::plain::xml_text;
use super::{Item, PageError, View, What, web_url};
use crate::model::{Author, Entry, Tombstone, format_millis};

/// Namespace of RFC 6721's deleted-entry.
const TOMBSTONES_NS: &str = "http://purl.org/atompub/tombstones/1.0";

#[derive(Serialize)]
struct JsonFeed<'a> {
    version: &'static str,
    title: &'a str,
    home_page_url: String,
    feed_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    items: Vec<JsonItem<'a>>,
}

#[derive(Serialize)]
struct JsonItem<'a> {
    id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    content_html: String,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<JsonAuthor<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
}

#[derive(Serialize)]
struct JsonAuthor<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

/// The Atom feed of the view's entries.
///
/// # Errors
/// [`PageError::Atom`] when it does not encode, [`PageError::Template`] when an entry's content fails.
pub fn atom(view: &View<'_>) -> Result<String, PageError> {
    let mut entries = Vec::new();
    let mut deleted = Vec::new();
    for item in view.entries {
        match &item.what {
            What::Entry(entry) => entries.push(atom_entry(view, entry)?),
            What::Tombstone(tombstone) => deleted.push(deleted_entry(view, tombstone)),
        }
    }
    let (mut extensions, mut namespaces) = (ExtensionMap::new(), BTreeMap::new());
    if !deleted.is_empty() {
        namespaces.insert("at".to_owned(), TOMBSTONES_NS.to_owned());
        extensions.insert(
            "at".to_owned(),
            BTreeMap::from([("deleted-entry".to_owned(), deleted)]),
        );
    }
    let feed = atom_feed::Feed {
        title: xml_text(view.title()).into(),
        id: tag_uri(view, None),
        updated: atom_time(last_change(view))?,
        // The standard wants an author on a feed whose entries may have none; no name is put into anybody's mouth.
        authors: vec![atom_feed::Person {
            name: xml_text(view.title()),
            ..Default::default()
        }],
        generator: Some(atom_feed::Generator {
            value: "Tenbells".to_owned(),
            ..Default::default()
        }),
        links: vec![
            atom_link(
                "self",
                view.resource_url("feed.atom"),
                "application/atom+xml",
            ),
            atom_link("alternate", view.page_url(), "text/html"),
        ],
        subtitle: description(view).map(|text| xml_text(&text).into()),
        lang: view.topic.language.clone(),
        entries,
        extensions,
        namespaces,
        ..Default::default()
    };
    let bytes = feed
        .write_to(Vec::new())
        .map_err(|error| PageError::Atom(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| PageError::Atom(error.to_string()))
}

/// The JSON Feed of the view's entries.
///
/// # Errors
/// [`PageError::Json`] when it does not encode, [`PageError::Template`] when an entry's content fails.
pub fn json_feed(view: &View<'_>) -> Result<String, PageError> {
    let items: Result<Vec<_>, PageError> = view
        .entries
        .iter()
        .filter_map(Item::entry)
        .map(|entry| json_item(view, entry))
        .collect();
    let feed = JsonFeed {
        version: "https://jsonfeed.org/version/1.1",
        title: view.title(),
        home_page_url: view.page_url(),
        feed_url: view.resource_url("feed.json"),
        description: description(view),
        language: view.topic.language.as_deref(),
        items: items?,
    };
    Ok(serde_json::to_string(&feed)?)
}

fn json_item<'a>(view: &View<'_>, entry: &'a Entry) -> Result<JsonItem<'a>, PageError> {
    Ok(JsonItem {
        id: tag_uri(view, Some(entry.id.as_str())),
        url: entry_url(view, entry),
        title: entry.headline.as_deref(),
        content_html: view.templates.feed_entry(entry)?,
        date_published: format_millis(entry.published_at),
        date_modified: format_millis(entry.updated_at),
        authors: entry
            .authors
            .iter()
            .map(|author| JsonAuthor {
                name: &author.name,
                url: author.url.as_deref().and_then(web_url),
            })
            .collect(),
        tags: &entry.tags,
    })
}

fn atom_entry(view: &View<'_>, entry: &Entry) -> Result<atom_feed::Entry, PageError> {
    Ok(atom_feed::Entry {
        title: xml_text(&entry_title(entry)).into(),
        id: tag_uri(view, Some(entry.id.as_str())),
        updated: atom_time(entry.updated_at)?,
        published: Some(atom_time(entry.published_at)?),
        authors: entry.authors.iter().map(atom_author).collect(),
        categories: entry
            .tags
            .iter()
            .map(|tag| atom_feed::Category {
                term: xml_text(tag),
                ..Default::default()
            })
            .collect(),
        links: vec![atom_link("alternate", entry_url(view, entry), "text/html")],
        content: Some(atom_feed::Content {
            value: Some(xml_text(&view.templates.feed_entry(entry)?)),
            content_type: Some("html".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn atom_author(author: &Author) -> atom_feed::Person {
    atom_feed::Person {
        name: xml_text(&author.name),
        uri: author.url.as_deref().and_then(web_url).map(xml_text),
        ..Default::default()
    }
}

fn atom_link(rel: &str, href: String, mime_type: &str) -> atom_feed::Link {
    atom_feed::Link {
        href,
        rel: rel.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        ..Default::default()
    }
}

fn deleted_entry(view: &View<'_>, tombstone: &Tombstone) -> Extension {
    let comment = tombstone.reason.as_deref().map(|reason| Extension {
        name: "at:comment".to_owned(),
        value: Some(xml_text(reason)),
        ..Default::default()
    });
    Extension {
        name: "at:deleted-entry".to_owned(),
        attrs: BTreeMap::from([
            ("ref".to_owned(), tag_uri(view, Some(tombstone.id.as_str()))),
            ("when".to_owned(), format_millis(tombstone.retracted_at)),
        ]),
        children: comment
            .map(|comment| ("comment".to_owned(), vec![comment]))
            .into_iter()
            .collect(),
        ..Default::default()
    }
}

fn entry_url(view: &View<'_>, entry: &Entry) -> String {
    view.entry_url(&entry.id)
}

/// A `tag:` URI (RFC 4151): an id that stays when addresses change, made of the host, the day the topic was made,
/// its name and the entry's id.
fn tag_uri(view: &View<'_>, entry: Option<&str>) -> String {
    let base = url::Url::parse(view.base_url).ok();
    let host = base
        .as_ref()
        .and_then(url::Url::host_str)
        .unwrap_or("localhost");
    let day = view.topic.created_at.strftime("%F");
    let topic = &view.topic.topic;
    match entry {
        Some(id) => format!("tag:{host},{day}:{topic}/{id}"),
        None => format!("tag:{host},{day}:{topic}"),
    }
}

fn atom_time(at: Timestamp) -> Result<atom_feed::FixedDateTime, PageError> {
    format_millis(at)
        .parse()
        .map_err(|error| PageError::Atom(format!("the time {at}: {error}")))
}
