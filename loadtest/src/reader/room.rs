//! One thread of readers: an epoll, a dense array of them, and one read buffer for all.

mod flow;
mod over_http;
mod peer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use self::over_http::Half;
use super::tally::Tally;
use super::wire::TopicView;
use super::{Begin, Dialect, Order, Plan, Pulse, Wire};
use crate::check::Cursor;
use crate::clock::now_micros;
use crate::inflate::Inflater;
use crate::line::{Line, Secret};
use crate::source;

const WAKER: Token = Token(usize::MAX);
const READ_BYTES: usize = 256 * 1024;
const TURN: Duration = Duration::from_millis(100);
/// How long a handshake may take, in microseconds.
const HANDSHAKE_MAX_US: u64 = 30_000_000;
/// How long a reader waits after a failed handshake, in microseconds.
const RETRY_AFTER_US: u64 = 200_000;
/// Handshakes of one reader that may fail one after the other.
const TRIES_MAX: u8 = 50;

/// The thread's readers and what they gathered.
pub struct Room {
    plan: Arc<Plan>,
    secret: Option<Secret>,
    /// What is around a change, and how many publishers number theirs.
    dialect: Option<Dialect>,
    lanes: u64,
    poll: Poll,
    readers: Vec<Reader>,
    /// Number of the first reader, and the step to the next one of this thread.
    first: u64,
    step: u64,
    waiting: VecDeque<usize>,
    in_flight: usize,
    in_flight_max: usize,
    topics: Vec<TopicView>,
    inflater: Inflater,
    tally: Tally,
    pulse: Pulse,
    violations_told: u64,
    read_buffer: Vec<u8>,
    orders: Receiver<Order>,
    tallies: Sender<Tally>,
    shown: Arc<Mutex<Pulse>>,
}

/// How a reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Not connected, and not meant to be.
    #[default]
    Away,
    /// Waits for its turn to connect.
    Waiting,
    /// Connecting.
    Connecting,
    /// Its handshake is sent.
    Answering,
    /// Connected; the subscription does not stand yet.
    Subscribing,
    /// The subscription stands.
    Live,
}

struct Reader {
    stream: Option<Line>,
    state: State,
    cursor: Cursor,
    /// Where several publishers number their changes: the cursors of all but the first.
    lanes: Vec<Cursor>,
    begin: Begin,
    partial: Vec<u8>,
    half: Half,
    started_us: u64,
    not_before_us: u64,
    topic: u32,
    tries: u8,
    frozen: bool,
    /// Whether it is to be counted when it reaches the target.
    recovering: bool,
    receive_buffer: Option<u32>,
    /// How many nodes it has left behind.
    moves: u64,
}

impl Room {
    /// The thread number `thread` of the plan.
    ///
    /// # Errors
    /// When there is no epoll to have, or nobody to trust.
    pub fn new(
        plan: Arc<Plan>,
        thread: u64,
        orders: Receiver<Order>,
        tallies: Sender<Tally>,
        shown: Arc<Mutex<Pulse>>,
    ) -> io::Result<(Self, Waker)> {
        let secret = plan.ca.as_deref();
        let secret = secret.map(|ca| Secret::read(ca, &plan.authority));
        let secret = secret.transpose().map_err(io::Error::other)?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (first, step) = (plan.first + thread, u64::from(plan.threads.max(1)));
        let topics = plan.topics.len().max(1) as u64;
        let readers = (first..plan.first + plan.readers)
            .step_by(usize::try_from(step).unwrap_or(1))
            .map(|number| Reader::new(u32::try_from(number % topics).unwrap_or(0)))
            .collect();
        let dialect = match plan.wire {
            Wire::Peer(dialect) => Some(dialect),
            _ => None,
        };
        let lanes = plan.peer.as_ref().map_or(1, |peer| u64::from(peer.lanes));
        let room = Self {
            dialect,
            lanes,
            in_flight_max: (plan.in_flight / plan.threads.max(1)).max(1) as usize,
            topics: plan.topics.iter().map(|_| TopicView::default()).collect(),
            secret,
            plan,
            poll,
            readers,
            first,
            step,
            waiting: VecDeque::new(),
            in_flight: 0,
            inflater: Inflater::default(),
            tally: Tally::default(),
            pulse: Pulse::default(),
            violations_told: 0,
            read_buffer: vec![0; READ_BYTES],
            orders,
            tallies,
            shown,
        };
        Ok((room, waker))
    }

