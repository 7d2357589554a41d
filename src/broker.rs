//! The broker: decides what a change is, has the store keep it, and moves the heads once it is kept.
//!
//! Publish never fans out by itself: the store's feed of committed changes is the only thing that advances a topic.
//! The broker knows no HTTP and no sockets; whoever delivers to readers is an [`Outlet`].

mod channel;
mod cursor;
mod desk;
mod desks;
mod document;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod numbered;
mod page;
mod peers;
mod publish;
mod read;
mod redactions;
mod registry;
mod release;
mod retract;
mod topics;

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};

pub use channel::{Channel, Presence, RingLimit, Walk};
pub use cursor::{ResetReason, Start, resolve};
pub use desk::{LastEntry, ListedTopic, Preview, Source};
pub use desks::{DESK_STAYS, DESKS_MAX, Desk, Desks, DesksError, TOPIC_DESKS_MAX};
pub use frame::Frame;
pub use numbered::Numbered;
pub use page::{PAGE_CHANGES, Page};
pub use publish::{Published, WriteError, WriteRequest};
pub use read::{Answer, Changes, EntryAnswer, Snapshot, entry_with_text};
pub use redactions::Redactions;
pub use retract::Retracted;
pub use topics::TopicAnswer;

use self::page::Pages;
use crate::clock::Clock;
use crate::model::TopicName;
use crate::store::{Peers, ReadError, Store};

/// Bounds of the broker.
#[derive(Debug, Clone, Copy)]
pub struct BrokerOptions {
    /// Bounds of each topic's ring.
    pub ring: RingLimit,
    /// Bytes of pages read from the store that are kept for all laggards together.
    pub page_bytes_max: usize,
    /// How long a topic without readers stays in memory.
    pub idle: Duration,
    /// How often embargoes are looked at, at the longest: how late a release can be.
    pub release_tick: Duration,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            ring: RingLimit {
                frames_max: 1_024,
                bytes_max: 8 << 20,
            },
            page_bytes_max: 64 << 20,
            idle: Duration::from_secs(300),
            release_tick: Duration::from_millis(500),
        }
    }
}

/// Who delivers to readers, and is told when a topic moved. Calls must return at once and may coalesce.
pub trait Outlet: Send + Sync + 'static {
    /// The head of `channel` moved: subscribers at the old head have something to get.
    fn advanced(&self, channel: &Arc<Channel>);

    /// Bodies were retracted, or the topic became private. Once no older byte can leave any more, drop the `ticket`.
    fn redacted(&self, channel: &Arc<Channel>, ticket: Ticket);

    /// The topic goes on in another numbering: its subscribers have to come back, and are told to reset then.
    fn retired(&self, channel: &Arc<Channel>);
}

/// Runs what blocks, which reads of the store do, somewhere else than on the runtime's threads.
pub trait Offload: Send + Sync + 'static {
    /// Runs `work`. The future ends when it has run.
    fn run(&self, work: Work) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What an [`Offload`] is given to run.
pub type Work = Box<dyn FnOnce() + Send>;

/// The runtime's own pool of threads.
struct BlockingPool;

/// Held by an outlet until it has let go of what was retracted.
#[derive(Debug, Clone)]
pub struct Ticket {
    _guard: mpsc::Sender<()>,
}

/// The broker of one node.
pub struct Broker {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    options: BrokerOptions,
    offload: Arc<dyn Offload>,
    channels: DashMap<TopicName, registry::Slot>,
    redactions: Redactions,
    pages: Pages,
    outlets: OnceLock<Vec<Arc<dyn Outlet>>>,
    compaction: tokio::sync::Notify,
    desks: Desks,
    peers: OnceLock<Arc<dyn Peers>>,
}

impl Broker {
    /// A broker on this store. Nothing moves until [`Broker::run`].
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, options: BrokerOptions) -> Arc<Self> {
        Self::with_offload(store, clock, options, Arc::new(BlockingPool))
    }

    /// [`Broker::new`], whose reads of the store are run by `offload`: a simulation keeps their order so.
    pub fn with_offload(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        options: BrokerOptions,
        offload: Arc<dyn Offload>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            options,
            offload,
            channels: DashMap::new(),
            redactions: Redactions::default(),
            pages: Pages::new(options.page_bytes_max),
            outlets: OnceLock::new(),
            compaction: tokio::sync::Notify::new(),
            desks: Desks::default(),
            peers: OnceLock::new(),
        })
    }

    /// Says who delivers. Once, before [`Broker::run`].
    pub fn set_outlets(&self, outlets: Vec<Arc<dyn Outlet>>) {
        if self.outlets.set(outlets).is_err() {
            tracing::warn!("outlets were set twice; the first ones stay");
        }
    }

    /// Advances heads from the store's feed, releases embargoes, evicts idle topics and compacts after retractions.
    /// Ends when the store closes its feed.
    ///
    /// # Cancel safety
    /// Dropping it stops the heads; what is committed meanwhile is read by the next start.
    pub async fn run(self: Arc<Self>) {
        let Some(feed) = self.store.take_feed() else {
            tracing::error!("the store's feed is taken already: this broker would never move");
            return;
        };
        tokio::select! {
            // None of them ends by itself but the first; a fixed order is one that a simulation can repeat.
            biased;
            () = self.follow(feed) => {}
            () = self.run_releases() => {}
            () = self.run_evictions() => {}
            () = self.run_compactions() => {}
            () = self.run_peers() => {}
        }
    }

    /// The store, for operating: readiness and backups.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The numbers of its retractions.
    pub fn redactions(&self) -> &Redactions {
        &self.redactions
    }

    /// Who is at which topic's desk.
    pub fn desks(&self) -> &Desks {
        &self.desks
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn outlets(&self) -> &[Arc<dyn Outlet>] {
        self.outlets.get().map_or(&[], Vec::as_slice)
    }

    /// Runs a read of the store on a thread that may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let store = Arc::clone(&self.store);
        let (answer, answered) = oneshot::channel();
        let work = move || {
            // Whoever asked may be gone.
            let _ = answer.send(read(store.as_ref()));
        };
        self.offload.run(Box::new(work)).await;
        let stopped = || ReadError::Medium("a read stopped half way".into());
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Offload for BlockingPool {
    fn run(&self, work: Work) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {
            // Work that panicked leaves no answer behind, which its caller notices.
            let _ = tokio::task::spawn_blocking(work).await;
        })
    }
}
