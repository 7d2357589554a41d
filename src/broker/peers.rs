//! What the broker shares with the other nodes of its log: readers, retractions that were let go of, the log's clock.
//!
//! A broker that was told of no others is alone, and none of this costs it anything.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Broker, Channel, WriteError};
use crate::model::{Offset, TopicName};
use crate::store::{Alone, ClusterState, Peers};

/// How often readers are counted for the others, and theirs taken over.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// How long a retraction waits for the other nodes to confirm it.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

impl Broker {
    /// Says who the other nodes are. Once, before [`Broker::run`].
    pub fn set_peers(&self, peers: Arc<dyn Peers>) {
        if self.peers.set(peers).is_err() {
            tracing::warn!("peers were set twice; the first ones stay");
        }
    }

    /// How this node stands to the log that it shares; none for a single node.
    pub fn cluster(&self) -> Option<ClusterState> {
        self.peers().state()
    }

    pub(super) fn peers(&self) -> &dyn Peers {
        self.peers.get().map_or(&Alone, |peers| peers.as_ref())
    }

    /// The time by this node's clock or by the log's, whichever is earlier: a clock that is ahead releases nothing early.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.peers().time().map_or(now, |log| log.min(now))
    }

    /// Makes reads of the topic as new as the log, before a write that reads first.
    pub(super) async fn refresh(&self, topic: &TopicName) -> Result<(), WriteError> {
        Ok(self.peers().refresh(topic).await?)
    }

    /// Lets go of older bytes of a topic, and says so to the others.
    pub(super) fn confirm(
        self: &Arc<Self>,
        topic: TopicName,
        channel: Option<Arc<Channel>>,
        offset: Offset,
    ) {
        if self.peers.get().is_none() {
            return;
        }
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(channel) = channel {
                broker.release_older(&channel).await;
            }
            broker.peers().let_go(&topic, offset);
        });
    }

    /// Says again that this node has let go of a retracted body, once it is so: another node asks.
    async fn confirm_again(self: Arc<Self>, topic: TopicName, offset: Offset) {
        let channel = self.channel_in_use(&topic);
        let has_it = match &channel {
            Some(channel) => channel.head() >= offset,
            None => {
                let name = topic.clone();
                let stored = self.blocking(move |store| store.topic(&name)).await;
                matches!(stored, Ok(Some(stored)) if stored.head >= offset)
            }
        };
        if !has_it {
            // It is said once the retraction is here.
            return;
        }
        match channel {
            Some(channel) => self.settle_again(&channel, offset).await,
            None => {
                // The feed may not have brought it yet, and an answer from before can be under way.
                self.redactions().next();
            }
        }
        self.peers().let_go(&topic, offset);
    }

    /// The nodes that have not confirmed a retraction in time.
    pub(super) async fn unconfirmed(&self, topic: &TopicName, offset: Offset) -> Vec<String> {
        self.peers()
            .waiting_for(topic, offset, CONFIRM_WITHIN)
            .await
    }

    pub(super) async fn run_peers(self: &Arc<Self>) {
        let Some(mut asked) = self.peers().take_asked() else {
            return std::future::pending().await;
        };
        let mut tick = tokio::time::interval(COUNT_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => self.share_readers(),
                Some((topic, offset)) = asked.recv() => {
                    tokio::spawn(Arc::clone(self).confirm_again(topic, offset));
                }
            }
        }
    }

    fn share_readers(&self) {
        let channels: Vec<Arc<Channel>> = self.channels_in_use();
        let readers = channels
            .iter()
            .map(|channel| (channel.name().clone(), channel.readers()))
            .filter(|(_, readers)| *readers > 0)
            .collect();
        self.peers().announce(readers);
        for channel in channels {
            channel.set_elsewhere(self.peers().readers(channel.name()));
        }
    }
}
