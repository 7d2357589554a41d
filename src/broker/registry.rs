//! The registry of topics in use, and what keeps it true: the feed that advances them, eviction, compaction.
//!
//! A guard of the map is never held across an await or another call of the map: the `Arc` is cloned out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Broker, Channel, Frame, Ticket};
use crate::model::{ChangeKind, TopicName};
use crate::store::{Committed, ReadError, StoredTopic};

/// How long retractions are gathered before the store is compacted, at the least…
const COMPACTION_PAUSE: Duration = Duration::from_secs(1);
/// …and at the most, where compacting takes long: writes wait meanwhile, so a pause is ten times that long.
const COMPACTION_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long to wait for a long read that is in the way of a compaction.
const COMPACTION_RETRY: Duration = Duration::from_secs(2);

/// A channel and when it was last asked for.
pub(super) struct Slot {
    channel: Arc<Channel>,
    used: Instant,
}

impl Broker {
    /// The topic in use, taken from the store where nobody uses it yet. None where there is no such topic.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn channel(
        self: &Arc<Self>,
        topic: &TopicName,
    ) -> Result<Option<Arc<Channel>>, ReadError> {
        if let Some(channel) = self.channel_in_use(topic) {
            return Ok(Some(channel));
        }
        let name = topic.clone();
        let Some(stored) = self.blocking(move |store| store.topic(&name)).await? else {
            return Ok(None);
        };
        let channel = {
            let slot = self.channels.entry(topic.clone()).or_insert_with(|| Slot {
                channel: Arc::new(self.new_channel(&stored)),
                used: Instant::now(),
            });
            Arc::clone(&slot.channel)
        };
        // What was committed between the read and the insertion went past the channel: the feed did not know it yet.
        let name = topic.clone();
        if let Some(again) = self.blocking(move |store| store.topic(&name)).await? {
            if again.epoch != *channel.epoch() {
                return Ok(Some(self.renumbered(&again)));
            }
            channel.catch_up(&again);
        }
        Ok(Some(channel))
    }

    fn new_channel(&self, stored: &StoredTopic) -> Channel {
        Channel::new(stored, self.options.ring, self.redactions())
    }

    /// The topic in its new numbering; whoever follows the old one is sent away.
    fn renumbered(&self, stored: &StoredTopic) -> Arc<Channel> {
        let channel = Arc::new(self.new_channel(stored));
        let slot = Slot {
            channel: Arc::clone(&channel),
            used: Instant::now(),
        };
        if let Some(old) = self.channels.insert(stored.name.clone(), slot) {
            self.retire(&old.channel);
        }
        channel
    }

    fn retire(&self, channel: &Arc<Channel>) {
        tracing::warn!(topic = %channel.name(), epoch = %channel.epoch(), "the topic goes on in another epoch: its readers come back and reset");
        channel.retire();
        for outlet in self.outlets() {
            outlet.retired(channel);
        }
    }

    /// The topics in use.
    pub(super) fn channels_in_use(&self) -> Vec<Arc<Channel>> {
        self.channels
            .iter()
            .map(|slot| Arc::clone(&slot.channel))
            .collect()
    }

    /// The topic where it is in use; never reads the store.
    pub fn channel_in_use(&self, topic: &TopicName) -> Option<Arc<Channel>> {
        let mut slot = self.channels.get_mut(topic)?;
        slot.used = Instant::now();
        Some(Arc::clone(&slot.channel))
    }

    /// How many subscribers a topic has; none where nobody uses it. Asking does not keep it in use.
    pub fn readers(&self, topic: &TopicName) -> Option<u64> {
        self.channels.get(topic).map(|slot| slot.channel.audience())
    }

    /// How many topics are in use.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// All subscribers of all topics in use.
    pub fn reader_count(&self) -> u64 {
        self.channels
            .iter()
            .map(|slot| slot.channel.readers())
            .sum()
    }

    pub(super) async fn follow(self: &Arc<Self>, mut feed: mpsc::Receiver<Vec<Committed>>) {
        while let Some(batch) = feed.recv().await {
            self.advance(batch);
        }
        tracing::debug!("the feed has ended");
    }

    fn advance(self: &Arc<Self>, batch: Vec<Committed>) {
        let mut moved: HashMap<TopicName, Arc<Channel>> = HashMap::new();
        let mut retracted = Vec::new();
        for committed in batch {
            let retraction = committed.change.kind == ChangeKind::EntryRetracted;
            if retraction {
                self.pages.forget(&committed.topic);
            }
            let channel = match moved.get(&committed.topic) {
                Some(channel) => Some(Arc::clone(channel)),
                None => self
                    .channels
                    .get(&committed.topic)
                    .map(|slot| Arc::clone(&slot.channel)),
            };
            if retraction {
                retracted.push((
                    committed.topic.clone(),
                    channel.clone(),
                    committed.change.offset,
                ));
            }
            let Some(channel) = channel else {
                if retraction {
                    self.redactions().next();
                }
                continue;
            };
            if *channel.epoch() != committed.epoch {
                moved.remove(&committed.topic);
                self.channels.remove(&committed.topic);
                self.pages.forget(&committed.topic);
                self.retire(&channel);
                continue;
            }
            channel.advance(Frame::new(committed.change));
            moved.insert(committed.topic, channel);
        }
        for channel in moved.values() {
            for outlet in self.outlets() {
                outlet.advanced(channel);
            }
        }
        if !retracted.is_empty() {
            self.compaction.notify_one();
        }
        for (topic, channel, offset) in retracted {
            self.confirm(topic, channel, offset);
        }
    }

    /// Waits until `channel` has taken in the change at `offset`, and every outlet has let go of what it redacted.
    pub(super) async fn settle(&self, channel: &Arc<Channel>, offset: u64) {
        let mut head = channel.watch_taken();
        // The sender lives in the channel, which we hold.
        let _ = head.wait_for(|taken| *taken >= offset).await;
        self.release_older(channel).await;
    }

    /// As [`Broker::settle`], for a retraction that was stored by another request: that one may still be waiting, and an
    /// acknowledgement means the same whoever gets it first.
    pub(super) async fn settle_again(&self, channel: &Arc<Channel>, offset: u64) {
        // A channel that is older than the change gets it by the feed.
        if channel.head() < offset {
            return self.settle(channel, offset).await;
        }
        // One whose head was taken from the store may not, or not yet.
        if !channel.has_taken(offset) {
            channel.forget();
        }
        self.pages.forget(channel.name());
        self.release_older(channel).await;
    }

    /// Waits until every outlet has let go of older bytes.
    pub(super) async fn release_older(&self, channel: &Arc<Channel>) {
        let (guard, mut released) = mpsc::channel(1);
        let ticket = Ticket { _guard: guard };
        for outlet in self.outlets() {
            outlet.redacted(channel, ticket.clone());
        }
        drop(ticket);
        // Nothing is ever sent: this waits until the last ticket is dropped.
        let _ = released.recv().await;
    }

    pub(super) async fn run_evictions(&self) {
        let mut tick = tokio::time::interval(self.options.idle.max(Duration::from_millis(10)) / 4);
        loop {
            tick.tick().await;
            self.evict(Instant::now());
        }
    }

    /// Forgets topics that nobody has used for a while. The store has all that they knew.
    fn evict(&self, now: Instant) {
        let idle = self.options.idle;
        // Clones are only made through the map, and `retain` holds its shard: a count of one stays one.
        self.channels.retain(|_, slot| {
            Arc::strong_count(&slot.channel) > 1 || now.duration_since(slot.used) < idle
        });
    }

    pub(super) async fn run_compactions(self: &Arc<Self>) {
        // The last run can have ended between a retraction and its compaction.
        self.compaction.notify_one();
        let mut pause = COMPACTION_PAUSE;
        loop {
            self.compaction.notified().await;
            tokio::time::sleep(pause).await;
            let mut began = Instant::now();
            while !self.compact_once().await {
                tokio::time::sleep(COMPACTION_RETRY).await;
                began = Instant::now();
            }
            pause = (began.elapsed() * 10).clamp(COMPACTION_PAUSE, COMPACTION_PAUSE_MAX);
        }
    }

    async fn compact_once(self: &Arc<Self>) -> bool {
        match self.blocking(|store| store.compact()).await {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "compaction failed: retracted bytes may still be in the data folder");
                self.store.failed().is_some()
            }
        }
    }
}
