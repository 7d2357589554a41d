//! Rows of the tables: how values of the model are written to them and read back by the writer.
//!
//! Changes and entries are keyed by topic number and offset in one integer, so that a topic's rows lie side by side.
//! The writer's steps and the readers share what stands here; neither rules nor transactions are known here.

mod codes;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) use self::codes::{
    OFFSET_BITS, OFFSET_MAX, encode_answer, entry_id, epoch, kind_code, kind_of, offset_of,
    row_key, sql, timestamp_of, topic_name, unsql,
};
use self::codes::{bad, decode_answer};
use crate::model::{EntryId, Epoch, Offset, TopicName, millis};
use crate::store::{EntryWrite, NewTopic, StepDone};

/// What the writer keeps in memory of a topic.
#[derive(Debug, Clone)]
pub(super) struct TopicRow {
    pub(super) id: i64,
    pub(super) epoch: Epoch,
    pub(super) head: Offset,
    pub(super) revision: u64,
    pub(super) ended: bool,
    /// Number of its newest audit row, from 1.
    pub(super) audited: u64,
}

/// In the column `retracted`: not retracted yet as far as the log was read, but its body is gone already.
const ERASED: i64 = 2;

/// What a step has to know of a released or retracted entry.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub(super) key: i64,
    pub(super) revision: u64,
    pub(super) last: Offset,
    pub(super) retracted: bool,
    /// Its body is gone from the shared log that is being read; its retraction comes later in there.
    pub(super) erased: bool,
}

/// A held entry, as it will be published.
#[derive(Debug)]
pub(super) struct HeldRow {
    pub(super) id: i64,
    pub(super) write: EntryWrite,
}

pub(super) fn insert_topic(
    connection: &Connection,
    topic: &TopicName,
    new: &NewTopic,
) -> rusqlite::Result<TopicRow> {
    connection
        .prepare_cached(
            "INSERT INTO topic (name, epoch, head, revision, ended, private, doc, raw)
             VALUES (?1, ?2, 0, 1, 0, ?3, ?4, ?5)",
        )?
        .execute(params![
            topic.as_str(),
            new.epoch.as_str(),
            new.private,
            new.doc,
            new.raw
        ])?;
    Ok(TopicRow {
        id: connection.last_insert_rowid(),
        epoch: new.epoch.clone(),
        head: 0,
        revision: 1,
        ended: false,
        audited: 0,
    })
}

pub(super) fn update_topic(
    connection: &Connection,
    row: &TopicRow,
    private: bool,
    doc: &str,
    raw: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE topic SET revision = ?2, ended = ?3, private = ?4, doc = ?5, raw = ?6
             WHERE id = ?1",
        )?
        .execute(params![
            row.id,
            sql(row.revision),
            row.ended,
            private,
            doc,
            raw
        ])?;
    Ok(())
}

pub(super) fn topic_row(
    connection: &Connection,
    topic: &TopicName,
) -> rusqlite::Result<Option<TopicRow>> {
    let Some(mut found) = connection
        .prepare_cached("SELECT id, epoch, head, revision, ended FROM topic WHERE name = ?1")?
        .query_row([topic.as_str()], |row| {
            Ok(TopicRow {
                id: row.get(0)?,
                epoch: epoch(row, 1)?,
                head: unsql(row.get(2)?),
                revision: unsql(row.get(3)?),
                ended: row.get(4)?,
                audited: 0,
            })
        })
        .optional()?
    else {
        return Ok(None);
    };
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(key) FROM audit WHERE key BETWEEN ?1 AND ?2")?
        .query_row(
            [row_key(found.id, 0), row_key(found.id, OFFSET_MAX)],
            |row| row.get(0),
        )?;
    found.audited = newest.map_or(0, offset_of);
    Ok(Some(found))
}

/// JSON of the topic document.
pub(super) fn topic_doc(connection: &Connection, topic_id: i64) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT doc FROM topic WHERE id = ?1")?
        .query_row([topic_id], |row| row.get(0))
}

pub(super) fn topic_id(
    connection: &Connection,
    topic: &TopicName,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM topic WHERE name = ?1")?
        .query_row([topic.as_str()], |row| row.get(0))
        .optional()
}

pub(super) fn insert_entry(
    connection: &Connection,
    topic_id: i64,
    write: &EntryWrite,
    offset: Offset,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entry
                 (key, topic_id, entry_id, revision, last, retracted, key_event, pinned, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?9, ?6, ?7, ?8)",
        )?
        .execute(params![
            row_key(topic_id, offset),
            topic_id,
            write.id.as_str(),
            sql(write.revision),
            sql(offset),
            write.key_event,
            write.pinned,
            write.raw,
            if write.is_erased() { ERASED } else { 0 }
        ])?;
    Ok(())
}

