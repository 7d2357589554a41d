//! Applying records: in the order of the log, each whole, each where it says that it lands.

use rusqlite::Connection;

use super::{Book, Projection, contents, cutting, import, tables};
use crate::model::{Epoch, Offset, TopicName};
use crate::store::sqlite::reads::read_error;
use crate::store::sqlite::rows::{self, timestamp_of};
use crate::store::sqlite::steps::{Group, StepError};
use crate::store::{Committed, RECORD_VERSION, ReadError, Record, Refused, What};

/// A record with its place in the log.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Its sequence.
    pub sequence: u64,
    /// The record, with or without what was erased.
    pub record: Record,
}

/// What applying records came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// The changes, in order.
    pub committed: Vec<Committed>,
    /// Ids of the records.
    pub records: Vec<String>,
    /// Whether content is to be erased from the log.
    pub erases: bool,
}

/// Why records can't be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A record doesn't fit what is here: the log is not the one that this projection follows.
    #[error("record {record} at sequence {sequence} of topic {topic} does not fit: {why}")]
    Diverged {
        /// Where it stands.
        sequence: u64,
        /// Its id.
        record: String,
        /// Its topic.
        topic: TopicName,
        /// What does not fit.
        why: String,
    },
    /// A newer program wrote it.
    #[error(
        "the record at sequence {sequence} has version {found}, this tenbells knows up to {RECORD_VERSION}: use the version that the other nodes have"
    )]
    Newer {
        /// Where it stands.
        sequence: u64,
        /// Its version.
        found: u8,
    },
    /// The database.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(read_error(&error))
    }
}

impl Projection {
    /// Applies records in one transaction; those that are applied already are left.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of them is applied then.
    pub fn apply(&self, arrived: Vec<Arrived>) -> Result<Applied, ApplyError> {
        let mut book = self.lock();
        book.connection.execute_batch("BEGIN IMMEDIATE")?;
        let outcome = apply_all(&mut book, arrived).and_then(|applied| {
            book.connection.execute_batch("COMMIT")?;
            Ok(applied)
        });
        if outcome.is_err() {
            book.topics.clear();
            if !book.connection.is_autocommit() {
                book.connection.execute_batch("ROLLBACK")?;
            }
        }
        outcome
    }
}

fn apply_all(book: &mut Book, arrived: Vec<Arrived>) -> Result<Applied, ApplyError> {
    let mut applied = Applied::default();
    let mut last = tables::standing(&book.connection)?.sequence;
    for Arrived { sequence, record } in arrived {
        if sequence <= last {
            continue;
        }
        if record.v > RECORD_VERSION {
            let found = record.v;
            return Err(ApplyError::Newer { sequence, found });
        }
        let id = record.id.clone();
        if let What::Lost(topics) = &record.what {
            cutting::cut(book, sequence, &record, topics, &mut applied)?;
        } else {
            let topic = record.topic.clone();
            apply_one(book, sequence, record, &mut applied)?;
            tables::advance_topic(&book.connection, &topic, sequence, &id)?;
        }
        tables::advance(&book.connection, sequence, &id)?;
        applied.records.push(id);
        last = sequence;
    }
    Ok(applied)
}

