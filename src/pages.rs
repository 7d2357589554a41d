//! What a topic looks like outside: the server-rendered page, its feeds and its metadata.
//!
//! Pure functions from the model to text; the HTTP room reads the store, fills a [`View`] and sends what comes back.
//! `body_html` and `summary_html` are sanitised before they are stored, and are the only HTML that is passed through;
//! everything else is escaped here, and a link that isn't http or https is shown as text. This room knows no store,
//! no request and no key.

mod assets;
mod context;
mod desk;
mod feeds;
mod jsonld;
mod oembed;
mod plain;
mod templates;
#[cfg(test)]
mod tests;

pub use assets::{Asset, asset, embed};
pub use desk::{DESK_CSP, desk, desk_asset};
pub use feeds::{atom, json_feed};
pub use jsonld::jsonld;
pub use oembed::oembed;
pub use templates::{TemplateError, Templates, entry_fragment, fragment, page};

use jiff::Timestamp;

use crate::model::{Entry, EntryId, Offset, Position, Tombstone, Topic, Visibility};

/// The `Content-Security-Policy` for every page of this room.
///
/// Entries may carry pictures from elsewhere; scripts, styles and connections are the broker's own alone.
/// JSON-LD stands inline, but is not script and needs no permission. Text becomes HTML through one Trusted Types policy
/// alone, that of the script, which gets nothing but what was sanitised here.
pub const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' https: http: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
    require-trusted-types-for 'script'; trusted-types tenbells";

/// Which end of a topic is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest entry first: a topic that is live.
    Newest,
    /// From the beginning: a topic that has ended.
    Oldest,
}

/// One page of a topic, true at [`View::position`].
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// The position that the entries are true at; the page goes live from here.
    pub position: &'a Position,
    /// The entries of this page, newest first whatever the order.
    pub entries: &'a [Item],
    /// Pinned entries, newest first: copies of them stand above the others.
    pub pinned: &'a [Item],
    /// The topic's key events, newest first.
    pub key_events: &'a [Item],
    /// How many entries the topic has, tombstones too.
    pub count: u64,
    /// The number of the oldest entry of this page, counted from the topic's oldest, which is 1.
    pub first: u64,
    /// What is read first.
    pub order: Order,
    /// Where the next older page is, if there is one.
    pub older: Option<String>,
    /// Where the next newer page is, if there is one.
    pub newer: Option<String>,
    /// The number of this page in the archive, counted from the oldest; `None` on the topic's own page.
    pub archive: Option<u64>,
    /// The entry that was asked for by its own address.
    pub focus: Option<&'a EntryId>,
    /// When the coverage began: the same on every page, whatever comes later.
    pub start: Timestamp,
    /// `https://host` without a slash at the end; may be empty, then links are relative.
    pub base_url: &'a str,
    /// How many readers there are just now, where that is known.
    pub readers: Option<u64>,
    /// What it is rendered by.
    pub templates: &'a Templates,
}

/// What stands at one place of a page.
#[derive(Debug, Clone)]
pub struct Item {
    /// The offset of its publication: its place.
    pub offset: Offset,
    /// The entry, or what is left of it.
    pub what: What,
}

/// An entry, or what is left of it.
#[derive(Debug, Clone)]
pub enum What {
    /// An entry.
    Entry(Box<Entry>),
    /// What is left of a retracted one.
    Tombstone(Tombstone),
}

/// A page or feed that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A template has a fault.
    #[error("the page's template failed: {0:#}")]
    Template(#[from] minijinja::Error),
    /// Metadata did not encode as JSON.
    #[error("the page's JSON failed: {0}")]
    Json(#[from] serde_json::Error),
    /// The Atom feed did not encode as XML.
    #[error("the Atom feed failed: {0}")]
    Atom(String),
}

impl View<'_> {
    /// The address of `path` under the base URL.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The address of the topic's page.
    fn page_url(&self) -> String {
        self.url(&format!("/t/{}", self.topic.topic))
    }

    /// The address of an entry: good for ever, whichever page the entry stands on.
    fn entry_url(&self, id: &EntryId) -> String {
        self.url(&entry_path(self.topic, id))
    }

    /// Where a page elsewhere asks how to embed the topic; none where nobody elsewhere may, or the own address is not
    /// known.
    fn oembed_url(&self) -> Option<String> {
        let is_public = self.topic.visibility == Visibility::Public;
        let page = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("url", &self.page_url())
            .append_pair("format", "json")
            .finish();
        (is_public && !self.base_url.is_empty()).then(|| self.url(&format!("/oembed?{page}")))
    }

    /// The address of one of the topic's resources, such as `feed.atom`.
    fn resource_url(&self, resource: &str) -> String {
        self.url(&format!("/v1/topics/{}/{resource}", self.topic.topic))
    }

    /// The title, or the name where the desk has set none.
    fn title(&self) -> &str {
        title_of(self.topic)
    }
}

impl Item {
    fn entry(&self) -> Option<&Entry> {
        match &self.what {
            What::Entry(entry) => Some(entry),
            What::Tombstone(_) => None,
        }
    }

    fn id(&self) -> &EntryId {
        match &self.what {
            What::Entry(entry) => &entry.id,
            What::Tombstone(tombstone) => &tombstone.id,
        }
    }
}

/// `/t/{topic}?entry={id}#e-{id}`: topic names and ids have no character that an address would change.
fn entry_path(topic: &Topic, id: &EntryId) -> String {
    format!("/t/{}?entry={id}#e-{id}", topic.topic)
}

fn title_of(topic: &Topic) -> &str {
    topic
        .title
        .as_deref()
        .filter(|title| !title.trim().is_empty())
        .unwrap_or(topic.topic.as_str())
}

/// The address as an `href`, where it is one that a page may link to: http or https.
///
/// Publishing checks this too; here it holds for whatever is in the store.
fn web_url(text: &str) -> Option<&str> {
    let url = url::Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(text)
}
