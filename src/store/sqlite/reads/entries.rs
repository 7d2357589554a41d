//! Reads of entries: one, a snapshot page, and what is held.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Read, broken, change_at, rows_max, topic_with_id};
use crate::model::{EntryId, Offset, TopicName};
use crate::store::sqlite::rows::{
    self, OFFSET_MAX, entry_id, offset_of, row_key, timestamp_of, topic_id, unsql,
};
use crate::store::{
    EntryFilter, EntryPage, EntryQuery, EntryState, HeldEntry, ReadError, StoredEntry,
};

/// The columns of an entry `e` and its last change `c`, in the order that [`entry_of`] reads.
pub(super) const ENTRY_COLUMNS: &str = "e.key, e.entry_id, e.revision, e.last, e.retracted, e.raw, c.key, c.kind, c.entry_id, c.crc, c.json";
/// An entry's key has the topic's number in its upper 24 bits, and so has the key of its last change.
pub(super) const LAST_CHANGE: &str = "LEFT JOIN change c ON c.key = ((e.key >> 40) << 40) + e.last";

/// One entry: released, retracted or held.
pub(in crate::store::sqlite) fn entry(
    connection: &Connection,
    topic: &TopicName,
    id: &EntryId,
) -> Read<Option<StoredEntry>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    let Some(topic_id) = topic_id(&transaction, topic).map_err(broken)? else {
        return Ok(None);
    };
    let query = format!(
        "SELECT {ENTRY_COLUMNS} FROM entry e {LAST_CHANGE}
         WHERE e.topic_id = ?1 AND e.entry_id = ?2"
    );
    let mut statement = transaction.prepare_cached(&query).map_err(broken)?;
    let mut found = statement
        .query(params![topic_id, id.as_str()])
        .map_err(broken)?;
    if let Some(row) = found.next().map_err(broken)? {
        return entry_of(row, topic).map(Some);
    }
    transaction
        .prepare_cached(
            "SELECT revision, released_ms, doc, raw FROM held
             WHERE topic_id = ?1 AND entry_id = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![topic_id, id.as_str()], |row| {
                    let released_at = timestamp_of(row.get(1)?);
                    Ok(StoredEntry {
                        id: id.clone(),
                        revision: unsql(row.get(0)?),
                        state: EntryState::Held {
                            released_at,
                            doc: row.get(2)?,
                        },
                        raw: row.get(3)?,
                    })
                })
                .optional()
        })
        .map_err(broken)
}

/// A snapshot page and the topic with the head at which it is true.
pub(in crate::store::sqlite) fn entries(
    connection: &Connection,
    topic: &TopicName,
    query: &EntryQuery,
) -> Read<Option<EntryPage>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    let Some((id, stored)) = topic_with_id(&transaction, topic)? else {
        return Ok(None);
    };
    // Without the hint the planner may walk all entries of the topic to find a handful.
    let (index, filter) = match query.filter {
        EntryFilter::All => ("", ""),
        EntryFilter::KeyEvents => ("INDEXED BY entry_key_event", "AND e.key_event = 1"),
        EntryFilter::Pinned => ("INDEXED BY entry_pinned", "AND e.pinned = 1"),
    };
    let select = format!(
        "SELECT {ENTRY_COLUMNS} FROM entry e {index} {LAST_CHANGE}
         WHERE e.key > ?1 AND e.key <= ?2 {filter} ORDER BY e.key DESC LIMIT ?3"
    );
    let newest = query
        .before
        .map_or(OFFSET_MAX, |before| before.saturating_sub(1));
    let range = params![
        row_key(id, 0),
        row_key(id, newest),
        rows_max(query.limit.saturating_add(1))
    ];
    let mut statement = transaction.prepare_cached(&select).map_err(broken)?;
    let mut found = statement.query(range).map_err(broken)?;
    let mut entries = Vec::new();
    let mut more = false;
    while let Some(row) = found.next().map_err(broken)? {
        if entries.len() == query.limit {
            more = true;
            break;
        }
        entries.push(entry_of(row, topic)?);
    }
    Ok(Some(EntryPage {
        topic: stored,
        entries,
        more,
    }))
}

/// The held entries of `topic`, or of all topics, the next to be released first.
pub(in crate::store::sqlite) fn held(
    connection: &Connection,
    topic: Option<&TopicName>,
    limit: usize,
) -> Read<Vec<HeldEntry>> {
    let of_one = if topic.is_some() {
        "t.name = ?1"
    } else {
        "?1 IS NULL"
    };
    let query = format!(
        "SELECT t.name, h.entry_id, h.revision, h.released_ms, h.doc
         FROM held h JOIN topic t ON t.id = h.topic_id
         WHERE {of_one} AND h.doc <> '' ORDER BY h.released_ms, h.id LIMIT ?2"
    );
    let record = |row: &Row<'_>| {
        Ok(HeldEntry {
            topic: rows::topic_name(row, 0)?,
            id: entry_id(row, 1)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            revision: unsql(row.get(2)?),
            released_at: timestamp_of(row.get(3)?),
            doc: row.get(4)?,
        })
    };
    connection
        .prepare_cached(&query)
        .and_then(|mut statement| {
            let topic = topic.map(TopicName::as_str);
            statement
                .query_map(params![topic, rows_max(limit)], record)?
                .collect()
        })
        .map_err(broken)
}

pub(super) fn entry_of(row: &Row<'_>, topic: &TopicName) -> Read<StoredEntry> {
    let first: Offset = offset_of(row.get(0).map_err(broken)?);
    let last = unsql(row.get(3).map_err(broken)?);
    let missing = || {
        ReadError::Corrupt(format!(
            "topic {topic}, offset {last}: the change is missing"
        ))
    };
    let id = entry_id(row, 1).map_err(broken)?.ok_or_else(missing)?;
    if row.get::<_, Option<i64>>(6).map_err(broken)?.is_none() {
        return Err(missing());
    }
    let change = change_at(row, 6, topic, last)?.json;
    let retracted = row.get(4).map_err(broken)?;
    Ok(StoredEntry {
        id,
        revision: unsql(row.get(2).map_err(broken)?),
        state: if retracted {
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
        raw: row.get(5).map_err(broken)?,
    })
}
