//! What a desk asks over HTTP: what its key may do, its topics, an entry or topic as it was sent, a preview, and who
//! else is here. All of it is for keys, and kept by no cache.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::auth::{entry_id, topic_name};
use super::problem::Problem;
use super::read::Query;
use super::response::{Audience, json as answer, uncached};
use super::shown::current_of_any;
use super::{Http, State};
use crate::broker::{DESK_STAYS, Desk, DesksError, LastEntry, ListedTopic, Source, WriteError};
use crate::keys::{Grant, Right};
use crate::model::limits::TOPIC_NAME_BYTES_MAX;
use crate::model::{EntryId, Invalid, TopicName, format_millis};
use crate::protocol::Code;
use crate::store::{AppendError, Refused};

/// Topics of a list, where the caller does not say, and at the most.
const TOPICS_DEFAULT: usize = 50;
const TOPICS_MAX: usize = 200;
/// Longest name that an editor can go by, in bytes.
const DESK_NAME_BYTES_MAX: usize = 100;
/// Length of a session, in bytes.
const SESSION_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// `GET /v1/key`: what the caller's key may do.
pub(super) async fn key(Extract(http): State, headers: HeaderMap) -> Result<Response, Problem> {
    let grant = http.signed_in(&headers)?;
    let rights = Right::ALL
        .into_iter()
        .filter(|right| grant.role.has(*right));
    Ok(for_caller(&json!({
        "key": &*grant.id,
        "role": grant.role.as_str(),
        "topics": grant.globs().collect::<Vec<_>>(),
        "rights": rights.map(Right::as_str).collect::<Vec<_>>(),
    })))
}

/// `GET /v1/topics`: the topics that the caller's key is for.
pub(super) async fn topics(
    Extract(http): State,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let limit = query.limit_of(TOPICS_DEFAULT, TOPICS_MAX)?;
    let wanted = query.get("match").map(glob).transpose()?;
    let grant = http.signed_in(&headers)?;
    let reads = Arc::clone(&grant);
    let keep = move |name: &TopicName| {
        reads.may(Right::Read, name)
            && wanted
                .as_ref()
                .is_none_or(|wanted| wanted.matches(name.as_str()))
    };
    let read = || async {
        let listed = listed(&http, &grant, keep.clone(), limit).await;
        listed.into_response()
    };
    Ok(current_of_any(&http, read).await)
}

