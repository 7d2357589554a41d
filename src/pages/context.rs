//! What the templates are given: strings and lists with every decision already taken.
//!
//! Templates only place things. Which words a status has, whether a link may be followed, how a byline joins its
//! names: that is decided here, and in live.js the same way for entries that come later.

use jiff::Timestamp;
use serde::Serialize;

use super::plain::{excerpt, text};
use super::{Item, View, title_of, web_url};
use crate::model::{
    Author, AuthorType, Entry, Position, Tombstone, Topic, TopicLink, TopicStatus, Verification,
    Visibility, format_millis,
};

/// Longest label in the list of key events, in characters, where an entry has no headline.
const LABEL_CHARS_MAX: usize = 80;
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

/// An entry or a tombstone.
#[derive(Serialize)]
pub(super) struct Article {
    id: String,
    tombstone: bool,
    at: Time,
    reason: Option<String>,
    order: i64,
    headline: Option<String>,
    key_label: Option<String>,
    pinned: bool,
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
    home: String,
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
        let key_events = pinned.iter().chain(&entries).filter_map(KeyEvent::of);
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
            key_events: key_events.collect(),
            older: view.older.clone(),
            newest: view.newest.clone(),
            successor: topic
                .successor
                .as_ref()
                .filter(|_| ended)
                .map(|link| Link::of_topic(link, view.base_url)),
            predecessor: topic
                .predecessor
                .as_ref()
                .map(|link| Link::of_topic(link, view.base_url)),
            position: view.position.to_string(),
            stream: view.resource_url("stream"),
            // An older page has no lasting address: its cursor moves as entries come.
            canonical: is_live_page.then(|| view.page_url()),
            home: view.url("/"),
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

impl Article {
    pub(super) fn new(item: &Item) -> Self {
        match item {
            Item::Entry(entry) => Self::of_entry(entry),
            Item::Tombstone(tombstone) => Self::of_tombstone(tombstone),
        }
    }

    pub(super) fn of_entry(entry: &Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            tombstone: false,
            at: Time::new(entry.published_at),
            reason: None,
            // When it got its place in the topic; live.js puts an entry that is no longer pinned back by it.
            order: entry
                .released_at
                .map_or(entry.created_at, |at| at.max(entry.created_at))
                .as_millisecond(),
            headline: entry
                .headline
                .clone()
                .filter(|headline| !headline.trim().is_empty()),
            key_label: entry.key_event.then(|| label(entry)),
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

impl Link {
    fn of_topic(link: &TopicLink, base_url: &str) -> Self {
        let topic_href = link
            .topic
            .as_ref()
            .map(|name| format!("{base_url}/t/{name}"));
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

fn label(entry: &Entry) -> String {
    let headline = entry.headline.as_deref().unwrap_or_default();
    if headline.trim().is_empty() {
        excerpt(&text(&entry.body_html), LABEL_CHARS_MAX)
    } else {
        headline.to_owned()
    }
}

/// The headline, or the first words of the body: what feeds and lists call the entry.
pub(super) fn entry_title(entry: &Entry) -> String {
    label(entry)
}

/// What the topic is about, in a line: its summary, else its key points, else its newest headline.
pub(super) fn description(view: &View<'_>) -> Option<String> {
    let summary = view.topic.summary.clone().unwrap_or_default();
    let points = view.topic.key_points.join(" · ");
    let newest = view
        .entries
        .iter()
        .find_map(Item::entry)
        .map(label)
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
