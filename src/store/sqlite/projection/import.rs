//! Topics of a single node as records of a shared log, and such records as rows again.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::{EntryId, Epoch, Offset, TopicName, encode_redacted};
use crate::store::sqlite::rows::{
    self, OFFSET_MAX, entry_id, kind_code, kind_of, offset_of, row_key, sql, timestamp_of, unsql,
};
use crate::store::{Record, Rows};

/// About how many bytes of rows go into one record.
const RECORD_BYTES_MAX: usize = 256 << 10;

/// The rows of a topic in the database of a single node, with its epoch, in parts that go into one record each.
///
/// # Errors
/// When the database can't be read.
pub fn export_rows(
    connection: &Connection,
    topic: &TopicName,
) -> rusqlite::Result<Option<(Epoch, Vec<Rows>)>> {
    let Some(row) = rows::topic_row(connection, topic)? else {
        return Ok(None);
    };
    let document = document(connection, row.id)?;
    let mut parts = Parts::default();
    log_rows(connection, row.id, &mut parts)?;
    other_rows(connection, row.id, &mut parts)?;
    let mut parts = parts.0;
    // With the last part, so that the topic is as it was once all of them are there.
    match parts.last_mut() {
        Some(last) => last.topic = Some(document),
        None => parts.push(Rows {
            topic: Some(document),
            ..Rows::default()
        }),
    }
    Ok(Some((row.epoch, parts)))
}

type Document = (u64, bool, bool, String, String);

fn document(connection: &Connection, id: i64) -> rusqlite::Result<Document> {
    connection.query_row(
        "SELECT revision, ended, private, doc, raw FROM topic WHERE id = ?1",
        [id],
        |row| {
            Ok((
                unsql(row.get(0)?),
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        },
    )
}

/// Changes and entries.
fn log_rows(connection: &Connection, id: i64, parts: &mut Parts) -> rusqlite::Result<()> {
    let range = [row_key(id, 0), row_key(id, OFFSET_MAX)];
    each(connection, CHANGES, &range, |row| {
        let json: String = row.get(5)?;
        let room = parts.room(json.len());
        room.changes.push((
            offset_of(row.get(0)?),
            row.get(1)?,
            row.get(2)?,
            entry_id(row, 3)?,
            row.get::<_, Option<i64>>(4)?.map(unsql),
            json,
        ));
        Ok(())
    })?;
    each(connection, ENTRIES, &range, |row| {
        let raw: String = row.get(7)?;
        parts.room(raw.len()).entries.push((
            offset_of(row.get(0)?),
            some(entry_id(row, 1)?)?,
            unsql(row.get(2)?),
            unsql(row.get(3)?),
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            raw,
        ));
        Ok(())
    })
}

/// Held entries, idempotency keys and the audit trail.
fn other_rows(connection: &Connection, id: i64, parts: &mut Parts) -> rusqlite::Result<()> {
    each(connection, HELD, &[id], |row| {
        let (doc, raw): (String, String) = (row.get(5)?, row.get(6)?);
        parts.room(doc.len() + raw.len()).held.push((
            some(entry_id(row, 0)?)?,
            unsql(row.get(1)?),
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            doc,
            raw,
        ));
        Ok(())
    })?;
    each(connection, KEYS, &[id], |row| {
        let answer: String = row.get(2)?;
        let room = parts.room(answer.len() + 160);
        room.keys.push((row.get(0)?, row.get(1)?, answer));
        Ok(())
    })?;
    let range = [row_key(id, 0), row_key(id, OFFSET_MAX)];
    each(connection, AUDIT, &range, |row| {
        parts.room(120).audit.push((
            offset_of(row.get(0)?),
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            entry_id(row, 4)?,
            row.get::<_, Option<i64>>(5)?.map(unsql),
        ));
        Ok(())
    })
}

/// Inserts one part of a topic.
pub(super) fn insert(
    connection: &Connection,
    record: &Record,
    part: &Rows,
) -> rusqlite::Result<()> {
    let id = topic_id(connection, &record.topic, &record.epoch)?;
    let mut head = None;
    for (offset, at_ms, kind, entry, previous, json) in &part.changes {
        insert_change(
            connection,
            record,
            id,
            (*offset, *at_ms),
            *kind,
            entry.as_ref(),
            *previous,
            json,
        )?;
        head = Some(*offset);
    }
    if let Some(head) = head {
        connection.execute(
            "UPDATE topic SET head = ?2 WHERE id = ?1",
            params![id, sql(head)],
        )?;
    }
    insert_entries(connection, id, part)?;
    insert_others(connection, id, part)?;
    if let Some((revision, ended, private, doc, raw)) = &part.topic {
        connection.execute(
            "UPDATE topic SET revision = ?2, ended = ?3, private = ?4, doc = ?5, raw = ?6 WHERE id = ?1",
            params![id, sql(*revision), ended, private, doc, raw],
        )?;
    }
    Ok(())
}

/// Inserts entries and held entries.
fn insert_entries(connection: &Connection, id: i64, part: &Rows) -> rusqlite::Result<()> {
    for (first, entry, revision, last, retracted, key_event, pinned, raw) in &part.entries {
        connection
            .prepare_cached(
                "INSERT INTO entry (key, topic_id, entry_id, revision, last, retracted, key_event, pinned, raw)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                row_key(id, *first), id, entry.as_str(), sql(*revision), sql(*last),
                rows::retracted_code(*retracted, raw), key_event, pinned, raw
            ])?;
    }
    for (entry, revision, released_ms, key_event, pinned, doc, raw) in &part.held {
        connection
            .prepare_cached(
                "INSERT INTO held (topic_id, entry_id, revision, released_ms, key_event, pinned, doc, raw)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                id, entry.as_str(), sql(*revision), released_ms, key_event, pinned, doc, raw
            ])?;
    }
    Ok(())
}

