//! One topic as the memory store keeps it: its changes in order, its entries, keys and audit trail.
//!
//! Reads are answered from here; what an append changes comes in as a finished draft, never piece by piece.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::draft::Written;
use crate::model::{ChangeKind, EntryId, Offset, TopicName, encode_redacted};
use crate::store::{
    AuditRecord, EntryFilter, EntryPage, EntryQuery, EntryState, EntryWrite, HeldEntry,
    Idempotency, NumberedPage, PickNumbers, ReadLimit, Remembered, Shelf, StepDone, StoredChange,
    StoredEntry, StoredTopic,
};

/// A topic with everything in it.
pub(super) struct TopicLog {
    pub(super) topic: StoredTopic,
    /// The change of offset n stands at n - 1.
    changes: Vec<LoggedChange>,
    entries: HashMap<EntryId, EntryRow>,
    by_first: BTreeMap<Offset, EntryId>,
    keys: HashMap<String, ([u8; 32], Vec<StepDone>)>,
    audit: Vec<AuditRecord>,
}

/// A change with what a later retraction needs of it.
#[derive(Clone)]
pub(super) struct LoggedChange {
    pub(super) stored: StoredChange,
    pub(super) at: Timestamp,
    /// The change of the same entry before this one.
    pub(super) previous: Option<Offset>,
}

/// What is kept of an entry beside its changes.
#[derive(Clone)]
pub(super) enum EntryRow {
    /// Under embargo.
    Held(HeldRow),
    /// Released; it may have been retracted since.
    Logged(LoggedRow),
}

/// An entry under embargo.
#[derive(Clone)]
pub(super) struct HeldRow {
    /// Its place among those that are released at the same moment.
    pub(super) number: u64,
    pub(super) released_at: Timestamp,
    pub(super) write: EntryWrite,
}

/// An entry that has an offset.
#[derive(Clone)]
pub(super) struct LoggedRow {
    pub(super) first: Offset,
    pub(super) last: Offset,
    pub(super) revision: u64,
    pub(super) retracted: bool,
    pub(super) key_event: bool,
    pub(super) pinned: bool,
    pub(super) raw: String,
}

impl TopicLog {
    pub(super) fn new(topic: StoredTopic) -> Self {
        Self {
            topic,
            changes: Vec::new(),
            entries: HashMap::new(),
            by_first: BTreeMap::new(),
            keys: HashMap::new(),
            audit: Vec::new(),
        }
    }

    /// Makes an append true.
    pub(super) fn take_in(&mut self, written: Written) {
        for offset in written.redacted {
            if let Some(change) = self.change_mut(offset) {
                change.redact(&written.topic.name);
            }
        }
        self.changes.extend(written.changes);
        for (id, row) in written.entries {
            if let Some(EntryRow::Logged(row)) = &row {
                self.by_first.insert(row.first, id.clone());
            }
            match row {
                Some(row) => self.entries.insert(id, row),
                None => self.entries.remove(&id),
            };
        }
        for (key, answer) in written.keys {
            match answer {
                Some(answer) => self.keys.insert(key, answer),
                None => self.keys.remove(&key),
            };
        }
        self.audit.extend(written.audit);
        self.topic = written.topic;
    }

    pub(super) fn remember(&mut self, idempotency: Idempotency, steps: Vec<StepDone>) {
        self.keys
            .insert(idempotency.key, (idempotency.request, steps));
    }

    pub(super) fn row(&self, id: &EntryId) -> Option<&EntryRow> {
        self.entries.get(id)
    }

    /// When it had its newest change.
    pub(super) fn changed_at(&self) -> Option<Timestamp> {
        self.changes.last().map(|change| change.at)
    }

    pub(super) fn change(&self, offset: Offset) -> Option<&LoggedChange> {
        self.changes.get(index(offset))
    }

    fn change_mut(&mut self, offset: Offset) -> Option<&mut LoggedChange> {
        self.changes.get_mut(index(offset))
    }

    pub(super) fn read(&self, after: Offset, limit: ReadLimit) -> Vec<StoredChange> {
        let from = usize::try_from(after).unwrap_or(usize::MAX);
        let mut bytes = 0_usize;
        self.changes
            .iter()
            .skip(from)
            .take(limit.changes_max.max(1))
            .enumerate()
            .take_while(|(index, change)| {
                bytes = bytes.saturating_add(change.stored.json.len());
                *index == 0 || bytes <= limit.bytes_max
            })
            .map(|(_, change)| change.stored.clone())
            .collect()
    }

