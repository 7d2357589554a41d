//! `POST /v1/tickets`: what a page puts into the URL of a WebSocket or an event stream in place of its key or token.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::State;
use super::problem::Problem;
use super::response::written;
use crate::keys::{GLOBS_MAX, Grant, Right};
use crate::model::{Invalid, TopicName};
use crate::protocol::Code;
use crate::tokens::{TICKET_FOR, TicketError};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    topics: Option<Vec<String>>,
}

/// Gives a ticket for the caller's grant, or for less.
pub(super) async fn give(
    Extract(http): State,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let grant = http.signed_in(&headers)?;
    let wanted: Wanted = http.json_or_default(&headers, body).await?;
    let mut narrow = grant.for_reader();
    if let Some(topics) = &wanted.topics {
        check(&grant, topics)?;
        narrow = narrow.within(topics);
    }
    let ticket = http.tickets.give(Arc::new(narrow), Instant::now())?;
    let body = json!({"ticket": ticket, "expires_in": TICKET_FOR.as_secs()});
    Ok(written(StatusCode::CREATED, body.to_string(), None, false))
}

/// Whether the caller may read what the ticket is wanted for. Says nothing about what is there.
fn check(grant: &Grant, topics: &[String]) -> Result<(), Problem> {
    if !(1..=GLOBS_MAX).contains(&topics.len()) {
        let message = format!(
            "it has {} topics, allowed are 1 to {GLOBS_MAX}",
            topics.len()
        );
        return Err(Invalid::new("topics", message).into());
    }
    for (index, topic) in topics.iter().enumerate() {
        let name = TopicName::parse(topic)
            .map_err(|error| Invalid::new(format!("topics[{index}]"), error.to_string()))?;
        if !grant.may(Right::Read, &name) {
            return Err(Problem::new(
                Code::Forbidden,
                format!("the key or token is not for the topic in topics[{index}]"),
            ));
        }
    }
    Ok(())
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::TooMany => Self::new(Code::LimitReached, error.to_string()),
            TicketError::Full => Self::unavailable(error.to_string()),
            TicketError::NoRandomness(_) => {
                tracing::error!(%error, "a ticket could not be made");
                Self::new(Code::Internal, "a ticket could not be made")
            }
        }
    }
}
