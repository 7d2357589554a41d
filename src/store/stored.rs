//! What comes out of a store: changes, topics, entries and audit rows as they are kept.

use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::Timestamp;

use super::NUMBERED_MAX;
use crate::model::{ChangeKind, EntryId, Epoch, Offset, TopicName};

/// Why a read did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What is kept is not what was written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// The medium can't be read or written.
    #[error("{0}")]
    Medium(String),
}

/// Bounds of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimit {
    /// At most this many changes.
    pub changes_max: usize,
    /// At most about this many bytes of JSON.
    pub bytes_max: usize,
}

/// A change as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// Its number.
    pub offset: Offset,
    /// What it did.
    pub kind: ChangeKind,
    /// The entry it is about.
    pub entry: Option<EntryId>,
    /// Its JSON: see [`crate::model::encode_change`].
    pub json: Arc<str>,
}

/// A change that was committed, for the feed.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its topic.
    pub topic: TopicName,
    /// The numbering.
    pub epoch: Epoch,
    /// The change.
    pub change: StoredChange,
}

/// A topic as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTopic {
    /// Its name.
    pub name: TopicName,
    /// The numbering.
    pub epoch: Epoch,
    /// The newest offset; 0 where there is none.
    pub head: Offset,
    /// Revision of the document.
    pub revision: u64,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether it is private.
    pub private: bool,
    /// JSON of the document.
    pub doc: String,
    /// JSON of what the desk wrote.
    pub raw: String,
}

/// An entry as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its id.
    pub id: EntryId,
    /// Its revision.
    pub revision: u64,
    /// Where it stands.
    pub state: EntryState,
    /// JSON of the body as written; empty for a tombstone.
    pub raw: String,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryState {
    /// Readers have it.
    Released {
        /// Offset of its publication: its place in snapshots.
        first: Offset,
        /// Offset of its last change.
        last: Offset,
        /// JSON of its last change.
        change: Arc<str>,
    },
    /// It was taken back.
    Retracted {
        /// Offset of its publication.
        first: Offset,
        /// Offset of the retraction.
        last: Offset,
        /// JSON of the retraction.
        change: Arc<str>,
    },
    /// It is under embargo.
    Held {
        /// Until when.
        released_at: Timestamp,
        /// JSON of the entry.
        doc: String,
    },
}

/// An entry under embargo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    /// Its topic.
    pub topic: TopicName,
    /// Its id.
    pub id: EntryId,
    /// Its revision.
    pub revision: u64,
    /// Until when.
    pub released_at: Timestamp,
    /// JSON of the entry.
    pub doc: String,
}

/// Which entries a snapshot page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryQuery {
    /// Only entries whose first offset is below this one.
    pub before: Option<Offset>,
    /// At most this many.
    pub limit: usize,
    /// Which of them.
    pub filter: EntryFilter,
}

/// Which entries to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryFilter {
    /// All, tombstones in their places.
    #[default]
    All,
    /// Key events that stand.
    KeyEvents,
    /// Pinned entries that stand.
    Pinned,
}

/// A snapshot page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPage {
    /// The topic, with the head at which the page is true.
    pub topic: StoredTopic,
    /// The entries, newest first.
    pub entries: Vec<StoredEntry>,
    /// Whether older ones follow.
    pub more: bool,
}

/// What there is to choose from, for whoever picks entries by their numbers.
///
/// Entries are counted from the oldest one, which is 1. Nothing is ever removed (a tombstone keeps its number), so the
/// number of an entry is the same for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    /// How many entries there are, tombstones too; those under embargo are not counted.
    pub count: u64,
    /// The number of the entry that was asked about; none where readers have no such entry.
    pub around: Option<u64>,
    /// Whether the topic has ended.
    pub ended: bool,
}

impl Shelf {
    /// The part of a wanted range that there is, and that one page may have: its first number, and how many.
    pub(super) fn clamp(&self, wanted: &RangeInclusive<u64>) -> (u64, u64) {
        let first = (*wanted.start()).max(1);
        let last = (*wanted.end()).min(self.count);
        let length = (last + 1).saturating_sub(first).min(NUMBERED_MAX);
        (first, length)
    }
}

/// Entries by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedPage {
    /// The topic, with the head at which the page is true.
    pub topic: StoredTopic,
    /// What there was to choose from.
    pub shelf: Shelf,
    /// The number of the last one in `entries`; where there are none, the one that was asked for.
    pub first: u64,
    /// The entries, newest first.
    pub entries: Vec<StoredEntry>,
}

/// One line of the audit trail. It never has a body in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who: the id of a key.
    pub actor: String,
    /// What: the name of the step.
    pub action: String,
    /// Which entry.
    pub entry: Option<EntryId>,
    /// Which change.
    pub offset: Option<Offset>,
}
