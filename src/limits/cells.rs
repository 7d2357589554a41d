//! The state of a limit: a cell for each that is counted, up to a number; whoever is new beyond that shares one cell.
//!
//! Clones are the same cells. A cell that was not used for as long as its budget takes to come back says nothing, and
//! [`Cells::sweep`] lets go of it.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};

/// The cells of one limit.
pub(super) struct Cells<K: Hash + Eq>(Arc<Inner<K>>);

struct Inner<K: Hash + Eq> {
    cells: DashMap<K, Cell>,
    len: AtomicUsize,
    max: usize,
    /// For everybody beyond `max`.
    shared: InMemoryState,
    /// How long it takes until a budget is whole again.
    whole_after: Duration,
    began: Instant,
}

#[derive(Default)]
struct Cell {
    state: InMemoryState,
    /// When it was used last, in milliseconds since the beginning.
    used_ms: AtomicU64,
}

impl<K: Hash + Eq> Clone for Cells<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq + Clone> Cells<K> {
    /// None yet, and never more than `max`.
    pub(super) fn new(max: usize, whole_after: Duration) -> Self {
        Self(Arc::new(Inner {
            cells: DashMap::new(),
            len: AtomicUsize::new(0),
            max,
            shared: InMemoryState::default(),
            whole_after,
            began: Instant::now(),
        }))
    }

    /// Lets go of cells that say nothing any more.
    pub(super) fn sweep(&self) {
        let inner = &self.0;
        let now = inner.now_ms();
        let whole_after = u64::try_from(inner.whole_after.as_millis()).unwrap_or(u64::MAX);
        inner.cells.retain(|_, cell| {
            let used = cell.used_ms.load(Ordering::Relaxed);
            let says_something = now.saturating_sub(used) <= whole_after;
            if !says_something {
                inner.len.fetch_sub(1, Ordering::Relaxed);
            }
            says_something
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.0.cells.len(), self.0.len.load(Ordering::Relaxed));
        self.0.cells.len()
    }
}

impl<K: Hash + Eq> Inner<K> {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Room for one more, if there is any.
    fn reserve(&self) -> bool {
        self.len
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |len| {
                (len < self.max).then_some(len + 1)
            })
            .is_ok()
    }
}

impl<K: Hash + Eq + Clone> StateStore for Cells<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let inner = &self.0;
        let used = |cell: &Cell| {
            cell.used_ms.store(inner.now_ms(), Ordering::Relaxed);
            cell.state.measure_and_replace(&NotKeyed::NonKey, &f)
        };
        if let Some(cell) = inner.cells.get(key) {
            return used(&cell);
        }
        if !inner.reserve() {
            return inner.shared.measure_and_replace(&NotKeyed::NonKey, &f);
        }
        let mut is_new = false;
        let cell = inner.cells.entry(key.clone()).or_insert_with(|| {
            is_new = true;
            Cell::default()
        });
        if !is_new {
            // Somebody else was quicker: the room is not needed.
            inner.len.fetch_sub(1, Ordering::Relaxed);
        }
        used(&cell)
    }
}
