//! The vocabulary of a live blog: topics, entries, changes, positions.
//!
//! Everything on the data path speaks in these types. They are plain values: no I/O, no async, no locks, no clock.
//! What the words mean is written in docs/protocol.md; each has one meaning in code, wire, metrics and docs.

mod change;
mod entry;
pub mod limits;
mod name;
mod position;
mod time;
mod topic;

pub use change::{ChangeBody, ChangeKind, encode_change, encode_redacted, is_change_of};
pub use entry::{
    Author, AuthorType, Body, Correction, Entry, NewEntry, RelatedLink, Source, Tombstone,
    Verification,
};
pub use name::{EntryId, InvalidName, TopicName};
pub use position::{After, Epoch, InvalidPosition, Offset, Position};
pub use time::{format_millis, millis};
pub use topic::{End, Summary, Topic, TopicFields, TopicLink, TopicStatus, Visibility};

/// A value that breaks a rule of the model: which field, and what is wrong with it.
///
/// The message names the thing and the limit ("has 300 bytes, the limit is 128"), and is meant for the publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Path of the field in the request, such as `authors[1].name`.
    pub field: String,
    /// What is wrong, with the limit where there is one.
    pub message: String,
}

impl Invalid {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}
