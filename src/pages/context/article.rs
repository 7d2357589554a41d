//! One entry or tombstone as the templates place it: byline, badges, links, label.
//!
//! web/element/src/article.ts builds the same elements for entries that come later; a change here is a change there.

use serde::Serialize;

use super::{Link, Time};
use crate::content::text;
use crate::model::{Author, AuthorType, Entry, Offset, Tombstone, Topic, Verification};
use crate::pages::plain::{excerpt, lower_headings};
use crate::pages::{Item, What, entry_path, web_url};

/// Longest label of an entry without a headline, in characters.
const LABEL_CHARS_MAX: usize = 80;

/// An entry or a tombstone.
#[derive(Serialize)]
pub(in crate::pages) struct Article {
    pub(super) id: String,
    /// The id of its element.
    anchor: String,
    /// Whether it stands on top, and the original somewhere else.
    is_copy: bool,
    /// Its address, which is good for ever.
    pub(super) href: String,
    offset: Offset,
    tombstone: bool,
    pub(super) at: Time,
    reason: Option<String>,
    pub(super) order: i64,
    headline: Option<String>,
    pub(super) key_label: Option<String>,
    pub(super) pinned: bool,
    revision: u64,
    updated: Option<Time>,
    byline: Vec<Name>,
    verification: Option<Badge>,
    correction: Option<String>,
    body_html: String,
    sources: Vec<SourceLine>,
    related: Vec<Link>,
    tags: Vec<String>,
}

/// One name of a byline, and what stands before it.
#[derive(Serialize)]
struct Name {
    before: &'static str,
    text: String,
    href: Option<String>,
    class: &'static str,
}

#[derive(Serialize)]
struct Badge {
    name: &'static str,
    words: &'static str,
}

#[derive(Serialize)]
struct SourceLine {
    text: String,
    href: Option<String>,
    role: Option<String>,
}

impl Article {
    /// The entry as a page of this topic has it. `base` stands in front of its address: nothing on the broker's own pages.
    pub(in crate::pages) fn new(base: &str, topic: &Topic, item: &Item) -> Self {
        let article = match &item.what {
            What::Entry(entry) => Self {
                body_html: lower_headings(&entry.body_html),
                ..Self::of_entry(entry)
            },
            What::Tombstone(tombstone) => Self::of_tombstone(tombstone),
        };
        Self {
            href: format!("{base}{}", entry_path(topic, item.id())),
            offset: item.offset,
            ..article
        }
    }

    /// A copy for the top of the page: the original keeps the anchor.
    pub(in crate::pages) fn copy(topic: &Topic, item: &Item) -> Self {
        let original = Self::new("", topic, item);
        Self {
            anchor: format!("pin-{}", original.id),
            is_copy: true,
            ..original
        }
    }

    pub(in crate::pages) fn of_entry(entry: &Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            anchor: format!("e-{}", entry.id),
            is_copy: false,
            href: String::new(),
            offset: 0,
            tombstone: false,
            at: Time::new(entry.published_at),
            reason: None,
            // When it got its place in the topic; pins and key events are in this order.
            order: entry
                .released_at
                .map_or(entry.created_at, |at| at.max(entry.created_at))
                .as_millisecond(),
            headline: entry
                .headline
                .clone()
                .filter(|headline| !headline.trim().is_empty()),
            key_label: entry.key_event.then(|| entry_title(entry)),
            pinned: entry.pinned,
            revision: entry.revision,
            updated: (entry.revision > 1).then(|| Time::new(entry.updated_at)),
            byline: byline(&entry.authors),
            verification: entry.verification.map(Badge::of),
            correction: entry.correction.as_ref().map(|c| c.note.clone()),
            body_html: entry.body_html.clone(),
            sources: entry
                .sources
                .iter()
                .map(|source| SourceLine {
                    text: source.name.clone(),
                    href: source.url.as_deref().and_then(web_url).map(str::to_owned),
                    role: source.role.clone(),
                })
                .collect(),
            related: entry
                .related_links
                .iter()
                .map(|link| Link {
                    text: link.title.clone(),
                    href: web_url(&link.url).map(str::to_owned),
                })
                .collect(),
            tags: entry.tags.clone(),
        }
    }

    fn of_tombstone(tombstone: &Tombstone) -> Self {
        Self {
            id: tombstone.id.to_string(),
            anchor: format!("e-{}", tombstone.id),
            is_copy: false,
            href: String::new(),
            offset: 0,
            tombstone: true,
            at: Time::new(tombstone.retracted_at),
            reason: tombstone.reason.clone(),
            order: tombstone.retracted_at.as_millisecond(),
            headline: None,
            key_label: None,
            pinned: false,
            revision: 0,
            updated: None,
            byline: Vec::new(),
            verification: None,
            correction: None,
            body_html: String::new(),
            sources: Vec::new(),
            related: Vec::new(),
            tags: Vec::new(),
        }
    }
}

impl Badge {
    fn of(verification: Verification) -> Self {
        let (name, words) = match verification {
            Verification::Confirmed => ("confirmed", "Confirmed"),
            Verification::Unconfirmed => ("unconfirmed", "Unconfirmed"),
            Verification::Disputed => ("disputed", "Disputed"),
            Verification::Developing => ("developing", "Developing"),
        };
        Self { name, words }
    }
}

/// "By A, B and C"; an agency alone stands without "By".
fn byline(authors: &[Author]) -> Vec<Name> {
    let last = authors.len().saturating_sub(1);
    authors
        .iter()
        .enumerate()
        .map(|(index, author)| Name {
            before: match (index, author.kind) {
                (0, AuthorType::Person) => "By ",
                (0, AuthorType::Organization) => "",
                (index, _) if index == last => " and ",
                _ => ", ",
            },
            text: author.name.clone(),
            href: author.url.as_deref().and_then(web_url).map(str::to_owned),
            class: match author.kind {
                AuthorType::Person => "person",
                AuthorType::Organization => "organization",
            },
        })
        .collect()
}

/// The headline, or the first words of the body: what lists and feeds call the entry.
pub(in crate::pages) fn entry_title(entry: &Entry) -> String {
    let headline = entry.headline.as_deref().unwrap_or_default();
    if headline.trim().is_empty() {
        excerpt(&text(&entry.body_html), LABEL_CHARS_MAX)
    } else {
        headline.to_owned()
    }
}
