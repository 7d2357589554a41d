//! What the templates are given: strings and lists with every decision already taken.
//!
//! Templates only place things. Which words a status has, whether a link may be followed, how a byline joins its
//! names: that is decided here, and in live.js the same way for entries that come later.

mod article;
mod fragment;

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use super::plain::excerpt;
use super::{Item, View, title_of, web_url};
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
    at: Time,
    label: String,
}

/// Everything on a topic's page.
#[derive(Serialize)]
pub(super) struct Page {
    lang: String,
    dir: &'static str,
    name: String,
    title: String,
    description: Option<String>,
    state: &'static str,
    state_words: &'static str,
    is_live_page: bool,
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
    newest: Option<String>,
    successor: Option<Link>,
    predecessor: Option<Link>,
    position: String,
    stream: String,
    canonical: Option<String>,
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
        let is_live_page = view.newest.is_none();
        let (pinned, entries) = arrange(view, is_live_page);
        let mut key_events: Vec<_> = pinned.iter().chain(&entries).collect();
        key_events.sort_by_key(|article| Reverse(article.order));
        let ended = topic.status == TopicStatus::Ended;
        Self {
            lang: topic.language.clone().unwrap_or_else(|| "en".to_owned()),
            dir: direction(topic.language.as_deref()),
            name: topic.topic.to_string(),
            title: view.title().to_owned(),
            description: description(view),
            state: if ended { "ended" } else { "live" },
            state_words: if ended { "Ended" } else { "Live" },
            is_live_page,
            is_private: topic.visibility == Visibility::Private,
            updated: Time::new(last_change(view)),
            ended: topic.ended_at.filter(|_| ended).map(Time::new),
            readers: view.readers.and_then(readers_words),
            summary_html: topic.summary_html.clone().filter(|html| !html.is_empty()),
            key_points: topic.key_points.clone(),
            key_events: key_events.into_iter().filter_map(KeyEvent::of).collect(),
            older: view.older.clone(),
            newest: view.newest.clone(),
            successor: topic
                .successor
                .as_ref()
                .filter(|_| ended)
                .map(Link::of_topic),
            predecessor: topic.predecessor.as_ref().map(Link::of_topic),
            position: view.position.to_string(),
            // On the page's own origin, whatever name the reader reached it by: the policy allows no other.
            stream: format!("/v1/topics/{}/stream", topic.topic),
            // An older page has no lasting address: its cursor moves as entries come.
            canonical: is_live_page.then(|| view.page_url()),
            oembed: view.oembed_url().filter(|_| is_live_page),
            atom: view.resource_url("feed.atom"),
            json_feed: view.resource_url("feed.json"),
            jsonld_url: view.resource_url("liveblog.jsonld"),
            jsonld,
            created: format_millis(topic.created_at),
            modified: format_millis(last_change(view)),
            pinned,
            entries,
        }
    }
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

impl KeyEvent {
    fn of(article: &Article) -> Option<Self> {
        Some(Self {
            id: article.id.clone(),
            at: article.at.clone(),
            label: article.key_label.clone()?,
        })
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

/// The pinned section and the rest. On the head page an entry that is pinned stands in the pinned section alone.
fn arrange(view: &View<'_>, is_live_page: bool) -> (Vec<Article>, Vec<Article>) {
    if !is_live_page {
        return (Vec::new(), view.entries.iter().map(Article::new).collect());
    }
    let (mut pinned, rest): (Vec<_>, Vec<_>) = view
        .entries
        .iter()
        .map(Article::new)
        .partition(|article| article.pinned);
    pinned.extend(view.pinned.iter().map(Article::new));
    (pinned, rest)
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
        .map(|item| match item {
            Item::Entry(entry) => entry.updated_at,
            Item::Tombstone(tombstone) => tombstone.retracted_at,
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
