//! The reads of the contract: pooled connections, and a check of every change on its way out.
//!
//! A read of several rows runs in one transaction, so that what it gives was true at one moment. A change whose
//! checksum or number does not fit is [`ReadError::Corrupt`]: readers get no altered change and no silent hole.

mod entries;
mod numbered;
mod pool;

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

pub(super) use self::entries::{entries, entry, held};
pub(super) use self::numbered::numbered;
pub(super) use self::pool::ReaderPool;

use super::rows::{
    self, OFFSET_BITS, OFFSET_MAX, entry_id, kind_of, offset_of, row_key, sql, timestamp_of,
    topic_id, unsql,
};
use crate::model::{Offset, TopicName, is_change_of};
use crate::store::{
    AuditRecord, KeepName, ReadError, ReadLimit, Remembered, StoredChange, StoredTopic,
};

type Read<T> = Result<T, ReadError>;

const TOPIC_COLUMNS: &str = "name, epoch, head, revision, ended, private, doc, raw, id";

/// The changes behind `after`, as [`crate::store::Store::read`] says.
pub(super) fn changes(
    connection: &Connection,
    topic: &TopicName,
    after: Offset,
    limit: ReadLimit,
) -> Read<Vec<StoredChange>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    let Some((id, head)) = head(&transaction, topic)? else {
        return Ok(Vec::new());
    };
    if after >= head {
        return Ok(Vec::new());
    }
    let changes_max = u64::try_from(limit.changes_max.max(1)).unwrap_or(u64::MAX);
    let last = head.min(after.saturating_add(changes_max));
    let mut statement = transaction
        .prepare_cached(
            "SELECT c.key, c.kind, c.entry_id, c.crc, c.json FROM change c
             WHERE c.key > ?1 AND c.key <= ?2 ORDER BY c.key",
        )
        .map_err(broken)?;
    let mut found = statement
        .query([row_key(id, after), row_key(id, last)])
        .map_err(broken)?;
    let mut changes: Vec<StoredChange> = Vec::new();
    let mut bytes = 0_usize;
    for expected in after + 1..=last {
        let Some(row) = found
            .next()
            .map_err(|error| corrupt(&error, topic, expected))?
        else {
            return Err(hole(topic, expected));
        };
        let change = change_at(row, 0, topic, expected)?;
        bytes = bytes.saturating_add(change.json.len());
        if bytes > limit.bytes_max && !changes.is_empty() {
            break;
        }
        changes.push(change);
    }
    Ok(changes)
}

/// The topic with its head.
pub(super) fn topic(connection: &Connection, topic: &TopicName) -> Read<Option<StoredTopic>> {
    Ok(topic_with_id(connection, topic)?.map(|(_, topic)| topic))
}

/// Topics by name, behind `after`.
pub(super) fn topics(
    connection: &Connection,
    after: Option<&TopicName>,
    limit: usize,
) -> Read<Vec<StoredTopic>> {
    let query = format!("SELECT {TOPIC_COLUMNS} FROM topic WHERE name > ?1 ORDER BY name LIMIT ?2");
    connection
        .prepare_cached(&query)
        .and_then(|mut statement| {
            statement
                .query_map(
                    params![after.map_or("", TopicName::as_str), rows_max(limit)],
                    topic_of,
                )?
                .collect()
        })
        .map_err(broken)
}

/// Public topics that have a change, the one with the newest change first.
pub(super) fn newest_topics(connection: &Connection, limit: usize) -> Read<Vec<StoredTopic>> {
    // The inner query sorts without the documents, of which only those that are answered are read.
    let query = format!(
        "SELECT {TOPIC_COLUMNS} FROM topic JOIN (
             SELECT topic.id AS changed_id, change.at_ms AS changed_ms
             FROM topic JOIN change ON change.key = (topic.id << {OFFSET_BITS}) | topic.head
             WHERE topic.private = 0 ORDER BY changed_ms DESC, topic.name LIMIT ?1
         ) ON id = changed_id ORDER BY changed_ms DESC, name"
    );
    connection
        .prepare_cached(&query)
        .and_then(|mut statement| statement.query_map([rows_max(limit)], topic_of)?.collect())
        .map_err(broken)
}

/// Topics whose name is kept, the one with the newest change first.
pub(super) fn newest_named(
    connection: &Connection,
    keep: &KeepName<'_>,
    limit: usize,
) -> Read<Vec<StoredTopic>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    // The names alone are sorted: of the documents only those that are answered are read.
    let ids: Vec<i64> = {
        let query = format!(
            "SELECT topic.name, topic.id FROM topic
             LEFT JOIN change ON change.key = (topic.id << {OFFSET_BITS}) | topic.head
             ORDER BY change.at_ms DESC NULLS LAST, topic.name"
        );
        let mut statement = transaction.prepare_cached(&query).map_err(broken)?;
        let mut found = statement.query([]).map_err(broken)?;
        let mut ids = Vec::new();
        while ids.len() < limit
            && let Some(row) = found.next().map_err(broken)?
        {
            if keep(&rows::topic_name(row, 0).map_err(broken)?) {
                ids.push(row.get(1).map_err(broken)?);
            }
        }
        ids
    };
    let query = format!("SELECT {TOPIC_COLUMNS} FROM topic WHERE id = ?1");
    let mut statement = transaction.prepare_cached(&query).map_err(broken)?;
    ids.iter()
        .map(|id| statement.query_row([id], topic_of).map_err(broken))
        .collect()
}

