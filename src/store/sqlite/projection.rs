//! A data folder that follows a log which several nodes share: its rows are what the log's records come to.
//!
//! Records are applied by the same steps that the embedded store takes, in one transaction with the sequence of the
//! last one. What a node wants to append it tries here first, and takes that back. Where records come from and how one
//! is published is not known here.

mod applying;
mod contents;
mod cutting;
mod import;
mod tables;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

pub use self::applying::{Applied, ApplyError, Arrived};
pub use self::contents::Erasure;
pub(super) use self::import::export_rows;
pub use self::tables::{Lost, Standing, TopicStanding};
pub(super) use self::tables::{drop_tables, is_projection};

use super::reading::Reading;
use super::reads::read_error;
use super::rows::{self, TopicRow};
use super::schema::OpenError;
use super::steps::{Group, StepError};
use super::{DATABASE_FILE, schema, sweep};
use crate::model::{TopicName, millis};
use crate::store::{Append, AppendError, Appended, ReadError, Record, What};

/// The rows that a shared log comes to, on this node.
pub struct Projection {
    folder: PathBuf,
    book: Mutex<Book>,
    reading: Reading,
    lock: Mutex<Option<File>>,
}

/// What writes the database.
struct Book {
    connection: Connection,
    topics: HashMap<TopicName, TopicRow>,
}

/// Appends as they would end, had they been stored.
#[derive(Debug)]
pub struct Trial {
    /// One for each append.
    pub outcomes: Vec<Result<Appended, AppendError>>,
    /// The record that makes them come true; none where nothing is to be stored.
    pub record: Option<Record>,
    /// Sequence of the topic's last record at the time: what they were tried on.
    pub prev: u64,
}

impl Projection {
    /// Opens the data folder, making it where it is not there yet.
    ///
    /// # Errors
    /// [`OpenError`], also when the folder holds what a single node wrote.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = schema::lock_folder(folder)?;
        let path = folder.join(DATABASE_FILE);
        let connection = schema::open_writer(&path)?;
        tables::prepare(&connection, folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            book: Mutex::new(Book {
                connection,
                topics: HashMap::new(),
            }),
            reading: Reading::new(path),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// The reads of the contract.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tries appends of one topic, and takes them back.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub fn attempt(
        &self,
        topic: &TopicName,
        appends: &[Append],
        now: Timestamp,
        topics_max: usize,
    ) -> Result<Trial, ReadError> {
        let book = self.lock();
        let connection = &book.connection;
        let tried = connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| attempt(connection, topic, appends, now, topics_max));
        let undone = connection.execute_batch("ROLLBACK");
        let trial = tried.map_err(|error| read_error(&error))?;
        undone.map_err(|error| read_error(&error))?;
        Ok(trial)
    }

    /// Sweeps out what retractions left: see [`crate::store::Store::compact`].
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn compact(&self) -> Result<bool, ReadError> {
        sweep::compact(&self.lock().connection).map_err(|error| read_error(&error))
    }

    /// Folds the write-ahead log in, and lets another process have the folder. Nothing may be applied after it.
    pub fn close(&self) {
        if let Err(error) = sweep::fold_in(&self.lock().connection) {
            tracing::warn!(%error, "the write-ahead log is not folded in yet; the next start does it");
        }
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A transaction that a panic left open makes the next BEGIN fail: nothing half done is ever committed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attempt(
    connection: &Connection,
    topic: &TopicName,
    appends: &[Append],
    now: Timestamp,
    topics_max: usize,
) -> rusqlite::Result<Trial> {
    let prev = tables::topic_standing(connection, topic)?.sequence;
    let before = rows::topic_row(connection, topic)?;
    let mut topics = HashMap::new();
    let mut group = Group::new(connection, &mut topics, now, topics_max);
    let mut outcomes = Vec::with_capacity(appends.len());
    let mut kept = Vec::new();
    let mut epoch = before.as_ref().map(|row| row.epoch.clone());
    for append in appends {
        let known = key_is_known(connection, topic, append)?;
        match group.apply(append.clone()) {
            Ok(appended) => {
                epoch.get_or_insert_with(|| appended.epoch.clone());
                let stores = !appended.replayed || (append.idempotency.is_some() && !known);
                if stores {
                    kept.push(without_earlier(append, &appended));
                }
                outcomes.push(Ok(appended));
            }
            Err(StepError::Refused(refused)) => {
                outcomes.push(Err(AppendError::NotStored(refused)));
            }
            Err(StepError::Sqlite(error)) => return Err(error),
        }
    }
    let record = epoch.filter(|_| !kept.is_empty()).map(|epoch| {
        let what = What::Appends(kept);
        let mut record = Record {
            v: what.version(),
            id: ulid::Ulid::generate().to_string(),
            node: String::new(),
            topic: topic.clone(),
            prev,
            epoch,
            first: before.map_or(0, |row| row.head) + 1,
            at_ms: millis(now),
            what,
        };
        record.erase_what_it_retracts();
        record
    });
    Ok(Trial {
        outcomes,
        record,
        prev,
    })
}

/// Whether the append's key was used before.
fn key_is_known(
    connection: &Connection,
    topic: &TopicName,
    append: &Append,
) -> rusqlite::Result<bool> {
    let Some(idempotency) = &append.idempotency else {
        return Ok(false);
    };
    let known = connection
        .prepare_cached(
            "SELECT 1 FROM idempotency WHERE key = ?2 AND topic_id = (SELECT id FROM topic WHERE name = ?1)",
        )?
        .query_row(params![topic.as_str(), idempotency.key], |_| Ok(()))
        .optional()?;
    Ok(known.is_some())
}

/// The append without the content of steps that are the answer to an earlier publish: nobody stores that.
fn without_earlier(append: &Append, appended: &Appended) -> Append {
    let mut append = append.clone();
    for index in &appended.earlier {
        if let Some(write) = append
            .steps
            .get_mut(*index)
            .and_then(|step| step.write_mut())
        {
            write.erase();
        }
    }
    append
}
