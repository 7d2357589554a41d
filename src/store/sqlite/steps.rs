//! What one append does inside the writer's transaction.
//!
//! Checks come before writes, and an append of several steps (or one that makes a topic) runs in a savepoint, so a
//! refused append leaves no trace while the others of its group go on.

mod entries;
mod salvage;

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{
    self, OFFSET_MAX, TopicRow, encode_answer, kind_code, row_key, sql, timestamp_of,
};
use crate::model::{
    ChangeBody, ChangeKind, EntryId, Epoch, Offset, TopicName, encode_change, encode_redacted,
    millis,
};
use crate::store::{
    Append, Appended, Committed, Idempotency, NewTopic, Refused, Step, StepDone, StoredChange,
};

/// Why an append stopped.
pub(super) enum StepError {
    /// A rule of the contract; the other appends of the group are not touched.
    Refused(Refused),
    /// The database; the whole group is rolled back.
    Sqlite(rusqlite::Error),
}

/// The appends of one transaction.
pub(super) struct Group<'a> {
    connection: &'a Connection,
    topics: &'a mut HashMap<TopicName, TopicRow>,
    at: Timestamp,
    topics_max: usize,
    committed: Vec<Committed>,
    /// What was retracted: the feed must not carry its body even if this very group has published it.
    retracted: Vec<(TopicName, EntryId)>,
}

