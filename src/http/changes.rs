//! `GET /v1/topics/{topic}/changes`: catch-up pages and long polls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::auth::{Access, topic_name};
use super::cut::Whose;
use super::guard::Client;
use super::problem::Problem;
use super::read::{Query, audience};
use super::response::{Audience, TICKET_HEADER, cached, etag_of_bytes, json, uncached, with_head};
use super::{Http, State};
use crate::broker::{Changes, Channel, Start};
use crate::model::Offset;
use crate::protocol::Code;

/// Changes of a page, where the caller does not say.
const CHANGES_DEFAULT: usize = 100;
/// About the most bytes of a page; one change always fits.
const CHANGES_BYTES_MAX: usize = 1 << 20;

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
    if let Some(wait) = wait {
        wait_behind(&http, &channel, &access, from, wait).await?;
    }
    let (frames, redactions) = gather(&http, &channel, from, limit).await?;
    let changes: Vec<&str> = frames.iter().map(|frame| frame.json().as_ref()).collect();
    let position = channel
        .epoch()
        .at(frames.last().map_or(from, |frame| frame.offset()));
    let body = format!(
        r#"{{"topic":"{topic}","changes":[{}],"position":"{position}"}}"#,
        changes.join(",")
    );
    // It may have become private while it was read; from here on that makes the answer void.
    if !access.may_read(&http, &channel) {
        return Err(Problem::topic_not_found());
    }
    let response = finish(&headers, &channel, body, frames.is_empty());
    let response = http.shown(response, Whose::Topic(channel), redactions);
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

/// Waits for the first change behind `from`, if none is there, and looks whether the caller may still have it.
async fn wait_behind(
    http: &Http,
    channel: &Arc<Channel>,
    access: &Access,
    from: Offset,
    wait: Duration,
) -> Result<(), Problem> {
    if channel.head() > from {
        return Ok(());
    }
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
    Ok(())
}

/// Up to `limit` changes behind `from`, and the number of the redaction since which none of them was taken back.
async fn gather(
    http: &Http,
    channel: &Arc<Channel>,
    from: Offset,
    limit: usize,
) -> Result<(Changes, u64), Problem> {
    let mut redactions = http.broker.redactions().now();
    let mut gathered: Changes = Vec::new();
    let mut bytes = 0;
    loop {
        let cursor = gathered.last().map_or(from, |frame| frame.offset());
        let room = limit - gathered.len();
        let frames = http
            .broker
            .next(channel, cursor, room, CHANGES_BYTES_MAX)
            .await?;
        if channel.is_void(redactions) {
            // Something gathered so far may have been taken back meanwhile.
            redactions = http.broker.redactions().now();
            gathered.clear();
            bytes = 0;
            continue;
        }
        for frame in &frames {
            bytes += frame.json().len();
            if bytes > CHANGES_BYTES_MAX && !gathered.is_empty() {
                return Ok((gathered, redactions));
            }
            gathered.push(Arc::clone(frame));
        }
        if frames.is_empty() || gathered.len() >= limit {
            return Ok((gathered, redactions));
        }
    }
}
