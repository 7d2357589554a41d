//! Which records of the log have content of which entry, and what is still to be erased there.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::Projection;
use crate::model::{EntryId, TopicName};
use crate::store::sqlite::reads::read_error;
use crate::store::sqlite::rows::{entry_id, sql, unsql};
use crate::store::{ReadError, Record, Step, What};

/// A record that content is to be taken out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its sequence.
    pub sequence: u64,
    /// The entries whose content has to go.
    pub entries: Vec<EntryId>,
}

/// Notes what a record has, and what it makes to be erased. Whether it makes anything so.
pub(super) fn note(
    connection: &Connection,
    sequence: u64,
    record: &Record,
) -> rusqlite::Result<bool> {
    let mut erases = false;
    match &record.what {
        What::Appends(appends) => {
            for step in appends.iter().flat_map(|append| &append.steps) {
                match step {
                    Step::Retract { id, .. } | Step::DropHeld { id, .. } => {
                        erases |= doom(connection, &record.topic, id, sequence)?;
                    }
                    other => {
                        if let Some(write) = other.write().filter(|write| !write.is_erased()) {
                            have(connection, &record.topic, &write.id, sequence)?;
                        }
                    }
                }
            }
        }
        What::Renumber | What::Lost(_) => {}
        What::Import(rows) => {
            for id in rows.contents() {
                have(connection, &record.topic, id, sequence)?;
            }
        }
    }
    Ok(erases)
}

fn have(
    connection: &Connection,
    topic: &TopicName,
    id: &EntryId,
    sequence: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO shared_content (topic, entry_id, sequence) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![topic.as_str(), id.as_str(), sql(sequence)])
        .map(drop)
}

/// Notes that all earlier records with content of the entry have to lose it.
fn doom(
    connection: &Connection,
    topic: &TopicName,
    id: &EntryId,
    sequence: u64,
) -> rusqlite::Result<bool> {
    let doomed = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO shared_erasure (sequence, entry_id)
             SELECT sequence, entry_id FROM shared_content
             WHERE topic = ?1 AND entry_id = ?2 AND sequence < ?3",
        )?
        .execute(params![topic.as_str(), id.as_str(), sql(sequence)])?;
    connection
        .prepare_cached("DELETE FROM shared_content WHERE topic = ?1 AND entry_id = ?2")?
        .execute(params![topic.as_str(), id.as_str()])?;
    Ok(doomed > 0)
}

impl Projection {
    /// What is still to be erased from the log, oldest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn erasures(&self, limit: usize) -> Result<Vec<Erasure>, ReadError> {
        let book = self.lock();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<(u64, EntryId)>> {
            connection
                .prepare_cached(
                    "SELECT sequence, entry_id FROM shared_erasure ORDER BY sequence LIMIT ?1",
                )?
                .query_map([sql(u64::try_from(limit).unwrap_or(u64::MAX))], |row| {
                    let id = entry_id(row, 1)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                    Ok((unsql(row.get(0)?), id))
                })?
                .collect()
        };
        let found = read(&book.connection).map_err(|error| read_error(&error))?;
        let mut by_sequence: BTreeMap<u64, Vec<EntryId>> = BTreeMap::new();
        for (sequence, id) in found {
            by_sequence.entry(sequence).or_default().push(id);
        }
        Ok(by_sequence
            .into_iter()
            .map(|(sequence, entries)| Erasure { sequence, entries })
            .collect())
    }

    /// How many contents are still to be erased from the log.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn erasures_left(&self) -> Result<u64, ReadError> {
        self.lock()
            .connection
            .query_row("SELECT count(*) FROM shared_erasure", [], |row| {
                row.get(0).map(unsql)
            })
            .map_err(|error| read_error(&error))
    }

    /// Notes that this was erased.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn erased(&self, erasure: &Erasure) -> Result<(), ReadError> {
        let book = self.lock();
        let forget = |id: &EntryId| {
            book.connection
                .prepare_cached("DELETE FROM shared_erasure WHERE sequence = ?1 AND entry_id = ?2")?
                .execute(params![sql(erasure.sequence), id.as_str()])
        };
        erasure
            .entries
            .iter()
            .try_for_each(|id| forget(id).map(drop))
            .map_err(|error| read_error(&error))
    }
}
