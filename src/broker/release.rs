//! The embargo clock: gives held entries their offsets when their time has come.
//!
//! It asks the store, not a timer, what is due: so a release survives a restart, and a clock that jumps forward
//! releases at the next tick, one that jumps back waits. A release is an append like any other.

use std::sync::Arc;

use super::Broker;
use crate::store::{Append, AppendError, Refused, Step};

/// Who the audit trail names.
const ACTOR: &str = "release";
/// Most releases that are looked at in one tick.
const DUE_MAX: usize = 256;

impl Broker {
    pub(super) async fn run_releases(self: &Arc<Self>) {
        let mut tick = tokio::time::interval(self.options.release_tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.release_due().await;
        }
    }

    async fn release_due(self: &Arc<Self>) {
        let held = match self.blocking(|store| store.held(None, DUE_MAX)).await {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, "embargoes can't be read; trying again");
                return;
            }
        };
        let now = self.now();
        for due in held.into_iter().filter(|held| held.released_at <= now) {
            let append = Append {
                topic: due.topic.clone(),
                create: None,
                steps: vec![Step::Release(due.id.clone())],
                idempotency: None,
                actor: ACTOR.into(),
            };
            match self.store.append(append).wait().await {
                Ok(_) => tracing::info!(topic = %due.topic, entry = %due.id, "embargo released"),
                // Dropped or released by somebody else since we looked.
                Err(AppendError::NotStored(Refused::NoEntry(_))) => {}
                Err(error) => {
                    tracing::error!(topic = %due.topic, entry = %due.id, %error, "an embargo could not be released; trying again");
                }
            }
        }
    }
}
