//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer thread with group commit, pooled readers.
//!
//! Appends queue to the writer, which takes whatever waits into one transaction (natural batching: while one commit
//! syncs, the next group gathers), commits once, and only then answers and feeds. Any SQL tool can look into the file
//! `tenbells.db` of the data folder; its tables are described in docs/operations.md.

mod backup;
pub mod detach;
mod projection;
mod reading;
mod reads;
mod rows;
mod schema;
mod seal;
mod steps;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

pub use backup::{BackupError, Restored, backup_folder, restore_folder};
pub use detach::SingleNode;
pub use projection::{
    Applied, ApplyError, Arrived, Erasure, Lost, Projection, Standing, TopicStanding, Trial,
};
pub use reading::Reading;
pub use schema::{OpenError, SCHEMA_VERSION};

use self::writer::{Command, Writer};
use super::{
    Append, AuditRecord, Committed, EntryPage, EntryQuery, HeldEntry, KeepName, NumberedPage,
    PickNumbers, ReadError, ReadLimit, Receipt, Refused, Remembered, Store, StoreOptions,
    StoredChange, StoredEntry, StoredTopic,
};
use crate::clock::Clock;
use crate::model::{EntryId, Offset, TopicName};

/// Name of the database in the data folder.
pub const DATABASE_FILE: &str = "tenbells.db";

/// The embedded store of one data folder.
pub struct SqliteStore {
    folder: PathBuf,
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    queue_max: usize,
    reading: Reading,
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
        seal::take_off(folder, &path)?;
        let connection = schema::open_writer(&path)?;
        if projection::is_projection(&connection)? {
            return Err(OpenError::IsProjection(folder.display().to_string()));
        }
        let (sender, receiver) = mpsc::channel(options.queue_max);
        let (feed_sender, feed_receiver) = mpsc::channel(options.feed_batches_max);
        let failed = Arc::new(OnceLock::new());
        let writer = Writer::new(connection, options, clock, feed_sender, Arc::clone(&failed));
        let thread = std::thread::Builder::new()
            .name("tenbells-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(OpenError::Folder)?;
        Ok(Arc::new(Self {
            reading: Reading::new(path),
            folder: folder.to_owned(),
            queue: Mutex::new(Some(sender)),
            queue_max: options.queue_max,
            feed: Mutex::new(Some(feed_receiver)),
            failed,
            writer: Mutex::new(Some(thread)),
            _lock: lock,
        }))
    }

    /// Finishes what is queued, folds the WAL into the database and stops the writer. Appends after it are refused.
    ///
    /// Whoever took the feed has to read it until its end, or drop it: the writer waits for that.
    pub fn close(&self) {
        drop(lock(&self.queue).take());
        // A feed that nobody took must not hold up the writer's last groups.
        drop(lock(&self.feed).take());
        if let Some(thread) = lock(&self.writer).take() {
            // A writer that panicked has nothing left to finish, and what it leaves is not sealed.
            if thread.join().is_ok() && self.failed.get().is_none() {
                self.seal();
            }
        }
    }

    /// So that the next start can tell whether the database is still what it is now.
    fn seal(&self) {
        if let Err(error) = seal::put(&self.folder, &self.folder.join(DATABASE_FILE)) {
            tracing::warn!(%error, "the database is not sealed: the next start can't tell whether it was altered");
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
        self.reading.read(topic, after, limit)
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        self.reading.topic(topic)
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.reading.topics(after, limit)
    }

    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        self.reading.newest_topics(limit)
    }

    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.reading.newest_named(keep, limit)
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        self.reading.entry(topic, id)
    }

    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        self.reading.entries(topic, query)
    }

    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        self.reading.numbered(topic, around, pick)
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        self.reading.held(topic, limit)
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        self.reading.remembered(topic, key)
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        self.reading.audit(topic, limit)
    }

    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>> {
        lock(&self.feed).take()
    }

    fn compact(&self) -> Result<bool, ReadError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.send(Command::Compact(reply))
            .map_err(|refused| ReadError::Medium(refused.to_string()))?;
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err(ReadError::Medium("the store stopped".into())))
    }

    fn backup(&self, target: &Path) -> Result<(), ReadError> {
        backup_folder(&self.folder, target).map_err(|error| ReadError::Medium(error.to_string()))
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What these mutexes guard is replaced whole, never left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
