//! One clock for every process of a run: the kernel's monotonic clock, in microseconds.
//!
//! `Instant` can't be handed to another process; this number can, as long as both run on one machine. It is what the
//! publisher writes into an entry's id and what a reader takes away from its own reading of the clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine started.
pub fn now_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1_000_000 + nanos / 1_000
}

/// How long it is until `at_micros`; zero when that has passed.
pub fn until(at_micros: u64) -> Duration {
    Duration::from_micros(at_micros.saturating_sub(now_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let readings: Vec<u64> = (0..1_000).map(|_| now_micros()).collect();
        assert!(readings.is_sorted());
    }

    #[test]
    fn the_past_is_not_waited_for() {
        assert_eq!(until(now_micros() - 5), Duration::ZERO);
        assert!(until(now_micros() + 5_000_000) > Duration::from_secs(4));
    }
}
