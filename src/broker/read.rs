//! Reading: entries and snapshots as answers, and the one way to get what is behind a cursor.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Broker, Channel, Frame, ResetReason, Start, Walk, resolve};
use crate::content;
use crate::model::{After, Entry, EntryId, Epoch, Offset, Tombstone, TopicName};
use crate::store::{
    AuditRecord, EntryQuery, EntryState, HeldEntry, ReadError, ReadLimit, Refused, StoredEntry,
    StoredTopic,
};

use super::WriteError;

/// A snapshot page.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The topic, with the head that the page is true at.
    pub topic: StoredTopic,
    /// The entries, newest first.
    pub entries: Vec<EntryAnswer>,
    /// The offset to ask for older ones with: `before`.
    pub before: Option<Offset>,
}

/// An entry or its tombstone, as HTTP answers it.
#[derive(Debug, Clone)]
pub struct EntryAnswer {
    /// The revision; counts on with the retraction.
    pub revision: u64,
    /// What there is.
    pub what: Answer,
}

/// What stands under an id.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An entry that readers have: its JSON without `body_text`.
    Entry(String),
    /// A retracted one.
    Tombstone(Tombstone),
    /// One under embargo: its JSON without `body_text`. For the desk only.
    Held(String),
}

/// Changes behind a cursor.
pub type Changes = Vec<Arc<Frame>>;

impl EntryAnswer {
    /// JSON for an HTTP answer: an entry has `body_text` in it.
    pub fn json_with_text(&self) -> String {
        match &self.what {
            Answer::Entry(json) | Answer::Held(json) => {
                #[derive(Deserialize)]
                struct Html {
                    #[serde(default)]
                    body_html: String,
                }
                let html = serde_json::from_str::<Html>(json).map(|html| html.body_html);
                entry_with_text(json, &html.unwrap_or_default())
            }
            Answer::Tombstone(tombstone) => super::document::json(tombstone),
        }
    }
}

impl Broker {
    /// Where a subscriber that asks for `after` starts.
    ///
    /// An answer out of the store can name a position that the feed has not brought to the channel yet. Such a reader
    /// is not ahead of the server, so the store is asked before it is told so.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn start(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        after: &After,
    ) -> Result<Start, ReadError> {
        let start = resolve(after, channel.epoch(), channel.head());
        let is_past = start == Start::Reset(ResetReason::PastHead);
        let may_be_behind = is_past || matches!(start, Start::Reset(_)) && self.cluster().is_some();
        if !may_be_behind {
            return Ok(start);
        }
        // Another node can have given a position that this one does not know yet. While it is cut off it can't tell.
        if let Err(refused) = self.peers().refresh(channel.name()).await {
            return Err(ReadError::Medium(refused.to_string()));
        }
        if let Some(stored) = self.topic(channel.name()).await? {
            channel.catch_up(&stored);
        }
        Ok(resolve(after, channel.epoch(), channel.head()))
    }

    /// What is behind `cursor`: from the ring, or from the store where the ring is too short. Empty at the head.
    ///
    /// # Errors
    /// When the store can't be read; a hole in the log is an error, never skipped.
    pub async fn next(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        cursor: Offset,
        frames_max: usize,
        bytes_max: usize,
    ) -> Result<Changes, ReadError> {
        match channel.walk(cursor, frames_max, bytes_max) {
            Walk::AtHead => Ok(Vec::new()),
            Walk::Frames(frames) => Ok(frames),
            Walk::Store => {
                let page = self.page(channel, cursor).await?;
                let mut bytes = 0;
                let frames: Changes = page
                    .after(cursor)
                    .iter()
                    .take(frames_max)
                    .take_while(|frame| {
                        let first = bytes == 0;
                        bytes += frame.json().len();
                        first || bytes <= bytes_max
                    })
                    .cloned()
                    .collect();
                if frames.is_empty() {
                    return Err(ReadError::Corrupt(format!(
                        "topic {} has no change {} though its head is {}",
                        channel.name(),
                        cursor + 1,
                        channel.head()
                    )));
                }
                Ok(frames)
            }
        }
    }

    /// The topic with its head.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn topic(
        self: &Arc<Self>,
        topic: &TopicName,
    ) -> Result<Option<StoredTopic>, ReadError> {
        let topic = topic.clone();
        self.blocking(move |store| store.topic(&topic)).await
    }

    /// Topics by name, behind `after`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn topics(
        self: &Arc<Self>,
        after: Option<TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.blocking(move |store| store.topics(after.as_ref(), limit))
            .await
    }

    /// Public topics that have a change, the one with the newest change first.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn newest_topics(
        self: &Arc<Self>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.blocking(move |store| store.newest_topics(limit)).await
    }

    /// A snapshot page; none where there is no such topic.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn snapshot(
        self: &Arc<Self>,
        topic: &TopicName,
        query: EntryQuery,
    ) -> Result<Option<Snapshot>, ReadError> {
        let topic = topic.clone();
        let Some(page) = self
            .blocking(move |store| store.entries(&topic, &query))
            .await?
        else {
            return Ok(None);
        };
        let before = page
            .entries
            .last()
            .filter(|_| page.more)
            .and_then(first_offset);
        let entries = page
            .entries
            .iter()
            .map(entry_answer)
            .collect::<Result<_, _>>()?;
        Ok(Some(Snapshot {
            topic: page.topic,
            entries,
            before,
        }))
    }

    /// One entry, its tombstone, or a held one (which only the desk may see).
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn entry(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
    ) -> Result<Option<EntryAnswer>, ReadError> {
        let (topic, id) = (topic.clone(), id.clone());
        let stored = self.blocking(move |store| store.entry(&topic, &id)).await?;
        stored.as_ref().map(entry_answer).transpose()
    }

    /// The held entries of a topic, the next to be released first. For the desk only.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn held(
        self: &Arc<Self>,
        topic: &TopicName,
        limit: usize,
    ) -> Result<Vec<HeldEntry>, ReadError> {
        let topic = topic.clone();
        self.blocking(move |store| store.held(Some(&topic), limit))
            .await
    }

    /// The audit trail of a topic, newest first. For the desk only.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn audit(
        self: &Arc<Self>,
        topic: &TopicName,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, ReadError> {
        let topic = topic.clone();
        self.blocking(move |store| store.audit(&topic, limit)).await
    }

    pub(super) async fn stored_entry(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
    ) -> Result<StoredEntry, WriteError> {
        let (name, wanted) = (topic.clone(), id.clone());
        let found = self
            .blocking(move |store| match store.entry(&name, &wanted)? {
                Some(entry) => Ok(Ok(entry)),
                None if store.topic(&name)?.is_none() => Ok(Err(Refused::NoTopic)),
                None => Ok(Err(Refused::NoEntry(wanted))),
            })
            .await?;
        Ok(found?)
    }

    pub(super) async fn epoch(self: &Arc<Self>, topic: &TopicName) -> Result<Epoch, WriteError> {
        let stored = self.topic(topic).await?.ok_or(Refused::NoTopic)?;
        Ok(stored.epoch)
    }

    /// JSON of the entry, or its tombstone, whatever has become of it.
    ///
    /// # Errors
    /// When the store can't be read, or has no such entry.
    pub async fn entry_as_it_stands(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
    ) -> Result<String, WriteError> {
        Ok(entry_answer(&self.stored_entry(topic, id).await?)?.json_with_text())
    }

    /// JSON of the entry as the change at `offset` left it; of its tombstone where it was retracted since.
    pub(super) async fn entry_at(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
        offset: Offset,
    ) -> Result<String, WriteError> {
        let json = self.change_at(topic, offset).await?;
        match serde_json::from_str::<ChangeOf<&RawValue>>(&json) {
            Ok(change) => {
                let entry = EntryAnswer {
                    revision: 0,
                    what: Answer::Entry(change.entry.get().to_owned()),
                };
                Ok(entry.json_with_text())
            }
            Err(_) => self.entry_as_it_stands(topic, id).await,
        }
    }

    pub(super) async fn change_at(
        self: &Arc<Self>,
        topic: &TopicName,
        offset: Offset,
    ) -> Result<Arc<str>, WriteError> {
        let name = topic.clone();
        let limit = ReadLimit {
            changes_max: 1,
            bytes_max: usize::MAX,
        };
        let changes = self
            .blocking(move |store| store.read(&name, offset - 1, limit))
            .await?;
        let change = changes
            .first()
            .ok_or_else(|| ReadError::Corrupt(format!("topic {topic} has no change {offset}")))?;
        Ok(Arc::clone(&change.json))
    }
}

