//! Reading over HTTP: the topic, snapshot pages, one entry, catch-up pages and long polls, the audit trail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::auth::{Access, entry_id, topic_name};
use super::guard::Client;
use super::problem::Problem;
use super::response::{
    Audience, TICKET_HEADER, cached, etag_of, etag_of_bytes, json, uncached, with_fields, with_head,
};
use super::{Http, State};
use crate::broker::{Answer, Changes, Channel, EntryAnswer, Start};
use crate::keys::Right;
use crate::model::{After, Offset, Position, TopicName};
use crate::protocol::Code;
use crate::store::{EntryFilter, EntryQuery, HeldEntry};

/// Entries or changes of a page, where the caller does not say.
const ENTRIES_DEFAULT: usize = 20;
const CHANGES_DEFAULT: usize = 100;
/// Most entries or changes of a page.
const LIMIT_MAX: usize = 1_000;
/// About the most bytes of a catch-up page; one change always fits.
const CHANGES_BYTES_MAX: usize = 1 << 20;

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

/// `GET /v1/topics/{topic}/changes`: a catch-up page; with `wait`, a long poll.
pub(super) async fn changes(
    Extract(http): State,
    client: Option<Extension<Client>>,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let query = Query::parse(query.as_deref());
    let limit = query.limit(CHANGES_DEFAULT)?;
    let after = query.after()?;
    let wait = query.wait(http.options.wait_max)?;
    let grant = http.caller(&headers, &query)?;
    let has_ticket = query.get("ticket").is_some();
    let (channel, access) = http.readable_as(grant, &topic).await?;
    let from = match http.broker.start(&channel, &after).await? {
        Start::From(offset) => offset,
        Start::Reset(reason) => {
            let position = channel.position();
            let body = format!(
                r#"{{"topic":"{topic}","changes":[],"position":"{position}","reset":{{"position":"{position}","reason":"{}"}}}}"#,
                reason.as_str()
            );
            let response = finish(&headers, &channel, body, true);
            return next_ticket(&http, &access, has_ticket, response);
        }
    };
    let behind = channel.head().saturating_sub(from);
    let client = client.map(|Extension(client)| client);
    http.count_replay(client, behind, behind.min(limit as u64))?;
    let frames = poll(&http, &channel, &access, from, limit, wait).await?;
    let changes: Vec<&str> = frames.iter().map(|frame| frame.json().as_ref()).collect();
    let position = channel
        .epoch()
        .at(frames.last().map_or(from, |frame| frame.offset()));
    let body = format!(
        r#"{{"topic":"{topic}","changes":[{}],"position":"{position}"}}"#,
        changes.join(",")
    );
    let response = finish(&headers, &channel, body, frames.is_empty());
    next_ticket(&http, &access, has_ticket, response)
}

/// The answer to a ticket has the next one in it, as a page polls again and again; such an answer is nobody else's.
fn next_ticket(
    http: &Http,
    access: &Access,
    has_ticket: bool,
    response: Response,
) -> Result<Response, Problem> {
    let Some(grant) = access.0.as_ref().filter(|_| has_ticket) else {
        return Ok(response);
    };
    let ticket = http.tickets.give(Arc::clone(grant), Instant::now())?;
    let mut response = uncached(response, Audience::Caller);
    if let Ok(ticket) = HeaderValue::from_str(&ticket) {
        response.headers_mut().insert(TICKET_HEADER, ticket);
    }
    Ok(response)
}

/// An answer that says "nothing yet" must not be kept; one with changes may, by everyone who asks the same.
fn finish(headers: &HeaderMap, channel: &Channel, body: String, passing: bool) -> Response {
    let response = if passing {
        let mut response = json(StatusCode::OK, body);
        response.headers_mut().insert(
            axum::http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        );
        response
    } else {
        let etag = etag_of_bytes(&body);
        cached(
            headers,
            json(StatusCode::OK, body),
            &etag,
            audience(channel),
        )
    };
    with_head(response, channel.head())
}

/// Gathers up to `limit` changes behind `from`; waits for the first one where there is none.
async fn poll(
    http: &Arc<Http>,
    channel: &Arc<Channel>,
    access: &Access,
    from: Offset,
    limit: usize,
    wait: Option<Duration>,
) -> Result<Changes, Problem> {
    if let Some(wait) = wait
        && channel.head() <= from
    {
        let _reader = http
            .admission
            .reader()
            .ok_or_else(|| Problem::unavailable("as many readers as may be are here"))?;
        let _presence = channel.enter();
        let mut head = channel.watch_head();
        tokio::select! {
            // The sender lives in the channel, which we hold.
            _ = head.wait_for(|head| *head > from || channel.is_retired()) => {}
            () = tokio::time::sleep(wait) => {}
            () = access.ended(http) => {}
            () = http.shutdown.wait() => {}
        }
        if !access.stands(http) {
            return Err(Problem::new(
                Code::Unauthorized,
                "the key or token ended while the answer was waited for",
            ));
        }
        if !access.may_read(http, channel) {
            return Err(Problem::topic_not_found());
        }
    }
    let mut gathered: Changes = Vec::new();
    let mut bytes = 0;
    loop {
        let cursor = gathered.last().map_or(from, |frame| frame.offset());
        let redactions = channel.redactions();
        let room = limit - gathered.len();
        let frames = http
            .broker
            .next(channel, cursor, room, CHANGES_BYTES_MAX)
            .await?;
        if channel.redactions() != redactions {
            // Something gathered so far may have been taken back meanwhile.
            gathered.clear();
            bytes = 0;
            continue;
        }
        for frame in &frames {
            bytes += frame.json().len();
            if bytes > CHANGES_BYTES_MAX && !gathered.is_empty() {
                return Ok(gathered);
            }
            gathered.push(Arc::clone(frame));
        }
        if frames.is_empty() || gathered.len() >= limit {
            return Ok(gathered);
        }
    }
}

/// `GET /v1/topics/{topic}/audit`
pub(super) async fn audit(
    Extract(http): State,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let limit = Query::parse(query.as_deref()).limit(CHANGES_DEFAULT)?;
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

    fn limit(&self, default: usize) -> Result<usize, Problem> {
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

    fn wait(&self, max: Duration) -> Result<Option<Duration>, Problem> {
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
