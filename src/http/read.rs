//! Reading over HTTP: the topic, snapshot pages, one entry, the audit trail; and the query of a URL.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::auth::{Access, entry_id, topic_name};
use super::problem::Problem;
use super::response::{Audience, cached, etag_of, etag_of_bytes, json, uncached, with_fields};
use super::{Http, State};
use crate::broker::{Answer, Channel, EntryAnswer};
use crate::keys::Right;
use crate::model::{After, Position, TopicName};
use crate::protocol::Code;
use crate::store::{EntryFilter, EntryQuery, HeldEntry};

/// Entries or records of a page, where the caller does not say.
const ENTRIES_DEFAULT: usize = 20;
const RECORDS_DEFAULT: usize = 100;
/// Most entries, records or changes of a page.
const LIMIT_MAX: usize = 1_000;

/// `GET /v1/topics/{topic}`
pub(super) async fn topic(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let (channel, _) = http.readable(&headers, &topic).await?;
    let stored = http
        .broker
        .topic(&topic)
        .await?
        .ok_or_else(Problem::topic_not_found)?;
    let position = stored.epoch.at(stored.head);
    let (head, readers) = (stored.head, channel.audience());
    let body = with_fields(
        &stored.doc,
        &format!(r#""position":"{position}","head":{head},"readers":{readers}"#),
    );
    let etag = etag_of(&position, &format!("-r{readers}"));
    Ok(cached(
        &headers,
        json(StatusCode::OK, body),
        &etag,
        audience(&channel),
    ))
}

/// `GET /v1/topics/{topic}/entries`
pub(super) async fn entries(
    Extract(http): State,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let query = Query::parse(query.as_deref());
    let limit = query.limit(ENTRIES_DEFAULT)?;
    let filter = match query.get("filter") {
        None => EntryFilter::All,
        Some("key_events") => EntryFilter::KeyEvents,
        Some("pinned") => EntryFilter::Pinned,
        Some("held") => return held(&http, &topic, &headers, limit).await,
        Some(_) => {
            return Err(Problem::new(
                Code::InvalidParameter,
                "filter is key_events, pinned or held",
            ));
        }
    };
    let before = query.number("before")?;
    let (channel, _) = http.readable(&headers, &topic).await?;
    let query = EntryQuery {
        before,
        limit,
        filter,
    };
    let snapshot = http
        .broker
        .snapshot(&topic, query)
        .await?
        .ok_or_else(Problem::topic_not_found)?;
    let position = snapshot.topic.epoch.at(snapshot.topic.head);
    let entries: Vec<_> = snapshot
        .entries
        .iter()
        .map(EntryAnswer::json_with_text)
        .collect();
    let next = snapshot
        .before
        .map_or_else(|| "null".into(), |before| format!("\"{before}\""));
    let body = format!(
        r#"{{"topic":"{topic}","position":"{position}","entries":[{}],"next":{next}}}"#,
        entries.join(",")
    );
    Ok(cached(
        &headers,
        json(StatusCode::OK, body),
        &etag_of(&position, ""),
        audience(&channel),
    ))
}

async fn held(
    http: &Arc<Http>,
    topic: &TopicName,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Response, Problem> {
    http.require(headers, Right::Inspect, topic)?;
    let (channel, _) = http.readable(headers, topic).await?;
    let position = channel.position();
    let held = http.broker.held(topic, limit).await?;
    let entries: Vec<_> = held.iter().map(held_json).collect();
    let body = format!(
        r#"{{"topic":"{topic}","position":"{position}","entries":[{}],"next":null}}"#,
        entries.join(",")
    );
    let etag = etag_of_bytes(&body);
    Ok(cached(
        headers,
        json(StatusCode::OK, body),
        &etag,
        Audience::Caller,
    ))
}

fn held_json(held: &HeldEntry) -> String {
    let answer = EntryAnswer {
        revision: held.revision,
        what: Answer::Held(held.doc.clone()),
    };
    answer.json_with_text()
}

/// `GET /v1/topics/{topic}/entries/{id}`
pub(super) async fn entry(
    Extract(http): State,
    Path((topic, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (topic, id) = (topic_name(&topic)?, entry_id(&id)?);
    let (channel, access) = http.readable(&headers, &topic).await?;
    let absent = || Problem::new(Code::EntryNotFound, format!("no entry {id}"));
    let answer = http.broker.entry(&topic, &id).await?.ok_or_else(absent)?;
    let inspects = |access: &Access| {
        access
            .0
            .as_ref()
            .is_some_and(|grant| grant.may(Right::Inspect, &topic))
    };
    let (status, audience) = match &answer.what {
        Answer::Held(_) if !inspects(&access) => return Err(absent()),
        Answer::Held(_) => (StatusCode::OK, Audience::Caller),
        Answer::Entry(_) => (StatusCode::OK, audience(&channel)),
        Answer::Tombstone(_) => (StatusCode::GONE, audience(&channel)),
    };
    let etag = format!("\"{}\"", answer.revision);
    let response = json(status, answer.json_with_text());
    Ok(match status {
        StatusCode::GONE => uncached(response, audience),
        _ => cached(&headers, response, &etag, audience),
    })
}

/// `GET /v1/topics/{topic}/audit`
pub(super) async fn audit(
    Extract(http): State,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let limit = Query::parse(query.as_deref()).limit(RECORDS_DEFAULT)?;
    http.require(&headers, Right::Inspect, &topic)?;
    http.readable(&headers, &topic).await?;
    let records: Vec<_> = http
        .broker
        .audit(&topic, limit)
        .await?
        .into_iter()
        .map(|record| {
            json!({
                "at": crate::model::format_millis(record.at),
                "actor": record.actor,
                "action": record.action,
                "entry": record.entry.as_ref().map(crate::model::EntryId::as_str),
                "offset": record.offset,
            })
        })
        .collect();
    let body = json!({"topic": topic.as_str(), "records": records}).to_string();
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(
        axum::http::header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    Ok(response.into_response())
}

pub(super) fn audience(channel: &Channel) -> Audience {
    if channel.is_private() {
        Audience::Caller
    } else {
        Audience::Public
    }
}

/// The query of a URL. Parameters that we don't know are left alone: caches and proxies add their own.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(
            url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn after(&self) -> Result<After, Problem> {
        self.get("after").map_or(Ok(After::Head), after)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    Problem::new(
                        Code::InvalidParameter,
                        format!("{name} is a number, as given by the page before"),
                    )
                })
            })
            .transpose()
    }

    pub(super) fn limit(&self, default: usize) -> Result<usize, Problem> {
        self.limit_of(default, LIMIT_MAX)
    }

    /// `limit`, of which there may be up to `max`.
    pub(super) fn limit_of(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=max).contains(limit))
            .ok_or_else(|| {
                Problem::new(
                    Code::InvalidParameter,
                    format!("limit is a number from 1 to {max}"),
                )
            })
    }

    pub(super) fn wait(&self, max: Duration) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.get("wait") else {
            return Ok(None);
        };
        text.parse()
            .ok()
            .map(Duration::from_secs)
            .filter(|wait| *wait <= max)
            .map(|wait| Some(wait).filter(|wait| !wait.is_zero()))
            .ok_or_else(|| {
                Problem::new(
                    Code::InvalidParameter,
                    format!("wait is a number of seconds from 0 to {}", max.as_secs()),
                )
            })
    }
}

pub(super) fn after(text: &str) -> Result<After, Problem> {
    After::parse(text).map_err(|error| Problem::new(Code::InvalidPosition, error.to_string()))
}

/// The position that an event stream resumes from: what the browser remembers wins over what the page's URL says.
pub(super) fn resume_from(headers: &HeaderMap, query: &Query) -> Result<After, Problem> {
    match headers.get("last-event-id") {
        Some(value) if !value.is_empty() => {
            let text = value.to_str().unwrap_or_default();
            Position::parse(text)
                .map(After::Position)
                .map_err(|error| Problem::new(Code::InvalidPosition, error.to_string()))
        }
        _ => query.after(),
    }
}
