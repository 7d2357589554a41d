//! The pages: `/`, `/t/{topic}` and their assets. What they look like is decided in [`crate::pages`].

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::problem::Problem;
use super::read::{Query, audience};
use super::response::{cached, etag_of_bytes, typed};
use super::{Http, State};
use crate::broker::{Answer, EntryAnswer, Numbered};
use crate::model::{Entry, EntryId, Offset, Position, Topic, TopicName};
use crate::pages::{self, Asset, Item, Order, PageError, What};
use crate::protocol::Code;
use crate::store::{EntryFilter, EntryQuery, ReadError, Shelf};

/// Entries on a page of the archive. The topic's own page has those of the last two.
const PAGE_ENTRIES: u64 = 30;
/// Pinned entries that are shown on top, at most.
const PINNED_MAX: usize = 10;
/// Key events to jump to, at most.
const KEY_EVENTS_MAX: usize = 50;
/// Topics on the index: those that changed last.
const INDEX_TOPICS_MAX: usize = 200;

pub(super) const HTML: &str = "text/html; charset=utf-8";

/// Which of a topic's entries are wanted.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// The newest ones, at most so many: a feed.
    Newest(u64),
    /// The topic's own page, in an order that the reader may have asked for.
    Head(Option<Order>),
    /// A page of the archive, counted from the oldest.
    Archive(u64),
    /// The page that has this entry.
    With(EntryId),
}

/// What a page or feed is made of, owned.
pub(super) struct View {
    pub(super) topic: Topic,
    pub(super) position: Position,
    entries: Vec<Item>,
    pinned: Vec<Item>,
    key_events: Vec<Item>,
    count: u64,
    first: u64,
    order: Order,
    archive: Option<u64>,
    focus: Option<EntryId>,
    start: Timestamp,
}

impl View {
    pub(super) fn borrow<'a>(
        &'a self,
        http: &'a Http,
        base_url: &'a str,
        readers: Option<u64>,
    ) -> pages::View<'a> {
        let page = |number: u64| format!("/t/{}?page={number}", self.topic.topic);
        let last = self.first + self.entries.len() as u64 - 1;
        pages::View {
            topic: &self.topic,
            position: &self.position,
            entries: &self.entries,
            pinned: &self.pinned,
            key_events: &self.key_events,
            count: self.count,
            first: self.first,
            order: self.order,
            older: (self.first > 1).then(|| page(page_of(self.first - 1))),
            newer: (last < self.count).then(|| page(page_of(last + 1))),
            archive: self.archive,
            focus: self.focus.as_ref(),
            start: self.start,
            base_url,
            readers,
            templates: &http.options.templates,
        }
    }
}

/// `GET /t/{topic}`
pub(super) async fn page(
    Extract(http): State,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match render_page(&http, &name, query.as_deref(), &headers).await {
        Ok(response) => response,
        Err(problem) if problem.code().status() == 404 => {
            not_found(&http).unwrap_or_else(IntoResponse::into_response)
        }
        Err(problem) => problem.into_response(),
    }
}

async fn render_page(
    http: &Arc<Http>,
    name: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let topic = TopicName::parse(name).map_err(|_| Problem::topic_not_found())?;
    let wanted = wanted(&Query::parse(query))?;
    let (channel, _) = http.readable(headers, &topic).await?;
    let view = load(http, &topic, wanted).await?;
    let readers = channel.audience();
    let body = pages::page(&view.borrow(http, &http.options.public_url, Some(readers)))?;
    // By its bytes: another version of the program, or another address, makes another page of the same position.
    let etag = etag_of_bytes(&body);
    let response = with_policy(typed(StatusCode::OK, HTML, body));
    Ok(cached(headers, response, &etag, audience(&channel)))
}

/// `GET /`
pub(super) async fn index(Extract(http): State, headers: HeaderMap) -> Result<Response, Problem> {
    let stored = http.broker.newest_topics(INDEX_TOPICS_MAX).await?;
    let mut topics = Vec::new();
    for stored in &stored {
        let topic: Topic = parse(&stored.doc)?;
        topics.push((topic, stored.epoch.at(stored.head)));
    }
    let body = http.options.templates.index(&topics)?;
    let etag = etag_of_bytes(&body);
    let response = with_policy(typed(StatusCode::OK, HTML, body));
    Ok(cached(
        &headers,
        response,
        &etag,
        super::response::Audience::Public,
    ))
}

