//! How this node stands to the log: when it last heard of it, how far behind it is, and whether the log went back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Inner, lock};
use crate::store::sqlite::Standing;

/// How often the log's leader is asked where the log ends.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long records may be there without one being applied until another consumer is made.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// How often the log is looked at until a record counts as lost.
const LOOKS: u32 = 5;

/// What was heard of the log last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contact {
    /// When.
    pub at: Instant,
    /// Where it ended.
    pub last: u64,
    /// By how much its clock is ahead of this node's.
    pub ahead: Option<SignedDuration>,
    /// Since when there is something that is not applied, without anything being applied.
    stuck_since: Option<(u64, Instant)>,
}

impl Contact {
    pub(super) fn new() -> Self {
        Self {
            at: Instant::now(),
            last: 0,
            ahead: None,
            stuck_since: None,
        }
    }
}

impl Inner {
    /// Asks until the store is closed.
    pub(super) async fn run_watch(self: Arc<Self>) {
        let mut tick = tokio::time::interval(ASK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_connected = true;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.closed() => return,
            }
            let is_connected = self.link.is_connected();
            if is_connected && !was_connected {
                self.look_again().await;
            }
            was_connected = is_connected;
            self.ask().await;
        }
    }

    /// Asks where the log ends.
    pub(super) async fn ask(self: &Arc<Self>) {
        let asked = self.clock.now();
        let Ok(now) = self.link.now().await else {
            return;
        };
        let applied = *self.applied.borrow();
        if now.last < applied {
            self.look_again().await;
            return;
        }
        let mut contact = lock(&self.contact);
        contact.at = Instant::now();
        contact.last = now.last;
        contact.ahead = now.at.map(|at| at.duration_since(asked)).or(contact.ahead);
        contact.stuck_since = match contact.stuck_since {
            _ if now.last == applied => None,
            Some((at, since)) if at == applied => Some((at, since)),
            _ => Some((applied, Instant::now())),
        };
    }

    /// Waits until records are there that the consumer doesn't bring.
    pub(super) async fn behind(&self) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let mut contact = lock(&self.contact);
            if let Some((_, since)) = contact.stuck_since
                && since.elapsed() >= STUCK_AFTER
            {
                contact.stuck_since = None;
                return;
            }
        }
    }

    /// Looks whether the log still has what this node applied last.
    pub(super) async fn look_again(self: &Arc<Self>) {
        let standing = match self.blocking(|projection| projection.standing()).await {
            Ok(Ok(standing)) => standing,
            Ok(Err(error)) | Err(error) => {
                self.fail(error.to_string());
                return;
            }
        };
        match self.is_lost(&standing).await {
            Ok(false) | Err(_) => {}
            Ok(true) => {
                self.lost(format!(
                    "record {} at sequence {} was applied here, and the log does not have it",
                    standing.record, standing.sequence
                ))
                .await;
            }
        }
    }

    /// Whether the log has lost the record that a projection stands at, or goes on without one that is in it. Looks
    /// several times, and believes only a leader that a majority of the replicas is in touch with.
    ///
    /// # Errors
    /// When that can't be known now.
    pub(super) async fn is_lost(&self, standing: &Standing) -> Result<bool, super::LinkError> {
        if standing.sequence == 0 {
            return Ok(false);
        }
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(ASK_EVERY).await;
            }
            let record = self.link.record_at(standing.sequence).await?;
            if record.is_some_and(|record| record.id == standing.record) {
                return self.has_what_is_lost(standing.sequence).await;
            }
            if !self.link.now().await?.is_settled {
                return Err(super::LinkError::JetStream(
                    "the leader of the log is out of touch with its replicas".into(),
                ));
            }
        }
        Ok(true)
    }

    /// The log has lost what this node had: nothing more is taken, and the next start begins anew.
    pub(super) async fn lost(self: &Arc<Self>, what: String) {
        if self.failed.get().is_some() {
            return;
        }
        let marked = self.blocking(|projection| projection.mark_lost()).await;
        if let Err(error) | Ok(Err(error)) = marked {
            tracing::error!(%error, "what was lost can't be noted");
        }
        self.fail(format!(
            "the shared log has lost data: {what}. Start this node again: it takes what the log has, and gives new epochs to the topics that lost changes"
        ));
    }

    /// Why this node is cut off; none while it hears of the log.
    pub(super) fn cut_off(&self) -> Option<String> {
        let silent = lock(&self.contact).at.elapsed();
        if silent > self.options.stale_after {
            return Some(format!(
                "nothing was heard of it for {} s",
                silent.as_secs()
            ));
        }
        None
    }

    /// The time by the log's clock.
    pub(super) fn log_time(&self) -> Option<Timestamp> {
        let ahead = lock(&self.contact).ahead?;
        self.clock.now().checked_add(ahead).ok()
    }
}
