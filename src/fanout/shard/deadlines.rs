//! What the clock asks for: pings, patience that has run out, revoked keys, presence, the drain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FAREWELL, Shard};
use crate::broker::Channel;
use crate::fanout::connection::Key;
use crate::fanout::wheel::{TICK, ticks};
use crate::protocol::{CloseCode, ping_frame};

/// How often keys that have been shown are looked at again.
const KEYS_EVERY: Duration = Duration::from_secs(1);
/// Connections that are looked at in a tick to count those who are behind: 20,000 in two seconds.
const CENSUS_A_TICK: usize = 1_000;
/// Connections that a drain closes in a tick at the least: few are let go at once, each to come back at a time of its own.
const DRAIN_A_TICK_MIN: usize = 200;
/// Ticks until a connection with something due is looked at again whose socket is full: 5 s, because there may be
/// thousands of them. A ping comes later by that at the most once it is read again.
const BLOCKED_LOOK: u32 = 50;
/// Ticks over which these looks are spread.
const BLOCKED_SPREAD: u32 = 32;
/// Within how many milliseconds the readers of a numbering that has ended are asked to come back.
const RETURN_MS_MAX: u32 = 2_000;

/// An orderly stop under way.
#[derive(Debug)]
pub(super) struct Drain {
    waiting: Vec<Key>,
    a_tick: usize,
    window: Duration,
}

/// The count of those who are behind, under way.
#[derive(Debug, Default)]
pub(super) struct Census {
    next: usize,
    found: u64,
}

/// What is to be done about a connection.
enum Verdict {
    Wait(u32),
    Ping,
    Close(CloseCode, &'static str),
    Remove,
}

/// When to look again at something due: at its tick, or, where that has passed behind a full socket, later. Those whose
/// sockets became full at once are not all looked at in one tick.
fn due_or_later(due: u32, now: u32, key: Key) -> u32 {
    if now < due {
        due
    } else {
        now + BLOCKED_LOOK - key.generation() % BLOCKED_SPREAD
    }
}

impl Shard {
    /// Does what has come due since the last look.
    pub(super) fn tick(&mut self) {
        let elapsed = Instant::now().duration_since(self.started).as_millis() / TICK.as_millis();
        let now = u32::try_from(elapsed).unwrap_or(u32::MAX);
        if now <= self.now {
            return;
        }
        let before = std::mem::replace(&mut self.now, now);
        for key in self.wheel.advance(now) {
            self.look_at(key);
        }
        let crossed = |every: Duration| before / ticks(every) != now / ticks(every);
        if crossed(KEYS_EVERY) {
            self.check_keys();
        }
        self.count_laggards();
        if crossed(self.parts.options.presence_every) {
            self.plan_presence();
        }
        self.drain_some();
    }

    fn look_at(&mut self, key: Key) {
        let now = self.now;
        match self.verdict(key) {
            None => {}
            Some(Verdict::Wait(due)) => self.wheel.insert(due, key),
            Some(Verdict::Close(code, reason)) => self.close(key, code, reason),
            Some(Verdict::Remove) => self.broken.push(key),
            Some(Verdict::Ping) => {
                if let Some(connection) = self.connection(key) {
                    connection.pinged_at = now;
                    connection.awaits_pong = true;
                }
                self.answer(key, ping_frame());
                self.wheel
                    .insert(now + ticks(self.parts.options.pong_within), key);
            }
        }
    }

    /// None where the connection is gone.
    fn verdict(&mut self, key: Key) -> Option<Verdict> {
        let now = self.now;
        let options = Arc::clone(&self.parts.options);
        let connection = self.connection(key)?;
        if let Some(closing_at) = connection.closing_at {
            let due = closing_at + FAREWELL;
            return Some(if now >= due {
                Verdict::Remove
            } else {
                Verdict::Wait(due)
            });
        }
        let mut next = u32::MAX;
        if !connection.has_subscribed {
            let due = connection.opened_at + ticks(options.first_subscribe);
            if now >= due {
                return Some(Verdict::Close(CloseCode::Idle, "no subscribe in time"));
            }
            next = next.min(due);
        }
        let stall_max = ticks(options.stall_max);
        if let Some(blocked_at) = connection.blocked_at {
            if now >= blocked_at + stall_max {
                return Some(Verdict::Close(
                    CloseCode::Lagged,
                    "nothing was read in time",
                ));
            }
            next = next.min(blocked_at + stall_max);
        }
        if connection.awaits_pong {
            let due = connection.pinged_at + ticks(options.pong_within);
            // A ping behind a full socket can't be answered: there the patience with stalls counts.
            if now >= due && connection.blocked_at.is_none() {
                return Some(Verdict::Close(CloseCode::Idle, "no pong in time"));
            }
            next = next.min(due_or_later(due, now, key));
        } else {
            // The first ping comes early by a share of its own, so that those who came at once are not pinged at once.
            let every = ticks(options.ping_every);
            let early = if connection.pinged_at == connection.opened_at {
                every / 2 * (key.generation() % 64) / 64
            } else {
                0
            };
            let due = connection.pinged_at + every - early;
            if now >= due && connection.blocked_at.is_none() {
                return Some(Verdict::Ping);
            }
            next = next.min(due_or_later(due, now, key));
        }
        Some(Verdict::Wait(next.min(now + stall_max)))
    }

