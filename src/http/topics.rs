//! Writing the topic over HTTP: create, change, end, reopen.

use axum::body::Body;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::State;
use super::auth::{if_match, topic_name};
use super::body::Unambiguous;
use super::problem::Problem;
use super::response::{position_json, written};
use crate::broker::TopicAnswer;
use crate::keys::Right;
use crate::model::{End, TopicFields};

/// `PUT /v1/topics/{topic}`
pub(super) async fn put(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let mut request = http.write_request(&headers, &grant)?;
    // Creating a topic by its name is no accident, whatever the setting for publishes is.
    request.may_create = true;
    let fields: TopicFields = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    let answer = http.broker.put_topic(&topic, fields, request).await?;
    Ok(respond(&answer))
}

/// `PATCH /v1/topics/{topic}`
pub(super) async fn patch(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let expect = if_match(&headers)?;
    let Unambiguous(patch) = http
        .json(&headers, body, http.options.body_bytes_max)
        .await?;
    let answer = http
        .broker
        .patch_topic(&topic, patch, expect, request)
        .await?;
    Ok(respond(&answer))
}

/// `POST /v1/topics/{topic}/end`
pub(super) async fn end(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let end: End = http.json_or_default(&headers, body).await?;
    let answer = http.broker.end_topic(&topic, end, request).await?;
    Ok(respond(&answer))
}

/// `POST /v1/topics/{topic}/reopen`
pub(super) async fn reopen(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let grant = http.require(&headers, Right::Publish, &topic)?;
    let request = http.write_request(&headers, &grant)?;
    let answer = http.broker.reopen_topic(&topic, request).await?;
    Ok(respond(&answer))
}

fn respond(answer: &TopicAnswer) -> Response {
    let status = if answer.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let position = position_json(Some(&answer.position));
    let body = format!(r#"{{"topic":{},"position":{position}}}"#, answer.json);
    written(status, body, None, answer.replayed)
}
