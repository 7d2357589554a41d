//! `/t/{topic}/fragment`: the newest entries as a piece of HTML, for the server of a page elsewhere to include.

use axum::extract::{Path, RawQuery, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::auth::{entry_id, topic_name};
use super::pages::{self as view, HTML, Wanted, load, with_policy};
use super::problem::Problem;
use super::read::{Query, audience};
use super::response::{cached, etag_of_bytes, typed};
use super::{Http, State};
use crate::broker::Answer;
use crate::model::{EntryId, TopicName};
use crate::pages::{self, Item};
use crate::protocol::Code;

/// Entries of a fragment, where the caller does not say.
const ENTRIES_DEFAULT: usize = 20;
/// Most entries of a fragment.
const ENTRIES_MAX: usize = 50;

/// `GET /t/{topic}/fragment`, with `limit`, or of one `entry`.
pub(super) async fn fragment(
    Extract(http): State,
    Path(topic): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topic = topic_name(&topic)?;
    let query = Query::parse(query.as_deref());
    let limit = query.limit_of(ENTRIES_DEFAULT, ENTRIES_MAX)?;
    let entry = query.get("entry").map(entry_id).transpose()?;
    let (channel, _) = http.readable(&headers, &topic).await?;
    let limit = if entry.is_some() { 1 } else { limit };
    let view = load(&http, &topic, Wanted::Newest(limit as u64)).await?;
    let view = view.borrow(&http, &http.options.public_url, None);
    let body = match entry {
        None => pages::fragment(&view)?,
        Some(id) => pages::entry_fragment(&view, &item(&http, &topic, &id).await?)?,
    };
    let etag = etag_of_bytes(&body);
    let response = with_policy(typed(StatusCode::OK, HTML, body));
    Ok(cached(&headers, response, &etag, audience(&channel)))
}

/// What readers have under an id: an entry, or the tombstone of one.
pub(super) async fn item(
    http: &std::sync::Arc<Http>,
    topic: &TopicName,
    id: &EntryId,
) -> Result<Item, Problem> {
    let absent = || Problem::new(Code::EntryNotFound, format!("no entry {id}"));
    let answer = http.broker.entry(topic, id).await?.ok_or_else(absent)?;
    if matches!(answer.what, Answer::Held(_)) {
        return Err(absent());
    }
    // Alone, it has no place among others.
    view::item(0, &answer)
}
