//! A change as it leaves: encoded once for each wire format, shared by every reader.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::model::{ChangeKind, EntryId, Epoch, Offset, TopicName, encode_redacted};
use crate::protocol::{Wire, change_frame, deflated_change_frame, sse_change};
use crate::store::StoredChange;

/// One change in its wire formats. A format that nobody reads is never encoded.
#[derive(Debug)]
pub struct Frame {
    change: StoredChange,
    ws: OnceLock<Bytes>,
    ws_deflated: OnceLock<Bytes>,
    sse: OnceLock<Bytes>,
}

impl Frame {
    /// The frame of a stored change.
    pub fn new(change: StoredChange) -> Arc<Self> {
        Arc::new(Self {
            change,
            ws: OnceLock::new(),
            ws_deflated: OnceLock::new(),
            sse: OnceLock::new(),
        })
    }

    /// Number of the change.
    pub fn offset(&self) -> Offset {
        self.change.offset
    }

    /// What the change did.
    pub fn kind(&self) -> ChangeKind {
        self.change.kind
    }

    /// The entry it is about.
    pub fn entry(&self) -> Option<&EntryId> {
        self.change.entry.as_ref()
    }

    /// Its JSON.
    pub fn json(&self) -> &Arc<str> {
        &self.change.json
    }

    /// The whole WebSocket frame, header and payload.
    pub fn ws(&self, wire: Wire) -> &Bytes {
        let plain = self.ws.get_or_init(|| change_frame(&self.change.json));
        match wire {
            Wire::Plain => plain,
            Wire::Deflated => self
                .ws_deflated
                .get_or_init(|| deflated_change_frame(plain).unwrap_or_else(|| plain.clone())),
        }
    }

    /// The whole server-sent event.
    pub fn sse(&self, epoch: &Epoch) -> &Bytes {
        self.sse.get_or_init(|| {
            sse_change(
                &epoch.at(self.change.offset),
                self.change.kind,
                &self.change.json,
            )
        })
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        // JSON, the two formats it may be encoded in, and one of them compressed.
        self.change.json.len() * 4 + 256
    }

    /// The frame that takes its place once its entry was retracted.
    pub(super) fn redacted(&self, topic: &TopicName) -> Option<Arc<Self>> {
        let entry = self.entry()?;
        let at = change_time(&self.change.json)?;
        Some(Self::new(StoredChange {
            offset: self.change.offset,
            kind: ChangeKind::EntryRedacted,
            entry: Some(entry.clone()),
            json: encode_redacted(topic, self.change.offset, at, entry).into(),
        }))
    }
}

fn change_time(json: &str) -> Option<jiff::Timestamp> {
    #[derive(serde::Deserialize)]
    struct At {
        at: jiff::Timestamp,
    }
    serde_json::from_str::<At>(json).ok().map(|head| head.at)
}
