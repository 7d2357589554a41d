//! What the templates are given: strings and lists with every decision already taken.
//!
//! Templates only place things. Which words a status has, whether a link may be followed, how a byline joins its
//! names: that is decided here, and in web/element the same way for entries that come later.

mod article;
mod fragment;

use jiff::Timestamp;
use serde::Serialize;

use super::plain::excerpt;
use super::{Item, Order, View, What, title_of, web_url};
use crate::content::text;
use crate::model::{Position, Topic, TopicLink, TopicStatus, Visibility, format_millis};

pub(super) use article::{Article, entry_title};
pub(super) use fragment::Fragment;

/// Longest description in the page's metadata, in characters.
const DESCRIPTION_CHARS_MAX: usize = 200;

/// A time for a `<time>` element.
#[derive(Clone, Serialize)]
pub(super) struct Time {
    datetime: String,
    shown: String,
}

/// A text that may be a link.
#[derive(Serialize)]
pub(super) struct Link {
    text: String,
    href: Option<String>,
}

#[derive(Serialize)]
struct KeyEvent {
    id: String,
    href: String,
    order: i64,
    at: Time,
    label: String,
}

/// What search engines and those that show links read.
#[derive(Serialize)]
struct Meta {
    title: String,
    description: Option<String>,
    /// The address to share.
    url: String,
    /// The address under which the page's content stays.
    canonical: String,
}

/// Everything on a topic's page.
#[derive(Serialize)]
pub(super) struct Page {
    lang: String,
    dir: &'static str,
    name: String,
    title: String,
    meta: Meta,
    state: &'static str,
    state_words: &'static str,
    order: &'static str,
    count: u64,
    first: u64,
    archive: Option<u64>,
    is_private: bool,
    updated: Time,
    ended: Option<Time>,
    readers: Option<String>,
    summary_html: Option<String>,
    key_points: Vec<String>,
    key_events: Vec<KeyEvent>,
    pinned: Vec<Article>,
    entries: Vec<Article>,
    older: Option<String>,
    newer: Option<String>,
    /// The topic's own page.
    home: String,
    successor: Option<Link>,
    predecessor: Option<Link>,
    position: String,
    /// Where a page elsewhere asks how to embed this one.
    oembed: Option<String>,
    atom: String,
    json_feed: String,
    jsonld_url: String,
    /// Already escaped for a script element.
    jsonld: String,
    created: String,
    modified: String,
}

/// One line of the list of topics.
#[derive(Serialize)]
pub(super) struct TopicLine {
    href: String,
    lang: Option<String>,
    title: String,
    summary: Option<String>,
    changed: Time,
    changes: u64,
}

/// The list of topics.
#[derive(Serialize)]
pub(super) struct Index {
    live: Vec<TopicLine>,
    ended: Vec<TopicLine>,
}

impl Page {
    /// `jsonld` is the page's metadata, already safe inside a script element.
    pub(super) fn new(view: &View<'_>, jsonld: String) -> Self {
        let topic = view.topic;
        let ended = topic.status == TopicStatus::Ended;
        let mut entries: Vec<_> = view
            .entries
            .iter()
            .map(|item| Article::new("", topic, item))
            .collect();
        if view.order == Order::Oldest {
            entries.reverse();
        }
        Self {
            lang: topic.language.clone().unwrap_or_else(|| "en".to_owned()),
            dir: direction(topic.language.as_deref()),
            name: topic.topic.to_string(),
            title: view.title().to_owned(),
            meta: Meta::new(view),
            state: if ended { "ended" } else { "live" },
            state_words: if ended { "Ended" } else { "Live" },
            order: match view.order {
                Order::Newest => "newest",
                Order::Oldest => "oldest",
            },
            count: view.count,
            first: view.first,
            archive: view.archive,
            is_private: topic.visibility == Visibility::Private,
            updated: Time::new(last_change(view)),
            ended: topic.ended_at.filter(|_| ended).map(Time::new),
            readers: view.readers.and_then(readers_words),
            summary_html: topic.summary_html.clone().filter(|html| !html.is_empty()),
            key_points: topic.key_points.clone(),
            key_events: key_events(view),
            older: view.older.clone(),
            newer: view.newer.clone(),
            home: format!("/t/{}", topic.topic),
            successor: topic
                .successor
                .as_ref()
                .filter(|_| ended)
                .map(Link::of_topic),
            predecessor: topic.predecessor.as_ref().map(Link::of_topic),
            position: view.position.to_string(),
            oembed: view.oembed_url().filter(|_| view.archive.is_none()),
            atom: view.resource_url("feed.atom"),
            json_feed: view.resource_url("feed.json"),
            jsonld_url: view.resource_url("liveblog.jsonld"),
            jsonld,
            created: format_millis(view.start),
            modified: format_millis(last_change(view)),
            pinned: view
                .pinned
                .iter()
                .map(|item| Article::copy(topic, item))
                .collect(),
            entries,
        }
    }
}

