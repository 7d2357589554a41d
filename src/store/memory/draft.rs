//! What one append would change in its topic, prepared aside.
//!
//! Steps look at the draft first and at the topic behind it second; a refused step drops the draft, and the topic
//! never knew. The rules of the steps are here: they are the ones that the contract names.

use std::collections::HashMap;

use jiff::Timestamp;

use super::log::{EntryRow, HeldRow, LoggedChange, LoggedRow, TopicLog};
use crate::model::{ChangeBody, EntryId, Offset, TopicName, encode_change, millis};
use crate::store::{
    Append, AuditRecord, Committed, EntryWrite, Idempotency, NewTopic, Refused, Step, StepDone,
    StoredChange, StoredTopic, entry_key,
};

/// What was asked under an idempotency key, as a digest, and what came of it.
type Remembered = ([u8; 32], Vec<StepDone>);

/// An append in the making.
pub(super) struct Draft<'a> {
    base: Option<&'a TopicLog>,
    at: Timestamp,
    written: Written,
}

/// What an append has to say to its topic.
pub(super) struct Written {
    /// The topic as it is behind the append.
    pub(super) topic: StoredTopic,
    /// New changes, by offset.
    pub(super) changes: Vec<LoggedChange>,
    /// Earlier changes that lose their body.
    pub(super) redacted: Vec<Offset>,
    /// Entries that are other than before; none for one that is forgotten.
    pub(super) entries: HashMap<EntryId, Option<EntryRow>>,
    /// One line for each step that did something.
    pub(super) audit: Vec<AuditRecord>,
    /// What is remembered of entries whose ids the publisher chose; none for one that is forgotten.
    pub(super) keys: HashMap<String, Option<Remembered>>,
    /// How many entries were ever held.
    pub(super) held_count: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn of_topic(log: &'a TopicLog, held_count: u64, now: Timestamp) -> Self {
        Self {
            base: Some(log),
            at: whole_millis(now),
            written: Written::new(log.topic.clone(), held_count),
        }
    }

    pub(super) fn of_new_topic(
        name: &TopicName,
        new: &NewTopic,
        held_count: u64,
        now: Timestamp,
    ) -> Self {
        let topic = StoredTopic {
            name: name.clone(),
            epoch: new.epoch.clone(),
            head: 0,
            revision: 1,
            ended: false,
            private: new.private,
            doc: new.doc.clone(),
            raw: new.raw.clone(),
        };
        Self {
            base: None,
            at: whole_millis(now),
            written: Written::new(topic, held_count),
        }
    }

    /// Does the steps in their order, up to the first that is refused.
    /// Answers each, with the indices of those that repeat an earlier publish.
    pub(super) fn run(&mut self, append: &Append) -> Result<(Vec<StepDone>, Vec<usize>), Refused> {
        let mut done = Vec::with_capacity(append.steps.len());
        let mut earlier = Vec::new();
        for (index, step) in append.steps.iter().enumerate() {
            let repeatable = step.idempotency();
            if let Some(repeatable) = &repeatable
                && let Some(first) = self.earlier(step, repeatable)?
            {
                earlier.push(index);
                done.push(first);
                continue;
            }
            if let Step::Keep { entry, expect } = step {
                done.push(self.keep(entry.as_ref(), *expect)?);
                continue;
            }
            let offset = self.step(step)?;
            let entry = step.entry().cloned();
            self.written.audit.push(AuditRecord {
                at: self.at,
                actor: append.actor.to_string(),
                action: step.name().to_owned(),
                entry: entry.clone(),
                offset,
            });
            let step_done = StepDone {
                entry,
                offset,
                doc: None,
            };
            if let Some(repeatable) = repeatable {
                let answer = Some((repeatable.request, vec![step_done.clone()]));
                self.written.keys.insert(repeatable.key, answer);
            }
            done.push(step_done);
        }
        Ok((done, earlier))
    }

    /// The answer to an earlier publish of the same entry, where the publisher chose its id.
    fn earlier(&self, step: &Step, repeatable: &Idempotency) -> Result<Option<StepDone>, Refused> {
        let known = match self.written.keys.get(&repeatable.key) {
            Some(known) => known.clone(),
            None => self
                .base
                .and_then(|log| log.remembered(&repeatable.key))
                .map(|known| (known.request, known.steps)),
        };
        match known {
            Some((request, steps)) if request == repeatable.request => Ok(steps.into_iter().next()),
            Some(_) => Err(step
                .entry()
                .map_or(Refused::KeyReused, |id| Refused::EntryExists(id.clone()))),
            None => Ok(None),
        }
    }

