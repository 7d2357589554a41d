//! Taking retracted content out of the log: a record without it beside the log, then the secure delete of the old one.
//!
//! The node that retracted does it at once; the others look from time to time, and finish what a node that died left.
//! Every step can be repeated, by any node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Inner;
use super::link::{LinkError, Sent};
use crate::model::EntryId;
use crate::store::Record;
use crate::store::sqlite::Erasure;

/// How often nodes look for what another one left.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Most records at a time.
const ERASURES_MAX: usize = 256;

impl Inner {
    /// Erases until the store is closed.
    pub(super) async fn run_erasures(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.erase.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.closed() => return,
            }
            self.erase_all().await;
        }
    }

    /// Erases all that is to be erased now.
    async fn erase_all(self: &Arc<Self>) {
        let found = self
            .blocking(|projection| projection.erasures(ERASURES_MAX))
            .await
            .and_then(|found| found);
        let erasures = match found {
            Ok(erasures) => erasures,
            Err(error) => {
                tracing::error!(%error, "what is to be erased from the log can't be read");
                return;
            }
        };
        for erasure in erasures {
            if let Err(error) = self.erase_one(&erasure).await {
                tracing::warn!(%error, sequence = erasure.sequence, "retracted content is still in the log; trying again");
                if self.link.is_connected() {
                    // One that can't be erased keeps no other one.
                    continue;
                }
                break;
            }
            let done = self
                .blocking(move |projection| projection.erased(&erasure))
                .await
                .and_then(|done| done);
            if let Err(error) = done {
                tracing::error!(%error, "what was erased from the log can't be noted");
                return;
            }
        }
        self.count_erasures().await;
    }

    async fn erase_one(&self, erasure: &Erasure) -> Result<(), LinkError> {
        let sequence = erasure.sequence;
        let in_log = self.link.log_record(sequence).await?;
        let (version, base) = match self.link.erased_at(sequence).await? {
            Some((version, record)) => (version, Some(record)),
            None => (0, in_log.clone()),
        };
        let base = base.ok_or_else(|| {
            LinkError::JetStream(format!("the record at sequence {sequence} is gone"))
        })?;
        let is_bare = !has_any(&base, &erasure.entries);
        if !(is_bare && version > 0) {
            self.replace(sequence, version, base, &erasure.entries)
                .await?;
        }
        if in_log.is_some() {
            self.link.delete_from_log(sequence).await?;
        }
        self.link.delete_older_erased(sequence).await
    }

    async fn replace(
        &self,
        sequence: u64,
        version: u64,
        mut record: Record,
        entries: &[EntryId],
    ) -> Result<(), LinkError> {
        for id in entries {
            record.erase(id);
        }
        let payload = serde_json::to_vec(&record).unwrap_or_default();
        match self
            .link
            .publish_erased(sequence, version, payload.into())
            .await
        {
            Sent::Stored(_) => Ok(()),
            // Another node did it, or something like it: the next look tells.
            Sent::Overtaken => Err(LinkError::JetStream("another node was faster".into())),
            Sent::Refused(cause) | Sent::Open(cause) => Err(LinkError::JetStream(cause)),
        }
    }

    /// Counts what is left to erase.
    pub(super) async fn count_erasures(self: &Arc<Self>) {
        let left = self
            .blocking(|projection| projection.erasures_left())
            .await
            .and_then(|left| left);
        if let Ok(left) = left {
            self.erasures.store(left, Ordering::Relaxed);
        }
    }
}

fn has_any(record: &Record, entries: &[EntryId]) -> bool {
    entries.iter().any(|id| record.has(id))
}
