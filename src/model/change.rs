//! One stored step of a topic, and its JSON: the bytes that the log keeps and every transport carries.
//!
//! A change is encoded once, by the store at the moment its offset is given. The shape is
//! `{"topic":T,"offset":N,"at":"…","kind":K,…}`; a WebSocket frame puts `"op":"change"` in front, SSE and the
//! changes page carry it as it is. It is whole state, so applying a change twice does no harm.

use jiff::Timestamp;

use super::{EntryId, Offset, TopicName};

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A new entry.
    EntryPublished,
    /// A revision of an entry.
    EntryRevised,
    /// An entry was taken back.
    EntryRetracted,
    /// Stands in replays for a change whose body has since been retracted.
    EntryRedacted,
    /// The topic itself: title, summary, status, successor …
    TopicUpdated,
}

/// What stands behind the head of a change. JSON in it is already encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeBody<'a> {
    /// `"entry":{…}` of a published entry.
    Published(&'a str),
    /// `"entry":{…}` of a revised entry.
    Revised(&'a str),
    /// `"id":…,"reason":…` of a retraction.
    Retracted(&'a EntryId, Option<&'a str>),
    /// `"id":…` in the place of a body that was retracted.
    Redacted(&'a EntryId),
    /// `"state":{…}`, the whole topic.
    Topic(&'a str),
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::EntryPublished,
        Self::EntryRevised,
        Self::EntryRetracted,
        Self::EntryRedacted,
        Self::TopicUpdated,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EntryPublished => "entry.published",
            Self::EntryRevised => "entry.revised",
            Self::EntryRetracted => "entry.retracted",
            Self::EntryRedacted => "entry.redacted",
            Self::TopicUpdated => "topic.updated",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl ChangeBody<'_> {
    /// Which kind of change this is.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Published(_) => ChangeKind::EntryPublished,
            Self::Revised(_) => ChangeKind::EntryRevised,
            Self::Retracted(..) => ChangeKind::EntryRetracted,
            Self::Redacted(_) => ChangeKind::EntryRedacted,
            Self::Topic(_) => ChangeKind::TopicUpdated,
        }
    }
}

/// The JSON of a change. Equal arguments give equal bytes.
pub fn encode_change(
    topic: &TopicName,
    offset: Offset,
    at: Timestamp,
    body: &ChangeBody<'_>,
) -> String {
    use std::fmt::Write;
    let mut json = String::with_capacity(160 + body_len(body));
    // Names and ids have no character that JSON escapes, by their rules.
    let kind = body.kind().as_str();
    let _ = write!(
        json,
        r#"{{"topic":"{topic}","offset":{offset},"at":"{at:.3}","kind":"{kind}","#
    );
    let _ = match body {
        ChangeBody::Published(entry) | ChangeBody::Revised(entry) => {
            write!(json, r#""entry":{entry}}}"#)
        }
        ChangeBody::Redacted(id) | ChangeBody::Retracted(id, None) => {
            write!(json, r#""id":"{id}"}}"#)
        }
        ChangeBody::Retracted(id, Some(reason)) => {
            let reason = serde_json::Value::from(*reason);
            write!(json, r#""id":"{id}","reason":{reason}}}"#)
        }
        ChangeBody::Topic(state) => write!(json, r#""state":{state}}}"#),
    };
    json
}

/// The JSON that takes the place of a change whose body was retracted.
pub fn encode_redacted(topic: &TopicName, offset: Offset, at: Timestamp, id: &EntryId) -> String {
    encode_change(topic, offset, at, &ChangeBody::Redacted(id))
}

/// Whether the JSON is that of such a change, by its beginning: where what is kept beside it says something else, one of
/// them was altered.
pub fn is_change_of(
    json: &str,
    topic: &TopicName,
    offset: Offset,
    kind: ChangeKind,
    entry: Option<&EntryId>,
) -> bool {
    let behind_offset = json
        .strip_prefix(r#"{"topic":""#)
        .and_then(|rest| rest.strip_prefix(topic.as_str()))
        .and_then(|rest| rest.strip_prefix(r#"","offset":"#))
        .and_then(|rest| rest.split_once(','))
        .filter(|(digits, _)| digits.parse() == Ok(offset));
    let behind_kind = behind_offset
        .and_then(|(_, rest)| rest.split_once(r#","kind":""#))
        .and_then(|(_, rest)| rest.strip_prefix(kind.as_str()))
        .and_then(|rest| rest.strip_prefix("\","));
    let Some(body) = behind_kind else {
        return false;
    };
    let is_id = |rest: &str| {
        let id = rest.split_once('"').map(|(id, _)| id);
        id.is_some() && id == entry.map(EntryId::as_str)
    };
    match kind {
        // A document begins with its id, where it is one of the broker's; the store takes others too.
        ChangeKind::EntryPublished | ChangeKind::EntryRevised => body
            .strip_prefix(r#""entry":"#)
            .is_some_and(|document| document.strip_prefix(r#"{"id":""#).is_none_or(is_id)),
        ChangeKind::EntryRetracted | ChangeKind::EntryRedacted => {
            body.strip_prefix(r#""id":""#).is_some_and(is_id)
        }
        ChangeKind::TopicUpdated => entry.is_none() && body.starts_with(r#""state":"#),
    }
}

fn body_len(body: &ChangeBody<'_>) -> usize {
    match body {
        ChangeBody::Published(json) | ChangeBody::Revised(json) | ChangeBody::Topic(json) => {
            json.len()
        }
        ChangeBody::Retracted(id, reason) => id.as_str().len() + reason.map_or(0, str::len),
        ChangeBody::Redacted(id) => id.as_str().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_one_json_object_with_the_documented_keys() {
        let topic = TopicName::parse("t").expect("name");
        let id = EntryId::parse("e1").expect("id");
        let at: Timestamp = "2026-11-24T09:00:00Z".parse().expect("time");
        let json = |body: &ChangeBody<'_>| encode_change(&topic, 7, at, body);
        assert_eq!(
            json(&ChangeBody::Published("{}")),
            r#"{"topic":"t","offset":7,"at":"2026-11-24T09:00:00.000Z","kind":"entry.published","entry":{}}"#
        );
        assert_eq!(
            json(&ChangeBody::Retracted(&id, Some("a \"b\""))),
            r#"{"topic":"t","offset":7,"at":"2026-11-24T09:00:00.000Z","kind":"entry.retracted","id":"e1","reason":"a \"b\""}"#
        );
        assert_eq!(
            encode_redacted(&topic, 7, at, &id),
            r#"{"topic":"t","offset":7,"at":"2026-11-24T09:00:00.000Z","kind":"entry.redacted","id":"e1"}"#
        );
        assert!(json(&ChangeBody::Topic("{}")).ends_with(r#""kind":"topic.updated","state":{}}"#));
    }

    #[test]
    fn kinds_round_trip_by_name() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::from_name(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn what_stands_beside_a_change_has_to_say_the_same() {
        let topic = TopicName::parse("t").expect("name");
        let (id, other) = (
            EntryId::parse("e1").expect("id"),
            EntryId::parse("e").expect("id"),
        );
        let at: Timestamp = "2026-11-24T09:00:00Z".parse().expect("time");
        let entry = r#"{"id":"e1","revision":1}"#;
        for (body, about) in [
            (ChangeBody::Published(entry), Some(&id)),
            (ChangeBody::Revised(entry), Some(&id)),
            (ChangeBody::Retracted(&id, None), Some(&id)),
            (ChangeBody::Retracted(&id, Some("kind")), Some(&id)),
            (ChangeBody::Redacted(&id), Some(&id)),
            (ChangeBody::Topic("{}"), None),
        ] {
            let json = encode_change(&topic, 7, at, &body);
            let fits = |topic: &TopicName, offset, kind, entry| {
                is_change_of(&json, topic, offset, kind, entry)
            };
            assert!(fits(&topic, 7, body.kind(), about), "{json}");
            assert!(!fits(&topic, 70, body.kind(), about), "{json}");
            let elsewhere = TopicName::parse("t2").expect("name");
            assert!(!fits(&elsewhere, 7, body.kind(), about), "{json}");
            assert!(!fits(&topic, 7, body.kind(), Some(&other)), "{json}");
            for kind in ChangeKind::ALL {
                assert_eq!(fits(&topic, 7, kind, about), kind == body.kind(), "{json}");
            }
        }
    }
}