    pub(super) fn entry(&self, id: &EntryId) -> Option<StoredEntry> {
        Some(match self.entries.get(id)? {
            EntryRow::Held(held) => StoredEntry {
                id: id.clone(),
                revision: held.write.revision,
                state: EntryState::Held {
                    released_at: held.released_at,
                    doc: held.write.doc.clone(),
                },
                raw: held.write.raw.clone(),
            },
            EntryRow::Logged(row) => self.logged(id, row)?,
        })
    }

    pub(super) fn entries(&self, query: &EntryQuery) -> EntryPage {
        let before = query.before.unwrap_or(Offset::MAX);
        let mut matching = self.by_first.range(..before).rev().filter_map(|(_, id)| {
            match self.entries.get(id)? {
                EntryRow::Logged(row) if row.matches(query.filter) => Some((id, row)),
                _ => None,
            }
        });
        let entries = matching
            .by_ref()
            .take(query.limit)
            .filter_map(|(id, row)| self.logged(id, row))
            .collect();
        EntryPage {
            topic: self.topic.clone(),
            entries,
            more: matching.next().is_some(),
        }
    }

    pub(super) fn numbered(
        &self,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> NumberedPage {
        let logged: Vec<_> = self
            .by_first
            .values()
            .filter_map(|id| match self.entries.get(id)? {
                EntryRow::Logged(row) => Some((id, row)),
                EntryRow::Held(_) => None,
            })
            .collect();
        let place = around.and_then(|wanted| logged.iter().position(|(id, _)| *id == wanted));
        let shelf = Shelf {
            count: logged.len() as u64,
            around: place.map(|index| index as u64 + 1),
            ended: self.topic.ended,
        };
        let (first, length) = shelf.clamp(&pick(&shelf));
        let mut entries: Vec<_> = logged
            .into_iter()
            .skip(index(first))
            .take(usize::try_from(length).unwrap_or(usize::MAX))
            .filter_map(|(id, row)| self.logged(id, row))
            .collect();
        entries.reverse();
        NumberedPage {
            topic: self.topic.clone(),
            shelf,
            first,
            entries,
        }
    }

    /// The held entries with their numbers, in no order.
    pub(super) fn held(&self) -> impl Iterator<Item = (u64, HeldEntry)> + '_ {
        self.entries.iter().filter_map(|(id, row)| match row {
            EntryRow::Logged(_) => None,
            EntryRow::Held(held) => Some((
                held.number,
                HeldEntry {
                    topic: self.topic.name.clone(),
                    id: id.clone(),
                    revision: held.write.revision,
                    released_at: held.released_at,
                    doc: held.write.doc.clone(),
                },
            )),
        })
    }

    pub(super) fn remembered(&self, key: &str) -> Option<Remembered> {
        self.keys.get(key).map(|(request, steps)| Remembered {
            request: *request,
            steps: steps.clone(),
            epoch: self.topic.epoch.clone(),
        })
    }

    pub(super) fn audit(&self, limit: usize) -> Vec<AuditRecord> {
        self.audit.iter().rev().take(limit).cloned().collect()
    }

    fn logged(&self, id: &EntryId, row: &LoggedRow) -> Option<StoredEntry> {
        let change = self.change(row.last)?.stored.json.clone();
        let (first, last) = (row.first, row.last);
        Some(StoredEntry {
            id: id.clone(),
            revision: row.revision,
            state: if row.retracted {
                EntryState::Retracted {
                    first,
                    last,
                    change,
                }
            } else {
                EntryState::Released {
                    first,
                    last,
                    change,
                }
            },
            raw: row.raw.clone(),
        })
    }
}

impl LoggedChange {
    /// Puts a redaction in the place of the body; offset and time stay.
    pub(super) fn redact(&mut self, topic: &TopicName) {
        let Some(id) = &self.stored.entry else {
            return;
        };
        self.stored.json = encode_redacted(topic, self.stored.offset, self.at, id).into();
        self.stored.kind = ChangeKind::EntryRedacted;
    }
}

impl LoggedRow {
    fn matches(&self, filter: EntryFilter) -> bool {
        match filter {
            EntryFilter::All => true,
            EntryFilter::KeyEvents => self.key_event,
            EntryFilter::Pinned => self.pinned,
        }
    }
}

/// Where the change of `offset` stands; offset 0 is nowhere.
fn index(offset: Offset) -> usize {
    offset
        .checked_sub(1)
        .and_then(|index| usize::try_from(index).ok())
        .unwrap_or(usize::MAX)
}
