//! oEmbed 1.0 (<https://oembed.com>): how a page elsewhere embeds a blog or one entry of it.
//!
//! The answer names the element and the script that show it live. What an entry says is not in it: whoever asks keeps
//! the answer for long, and a correction or a retraction would not get there.

use serde::Serialize;

use super::context::entry_title;
use super::{Item, PageError, View};

/// How long whoever asked may take the answer for true, in seconds.
const CACHE_AGE_S: u32 = 300;

/// What `oembed.html` is given.
#[derive(Debug, Serialize)]
pub(super) struct Embed {
    base: String,
    /// The page of the blog.
    page: String,
    /// The page, or the place of the entry on it.
    href: String,
    topic: String,
    entry: Option<String>,
    title: String,
    lang: Option<String>,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Rich<'a> {
    version: &'static str,
    r#type: &'static str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_url: Option<&'a str>,
    provider_name: &'a str,
    provider_url: String,
    cache_age: u32,
    html: &'a str,
    width: u32,
    height: u32,
}

impl Embed {
    /// Of the blog, or of one of its entries.
    pub(super) fn new(view: &View<'_>, item: Option<&Item>, width: u32, height: u32) -> Self {
        let entry = item.and_then(Item::entry);
        let page = view.page_url();
        let title = match entry.map(entry_title).filter(|title| !title.is_empty()) {
            Some(title) => format!("{title} – {}", view.title()),
            None => view.title().to_owned(),
        };
        Self {
            base: view.base_url.to_owned(),
            href: entry.map_or_else(|| page.clone(), |entry| view.entry_url(&entry.id)),
            page,
            topic: view.topic.topic.to_string(),
            entry: entry.map(|entry| entry.id.to_string()),
            title,
            lang: view.topic.language.clone(),
            width,
            height,
        }
    }
}

/// The answer for the view's blog, or for one entry of it, in a box of this many pixels.
///
/// # Errors
/// [`PageError::Template`] when the template fails, [`PageError::Json`] when the answer does not encode.
pub fn oembed(
    view: &View<'_>,
    item: Option<&Item>,
    width: u32,
    height: u32,
) -> Result<String, PageError> {
    let embed = Embed::new(view, item, width, height);
    let html = view.templates.oembed(&embed)?;
    let author = item
        .and_then(Item::entry)
        .and_then(|entry| entry.authors.first());
    let host = url::Url::parse(view.base_url).ok();
    let host = host.as_ref().and_then(url::Url::host_str);
    Ok(serde_json::to_string(&Rich {
        version: "1.0",
        r#type: "rich",
        title: &embed.title,
        author_name: author.map(|author| author.name.as_str()),
        author_url: author
            .and_then(|author| author.url.as_deref())
            .and_then(super::web_url),
        provider_name: host.unwrap_or("Tenbells"),
        provider_url: format!("{}/", view.base_url),
        cache_age: CACHE_AGE_S,
        html: &html,
        width,
        height,
    })?)
}
