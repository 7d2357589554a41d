//! A shard: one thread, one event queue, and every connection it was given. Nothing in it is shared, so nothing is locked.
//!
//! A turn: what the sockets say, what the inbox has, what the clock says, a slice of the walks over subscribers at the
//! head, and then some of those that are behind. Live goes before replay, and no walk keeps the others waiting for longer
//! than a slice.

mod catching_up;
mod deadlines;
mod reading;
mod shedding;
mod subscribing;
mod walking;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use tokio::runtime::Handle;

use self::deadlines::{Census, Drain};
use self::walking::Load;
use super::connection::{Connection, Flushed, Key};
use super::counters::{ShardCounters, Tally};
use super::inbound::Received;
use super::inbox::{Command, Inbox};
use super::socket::Socket;
use super::topic::ShardTopic;
use super::wheel::{TICK, Wheel};
use super::{FanOutOptions, Handover, Hello};
use crate::broker::Broker;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::model::{After, TopicName};
use crate::protocol::{CloseCode, close_frame};

const WAKE: Token = Token(usize::MAX);
const EVENTS: usize = 1_024;
/// Ticks that a peer has to take its leave after a close frame: two seconds.
const FAREWELL: u32 = 20;
/// The buffer that every read of the shard goes through, in bytes.
const READ_BUFFER: usize = 64 << 10;

/// What a shard is made of.
pub(super) struct ShardParts {
    pub options: Arc<FanOutOptions>,
    pub broker: Arc<Broker>,
    pub keys: Arc<dyn Keys>,
    pub limits: Arc<Limits>,
    pub runtime: Handle,
}

/// One shard.
pub(super) struct Shard {
    parts: ShardParts,
    poll: Poll,
    inbox: Arc<Inbox>,
    counters: Arc<ShardCounters>,
    tally: Tally,
    connections: Slab<Connection>,
    topics: Slab<ShardTopic>,
    by_name: HashMap<TopicName, usize>,
    /// Topics that are being looked up, and who asked.
    resolving: HashMap<TopicName, Vec<(Key, After)>>,
    /// Topics whose walk is under way.
    live: VecDeque<usize>,
    /// Topics whose walk waits for more changes to join.
    delayed: Vec<(Instant, usize)>,
    /// Connections to walk forward.
    behind: VecDeque<Key>,
    /// Connections with a key, which may be revoked.
    granted: HashSet<Key>,
    /// Connections found broken in the middle of something.
    broken: Vec<Key>,
    wheel: Wheel,
    started: Instant,
    /// Ticks since the start.
    now: u32,
    generation: u32,
    load: Load,
    drain: Option<Drain>,
    census: Census,
    buffer: Vec<u8>,
    received: Vec<Received>,
    is_stopped: bool,
}