/// Inserts idempotency keys and the audit trail.
fn insert_others(connection: &Connection, id: i64, part: &Rows) -> rusqlite::Result<()> {
    for (key, request, answer) in &part.keys {
        connection
            .prepare_cached(
                "INSERT INTO idempotency (topic_id, key, request, answer) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![id, key, request, answer])?;
    }
    for (number, at_ms, actor, action, entry, offset) in &part.audit {
        connection
            .prepare_cached(
                "INSERT INTO audit (key, at_ms, actor, action, entry_id, change_offset)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                row_key(id, *number),
                at_ms,
                actor,
                action,
                entry.as_ref().map(EntryId::as_str),
                offset.map(sql)
            ])?;
    }
    Ok(())
}

const CHANGES: &str = "SELECT key, at_ms, kind, entry_id, previous, json FROM change
    WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
const ENTRIES: &str =
    "SELECT key, entry_id, revision, last, retracted, key_event, pinned, raw FROM entry
    WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
const HELD: &str = "SELECT entry_id, revision, released_ms, key_event, pinned, doc, raw FROM held
    WHERE topic_id = ?1 ORDER BY id";
const KEYS: &str = "SELECT key, request, answer FROM idempotency WHERE topic_id = ?1 ORDER BY key";
const AUDIT: &str = "SELECT key, at_ms, actor, action, entry_id, change_offset FROM audit
    WHERE key BETWEEN ?1 AND ?2 ORDER BY key";

/// Parts that are filled one after the other.
#[derive(Default)]
struct Parts(Vec<Rows>, usize);

impl Parts {
    fn room(&mut self, bytes: usize) -> &mut Rows {
        self.1 += bytes + 64;
        if self.0.is_empty() || self.1 > RECORD_BYTES_MAX {
            self.0.push(Rows::default());
            self.1 = bytes + 64;
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

fn each(
    connection: &Connection,
    query: &str,
    range: &[i64],
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let mut found = statement.query(rusqlite::params_from_iter(range))?;
    while let Some(row) = found.next()? {
        take(row)?;
    }
    Ok(())
}

fn some<T>(value: Option<T>) -> rusqlite::Result<T> {
    value.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn topic_id(connection: &Connection, topic: &TopicName, epoch: &Epoch) -> rusqlite::Result<i64> {
    let known = connection
        .query_row(
            "SELECT id FROM topic WHERE name = ?1",
            [topic.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection.execute(
        "INSERT INTO topic (name, epoch, head, revision, ended, private, doc, raw)
         VALUES (?1, ?2, 0, 1, 0, 1, '{}', '{}')",
        params![topic.as_str(), epoch.as_str()],
    )?;
    Ok(connection.last_insert_rowid())
}

#[expect(clippy::too_many_arguments, reason = "one row of one table")]
fn insert_change(
    connection: &Connection,
    record: &Record,
    id: i64,
    (offset, at_ms): (Offset, i64),
    kind: i64,
    entry: Option<&EntryId>,
    previous: Option<Offset>,
    json: &str,
) -> rusqlite::Result<()> {
    let at: Timestamp = timestamp_of(at_ms);
    let erased = entry
        .filter(|_| json.is_empty())
        .map(|entry| encode_redacted(&record.topic, offset, at, entry));
    let kind = match erased {
        Some(_) => kind_code(crate::model::ChangeKind::EntryRedacted),
        None => kind_of(kind).map_or(kind, kind_code),
    };
    let json = erased.as_deref().unwrap_or(json);
    connection
        .prepare_cached(
            "INSERT INTO change (key, at_ms, kind, entry_id, previous, crc, json)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            row_key(id, offset),
            at_ms,
            kind,
            entry.map(EntryId::as_str),
            previous.map(sql),
            crc32fast::hash(json.as_bytes()),
            json
        ])
        .map(drop)
}
