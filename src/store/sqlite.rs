//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer thread with group commit, pooled readers.
//!
//! Appends queue to the writer, which takes whatever waits into one transaction (natural batching: while one commit
//! syncs, the next group gathers), commits once, and only then answers and feeds. Any SQL tool can look into the file
//! `tenbells.db` of the data folder; its tables are described in docs/operations.md.

mod backup;
mod reads;
mod schema;
mod steps;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::mpsc;

pub use backup::{backup_folder, restore_folder};
pub use schema::{OpenError, SCHEMA_VERSION};

use self::reads::ReaderPool;
use self::writer::{Command, Writer};
use super::{
    Append, AuditRecord, Committed, EntryPage, EntryQuery, HeldEntry, ReadError, ReadLimit, Receipt,
    Refused, Remembered, Store, StoreOptions, StoredChange, StoredEntry, StoredTopic,
};
use crate::clock::Clock;
use crate::model::{ChangeKind, EntryId, Offset, TopicName};

/// Name of the database in the data folder.
pub const DATABASE_FILE: &str = "tenbells.db";

/// Bits of a change's key that hold the offset; the bits above hold the topic's number.
const OFFSET_BITS: u32 = 40;

/// The embedded store of one data folder.
pub struct SqliteStore {
    path: PathBuf,
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    queue_max: usize,
    readers: ReaderPool,
    feed: Mutex<Option<mpsc::Receiver<Vec<Committed>>>>,
    failed: Arc<OnceLock<String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    _lock: std::fs::File,
}

impl SqliteStore {
    /// Opens the data folder, making it and its schema where they are not there yet.
    ///
    /// # Errors
    /// [`OpenError`] when another process has the folder, the schema is newer than this program, or SQLite refuses.
    pub fn open(
        folder: &Path,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let lock = schema::lock_folder(folder)?;
        let path = folder.join(DATABASE_FILE);
        let connection = schema::open_writer(&path)?;
        let (sender, receiver) = mpsc::channel(options.queue_max);
        let (feed_sender, feed_receiver) = mpsc::channel(options.feed_batches_max);
        let failed = Arc::new(OnceLock::new());
        let writer = Writer::new(connection, options, clock, feed_sender, Arc::clone(&failed));
        let thread = std::thread::Builder::new()
            .name("tenbells-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(OpenError::Folder)?;
        Ok(Arc::new(Self {
            readers: ReaderPool::new(path.clone()),
            path,
            queue: Mutex::new(Some(sender)),
            queue_max: options.queue_max,
            feed: Mutex::new(Some(feed_receiver)),
            failed,
            writer: Mutex::new(Some(thread)),
            _lock: lock,
        }))
    }

    /// Finishes what is queued, folds the WAL into the database and stops the writer. Appends after it are refused.
    pub fn close(&self) {
        drop(lock(&self.queue).take());
        if let Some(thread) = lock(&self.writer).take() {
            // A writer that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }

    fn send(&self, command: Command) -> Result<(), Refused> {
        let stopped = || Refused::Failed("the store is closed".into());
        let queue = lock(&self.queue).clone().ok_or_else(stopped)?;
        queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy(self.queue_max),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }
}

impl Store for SqliteStore {
    fn append(&self, append: Append) -> Receipt {
        let (reply, receipt) = Receipt::channel();
        match self.send(Command::Append(Box::new(append), reply)) {
            Ok(()) => receipt,
            Err(refused) => Receipt::refused(refused),
        }
    }

    fn read(
        &self,
        topic: &TopicName,
        after: Offset,
        limit: ReadLimit,
    ) -> Result<Vec<StoredChange>, ReadError> {
        self.readers.with(|connection| reads::changes(connection, topic, after, limit))
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        self.readers.with(|connection| reads::topic(connection, topic))
    }

    fn topics(&self, after: Option<&TopicName>, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        self.readers.with(|connection| reads::topics(connection, after, limit))
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        self.readers.with(|connection| reads::entry(connection, topic, id))
    }

    fn entries(&self, topic: &TopicName, query: &EntryQuery) -> Result<Option<EntryPage>, ReadError> {
        self.readers.with(|connection| reads::entries(connection, topic, query))
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        self.readers.with(|connection| reads::held(connection, topic, limit))
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        self.readers.with(|connection| reads::remembered(connection, topic, key))
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        self.readers.with(|connection| reads::audit(connection, topic, limit))
    }

    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>> {
        lock(&self.feed).take()
    }

    fn compact(&self) -> Result<bool, ReadError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(Command::Compact(reply)).map_err(|refused| ReadError::Medium(refused.to_string()))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(ReadError::Medium("the store stopped".into())))
    }

    fn backup(&self, target: &Path) -> Result<(), ReadError> {
        backup::copy_database(&self.path, target)
    }

    fn failed(&self) -> Option<String> {
        self.failed.get().cloned()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The key of a change or entry row: topics side by side, offsets in order within each.
fn row_key(topic_id: i64, offset: Offset) -> i64 {
    (topic_id << OFFSET_BITS) | i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The offset in a row's key.
fn offset_of(key: i64) -> Offset {
    u64::try_from(key & ((1 << OFFSET_BITS) - 1)).unwrap_or(0)
}

/// The number that stands for a kind of change in the database.
fn kind_code(kind: ChangeKind) -> i64 {
    match kind {
        ChangeKind::EntryPublished => 1,
        ChangeKind::EntryRevised => 2,
        ChangeKind::EntryRetracted => 3,
        ChangeKind::EntryRedacted => 4,
        ChangeKind::TopicUpdated => 5,
    }
}

fn kind_of(code: i64) -> Option<ChangeKind> {
    ChangeKind::ALL.into_iter().find(|kind| kind_code(*kind) == code)
}

fn timestamp_of(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn medium(error: &rusqlite::Error) -> ReadError {
    ReadError::Medium(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What these mutexes guard is replaced whole, never left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key under which an idempotency row is kept: topic number and a fingerprint of the caller's key.
fn idempotency_row(topic_id: i64, key: &str) -> [u8; 24] {
    use sha2::{Digest, Sha256};
    let mut row = [0; 24];
    row[..8].copy_from_slice(&topic_id.to_be_bytes());
    row[8..].copy_from_slice(&Sha256::digest(key.as_bytes())[..16]);
    row
}

fn topic_id(connection: &Connection, topic: &TopicName) -> rusqlite::Result<Option<i64>> {
    use rusqlite::OptionalExtension;
    connection
        .prepare_cached("SELECT id FROM topic WHERE name = ?1")?
        .query_row([topic.as_str()], |row| row.get(0))
        .optional()
}
