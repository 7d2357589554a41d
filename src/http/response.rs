//! Success answers: JSON put together from JSON that is there already, validators, cache bounds.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::model::{Offset, Position};

/// The head of the topic, beside an answer whose bytes must not depend on it.
pub(super) const HEAD_HEADER: HeaderName = HeaderName::from_static("tenbells-head");
/// The next ticket, beside the answer to one.
pub(super) const TICKET_HEADER: HeaderName = HeaderName::from_static("tenbells-ticket");
/// Set where an answer is that of an earlier request with the same idempotency key.
pub(super) const REPLAYED_HEADER: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long a shared cache may keep an answer, in seconds: the bound for a retraction to reach its readers.
const SHARED_CACHE: &str = "public, max-age=1";
const PRIVATE_CACHE: &str = "private, no-store";

/// Whether anyone may have the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody: caches may share it for a second.
    Public,
    /// The caller alone.
    Caller,
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    typed(status, "application/json", body)
}

/// An answer of another type.
pub(super) fn typed(
    status: StatusCode,
    media_type: &'static str,
    body: impl IntoResponse,
) -> Response {
    (
        status,
        [(CONTENT_TYPE, HeaderValue::from_static(media_type))],
        body,
    )
        .into_response()
}

/// The answer to a write: never cached, marked where it is that of an earlier request.
pub(super) fn written(
    status: StatusCode,
    body: String,
    location: Option<&str>,
    replayed: bool,
) -> Response {
    let mut response = json(status, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(location) = location.and_then(|path| HeaderValue::from_str(path).ok()) {
        headers.insert(LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    response
}

/// Adds a validator and cache bounds to an answer that can be asked for again; 304 where the caller has it.
pub(super) fn cached(
    request: &HeaderMap,
    mut response: Response,
    etag: &str,
    audience: Audience,
) -> Response {
    let control = match audience {
        Audience::Public => SHARED_CACHE,
        Audience::Caller => PRIVATE_CACHE,
    };
    let known = matches(request, etag);
    if known {
        response = StatusCode::NOT_MODIFIED.into_response();
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(control));
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, value);
    }
    response
}

/// Keeps an answer that has no validator out of caches where it is the caller's alone.
pub(super) fn uncached(mut response: Response, audience: Audience) -> Response {
    if audience == Audience::Caller {
        let control = HeaderValue::from_static(PRIVATE_CACHE);
        response.headers_mut().insert(CACHE_CONTROL, control);
    }
    response
}

/// A weak validator from a position and what else the answer depends on.
pub(super) fn etag_of(position: &Position, variant: &str) -> String {
    format!("W/\"{position}{variant}\"")
}

/// A weak validator from the bytes of an answer.
pub(super) fn etag_of_bytes(body: &str) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(body.as_bytes());
    let mut tag = String::from("W/\"");
    for byte in &digest[..12] {
        // Writing to a string can't fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Puts the head of the topic beside the answer.
pub(super) fn with_head(mut response: Response, head: Offset) -> Response {
    response
        .headers_mut()
        .insert(HEAD_HEADER, HeaderValue::from(head));
    response
}

/// `If-None-Match` by weak comparison (RFC 9110, section 13.1.2).
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(etag);
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || opaque(tag) == wanted)
}

/// A position as JSON; null for what has none yet.
pub(super) fn position_json(position: Option<&Position>) -> String {
    position.map_or_else(|| "null".into(), |position| format!("\"{position}\""))
}

/// Adds fields (already JSON) to a JSON object.
pub(super) fn with_fields(object: &str, fields: &str) -> String {
    let open = object.strip_suffix('}').unwrap_or(object);
    let comma = if open.ends_with('{') { "" } else { "," };
    format!("{open}{comma}{fields}}}")
}