    pub(super) fn finish(self) -> Written {
        self.written
    }

    fn step(&mut self, step: &Step) -> Result<Option<Offset>, Refused> {
        match step {
            Step::Publish(write) => {
                self.check_open(&write.id)?;
                Ok(Some(self.publish(write.clone())))
            }
            Step::Hold(write, until) => {
                self.check_open(&write.id)?;
                let number = self.written.held_count;
                self.written.held_count += 1;
                self.put_held(number, write, *until);
                Ok(None)
            }
            Step::Revise(write, expect) => self.revise(write, *expect).map(Some),
            Step::ReviseHeld(write, expect, until) => {
                let number = self.held(&write.id, Some(*expect))?.number;
                self.put_held(number, write, *until);
                Ok(None)
            }
            Step::Release(id) => {
                let write = self.held(id, None)?.write.clone();
                Ok(Some(self.publish(write)))
            }
            Step::Retract { id, reason, expect } => {
                self.retract(id, reason.as_deref(), *expect).map(Some)
            }
            Step::DropHeld { id, expect } => {
                self.held(id, *expect)?;
                self.written.entries.insert(id.clone(), None);
                self.written.keys.insert(entry_key(id), None);
                Ok(None)
            }
            Step::Topic {
                expect,
                doc,
                raw,
                ended,
                private,
            } => {
                let topic = &mut self.written.topic;
                // A topic that this append made has revision 1 and no change yet; expect 0 says so.
                let fresh = *expect == 0 && topic.revision == 1 && topic.head == 0;
                if !fresh && topic.revision != *expect {
                    return Err(Refused::Stale {
                        current: topic.revision,
                    });
                }
                topic.revision = expect + 1;
                topic.ended = *ended;
                topic.private = *private;
                topic.doc.clone_from(doc);
                topic.raw.clone_from(raw);
                Ok(Some(self.log(None, None, &ChangeBody::Topic(doc))))
            }
            // `run` answers it: it has no offset of its own.
            Step::Keep { .. } => Ok(None),
        }
    }

    /// What stands, when its revision is `expect`.
    fn keep(&self, entry: Option<&EntryId>, expect: u64) -> Result<StepDone, Refused> {
        let topic = &self.written.topic;
        let (revision, offset, doc) = match entry {
            None => (topic.revision, Some(topic.head), Some(&topic.doc)),
            Some(id) => match self.row(id) {
                Some(EntryRow::Logged(row)) => (row.revision, Some(row.last), None),
                Some(EntryRow::Held(row)) => (row.write.revision, None, None),
                None => return Err(Refused::NoEntry(id.clone())),
            },
        };
        check_revision(revision, Some(expect))?;
        Ok(StepDone {
            entry: entry.cloned(),
            offset,
            doc: doc.map(|doc| doc.as_str().into()),
        })
    }

    fn publish(&mut self, write: EntryWrite) -> Offset {
        let offset = self.log(Some(&write.id), None, &ChangeBody::Published(&write.doc));
        self.put_logged(write, offset, offset);
        offset
    }

    fn revise(&mut self, write: &EntryWrite, expect: u64) -> Result<Offset, Refused> {
        let (first, last) = self.standing(&write.id, Some(expect))?;
        let body = ChangeBody::Revised(&write.doc);
        let offset = self.log(Some(&write.id), Some(last), &body);
        self.put_logged(write.clone(), first, offset);
        Ok(offset)
    }

    fn retract(
        &mut self,
        id: &EntryId,
        reason: Option<&str>,
        expect: Option<u64>,
    ) -> Result<Offset, Refused> {
        let (_, last) = self.standing(id, expect)?;
        self.redact(last);
        let offset = self.log(Some(id), Some(last), &ChangeBody::Retracted(id, reason));
        if let Some(EntryRow::Logged(row)) = self.row(id) {
            let row = LoggedRow {
                first: row.first,
                last: offset,
                revision: row.revision,
                retracted: true,
                key_event: false,
                pinned: false,
                raw: String::new(),
            };
            self.put(id.clone(), EntryRow::Logged(row));
        }
        Ok(offset)
    }