/// Notes that the body of an entry is gone from the shared log that is being read.
pub(super) fn erase_entry(
    connection: &Connection,
    key: i64,
    revision: u64,
    offset: Offset,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE entry SET revision = ?4, last = ?2, retracted = ?3, key_event = 0, pinned = 0, raw = ''
             WHERE key = ?1",
        )?
        .execute(params![key, sql(offset), ERASED, sql(revision)])?;
    Ok(())
}

pub(super) fn update_entry(
    connection: &Connection,
    key: i64,
    write: &EntryWrite,
    offset: Offset,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE entry SET revision = ?2, last = ?3, key_event = ?4, pinned = ?5, raw = ?6
             WHERE key = ?1",
        )?
        .execute(params![
            key,
            sql(write.revision),
            sql(offset),
            write.key_event,
            write.pinned,
            write.raw
        ])?;
    Ok(())
}

pub(super) fn entry(
    connection: &Connection,
    topic_id: i64,
    id: &EntryId,
) -> rusqlite::Result<Option<EntryRow>> {
    connection
        .prepare_cached(
            "SELECT key, revision, last, retracted FROM entry
             WHERE topic_id = ?1 AND entry_id = ?2",
        )?
        .query_row(params![topic_id, id.as_str()], |row| {
            Ok(EntryRow {
                key: row.get(0)?,
                revision: unsql(row.get(1)?),
                last: unsql(row.get(2)?),
                retracted: row.get(3)?,
                erased: row.get::<_, i64>(3)? == ERASED,
            })
        })
        .optional()
}

pub(super) fn insert_held(
    connection: &Connection,
    topic_id: i64,
    write: &EntryWrite,
    until: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO held
                 (topic_id, entry_id, revision, released_ms, key_event, pinned, doc, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            topic_id,
            write.id.as_str(),
            sql(write.revision),
            millis(until),
            write.key_event,
            write.pinned,
            write.doc,
            write.raw
        ])?;
    Ok(())
}

pub(super) fn update_held(
    connection: &Connection,
    id: i64,
    write: &EntryWrite,
    until: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE held SET revision = ?2, released_ms = ?3, key_event = ?4, pinned = ?5,
                 doc = ?6, raw = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            sql(write.revision),
            millis(until),
            write.key_event,
            write.pinned,
            write.doc,
            write.raw
        ])?;
    Ok(())
}

pub(super) fn delete_held(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM held WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

pub(super) fn held(
    connection: &Connection,
    topic_id: i64,
    id: &EntryId,
) -> rusqlite::Result<Option<HeldRow>> {
    connection
        .prepare_cached(
            "SELECT id, revision, key_event, pinned, doc, raw FROM held
             WHERE topic_id = ?1 AND entry_id = ?2",
        )?
        .query_row(params![topic_id, id.as_str()], |row| {
            Ok(HeldRow {
                id: row.get(0)?,
                write: EntryWrite {
                    id: id.clone(),
                    revision: unsql(row.get(1)?),
                    key_event: row.get(2)?,
                    pinned: row.get(3)?,
                    doc: row.get(4)?,
                    raw: row.get(5)?,
                    request: None,
                },
            })
        })
        .optional()
}

/// Notes that bytes of a body that is gone may be left in the file.
pub(super) fn note_unswept(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO unswept (id) VALUES (1)")?
        .execute([])?;
    Ok(())
}

/// Whether bytes of bodies that are gone may be left in the file.
pub(super) fn unswept(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM unswept)")?
        .query_row([], |row| row.get(0))
}

/// The request that an idempotency key stands for, and how it was answered.
pub(super) fn idempotency(
    connection: &Connection,
    topic_id: i64,
    key: &str,
) -> rusqlite::Result<Option<([u8; 32], Vec<StepDone>)>> {
    connection
        .prepare_cached("SELECT request, answer FROM idempotency WHERE topic_id = ?1 AND key = ?2")?
        .query_row(params![topic_id, key], |row| {
            let answer = decode_answer(row.get_ref(1)?.as_str()?).map_err(bad(1))?;
            Ok((row.get(0)?, answer))
        })
        .optional()
}

pub(super) fn forget_key(
    connection: &Connection,
    topic_id: i64,
    key: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM idempotency WHERE topic_id = ?1 AND key = ?2")?
        .execute(params![topic_id, key])
        .map(drop)
}

/// The column `retracted` of an entry that was brought over from elsewhere.
pub(super) fn retracted_code(retracted: bool, raw: &str) -> i64 {
    if retracted {
        1
    } else if raw.is_empty() {
        ERASED
    } else {
        0
    }
}
