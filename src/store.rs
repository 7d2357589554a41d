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

mod append;
pub mod jetstream;
pub mod memory;
mod peers;
mod record;
pub mod sqlite;
mod stored;

use std::ops::RangeInclusive;
use std::path::Path;

use tokio::sync::mpsc;

pub use append::{
    Append, AppendError, Appended, EntryWrite, Idempotency, NewTopic, Receipt, Refused, Remembered,
    Step, StepDone, entry_key,
};
pub use peers::{Alone, ClusterState, NodeState, Peers};
pub use record::{RECORD_VERSION, Record, Rows, What};
pub use stored::{
    AuditRecord, Committed, EntryFilter, EntryPage, EntryQuery, EntryState, HeldEntry,
    NumberedPage, ReadError, ReadLimit, Shelf, StoredChange, StoredEntry, StoredTopic,
};

use crate::model::{EntryId, Offset, TopicName};

/// Whether a topic of this name is meant. Asked while the store is being read: it must not call the store.
pub type KeepName<'a> = dyn Fn(&TopicName) -> bool + 'a;

/// Which entries are wanted, by their numbers. Asked while the store is being read: it must not call the store.
pub type PickNumbers<'a> = dyn Fn(&Shelf) -> RangeInclusive<u64> + 'a;

/// Most entries of one [`NumberedPage`]: of a longer range the oldest are given.
pub const NUMBERED_MAX: u64 = 1_000;

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

    /// Topics whose name is kept, private ones and those without a change too: the one with the newest change first,
    /// those without any last.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError>;

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

    /// Entries by their numbers, tombstones in their places, and the head they are true at, read as one. `pick` says
    /// which, told how many there are and which number `around` has. None where there is no such topic.
    ///
    /// # Errors
    /// When the medium can't be read.
    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError>;

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
