//! What the nodes of a shared log tell each other, beside the log itself.
//!
//! A single node has nobody to tell: [`Alone`] answers for it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Refused;
use crate::model::{Offset, TopicName};

/// The other nodes of a shared log.
pub trait Peers: Send + Sync + 'static {
    /// Waits until reads of the topic are as new as the log is now. A write that reads before it appends asks for it.
    ///
    /// The error is [`Refused::CutOff`].
    fn refresh<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<(), Refused>>;

    /// Says that this node has let go of what the change at `offset` retracted.
    fn let_go(&self, topic: &TopicName, offset: Offset);

    /// Retractions of which another node asks whether this one has let go of them: it was not there to say so, or the
    /// other one was not there to hear it. One taker; none for a single node.
    fn take_asked(&self) -> Option<mpsc::Receiver<(TopicName, Offset)>>;

    /// Waits for the others to say so, for at most `within`, and asks them; gives the nodes that have not.
    fn waiting_for<'a>(
        &'a self,
        topic: &'a TopicName,
        offset: Offset,
        within: Duration,
    ) -> BoxFuture<'a, Vec<String>>;

    /// Says how many readers topics have here: those that have any.
    fn announce(&self, readers: Vec<(TopicName, u64)>);

    /// How many readers a topic has on the other nodes, as they said last.
    fn readers(&self, topic: &TopicName) -> u64;

    /// The time by the clock of the log; none where it isn't known. What has to wait for a time waits for both clocks.
    fn time(&self) -> Option<Timestamp>;

    /// How this node stands to the log; none for a single node.
    fn state(&self) -> Option<ClusterState>;
}

/// How a node stands to the log that it shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterState {
    /// Its name.
    pub node: String,
    /// Why it is cut off from the log; none where it is not.
    pub stale: Option<String>,
    /// Records of the log that it has not applied yet, as far as it knows.
    pub lag: u64,
    /// Seconds since it last heard of the log, rounded down.
    pub silent_s: u64,
    /// Sequence of the last record that it has applied.
    pub applied: u64,
    /// Records that retracted bodies are still to be taken out of.
    pub erasures: u64,
    /// Whether the servers sync each record to the disk before they acknowledge it; none where they don't say.
    pub synced: Option<bool>,
    /// The other nodes that it has heard of and that have not said goodbye.
    pub nodes: Vec<NodeState>,
}

/// Another node, as it was heard of last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// How long ago, in seconds.
    pub silent_s: u64,
    /// Sequence of the last record that it had applied.
    pub applied: u64,
}

/// A node that shares its log with nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Peers for Alone {
    fn refresh<'a>(&'a self, _: &'a TopicName) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn let_go(&self, _: &TopicName, _: Offset) {}

    fn take_asked(&self) -> Option<mpsc::Receiver<(TopicName, Offset)>> {
        None
    }

    fn waiting_for<'a>(
        &'a self,
        _: &'a TopicName,
        _: Offset,
        _: Duration,
    ) -> BoxFuture<'a, Vec<String>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn announce(&self, _: Vec<(TopicName, u64)>) {}

    fn readers(&self, _: &TopicName) -> u64 {
        0
    }

    fn time(&self) -> Option<Timestamp> {
        None
    }

    fn state(&self) -> Option<ClusterState> {
        None
    }
}
