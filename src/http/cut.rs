//! What is under way to the reader of an answer or an event stream, and cutting it off when that was retracted.
//!
//! hyper keeps what a socket does not take. After a retraction is acknowledged none of it may go out, and it can't be
//! called back, so the connection ends; its reader asks again, or resumes and gets the redaction. The shards do the same
//! for WebSockets. A [`Cut`] is shared by what is sent, which notes what it takes, and the socket, which asks before each
//! write. Event streams are told of every retraction of their topic; of those who wait for an answer only the ones whose
//! socket did not take it at once.
//!
//! Where memory is short, those whose socket takes nothing go by the same way: nobody asks them for what comes next, so
//! they could not be told otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::broker::{Channel, Outlet, Ticket};
use crate::model::TopicName;

/// How long a socket takes less than there is before its reader gives way to memory that is short.
const STUCK_MAX: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Cut(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The count of redactions at which the oldest of what is not sent yet was taken; none where all is sent.
    unsent: Option<u64>,
    /// Since when the socket has not taken all of that; none where it has.
    stuck: Option<Instant>,
    is_cut: bool,
    waiting: Option<Waker>,
    /// The answer that is being sent, as long as the socket takes it.
    answer: Option<Arc<Shown>>,
    /// Topics whose retractions it is told of because of an answer.
    entered: Vec<TopicName>,
}

/// What an answer shows.
#[derive(Debug)]
pub(super) struct Shown {
    /// The topic.
    pub channel: Arc<Channel>,
    /// The count of redactions before it was read.
    pub redactions: u64,
    /// Where those are told of retractions whose socket is full.
    pub streams: Arc<Streams>,
}

/// The connections that a retraction may have to cut off, by topic, as an outlet. Event streams are woken by a watch, and told
/// here of retractions alone.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<TopicName, Vec<Weak<Cut>>>>);

impl Cut {
    /// Changes were taken, at this count of redactions. Gives what to [`Cut::put_back`] where they are not used.
    pub(super) fn takes(&self, redactions: u64) -> Option<u64> {
        self.lock().takes(redactions)
    }

    /// They are not used after all.
    pub(super) fn put_back(&self, before: Option<u64>) {
        self.lock().unsent = before;
    }

    /// A part of an answer goes to the socket.
    pub(super) fn answers(&self, shown: &Arc<Shown>) {
        let mut state = self.lock();
        state.takes(shown.redactions);
        state.answer = Some(Arc::clone(shown));
        // One that came since it was read may have seen nothing to cut off.
        state.is_cut |= !shown.is_current();
    }

    /// The socket did not take all of it: from now on a retraction has to find this connection.
    pub(super) fn is_stuck(self: &Arc<Self>) {
        let (shown, is_new) = {
            let mut state = self.lock();
            if state.unsent.is_some() {
                state.stuck.get_or_insert_with(Instant::now);
            }
            let Some(shown) = state.answer.take() else {
                return;
            };
            let topic = shown.channel.name();
            let is_new = !state.entered.contains(topic);
            if is_new {
                state.entered.push(topic.clone());
            }
            (shown, is_new)
        };
        if is_new {
            shown.streams.enter(shown.channel.name(), self);
        }
        // One that came before has not found it.
        self.redacted(shown.channel.redactions());
    }

    /// The socket has taken all.
    pub(super) fn all_sent(&self) {
        let mut state = self.lock();
        state.unsent = None;
        state.stuck = None;
        state.answer = None;
    }

    /// Writes, unless the connection is cut off. Nobody can cut it off during the write.
    pub(super) fn write<T>(&self, waker: &Waker, write: impl FnOnce() -> T) -> Option<T> {
        let mut state = self.lock();
        if state.is_cut {
            return None;
        }
        if state.unsent.is_some() && !state.wakes(waker) {
            state.waiting = Some(waker.clone());
        }
        Some(write())
    }

    /// Cuts it off, if anything is under way that was taken before this count of redactions.
    fn redacted(&self, redactions: u64) {
        let mut state = self.lock();
        if state.unsent.is_some_and(|taken| taken < redactions) {
            state.cut_off();
        }
    }