#[derive(Deserialize)]
struct ChangeOf<T> {
    entry: T,
}

/// The JSON of an entry with `body_text` beside `body_html`.
pub fn entry_with_text(entry: &str, body_html: &str) -> String {
    let text = super::document::json(&content::text(body_html));
    let open = entry.strip_suffix('}').unwrap_or(entry);
    format!(r#"{open},"body_text":{text}}}"#)
}

pub(super) fn entry_answer(stored: &StoredEntry) -> Result<EntryAnswer, ReadError> {
    let what = match &stored.state {
        EntryState::Released { change, .. } => {
            let change: ChangeOf<&RawValue> = parse_stored(change)?;
            Answer::Entry(change.entry.get().to_owned())
        }
        EntryState::Retracted { change, .. } => Answer::Tombstone(tombstone_of_change(change)?),
        EntryState::Held { doc, .. } => Answer::Held(doc.clone()),
    };
    Ok(EntryAnswer {
        revision: stored.revision,
        what,
    })
}

pub(super) fn entry_of_change(change: &str) -> Result<Entry, ReadError> {
    parse_stored::<ChangeOf<Entry>>(change).map(|change| change.entry)
}

pub(super) fn tombstone_of_change(change: &str) -> Result<Tombstone, ReadError> {
    #[derive(Deserialize)]
    struct Retraction {
        id: EntryId,
        reason: Option<String>,
        at: jiff::Timestamp,
    }
    let retraction: Retraction = parse_stored(change)?;
    Ok(Tombstone {
        id: retraction.id,
        retracted: true,
        reason: retraction.reason,
        retracted_at: retraction.at,
    })
}

pub(super) fn parse_stored<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ReadError> {
    serde_json::from_str(json).map_err(|error| ReadError::Corrupt(error.to_string()))
}

/// Reads what the store keeps as a value of its own.
pub(super) fn parse_owned<T: DeserializeOwned>(json: &str) -> Result<T, ReadError> {
    parse_stored(json)
}

pub(super) fn first_offset(entry: &StoredEntry) -> Option<Offset> {
    match &entry.state {
        EntryState::Released { first, .. } | EntryState::Retracted { first, .. } => Some(*first),
        EntryState::Held { .. } => None,
    }
}
