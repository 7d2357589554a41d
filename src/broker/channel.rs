//! One topic while somebody uses it: its head, and a ring of the newest frames.
//!
//! The feed is the only thing that advances a head, and it does so after the commit. Subscribers are elsewhere: they
//! hold a cursor and ask [`Channel::walk`] for what is behind it. A channel knows no sockets and no tasks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Frame, Redactions};
use crate::model::{ChangeKind, EntryId, Epoch, Offset, Position, TopicName, Visibility};
use crate::store::StoredTopic;

/// Bounds of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimit {
    /// Most frames.
    pub frames_max: usize,
    /// Most bytes, by [`Frame::weight`]; the newest frame stays whatever its size.
    pub bytes_max: usize,
}

/// A topic in use.
#[derive(Debug)]
pub struct Channel {
    name: TopicName,
    epoch: Epoch,
    limit: RingLimit,
    ring: Mutex<Ring>,
    head: watch::Sender<Offset>,
    taken: watch::Sender<Offset>,
    private: AtomicBool,
    /// The number of the last one here.
    redactions: AtomicU64,
    all_redactions: Redactions,
    readers: AtomicU64,
    elsewhere: AtomicU64,
    retired: AtomicBool,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
}

/// What stands behind a cursor.
#[derive(Debug)]
pub enum Walk {
    /// Nothing: the cursor is at the head.
    AtHead,
    /// The next changes, from the ring.
    Frames(Vec<Arc<Frame>>),
    /// Changes older than the ring: ask the broker for the page.
    Store,
}

/// Counts one subscriber of a channel for as long as it lives.
#[derive(Debug)]
pub struct Presence(Arc<Channel>);

impl Channel {
    pub(super) fn new(stored: &StoredTopic, limit: RingLimit, redactions: &Redactions) -> Self {
        Self {
            name: stored.name.clone(),
            epoch: stored.epoch.clone(),
            limit,
            ring: Mutex::default(),
            head: watch::Sender::new(stored.head),
            // The ring begins behind it.
            taken: watch::Sender::new(stored.head),
            private: AtomicBool::new(stored.private),
            redactions: AtomicU64::new(redactions.now()),
            all_redactions: redactions.clone(),
            readers: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        }
    }

    /// The name of the topic.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// The numbering.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The newest offset; 0 where there is none.
    pub fn head(&self) -> Offset {
        *self.head.borrow()
    }

    /// The position of the head.
    pub fn position(&self) -> Position {
        self.epoch.at(self.head())
    }

    /// Tells of every move of the head (the newest value, not each).
    pub fn watch_head(&self) -> watch::Receiver<Offset> {
        self.head.subscribe()
    }

    /// Tells up to which change the feed has been taken in, redactions of older frames included.
    pub(super) fn watch_taken(&self) -> watch::Receiver<Offset> {
        self.taken.subscribe()
    }

    /// Takes in a newer state of the topic than the one the channel was made from.
    pub(super) fn catch_up(&self, stored: &StoredTopic) {
        let _ring = self.lock();
        if stored.head >= self.head() {
            self.set_private(stored.private);
            raise(&self.head, stored.head);
        }
    }

    /// Whether only those with a key for the topic may read.
    pub fn is_private(&self) -> bool {
        self.private.load(Ordering::Acquire)
    }

    /// The number of the last retraction, or of the update that hid the topic: [`Redactions`]. What was taken from a
    /// page or the ring before it must be taken anew.
    pub fn redactions(&self) -> u64 {
        self.redactions.load(Ordering::Acquire)
    }

    /// Whether what was taken after the redaction of this number is void by now.
    pub fn is_void(&self, taken: u64) -> bool {
        self.redactions() > taken
    }

    /// Makes all copies void.
    pub(super) fn redact_copies(&self) {
        let number = self.all_redactions.next();
        self.redactions.fetch_max(number, Ordering::AcqRel);
    }

    /// Whether the feed has been taken in up to this change.
    pub(super) fn has_taken(&self, offset: Offset) -> bool {
        *self.taken.borrow() >= offset
    }

    /// Holds the ring against what was read from the store, which can be ahead of the feed: what a page shows as redacted
    /// must not come back from the ring.
    pub(super) fn hold_against(&self, page: &[Arc<Frame>]) {
        let comes_back = {
            let ring = self.lock();
            let is_redacted = |frame: &Arc<Frame>| frame.kind() == ChangeKind::EntryRedacted;
            let is_older = |shown: &Arc<Frame>| {
                let known = ring.at(shown.offset());
                is_redacted(shown) && known.is_some_and(|known| !is_redacted(known))
            };
            page.iter().any(is_older)
        };
        if comes_back {
            self.forget();
        }
    }

    /// Forgets what the ring has, and makes all copies void: a retraction is stored, and the feed may not bring it.
    pub(super) fn forget(&self) {
        let mut ring = self.lock();
        ring.clear();
        self.redact_copies();
    }

