//! What time it is: the system's answer, or one that a test or a simulation sets.
//!
//! Whoever stamps a change or waits for a release asks a [`Clock`], so that time can jump in tests. It knows nothing
//! of what the time is for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time. It may jump, back as well as forth: order never comes from it.
pub trait Clock: Send + Sync + 'static {
    /// The time by this clock.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A clock that stands still until it is told otherwise. Clones show the same time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    /// Shows `at` from now on, which may be earlier than before.
    pub fn set(&self, at: Timestamp) {
        *self.lock() = at;
    }

    /// Goes forward by `by`, at most to the last time that a [`Timestamp`] can have.
    pub fn advance(&self, by: Duration) {
        let mut at = self.lock();
        *at = at.saturating_add(by).unwrap_or(Timestamp::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        // A timestamp is replaced whole, never left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_until_it_is_moved_and_its_clones_agree() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        assert_eq!(other.now(), Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(other.now().as_millisecond(), 1_500);
        other.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_manual_clock_stops_at_the_end_of_time() {
        let clock = ManualClock::new(Timestamp::MAX);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::MAX);
        clock.set(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
