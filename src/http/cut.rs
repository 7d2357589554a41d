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

use crate::broker::{Channel, Outlet, Redactions, Ticket};
use crate::model::TopicName;

/// How long a socket takes less than there is before its reader gives way to memory that is short.
const STUCK_MAX: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Cut(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is not sent yet, with the number of the last redaction before the oldest of it was taken; one each.
    unsent: Vec<(Whose, u64)>,
    /// Since when the socket has not taken all of that; none where it has.
    stuck: Option<Instant>,
    is_cut: bool,
    waiting: Option<Waker>,
    /// Where those are told of retractions who show an answer; none for event streams, which are there from the start.
    streams: Option<Arc<Streams>>,
    /// Whose retractions it is told of because of an answer.
    entered: Vec<Key>,
}

/// Whose retractions make something void.
#[derive(Debug, Clone)]
pub(super) enum Whose {
    /// Of this topic.
    Topic(Arc<Channel>),
    /// Of the topic of this name, which nobody uses.
    Unused(TopicName, Redactions),
    /// Of every topic.
    Any(Redactions),
}

/// As [`Whose`], to be found by.
type Key = Option<TopicName>;

/// What an answer shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub whose: Whose,
    /// The number of the last redaction before it was read.
    pub redactions: u64,
    /// Where those are told of retractions whose socket is full.
    pub streams: Arc<Streams>,
}

/// The connections that a retraction may have to cut off, by topic, as an outlet. Event streams are woken by a watch, and told
/// here of retractions alone.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<Key, Vec<Weak<Cut>>>>);

impl Whose {
    /// Whether what was taken after the redaction of this number is void by now. Of a topic that nobody uses it is only
    /// known that nothing was taken back anywhere.
    pub(super) fn is_void(&self, taken: u64) -> bool {
        match self {
            Self::Topic(channel) => channel.is_void(taken),
            Self::Unused(_, redactions) | Self::Any(redactions) => redactions.now() > taken,
        }
    }

    fn key(&self) -> Key {
        match self {
            Self::Topic(channel) => Some(channel.name().clone()),
            Self::Unused(topic, _) => Some(topic.clone()),
            Self::Any(_) => None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Topic(one), Self::Topic(other)) => Arc::ptr_eq(one, other),
            (Self::Unused(one, _), Self::Unused(other, _)) => one == other,
            (Self::Any(_), Self::Any(_)) => true,
            _ => false,
        }
    }

    /// Whether a retraction of this topic is one of these.
    fn has(&self, topic: &TopicName) -> bool {
        match self {
            Self::Topic(channel) => channel.name() == topic,
            Self::Unused(unused, _) => unused == topic,
            Self::Any(_) => true,
        }
    }
}

impl Cut {
    /// Something was taken, after the redaction of this number. Gives what to [`Cut::put_back`] where it is not used.
    pub(super) fn takes(&self, whose: &Whose, redactions: u64) -> Option<u64> {
        self.lock().takes(whose, redactions)
    }

    /// It is not used after all.
    pub(super) fn put_back(&self, whose: &Whose, before: Option<u64>) {
        let mut state = self.lock();
        match before {
            None => state.unsent.retain(|(known, _)| !known.is(whose)),
            Some(before) => {
                let known = state.unsent.iter_mut().find(|(known, _)| known.is(whose));
                if let Some((_, taken)) = known {
                    *taken = before;
                }
            }
        }
    }

    /// A part of an answer goes to the socket.
    pub(super) fn answers(&self, shown: &Shown) {
        let mut state = self.lock();
        state.takes(&shown.whose, shown.redactions);
        if state.streams.is_none() {
            state.streams = Some(Arc::clone(&shown.streams));
        }
    }

    /// The socket did not take all of it: from now on a retraction has to find this connection.
    pub(super) fn is_stuck(self: &Arc<Self>) {
        let (new, streams) = {
            let mut state = self.lock();
            if !state.unsent.is_empty() {
                state.stuck.get_or_insert_with(Instant::now);
            }
            let Some(streams) = state.streams.clone() else {
                return;
            };
            (state.enters(), streams)
        };
        if new.is_empty() {
            return;
        }
        for key in new {
            streams.enter(key, self);
        }
        // One that came before has not found it.
        let mut state = self.lock();
        if state.is_void() {
            state.cut_off();
        }
    }

    /// The socket has taken all.
    pub(super) fn all_sent(&self) {
        let mut state = self.lock();
        state.unsent.clear();
        state.stuck = None;
    }

