//! What keeps the log: the contract that every store fulfils, and the values that cross it.
//!
//! The store stands between the broker, which decides what a change is, and the disk. It gives offsets, keeps
//! order and remembers idempotency keys. It does not know that readers exist, what HTTP is, or how a body is rendered.
//!
//! # The contract
//! * **Atomicity.** The steps of one [`Append`], their idempotency row, entry rows, tombstones and audit rows are kept
//!   together or not at all.
//! * **Durability.** [`Receipt::wait`] answers `Ok` only when the append survives `kill -9` and power loss (as far as the
//!   medium keeps its word on fsync). `NotStored` means that nothing was kept; `OutcomeUnknown` means that it may be.
//! * **Order.** Offsets of a topic are dense: 1, 2, 3 … in the order in which appends were committed. The feed gives
//!   every committed change once, in that order, and only after the commit.
//! * **Idempotency.** An append whose key was used before with the same request gives the first answer and stores
//!   nothing; with another request it is `KeyReused`. Keys are kept for the life of the topic, also where the append
//!   changed nothing ([`Step::Keep`]).
//! * **Retraction.** Once a retract is committed, no read returns the body: every earlier change of the entry reads as
//!   `entry.redacted`. After [`Store::compact`] the bytes are gone from the medium as well.
//! * **Cancel safety.** [`Store::append`] queues at once; dropping the receipt gives up the answer, not the append.
//! * **Failure.** When a commit fails in a way that leaves the outcome open, the store takes no more appends
//!   (`Failed`) and says so in [`Store::failed`]. It never retries an fsync.

pub mod memory;
pub mod sqlite;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::model::{ChangeKind, EntryId, Epoch, Offset, TopicName};

/// What keeps the log. All reads block: call them off the async threads.
pub trait Store: Send + Sync + 'static {
    /// Queues an append; [`Receipt::wait`] tells how it ended.
    fn append(&self, append: Append) -> Receipt;

    /// The changes behind `after`, oldest first: at most `limit` of them and about `bytes_max` bytes of JSON, but
    /// always one where there is one.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] rather than an altered change.
    fn read(
        &self,
        topic: &TopicName,
        after: Offset,
        limit: ReadLimit,
    ) -> Result<Vec<StoredChange>, ReadError>;

    /// The topic with its head, or none.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError>;

    /// Topics in the order of their names, behind `after`.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError>;

    /// Public topics that have a change, the one with the newest change first.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError>;

    /// One entry: released, retracted or held.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError>;

    /// A snapshot page: entries by their first offset, newest first, and the head it is true at, read as one.
    /// None where there is no such topic.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError>;

    /// The held (embargoed) entries of `topic`, or of all topics, the next to be released first.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError>;

    /// What an idempotency key was answered with.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError>;

    /// The audit trail of a topic, newest first.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError>;

    /// The feed of committed changes, in order, from the moment the store was opened. It can be taken once; it is
    /// bounded, and appends wait while nobody reads it.
    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>>;

    /// Makes retracted bytes disappear from the medium. Returns whether it could do so now (a long read may be in the way).
    /// Appends wait meanwhile, for as long as it takes to write everything anew.
    ///
    /// # Errors
    /// When the medium can't be written.
    fn compact(&self) -> Result<bool, ReadError>;

    /// Writes a consistent copy of everything to `target`, while appends go on.
    ///
    /// # Errors
    /// When the copy can't be written.
    fn backup(&self, target: &Path) -> Result<(), ReadError>;

    /// Whether the medium can be written: none, or why not.
    fn failed(&self) -> Option<String>;
}

/// Steps to be stored together, in one topic.
#[derive(Debug, Clone)]
pub struct Append {
    /// The topic.
    pub topic: TopicName,
    /// Makes the topic where there is none, with this document; without it a missing topic is an error.
    pub create: Option<NewTopic>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What makes a repetition recognisable.
    pub idempotency: Option<Idempotency>,
    /// Who: the id of a key, or `release` for the embargo clock.
    pub actor: Arc<str>,
}

