//! A record that no node has any more: topics that may have lost changes by that go on in a new numbering.
//!
//! What the log still has of them was written by nodes that knew the lost record, in the numbering from before. As much
//! of it is applied as what is here allows, at new offsets. The first record in the new numbering ends that: whoever wrote
//! it had the same rows as all others.

use rusqlite::{Connection, OptionalExtension};

use super::applying::{Applied, ApplyError};
use super::{Book, Projection};
use crate::model::{Epoch, TopicName};
use crate::store::sqlite::reads::read_error;
use crate::store::sqlite::rows::{self, sql, timestamp_of, unsql};
use crate::store::sqlite::steps::{Group, StepError};
use crate::store::{ReadError, Record};

/// Puts a record that is lost behind: these topics begin a new numbering.
pub(super) fn cut(
    book: &mut Book,
    sequence: u64,
    record: &Record,
    lost: &[TopicName],
    applied: &mut Applied,
) -> Result<(), ApplyError> {
    let Book { connection, topics } = book;
    connection.execute(
        "INSERT OR IGNORE INTO shared_hole (sequence) VALUES (?1)",
        [sql(sequence)],
    )?;
    let mut group = Group::new(connection, topics, timestamp_of(record.at_ms), usize::MAX);
    for topic in lost {
        connection.execute(
            "INSERT OR REPLACE INTO shared_cut (name, epoch) VALUES (?1, ?2)",
            [topic.as_str(), record.epoch.as_str()],
        )?;
        match group.renumber(topic, &record.epoch) {
            // Refused where there is no such topic: then the record that made it is lost.
            Ok(()) | Err(StepError::Refused(_)) => {}
            Err(StepError::Sqlite(error)) => return Err(error.into()),
        }
        tracing::error!(
            %topic, sequence, epoch = %record.epoch,
            "the log has lost a record: this topic may miss changes, goes on in a new epoch, and its readers are reset"
        );
    }
    applied.committed.extend(group.finish()?);
    Ok(())
}

/// The new numbering that a topic goes on in while no record has been written in it yet.
pub(super) fn new_numbering(
    connection: &Connection,
    topic: &TopicName,
) -> rusqlite::Result<Option<Epoch>> {
    connection
        .prepare_cached("SELECT epoch FROM shared_cut WHERE name = ?1")?
        .query_row([topic.as_str()], |row| rows::epoch(row, 0))
        .optional()
}

/// Whether the record at this sequence is lost.
pub(super) fn is_hole(connection: &Connection, sequence: u64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM shared_hole WHERE sequence = ?1)")?
        .query_row([sql(sequence)], |row| row.get(0))
}

/// A record was written in the new numbering: none of the old one can follow.
pub(super) fn settle(connection: &Connection, topic: &TopicName) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM shared_cut WHERE name = ?1")?
        .execute([topic.as_str()])
        .map(drop)
}

impl Projection {
    /// The sequences of records that are lost and put behind.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn holes(&self) -> Result<Vec<u64>, ReadError> {
        let book = self.lock();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<u64>> {
            connection
                .prepare_cached("SELECT sequence FROM shared_hole ORDER BY sequence")?
                .query_map([], |row| row.get(0).map(unsql))?
                .collect()
        };
        read(&book.connection).map_err(|error| read_error(&error))
    }

    /// The topics of which a record was applied, by name.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn topics_in_log(&self) -> Result<Vec<TopicName>, ReadError> {
        let book = self.lock();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<TopicName>> {
            connection
                .prepare_cached("SELECT name FROM shared_topic ORDER BY name")?
                .query_map([], |row| rows::topic_name(row, 0))?
                .collect()
        };
        read(&book.connection).map_err(|error| read_error(&error))
    }
}
