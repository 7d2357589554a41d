//! What others hand to a shard: new sockets, heads that moved, pages that were read, orders.
//!
//! Heads are kept once a topic however often they move, so a burst of publishes costs a shard that is busy one entry.
//! The rest is bounded by what asks for it: sockets by admission, pages and topics by the shard's own questions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::Waker;

use super::connection::Key;
use super::{Handover, Hello, Shed};
use crate::broker::{Channel, Page, Start, Ticket};
use crate::model::TopicName;
use crate::store::ReadError;

/// Something for a shard to do.
pub(super) enum Command {
    /// A socket whose handshake is done, with what came behind it.
    Adopt { handover: Handover, hello: Hello },
    /// Bodies were retracted or the topic became private: let go of older bytes, then drop the ticket.
    Redacted {
        channel: Arc<Channel>,
        ticket: Ticket,
    },
    /// The topic goes on in another numbering: send its subscribers away.
    Retired(Arc<Channel>),
    /// The answer about a topic that was not in use.
    Resolved {
        topic: TopicName,
        channel: Result<Option<Arc<Channel>>, ReadError>,
    },
    /// Where a subscriber starts that named a position past the head which the shard knew.
    Started {
        key: Key,
        channel: Arc<Channel>,
        start: Result<Start, ReadError>,
    },
    /// The answer for laggards beyond the ring.
    Page {
        channel: Arc<Channel>,
        index: u64,
        page: Result<Arc<Page>, ReadError>,
    },
    /// Close everything within this time.
    Drain { window: Duration },
    /// Close some readers.
    Shed(Shed),
    /// End the thread.
    Stop,
}

/// The queue into one shard.
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    waker: Waker,
    woken: AtomicBool,
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    advanced: HashMap<usize, Arc<Channel>>,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            queue: Mutex::default(),
            waker,
            woken: AtomicBool::new(false),
        }
    }

    /// Hands a command over; a shard that has ended drops it.
    pub(super) fn post(&self, command: Command) {
        {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            queue.commands.push(command);
        }
        self.wake();
    }

    /// Says that the head of a topic moved.
    pub(super) fn advanced(&self, channel: &Arc<Channel>) {
        {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            queue
                .advanced
                .entry(Arc::as_ptr(channel) as usize)
                .or_insert_with(|| Arc::clone(channel));
        }
        self.wake();
    }

    /// Whether there is something to take.
    pub(super) fn is_waiting(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Everything that waits.
    pub(super) fn take(&self) -> (Vec<Command>, HashMap<usize, Arc<Channel>>) {
        // Lowered before the queue is emptied: whoever posts from here on wakes the shard again.
        self.woken.store(false, Ordering::Release);
        let mut queue = self.lock();
        (
            std::mem::take(&mut queue.commands),
            std::mem::take(&mut queue.advanced),
        )
    }

    /// Drops what waits and whatever comes, so that nobody waits for a shard that has ended.
    pub(super) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        queue.commands.clear();
        queue.advanced.clear();
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            // The shard looks again at its next tick.
            tracing::warn!(%error, "a shard could not be woken");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