/// A topic document as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// JSON of the topic as readers get it ([`crate::model::Topic`]).
    pub doc: String,
    /// JSON of what the desk wrote ([`crate::model::TopicFields`]).
    pub raw: String,
    /// Whether it is private.
    pub private: bool,
    /// Numbering to begin with.
    pub epoch: Epoch,
}

/// One step. JSON in it is complete but for the offset; the store does not look into it.
#[derive(Debug, Clone)]
pub enum Step {
    /// A new entry. Refused when the id is in use or the topic has ended.
    Publish(EntryWrite),
    /// A new entry under embargo: kept, without an offset.
    Hold(EntryWrite, Timestamp),
    /// A new revision of a released entry, when its revision is `expect`.
    Revise(EntryWrite, u64),
    /// A new revision of a held entry, when its revision is `expect`.
    ReviseHeld(EntryWrite, u64, Timestamp),
    /// Gives a held entry its offset. An entry that is no longer held is [`Refused::NoEntry`].
    Release(EntryId),
    /// Takes a released entry back, when its revision is `expect` (where given), leaving a tombstone.
    Retract {
        /// Which entry.
        id: EntryId,
        /// Why.
        reason: Option<String>,
        /// The revision it has to have.
        expect: Option<u64>,
    },
    /// Drops a held entry as if it had never been.
    DropHeld {
        /// Which entry.
        id: EntryId,
        /// The revision it has to have.
        expect: Option<u64>,
    },
    /// Replaces the topic document, when its revision is `expect`; 0 is for a topic that this append creates.
    Topic {
        /// The revision it has to have.
        expect: u64,
        /// JSON of the new document.
        doc: String,
        /// JSON of what the desk wrote.
        raw: String,
        /// Whether the topic has ended.
        ended: bool,
        /// Whether it is private.
        private: bool,
    },
    /// Leaves an entry or its tombstone, or without one the topic document, as it is, when its revision is `expect`.
    /// It is there so that the answer is remembered; it makes no change and no audit row.
    Keep {
        /// Which entry; none for the topic document.
        entry: Option<EntryId>,
        /// The revision it has to have.
        expect: u64,
    },
}

/// The content of one revision of an entry.
#[derive(Debug, Clone)]
pub struct EntryWrite {
    /// Its id.
    pub id: EntryId,
    /// Its revision: 1 for a new one.
    pub revision: u64,
    /// JSON of the entry as readers get it ([`crate::model::Entry`]).
    pub doc: String,
    /// JSON of the body as written.
    pub raw: String,
    /// Whether it is a key event.
    pub key_event: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Where the publisher chose the id: SHA-256 over what it sent. Publishing the id again with the same content gives the
    /// first answer for this step and stores nothing; with other content it is [`Refused::EntryExists`].
    pub request: Option<[u8; 32]>,
}

/// An idempotency key with the fingerprint of the request that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key, unique in its topic.
    pub key: String,
    /// SHA-256 over the request.
    pub request: [u8; 32],
}

/// How an append ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The numbering.
    pub epoch: Epoch,
    /// One for each step.
    pub steps: Vec<StepDone>,
    /// Whether all of it is the answer to an earlier append, and nothing was stored.
    pub replayed: bool,
    /// Indices of the steps that are the answer to an earlier publish of the same entry: for them nothing was stored.
    pub earlier: Vec<usize>,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDone {
    /// The entry, where the step was about one.
    pub entry: Option<EntryId>,
    /// The offset of the change; none for what is held. Of what was left as it is: the entry's last change, or the
    /// topic's head.
    pub offset: Option<Offset>,
    /// JSON of the topic document, where the step left that as it is.
    pub doc: Option<Arc<str>>,
}

/// What a key was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 over the request.
    pub request: [u8; 32],
    /// The answer.
    pub steps: Vec<StepDone>,
    /// The numbering.
    pub epoch: Epoch,
}

