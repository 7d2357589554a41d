//! Opening: connect, look whether the log still has what the projection stands at, catch up, start the tasks.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::link::Link;
use super::nodes::Nodes;
use super::sharing::Versions;
use super::tail::TailError;
use super::watching::Contact;
use super::{Inner, JetStreamStore, LinkError, NatsOptions, lanes, lock};
use crate::clock::Clock;
use crate::model::TopicName;
use crate::store::sqlite::{OpenError, Projection};
use crate::store::{AppendError, ReadError, Refused, StoreOptions};

/// How long to wait before servers that can't answer now are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Why a node of a cluster can't start.
#[derive(Debug, thiserror::Error)]
pub enum JetStreamError {
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The servers.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The projection.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log can't be applied.
    #[error("the log can't be applied: {0}")]
    Log(String),
    /// The projection did not reach the end of the log in time.
    #[error(
        "this node has {applied} of the log's {last} records, and did not catch up within {seconds} s: start it again, it goes on from there"
    )]
    Behind {
        /// What it has.
        applied: u64,
        /// Where the log ended.
        last: u64,
        /// How long it tried.
        seconds: u64,
    },
    /// A new numbering could not be begun.
    #[error("the topics that lost changes can't be given new epochs: {0}")]
    Renew(#[from] AppendError),
    /// The system gives no threads.
    #[error("the runtime of the store can't start: {0}")]
    Runtime(std::io::Error),
}