async fn listed(
    http: &Arc<Http>,
    grant: &Grant,
    keep: impl Fn(&TopicName) -> bool + Send + 'static,
    limit: usize,
) -> Result<Response, Problem> {
    let listed = http.broker.listed_topics(keep, limit).await?;
    let topics = listed
        .iter()
        .map(|topic| {
            let mut json = topic_json(http, topic)?;
            if grant.may(Right::Inspect, &topic.topic.name) {
                let desks = http.broker.desks().at(&topic.topic.name, Instant::now());
                json["desks"] = desks.into();
            }
            Ok(json)
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    Ok(for_caller(&json!({ "topics": topics })))
}

fn glob(text: &str) -> Result<WildMatch, Problem> {
    if text.len() > TOPIC_NAME_BYTES_MAX {
        let detail = format!("match has at most {TOPIC_NAME_BYTES_MAX} bytes");
        return Err(Problem::new(Code::InvalidParameter, detail));
    }
    Ok(WildMatch::new(text))
}

fn topic_json(http: &Http, listed: &ListedTopic) -> Result<Value, Problem> {
    let stored = &listed.topic;
    let mut topic: Value = serde_json::from_str(&stored.doc)
        .map_err(|error| crate::store::ReadError::Corrupt(error.to_string()))?;
    // A topic that nobody uses has no readers.
    let readers = http.broker.readers(&stored.name).unwrap_or_default();
    topic["position"] = stored.epoch.at(stored.head).to_string().into();
    topic["head"] = stored.head.into();
    topic["readers"] = readers.into();
    if let Some(last) = &listed.last {
        topic["last_entry"] = last_json(last);
    }
    Ok(topic)
}

fn last_json(last: &LastEntry) -> Value {
    let at = format_millis(last.at);
    if last.retracted {
        return json!({"id": last.id.as_str(), "retracted": true, "retracted_at": at});
    }
    let mut entry = json!({"id": last.id.as_str(), "published_at": at});
    if let Some(headline) = &last.headline {
        entry["headline"] = headline.as_str().into();
    }
    if let Some(text) = last.text.as_deref().filter(|text| !text.is_empty()) {
        entry["text"] = text.into();
    }
    entry
}

/// `GET /v1/topics/{topic}/source`
pub(super) async fn topic_source(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    http.require(&headers, Right::Publish, &topic)?;
    let source = http.broker.topic_source(&topic).await?;
    Ok(source_answer("topic", source))
}

/// `GET /v1/topics/{topic}/entries/{id}/source`
pub(super) async fn entry_source(
    Extract(http): State,
    Path((topic, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (topic, id) = (topic_name(&topic)?, entry_id(&id)?);
    let grant = http.require(&headers, Right::Publish, &topic)?;
    match http.broker.entry_source(&topic, &id).await {
        Ok(source) if source.held && !grant.may(Right::Inspect, &topic) => Err(absent(&id)),
        Ok(source) => Ok(source_answer("entry", source)),
        Err(WriteError::Append(AppendError::NotStored(Refused::NoEntry(id)))) => Err(absent(&id)),
        Err(error) => Err(error.into()),
    }
}

/// The answer for an entry that isn't there, and for one that the caller may not know of.
fn absent(id: &EntryId) -> Problem {
    Problem::new(Code::EntryNotFound, format!("no entry {id}"))
}

fn source_answer(what: &str, source: Source) -> Response {
    let mut body = json!({ "revision": source.revision });
    body[what] = source.fields;
    if source.held {
        body["held"] = true.into();
    }
    let etag = format!("\"{}\"", source.revision);
    let mut response = for_caller(&body);
    if let Ok(value) = header::HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// `POST /v1/preview`: a body as readers would get it. Nothing is kept.
pub(super) async fn preview(
    Extract(http): State,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Draft {
        body: crate::model::Body,
    }
    let grant = http.signed_in(&headers)?;
    if !grant.role.has(Right::Publish) {
        let detail = format!("a {} key may not publish", grant.role.as_str());
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let draft: Draft = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    let preview = http.broker.preview(draft.body).await?;
    Ok(for_caller(&json!({
        "body_html": preview.body_html,
        "body_text": preview.body_text,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seat {
    name: String,
    #[serde(default)]
    entry: Option<EntryId>,
}

/// `PUT /v1/topics/{topic}/desks/{session}`: says that a desk is open, and answers who else is here.
pub(super) async fn stay(
    Extract(http): State,
    Path((topic, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    check_session(&session)?;
    let grant = http.require(&headers, Right::Inspect, &topic)?;
    let seat: Seat = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    check_name(&seat.name)?;
    http.readable(&headers, &topic).await?;
    let own = (Arc::clone(&grant.id), session.clone());
    let desk = Desk {
        key: Arc::clone(&grant.id),
        session,
        name: seat.name.trim().to_owned(),
        entry: seat.entry,
        since: http.broker.clock().now(),
    };
    let desks = http.broker.desks().stay(&topic, desk, Instant::now())?;
    let desks: Vec<_> = desks
        .iter()
        .map(|desk| desk_json(desk, desk.key == own.0 && desk.session == own.1))
        .collect();
    Ok(for_caller(&json!({
        "topic": topic.as_str(),
        "desks": desks,
        "expires_in": DESK_STAYS.as_secs(),
    })))
}

fn desk_json(desk: &Desk, is_own: bool) -> Value {
    let mut json = json!({
        "name": desk.name,
        "key": &*desk.key,
        "since": format_millis(desk.since),
    });
    if let Some(entry) = &desk.entry {
        json["entry"] = entry.as_str().into();
    }
    if is_own {
        json["own"] = true.into();
    }
    json
}

/// `DELETE /v1/topics/{topic}/desks/{session}`: says that it is closed.
pub(super) async fn leave(
    Extract(http): State,
    Path((topic, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    check_session(&session)?;
    let grant = http.require(&headers, Right::Inspect, &topic)?;
    http.broker.desks().leave(&topic, &grant.id, &session);
    let response = answer(StatusCode::OK, json!({"topic": topic.as_str()}).to_string());
    Ok(uncached(response, Audience::Caller))
}

fn check_session(session: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if SESSION_BYTES.contains(&session.len()) && session.bytes().all(allowed) {
        return Ok(());
    }
    Err(Problem::new(
        Code::InvalidParameter,
        "a session is 8 to 64 letters, digits, - and _ of the desk's own making",
    ))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let bytes = name.len();
    if bytes > DESK_NAME_BYTES_MAX {
        let message = format!("has {bytes} bytes, the limit is {DESK_NAME_BYTES_MAX}");
        return Err(Invalid::new("name", message).into());
    }
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Invalid::new("name", "is empty or has control characters").into());
    }
    Ok(())
}

fn for_caller(body: &Value) -> Response {
    uncached(answer(StatusCode::OK, body.to_string()), Audience::Caller)
}

impl From<DesksError> for Problem {
    fn from(error: DesksError) -> Self {
        Self::new(Code::LimitReached, error.to_string())
    }
}
