//! Following the log: records as the stream brings them, into the projection, and on to the broker.
//!
//! One consumer a node, made anew from behind the last applied record whenever it falls silent. A gap in the sequences is
//! a record whose content was erased, and is fetched from beside the log; one that is nowhere is lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::message::Message;
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;
use tokio::sync::mpsc;

use super::holes::Remedy;
use super::link::{LinkError, error_text, parse_record};
use super::{Inner, lock};
use crate::store::sqlite::{ApplyError, Arrived};
use crate::store::{Committed, ReadError, What};

/// Most records in one transaction.
const BATCH_MAX: usize = 256;
/// How often a silent consumer shows that it lives; twice as long without it and another is made.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long one request for records stands.
const EXPIRES: Duration = Duration::from_secs(5);
/// When the servers forget a consumer that nobody asks.
const INACTIVE: Duration = Duration::from_secs(60);
/// How long to wait before another consumer is made.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a record that is missing is asked for until it counts as lost, and how long apart.
const LOOKS: u32 = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Why following stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    /// The servers; it is tried again.
    #[error(transparent)]
    Link(LinkError),
    /// The projection; nothing helps but a start.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The projection can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record is nowhere, and later ones are there.
    #[error(
        "the shared log has lost data: the record at sequence {0} is neither in the log nor beside it, and later ones are. Start this node again: it asks whether another node has it"
    )]
    Hole(u64),
    /// A record is nowhere, and can't be put behind.
    #[error(
        "the shared log has lost data: the record at sequence {0} is neither in the log nor beside it, and later ones are. {1}"
    )]
    Missing(u64, Remedy),
    /// A record is nowhere, and another node has put it behind. Readers are reset at a start.
    #[error(
        "the shared log has lost data: no node had the record at sequence {0}, and the log goes on without it. Start this node again: the topics that may miss changes have new epochs"
    )]
    PutBehind(u64),
}

impl From<LinkError> for TailError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Newer { sequence, found } => {
                Self::Apply(ApplyError::Newer { sequence, found })
            }
            other => Self::Link(other),
        }
    }
}

/// Messages of the log, those that are there together.
pub(super) type Batches = ReadyChunks<pull::Stream>;

/// Where a message stands in the log.
pub(super) fn sequence_of(message: &Message) -> Result<u64, LinkError> {
    let info = message.info();
    Ok(info
        .map_err(|error| LinkError::JetStream(error.to_string()))?
        .stream_sequence)
}