/// What an idempotency key was answered with.
pub(super) fn remembered(
    connection: &Connection,
    topic: &TopicName,
    key: &str,
) -> Read<Option<Remembered>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    let Some(row) = rows::topic_row(&transaction, topic).map_err(broken)? else {
        return Ok(None);
    };
    let found = rows::idempotency(&transaction, row.id, key).map_err(broken)?;
    Ok(found.map(|(request, steps)| Remembered {
        request,
        steps,
        epoch: row.epoch,
    }))
}

/// The audit trail of a topic, newest first.
pub(super) fn audit(
    connection: &Connection,
    topic: &TopicName,
    limit: usize,
) -> Read<Vec<AuditRecord>> {
    let Some(id) = topic_id(connection, topic).map_err(broken)? else {
        return Ok(Vec::new());
    };
    let record = |row: &Row<'_>| {
        Ok(AuditRecord {
            at: timestamp_of(row.get(0)?),
            actor: row.get(1)?,
            action: row.get(2)?,
            entry: entry_id(row, 3)?,
            offset: row.get::<_, Option<i64>>(4)?.map(unsql),
        })
    };
    connection
        .prepare_cached(
            "SELECT at_ms, actor, action, entry_id, change_offset FROM audit
             WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT ?3",
        )
        .and_then(|mut statement| {
            let range = params![row_key(id, 0), row_key(id, OFFSET_MAX), rows_max(limit)];
            statement.query_map(range, record)?.collect()
        })
        .map_err(broken)
}

/// Number and document of a topic.
fn topic_with_id(connection: &Connection, topic: &TopicName) -> Read<Option<(i64, StoredTopic)>> {
    let query = format!("SELECT {TOPIC_COLUMNS} FROM topic WHERE name = ?1");
    connection
        .prepare_cached(&query)
        .and_then(|mut statement| {
            statement
                .query_row([topic.as_str()], |row| Ok((row.get(8)?, topic_of(row)?)))
                .optional()
        })
        .map_err(broken)
}

fn topic_of(row: &Row<'_>) -> rusqlite::Result<StoredTopic> {
    Ok(StoredTopic {
        name: rows::topic_name(row, 0)?,
        epoch: rows::epoch(row, 1)?,
        head: unsql(row.get(2)?),
        revision: unsql(row.get(3)?),
        ended: row.get(4)?,
        private: row.get(5)?,
        doc: row.get(6)?,
        raw: row.get(7)?,
    })
}

fn head(connection: &Connection, topic: &TopicName) -> Read<Option<(i64, Offset)>> {
    connection
        .prepare_cached("SELECT id, head FROM topic WHERE name = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([topic.as_str()], |row| {
                    Ok((row.get(0)?, unsql(row.get(1)?)))
                })
                .optional()
        })
        .map_err(broken)
}

/// The change whose columns begin at `first`, when it is whole and has the offset that is expected.
fn change_at(
    row: &Row<'_>,
    first: usize,
    topic: &TopicName,
    expected: Offset,
) -> Read<StoredChange> {
    let bad =
        |what: String| ReadError::Corrupt(format!("topic {topic}, offset {expected}: {what}"));
    let column = |error: rusqlite::Error| corrupt(&error, topic, expected);
    if offset_of(row.get(first).map_err(column)?) != expected {
        return Err(hole(topic, expected));
    }
    let code: i64 = row.get(first + 1).map_err(column)?;
    let crc: i64 = row.get(first + 3).map_err(column)?;
    let json = row
        .get_ref(first + 4)
        .and_then(|json| Ok(json.as_bytes()?))
        .map_err(column)?;
    if i64::from(crc32fast::hash(json)) != crc {
        return Err(bad("the checksum does not fit".into()));
    }
    let json = str::from_utf8(json).map_err(|error| bad(error.to_string()))?;
    let kind = kind_of(code).ok_or_else(|| bad(format!("{code} is no kind of change")))?;
    let entry = entry_id(row, first + 2).map_err(column)?;
    // The checksum is of the JSON alone.
    if !is_change_of(json, topic, expected, kind, entry.as_ref()) {
        return Err(bad("what stands beside it is of another change".into()));
    }
    Ok(StoredChange {
        offset: expected,
        kind,
        entry,
        json: Arc::from(json),
    })
}

fn hole(topic: &TopicName, offset: Offset) -> ReadError {
    ReadError::Corrupt(format!(
        "topic {topic}, offset {offset}: the change is missing"
    ))
}

fn corrupt(error: &rusqlite::Error, topic: &TopicName, offset: Offset) -> ReadError {
    match read_error(error) {
        ReadError::Corrupt(what) => {
            ReadError::Corrupt(format!("topic {topic}, offset {offset}: {what}"))
        }
        medium => medium,
    }
}

/// What an error of SQLite means to whoever reads.
pub(super) fn read_error(error: &rusqlite::Error) -> ReadError {
    use rusqlite::Error;
    let corrupt = match error {
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => true,
        other => matches!(
            other.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    };
    if corrupt {
        ReadError::Corrupt(error.to_string())
    } else {
        ReadError::Medium(error.to_string())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err takes"
)]
fn broken(error: rusqlite::Error) -> ReadError {
    read_error(&error)
}

fn rows_max(limit: usize) -> i64 {
    sql(u64::try_from(limit).unwrap_or(u64::MAX))
}
