//! What the broker asks of the other nodes, and tells them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{LetGo, READERS_FRESH, TOPICS_MAX};
use crate::model::{Offset, TopicName};
use crate::store::jetstream::{Inner, lock};
use crate::store::{ClusterState, NodeState, Peers, Refused};

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

    fn waiting_for<'a>(
        &'a self,
        topic: &'a TopicName,
        offset: Offset,
        within: Duration,
    ) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async move {
            let end = tokio::time::Instant::now() + within;
            let mut moved = self.nodes.confirmations.subscribe();
            loop {
                moved.borrow_and_update();
                let missing = self.nodes.missing(topic, offset);
                if missing.is_empty() {
                    return missing;
                }
                if !matches!(
                    tokio::time::timeout_at(end, moved.changed()).await,
                    Ok(Ok(()))
                ) {
                    return missing;
                }
            }
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
            nodes,
        })
    }
}