    /// Closes those whose key was revoked.
    fn check_keys(&mut self) {
        let keys = Arc::clone(&self.parts.keys);
        let revoked: Vec<_> = self
            .granted
            .iter()
            .copied()
            .filter(|key| {
                self.connections
                    .get(key.index())
                    .filter(|connection| connection.generation == key.generation())
                    .and_then(|connection| connection.grant.as_ref())
                    .is_some_and(|grant| !keys.stands(grant))
            })
            .collect();
        for key in revoked {
            self.close(
                key,
                CloseCode::Unauthorised,
                "the key or token has ended, or was revoked",
            );
        }
    }

    /// Counts who is behind, a part of the connections each tick: looking at all of them at once would hold up a walk.
    fn count_laggards(&mut self) {
        let census = &mut self.census;
        let end = (census.next + CENSUS_A_TICK).min(self.connections.capacity());
        census.found += (census.next..end)
            .filter_map(|index| self.connections.get(index))
            .filter(|connection| connection.is_behind())
            .count() as u64;
        census.next = end;
        if end == self.connections.capacity() {
            self.counters.set_laggards(census.found);
            *census = Census::default();
        }
    }

    /// Sends the subscribers of a numbering that has ended away; they come back and are reset.
    pub(super) fn retired(&mut self, channel: &Arc<Channel>) {
        let Some(slot) = self.by_name.get(channel.name()).copied() else {
            return;
        };
        let topic = &self.topics[slot];
        if !Arc::ptr_eq(&topic.channel, channel) {
            return;
        }
        let keys: Vec<Key> = topic
            .members
            .iter()
            .filter_map(|member| {
                let connection = self.connections.get(member.connection as usize)?;
                Some(Key::new(member.connection, connection.generation))
            })
            .collect();
        for key in keys {
            let delay = getrandom::u32().unwrap_or(key.generation()) % RETURN_MS_MAX;
            self.close(key, CloseCode::Draining, &delay.to_string());
        }
    }

    /// Begins to close everything within `window`, some each tick.
    pub(super) fn begin_drain(&mut self, window: Duration) {
        let waiting: Vec<_> = self
            .connections
            .iter()
            .filter_map(|(index, connection)| {
                Some(Key::new(u32::try_from(index).ok()?, connection.generation))
            })
            .collect();
        let a_tick = drained_a_tick(waiting.len(), window);
        self.drain = Some(Drain {
            waiting,
            a_tick,
            window,
        });
        self.drain_some();
    }

    fn drain_some(&mut self) {
        let Some(drain) = &mut self.drain else {
            return;
        };
        let rest = drain.waiting.len().saturating_sub(drain.a_tick);
        for key in drain.waiting.split_off(rest) {
            self.close_draining(key);
        }
    }

    /// Closes a connection with a delay of its own, so that those who reconnect do not come at once.
    pub(super) fn close_draining(&mut self, key: Key) {
        let window = self
            .drain
            .as_ref()
            .map_or(Duration::ZERO, |drain| drain.window);
        let span = u32::try_from(window.as_millis()).unwrap_or(u32::MAX).max(1);
        // Without randomness of the system the spread is coarser, no more.
        let delay = getrandom::u32().unwrap_or(key.generation()) % span;
        self.close(key, CloseCode::Draining, &delay.to_string());
    }
}

/// How many of so many connections a drain closes in each tick of its window.
fn drained_a_tick(waiting: usize, window: Duration) -> usize {
    let even = waiting.div_ceil(ticks(window) as usize);
    even.max(DRAIN_A_TICK_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_spread_over_its_window() {
        let seconds = Duration::from_secs;
        assert_eq!(drained_a_tick(100_000, seconds(20)), 500);
        assert_eq!(drained_a_tick(100_001, seconds(20)), 501);
        assert_eq!(drained_a_tick(100_000, Duration::ZERO), 100_000);
        // Few are closed in less time than the window.
        assert_eq!(drained_a_tick(9_000, seconds(20)), DRAIN_A_TICK_MIN);
    }
}