fn apply_one(
    book: &mut Book,
    sequence: u64,
    record: Record,
    applied: &mut Applied,
) -> Result<(), ApplyError> {
    let diverged = |why: String| ApplyError::Diverged {
        sequence,
        record: record.id.clone(),
        topic: record.topic.clone(),
        why,
    };
    let place = check_place(book, &record).map_err(|error| match error {
        Misplaced::Diverged(why) => diverged(why),
        Misplaced::Sqlite(error) => error.into(),
    })?;
    applied.erases |= contents::note(&book.connection, sequence, &record)?;
    let Book { connection, topics } = book;
    match place {
        Place::Fits => {}
        Place::EndsLoss => cutting::settle(connection, &record.topic)?,
        Place::BehindLoss(epoch) => {
            let mut group = Group::new(connection, topics, timestamp_of(record.at_ms), usize::MAX);
            salvage(&mut group, sequence, &record, &epoch)?;
            applied.committed.extend(group.finish()?);
            return Ok(());
        }
    }
    if let What::Import(rows) = &record.what {
        topics.remove(&record.topic);
        return Ok(import::insert(connection, &record, rows)?);
    }
    let mut group = Group::new(connection, topics, timestamp_of(record.at_ms), usize::MAX);
    let done = match &record.what {
        What::Renumber => group.renumber(&record.topic, &record.epoch),
        What::Appends(appends) => appends
            .iter()
            .try_for_each(|append| group.apply(append.clone()).map(drop)),
        What::Import(_) | What::Lost(_) => Ok(()),
    };
    match done {
        Ok(()) => applied.committed.extend(group.finish()?),
        Err(StepError::Refused(refused)) => return Err(diverged(refusal(&refused))),
        Err(StepError::Sqlite(error)) => return Err(error.into()),
    }
    Ok(())
}

/// Does what can be done of a record whose author knew a record that is lost.
fn salvage(
    group: &mut Group<'_>,
    sequence: u64,
    record: &Record,
    epoch: &Epoch,
) -> rusqlite::Result<()> {
    match &record.what {
        What::Appends(appends) => appends
            .iter()
            .try_for_each(|append| group.salvage(append, epoch)),
        // The topic has another numbering by now, which is as new.
        What::Renumber | What::Lost(_) => Ok(()),
        What::Import(_) => {
            tracing::error!(
                topic = %record.topic, sequence,
                "rows that were brought over from a single node are left out: those before them are lost"
            );
            Ok(())
        }
    }
}

/// Where a record lands.
enum Place {
    /// Where it says.
    Fits,
    /// Where it says, as the first in the numbering that was begun behind a loss.
    EndsLoss,
    /// In a topic that misses a record which its author knew, and goes on in this numbering.
    BehindLoss(Epoch),
}

enum Misplaced {
    Diverged(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Misplaced {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Whether a record lands where it says.
fn check_place(book: &Book, record: &Record) -> Result<Place, Misplaced> {
    let new = cutting::new_numbering(&book.connection, &record.topic)?;
    let standing = tables::topic_standing(&book.connection, &record.topic)?;
    let follows = standing.sequence == record.prev
        || (new.is_some() && cutting::is_hole(&book.connection, record.prev)?);
    if !follows {
        return Err(Misplaced::Diverged(format!(
            "it follows sequence {}, the topic is at {}",
            record.prev, standing.sequence
        )));
    }
    let head = head(&book.connection, book.topics.get(&record.topic), record)?;
    let is_cut = new.is_some();
    if let Some(new) = new
        && head.1.as_ref() != Some(&record.epoch)
    {
        return Ok(Place::BehindLoss(new));
    }
    if matches!(record.what, What::Import(_)) {
        return Ok(Place::Fits);
    }
    match head {
        (at, Some(epoch)) if matches!(record.what, What::Appends(_)) && epoch != record.epoch => {
            Err(Misplaced::Diverged(format!(
                "it is of epoch {}, the topic of {epoch} at offset {at}",
                record.epoch
            )))
        }
        (at, _) if at + 1 != record.first => Err(Misplaced::Diverged(format!(
            "its first offset is {}, the topic is at {at}",
            record.first
        ))),
        _ if is_cut => Ok(Place::EndsLoss),
        _ => Ok(Place::Fits),
    }
}

fn head(
    connection: &Connection,
    known: Option<&rows::TopicRow>,
    record: &Record,
) -> rusqlite::Result<(Offset, Option<Epoch>)> {
    let row = match known {
        Some(row) => Some(row.clone()),
        None => rows::topic_row(connection, &record.topic)?,
    };
    Ok(row.map_or((0, None), |row| (row.head, Some(row.epoch))))
}

fn refusal(refused: &Refused) -> String {
    format!("its author was not refused, but here {refused}")
}
