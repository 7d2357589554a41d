//! One reader: a socket, its subscriptions, and what is half done on it. No task, no timer, no buffer of its own.
//!
//! What can be kept for a reader is bounded: the tail of one frame that the kernel took in part (shared bytes), and a few
//! answers to its own messages. Changes are never queued; the cursors stand in the topics' member lists.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Hello;
use super::inbound::{Accepts, Assembly, Received};
use super::socket::{Sent, Socket};
use crate::broker::Channel;
use crate::keys::{Grant, Right};
use crate::limits::Address;
use crate::model::TopicName;
use crate::protocol::{CloseCode, Wire};

/// Answers that may wait for a reader that takes nothing.
const ANSWERS_MAX: usize = 64;
/// Messages a reader may send at once…
const MESSAGES_BURST: u16 = 128;
/// …and how many more each tick of 100 ms.
const MESSAGES_A_TICK: u32 = 2;

/// Names a connection of a shard for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

/// A place in a topic's member list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription {
    /// Slot of the topic in the shard.
    pub topic: u32,
    /// Place of the member in the topic.
    pub member: u32,
}

/// The tail of a frame that the kernel took in part.
#[derive(Debug)]
struct Partial {
    /// What is left of it: nothing where only sealed bytes of it wait in the TLS session.
    rest: Bytes,
    /// The topic it is a change of; none for an answer.
    channel: Option<Arc<Channel>>,
}

/// Whether more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing is left over.
    Clear,
    /// The kernel has no room.
    Blocked,
    /// The connection is broken.
    Gone,
}

/// What a connection has begun and not finished.
#[derive(Debug, Default)]
struct HalfDone {
    partial: Option<Partial>,
    answers: Vec<Bytes>,
    assembly: Assembly,
    /// Topics asked for that are being looked up.
    resolving: Vec<TopicName>,
}

/// A connection.
pub(super) struct Connection {
    pub socket: Socket,
    pub generation: u32,
    /// The form of its changes.
    pub wire: Wire,
    /// Most readers follow one topic: that costs no allocation.
    pub subscriptions: SmallVec<[Subscription; 2]>,
    pub grant: Option<Arc<Grant>>,
    /// Whom its replays count for.
    pub client: Option<Address>,
    /// None for nearly all at nearly all times, which keeps the shard's memory of many readers in its cache.
    half_done: Option<Box<HalfDone>>,
    /// Tick at which the kernel had no room, for as long as it hasn't.
    pub blocked_at: Option<u32>,
    pub opened_at: u32,
    pub pinged_at: u32,
    pub awaits_pong: bool,
    pub has_subscribed: bool,
    /// Waits in the queue of those that are walked forward.
    pub is_queued: bool,
    /// Tick at which a close frame was written: only the peer's end is waited for since.
    pub closing_at: Option<u32>,
    pub breaches: u8,
    messages: u16,
    messages_at: u32,
    _admission: Box<dyn Send>,
}

impl Key {
    pub(super) fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    pub(super) fn index(self) -> usize {
        self.index as usize
    }

    pub(super) fn generation(self) -> u32 {
        self.generation
    }
}

impl Connection {
    pub(super) fn new(socket: Socket, generation: u32, hello: Hello, now: u32) -> Self {
        Self {
            socket,
            generation,
            wire: hello.wire,
            subscriptions: SmallVec::new(),
            grant: hello.grant,
            client: hello.client,
            half_done: None,
            blocked_at: None,
            opened_at: now,
            pinged_at: now,
            awaits_pong: false,
            has_subscribed: false,
            is_queued: false,
            closing_at: None,
            breaches: 0,
            messages: MESSAGES_BURST,
            messages_at: now,
            _admission: hello.admission,
        }
    }

    /// Whether a close frame was written.
    pub(super) fn is_closing(&self) -> bool {
        self.closing_at.is_some()
    }

    /// Whether changes wait for its socket, or for its turn to be walked forward.
    pub(super) fn is_behind(&self) -> bool {
        self.blocked_at.is_some() || self.is_queued
    }

    /// Whether a change can be written now.
    pub(super) fn is_clear(&self) -> bool {
        self.blocked_at.is_none() && !self.is_closing()
    }

    /// Whether it may read this topic.
    pub(super) fn may_read(&self, channel: &Channel) -> bool {
        !channel.is_private()
            || self
                .grant
                .as_ref()
                .is_some_and(|grant| grant.may(Right::Read, channel.name()))
    }

    /// Whether one more message is within the reader's rate.
    pub(super) fn may_speak(&mut self, now: u32) -> bool {
        let earned = now
            .wrapping_sub(self.messages_at)
            .saturating_mul(MESSAGES_A_TICK);
        self.messages_at = now;
        let budget = u32::from(self.messages).saturating_add(earned);
        self.messages = u16::try_from(budget).map_or(MESSAGES_BURST, |m| m.min(MESSAGES_BURST));
        let may = self.messages > 0;
        self.messages = self.messages.saturating_sub(1);
        may
    }