impl Inner {
    /// Follows the log until the store is closed or has failed.
    pub(super) async fn run_tail(self: Arc<Self>, feed: mpsc::Sender<Vec<Committed>>) {
        loop {
            let ended = tokio::select! {
                ended = self.follow(&feed) => ended,
                () = self.closed() => return,
            };
            match ended {
                Ok(()) => tracing::debug!("the consumer of the log ended; making another"),
                Err(TailError::Link(error)) => {
                    tracing::warn!(%error, "the log can't be followed; trying again");
                }
                Err(error @ TailError::Apply(ApplyError::Diverged { .. })) => {
                    self.lost(error.to_string()).await;
                }
                // Its folder stays as it is: it may have what the log has lost, and reading anew ends at the same hole.
                Err(error) => self.fail(error.to_string()),
            }
            if self.failed.get().is_some() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn follow(
        self: &Arc<Self>,
        feed: &mpsc::Sender<Vec<Committed>>,
    ) -> Result<(), TailError> {
        let mut last = *self.applied.borrow();
        let mut batches = self.consume(last + 1).await?;
        loop {
            let batch = tokio::select! {
                batch = batches.next() => batch,
                () = self.behind() => return Ok(()),
            };
            let Some(batch) = batch else {
                return Ok(());
            };
            let mut arrived = Vec::with_capacity(batch.len());
            let mut broken = None;
            for message in batch {
                match message {
                    Ok(message) => self.arrive(&message, &mut last, &mut arrived).await?,
                    Err(error) => {
                        broken = Some(LinkError::JetStream(error_text(&error)));
                        break;
                    }
                }
            }
            self.take_in(arrived, Some(feed)).await?;
            if let Some(error) = broken {
                return Err(error.into());
            }
        }
    }

    /// The log from this sequence on, in batches.
    pub(super) async fn consume(&self, first: u64) -> Result<Batches, LinkError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            description: Some(format!("tenbells {}", self.options.node)),
            ..pull::Config::default()
        };
        let failed = |error: &dyn std::error::Error| LinkError::JetStream(error_text(error));
        let consumer = self
            .link
            .log()
            .create_consumer(config)
            .await
            .map_err(|error| failed(&error))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH_MAX)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES)
            .messages()
            .await
            .map_err(|error| failed(&error))?;
        Ok(messages.ready_chunks(BATCH_MAX))
    }

    /// Takes in one message, and before it what was erased in front of it.
    async fn arrive(
        &self,
        message: &Message,
        last: &mut u64,
        arrived: &mut Vec<Arrived>,
    ) -> Result<(), TailError> {
        let sequence = sequence_of(message)?;
        for missing in *last + 1..sequence {
            arrived.push(self.erased(missing).await?);
        }
        if sequence > *last {
            let record = parse_record(&message.subject, sequence, &message.payload)?;
            arrived.push(Arrived { sequence, record });
            *last = sequence;
        }
        Ok(())
    }

    /// The record that is missing from the log.
    async fn erased(&self, sequence: u64) -> Result<Arrived, TailError> {
        for _ in 0..LOOKS {
            if let Some(record) = self.link.record_at(sequence).await? {
                return Ok(Arrived { sequence, record });
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        if !self.link.now().await?.is_settled {
            let cause = "the leader of the log is out of touch with its replicas";
            return Err(LinkError::JetStream(cause.into()).into());
        }
        Err(TailError::Hole(sequence))
    }

    /// Applies records, lets those know who wait for them, and feeds the broker.
    pub(super) async fn take_in(
        self: &Arc<Self>,
        arrived: Vec<Arrived>,
        feed: Option<&mpsc::Sender<Vec<Committed>>>,
    ) -> Result<(), TailError> {
        let Some(last) = arrived.last() else {
            return Ok(());
        };
        let put_behind = |arrived: &&Arrived| matches!(arrived.record.what, What::Lost(_));
        if feed.is_some()
            && let Some(lost) = arrived.iter().find(put_behind)
        {
            return Err(TailError::PutBehind(lost.sequence));
        }
        let sequence = last.sequence;
        let marks: Vec<(u64, String)> = arrived
            .iter()
            .map(|arrived| (arrived.sequence, arrived.record.id.clone()))
            .collect();
        self.check_marks(&arrived).await?;
        let _whole = self.taking_in.lock().await;
        let own = arrived
            .iter()
            .any(|arrived| arrived.record.node == self.options.node);
        let applied = self
            .blocking(move |projection| projection.apply(arrived))
            .await??;
        {
            let mut mine = lock(&self.mine);
            for id in &applied.records {
                if let Some(mine) = mine.get_mut(id) {
                    *mine = true;
                }
            }
        }
        self.applied.send_replace(sequence);
        self.nodes.applied(marks);
        if applied.erases {
            self.count_erasures().await;
            if own {
                self.erase.notify_one();
            }
        }
        if let Some(feed) = feed
            && !applied.committed.is_empty()
        {
            // A broker that is gone needs no feed.
            let _ = feed.send(applied.committed).await;
        }
        Ok(())
    }

    /// Reads the log from `first` to `last` and applies it, without a feed: before anybody is served.
    pub(super) async fn read_through(
        self: &Arc<Self>,
        first: u64,
        last: u64,
    ) -> Result<(), TailError> {
        let mut batches = self.consume(first).await?;
        let mut at = first - 1;
        while at < last {
            let Some(batch) = batches.next().await else {
                return Ok(());
            };
            let mut arrived = Vec::with_capacity(batch.len());
            for message in batch {
                let message = message.map_err(|error| LinkError::JetStream(error_text(&error)))?;
                let arrives = self.arrive(&message, &mut at, &mut arrived).await;
                if let Err(error) = arrives {
                    // What came before it stands.
                    self.take_in(arrived, None).await?;
                    return Err(error);
                }
            }
            self.take_in(arrived, None).await?;
        }
        Ok(())
    }
}
