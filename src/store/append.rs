//! What goes into a store: steps that are kept together, and the promise of an answer.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::model::{EntryId, Epoch, Offset, TopicName};

/// Steps to be stored together, in one topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The log that the nodes share can't be reached; try again, or another node.
    #[error("the shared log can't be reached: {0}")]
    CutOff(String),
    /// The log takes no record of this size.
    #[error("the record has {bytes} bytes, the shared log takes {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most.
        max: usize,
    },
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
    /// Whether the content was erased from a shared log, because the entry was retracted or dropped later.
    pub fn is_erased(&self) -> bool {
        self.doc.is_empty()
    }

    /// Takes the content out.
    pub fn erase(&mut self) {
        self.doc.clear();
        self.raw.clear();
        self.key_event = false;
        self.pinned = false;
    }

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

    /// The content that the step carries.
    pub fn write(&self) -> Option<&EntryWrite> {
        match self {
            Self::Publish(write)
            | Self::Hold(write, _)
            | Self::Revise(write, _)
            | Self::ReviseHeld(write, ..) => Some(write),
            _ => None,
        }
    }

    /// The content that the step carries, to change it.
    pub fn write_mut(&mut self) -> Option<&mut EntryWrite> {
        match self {
            Self::Publish(write)
            | Self::Hold(write, _)
            | Self::Revise(write, _)
            | Self::ReviseHeld(write, ..) => Some(write),
            _ => None,
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
