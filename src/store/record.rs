//! What stands in a log that several nodes share: one record is one step of one topic's history.
//!
//! A record is a command with its outcome pinned down: the appends that a node tried on its projection, the time they
//! are stamped with, and where they have to land. Whoever applies it gets the same rows, or finds out that it can't.

use serde::{Deserialize, Serialize};

use super::{Append, Step};
use crate::model::{EntryId, Epoch, Offset, TopicName};

/// The newest version of records that this program reads.
pub const RECORD_VERSION: u8 = 2;

/// One record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The version that has to be known to read it: [`What::version`].
    pub v: u8,
    /// Its id: no two records have the same.
    pub id: String,
    /// The node that wrote it.
    pub node: String,
    /// The topic.
    pub topic: TopicName,
    /// Sequence of the topic's record before this one; 0 where there is none.
    pub prev: u64,
    /// The numbering that its changes are in.
    pub epoch: Epoch,
    /// The offset of its first change, where it makes one.
    pub first: Offset,
    /// The time that its changes are stamped with, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it does.
    pub what: What,
}

/// What a record does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Appends, in order; each was tried and is not refused.
    Appends(Vec<Append>),
    /// Begins the numbering [`Record::epoch`]; offsets go on. It stands in the log as an update of the topic.
    Renumber,
    /// Part of the rows of a topic that was brought over from a single node.
    Import(Box<Rows>),
    /// Stands beside the log in the place of a record that no node has any more: these topics may have lost changes by
    /// that, and go on in the numbering [`Record::epoch`]. The record itself is of no topic.
    Lost(Vec<TopicName>),
}

impl What {
    /// The version that a program has to know to apply it.
    pub fn version(&self) -> u8 {
        match self {
            Self::Appends(_) | Self::Renumber | Self::Import(_) => 1,
            Self::Lost(_) => 2,
        }
    }
}

/// A row of the table of changes.
pub type ChangeRow = (Offset, i64, i64, Option<EntryId>, Option<Offset>, String);
/// A row of the table of entries.
pub type EntryRow = (Offset, EntryId, u64, Offset, bool, bool, bool, String);
/// A row of the table of held entries.
pub type HeldRow = (EntryId, u64, i64, bool, bool, String, String);
/// A row of the audit trail.
pub type AuditRow = (u64, i64, String, String, Option<EntryId>, Option<Offset>);

/// Rows of one topic, as the embedded store keeps them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rows {
    /// The topic: revision, ended, private, document, raw.
    pub topic: Option<(u64, bool, bool, String, String)>,
    /// Changes: offset, time in ms, kind, entry, offset of the entry's change before it, JSON (empty: erased).
    pub changes: Vec<ChangeRow>,
    /// Entries: first offset, id, revision, last offset, retracted, key event, pinned, raw.
    pub entries: Vec<EntryRow>,
    /// Held entries: id, revision, release in ms, key event, pinned, document, raw.
    pub held: Vec<HeldRow>,
    /// Idempotency keys: key, request, answer.
    pub keys: Vec<(String, [u8; 32], String)>,
    /// The audit trail: number, time in ms, actor, action, entry, offset.
    pub audit: Vec<AuditRow>,
}

impl Record {
    /// Takes the content of this entry out, wherever the record has it.
    pub fn erase(&mut self, id: &EntryId) {
        match &mut self.what {
            What::Appends(appends) => {
                let steps = appends.iter_mut().flat_map(|append| &mut append.steps);
                for write in steps.filter_map(Step::write_mut) {
                    if write.id == *id {
                        write.erase();
                    }
                }
            }
            What::Renumber | What::Lost(_) => {}
            What::Import(rows) => rows.erase(id),
        }
    }

    /// Takes out what the record's own later steps retract or drop: it must not travel at all.
    pub fn erase_what_it_retracts(&mut self) {
        let What::Appends(appends) = &mut self.what else {
            return;
        };
        let mut gone: Vec<EntryId> = Vec::new();
        let steps: Vec<&mut Step> = appends
            .iter_mut()
            .flat_map(|append| &mut append.steps)
            .collect();
        for step in steps.into_iter().rev() {
            match step {
                Step::Retract { id, .. } | Step::DropHeld { id, .. } => gone.push(id.clone()),
                // The id is new here: what stands before is another entry's.
                Step::Publish(write) | Step::Hold(write, _) if gone.contains(&write.id) => {
                    gone.retain(|id| *id != write.id);
                    write.erase();
                }
                Step::Revise(write, _) | Step::ReviseHeld(write, ..)
                    if gone.contains(&write.id) =>
                {
                    write.erase();
                }
                _ => {}
            }
        }
    }

    /// Whether it has content of this entry.
    pub fn has(&self, id: &EntryId) -> bool {
        match &self.what {
            What::Appends(appends) => appends
                .iter()
                .flat_map(|append| &append.steps)
                .filter_map(Step::write)
                .any(|write| write.id == *id && !write.is_erased()),
            What::Renumber | What::Lost(_) => false,
            What::Import(rows) => rows.has(id),
        }
    }
}

impl Rows {
    fn erase(&mut self, id: &EntryId) {
        for change in &mut self.changes {
            if change.3.as_ref() == Some(id) {
                change.5.clear();
            }
        }
        for entry in &mut self.entries {
            if entry.1 == *id {
                (entry.5, entry.6) = (false, false);
                entry.7.clear();
            }
        }
        for held in &mut self.held {
            if held.0 == *id {
                held.5.clear();
                held.6.clear();
            }
        }
    }

    fn has(&self, id: &EntryId) -> bool {
        let change = |change: &ChangeRow| change.3.as_ref() == Some(id) && !change.5.is_empty();
        self.changes.iter().any(change)
            || self
                .entries
                .iter()
                .any(|entry| entry.1 == *id && !entry.7.is_empty())
            || self
                .held
                .iter()
                .any(|held| held.0 == *id && !held.5.is_empty())
    }

    /// The entries that it has content of.
    pub fn contents(&self) -> impl Iterator<Item = &EntryId> {
        let changes = self
            .changes
            .iter()
            .filter(|change| !change.5.is_empty())
            .filter_map(|change| change.3.as_ref());
        let entries = self.entries.iter().filter(|entry| !entry.7.is_empty());
        let held = self.held.iter().filter(|held| !held.5.is_empty());
        changes
            .chain(entries.map(|entry| &entry.1))
            .chain(held.map(|held| &held.0))
    }
}
