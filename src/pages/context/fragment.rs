//! What the fragment is given: the newest entries of a blog, for a page elsewhere. Every address is absolute where the
//! broker knows its own.

use serde::Serialize;

use super::{Article, Link, Time, direction};
use crate::model::{TopicLink, TopicStatus};
use crate::pages::{Item, View, web_url};

/// A blog as a page elsewhere takes it in.
#[derive(Serialize)]
pub(in crate::pages) struct Fragment {
    /// `https://host` without a slash at its end; empty where the broker was not told.
    base: String,
    /// The page of the blog.
    page: String,
    topic: String,
    /// The address of the one entry, on the page of the blog.
    href: Option<String>,
    /// The one entry that the fragment is of; none for the whole blog.
    entry: Option<String>,
    title: String,
    lang: String,
    dir: &'static str,
    state: &'static str,
    state_words: &'static str,
    position: String,
    updated: Time,
    summary_html: Option<String>,
    key_points: Vec<String>,
    entries: Vec<Article>,
    /// How many entries the blog has, and the number of the oldest one here.
    count: u64,
    first: u64,
    /// The page of those before.
    older: Option<String>,
    successor: Option<Link>,
}

impl Fragment {
    pub(in crate::pages) fn new(view: &View<'_>) -> Self {
        let topic = view.topic;
        let ended = topic.status == TopicStatus::Ended;
        Self {
            base: view.base_url.to_owned(),
            page: view.page_url(),
            topic: topic.topic.to_string(),
            href: None,
            entry: None,
            title: view.title().to_owned(),
            lang: topic.language.clone().unwrap_or_else(|| "en".to_owned()),
            dir: direction(topic.language.as_deref()),
            state: if ended { "ended" } else { "live" },
            state_words: if ended { "Ended" } else { "Live" },
            position: view.position.to_string(),
            updated: Time::new(super::last_change(view)),
            summary_html: topic.summary_html.clone().filter(|html| !html.is_empty()),
            key_points: topic.key_points.clone(),
            entries: view
                .entries
                .iter()
                .map(|item| Article::new(view.base_url, topic, item))
                .collect(),
            count: view.count,
            first: view.first,
            older: view.older.as_ref().map(|path| view.url(path)),
            successor: topic
                .successor
                .as_ref()
                .filter(|_| ended)
                .map(|link| absolute(view, link)),
        }
    }

    /// Of one entry, or of what is left of it.
    pub(in crate::pages) fn of_entry(view: &View<'_>, item: &Item) -> Self {
        Self {
            entry: Some(item.id().to_string()),
            href: Some(view.entry_url(item.id())),
            summary_html: None,
            key_points: Vec::new(),
            entries: vec![Article::new(view.base_url, view.topic, item)],
            older: None,
            count: 1,
            first: 1,
            ..Self::new(view)
        }
    }
}

/// A link to another blog, which may be one of this broker.
fn absolute(view: &View<'_>, link: &TopicLink) -> Link {
    let page = link
        .topic
        .as_ref()
        .map(|name| view.url(&format!("/t/{name}")));
    Link {
        href: page.or_else(|| link.url.as_deref().and_then(web_url).map(str::to_owned)),
        ..Link::of_topic(link)
    }
}