    /// How many subscribers there are on all nodes: those of the others as they said last.
    pub fn audience(&self) -> u64 {
        self.readers() + self.elsewhere.load(Ordering::Relaxed)
    }

    /// Takes over how many subscribers the other nodes have.
    pub(super) fn set_elsewhere(&self, readers: u64) {
        self.elsewhere.store(readers, Ordering::Relaxed);
    }

    /// Whether the topic goes on in another numbering: nothing comes here any more.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Ends this numbering, and wakes everybody who waits for its head to move.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.head.send_modify(|_| {});
    }

    /// How many subscribers there are on this node.
    pub fn readers(&self) -> u64 {
        self.readers.load(Ordering::Relaxed)
    }

    /// Counts a subscriber until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Presence {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Presence(Arc::clone(self))
    }

    /// The next changes behind `cursor`: at most `frames_max` of them and about `bytes_max` bytes of JSON, at least one
    /// where there is one.
    pub fn walk(&self, cursor: Offset, frames_max: usize, bytes_max: usize) -> Walk {
        if cursor >= self.head() {
            return Walk::AtHead;
        }
        let ring = self.lock();
        let Some(first) = ring.frames.front().map(|frame| frame.offset()) else {
            return Walk::Store;
        };
        let next = cursor + 1;
        if next < first {
            return Walk::Store;
        }
        let Ok(skip) = usize::try_from(next - first) else {
            return Walk::Store;
        };
        let mut frames = Vec::new();
        let mut bytes = 0;
        for frame in ring.frames.iter().skip(skip).take(frames_max) {
            bytes += frame.json().len();
            if bytes > bytes_max && !frames.is_empty() {
                break;
            }
            frames.push(Arc::clone(frame));
        }
        // A head that was read from the store can be ahead of the ring until the feed arrives.
        if frames.is_empty() {
            Walk::Store
        } else {
            Walk::Frames(frames)
        }
    }

    /// Takes a committed change in. Changes come in order; one that the channel has already is left.
    pub(super) fn advance(&self, frame: Arc<Frame>) {
        let offset = frame.offset();
        let visibility = (frame.kind() == ChangeKind::TopicUpdated)
            .then(|| visibility(frame.json()))
            .flatten();
        {
            let mut ring = self.lock();
            // What is known of a later head is newer than what this change says.
            if let Some(visibility) = visibility
                && offset > self.head()
            {
                self.set_private(visibility == Visibility::Private);
            }
            if frame.kind() == ChangeKind::EntryRetracted
                && let Some(entry) = frame.entry()
            {
                self.redact(&mut ring, entry);
            }
            match ring.frames.back().map(|last| last.offset()) {
                Some(last) if offset <= last => return,
                Some(last) if offset > last + 1 => ring.clear(),
                _ => {}
            }
            ring.push(frame, self.limit);
            raise(&self.head, offset);
        }
        raise(&self.taken, offset);
    }

    /// Under the lock of the ring, so that it goes with the head.
    fn set_private(&self, private: bool) {
        let was_private = self.private.swap(private, Ordering::AcqRel);
        if private && !was_private {
            self.redact_copies();
        }
    }

    /// Puts redactions in the place of an entry's frames, and lets everyone know that older copies are void.
    fn redact(&self, ring: &mut Ring, entry: &EntryId) {
        for slot in &mut ring.frames {
            if slot.entry() == Some(entry)
                && let Some(redacted) = slot.redacted(&self.name)
            {
                *slot = redacted;
            }
        }
        ring.bytes = ring.frames.iter().map(|frame| frame.weight()).sum();
        self.redact_copies();
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // A ring is whole between any two of its operations, so a panic elsewhere leaves it usable.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves on to an offset, and tells of it, unless it is there already.
fn raise(to: &watch::Sender<Offset>, offset: Offset) {
    to.send_if_modified(|known| {
        let moved = offset > *known;
        *known = offset.max(*known);
        moved
    });
}

/// The visibility that an update of a topic says.
fn visibility(json: &str) -> Option<Visibility> {
    #[derive(serde::Deserialize)]
    struct Update {
        state: State,
    }
    #[derive(serde::Deserialize)]
    struct State {
        visibility: Visibility,
    }
    let update: Update = serde_json::from_str(json).ok()?;
    Some(update.state.visibility)
}

impl Presence {
    /// The channel.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.0
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ring {
    /// The change at this offset, where it is here.
    fn at(&self, offset: Offset) -> Option<&Arc<Frame>> {
        let first = self.frames.front()?.offset();
        self.frames
            .get(usize::try_from(offset.checked_sub(first)?).ok()?)
    }

    fn push(&mut self, frame: Arc<Frame>, limit: RingLimit) {
        self.bytes += frame.weight();
        self.frames.push_back(frame);
        while self.frames.len() > 1
            && (self.frames.len() > limit.frames_max || self.bytes > limit.bytes_max)
        {
            if let Some(oldest) = self.frames.pop_front() {
                self.bytes -= oldest.weight();
            }
        }
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests;