/// `GET /assets/{name}`
pub(super) async fn asset(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = pages::asset(&name) else {
        return Problem::new(Code::NotFound, "there is no such asset").into_response();
    };
    file(asset, query.as_deref(), &headers)
}

/// `GET /embed.js`
pub(super) async fn embed(headers: HeaderMap) -> Response {
    file(pages::embed(), None, &headers)
}

fn file(asset: &'static Asset, query: Option<&str>, headers: &HeaderMap) -> Response {
    let response = with_policy(typed(StatusCode::OK, asset.content_type, asset.bytes));
    let mut response = cached(
        headers,
        response,
        &asset.etag(),
        super::response::Audience::Public,
    );
    // An address that names its own content is good for as long as a browser keeps anything.
    if Query::parse(query).get("v") == Some(asset.version()) {
        response.headers_mut().insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
    }
    response
}

fn wanted(query: &Query) -> Result<Wanted, Problem> {
    if let Some(id) = query.get("entry") {
        let id = EntryId::parse(id).map_err(|_| Problem::topic_not_found())?;
        return Ok(Wanted::With(id));
    }
    if let Some(page) = query.number("page")? {
        return Ok(Wanted::Archive(page));
    }
    Ok(Wanted::Head(match query.get("order") {
        Some("newest") => Some(Order::Newest),
        Some("oldest") => Some(Order::Oldest),
        _ => None,
    }))
}

/// Entries of a topic, ready to be shown.
pub(super) async fn load(
    http: &Arc<Http>,
    topic: &TopicName,
    wanted: Wanted,
) -> Result<View, Problem> {
    let around = match &wanted {
        Wanted::With(id) => Some(id.clone()),
        _ => None,
    };
    let picked = wanted.clone();
    let page = http
        .broker
        .numbered(topic, around.clone(), move |shelf| picked.numbers(shelf))
        .await?
        .ok_or_else(Problem::topic_not_found)?;
    if wanted.is_missing(&page.shelf) {
        return Err(Problem::topic_not_found());
    }
    let document: Topic = parse(&page.topic.doc)?;
    let start = start_of(http, topic, &document, &page).await?;
    let (pinned, key_events) = match wanted {
        Wanted::Newest(_) => (Vec::new(), Vec::new()),
        _ => (
            standing(http, topic, EntryFilter::Pinned, PINNED_MAX).await?,
            standing(http, topic, EntryFilter::KeyEvents, KEY_EVENTS_MAX).await?,
        ),
    };
    let archive = wanted.archive(&page.shelf);
    Ok(View {
        position: page.topic.epoch.at(page.topic.head),
        entries: page
            .entries
            .iter()
            .map(|(offset, answer)| item(*offset, answer))
            .collect::<Result<_, _>>()?,
        pinned: if archive.is_some() {
            Vec::new()
        } else {
            pinned
        },
        key_events,
        count: page.shelf.count,
        first: page.first,
        order: wanted.order(&page.shelf),
        archive,
        focus: around,
        start,
        topic: document,
    })
}

/// When the coverage began: a publisher may set times before the topic was made, as when a day's blog is imported. By
/// the oldest entry, so that it stays the same however many come.
async fn start_of(
    http: &Arc<Http>,
    topic: &TopicName,
    document: &Topic,
    page: &Numbered,
) -> Result<Timestamp, Problem> {
    let oldest = match page.entries.last() {
        Some((_, answer)) if page.first == 1 => Some(answer.clone()),
        _ => http
            .broker
            .numbered(topic, None, |_| 1..=1)
            .await?
            .and_then(|first| first.entries.into_iter().next())
            .map(|(_, answer)| answer),
    };
    Ok(match oldest.map(|answer| answer.what) {
        Some(Answer::Entry(json)) => parse::<Entry>(&json)?.published_at.min(document.created_at),
        _ => document.created_at,
    })
}

