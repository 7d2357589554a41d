//! Server-sent events (WHATWG HTML, section 9.2): `id:` the position, `event:` the kind, `data:` the change.
//!
//! JSON has no raw line break in it, and ids and kinds are words of ours, so no field can be injected.

use std::time::Duration;

use bytes::Bytes;

use super::ops;
use crate::model::{ChangeKind, Offset, Position, TopicName};

/// The event of a change.
pub fn sse_change(position: &Position, kind: ChangeKind, json: &str) -> Bytes {
    let kind = kind.as_str();
    Bytes::from(format!("id: {position}\nevent: {kind}\ndata: {json}\n\n"))
}

/// What a stream begins with: how soon to reconnect, and the position to do it from.
pub fn sse_start(position: &Position, retry: Duration, head: Offset) -> Bytes {
    let retry_ms = retry.as_millis();
    // An id without data sets the last event id and fires nothing.
    Bytes::from(format!(
        "retry: {retry_ms}\n: head {head}\nid: {position}\n\n"
    ))
}

/// The event that asks for a fresh snapshot.
pub fn sse_reset(topic: &TopicName, position: &Position, reason: &str) -> Bytes {
    let json = format!(r#"{{"topic":"{topic}","position":"{position}","reason":"{reason}"}}"#);
    Bytes::from(format!("id: {position}\nevent: reset\ndata: {json}\n\n"))
}

/// The event of a changed number of readers; it has no id, since it is no change.
pub fn sse_presence(topic: &TopicName, readers: u64) -> Bytes {
    let json = ops::presence(topic, readers);
    Bytes::from(format!("event: presence\ndata: {json}\n\n"))
}
