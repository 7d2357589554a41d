//! The rule between what the desk sends and what readers get: renders bodies, sets times, applies merge patches. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::content;
use crate::model::limits::BODY_HTML_BYTES_MAX;
use crate::model::{
    Body, Entry, EntryId, Epoch, Invalid, NewEntry, Topic, TopicFields, TopicName, Visibility,
};
use crate::store::{EntryWrite, NewTopic};

/// Times and numbers of a revision.
pub(super) struct Stamp {
    pub id: EntryId,
    pub revision: u64,
    pub created_at: Timestamp,
    pub now: Timestamp,
}

/// An id that sorts by time (ULID), for an entry that came without one.
pub(super) fn new_id(now: Timestamp) -> EntryId {
    let ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let text = ulid::Ulid::from_parts(ms, random_u128()).to_string();
    EntryId::parse(&text).unwrap_or_else(|_| unreachable!("a ULID is letters and digits"))
}

/// A fresh numbering.
pub(super) fn new_epoch() -> Epoch {
    Epoch::from_seed(u64::try_from(random_u128() >> 64).unwrap_or(0))
}

fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Without randomness an id could repeat: rather refuse the append by its EntryExists than guess.
        tracing::error!(%error, "the system gives no random bytes");
    }
    u128::from_be_bytes(bytes)
}

/// The entry that readers get for this input.
pub(super) fn entry(new: &NewEntry, stamp: Stamp) -> Result<Entry, Invalid> {
    let body_html = new.body.as_ref().map(content::render).unwrap_or_default();
    if body_html.len() > BODY_HTML_BYTES_MAX {
        return Err(Invalid::new(
            "body",
            format!(
                "has {} bytes once rendered, the limit is {BODY_HTML_BYTES_MAX}",
                body_html.len()
            ),
        ));
    }
    Ok(Entry {
        id: stamp.id,
        revision: stamp.revision,
        headline: new.headline.clone(),
        body_html,
        authors: new.authors.clone(),
        sources: new.sources.clone(),
        related_links: new.related_links.clone(),
        tags: new.tags.clone(),
        key_event: new.key_event,
        pinned: new.pinned,
        verification: new.verification,
        correction: new.correction.clone(),
        published_at: new
            .published_at
            .or(new.released_at)
            .unwrap_or(stamp.created_at),
        released_at: new.released_at,
        created_at: stamp.created_at,
        updated_at: stamp.now,
    })
}

/// What a publisher would send to get this entry: what a merge patch is applied to.
pub(super) fn input(entry: &Entry, raw: &str) -> NewEntry {
    NewEntry {
        id: Some(entry.id.clone()),
        headline: entry.headline.clone(),
        // The store keeps what we wrote; null stands for an entry without a body.
        body: serde_json::from_str::<Option<Body>>(raw).unwrap_or_default(),
        authors: entry.authors.clone(),
        sources: entry.sources.clone(),
        related_links: entry.related_links.clone(),
        tags: entry.tags.clone(),
        key_event: entry.key_event,
        pinned: entry.pinned,
        verification: entry.verification,
        correction: entry.correction.clone(),
        // Under an embargo the time to show is by default that of the release, and moves with it.
        published_at: Some(entry.published_at).filter(|at| Some(*at) != entry.released_at),
        released_at: entry.released_at,
    }
}

/// The row that the store keeps for an entry.
pub(super) fn write(entry: &Entry, body: Option<&Body>, request: Option<[u8; 32]>) -> EntryWrite {
    EntryWrite {
        id: entry.id.clone(),
        revision: entry.revision,
        doc: json(entry),
        raw: json(&body),
        key_event: entry.key_event,
        pinned: entry.pinned,
        request,
    }
}

/// A topic as the first publish makes it.
pub(super) fn bare_topic(name: &TopicName, now: Timestamp) -> NewTopic {
    new_topic(&Topic::new(name.clone(), now), &TopicFields::default())
}

pub(super) fn new_topic(doc: &Topic, fields: &TopicFields) -> NewTopic {
    NewTopic {
        doc: json(doc),
        raw: json(fields),
        private: doc.visibility == Visibility::Private,
        epoch: new_epoch(),
    }
}

/// Lays the desk's fields over a topic.
pub(super) fn apply_fields(topic: &mut Topic, fields: &TopicFields) {
    let summary_html = fields.summary.as_ref().map(|body| content::render(&body.0));
    topic.title.clone_from(&fields.title);
    topic.summary = summary_html.as_deref().map(content::text);
    topic.summary_html = summary_html;
    topic.language.clone_from(&fields.language);
    topic.key_points.clone_from(&fields.key_points);
    topic.visibility = fields.visibility;
    topic.predecessor.clone_from(&fields.predecessor);
}

/// Applies a JSON merge patch (RFC 7396) and reads the result.
///
/// # Errors
/// [`Invalid`] naming the field that does not fit.
pub(super) fn patched<T: Serialize + DeserializeOwned>(
    current: &T,
    patch: &Value,
) -> Result<T, Invalid> {
    if !patch.is_object() {
        return Err(Invalid::new("", "a merge patch is a JSON object"));
    }
    let mut value =
        serde_json::to_value(current).map_err(|error| Invalid::new("", error.to_string()))?;
    json_patch::merge(&mut value, patch);
    parse(value)
}

/// Reads a JSON value, naming the field in the error.
pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        Invalid::new(field, error.into_inner().to_string())
    })
}

/// Fingerprint of a request: what was asked, of what, with which content.
pub(super) fn fingerprint(operation: &str, target: &str, request: &impl Serialize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [operation, target, &json(request)] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// JSON of a value of the model.
pub(super) fn json(value: &impl Serialize) -> String {
    // Maps with string keys and no fallible Serialize: this can't fail.
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}