impl JetStreamStore {
    /// Opens the data folder and the log, and catches up with it.
    ///
    /// # Errors
    /// [`JetStreamError`].
    pub fn open(
        folder: &Path,
        options: NatsOptions,
        bounds: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, JetStreamError> {
        let projection = Projection::open(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tenbells-log")
            .enable_all()
            .build()
            .map_err(JetStreamError::Runtime)?;
        let (sender, receiver) = mpsc::channel(bounds.feed_batches_max);
        let handle = runtime.handle().clone();
        // A thread of its own: this may be called where one must not block on another runtime.
        let opened = std::thread::scope(|scope| {
            let open = || handle.block_on(Inner::open(projection, options, bounds, clock));
            scope.spawn(open).join()
        });
        let inner = match opened {
            Ok(opened) => opened,
            Err(_) => Err(JetStreamError::Log("opening it panicked".into())),
        };
        let inner = match inner {
            Ok(inner) => inner,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        handle.spawn(Arc::clone(&inner).run_tail(sender));
        handle.spawn(Arc::clone(&inner).run_watch());
        handle.spawn(Arc::clone(&inner).run_erasures());
        handle.spawn(Arc::clone(&inner).run_nodes());
        handle.spawn(Arc::clone(&inner).run_membership());
        Ok(Arc::new(Self {
            inner,
            feed: Mutex::new(Some(receiver)),
            runtime: Mutex::new(Some(runtime)),
        }))
    }
}

impl Inner {
    async fn open(
        projection: Projection,
        options: NatsOptions,
        bounds: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, JetStreamError> {
        let link = Link::connect(&options).await?;
        let synced = super::syncing::warn(&link, &options).await;
        let inner = Arc::new(Self {
            room: Arc::new(Semaphore::new(bounds.queue_max)),
            options,
            bounds,
            clock,
            projection,
            link,
            applied: watch::Sender::new(0),
            taking_in: tokio::sync::Mutex::default(),
            mine: Mutex::new(HashMap::new()),
            lanes: Mutex::new(lanes::Lanes::default()),
            contact: Mutex::new(Contact::new()),
            nodes: Nodes::new(),
            versions: Versions::default(),
            erase: Notify::new(),
            erasures: AtomicU64::new(0),
            synced,
            failed: OnceLock::new(),
            closing: watch::Sender::new(false),
        });
        inner.begin().await?;
        Ok(inner)
    }

    async fn begin(self: &Arc<Self>) -> Result<(), JetStreamError> {
        let end = Instant::now() + self.options.connect_timeout;
        let identity = patiently(end, async || self.link.identity().await).await?;
        let standing = self.projection.standing()?;
        let is_new = standing.log.is_empty();
        let fits = is_new
            || (standing.log == identity
                && !patiently(end, async || self.is_lost(&standing).await).await?);
        if !fits {
            tracing::error!(
                sequence = standing.sequence,
                "the shared log does not have what this node had: it has lost data, or is another log"
            );
            self.projection.mark_lost()?;
        }
        let lost = self.projection.lost()?;
        if !lost.is_empty() || !fits {
            tracing::error!(
                topics = lost.len(),
                "beginning anew with what the log has; topics that lost changes get a new epoch"
            );
            let copy = self.projection.keep_copy()?;
            tracing::error!(copy = %copy.display(), "what this node had is kept beside its database");
            self.projection.begin_anew()?;
        }
        self.projection.follow(&identity)?;
        let standing = self.projection.standing()?;
        self.applied.send_replace(standing.sequence);
        if standing.sequence > 0 {
            self.nodes
                .applied(vec![(standing.sequence, standing.record)]);
        }
        self.catch_up_at_start().await?;
        if !lost.is_empty() {
            self.renew(lost).await?;
        }
        // Before anybody asks this node to take something back.
        let end = Instant::now() + self.options.connect_timeout;
        patiently(end, async || self.join().await).await?;
        self.count_erasures().await;
        Ok(())
    }

    /// Applies what the log has, before anybody is served.
    pub(super) async fn catch_up_at_start(self: &Arc<Self>) -> Result<(), JetStreamError> {
        let mut end = Instant::now() + self.options.connect_timeout;
        let log = patiently(end, async || self.link.now().await).await?;
        let behind = |applied| JetStreamError::Behind {
            applied,
            last: log.last,
            seconds: self.options.connect_timeout.as_secs(),
        };
        let stalled = |error: TailError| JetStreamError::Log(error.to_string());
        loop {
            let applied = *self.applied.borrow();
            if applied >= log.last {
                break;
            }
            let before = applied;
            // Without a feed: what was there before the start is no news.
            match tokio::time::timeout_at(end, self.read_ahead(log.last)).await {
                Ok(Ok(())) => {}
                Ok(Err(TailError::Link(error @ LinkError::JetStream(_))))
                    if Instant::now() < end =>
                {
                    tracing::warn!(%error, "the log can't be read; trying again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Ok(Err(TailError::Hole(sequence))) => {
                    self.put_behind(sequence).await.map_err(stalled)?;
                    end = Instant::now() + self.options.connect_timeout;
                }
                Ok(Err(error)) => return Err(stalled(error)),
                // As long as it gets anywhere, it goes on.
                Err(_) if *self.applied.borrow() > before => {}
                Err(_) => return Err(behind(applied)),
            }
            if Instant::now() >= end && *self.applied.borrow() == before {
                return Err(behind(applied));
            }
        }
        self.ask().await;
        lock(&self.contact).last = log.last;
        Ok(())
    }

    async fn read_ahead(self: &Arc<Self>, last: u64) -> Result<(), TailError> {
        let first = *self.applied.borrow() + 1;
        self.read_through(first, last).await
    }

    /// Waits until the projection has the last record that the log's leader knows of the topic, and gives its sequence.
    pub(super) async fn catch_up(&self, topic: &TopicName, end: Instant) -> Result<u64, Refused> {
        if let Some(reason) = self.cut_off() {
            return Err(Refused::CutOff(reason));
        }
        let last = self
            .link
            .last_of(topic)
            .await
            .map_err(|error| Refused::CutOff(error.to_string()))?;
        let mut applied = self.applied.subscribe();
        loop {
            if *applied.borrow_and_update() >= last {
                return Ok(last);
            }
            if !matches!(
                tokio::time::timeout_at(end, applied.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(Refused::CutOff("this node is behind the log".into()));
            }
        }
    }
}

/// Asks again while the servers can't answer, until `end`: they may just be electing a leader.
pub(super) async fn patiently<T>(
    end: Instant,
    ask: impl AsyncFn() -> Result<T, LinkError>,
) -> Result<T, LinkError> {
    loop {
        match ask().await {
            Err(error @ LinkError::JetStream(_)) if Instant::now() + ASK_AGAIN < end => {
                tracing::warn!(%error, "the log does not answer; asking again");
                tokio::time::sleep(ASK_AGAIN).await;
            }
            answer => return answer,
        }
    }
}
