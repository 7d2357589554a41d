//! The medium: a journal of groups of appends, of which each is being written, written or synced, and faults.
//!
//! The end of a process leaves what was written; the loss of power leaves what was synced, and of the rest as much as
//! chance will have it, the last of it torn. It knows no store.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tenbells::store::Append;

use super::mutant::Mutant;

/// A medium that outlives the processes.
pub(super) struct Disk {
    pub(super) mutant: Mutant,
    state: Mutex<State>,
}

/// What it holds, and what is wrong with it.
#[derive(Default)]
pub(super) struct State {
    pub(super) records: Vec<Record>,
    pub(super) is_full: bool,
    pub(super) was_full: bool,
    /// The next write fails.
    pub(super) fail_write: bool,
    /// The next sync fails.
    pub(super) fail_sync: bool,
    /// Milliseconds that a write or sync takes at the most.
    pub(super) slow_ms: u64,
    /// Reads of a thousand that fail.
    pub(super) failing_reads: u32,
}

/// One group of appends, as one transaction.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) appends: Vec<Append>,
    pub(super) at: Timestamp,
    pub(super) state: Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// In part.
    Writing,
    /// In the kernel's cache.
    Written,
    /// On the medium.
    Synced,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    Kill,
    PowerLoss,
}

impl Disk {
    pub(super) fn new(mutant: Mutant) -> Self {
        let state = State {
            slow_ms: 8,
            ..State::default()
        };
        Self {
            mutant,
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash leaves.
    pub(super) fn crash(&self, crash: Crash, random: &mut fastrand::Rng) {
        let mut state = self.lock();
        let mut kept = Vec::new();
        for mut record in std::mem::take(&mut state.records) {
            let lost = crash == Crash::PowerLoss && record.state != Kept::Synced && random.bool();
            let torn = lost || record.state == Kept::Writing;
            if torn {
                // Recovery stops at the first record whose checksum does not fit.
                if self.mutant == Mutant::TornTaken && record.appends.len() > 1 {
                    record.appends.truncate(record.appends.len() / 2);
                    kept.push(record);
                } else if self.mutant == Mutant::TornTaken && record.appends[0].steps.len() > 1 {
                    let half = record.appends[0].steps.len() / 2;
                    record.appends[0].steps.truncate(half);
                    kept.push(record);
                }
                break;
            }
            if crash == Crash::PowerLoss {
                record.state = Kept::Synced;
            }
            kept.push(record);
        }
        state.records = kept;
    }

    /// All faults end. What was lost stays so.
    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.is_full = false;
        state.fail_write = false;
        state.fail_sync = false;
        state.slow_ms = 8;
        state.failing_reads = 0;
    }
}