    /// Writes, unless the connection is cut off, or what is written became void. Nobody can cut it off during the write.
    pub(super) fn write<T>(&self, waker: &Waker, write: impl FnOnce() -> T) -> Option<T> {
        let mut state = self.lock();
        state.is_cut |= state.is_void();
        if state.is_cut {
            return None;
        }
        if !state.unsent.is_empty() && !state.wakes(waker) {
            state.waiting = Some(waker.clone());
        }
        Some(write())
    }

    /// Cuts it off, if anything of this topic is under way that was taken before its last redaction.
    fn redacted(&self, channel: &Channel) {
        let mut state = self.lock();
        let mut unsent = state.unsent.iter();
        if unsent.any(|(whose, taken)| whose.has(channel.name()) && channel.is_void(*taken)) {
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

impl State {
    /// Notes when the oldest was taken of what is not sent yet, and gives what stood there before.
    fn takes(&mut self, whose: &Whose, redactions: u64) -> Option<u64> {
        let known = self.unsent.iter_mut().find(|(known, _)| known.is(whose));
        match known {
            Some((_, taken)) => {
                let before = *taken;
                *taken = before.min(redactions);
                Some(before)
            }
            None => {
                self.unsent.push((whose.clone(), redactions));
                None
            }
        }
    }

    /// Notes whose retractions it is told of from now on, and gives those that are new.
    fn enters(&mut self) -> Vec<Key> {
        let mut new = Vec::new();
        for (whose, _) in &self.unsent {
            let key = whose.key();
            if !self.entered.contains(&key) {
                self.entered.push(key.clone());
                new.push(key);
            }
        }
        new
    }

    /// Whether anything that is not sent yet was taken back.
    fn is_void(&self) -> bool {
        self.unsent
            .iter()
            .any(|(whose, taken)| whose.is_void(*taken))
    }

    fn cut_off(&mut self) {
        self.is_cut = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    fn wakes(&self, waker: &Waker) -> bool {
        let waiting = self.waiting.as_ref();
        waiting.is_some_and(|waiting| waiting.will_wake(waker))
    }
}

impl Streams {
    /// A stream of this topic, or an answer that does not get through, is on this connection, for as long as that lives.
    pub(super) fn enter(&self, key: Key, cut: &Arc<Cut>) {
        let mut streams = self.lock();
        let of_topic = streams.entry(key).or_default();
        // Those that are gone go when there is no room, so that this costs a stream little.
        if of_topic.len() == of_topic.capacity() {
            of_topic.retain(|known| known.strong_count() > 0);
        }
        of_topic.push(Arc::downgrade(cut));
    }

    /// Cuts off those whose sockets have been stuck for too long: event streams, and answers.
    pub(crate) fn give_way(&self) {
        let now = Instant::now();
        let streams = self.lock();
        for cut in streams.values().flatten().filter_map(Weak::upgrade) {
            cut.gives_way(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Weak<Cut>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Streams {
    fn advanced(&self, _channel: &Arc<Channel>) {}

    fn redacted(&self, channel: &Arc<Channel>, ticket: Ticket) {
        let mut streams = self.lock();
        for key in [Some(channel.name().clone()), None] {
            let Some(found) = streams.get_mut(&key) else {
                continue;
            };
            found.retain(|known| {
                let cut = known.upgrade();
                cut.inspect(|cut| cut.redacted(channel)).is_some()
            });
            if found.is_empty() {
                streams.remove(&key);
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
        let redactions = Redactions::default();
        let any = Whose::Any(redactions.clone());
        let [sent, nothing, older] = [(); 3].map(|()| Cut::default());
        sent.takes(&any, 0);
        sent.all_sent();
        let before = nothing.takes(&any, 0);
        nothing.put_back(&any, before);
        older.takes(&any, 0);
        redactions.next();
        let later = Cut::default();
        later.takes(&any, 1);
        older.takes(&any, 1);
        assert!(
            [&sent, &nothing, &later]
                .map(writes)
                .iter()
                .all(|writes| *writes)
        );
        assert!(!writes(&older));
    }

    #[test]
    fn who_takes_nothing_gives_way_and_who_took_all_does_not() {
        let any = Whose::Any(Redactions::default());
        let [stuck, sent] = [(); 2].map(|()| Arc::new(Cut::default()));
        for cut in [&stuck, &sent] {
            cut.takes(&any, 0);
            cut.is_stuck();
        }
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
