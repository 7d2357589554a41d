//! How each store is opened for the contract's cases, and opened again.

use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;
use tenbells::clock::ManualClock;
use tenbells::store::jetstream::JetStreamStore;
use tenbells::store::memory::MemoryStore;
use tenbells::store::sqlite::SqliteStore;
use tenbells::store::{Committed, Store, StoreOptions};
use tokio::sync::mpsc;

use crate::support::nats;

/// A store under test.
pub trait Fixture: Sized {
    /// A new, empty store.
    fn open(options: StoreOptions, clock: ManualClock) -> Self;

    /// The store.
    fn store(&self) -> &dyn Store;

    /// Closes the store and opens it again with what it kept; none where a store keeps nothing.
    fn reopen(self) -> Option<Self>;

    /// Whether what the store needs is missing here, so that its cases are skipped.
    fn is_missing() -> bool {
        false
    }

    /// A new, empty store with the default bounds, whose clock stands at [`start`].
    fn new() -> Self {
        Self::open(StoreOptions::default(), ManualClock::new(start()))
    }
}

/// The memory store.
pub struct MemoryFixture(Arc<MemoryStore>);

impl Fixture for MemoryFixture {
    fn open(options: StoreOptions, clock: ManualClock) -> Self {
        Self(MemoryStore::open(options, Arc::new(clock)))
    }

    fn store(&self) -> &dyn Store {
        self.0.as_ref()
    }

    fn reopen(self) -> Option<Self> {
        None
    }
}

/// The embedded store, in a folder of its own.
pub struct SqliteFixture {
    // Dropped before its folder.
    store: Arc<SqliteStore>,
    folder: TempDir,
    options: StoreOptions,
    clock: ManualClock,
}

impl SqliteFixture {
    fn open_in(folder: TempDir, options: StoreOptions, clock: ManualClock) -> Self {
        let store = SqliteStore::open(folder.path(), options, Arc::new(clock.clone()))
            .expect("a data folder");
        Self {
            store,
            folder,
            options,
            clock,
        }
    }
}

impl Fixture for SqliteFixture {
    fn open(options: StoreOptions, clock: ManualClock) -> Self {
        Self::open_in(tempfile::tempdir().expect("a folder"), options, clock)
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn reopen(self) -> Option<Self> {
        self.store.close();
        drop(self.store);
        Some(Self::open_in(self.folder, self.options, self.clock))
    }
}

/// The store of a cluster's node, with a log of its own.
pub struct JetStreamFixture {
    // Dropped before its folder.
    store: Arc<JetStreamStore>,
    folder: TempDir,
    prefix: String,
    options: StoreOptions,
    clock: ManualClock,
}

impl JetStreamFixture {
    fn open_in(folder: TempDir, prefix: String, options: StoreOptions, clock: ManualClock) -> Self {
        let store = JetStreamStore::open(
            folder.path(),
            nats::shared().options(&prefix, "node"),
            options,
            Arc::new(clock.clone()),
        )
        .expect("a log");
        Self {
            store,
            folder,
            prefix,
            options,
            clock,
        }
    }
}

impl Fixture for JetStreamFixture {
    fn open(options: StoreOptions, clock: ManualClock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::open_in(folder, nats::prefix(), options, clock)
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Half of the time with an empty folder: then all that it has comes from the log.
    fn reopen(self) -> Option<Self> {
        self.store.close();
        drop(self.store);
        let folder = if self.prefix.len().is_multiple_of(2) {
            self.folder
        } else {
            tempfile::tempdir().expect("a folder")
        };
        Some(Self::open_in(folder, self.prefix, self.options, self.clock))
    }

    fn is_missing() -> bool {
        nats::is_missing()
    }
}

/// The time at which the cases begin.
pub fn start() -> Timestamp {
    "2026-11-24T09:00:00Z".parse().expect("a time")
}

/// Closes the store and gives all that its feed had.
pub fn close_and_drain<F: Fixture>(
    fixture: F,
    feed: mpsc::Receiver<Vec<Committed>>,
) -> Vec<Committed> {
    // The writer may wait for room in the feed, and closing may wait for the writer.
    let reader = std::thread::spawn(move || drain(feed));
    drop(fixture);
    reader.join().expect("the feed's reader")
}

/// All that a feed has. Ends because a closed store ends its feed.
pub fn drain(mut feed: mpsc::Receiver<Vec<Committed>>) -> Vec<Committed> {
    let mut all = Vec::new();
    while let Some(batch) = feed.blocking_recv() {
        assert!(
            !batch.is_empty(),
            "an empty batch wakes the broker for nothing"
        );
        all.extend(batch);
    }
    all
}