    /// Cuts it off, if its socket was stuck for so long by now.
    fn gives_way(&self, now: Instant) {
        let mut state = self.lock();
        let stuck = state
            .stuck
            .map(|since| now.saturating_duration_since(since));
        if stuck.is_some_and(|stuck| stuck >= STUCK_MAX) {
            state.cut_off();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each of its values is replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    /// Whether nothing was retracted since it was read.
    pub(super) fn is_current(&self) -> bool {
        self.channel.redactions() == self.redactions
    }
}

impl State {
    fn cut_off(&mut self) {
        self.is_cut = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Notes the count at which the oldest of what is not sent yet was taken, and gives what stood there before.
    fn takes(&mut self, redactions: u64) -> Option<u64> {
        let before = self.unsent;
        self.unsent = Some(before.map_or(redactions, |before| before.min(redactions)));
        before
    }

    fn wakes(&self, waker: &Waker) -> bool {
        let waiting = self.waiting.as_ref();
        waiting.is_some_and(|waiting| waiting.will_wake(waker))
    }
}

impl Streams {
    /// A stream of this topic, or an answer that does not get through, is on this connection, for as long as that lives.
    pub(super) fn enter(&self, topic: &TopicName, cut: &Arc<Cut>) {
        let mut streams = self.lock();
        let of_topic = streams.entry(topic.clone()).or_default();
        // Those that are gone go when there is no room, so that this costs a stream little.
        if of_topic.len() == of_topic.capacity() {
            of_topic.retain(|known| known.strong_count() > 0);
        }
        of_topic.push(Arc::downgrade(cut));
    }

    /// Cuts off those whose sockets have been stuck for too long: event streams, and answers to reads.
    pub(crate) fn give_way(&self) {
        let now = Instant::now();
        let streams = self.lock();
        for cut in streams.values().flatten().filter_map(Weak::upgrade) {
            cut.gives_way(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicName, Vec<Weak<Cut>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Streams {
    fn advanced(&self, _channel: &Arc<Channel>) {}

    fn redacted(&self, channel: &Arc<Channel>, ticket: Ticket) {
        let redactions = channel.redactions();
        let mut streams = self.lock();
        if let Some(of_topic) = streams.get_mut(channel.name()) {
            of_topic.retain(|known| {
                let cut = known.upgrade();
                cut.inspect(|cut| cut.redacted(redactions)).is_some()
            });
            if of_topic.is_empty() {
                streams.remove(channel.name());
            }
        }
        drop(ticket);
    }

    // A stream wakes by its watch, and ends by itself.
    fn retired(&self, _channel: &Arc<Channel>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(cut: &Cut) -> bool {
        cut.write(Waker::noop(), || ()).is_some()
    }

    #[test]
    fn only_what_was_taken_before_a_redaction_is_cut_off() {
        let sent = Cut::default();
        sent.takes(0);
        sent.all_sent();
        sent.redacted(1);
        assert!(writes(&sent));
        let later = Cut::default();
        later.takes(1);
        later.redacted(1);
        assert!(writes(&later));
        let nothing = Cut::default();
        let before = nothing.takes(0);
        nothing.put_back(before);
        nothing.redacted(1);
        assert!(writes(&nothing));
        let older = Cut::default();
        older.takes(0);
        older.takes(1);
        older.redacted(1);
        assert!(!writes(&older));
    }
    #[test]
    fn who_takes_nothing_gives_way_and_who_took_all_does_not() {
        let stuck = Arc::new(Cut::default());
        stuck.takes(0);
        stuck.is_stuck();
        let sent = Arc::new(Cut::default());
        sent.takes(0);
        sent.is_stuck();
        sent.all_sent();
        let began = Instant::now();
        for cut in [&stuck, &sent] {
            cut.gives_way(began + STUCK_MAX / 2);
            assert!(writes(cut));
            cut.gives_way(began + STUCK_MAX);
        }
        assert!(!writes(&stuck));
        assert!(writes(&sent));
    }
}