impl Shard {
    pub(super) fn new(parts: ShardParts) -> io::Result<(Self, Arc<Inbox>)> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), WAKE)?));
        let shard = Self {
            parts,
            poll,
            inbox: Arc::clone(&inbox),
            counters: Arc::default(),
            tally: Tally::default(),
            connections: Slab::new(),
            topics: Slab::new(),
            by_name: HashMap::new(),
            resolving: HashMap::new(),
            live: VecDeque::new(),
            delayed: Vec::new(),
            behind: VecDeque::new(),
            granted: HashSet::new(),
            broken: Vec::new(),
            wheel: Wheel::new(),
            started: Instant::now(),
            now: 0,
            generation: 0,
            load: Load::default(),
            drain: None,
            census: Census::default(),
            buffer: vec![0; READ_BUFFER],
            received: Vec::new(),
            is_stopped: false,
        };
        Ok((shard, inbox))
    }

    pub(super) fn counters(&self) -> Arc<ShardCounters> {
        Arc::clone(&self.counters)
    }

    /// Runs until [`Command::Stop`].
    pub(super) fn run(mut self) {
        // Whatever ends the thread, nobody may wait for an answer of it.
        let _closes = ClosesInbox(Arc::clone(&self.inbox));
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_stopped {
            if let Err(error) = self.wait(&mut events)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a shard can't wait for its sockets");
                return;
            }
            for event in &events {
                self.on_event(event);
            }
            if self.inbox.is_waiting() {
                self.take_inbox();
            }
            self.tick();
            self.walk_slice();
            self.continue_some();
            self.bury();
            if !self.tally.is_empty() {
                self.counters.take(&mut self.tally);
            }
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let work = !self.live.is_empty() || !self.behind.is_empty() || self.inbox.is_waiting();
        let began = Instant::now();
        let timeout = if work {
            Duration::ZERO
        } else {
            let next_tick = self.started + TICK * (self.now + 1);
            let next = self
                .delayed
                .iter()
                .map(|(due, _)| *due)
                .fold(next_tick, Instant::min);
            next.saturating_duration_since(began)
        };
        let outcome = self.poll.poll(events, Some(timeout));
        self.load.waited(began, timeout);
        outcome
    }

    fn on_event(&mut self, event: &Event) {
        if event.token() == WAKE {
            return;
        }
        let key = key_of(event.token());
        if event.is_writable() {
            self.writable(key);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.guarded(key, |shard| shard.readable(key));
        }
    }

    /// Does what a peer's bytes ask for. They are read with care, and still: one connection's panic ends that connection
    /// only.
    fn guarded(&mut self, key: Key, read: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| read(self))).is_err() {
            tracing::error!("reading from a connection panicked; it is cut off");
            self.broken.push(key);
            // It was lent to the read that did not come back.
            self.buffer.resize(READ_BUFFER, 0);
        }
    }

    fn take_inbox(&mut self) {
        let (commands, advanced) = self.inbox.take();
        for command in commands {
            match command {
                Command::Adopt { handover, hello } => self.adopt(handover, hello),
                Command::Redacted { channel, ticket } => {
                    self.forget_redacted(&channel);
                    drop(ticket);
                }
                Command::Retired(channel) => self.retired(&channel),
                Command::Resolved { topic, channel } => self.resolved(&topic, channel),
                Command::Started {
                    key,
                    channel,
                    start,
                } => self.started(key, &channel, start),
                Command::Page {
                    channel,
                    index,
                    page,
                } => self.page_read(&channel, index, page),
                Command::Drain { window } => self.begin_drain(window),
                Command::Shed(shed) => self.shed(shed),
                Command::Stop => self.is_stopped = true,
            }
        }
        for channel in advanced.into_values() {
            self.advanced(&channel);
        }
    }

    fn adopt(&mut self, handover: Handover, mut hello: Hello) {
        let Handover {
            stream,
            session,
            left_over,
        } = handover;
        let mut stream = TcpStream::from_std(stream);
        self.generation = self.generation.wrapping_add(1);
        let slot = self.connections.vacant_entry();
        let Ok(index) = u32::try_from(slot.key()) else {
            return self.counters.gone();
        };
        let key = Key::new(index, self.generation);
        // Small frames go at once. A socket that is broken already shows it at its first event.
        let _ = stream.set_nodelay(true);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self
            .poll
            .registry()
            .register(&mut stream, token_of(key), interest)
        {
            tracing::warn!(%error, "a socket could not be watched; it is closed");
            return self.counters.gone();
        }
        if hello.grant.is_some() {
            self.granted.insert(key);
        }
        let has_session = session.is_some();
        let socket = Socket::new(stream, session);
        let subscribe = hello.subscribe.take();
        slot.insert(Connection::new(socket, self.generation, hello, self.now));
        let patience = super::wheel::ticks(self.parts.options.first_subscribe);
        self.wheel.insert(self.now + patience, key);
        if self.drain.is_some() {
            return self.close_draining(key);
        }
        if let Some((topic, after)) = subscribe {
            self.subscribe(key, topic, after);
        }
        if !left_over.is_empty() {
            self.guarded(key, |shard| shard.take_bytes(key, &left_over));
        }
        if has_session {
            // What the session has read already is announced by no event.
            self.guarded(key, |shard| shard.readable(key));
        }
    }

    fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        self.connections
            .get_mut(key.index())
            .filter(|connection| connection.generation == key.generation())
    }

    /// Says something that is no change.
    fn answer(&mut self, key: Key, frame: Bytes) {
        let now = self.now;
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.answer(frame, now) == Flushed::Gone {
            self.broken.push(key);
        }
    }

    /// Writes a close frame, lets the peer read it, and forgets the connection's subscriptions at once.
    fn close(&mut self, key: Key, code: CloseCode, reason: &str) {
        let now = self.now;
        self.leave_all(key);
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        let flushed = connection.answer(close_frame(code, reason), now);
        connection.closing_at = Some(now);
        let half_closed = connection.socket.end();
        if flushed != Flushed::Clear || half_closed.is_err() {
            self.broken.push(key);
        }
        self.counters.closed();
        tracing::debug!(code = code.as_str(), reason, "a WebSocket is closed");
        // The peer's end is waited for, but not for ever.
        self.wheel.insert(now + FAREWELL, key);
    }

    /// Removes what was found broken.
    fn bury(&mut self) {
        while let Some(key) = self.broken.pop() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Key) {
        self.leave_all(key);
        if self.connection(key).is_none() {
            return;
        }
        let mut connection = self.connections.remove(key.index());
        self.granted.remove(&key);
        // Closing the descriptor ends the registration as well.
        let _ = self.poll.registry().deregister(connection.socket.stream());
        self.counters.gone();
    }
}

/// Closes the inbox when the thread ends, however it ends.
struct ClosesInbox(Arc<Inbox>);

impl Drop for ClosesInbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn token_of(key: Key) -> Token {
    Token(key.index() | (key.generation() as usize) << 32)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is cut out on purpose"
)]
fn key_of(token: Token) -> Key {
    Key::new(token.0 as u32, (token.0 >> 32) as u32)
}
