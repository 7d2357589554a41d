//! The pages: `/`, `/t/{topic}` and their assets. What they look like is decided in [`crate::pages`].

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::read::{Query, audience};
use super::response::{cached, etag_of_bytes, typed};
use super::{Http, State};
use crate::broker::{Answer, EntryAnswer};
use crate::model::{Entry, Position, Topic, TopicName};
use crate::pages::{self, Item, PageError};
use crate::protocol::Code;
use crate::store::{EntryFilter, EntryQuery, ReadError};

/// Entries on a page.
pub(super) const PAGE_ENTRIES: usize = 50;
/// Pinned entries above them, at most.
const PINNED_MAX: usize = 10;
/// Topics on the index: those that changed last.
const INDEX_TOPICS_MAX: usize = 200;

pub(super) const HTML: &str = "text/html; charset=utf-8";

/// What a page or feed is made of, owned.
pub(super) struct View {
    pub(super) topic: Topic,
    pub(super) position: Position,
    entries: Vec<Item>,
    pinned: Vec<Item>,
    older: Option<String>,
    newest: Option<String>,
}

impl View {
    pub(super) fn borrow<'a>(
        &'a self,
        http: &'a Http,
        base_url: &'a str,
        readers: Option<u64>,
    ) -> pages::View<'a> {
        pages::View {
            topic: &self.topic,
            position: &self.position,
            entries: &self.entries,
            pinned: &self.pinned,
            older: self.older.clone(),
            newest: self.newest.clone(),
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
    let before = Query::parse(query).number("before")?;
    let (channel, _) = http.readable(headers, &topic).await?;
    let view = load(http, &topic, before, PAGE_ENTRIES).await?;
    let readers = channel.readers();
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
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = pages::asset(&name) else {
        return Problem::new(Code::NotFound, "there is no such asset").into_response();
    };
    let mut response = asset.bytes.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    let response = with_policy(response);
    cached(
        &headers,
        response,
        &asset.etag(),
        super::response::Audience::Public,
    )
}

/// The newest entries of a topic (or those before an offset), ready to be shown.
pub(super) async fn load(
    http: &Arc<Http>,
    topic: &TopicName,
    before: Option<u64>,
    limit: usize,
) -> Result<View, Problem> {
    let query = |filter, limit, before| EntryQuery {
        before,
        limit,
        filter,
    };
    let snapshot = http
        .broker
        .snapshot(topic, query(EntryFilter::All, limit, before))
        .await?
        .ok_or_else(Problem::topic_not_found)?;
    let entries = items(&snapshot.entries)?;
    let pinned = if before.is_none() {
        let pinned = http
            .broker
            .snapshot(topic, query(EntryFilter::Pinned, PINNED_MAX, None))
            .await?
            .ok_or_else(Problem::topic_not_found)?;
        items(&pinned.entries)?
            .into_iter()
            .filter(|pinned| !entries.iter().any(|entry| id_of(entry) == id_of(pinned)))
            .collect()
    } else {
        Vec::new()
    };
    Ok(View {
        topic: parse(&snapshot.topic.doc)?,
        position: snapshot.topic.epoch.at(snapshot.topic.head),
        entries,
        pinned,
        older: snapshot
            .before
            .map(|before| format!("/t/{topic}?before={before}")),
        newest: before.map(|_| format!("/t/{topic}")),
    })
}

pub(super) fn items(answers: &[EntryAnswer]) -> Result<Vec<Item>, Problem> {
    answers
        .iter()
        .map(|answer| match &answer.what {
            Answer::Entry(json) | Answer::Held(json) => {
                parse::<Entry>(json).map(|entry| Item::Entry(Box::new(entry)))
            }
            Answer::Tombstone(tombstone) => Ok(Item::Tombstone(tombstone.clone())),
        })
        .collect()
}

fn id_of(item: &Item) -> &crate::model::EntryId {
    match item {
        Item::Entry(entry) => &entry.id,
        Item::Tombstone(tombstone) => &tombstone.id,
    }
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