/// Entries of a filter, newest first.
async fn standing(
    http: &Arc<Http>,
    topic: &TopicName,
    filter: EntryFilter,
    limit: usize,
) -> Result<Vec<Item>, Problem> {
    let query = EntryQuery {
        before: None,
        limit,
        filter,
    };
    let snapshot = http
        .broker
        .snapshot(topic, query)
        .await?
        .ok_or_else(Problem::topic_not_found)?;
    // These stand beside the feed, and need no place in it.
    let items = snapshot.entries.iter().map(|answer| item(0, answer));
    items.collect()
}

impl Wanted {
    /// The numbers of the entries of this page.
    fn numbers(&self, shelf: &Shelf) -> RangeInclusive<u64> {
        match self {
            Self::Newest(limit) => (shelf.count + 1).saturating_sub(*limit)..=shelf.count,
            Self::Archive(page) => archive_page(*page),
            Self::Head(_) => head(shelf, self.order(shelf)),
            Self::With(_) => match self.archive(shelf) {
                Some(page) => archive_page(page),
                None => head(shelf, self.order(shelf)),
            },
        }
    }

    /// What is read first: the newest while the topic is live, and from the beginning once it has ended.
    fn order(&self, shelf: &Shelf) -> Order {
        match self {
            Self::Head(Some(order)) => *order,
            _ if shelf.ended => Order::Oldest,
            _ => Order::Newest,
        }
    }

    /// The page of the archive that this is; none for the topic's own page.
    fn archive(&self, shelf: &Shelf) -> Option<u64> {
        match self {
            Self::Archive(page) => Some(*page),
            Self::With(_) => shelf
                .around
                .filter(|number| !head(shelf, self.order(shelf)).contains(number))
                .map(page_of),
            Self::Newest(_) | Self::Head(_) => None,
        }
    }

    /// Whether there is no such page.
    fn is_missing(&self, shelf: &Shelf) -> bool {
        match self {
            Self::Archive(page) => *page == 0 || *page > page_of(shelf.count.max(1)),
            Self::With(_) => shelf.around.is_none(),
            Self::Newest(_) | Self::Head(_) => false,
        }
    }
}

/// The page of the archive that an entry of this number stands on, from 1.
fn page_of(number: u64) -> u64 {
    number.saturating_sub(1) / PAGE_ENTRIES + 1
}

/// The numbers on a page of the archive.
fn archive_page(page: u64) -> RangeInclusive<u64> {
    let before = page.saturating_sub(1).saturating_mul(PAGE_ENTRIES);
    before.saturating_add(1)..=before.saturating_add(PAGE_ENTRIES)
}

/// The numbers on the topic's own page. It begins where a page of the archive does, so that what is older than it, or
/// newer, is whole pages.
fn head(shelf: &Shelf, order: Order) -> RangeInclusive<u64> {
    let pages = page_of(shelf.count.max(1));
    match order {
        // An ended topic that is read from its beginning. A live one is read to its end, where its page is live.
        Order::Oldest if shelf.ended && pages > 2 => 1..=PAGE_ENTRIES,
        _ => *archive_page(pages.saturating_sub(1).max(1)).start()..=shelf.count,
    }
}

/// An entry at its place.
pub(super) fn item(offset: Offset, answer: &EntryAnswer) -> Result<Item, Problem> {
    let what = match &answer.what {
        Answer::Entry(json) | Answer::Held(json) => What::Entry(Box::new(parse::<Entry>(json)?)),
        Answer::Tombstone(tombstone) => What::Tombstone(tombstone.clone()),
    };
    Ok(Item { offset, what })
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Problem> {
    serde_json::from_str(json).map_err(|error| ReadError::Corrupt(error.to_string()).into())
}

fn not_found(http: &Http) -> Result<Response, Problem> {
    let body = http.options.templates.not_found()?;
    Ok(with_policy(typed(StatusCode::NOT_FOUND, HTML, body)))
}

pub(super) fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(pages::PAGE_CSP),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    );
    response
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        tracing::error!(%error, "a page could not be made");
        Self::new(Code::Internal, "the page could not be made")
    }
}
