//! After the log has lost records: which topics lost changes, and a new numbering for each of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::Inner;
use super::opening::{JetStreamError, patiently};
use crate::model::{Epoch, millis};
use crate::store::sqlite::Lost;
use crate::store::{AppendError, ReadError, Record, Refused, What};

/// How often a new numbering is tried while other nodes write.
const RACES_MAX: usize = 16;

impl Inner {
    /// Gives every topic that lost changes a new epoch. Nobody is served before that.
    pub(super) async fn renew(self: &Arc<Self>, lost: Vec<Lost>) -> Result<(), JetStreamError> {
        for lost in lost {
            if self.has_kept(&lost).await? {
                continue;
            }
            let Some(stored) = self.projection.reading().topic(&lost.topic)? else {
                tracing::error!(topic = %lost.topic, head = lost.head, "the log has lost this topic as a whole");
                continue;
            };
            if stored.epoch.as_str() != lost.epoch {
                // Another node has begun a new numbering already.
                continue;
            }
            let epoch = self.renumber(&lost).await?;
            tracing::error!(
                topic = %lost.topic, had = lost.head, kept = stored.head, epoch = %epoch,
                "the log has lost changes of this topic: it goes on in a new epoch, and readers are reset"
            );
        }
        self.projection.settle_lost()?;
        Ok(())
    }

    /// Whether the log still has the record that this node had last of the topic.
    async fn has_kept(&self, lost: &Lost) -> Result<bool, JetStreamError> {
        let standing = self.projection.topic_standing(&lost.topic)?;
        if standing.sequence < lost.standing.sequence {
            return Ok(false);
        }
        let end = Instant::now() + self.options.connect_timeout;
        let at = lost.standing.sequence;
        let record = patiently(end, async || self.link.record_at(at).await).await?;
        Ok(record.is_some_and(|record| record.id == lost.standing.record))
    }

    async fn renumber(self: &Arc<Self>, lost: &Lost) -> Result<Epoch, JetStreamError> {
        for _ in 0..RACES_MAX {
            let standing = self.projection.topic_standing(&lost.topic)?;
            let Some(stored) = self.projection.reading().topic(&lost.topic)? else {
                break;
            };
            let epoch = Epoch::from_seed(getrandom::u64().unwrap_or(standing.sequence));
            let record = Record {
                v: What::Renumber.version(),
                id: ulid::Ulid::generate().to_string(),
                node: self.options.node.clone(),
                topic: lost.topic.clone(),
                prev: standing.sequence,
                epoch: epoch.clone(),
                first: stored.head + 1,
                at_ms: millis(self.clock.now()),
                what: What::Renumber,
            };
            let end = Instant::now() + self.options.append_timeout;
            // Nobody follows the log yet, so nothing tells that the record was applied: it is read here.
            let payload = serde_json::to_vec(&record).unwrap_or_default();
            let sent = self.link.publish(&record, payload.into()).await;
            self.catch_up_at_start().await?;
            if let super::link::Sent::Stored(_) = sent {
                return Ok(epoch);
            }
            if Instant::now() >= end {
                break;
            }
        }
        Err(AppendError::NotStored(Refused::Busy(RACES_MAX)).into())
    }

    /// Notes that a record was given out by another node in the place of one that is about to be applied here.
    pub(super) async fn note_given(
        self: &Arc<Self>,
        record: &Record,
        sequence: u64,
        given: String,
    ) -> Result<(), ReadError> {
        let (topic, epoch) = (record.topic.clone(), record.epoch.clone());
        let head = record.first;
        self.blocking(move |projection| {
            projection.note_given(&topic, &epoch, head, sequence, &given)
        })
        .await?
    }
}
