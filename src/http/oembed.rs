//! `/oembed`: oEmbed 1.0 (<https://oembed.com>) for the page of a blog and the place of an entry on it.
//!
//! Its statuses are those of that document, with one exception: a private topic is 401 only to whoever may read it.
//! To everybody else it is not there, as on every other path.

use std::sync::Arc;

use axum::extract::{RawQuery, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::auth::Access;
use super::fragment::item;
use super::pages::{Wanted, load};
use super::problem::Problem;
use super::read::Query;
use super::response::{Audience, cached, etag_of_bytes, json};
use super::shown::current_of;
use super::{Http, State};
use crate::model::{EntryId, TopicName};
use crate::pages::{self, What};
use crate::protocol::Code;

/// Size of an embedded blog where the caller has less than no limit, in CSS pixels.
const WIDTH: u32 = 600;
const HEIGHT: u32 = 600;
/// An entry needs less height.
const ENTRY_HEIGHT: u32 = 400;
/// Longest `url`, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// What an address names.
struct Target {
    /// What stands in front of the broker's own paths.
    base: String,
    topic: TopicName,
    entry: Option<EntryId>,
}

/// `GET /oembed?url=…&format=json&maxwidth=…&maxheight=…`
pub(super) async fn oembed(
    Extract(http): State,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let url = query.get("url").ok_or_else(|| {
        let detail = "url is missing: the address of a live blog, percent-encoded";
        Problem::new(Code::InvalidParameter, detail)
    })?;
    let (max_width, max_height) = (pixels(&query, "maxwidth")?, pixels(&query, "maxheight")?);
    if let Some(format) = query.get("format").filter(|format| *format != "json") {
        // An answer in another format is not made, whatever the address is.
        let detail = format!("the format {:?} is not made; json is", shortened(format));
        let problem = Problem::new(Code::InvalidParameter, detail);
        return Err(problem.with_status(StatusCode::NOT_IMPLEMENTED));
    }
    let target = target(&http, &headers, url)
        .ok_or_else(|| Problem::new(Code::NotFound, "the url is no live blog of this broker"))?;
    let (http, headers, target) = (&http, &headers, &target);
    let read = move || async move {
        let answer = answer(http, headers, target, (max_width, max_height)).await;
        answer.into_response()
    };
    Ok(current_of(http, &target.topic, read).await)
}

async fn answer(
    http: &Arc<Http>,
    headers: &HeaderMap,
    target: &Target,
    (max_width, max_height): (u32, u32),
) -> Result<Response, Problem> {
    embeddable(http, headers, &target.topic).await?;
    let view = load(http, &target.topic, Wanted::Newest(1)).await?;
    let entry = match &target.entry {
        None => None,
        Some(id) => match item(http, &target.topic, id).await? {
            entry if matches!(entry.what, What::Entry(_)) => Some(entry),
            _ => {
                let detail = "the entry was retracted: there is nothing to embed";
                return Err(Problem::new(Code::EntryNotFound, detail));
            }
        },
    };
    let width = WIDTH.min(max_width);
    let height = entry
        .as_ref()
        .map_or(HEIGHT, |_| ENTRY_HEIGHT)
        .min(max_height);
    let view = view.borrow(http, &target.base, None);
    let body = pages::oembed(&view, entry.as_ref(), width, height)?;
    let etag = etag_of_bytes(&body);
    let response = json(StatusCode::OK, body);
    Ok(cached(headers, response, &etag, Audience::Public))
}

/// Refuses what is not there, and what is not for everybody.
async fn embeddable(
    http: &Arc<Http>,
    headers: &HeaderMap,
    topic: &TopicName,
) -> Result<(), Problem> {
    let (channel, _): (_, Access) = http.readable(headers, topic).await?;
    if channel.is_private() {
        let detail = "the topic is private: link to it, it can't be embedded";
        return Err(Problem::new(Code::Unauthorized, detail));
    }
    Ok(())
}

/// What an address of this broker names; none for every other address.
fn target(http: &Http, headers: &HeaderMap, text: &str) -> Option<Target> {
    if text.len() > URL_BYTES_MAX {
        return None;
    }
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let public_url = Some(http.options.public_url.as_str()).filter(|own| !own.is_empty());
    let (path, own) = below_public_url(&url, public_url).or_else(|| below_host(&url, headers))?;
    let topic = path.strip_prefix("/t/")?.trim_end_matches('/');
    // An entry is named by the query, and by the anchor; whoever passes the address on may have dropped the anchor.
    let named = url.query_pairs().find(|(name, _)| name == "entry");
    let anchor = url.fragment().and_then(|id| id.strip_prefix("e-"));
    let entry = match named.as_ref().map(|(_, id)| id.as_ref()).or(anchor) {
        None => None,
        Some(id) => Some(EntryId::parse(id).ok()?),
    };
    Some(Target {
        base: public_url.map_or(own, str::to_owned),
        topic: TopicName::parse(topic).ok()?,
        entry,
    })
}

/// The path below `public_url`, where the address is below it; http and https count as one.
fn below_public_url<'a>(url: &'a Url, public_url: Option<&str>) -> Option<(&'a str, String)> {
    let own = Url::parse(public_url?).ok()?;
    if (url.host(), url.port()) != (own.host(), own.port()) {
        return None;
    }
    let path = url.path().strip_prefix(own.path().trim_end_matches('/'))?;
    Some((path, public_url?.to_owned()))
}

/// The path, where the address has the host that the request was sent to.
fn below_host<'a>(url: &'a Url, headers: &HeaderMap) -> Option<(&'a str, String)> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let own = Url::parse(&format!("{}://{host}", url.scheme())).ok()?;
    let base = url.origin().ascii_serialization();
    (url.origin() == own.origin()).then_some((url.path(), base))
}

/// A bound in pixels; without one there is none.
fn pixels(query: &Query, name: &str) -> Result<u32, Problem> {
    let Some(text) = query.get(name) else {
        return Ok(u32::MAX);
    };
    text.parse()
        .ok()
        .filter(|pixels| *pixels > 0)
        .ok_or_else(|| {
            Problem::new(
                Code::InvalidParameter,
                format!("{name} is a number of pixels from 1 to {}", u32::MAX),
            )
        })
}

/// What may be shown of a text that the caller made.
fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}
