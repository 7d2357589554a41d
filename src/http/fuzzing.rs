//! The door to what HTTP reads of a request by itself, in builds for fuzzing alone.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::IntoResponse;

use super::problem::Problem;
use super::read::Query;
use super::{body, websocket};
use crate::model::{After, NewEntry, TopicName};

/// What is made of the fields of an opening handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// `Sec-WebSocket-Accept`.
    pub accept: HeaderValue,
    /// Whether our subprotocol is among those offered.
    pub speaks_ours: bool,
    /// Whether an offer of compression can be taken.
    pub deflates: bool,
}

/// Reads the fields of an opening handshake.
///
/// # Errors
/// Why it is none.
pub fn handshake(headers: &HeaderMap) -> Result<Handshake, &'static str> {
    Ok(Handshake {
        accept: websocket::handshake_key(headers)?,
        speaks_ours: websocket::offers_subprotocol(headers),
        deflates: websocket::offers_deflate(headers),
    })
}

/// The subscription in the query of a handshake.
///
/// # Errors
/// The status of the answer.
pub fn first_subscribe(query: Option<&str>) -> Result<Option<(TopicName, After)>, u16> {
    websocket::first_subscribe(&Query::parse(query)).map_err(status)
}

/// The entry in the body of a publish, checked.
///
/// # Errors
/// The status of the answer.
pub fn new_entry(bytes: &[u8]) -> Result<NewEntry, u16> {
    let entry: NewEntry = body::parse(bytes).map_err(status)?;
    entry.validate().map_err(|invalid| status(invalid.into()))?;
    Ok(entry)
}

fn status(problem: Problem) -> u16 {
    problem.into_response().status().as_u16()
}
