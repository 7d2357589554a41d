//! What search engines read: schema.org's LiveBlogPosting with one BlogPosting an entry.
//!
//! Written from <https://schema.org/LiveBlogPosting> and Google's rules for it. Retracted entries are not in it. The start
//! is that of the whole topic, so it stays the same on every page and however long the topic gets.

use serde::Serialize;

use super::context::{description, last_change};
use super::{Item, PageError, View, web_url};
use crate::content;
use crate::model::{Author, AuthorType, Entry, TopicStatus, format_millis};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveBlogPosting<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: String,
    url: String,
    main_entity_of_page: String,
    headline: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_language: Option<&'a str>,
    date_published: String,
    date_modified: String,
    coverage_start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage_end_time: Option<String>,
    live_blog_update: Vec<BlogPosting<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlogPosting<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    headline: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    article_body: String,
    date_published: String,
    date_modified: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    author: Vec<Agent<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    keywords: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    correction: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citation: Vec<Citation<'a>>,
}

#[derive(Serialize)]
struct Agent<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct Citation<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

/// The page's metadata as JSON-LD.
///
/// # Errors
/// [`PageError::Json`] when it does not encode.
pub fn jsonld(view: &View<'_>) -> Result<String, PageError> {
    let topic = view.topic;
    let page_url = view.page_url();
    let ended_at = topic
        .ended_at
        .filter(|_| topic.status == TopicStatus::Ended);
    let posting = LiveBlogPosting {
        context: "https://schema.org",
        kind: "LiveBlogPosting",
        id: format!("{page_url}#liveblog"),
        main_entity_of_page: page_url.clone(),
        headline: view.title(),
        description: description(view),
        in_language: topic.language.as_deref(),
        date_published: format_millis(view.start),
        date_modified: format_millis(last_change(view)),
        coverage_start_time: format_millis(view.start),
        coverage_end_time: ended_at.map(format_millis),
        live_blog_update: view
            .entries
            .iter()
            .filter_map(Item::entry)
            .map(|entry| BlogPosting::new(entry, view.entry_url(&entry.id)))
            .collect(),
        url: page_url,
    };
    Ok(serde_json::to_string(&posting)?)
}

/// The same JSON with every character escaped that could end or change a script element.
///
/// They stand only inside strings, so the JSON means the same.
pub(super) fn for_script_element(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

impl<'a> BlogPosting<'a> {
    fn new(entry: &'a Entry, url: String) -> Self {
        Self {
            kind: "BlogPosting",
            id: url.clone(),
            url,
            headline: entry.headline.as_deref(),
            article_body: content::text(&entry.body_html),
            date_published: format_millis(entry.published_at),
            date_modified: format_millis(entry.updated_at),
            author: entry.authors.iter().map(Agent::new).collect(),
            keywords: &entry.tags,
            correction: entry.correction.as_ref().map(|c| c.note.as_str()),
            citation: entry
                .sources
                .iter()
                .map(|source| Citation {
                    kind: "CreativeWork",
                    name: &source.name,
                    url: source.url.as_deref().and_then(web_url),
                })
                .collect(),
        }
    }
}

impl<'a> Agent<'a> {
    fn new(author: &'a Author) -> Self {
        Self {
            kind: match author.kind {
                AuthorType::Person => "Person",
                AuthorType::Organization => "Organization",
            },
            name: &author.name,
            url: author.url.as_deref().and_then(web_url),
        }
    }
}