    /// Writes bytes, as far as the kernel takes them.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Sent {
        self.socket.write(bytes)
    }

    /// Writes a frame that is no change, behind what is half done; keeps what the kernel does not take.
    pub(super) fn answer(&mut self, frame: Bytes, now: u32) -> Flushed {
        if self.is_closing() {
            return Flushed::Clear;
        }
        if self.blocked_at.is_none() {
            // Nothing is left over then.
            return self.write_or_keep(
                Partial {
                    rest: frame,
                    channel: None,
                },
                now,
            );
        }
        let half_done = self.half_done();
        if half_done.answers.len() >= ANSWERS_MAX {
            return Flushed::Gone;
        }
        half_done.answers.push(frame);
        Flushed::Blocked
    }

    /// Takes note that the kernel had no room for the rest of a change, if a frame was cut, or for a next one.
    pub(super) fn block(&mut self, rest: Option<Bytes>, channel: &Arc<Channel>, now: u32) {
        self.blocked_at = Some(now);
        // What a session has sealed of the change and the kernel did not take is a rest of it as well.
        if rest.is_some() || self.socket.has_tail() {
            self.half_done().partial = Some(Partial {
                rest: rest.unwrap_or_default(),
                channel: Some(Arc::clone(channel)),
            });
        }
    }

    /// The topic of the change that was cut in the middle.
    pub(super) fn cut_change(&self) -> Option<&Arc<Channel>> {
        self.half_done.as_ref()?.partial.as_ref()?.channel.as_ref()
    }

    /// Writes what is left over.
    pub(super) fn flush(&mut self, now: u32) -> Flushed {
        while let Some(partial) = self.next_left_over() {
            match self.write_or_keep(partial, now) {
                Flushed::Clear => {}
                other => return other,
            }
        }
        self.unblock(now);
        self.tidy();
        Flushed::Clear
    }

    /// The kernel has room again. A ping that waited unread in front of what filled the socket may be answered from now.
    fn unblock(&mut self, now: u32) {
        if self.blocked_at.take().is_some() && self.awaits_pong {
            self.pinged_at = now;
        }
    }

    fn write_or_keep(&mut self, partial: Partial, now: u32) -> Flushed {
        match self.send(&partial.rest) {
            Sent::Whole => {
                self.unblock(now);
                Flushed::Clear
            }
            Sent::Part(count) => {
                // Progress starts the patience anew.
                if count > 0 || self.socket.take_progress() || self.blocked_at.is_none() {
                    self.blocked_at = Some(now);
                }
                self.half_done().partial = Some(Partial {
                    rest: partial.rest.slice(count..),
                    channel: partial.channel,
                });
                Flushed::Blocked
            }
            Sent::Gone => Flushed::Gone,
        }
    }

    fn next_left_over(&mut self) -> Option<Partial> {
        let half_done = self.half_done.as_mut()?;
        if let Some(partial) = half_done.partial.take() {
            return Some(partial);
        }
        if half_done.answers.is_empty() {
            return None;
        }
        Some(Partial {
            rest: half_done.answers.remove(0),
            channel: None,
        })
    }

    /// Takes bytes of the reader in, and appends the messages they complete to `received`.
    ///
    /// # Errors
    /// The code to close with.
    pub(super) fn assemble(
        &mut self,
        bytes: &[u8],
        message_bytes_max: usize,
        received: &mut Vec<Received>,
    ) -> Result<(), CloseCode> {
        let mut assembly = match &mut self.half_done {
            Some(half_done) => std::mem::take(&mut half_done.assembly),
            None => Assembly::default(),
        };
        let accepts = Accepts {
            message_bytes_max,
            wire: self.wire,
        };
        let outcome = assembly.read(bytes, accepts, received);
        if !assembly.is_empty() {
            self.half_done().assembly = assembly;
        }
        self.tidy();
        outcome
    }

    /// Topics asked for that are being looked up.
    pub(super) fn resolving(&self) -> &[TopicName] {
        self.half_done
            .as_ref()
            .map_or(&[], |half_done| &half_done.resolving)
    }

    /// Takes note that a topic is being looked up for it.
    pub(super) fn ask(&mut self, topic: TopicName) {
        self.half_done().resolving.push(topic);
    }

    /// Whether a topic was being looked up for it. It is not any more.
    pub(super) fn stop_asking(&mut self, topic: &TopicName) -> bool {
        let Some(place) = self.resolving().iter().position(|name| name == topic) else {
            return false;
        };
        self.half_done().resolving.swap_remove(place);
        self.tidy();
        true
    }

    /// Takes back whatever is being looked up for it.
    pub(super) fn stop_asking_all(&mut self) -> Vec<TopicName> {
        let topics = match &mut self.half_done {
            Some(half_done) => std::mem::take(&mut half_done.resolving),
            None => Vec::new(),
        };
        self.tidy();
        topics
    }

    fn half_done(&mut self) -> &mut HalfDone {
        self.half_done.get_or_insert_default()
    }

    /// Gives the memory back where nothing is half done.
    fn tidy(&mut self) {
        self.half_done.take_if(|half_done| {
            half_done.partial.is_none()
                && half_done.answers.is_empty()
                && half_done.assembly.is_empty()
                && half_done.resolving.is_empty()
        });
    }

    /// Reads into `buffer`: the count, 0 at the end of the stream, none where nothing waits.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.socket.read(buffer)
    }
}