type Outcome<T> = Result<T, StepError>;

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Refused> for StepError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<'a> Group<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        topics: &'a mut HashMap<TopicName, TopicRow>,
        now: Timestamp,
        topics_max: usize,
    ) -> Self {
        // The store keeps milliseconds, so that what it encodes now equals what it would encode later.
        Self {
            connection,
            topics,
            at: timestamp_of(millis(now)),
            topics_max,
            committed: Vec::new(),
            retracted: Vec::new(),
        }
    }

    /// Does one append, whole or not at all.
    pub(super) fn apply(&mut self, append: Append) -> Outcome<Appended> {
        let known = self.load_topic(&append.topic)?;
        if let (Some(row), Some(idempotency)) = (&known, &append.idempotency)
            && let Some(answer) = self.replayed(row, idempotency)?
        {
            return Ok(answer);
        }
        if known.is_some() && append.steps.len() == 1 {
            return self.run(append);
        }
        let (committed, retracted) = (self.committed.len(), self.retracted.len());
        self.connection.execute_batch("SAVEPOINT one_append")?;
        let topic = append.topic.clone();
        match self.run(append) {
            Ok(appended) => {
                self.connection.execute_batch("RELEASE one_append")?;
                Ok(appended)
            }
            Err(StepError::Refused(refused)) => {
                self.connection
                    .execute_batch("ROLLBACK TO one_append; RELEASE one_append")?;
                self.committed.truncate(committed);
                self.retracted.truncate(retracted);
                match known {
                    Some(row) => self.topics.insert(topic, row),
                    None => self.topics.remove(&topic),
                };
                Err(refused.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Begins another numbering: the offsets go on, and the first change in it is the topic as it stands.
    pub(super) fn renumber(&mut self, topic: &TopicName, epoch: &Epoch) -> Outcome<()> {
        let mut row = self.load_topic(topic)?.ok_or(Refused::NoTopic)?;
        row.epoch = epoch.clone();
        self.connection
            .prepare_cached("UPDATE topic SET epoch = ?2 WHERE id = ?1")?
            .execute(params![row.id, epoch.as_str()])?;
        let doc = rows::topic_doc(self.connection, row.id)?;
        self.append_change(topic, &mut row, None, None, &ChangeBody::Topic(&doc))?;
        self.topics.insert(topic.clone(), row);
        Ok(())
    }

    /// Writes the heads that moved and hands over what the commit will make true.
    pub(super) fn finish(mut self) -> rusqlite::Result<Vec<Committed>> {
        self.redact_committed();
        let mut update = self
            .connection
            .prepare_cached("UPDATE topic SET head = ?2 WHERE id = ?1")?;
        let moved: HashSet<&TopicName> = self
            .committed
            .iter()
            .map(|committed| &committed.topic)
            .collect();
        for row in moved.into_iter().filter_map(|topic| self.topics.get(topic)) {
            update.execute(params![row.id, sql(row.head)])?;
        }
        Ok(self.committed)
    }

    /// An entry that was retracted takes no further change, so all it has here but the retraction is redacted.
    fn redact_committed(&mut self) {
        if self.retracted.is_empty() {
            return;
        }
        let retracted: HashSet<(TopicName, EntryId)> = self.retracted.drain(..).collect();
        for Committed { topic, change, .. } in &mut self.committed {
            let Some(id) = change.entry.clone() else {
                continue;
            };
            let key = (topic.clone(), id);
            if change.kind != ChangeKind::EntryRetracted && retracted.contains(&key) {
                change.kind = ChangeKind::EntryRedacted;
                change.json = encode_redacted(topic, change.offset, self.at, &key.1).into();
            }
        }
    }

    fn run(&mut self, append: Append) -> Outcome<Appended> {
        let mut row = match self.topics.get(&append.topic) {
            Some(row) => row.clone(),
            None => self.create_topic(
                &append.topic,
                append.create.as_ref().ok_or(Refused::NoTopic)?,
            )?,
        };
        let mut done = Vec::with_capacity(append.steps.len());
        let mut earlier = Vec::new();
        for (index, step) in append.steps.iter().enumerate() {
            let repeatable = step.idempotency();
            if let Some(repeatable) = &repeatable
                && let Some(first) = self.earlier(&row, step, repeatable)?
            {
                earlier.push(index);
                done.push(first);
                continue;
            }
            if let Step::Keep { entry, expect } = step {
                done.push(self.keep(&row, entry.as_ref(), *expect)?);
                continue;
            }
            let offset = self.step(&append.topic, &mut row, step)?;
            self.audit(&mut row, &append.actor, step, offset)?;
            let entry = step.entry().cloned();
            let step_done = StepDone {
                entry,
                offset,
                doc: None,
            };
            if let Some(repeatable) = &repeatable {
                self.remember(row.id, repeatable, std::slice::from_ref(&step_done))?;
            }
            done.push(step_done);
        }
        if let Some(idempotency) = &append.idempotency {
            self.remember(row.id, idempotency, &done)?;
        }
        let epoch = row.epoch.clone();
        self.topics.insert(append.topic, row);
        Ok(Appended {
            epoch,
            replayed: !done.is_empty() && earlier.len() == done.len(),
            steps: done,
            earlier,
        })
    }

    fn step(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
        step: &Step,
    ) -> Outcome<Option<Offset>> {
        // Before anything is written: a step that fails half way would leave its half in the group.
        if row.head >= OFFSET_MAX || row.audited >= OFFSET_MAX {
            return Err(Refused::TopicFull(OFFSET_MAX).into());
        }
        match step {
            Step::Publish(write) => self.publish(topic, row, write).map(Some),
            Step::Hold(write, until) => self.hold(row, write, *until).map(|()| None),
            Step::Revise(write, expect) => self.revise(topic, row, write, *expect).map(Some),
            Step::ReviseHeld(write, expect, until) => {
                self.revise_held(row, write, *expect, *until).map(|()| None)
            }
            Step::Release(id) => self.release(topic, row, id).map(Some),
            Step::Retract { id, reason, expect } => self
                .retract(topic, row, id, reason.as_deref(), *expect)
                .map(Some),
            Step::DropHeld { id, expect } => self.drop_held(row, id, *expect).map(|()| None),
            Step::Topic {
                expect,
                doc,
                raw,
                ended,
                private,
            } => {
                // A topic that this append made has revision 1 and no change yet; expect 0 says so.
                let fresh = *expect == 0 && row.revision == 1 && row.head == 0;
                if !fresh && row.revision != *expect {
                    return Err(Refused::Stale {
                        current: row.revision,
                    }
                    .into());
                }
                row.revision = expect + 1;
                row.ended = *ended;
                rows::update_topic(self.connection, row, *private, doc, raw)?;
                self.append_change(topic, row, None, None, &ChangeBody::Topic(doc))
                    .map(Some)
            }
            // `run` answers it: it has no offset of its own.
            Step::Keep { .. } => Ok(None),
        }
    }

    /// Gives a change the next offset and keeps it for the feed.
    fn append_change(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
        entry: Option<&EntryId>,
        previous: Option<Offset>,
        body: &ChangeBody<'_>,
    ) -> Outcome<Offset> {
        let offset = row.head + 1;
        let json = encode_change(topic, offset, self.at, body);
        self.connection
            .prepare_cached(
                "INSERT INTO change (key, at_ms, kind, entry_id, previous, crc, json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                row_key(row.id, offset),
                millis(self.at),
                kind_code(body.kind()),
                entry.map(EntryId::as_str),
                previous.map(sql),
                crc32fast::hash(json.as_bytes()),
                json
            ])?;
        row.head = offset;
        self.committed.push(Committed {
            topic: topic.clone(),
            epoch: row.epoch.clone(),
            change: StoredChange {
                offset,
                kind: body.kind(),
                entry: entry.cloned(),
                json: json.into(),
            },
        });
        Ok(offset)
    }

    fn create_topic(&mut self, topic: &TopicName, new: &NewTopic) -> Outcome<TopicRow> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM topic")?
            .query_row([], |row| row.get(0))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= self.topics_max {
            return Err(Refused::TooManyTopics(self.topics_max).into());
        }
        let row = rows::insert_topic(self.connection, topic, new)?;
        self.topics.insert(topic.clone(), row.clone());
        Ok(row)
    }

    fn load_topic(&mut self, topic: &TopicName) -> Outcome<Option<TopicRow>> {
        if let Some(row) = self.topics.get(topic) {
            return Ok(Some(row.clone()));
        }
        let row = rows::topic_row(self.connection, topic)?;
        if let Some(row) = &row {
            self.topics.insert(topic.clone(), row.clone());
        }
        Ok(row)
    }

    /// The answer to an earlier append with this key, where there was one.
    fn replayed(&self, row: &TopicRow, idempotency: &Idempotency) -> Outcome<Option<Appended>> {
        match rows::idempotency(self.connection, row.id, &idempotency.key)? {
            Some((request, _)) if request != idempotency.request => Err(Refused::KeyReused.into()),
            Some((_, steps)) => Ok(Some(Appended {
                epoch: row.epoch.clone(),
                earlier: (0..steps.len()).collect(),
                steps,
                replayed: true,
            })),
            None => Ok(None),
        }
    }

    /// The answer to an earlier publish of the same entry, where the publisher chose its id.
    fn earlier(
        &self,
        row: &TopicRow,
        step: &Step,
        repeatable: &Idempotency,
    ) -> Outcome<Option<StepDone>> {
        match rows::idempotency(self.connection, row.id, &repeatable.key)? {
            Some((request, steps)) if request == repeatable.request => Ok(steps.into_iter().next()),
            Some(_) => match step.entry() {
                Some(id) => Err(Refused::EntryExists(id.clone()).into()),
                None => Err(Refused::KeyReused.into()),
            },
            None => Ok(None),
        }
    }

    fn remember(&self, topic_id: i64, idempotency: &Idempotency, done: &[StepDone]) -> Outcome<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO idempotency (topic_id, key, request, answer) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                topic_id,
                idempotency.key,
                idempotency.request,
                encode_answer(done)
            ])?;
        Ok(())
    }

    fn audit(
        &self,
        row: &mut TopicRow,
        actor: &str,
        step: &Step,
        offset: Option<Offset>,
    ) -> Outcome<()> {
        row.audited += 1;
        self.connection
            .prepare_cached(
                "INSERT INTO audit (key, at_ms, actor, action, entry_id, change_offset)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row_key(row.id, row.audited),
                millis(self.at),
                actor,
                step.name(),
                step.entry().map(EntryId::as_str),
                offset.map(sql)
            ])?;
        Ok(())
    }
}
