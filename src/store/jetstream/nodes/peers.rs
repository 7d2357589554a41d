//! What the broker asks of the other nodes, and tells them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Asks, LetGo, READERS_FRESH, TOPICS_MAX};
use crate::model::{Offset, TopicName};
use crate::store::jetstream::{Inner, lock};
use crate::store::{ClusterState, NodeState, Peers, Refused};

/// How long nodes may take to say by themselves that they let go of a body, until they are asked.
const ASK_AFTER: Duration = Duration::from_millis(500);

impl Peers for Inner {
    fn refresh<'a>(&'a self, topic: &'a TopicName) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            let end = tokio::time::Instant::now() + self.options.append_timeout;
            self.catch_up(topic, end).await.map(drop)
        })
    }

    fn let_go(&self, topic: &TopicName, offset: Offset) {
        let said = LetGo {
            node: self.options.node.clone(),
            topic: topic.clone(),
            offset,
        };
        let (client, subject) = (
            self.link.client().clone(),
            format!("{}.let_go", self.link.prefix()),
        );
        let payload = serde_json::to_vec(&said).unwrap_or_default();
        tokio::spawn(async move {
            if let Err(error) = client.publish(subject, payload.into()).await {
                tracing::debug!(%error, "a confirmation was not sent");
            }
        });
    }

    fn take_asked(&self) -> Option<mpsc::Receiver<(TopicName, Offset)>> {
        lock(&self.nodes.asked.receiver).take()
    }

    fn waiting_for<'a>(
        &'a self,
        topic: &'a TopicName,
        offset: Offset,
        within: Duration,
    ) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            let now = tokio::time::Instant::now();
            let missing = self.missing_at(topic, offset, now + ASK_AFTER).await;
            if missing.is_empty() {
                return missing;
            }
            let asks = Asks {
                node: self.options.node.clone(),
                topic: topic.clone(),
                offset,
            };
            let subject = format!("{}.let_go_asked", self.link.prefix());
            self.tell(subject, &asks).await;
            self.missing_at(topic, offset, now + within).await
        })
    }

    fn announce(&self, mut readers: Vec<(TopicName, u64)>) {
        readers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        readers.truncate(TOPICS_MAX);
        *lock(&self.nodes.own_readers) = readers;
    }

    fn readers(&self, topic: &TopicName) -> u64 {
        lock(&self.nodes.others)
            .values()
            .filter(|other| other.heard.elapsed() < READERS_FRESH)
            .filter_map(|other| other.readers.get(topic))
            .sum()
    }

    fn time(&self) -> Option<Timestamp> {
        self.log_time()
    }

    fn state(&self) -> Option<ClusterState> {
        let contact = *lock(&self.contact);
        let applied = *self.applied.borrow();
        let mut nodes: Vec<NodeState> = lock(&self.nodes.others)
            .iter()
            .map(|(name, other)| NodeState {
                name: name.clone(),
                silent_s: other.heard.elapsed().as_secs(),
                applied: other.applied,
            })
            .collect();
        nodes.sort_by(|left, right| left.name.cmp(&right.name));
        Some(ClusterState {
            node: self.options.node.clone(),
            stale: self.cut_off(),
            lag: contact.last.saturating_sub(applied),
            silent_s: contact.at.elapsed().as_secs(),
            applied,
            erasures: self.erasures.load(Ordering::Relaxed),
            synced: self.synced,
            nodes,
        })
    }
}

impl Inner {
    /// The nodes that have not said by `end` that they let go of what the change at `offset` retracted.
    async fn missing_at(
        &self,
        topic: &TopicName,
        offset: Offset,
        end: tokio::time::Instant,
    ) -> Vec<String> {
        let mut moved = self.nodes.confirmations.subscribe();
        loop {
            moved.borrow_and_update();
            let missing = self.nodes.missing(topic, offset);
            if missing.is_empty() {
                return missing;
            }
            let heard = tokio::time::timeout_at(end, moved.changed()).await;
            if !matches!(heard, Ok(Ok(()))) {
                return missing;
            }
        }
    }
}
