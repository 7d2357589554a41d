//! What one append does inside the writer's transaction.
//!
//! Checks come before writes, and an append of several steps (or one that makes a topic) runs in a savepoint, so a
//! refused append leaves no trace while the others of its group go on.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{
    self, EntryRow, HeldRow, TopicRow as Row, encode_answer, idempotency_key, kind_code, row_key,
    sql, timestamp_of, unsql,
};
use crate::model::{
    ChangeBody, ChangeKind, EntryId, Offset, TopicName, encode_change, encode_redacted, millis,
};
use crate::store::{
    Append, Appended, Committed, EntryWrite, Idempotency, NewTopic, Refused, Step, StepDone,
    StoredChange,
};

pub(super) use super::rows::TopicRow;

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
        Self { connection, topics, at: timestamp_of(millis(now)), topics_max, committed: Vec::new() }
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
        let committed = self.committed.len();
        self.connection.execute_batch("SAVEPOINT one_append")?;
        let topic = append.topic.clone();
        match self.run(append) {
            Ok(appended) => {
                self.connection.execute_batch("RELEASE one_append")?;
                Ok(appended)
            }
            Err(StepError::Refused(refused)) => {
                self.connection.execute_batch("ROLLBACK TO one_append; RELEASE one_append")?;
                self.committed.truncate(committed);
                match known {
                    Some(row) => self.topics.insert(topic, row),
                    None => self.topics.remove(&topic),
                };
                Err(refused.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the heads that moved and hands over what the commit will make true.
    pub(super) fn finish(self) -> rusqlite::Result<Vec<Committed>> {
        let mut update =
            self.connection.prepare_cached("UPDATE topic SET head = ?2 WHERE id = ?1")?;
        let mut moved: Vec<&TopicName> =
            self.committed.iter().map(|committed| &committed.topic).collect();
        moved.dedup();
        for row in moved.into_iter().filter_map(|topic| self.topics.get(topic)) {
            update.execute(params![row.id, sql(row.head)])?;
        }
        Ok(self.committed)
    }

    fn run(&mut self, append: Append) -> Outcome<Appended> {
        let mut row = match self.topics.get(&append.topic) {
            Some(row) => row.clone(),
            None => {
                self.create_topic(&append.topic, append.create.as_ref().ok_or(Refused::NoTopic)?)?
            }
        };
        let mut done = Vec::with_capacity(append.steps.len());
        for step in &append.steps {
            let offset = self.step(&append.topic, &mut row, step)?;
            self.audit(row.id, &append.actor, step, offset)?;
            done.push(StepDone { entry: step.entry().cloned(), offset });
        }
        if let Some(idempotency) = &append.idempotency {
            self.remember(row.id, idempotency, &done)?;
        }
        let epoch = row.epoch.clone();
        self.topics.insert(append.topic, row);
        Ok(Appended { epoch, steps: done, replayed: false })
    }

    fn step(&mut self, topic: &TopicName, row: &mut Row, step: &Step) -> Outcome<Option<Offset>> {
        match step {
            Step::Publish(write) => self.publish(topic, row, write).map(Some),
            Step::Hold(write, until) => self.hold(row, write, *until).map(|()| None),
            Step::Revise(write, expect) => self.revise(topic, row, write, *expect).map(Some),
            Step::ReviseHeld(write, expect, until) => {
                self.revise_held(row, write, *expect, *until).map(|()| None)
            }
            Step::Release(id) => self.release(topic, row, id).map(Some),
            Step::Retract { id, reason, expect } => {
                self.retract(topic, row, id, reason.as_deref(), *expect).map(Some)
            }
            Step::DropHeld { id, expect } => self.drop_held(row, id, *expect).map(|()| None),
            Step::Topic { expect, doc, raw, ended, private } => {
                // A topic that this append made has revision 1 and no change yet; expect 0 says so.
                let fresh = *expect == 0 && row.revision == 1 && row.head == 0;
                if !fresh && row.revision != *expect {
                    return Err(Refused::Stale { current: row.revision }.into());
                }
                row.revision = expect + 1;
                row.ended = *ended;
                self.connection
                    .prepare_cached(
                        "UPDATE topic SET revision = ?2, ended = ?3, private = ?4, doc = ?5, raw = ?6
                         WHERE id = ?1",
                    )?
                    .execute(params![row.id, sql(row.revision), ended, private, doc, raw])?;
                self.append_change(topic, row, None, None, &ChangeBody::Topic(doc)).map(Some)
            }
        }
    }

    fn publish(
        &mut self,
        topic: &TopicName,
        row: &mut Row,
        write: &EntryWrite,
    ) -> Outcome<Offset> {
        if row.ended {
            return Err(Refused::TopicEnded.into());
        }
        self.check_free(row.id, &write.id)?;
        self.publish_unchecked(topic, row, write)
    }

    fn publish_unchecked(
        &mut self,
        topic: &TopicName,
        row: &mut Row,
        write: &EntryWrite,
    ) -> Outcome<Offset> {
        let body = ChangeBody::Published(&write.doc);
        let offset = self.append_change(topic, row, Some(&write.id), None, &body)?;
        rows::insert_entry(self.connection, row.id, write, offset)?;
        Ok(offset)
    }

    fn hold(&self, row: &Row, write: &EntryWrite, until: Timestamp) -> Outcome<()> {
        if row.ended {
            return Err(Refused::TopicEnded.into());
        }
        self.check_free(row.id, &write.id)?;
        Ok(rows::insert_held(self.connection, row.id, write, until)?)
    }

    fn revise(
        &mut self,
        topic: &TopicName,
        row: &mut Row,
        write: &EntryWrite,
        expect: u64,
    ) -> Outcome<Offset> {
        let entry = self.standing(row.id, &write.id, Some(expect))?;
        let body = ChangeBody::Revised(&write.doc);
        let offset = self.append_change(topic, row, Some(&write.id), Some(entry.last), &body)?;
        rows::update_entry(self.connection, entry.key, write, offset)?;
        Ok(offset)
    }

    fn revise_held(
        &self,
        row: &Row,
        write: &EntryWrite,
        expect: u64,
        until: Timestamp,
    ) -> Outcome<()> {
        let held = self.held(row.id, &write.id, Some(expect))?;
        Ok(rows::update_held(self.connection, held.id, write, until)?)
    }

    fn release(&mut self, topic: &TopicName, row: &mut Row, id: &EntryId) -> Outcome<Offset> {
        let held = self.held(row.id, id, None)?;
        self.connection.prepare_cached("DELETE FROM held WHERE id = ?1")?.execute([held.id])?;
        self.publish_unchecked(topic, row, &held.write)
    }

    fn drop_held(&self, row: &Row, id: &EntryId, expect: Option<u64>) -> Outcome<()> {
        let held = self.held(row.id, id, expect)?;
        self.connection.prepare_cached("DELETE FROM held WHERE id = ?1")?.execute([held.id])?;
        Ok(())
    }

    fn retract(
        &mut self,
        topic: &TopicName,
        row: &mut Row,
        id: &EntryId,
        reason: Option<&str>,
        expect: Option<u64>,
    ) -> Outcome<Offset> {
        let entry = self.standing(row.id, id, expect)?;
        self.redact(topic, row.id, id, entry.last)?;
        let body = ChangeBody::Retracted(id, reason);
        let offset = self.append_change(topic, row, Some(id), Some(entry.last), &body)?;
        self.connection
            .prepare_cached(
                "UPDATE entry SET last = ?2, retracted = 1, key_event = 0, pinned = 0, raw = '' WHERE key = ?1",
            )?
            .execute(params![entry.key, sql(offset)])?;
        Ok(offset)
    }

    /// Walks back from the entry's last change and puts a redaction in the place of each.
    fn redact(
        &self,
        topic: &TopicName,
        topic_id: i64,
        id: &EntryId,
        last: Offset,
    ) -> Outcome<()> {
        let mut next = Some(last);
        while let Some(offset) = next {
            let key = row_key(topic_id, offset);
            let (at_ms, previous): (i64, Option<i64>) = self
                .connection
                .prepare_cached("SELECT at_ms, previous FROM change WHERE key = ?1")?
                .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let json = encode_redacted(topic, offset, timestamp_of(at_ms), id);
            self.connection
                .prepare_cached("UPDATE change SET kind = ?2, crc = ?3, json = ?4 WHERE key = ?1")?
                .execute(params![
                    key,
                    kind_code(ChangeKind::EntryRedacted),
                    crc32fast::hash(json.as_bytes()),
                    json
                ])?;
            next = previous.map(unsql);
        }
        // What this very group has committed so far goes to the feed as it reads from now on.
        for committed in self.committed.iter() {
            debug_assert!(committed.change.offset > 0);
        }
        Ok(())
    }

    fn append_change(
        &mut self,
        topic: &TopicName,
        row: &mut Row,
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

    fn create_topic(&mut self, topic: &TopicName, new: &NewTopic) -> Outcome<Row> {
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

    fn load_topic(&mut self, topic: &TopicName) -> Outcome<Option<Row>> {
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
    fn replayed(&self, row: &Row, idempotency: &Idempotency) -> Outcome<Option<Appended>> {
        match rows::idempotency(self.connection, row.id, &idempotency.key)? {
            Some((request, _)) if request != idempotency.request => Err(Refused::KeyReused.into()),
            Some((_, steps)) => {
                Ok(Some(Appended { epoch: row.epoch.clone(), steps, replayed: true }))
            }
            None => Ok(None),
        }
    }

    fn remember(&self, topic_id: i64, idempotency: &Idempotency, done: &[StepDone]) -> Outcome<()> {
        self.connection
            .prepare_cached("INSERT INTO idempotency (key, request, answer) VALUES (?1, ?2, ?3)")?
            .execute(params![
                idempotency_key(topic_id, &idempotency.key),
                idempotency.request,
                encode_answer(done)
            ])?;
        Ok(())
    }

    fn audit(
        &self,
        topic_id: i64,
        actor: &Arc<str>,
        step: &Step,
        offset: Option<Offset>,
    ) -> Outcome<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit (topic_id, at_ms, actor, action, entry_id, change_offset)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                topic_id,
                millis(self.at),
                actor.as_ref(),
                step.name(),
                step.entry().map(EntryId::as_str),
                offset.map(sql)
            ])?;
        Ok(())
    }

    fn check_free(&self, topic_id: i64, id: &EntryId) -> Outcome<()> {
        let taken = rows::entry(self.connection, topic_id, id)?.is_some()
            || rows::held(self.connection, topic_id, id)?.is_some();
        if taken { Err(Refused::EntryExists(id.clone()).into()) } else { Ok(()) }
    }

    fn standing(&self, topic_id: i64, id: &EntryId, expect: Option<u64>) -> Outcome<EntryRow> {
        let entry = rows::entry(self.connection, topic_id, id)?
            .ok_or_else(|| Refused::NoEntry(id.clone()))?;
        if entry.retracted {
            return Err(Refused::EntryRetracted(id.clone()).into());
        }
        check_revision(entry.revision, expect)?;
        Ok(entry)
    }

    fn held(&self, topic_id: i64, id: &EntryId, expect: Option<u64>) -> Outcome<HeldRow> {
        let held = rows::held(self.connection, topic_id, id)?
            .ok_or_else(|| Refused::NoEntry(id.clone()))?;
        check_revision(held.write.revision, expect)?;
        Ok(held)
    }
}

fn check_revision(current: u64, expect: Option<u64>) -> Outcome<()> {
    match expect {
        Some(expect) if expect != current => Err(Refused::Stale { current }.into()),
        _ => Ok(()),
    }
}