    /// Works until whoever gives the orders is gone.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        let mut shown_us = 0;
        loop {
            match self.poll.poll(&mut events, Some(TURN)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() != WAKER {
                    self.ready(event.token().0, event.is_writable(), event.is_read_closed());
                }
            }
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.obey(&order),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(()),
                }
            }
            self.connect_waiting();
            let now = now_micros();
            if now - shown_us > 50_000 {
                shown_us = now;
                self.give_up_stuck(now);
                self.show();
            }
        }
    }

    fn obey(&mut self, order: &Order) {
        match order {
            Order::Connect {
                from,
                to,
                begin,
                receive_buffer,
            } => {
                for slot in self.slots(*from, *to) {
                    self.drop_connection(slot);
                    let reader = &mut self.readers[slot];
                    reader.begin = *begin;
                    reader.receive_buffer = *receive_buffer;
                    reader.tries = 0;
                    self.wait(slot, 0);
                }
            }
            Order::Leave { from, to } => {
                for slot in self.slots(*from, *to) {
                    self.drop_connection(slot);
                }
            }
            Order::Freeze { from, to } => {
                for slot in self.slots(*from, *to) {
                    self.readers[slot].frozen = true;
                }
            }
            Order::Thaw { from, to } => {
                for slot in self.slots(*from, *to) {
                    self.readers[slot].frozen = false;
                    self.read(slot, true);
                }
            }
            Order::Target(heads) => {
                for (topic, head) in self.topics.iter_mut().zip(heads) {
                    topic.target = *head;
                }
                // A new target is reached anew, also by those who are there already.
                self.tally.reached_us = 0;
                self.show();
            }
            Order::Tell => self.tell(),
        }
        self.pulse.orders += 1;
        self.show();
    }

    fn slots(&self, from: u64, to: u64) -> Vec<usize> {
        (0..self.readers.len())
            .filter(|slot| (from..to).contains(&self.number(*slot)))
            .collect()
    }

    fn number(&self, slot: usize) -> u64 {
        self.first + slot as u64 * self.step
    }

    fn wait(&mut self, slot: usize, not_before_us: u64) {
        let reader = &mut self.readers[slot];
        reader.state = State::Waiting;
        reader.not_before_us = not_before_us;
        self.waiting.push_back(slot);
    }

    fn connect_waiting(&mut self) {
        let now = now_micros();
        let mut turns = self.waiting.len();
        while turns > 0 && self.in_flight < self.in_flight_max {
            turns -= 1;
            let Some(slot) = self.waiting.pop_front() else {
                return;
            };
            if self.readers[slot].state != State::Waiting {
                continue;
            }
            if self.readers[slot].not_before_us > now {
                self.waiting.push_back(slot);
                continue;
            }
            if let Err(error) = self.connect(slot) {
                self.connect_failed(slot, &error.to_string());
            }
        }
    }

    fn connect(&mut self, slot: usize) -> io::Result<()> {
        let number = self.number(slot);
        let reader = &mut self.readers[slot];
        reader.started_us = now_micros();
        let server = match self.plan.nodes.len() as u64 {
            0 => self.plan.server,
            nodes => self.plan.nodes[usize::try_from((number + reader.moves) % nodes).unwrap_or(0)],
        };
        let mut stream = source::connect(server, number, reader.receive_buffer)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(slot), both)?;
        reader.stream = Some(Line::new(stream, self.secret.as_ref())?);
        reader.state = State::Connecting;
        reader.partial.clear();
        self.in_flight += 1;
        Ok(())
    }

    fn connect_failed(&mut self, slot: usize, why: &str) {
        self.drop_connection(slot);
        self.readers[slot].moves += 1;
        self.readers[slot].tries += 1;
        if self.readers[slot].tries < TRIES_MAX {
            self.wait(slot, now_micros() + RETRY_AFTER_US);
            return;
        }
        let number = self.number(slot);
        let violations = &mut self.tally.violations;
        violations.unconnected += 1;
        violations.example(|| format!("reader {number} could not connect: {why}"));
    }

    /// Drops the connection without a goodbye; the cursor stays.
    fn drop_connection(&mut self, slot: usize) {
        let reader = &mut self.readers[slot];
        match reader.state {
            State::Live => self.pulse.live -= 1,
            State::Connecting | State::Answering | State::Subscribing => self.in_flight -= 1,
            State::Away | State::Waiting => {}
        }
        reader.state = State::Away;
        reader.partial = Vec::new();
        reader.half = Half::default();
        if let Some(mut line) = reader.stream.take() {
            // It is closed right after, which takes it from the epoll as well.
            let _ = self.poll.registry().deregister(line.stream());
        }
    }

    fn give_up_stuck(&mut self, now: u64) {
        if self.in_flight == 0 {
            return;
        }
        for slot in 0..self.readers.len() {
            let reader = &self.readers[slot];
            let connecting = matches!(
                reader.state,
                State::Connecting | State::Answering | State::Subscribing
            );
            if connecting && now.saturating_sub(reader.started_us) > HANDSHAKE_MAX_US {
                self.connect_failed(slot, "no answer to the handshake in 30 s");
            }
        }
    }

    fn show(&mut self) {
        let behind = self
            .readers
            .iter()
            .filter(|reader| self.is_behind(reader))
            .count();
        self.pulse.behind = behind as u64;
        self.pulse.pending = self
            .readers
            .iter()
            .filter(|reader| !matches!(reader.state, State::Live | State::Away))
            .count() as u64;
        self.pulse.violations = self.violations_told + self.tally.violations.total();
        self.pulse.slowest_us = self
            .tally
            .buckets
            .last()
            .map_or(0, |bucket| bucket.slowest_us);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = self.pulse;
    }

    fn is_behind(&self, reader: &Reader) -> bool {
        let target = self
            .topics
            .get(reader.topic as usize)
            .map_or(0, |topic| topic.target);
        reader.state != State::Away
            && !reader.frozen
            && (reader.state != State::Live || reader.reached() < target)
    }

    fn tell(&mut self) {
        let mut tally = std::mem::take(&mut self.tally);
        self.violations_told += tally.violations.total();
        for (index, topic) in self.topics.iter_mut().enumerate() {
            topic.tell(u32::try_from(index).unwrap_or(0), &mut tally.seen);
        }
        // Whoever listened is gone when the process is about to end.
        let _ = self.tallies.send(tally);
    }
}

impl Reader {
    fn new(topic: u32) -> Self {
        Self {
            stream: None,
            state: State::Away,
            cursor: Cursor::behind(0),
            lanes: Vec::new(),
            begin: Begin::Head,
            partial: Vec::new(),
            half: Half::default(),
            started_us: 0,
            not_before_us: 0,
            topic,
            tries: 0,
            frozen: false,
            recovering: false,
            receive_buffer: None,
            moves: 0,
        }
    }
}
