//! What a shard counts about itself: written by its thread alone, read by anybody at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Sums over all shards at one moment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Open WebSockets.
    pub connections: u64,
    /// Connections that are behind the head of a topic of theirs.
    pub laggards: u64,
    /// Changes handed to subscribers.
    pub deliveries: u64,
    /// Bytes of changes handed to the kernel.
    pub bytes: u64,
    /// Buffers of changes handed to the kernel: fewer than deliveries where changes were joined.
    pub sends: u64,
    /// Connections that the server closed by a close code of its own.
    pub closed: u64,
    /// Keys and tokens that readers showed in a message, and that were not good.
    pub auth_failures: u64,
}

/// What was sent in one turn of a shard: plain numbers, handed over at its end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    changes: u64,
    bytes: u64,
    sends: u64,
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub(super) struct ShardCounters {
    connections: AtomicU64,
    laggards: AtomicU64,
    deliveries: AtomicU64,
    bytes: AtomicU64,
    sends: AtomicU64,
    closed: AtomicU64,
    auth_failures: AtomicU64,
}

impl Tally {
    /// One write took so many changes and bytes.
    pub(super) fn sent(&mut self, changes: u64, bytes: u64) {
        self.changes += changes;
        self.bytes += bytes;
        self.sends += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sends == 0
    }
}

impl ShardCounters {
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// One more connection, counted before the shard has it, so that the next one goes elsewhere.
    pub(super) fn opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn gone(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes over what was sent since the last time.
    pub(super) fn take(&self, tally: &mut Tally) {
        let Tally {
            changes,
            bytes,
            sends,
        } = std::mem::take(tally);
        self.deliveries.fetch_add(changes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sends.fetch_add(sends, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn auth_failed(&self) {
        self.auth_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_laggards(&self, count: u64) {
        self.laggards.store(count, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, sums: &mut Counters) {
        sums.connections += self.connections();
        sums.laggards += self.laggards.load(Ordering::Relaxed);
        sums.deliveries += self.deliveries.load(Ordering::Relaxed);
        sums.bytes += self.bytes.load(Ordering::Relaxed);
        sums.sends += self.sends.load(Ordering::Relaxed);
        sums.closed += self.closed.load(Ordering::Relaxed);
        sums.auth_failures += self.auth_failures.load(Ordering::Relaxed);
    }
}
