//! Taking an entry back: the tombstone in its place, and no older byte of it on any path once that is answered.
//!
//! A held entry is dropped instead, and nothing stays of it. Both are one append, as any other write is.

use std::sync::Arc;

use super::publish::{RACES_MAX, append, idempotency, keep};
use super::{Broker, Channel, WriteError, WriteRequest, read};
use crate::model::limits::NOTE_BYTES_MAX;
use crate::model::{EntryId, Invalid, Position, Tombstone, TopicName};
use crate::store::{AppendError, Appended, EntryState, Refused, Step};

/// A retracted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retracted {
    /// What stays of it.
    pub tombstone: Tombstone,
    /// Where; none for one that was under embargo, of which nothing stays.
    pub position: Option<Position>,
    /// Whether this is the answer to an earlier request.
    pub replayed: bool,
    /// The nodes that have not said that they let go of the body.
    pub unconfirmed: Vec<String>,
}

impl Broker {
    /// Takes an entry back. When it returns, the body is on no path any more. An entry that was retracted before
    /// gives its tombstone again.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is stored but for `OutcomeUnknown`.
    pub async fn retract(
        self: &Arc<Self>,
        topic: &TopicName,
        id: &EntryId,
        reason: Option<String>,
        if_match: Option<u64>,
        request: WriteRequest,
    ) -> Result<Retracted, WriteError> {
        if let Some(reason) = &reason
            && reason.len() > NOTE_BYTES_MAX
        {
            let message = format!("has {} bytes, the limit is {NOTE_BYTES_MAX}", reason.len());
            return Err(Invalid::new("reason", message).into());
        }
        let idempotency = idempotency(&request, "retract", id.as_str(), &(&reason, if_match));
        self.refresh(topic).await?;
        // Reads the key's history first: a replay must not depend on how the entry stands now.
        let known = self.remembered(topic, idempotency.as_ref()).await?;
        let channel = self.channel(topic).await?.ok_or(Refused::NoTopic)?;
        if let Some(known) = known {
            return self.retraction(&channel, id, &known).await;
        }
        for _ in 0..RACES_MAX {
            let stored = self.stored_entry(topic, id).await?;
            let step = match &stored.state {
                EntryState::Retracted { last, change, .. } if idempotency.is_none() => {
                    self.settle_again(&channel, *last).await;
                    return Ok(Retracted {
                        tombstone: read::tombstone_of_change(change)?,
                        position: Some(channel.epoch().at(*last)),
                        replayed: false,
                        unconfirmed: self.unconfirmed(topic, *last).await,
                    });
                }
                EntryState::Retracted { last, .. } => {
                    self.settle_again(&channel, *last).await;
                    keep(Some(id), stored.revision)
                }
                EntryState::Held { .. } => Step::DropHeld {
                    id: id.clone(),
                    expect: if_match,
                },
                EntryState::Released { .. } => Step::Retract {
                    id: id.clone(),
                    reason: reason.clone(),
                    expect: if_match,
                },
            };
            let retracts = matches!(step, Step::Retract { .. });
            let append = append(topic, vec![step], idempotency.clone(), &request);
            match self.store().append(append).wait().await {
                Ok(appended) => {
                    // A repeated answer has no change coming that this could wait for.
                    if retracts
                        && !appended.replayed
                        && let Some(offset) = appended.steps.first().and_then(|done| done.offset)
                    {
                        self.settle(&channel, offset).await;
                    }
                    return self.retraction(&channel, id, &appended).await;
                }
                Err(AppendError::NotStored(Refused::NoEntry(_) | Refused::EntryRetracted(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refused::Busy(RACES_MAX).into())
    }

    /// The answer to a retraction that is stored, whether it is given now or again.
    async fn retraction(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        id: &EntryId,
        appended: &Appended,
    ) -> Result<Retracted, WriteError> {
        let Some(offset) = appended.steps.first().and_then(|done| done.offset) else {
            // Nothing of it is in the feed, which does both otherwise.
            channel.redact_copies();
            self.compaction.notify_one();
            return Ok(Retracted {
                tombstone: Tombstone {
                    id: id.clone(),
                    retracted: true,
                    reason: None,
                    retracted_at: self.clock().now(),
                },
                position: None,
                replayed: appended.replayed,
                unconfirmed: Vec::new(),
            });
        };
        if appended.replayed {
            self.settle_again(channel, offset).await;
        }
        let change = self.change_at(channel.name(), offset).await;
        let change = change.map_err(WriteError::of_stored)?;
        Ok(Retracted {
            tombstone: read::tombstone_of_change(&change)?,
            position: Some(appended.epoch.at(offset)),
            replayed: appended.replayed,
            unconfirmed: self.unconfirmed(channel.name(), offset).await,
        })
    }
}