impl Meta {
    fn new(view: &View<'_>) -> Self {
        let page_url = view.page_url();
        let canonical = match view.archive {
            Some(page) => format!("{page_url}?page={page}"),
            None => page_url,
        };
        // Shared by its own address, an entry is announced as itself.
        let focus = view.focus.and_then(|id| {
            let items = view.entries.iter().filter_map(Item::entry);
            items.into_iter().find(|entry| entry.id == *id)
        });
        match focus {
            Some(entry) => Self {
                title: entry_title(entry),
                description: Some(excerpt(&text(&entry.body_html), DESCRIPTION_CHARS_MAX))
                    .filter(|text| !text.is_empty())
                    .or_else(|| description(view)),
                url: view.entry_url(&entry.id),
                canonical,
            },
            None => Self {
                title: view.title().to_owned(),
                description: description(view),
                url: canonical.clone(),
                canonical,
            },
        }
    }
}

/// The topic's key events, each with a link that works from this page.
fn key_events(view: &View<'_>) -> Vec<KeyEvent> {
    let is_here = |id: &str| view.entries.iter().any(|item| item.id().as_str() == id);
    view.key_events
        .iter()
        .map(|item| Article::new("", view.topic, item))
        .filter_map(|article| {
            Some(KeyEvent {
                href: if is_here(&article.id) {
                    format!("#e-{}", article.id)
                } else {
                    article.href
                },
                at: article.at,
                label: article.key_label?,
                order: article.order,
                id: article.id,
            })
        })
        .collect()
}

impl Index {
    /// Private topics are left out, whoever passes them in.
    pub(super) fn new(topics: &[(Topic, Position)]) -> Self {
        let lines = |status: TopicStatus| {
            topics
                .iter()
                .filter(|(topic, _)| topic.visibility == Visibility::Public)
                .filter(|(topic, _)| topic.status == status)
                .map(|(topic, position)| TopicLine {
                    href: format!("/t/{}", topic.topic),
                    lang: topic.language.clone(),
                    title: title_of(topic).to_owned(),
                    summary: topic
                        .summary
                        .as_deref()
                        .map(|summary| excerpt(summary, DESCRIPTION_CHARS_MAX))
                        .filter(|summary| !summary.is_empty()),
                    changed: Time::new(topic.ended_at.unwrap_or(topic.created_at)),
                    changes: position.offset,
                })
                .collect()
        };
        Self {
            live: lines(TopicStatus::Live),
            ended: lines(TopicStatus::Ended),
        }
    }
}

impl Time {
    fn new(at: Timestamp) -> Self {
        Self {
            datetime: format_millis(at),
            shown: at.strftime("%-d %b %Y, %H:%M UTC").to_string(),
        }
    }
}

impl Link {
    fn of_topic(link: &TopicLink) -> Self {
        let topic_href = link.topic.as_ref().map(|name| format!("/t/{name}"));
        let href = topic_href.or_else(|| link.url.as_deref().and_then(web_url).map(str::to_owned));
        let title = link.title.clone().filter(|title| !title.trim().is_empty());
        Self {
            text: title
                .or_else(|| link.topic.as_ref().map(ToString::to_string))
                .or_else(|| link.url.clone())
                .unwrap_or_default(),
            href,
        }
    }
}

/// What the topic is about, in a line: its summary, else its key points, else its newest headline.
pub(super) fn description(view: &View<'_>) -> Option<String> {
    let summary = view.topic.summary.clone().unwrap_or_default();
    let points = view.topic.key_points.join(" · ");
    let newest = view
        .entries
        .iter()
        .find_map(Item::entry)
        .map(entry_title)
        .unwrap_or_default();
    [summary, points, newest]
        .into_iter()
        .find(|text| !text.trim().is_empty())
        .map(|text| excerpt(&text, DESCRIPTION_CHARS_MAX))
}

/// When anything on the page last changed.
pub(super) fn last_change(view: &View<'_>) -> Timestamp {
    view.entries
        .iter()
        .chain(view.pinned)
        .map(|item| match &item.what {
            What::Entry(entry) => entry.updated_at,
            What::Tombstone(tombstone) => tombstone.retracted_at,
        })
        .fold(view.topic.updated_at, Timestamp::max)
}

fn readers_words(readers: u64) -> Option<String> {
    match readers {
        0 => None,
        1 => Some("1 reader".to_owned()),
        many => Some(format!("{} readers", grouped(many))),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The writing direction of the topic's language.
fn direction(language: Option<&str>) -> &'static str {
    const RIGHT_TO_LEFT: [&str; 9] = ["ar", "ckb", "dv", "fa", "he", "ps", "sd", "ur", "yi"];
    let primary = language.and_then(|tag| tag.split('-').next());
    match primary {
        Some(primary) if RIGHT_TO_LEFT.contains(&primary.to_ascii_lowercase().as_str()) => "rtl",
        _ => "ltr",
    }
}
