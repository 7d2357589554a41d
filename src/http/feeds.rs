//! Feeds and metadata of a topic: Atom, JSON Feed, JSON-LD. All from the same view as the page.

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::State;
use super::auth::topic_name;
use super::pages::{View, Wanted, load};
use super::problem::Problem;
use super::read::audience;
use super::response::{cached, etag_of_bytes, typed};
use crate::pages::{self, PageError};

/// Entries in a feed.
const FEED_ENTRIES: u64 = 50;

/// `GET /v1/topics/{topic}/feed.atom`
pub(super) async fn atom(
    http: State,
    topic: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(http, topic, headers, "application/atom+xml", pages::atom).await
}

/// `GET /v1/topics/{topic}/feed.json`
pub(super) async fn json(
    http: State,
    topic: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(
        http,
        topic,
        headers,
        "application/feed+json",
        pages::json_feed,
    )
    .await
}

/// `GET /v1/topics/{topic}/liveblog.jsonld`
pub(super) async fn jsonld(
    http: State,
    topic: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(http, topic, headers, "application/ld+json", pages::jsonld).await
}

async fn respond(
    Extract(http): State,
    Path(topic): Path<String>,
    headers: HeaderMap,
    media_type: &'static str,
    encode: fn(&pages::View<'_>) -> Result<String, PageError>,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let (channel, _) = http.readable(&headers, &topic).await?;
    let view: View = load(&http, &topic, Wanted::Newest(FEED_ENTRIES)).await?;
    let body = encode(&view.borrow(&http, &http.options.public_url, None))?;
    let etag = etag_of_bytes(&body);
    Ok(cached(
        &headers,
        typed(StatusCode::OK, media_type, body),
        &etag,
        audience(&channel),
    ))
}
