//! Which nodes there are, also those that can't be heard now: a list beside the log, which every node puts itself on.
//!
//! A node that has just started has heard of nobody. Without the list it would take a retraction for confirmed by all while
//! a node that is cut off still shows what was taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::link::LinkError;
use super::nodes::{FORGET_AFTER, NODES_MAX};
use crate::model::millis;

/// The name of the list.
const NAME: &str = "nodes";
/// How often a node that goes on says so in the list.
const AGAIN_EVERY: Duration = Duration::from_secs(3_600);
/// How long a node that stops takes for it.
const GOODBYE: Duration = Duration::from_millis(1_000);

/// When each node was last there, in milliseconds by the log's clock.
type Members = BTreeMap<String, i64>;

impl Inner {
    /// Puts this node on the list, and knows of those that are on it from now on.
    pub(super) async fn join(&self) -> Result<(), LinkError> {
        let now = self.now_ms();
        let own = self.options.node.clone();
        let members = self
            .rewrite(NAME, |members: &mut Members| {
                members.retain(|_, at| is_there(*at, now));
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
        let left = self.rewrite(NAME, |members: &mut Members| {
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

    /// The other nodes that are on the list and were there within a day.
    pub(super) async fn members(&self) -> Result<BTreeSet<String>, LinkError> {
        let now = self.now_ms();
        let (_, members): (_, Members) = self.list(NAME).await?;
        let others = members
            .into_iter()
            .filter(|(name, at)| *name != self.options.node && is_there(*at, now));
        Ok(others.map(|(name, _)| name).collect())
    }

    /// The time by the log's clock, or by this node's where that is not known yet, in milliseconds.
    fn now_ms(&self) -> i64 {
        millis(self.log_time().unwrap_or_else(|| self.clock.now()))
    }
}

/// Whether a node that was there last at `at` is not forgotten at `now`, both in milliseconds.
fn is_there(at: i64, now: i64) -> bool {
    let forget_after = i64::try_from(FORGET_AFTER.as_millis()).unwrap_or(i64::MAX);
    now.saturating_sub(at) < forget_after
}
