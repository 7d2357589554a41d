//! The log that many nodes share: a NATS JetStream stream, and a local projection of it that all reads go to.
//!
//! An append is tried on the projection, published as a record by compare-and-set on its topic's subject, and answered
//! once the record has come back and is applied. What moves heads is what the stream brings, whoever published it. The
//! design is in docs/adr/0008-one-log-for-many-nodes.md.

mod erasing;
mod holes;
mod lanes;
mod link;
mod members;
mod migrating;
mod nodes;
mod opening;
mod renewing;
mod sharing;
mod syncing;
mod tail;
mod version;
mod watching;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use self::link::Link;
pub use self::link::LinkError;
pub use self::migrating::{
    MigrateError, Migrated, to_cluster as migrate_to_cluster, to_single as migrate_to_single,
};
use self::nodes::Nodes;
pub use self::opening::JetStreamError;
pub use self::sharing::Shared;
use self::sharing::Versions;
use self::watching::Contact;
use super::sqlite::{Projection, backup_folder};
use super::{
    Append, AuditRecord, Committed, EntryPage, EntryQuery, HeldEntry, KeepName, NumberedPage,
    Peers, PickNumbers, ReadError, ReadLimit, Receipt, Refused, Remembered, Store, StoreOptions,
    StoredChange, StoredEntry, StoredTopic,
};
use crate::clock::Clock;
use crate::model::{EntryId, Offset, TopicName};

/// How long closing waits for the broker to take the last of its feed.
const FEED_WITHIN: Duration = Duration::from_secs(5);

/// How this node finds the log, and how long it waits for it.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The servers: `nats://host:port`. From three on the log has three replicas.
    pub servers: Vec<String>,
    /// File with the credentials of a NATS user.
    pub credentials: Option<PathBuf>,
    /// File with the authority that the servers' certificates are from; TLS is required then.
    pub ca: Option<PathBuf>,
    /// The first part of all subjects, and in capitals the name of the stream.
    pub prefix: String,
    /// The name of this node: no two nodes may have the same.
    pub node: String,
    /// Replicas of the streams where they are made; none leaves it to the number of servers.
    pub replicas: Option<usize>,
    /// How long the servers may take to answer at the start, and the projection to catch up.
    pub connect_timeout: Duration,
    /// How long an append may take.
    pub append_timeout: Duration,
    /// How long nothing may be heard of the log until this node counts as cut off.
    pub stale_after: Duration,
    /// The sequence of a lost record that this node may put behind although another node, which does not answer, may have it.
    pub accept_loss: Option<u64>,
}

/// The store of one node of a cluster.
pub struct JetStreamStore {
    inner: Arc<Inner>,
    feed: Mutex<Option<mpsc::Receiver<Vec<Committed>>>>,
    runtime: Mutex<Option<Runtime>>,
}

/// What the store's tasks share.
struct Inner {
    options: NatsOptions,
    bounds: StoreOptions,
    clock: Arc<dyn Clock>,
    projection: Projection,
    link: Link,
    /// Sequence of the last record that was applied.
    applied: watch::Sender<u64>,
    /// Held from the applying of records until the broker has been fed: closing waits for it, or a broker would wait for
    /// ever for what was acknowledged.
    taking_in: tokio::sync::Mutex<()>,
    /// Records of this node that are under way, and whether they were applied.
    mine: Mutex<HashMap<String, bool>>,
    lanes: Mutex<lanes::Lanes>,
    room: Arc<Semaphore>,
    contact: Mutex<Contact>,
    nodes: Nodes,
    versions: Versions,
    /// This node has something of its own to erase.
    erase: Notify,
    erasures: AtomicU64,
    /// Whether the servers sync each record before they acknowledge it; none where they don't say.
    synced: Option<bool>,
    failed: OnceLock<String>,
    closing: watch::Sender<bool>,
}

impl JetStreamStore {
    /// The other nodes.
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::clone(&self.inner) as _
    }

    /// Finishes what is queued and stops. Appends after it are refused.
    ///
    /// Whoever took the feed has to read it until its end, or drop it.
    pub fn close(&self) {
        // A feed that nobody took must not hold up the last groups.
        drop(lock(&self.feed).take());
        let Some(runtime) = lock(&self.runtime).take() else {
            return;
        };
        let inner = Arc::clone(&self.inner);
        // A thread of its own: this may be called where one must not block on another runtime.
        let stop = std::thread::spawn(move || {
            runtime.block_on(inner.stop());
            runtime.shutdown_timeout(Duration::from_secs(2));
        });
        if stop.join().is_err() {
            tracing::error!("stopping the store panicked");
        }
        self.inner.projection.close();
    }
}

impl Inner {
    /// Takes no more appends, waits for those that are under way, and ends the tasks.
    async fn stop(&self) {
        self.room.close();
        let end = tokio::time::Instant::now() + self.options.append_timeout;
        while !self.lanes_are_empty() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.leave().await;
        self.say_goodbye().await;
        // A broker that reads its feed no more doesn't hold this up for long.
        let _whole = tokio::time::timeout(FEED_WITHIN, self.taking_in.lock()).await;
        self.closing.send_replace(true);
    }

    /// Ends this node's part: it takes no more appends, and whoever runs it stops.
    fn fail(&self, reason: String) {
        tracing::error!(%reason, "the store has failed and takes no more appends");
        // The first reason is the one to tell.
        let _ = self.failed.set(reason);
    }

    /// Waits until the tasks have to end.
    async fn closed(&self) {
        // The sender lives as long as we do.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Runs a step on the projection on a thread that may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        step: impl FnOnce(&Projection) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let inner = Arc::clone(self);
        tokio::task::spawn_blocking(move || step(&inner.projection))
            .await
            .map_err(|error| ReadError::Medium(error.to_string()))
    }
}

impl Store for JetStreamStore {
    fn append(&self, append: Append) -> Receipt {
        let (reply, receipt) = Receipt::channel();
        let runtime = lock(&self.runtime)
            .as_ref()
            .map(|runtime| runtime.handle().clone());
        let queued = match runtime {
            Some(runtime) => self.inner.queue(&runtime, append, reply),
            None => Err(Refused::Failed("the store is closed".into())),
        };
        match queued {
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
        self.inner.projection.reading().read(topic, after, limit)
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        self.inner.projection.reading().topic(topic)
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.inner.projection.reading().topics(after, limit)
    }

    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        self.inner.projection.reading().newest_topics(limit)
    }

    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.inner.projection.reading().newest_named(keep, limit)
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        self.inner.projection.reading().entry(topic, id)
    }

    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        self.inner.projection.reading().entries(topic, query)
    }

    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        self.inner
            .projection
            .reading()
            .numbered(topic, around, pick)
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        self.inner.projection.reading().held(topic, limit)
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        self.inner.projection.reading().remembered(topic, key)
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        self.inner.projection.reading().audit(topic, limit)
    }

    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>> {
        lock(&self.feed).take()
    }

    fn compact(&self) -> Result<bool, ReadError> {
        self.inner.projection.compact()
    }

    fn backup(&self, target: &Path) -> Result<(), ReadError> {
        backup_folder(self.inner.projection.folder(), target)
            .map_err(|error| ReadError::Medium(error.to_string()))
    }

    fn failed(&self) -> Option<String> {
        self.inner.failed.get().cloned()
    }
}

impl Drop for JetStreamStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is replaced whole, never left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
