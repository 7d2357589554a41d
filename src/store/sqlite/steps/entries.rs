//! The steps that are about an entry: publish, hold, revise, release, retract, drop, keep.
//!
//! Each checks first and writes then, so a refusal leaves nothing behind of its own. A retraction walks back through
//! all changes of its entry, so that no body stays in the log.

use jiff::Timestamp;
use rusqlite::params;

use super::{Group, Outcome};
use crate::model::{ChangeBody, ChangeKind, EntryId, Offset, TopicName, encode_redacted};
use crate::store::sqlite::rows::{
    self, EntryRow, HeldRow, TopicRow, kind_code, row_key, sql, timestamp_of, unsql,
};
use crate::store::{EntryWrite, Refused, StepDone, entry_key};

impl Group<'_> {
    pub(super) fn publish(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
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
        row: &mut TopicRow,
        write: &EntryWrite,
    ) -> Outcome<Offset> {
        let body = if write.is_erased() {
            ChangeBody::Redacted(&write.id)
        } else {
            ChangeBody::Published(&write.doc)
        };
        let offset = self.append_change(topic, row, Some(&write.id), None, &body)?;
        rows::insert_entry(self.connection, row.id, write, offset)?;
        Ok(offset)
    }

    pub(super) fn hold(&self, row: &TopicRow, write: &EntryWrite, until: Timestamp) -> Outcome<()> {
        if row.ended {
            return Err(Refused::TopicEnded.into());
        }
        self.check_free(row.id, &write.id)?;
        Ok(rows::insert_held(self.connection, row.id, write, until)?)
    }

    pub(super) fn revise(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
        write: &EntryWrite,
        expect: u64,
    ) -> Outcome<Offset> {
        let entry = self.standing(row.id, &write.id, Some(expect))?;
        let erased = entry.erased || write.is_erased();
        let body = if erased {
            ChangeBody::Redacted(&write.id)
        } else {
            ChangeBody::Revised(&write.doc)
        };
        let offset = self.append_change(topic, row, Some(&write.id), Some(entry.last), &body)?;
        if erased {
            self.redact(topic, row.id, &write.id, offset)?;
            rows::erase_entry(self.connection, entry.key, write.revision, offset)?;
            return Ok(offset);
        }
        rows::update_entry(self.connection, entry.key, write, offset)?;
        Ok(offset)
    }

    pub(super) fn revise_held(
        &self,
        row: &TopicRow,
        write: &EntryWrite,
        expect: u64,
        until: Timestamp,
    ) -> Outcome<()> {
        let held = self.held(row.id, &write.id, Some(expect))?;
        Ok(rows::update_held(self.connection, held.id, write, until)?)
    }

    pub(super) fn release(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
        id: &EntryId,
    ) -> Outcome<Offset> {
        let held = self.held(row.id, id, None)?;
        rows::delete_held(self.connection, held.id)?;
        self.publish_unchecked(topic, row, &held.write)
    }

    pub(super) fn drop_held(
        &self,
        row: &TopicRow,
        id: &EntryId,
        expect: Option<u64>,
    ) -> Outcome<()> {
        let held = self.held(row.id, id, expect)?;
        rows::note_unswept(self.connection)?;
        rows::delete_held(self.connection, held.id)?;
        Ok(rows::forget_key(self.connection, row.id, &entry_key(id))?)
    }

    pub(super) fn retract(
        &mut self,
        topic: &TopicName,
        row: &mut TopicRow,
        id: &EntryId,
        reason: Option<&str>,
        expect: Option<u64>,
    ) -> Outcome<Offset> {
        let entry = self.standing(row.id, id, expect)?;
        self.redact(topic, row.id, id, entry.last)?;
        rows::note_unswept(self.connection)?;
        self.retracted.push((topic.clone(), id.clone()));
        let body = ChangeBody::Retracted(id, reason);
        let offset = self.append_change(topic, row, Some(id), Some(entry.last), &body)?;
        self.connection
            .prepare_cached(
                "UPDATE entry SET last = ?2, retracted = 1, key_event = 0, pinned = 0, raw = '' WHERE key = ?1",
            )?
            .execute(params![entry.key, sql(offset)])?;
        Ok(offset)
    }

    /// What stands, when its revision is `expect`.
    pub(super) fn keep(
        &self,
        row: &TopicRow,
        entry: Option<&EntryId>,
        expect: u64,
    ) -> Outcome<StepDone> {
        let (offset, doc) = match entry {
            None => {
                check_revision(row.revision, Some(expect))?;
                let doc = rows::topic_doc(self.connection, row.id)?;
                (Some(row.head), Some(doc.into()))
            }
            Some(id) => match rows::entry(self.connection, row.id, id)? {
                Some(logged) => {
                    check_revision(logged.revision, Some(expect))?;
                    (Some(logged.last), None)
                }
                None => {
                    self.held(row.id, id, Some(expect))?;
                    (None, None)
                }
            },
        };
        Ok(StepDone {
            entry: entry.cloned(),
            offset,
            doc,
        })
    }

    /// Walks back from the entry's last change and puts a redaction in the place of each.
    fn redact(&self, topic: &TopicName, topic_id: i64, id: &EntryId, last: Offset) -> Outcome<()> {
        let mut next = Some(last);
        while let Some(offset) = next {
            let key = row_key(topic_id, offset);
            let (at_ms, previous): (i64, Option<i64>) = self
                .connection
                // A chain that was damaged must not lead to another entry's changes, nor round in a circle.
                .prepare_cached(
                    "SELECT at_ms, previous FROM change
                     WHERE key = ?1 AND entry_id = ?2 AND coalesce(previous < ?3, 1)",
                )?
                .query_row(params![key, id.as_str(), sql(offset)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
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
        Ok(())
    }

    fn check_free(&self, topic_id: i64, id: &EntryId) -> Outcome<()> {
        let taken = rows::entry(self.connection, topic_id, id)?.is_some()
            || rows::held(self.connection, topic_id, id)?.is_some();
        if taken {
            Err(Refused::EntryExists(id.clone()).into())
        } else {
            Ok(())
        }
    }

    fn standing(&self, topic_id: i64, id: &EntryId, expect: Option<u64>) -> Outcome<EntryRow> {
        let entry = rows::entry(self.connection, topic_id, id)?
            .ok_or_else(|| Refused::NoEntry(id.clone()))?;
        if entry.retracted && !entry.erased {
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
