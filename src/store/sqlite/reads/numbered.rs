//! Entries by their numbers, counted from the oldest of the topic.
//!
//! Their count comes from the narrow index of ids. A range is found from whichever end of the topic is nearer, so that the
//! newest entries of a long topic, which nearly everybody asks for, cost no walk through the others.

use rusqlite::{Connection, OptionalExtension, params};

use super::entries::{ENTRY_COLUMNS, LAST_CHANGE, entry_of};
use super::{Read, broken, topic_with_id};
use crate::model::{EntryId, TopicName};
use crate::store::sqlite::rows::{OFFSET_MAX, row_key, sql, unsql};
use crate::store::{NumberedPage, PickNumbers, Shelf};

/// As [`crate::store::Store::numbered`] says.
pub(in crate::store::sqlite) fn numbered(
    connection: &Connection,
    topic: &TopicName,
    around: Option<&EntryId>,
    pick: &PickNumbers<'_>,
) -> Read<Option<NumberedPage>> {
    let transaction = connection.unchecked_transaction().map_err(broken)?;
    let Some((id, stored)) = topic_with_id(&transaction, topic)? else {
        return Ok(None);
    };
    let shelf = Shelf {
        count: count(&transaction, id)?,
        around: around
            .map(|entry| number_of(&transaction, id, entry))
            .transpose()?
            .flatten(),
        ended: stored.ended,
    };
    let (first, length) = shelf.clamp(&pick(&shelf));
    let behind = (shelf.count + 1).saturating_sub(first + length);
    let before = first - 1;
    let (order, skipped) = if behind <= before {
        ("DESC", behind)
    } else {
        ("ASC", before)
    };
    let select = format!(
        "SELECT {ENTRY_COLUMNS} FROM entry e {LAST_CHANGE} WHERE e.key IN (
             SELECT key FROM entry WHERE key > ?1 AND key <= ?2 ORDER BY key {order} LIMIT ?3 OFFSET ?4
         ) ORDER BY e.key DESC"
    );
    let mut statement = transaction.prepare_cached(&select).map_err(broken)?;
    let mut found = statement
        .query(params![
            row_key(id, 0),
            row_key(id, OFFSET_MAX),
            sql(length),
            sql(skipped)
        ])
        .map_err(broken)?;
    let mut entries = Vec::new();
    while let Some(row) = found.next().map_err(broken)? {
        entries.push(entry_of(row, topic)?);
    }
    Ok(Some(NumberedPage {
        topic: stored,
        shelf,
        first,
        entries,
    }))
}

fn count(connection: &Connection, topic: i64) -> Read<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM entry INDEXED BY entry_by_id WHERE topic_id = ?1")
        .and_then(|mut statement| statement.query_row([topic], |row| row.get(0)))
        .map(unsql)
        .map_err(broken)
}

fn number_of(connection: &Connection, topic: i64, entry: &EntryId) -> Read<Option<u64>> {
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM entry WHERE topic_id = ?1 AND entry_id = ?2")
        .and_then(|mut statement| {
            statement
                .query_row(params![topic, entry.as_str()], |row| row.get(0))
                .optional()
        })
        .map_err(broken)?;
    let Some(key) = key else {
        return Ok(None);
    };
    connection
        .prepare_cached("SELECT count(*) FROM entry WHERE key > ?1 AND key <= ?2")
        .and_then(|mut statement| statement.query_row([row_key(topic, 0), key], |row| row.get(0)))
        .map(|number| Some(unsql(number)))
        .map_err(broken)
}
