//! Which nodes there are, also those that can't be heard now: a list beside the log, which every node puts itself on.
//!
//! A node that has just started has heard of nobody. Without the list it would take a retraction for confirmed by all while
//! a node that is cut off still shows what was taken back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::link::{LinkError, Sent};
use super::nodes::{FORGET_AFTER, NODES_MAX};
use crate::model::millis;

/// The name of the list.
const NAME: &str = "nodes";
/// How often a node that goes on says so in the list.
const AGAIN_EVERY: Duration = Duration::from_secs(3_600);
/// How often it is tried while other nodes write it.
const RACES_MAX: usize = 64;
/// How long a node that stops takes for it.
const GOODBYE: Duration = Duration::from_millis(1_000);

/// When each node was last there, in milliseconds by the log's clock.
type Members = BTreeMap<String, i64>;

impl Inner {
    /// Puts this node on the list, and knows of those that are on it from now on.
    pub(super) async fn join(&self) -> Result<(), LinkError> {
        let now = self.log_time().unwrap_or_else(|| self.clock.now());
        let now = millis(now);
        let day = i64::try_from(FORGET_AFTER.as_millis()).unwrap_or(i64::MAX);
        let own = self.options.node.clone();
        let members = self
            .rewrite(|members| {
                members.retain(|_, at| now.saturating_sub(*at) < day);
                if members.len() < NODES_MAX {
                    members.insert(own.clone(), now);
                }
            })
            .await?;
        self.nodes
            .know(members.into_keys().filter(|name| *name != own));
        Ok(())
    }

    /// Takes this node off the list: it shows nothing from now on.
    pub(super) async fn leave(&self) {
        let own = &self.options.node;
        let left = self.rewrite(|members| {
            members.remove(own);
        });
        match tokio::time::timeout(GOODBYE, left).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "this node is still on the list of nodes"),
            Err(_) => tracing::warn!("this node is still on the list of nodes: no answer in time"),
        }
    }

    /// Stays on the list until the store is closed.
    pub(super) async fn run_membership(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(AGAIN_EVERY) => {}
                () = self.closed() => return,
            }
            if let Err(error) = self.join().await {
                tracing::warn!(%error, "the list of nodes can't be written; trying again in an hour");
            }
        }
    }

    async fn rewrite(&self, change: impl Fn(&mut Members)) -> Result<Members, LinkError> {
        for _ in 0..RACES_MAX {
            let (version, mut members) = match self.link.shared(NAME).await? {
                Some((version, value)) => {
                    (version, serde_json::from_slice(&value).unwrap_or_default())
                }
                None => (0, Members::new()),
            };
            change(&mut members);
            let value = serde_json::to_vec(&members).unwrap_or_default();
            match self.link.share(NAME, version, value.into()).await {
                Sent::Stored(_) => return Ok(members),
                Sent::Overtaken => {}
                Sent::Refused(cause) | Sent::Open(cause) => {
                    return Err(LinkError::JetStream(cause));
                }
            }
        }
        let cause = format!("the list of nodes was written by others {RACES_MAX} times");
        Err(LinkError::JetStream(cause))
    }
}
