//! A timer wheel: when to look at which connection again. One entry a connection, no timer of its own.
//!
//! Time is counted in ticks of 100 ms since the shard started. An entry beyond the wheel's turn comes up early and is
//! put back by whoever looks.

use std::time::Duration;

use super::connection::Key;

/// Length of a tick.
pub(super) const TICK: Duration = Duration::from_millis(100);

const SLOTS: u32 = 512;

/// Ticks in a duration, at least one.
pub(super) fn ticks(duration: Duration) -> u32 {
    let count = duration.as_millis() / TICK.as_millis();
    u32::try_from(count).unwrap_or(u32::MAX / 4).max(1)
}

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Key>>,
    now: u32,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            now: 0,
        }
    }

    /// Has `key` come up at the tick `due`, or at the next one where that has passed.
    pub(super) fn insert(&mut self, due: u32, key: Key) {
        let wait = due.saturating_sub(self.now).clamp(1, SLOTS - 1);
        let slot = (self.now + wait) % SLOTS;
        self.slots[slot as usize].push(key);
    }

    /// Moves on to the tick `now`, and gives what is due.
    pub(super) fn advance(&mut self, now: u32) -> Vec<Key> {
        let mut due = Vec::new();
        // After a stall longer than a turn every slot is due once.
        let first = self.now.max(now.saturating_sub(SLOTS)) + 1;
        for tick in first..=now {
            let slot = std::mem::take(&mut self.slots[(tick % SLOTS) as usize]);
            if due.is_empty() {
                due = slot;
            } else {
                due.extend(slot);
            }
        }
        self.now = self.now.max(now);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> Key {
        Key::new(index, 1)
    }

    #[test]
    fn entries_come_up_at_their_tick_and_once() {
        let mut wheel = Wheel::new();
        wheel.insert(3, key(1));
        wheel.insert(5, key(2));
        wheel.insert(0, key(3));
        assert_eq!(wheel.advance(1), [key(3)]);
        assert_eq!(wheel.advance(2), []);
        assert_eq!(wheel.advance(5), [key(1), key(2)]);
        assert_eq!(wheel.advance(2_000), []);
    }

    #[test]
    fn entries_beyond_a_turn_come_up_early_and_none_is_lost_in_a_stall() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.advance(10), []);
        wheel.insert(10_000, key(1));
        assert_eq!(wheel.advance(520), []);
        assert_eq!(wheel.advance(521), [key(1)]);
        wheel.insert(600, key(2));
        assert_eq!(wheel.advance(90_000), [key(2)]);
    }

    #[test]
    fn durations_are_whole_ticks() {
        assert_eq!(ticks(Duration::ZERO), 1);
        assert_eq!(ticks(Duration::from_secs(25)), 250);
    }
}
