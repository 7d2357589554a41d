//! One reader: a socket, its subscriptions, and what is half done on it. No task, no timer, no buffer of its own.
//!
//! What can be kept for a reader is bounded: the tail of one frame that the kernel took in part (shared bytes), and a few
//! answers to its own messages. Changes are never queued; the cursors stand in the topics' member lists.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use mio::net::TcpStream;
use smallvec::SmallVec;

use super::inbound::Assembly;
use crate::broker::Channel;
use crate::keys::{Grant, Right};
use crate::model::TopicName;

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
pub(super) struct Partial {
    /// What is left of it.
    pub rest: Bytes,
    /// The topic it is a change of; none for an answer.
    pub channel: Option<Arc<Channel>>,
}

/// How far a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    Whole,
    /// So many bytes; the kernel has no room for more.
    Part(usize),
    /// The connection is broken.
    Gone,
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

/// A connection.
pub(super) struct Connection {
    pub stream: TcpStream,
    pub generation: u32,
    /// Most readers follow one topic: that costs no allocation.
    pub subscriptions: SmallVec<[Subscription; 2]>,
    pub grant: Option<Arc<Grant>>,
    pub partial: Option<Partial>,
    pub answers: Vec<Bytes>,
    pub assembly: Option<Box<Assembly>>,
    /// Topics asked for that are being looked up.
    pub resolving: Vec<TopicName>,
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
    pub(super) fn new(
        stream: TcpStream,
        generation: u32,
        grant: Option<Arc<Grant>>,
        admission: Box<dyn Send>,
        now: u32,
    ) -> Self {
        Self {
            stream,
            generation,
            subscriptions: SmallVec::new(),
            grant,
            partial: None,
            answers: Vec::new(),
            assembly: None,
            resolving: Vec::new(),
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
            _admission: admission,
        }
    }

    /// Whether a close frame was written.
    pub(super) fn is_closing(&self) -> bool {
        self.closing_at.is_some()
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
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Sent::Gone,
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Part(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Gone,
            }
        }
        Sent::Whole
    }

    /// Writes a frame that is no change, behind what is half done; keeps what the kernel does not take.
    pub(super) fn answer(&mut self, frame: Bytes, now: u32) -> Flushed {
        if self.is_closing() {
            return Flushed::Clear;
        }
        if self.answers.len() >= ANSWERS_MAX {
            return Flushed::Gone;
        }
        self.answers.push(frame);
        if self.blocked_at.is_some() {
            return Flushed::Blocked;
        }
        self.flush(now)
    }

    /// Writes what is left over.
    pub(super) fn flush(&mut self, now: u32) -> Flushed {
        let mut blocked_at = self.blocked_at.take();
        while let Some(partial) = self.next_left_over() {
            match self.send(&partial.rest) {
                Sent::Whole => blocked_at = None,
                Sent::Part(count) => {
                    // Progress starts the patience anew.
                    self.blocked_at = if count > 0 {
                        Some(now)
                    } else {
                        blocked_at.or(Some(now))
                    };
                    self.partial = Some(Partial {
                        rest: partial.rest.slice(count..),
                        channel: partial.channel,
                    });
                    return Flushed::Blocked;
                }
                Sent::Gone => return Flushed::Gone,
            }
        }
        Flushed::Clear
    }

    fn next_left_over(&mut self) -> Option<Partial> {
        if let Some(partial) = self.partial.take() {
            return Some(partial);
        }
        if self.answers.is_empty() {
            // What a burst of answers needed is given back.
            self.answers = Vec::new();
            return None;
        }
        Some(Partial {
            rest: self.answers.remove(0),
            channel: None,
        })
    }

    /// Reads into `buffer`: the count, 0 at the end of the stream, none where nothing waits.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
