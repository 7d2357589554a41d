//! How many connections there may be, and how many of them may be readers: the rest is kept for publishers.
//!
//! Counted, never queued: beyond a bound the answer is an immediate 503 with a jittered Retry-After.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bounds of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimit {
    /// Most connections of all kinds.
    pub connections_max: usize,
    /// How many of them no reader may take.
    pub publishers_reserved: usize,
}

/// The counters.
#[derive(Debug)]
pub struct Admission {
    limit: AdmissionLimit,
    connections: Arc<AtomicUsize>,
    readers: Arc<AtomicUsize>,
}

/// One admitted connection or reader, until it is dropped.
#[derive(Debug)]
pub struct Admitted(Arc<AtomicUsize>);

impl Admission {
    /// Nobody yet.
    pub fn new(limit: AdmissionLimit) -> Self {
        Self {
            limit,
            connections: Arc::default(),
            readers: Arc::default(),
        }
    }

    /// A connection, if there is room.
    pub fn connection(&self) -> Option<Admitted> {
        admit(&self.connections, self.limit.connections_max)
    }

    /// A reader on an admitted connection, if there is room for readers.
    pub fn reader(&self) -> Option<Admitted> {
        admit(&self.readers, self.readers_max())
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Readers now.
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Most readers.
    pub fn readers_max(&self) -> usize {
        self.limit
            .connections_max
            .saturating_sub(self.limit.publishers_reserved)
    }
}

fn admit(counter: &Arc<AtomicUsize>, max: usize) -> Option<Admitted> {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < max).then_some(count + 1)
        })
        .is_ok()
        .then(|| Admitted(Arc::clone(counter)))
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_leave_room_for_publishers() {
        let admission = Admission::new(AdmissionLimit {
            connections_max: 3,
            publishers_reserved: 1,
        });
        let connections: Vec<_> = (0..3).filter_map(|_| admission.connection()).collect();
        assert_eq!(connections.len(), 3);
        assert!(admission.connection().is_none());
        let first = admission.reader().expect("room for two readers");
        let _second = admission.reader().expect("room for two readers");
        assert!(admission.reader().is_none());
        drop(first);
        assert!(admission.reader().is_some());
        drop(connections);
        assert_eq!(admission.connections(), 0);
    }
}