/// Why an append did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was stored.
    #[error("not stored: {0}")]
    NotStored(Refused),
    /// It may be stored or not; looking tells.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
}

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such topic, and the append may not make it.
    #[error("no such topic")]
    NoTopic,
    /// The store holds as many topics as it may.
    #[error("the limit of {0} topics is reached")]
    TooManyTopics(usize),
    /// The topic has ended.
    #[error("the topic has ended")]
    TopicEnded,
    /// The topic has as many changes as its numbering allows.
    #[error("the topic has {0} changes, which is its limit")]
    TopicFull(Offset),
    /// An entry has that id already.
    #[error("entry {0} exists")]
    EntryExists(EntryId),
    /// There is no such entry.
    #[error("no entry {0}")]
    NoEntry(EntryId),
    /// The entry was retracted.
    #[error("entry {0} was retracted")]
    EntryRetracted(EntryId),
    /// The revision is another by now.
    #[error("the revision is {current} by now")]
    Stale {
        /// The revision it has.
        current: u64,
    },
    /// The key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The queue of appends is full; try again.
    #[error("the store has {0} appends waiting, which is its limit")]
    Busy(usize),
    /// The medium is full.
    #[error("the disk is full")]
    Full,
    /// The store has failed and takes no more appends.
    #[error("the store has failed: {0}")]
    Failed(String),
}

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

/// The promise of an answer to an append.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Appended, AppendError>>);

impl Receipt {
    /// A receipt and where its answer goes.
    pub fn channel() -> (oneshot::Sender<Result<Appended, AppendError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// A receipt whose answer is there already.
    pub fn refused(refused: Refused) -> Self {
        let (sender, receipt) = Self::channel();
        // The receiver lives, so this can't fail.
        let _ = sender.send(Err(AppendError::NotStored(refused)));
        receipt
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`AppendError`]; a store that went away without a word is `OutcomeUnknown`.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the answer, not the append.
    pub async fn wait(self) -> Result<Appended, AppendError> {
        self.0
            .await
            .unwrap_or_else(|_| Err(AppendError::OutcomeUnknown("the store stopped".into())))
    }

    /// [`Receipt::wait`] for a thread that may block.
    ///
    /// # Errors
    /// As [`Receipt::wait`].
    pub fn wait_blocking(self) -> Result<Appended, AppendError> {
        self.0
            .blocking_recv()
            .unwrap_or_else(|_| Err(AppendError::OutcomeUnknown("the store stopped".into())))
    }
}

impl EntryWrite {
    /// What makes a repetition of this publish recognisable, where the publisher chose the id.
    pub fn idempotency(&self) -> Option<Idempotency> {
        self.request.map(|request| Idempotency {
            key: entry_key(&self.id),
            request,
        })
    }
}

/// The idempotency key that stands for an id of the publisher's own.
pub fn entry_key(id: &EntryId) -> String {
    format!("id:{id}")
}

impl Step {
    /// What makes a repetition of this step recognisable.
    pub fn idempotency(&self) -> Option<Idempotency> {
        match self {
            Self::Publish(write) | Self::Hold(write, _) => write.idempotency(),
            _ => None,
        }
    }

    /// The name of the step in the audit trail.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish",
            Self::Hold(..) => "hold",
            Self::Revise(..) => "revise",
            Self::ReviseHeld(..) => "revise_held",
            Self::Release(_) => "release",
            Self::Retract { .. } => "retract",
            Self::DropHeld { .. } => "drop_held",
            Self::Topic { .. } => "topic",
            Self::Keep { .. } => "keep",
        }
    }

    /// The entry that the step is about.
    pub fn entry(&self) -> Option<&EntryId> {
        match self {
            Self::Publish(write)
            | Self::Hold(write, _)
            | Self::Revise(write, _)
            | Self::ReviseHeld(write, ..) => Some(&write.id),
            Self::Release(id) | Self::Retract { id, .. } | Self::DropHeld { id, .. } => Some(id),
            Self::Keep { entry, .. } => entry.as_ref(),
            Self::Topic { .. } => None,
        }
    }
}

/// Bounds of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Most topics.
    pub topics_max: usize,
    /// Most appends that wait for the writer; one more is [`Refused::Busy`].
    pub queue_max: usize,
    /// Most committed batches that wait for the broker; the writer waits with the next one.
    pub feed_batches_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            topics_max: 10_000,
            queue_max: 1_024,
            feed_batches_max: 1_024,
        }
    }
}