    /// Walks back from the entry's last change and takes the body of each: of the topic's changes when the draft is
    /// taken in, of the draft's own at once, so that the feed never has it.
    fn redact(&mut self, last: Offset) {
        let mut next = Some(last);
        while let Some(offset) = next {
            let drafted = self
                .written
                .changes
                .iter_mut()
                .find(|change| change.stored.offset == offset);
            next = match drafted {
                Some(change) => {
                    change.redact(&self.written.topic.name);
                    change.previous
                }
                None => {
                    self.written.redacted.push(offset);
                    self.base
                        .and_then(|log| log.change(offset))
                        .and_then(|change| change.previous)
                }
            };
        }
    }

    /// Gives the next offset to a change.
    fn log(
        &mut self,
        entry: Option<&EntryId>,
        previous: Option<Offset>,
        body: &ChangeBody<'_>,
    ) -> Offset {
        let offset = self.written.topic.head + 1;
        let json = encode_change(&self.written.topic.name, offset, self.at, body);
        self.written.topic.head = offset;
        self.written.changes.push(LoggedChange {
            stored: StoredChange {
                offset,
                kind: body.kind(),
                entry: entry.cloned(),
                json: json.into(),
            },
            at: self.at,
            previous,
        });
        offset
    }

    fn put(&mut self, id: EntryId, row: EntryRow) {
        self.written.entries.insert(id, Some(row));
    }

    fn put_held(&mut self, number: u64, write: &EntryWrite, until: Timestamp) {
        let row = HeldRow {
            number,
            released_at: whole_millis(until),
            write: write.clone(),
        };
        self.put(write.id.clone(), EntryRow::Held(row));
    }

    fn put_logged(&mut self, write: EntryWrite, first: Offset, last: Offset) {
        let row = LoggedRow {
            first,
            last,
            revision: write.revision,
            retracted: false,
            key_event: write.key_event,
            pinned: write.pinned,
            raw: write.raw,
        };
        self.put(write.id, EntryRow::Logged(row));
    }

    fn row(&self, id: &EntryId) -> Option<&EntryRow> {
        match self.written.entries.get(id) {
            Some(drafted) => drafted.as_ref(),
            None => self.base.and_then(|log| log.row(id)),
        }
    }

    /// Checks that a new entry may come into the topic under this id.
    fn check_open(&self, id: &EntryId) -> Result<(), Refused> {
        if self.written.topic.ended {
            return Err(Refused::TopicEnded);
        }
        match self.row(id) {
            Some(_) => Err(Refused::EntryExists(id.clone())),
            None => Ok(()),
        }
    }

    /// First and last offset of an entry that readers have.
    fn standing(&self, id: &EntryId, expect: Option<u64>) -> Result<(Offset, Offset), Refused> {
        let Some(EntryRow::Logged(row)) = self.row(id) else {
            return Err(Refused::NoEntry(id.clone()));
        };
        if row.retracted {
            return Err(Refused::EntryRetracted(id.clone()));
        }
        check_revision(row.revision, expect)?;
        Ok((row.first, row.last))
    }

    fn held(&self, id: &EntryId, expect: Option<u64>) -> Result<&HeldRow, Refused> {
        let Some(EntryRow::Held(held)) = self.row(id) else {
            return Err(Refused::NoEntry(id.clone()));
        };
        check_revision(held.write.revision, expect)?;
        Ok(held)
    }
}

impl Written {
    fn new(topic: StoredTopic, held_count: u64) -> Self {
        Self {
            topic,
            changes: Vec::new(),
            redacted: Vec::new(),
            entries: HashMap::new(),
            audit: Vec::new(),
            keys: HashMap::new(),
            held_count,
        }
    }

    /// The new changes, for the feed.
    pub(super) fn committed(&self) -> Vec<Committed> {
        self.changes
            .iter()
            .map(|change| Committed {
                topic: self.topic.name.clone(),
                epoch: self.topic.epoch.clone(),
                change: change.stored.clone(),
            })
            .collect()
    }
}

fn check_revision(current: u64, expect: Option<u64>) -> Result<(), Refused> {
    match expect {
        Some(expect) if expect != current => Err(Refused::Stale { current }),
        _ => Ok(()),
    }
}

/// The store keeps milliseconds.
fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(millis(at)).unwrap_or(at)
}
