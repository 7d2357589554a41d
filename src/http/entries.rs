//! Writing entries over HTTP: publish, batch, revise, retract.

use axum::body::Body;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::State;
use super::auth::{entry_id, if_match, topic_name};
use super::body::Unambiguous;
use super::problem::Problem;
use super::response::{position_json, written};
use crate::broker::{Published, Retracted};
use crate::keys::Right;
use crate::model::{EntryId, NewEntry, TopicName};

/// `POST /v1/topics/{topic}/entries`
pub(super) async fn publish(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let entry: NewEntry = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    let redactions = http.broker.redactions().now();
    let published = http.broker.publish(&topic, entry, request).await?;
    http.metrics.publishes.inc();
    let location = location(&topic, &published.id);
    let answer = |published: &[Published]| one(StatusCode::CREATED, Some(&location), published);
    http.shown_as_written(&topic, redactions, vec![published], answer)
        .await
}

/// `POST /v1/topics/{topic}/entries:batch`
pub(super) async fn batch(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        entries: Vec<NewEntry>,
    }
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let batch: Batch = http
        .json(&headers, body, http.options.batch_bytes_max)
        .await?;
    let redactions = http.broker.redactions().now();
    let published = http
        .broker
        .publish_batch(&topic, batch.entries, request)
        .await?;
    http.metrics.publishes.inc_by(published.len() as u64);
    let answer = |published: &[Published]| {
        let answers: Vec<_> = published.iter().map(answer).collect();
        let replayed = published.iter().all(|published| published.replayed);
        let body = format!(r#"{{"entries":[{}]}}"#, answers.join(","));
        written(StatusCode::CREATED, body, None, replayed)
    };
    http.shown_as_written(&topic, redactions, published, answer)
        .await
}

/// `PATCH /v1/topics/{topic}/entries/{id}`
pub(super) async fn revise(
    Extract(http): State,
    Path((topic, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (topic, id) = (topic_name(&topic)?, entry_id(&id)?);
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let expect = if_match(&headers)?;
    let Unambiguous(patch) = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    let redactions = http.broker.redactions().now();
    let published = http
        .broker
        .revise(&topic, &id, patch, expect, request)
        .await?;
    http.metrics.revisions.inc();
    let answer = |published: &[Published]| one(StatusCode::OK, None, published);
    http.shown_as_written(&topic, redactions, vec![published], answer)
        .await
}

/// `DELETE /v1/topics/{topic}/entries/{id}`
pub(super) async fn retract(
    Extract(http): State,
    Path((topic, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields)]
    struct Retraction {
        #[serde(default)]
        reason: Option<String>,
    }
    let (topic, id) = (topic_name(&topic)?, entry_id(&id)?);
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let expect = if_match(&headers)?;
    let retraction: Retraction = http.json_or_default(&headers, body).await?;
    let retracted = http
        .broker
        .retract(&topic, &id, retraction.reason, expect, request)
        .await?;
    http.metrics.retractions.inc();
    let tombstone = serde_json::to_string(&retracted.tombstone).unwrap_or_default();
    let position = position_json(retracted.position.as_ref());
    let everywhere = everywhere(&retracted);
    Ok(written(
        StatusCode::OK,
        format!(r#"{{"tombstone":{tombstone},"position":{position}{everywhere}}}"#),
        None,
        retracted.replayed,
    ))
}

/// The answer with one entry.
fn one(status: StatusCode, location: Option<&str>, published: &[Published]) -> Response {
    let replayed = published.iter().any(|published| published.replayed);
    let body = published.iter().map(answer).collect();
    written(status, body, location, replayed)
}

fn answer(published: &Published) -> String {
    let position = position_json(published.position.as_ref());
    format!(r#"{{"entry":{},"position":{position}}}"#, published.json)
}

/// Whether every node has let go of the body, and which has not said so.
fn everywhere(retracted: &Retracted) -> String {
    match retracted.unconfirmed.as_slice() {
        _ if retracted.position.is_none() => String::new(),
        [] => r#","retracted_everywhere":true"#.to_owned(),
        nodes => {
            let nodes = serde_json::to_string(nodes).unwrap_or_default();
            format!(r#","retracted_everywhere":false,"unconfirmed":{nodes}"#)
        }
    }
}

fn location(topic: &TopicName, id: &EntryId) -> String {
    format!("/v1/topics/{topic}/entries/{id}")
}
