//! The numbers of retractions, over all topics of a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives each retraction a number, and each update that hides a topic. Whoever has noted the number before a read knows
/// afterwards whether what was read is void: when its topic has got a later one. A topic that comes into use again goes
/// on where all are, so that no number ever looks older than it is.
#[derive(Debug, Clone, Default)]
pub struct Redactions(Arc<AtomicU64>);

impl Redactions {
    /// The number of the last one.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The number of another one.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }
}
