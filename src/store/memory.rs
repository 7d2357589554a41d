//! The contract of the store, executable: everything in memory, nothing survives the process.
//!
//! For tests and simulations, and the reference that the embedded store is compared with. [`Ledger`] is the state and
//! its rules, as a plain value. [`MemoryStore`] makes a store of it: one thread takes appends from a bounded queue, one
//! at a time, and feeds what it kept; reads look under the same lock. It has no medium, so it never fails, needs no
//! compaction and can't be backed up.

mod draft;
mod log;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use self::draft::Draft;
use self::log::TopicLog;
use super::{
    Append, AppendError, Appended, AuditRecord, Committed, EntryPage, EntryQuery, HeldEntry,
    KeepName, NumberedPage, PickNumbers, ReadError, ReadLimit, Receipt, Refused, Remembered, Store,
    StoreOptions, StoredChange, StoredEntry, StoredTopic,
};
use crate::clock::Clock;
use crate::model::{EntryId, Offset, TopicName};

/// What a store keeps, with the rules of the contract, as a plain value: no queue, no thread, no feed.
#[derive(Default)]
pub struct Ledger {
    topics: BTreeMap<TopicName, TopicLog>,
    /// How many entries were ever held: their order where they are released at the same moment.
    held_count: u64,
}

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    state: Arc<Mutex<Ledger>>,
    queue: mpsc::Sender<Queued>,
    queue_max: usize,
    feed: Mutex<Option<mpsc::Receiver<Vec<Committed>>>>,
}

type Queued = (Append, oneshot::Sender<Result<Appended, AppendError>>);

impl MemoryStore {
    /// An empty store. Its bounds are at least 1 each.
    ///
    /// # Panics
    /// When the system refuses a thread.
    pub fn open(options: StoreOptions, clock: Arc<dyn Clock>) -> Arc<Self> {
        let queue_max = options.queue_max.max(1);
        let (queue, waiting) = mpsc::channel(queue_max);
        let (feed_sender, feed) = mpsc::channel(options.feed_batches_max.max(1));
        let state = Arc::<Mutex<Ledger>>::default();
        let writer = Writer {
            state: Arc::clone(&state),
            topics_max: options.topics_max,
            clock,
            feed: feed_sender,
        };
        // The thread ends when the store is dropped and the queue is empty; nobody has to wait for it.
        std::thread::spawn(move || writer.run(waiting));
        Arc::new(Self {
            state,
            queue,
            queue_max,
            feed: Mutex::new(Some(feed)),
        })
    }
}

impl Store for MemoryStore {
    fn append(&self, append: Append) -> Receipt {
        let (reply, receipt) = Receipt::channel();
        match self.queue.try_send((append, reply)) {
            Ok(()) => receipt,
            Err(mpsc::error::TrySendError::Full(_)) => {
                Receipt::refused(Refused::Busy(self.queue_max))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Receipt::refused(Refused::Failed("the writer stopped".into()))
            }
        }
    }

    fn read(
        &self,
        topic: &TopicName,
        after: Offset,
        limit: ReadLimit,
    ) -> Result<Vec<StoredChange>, ReadError> {
        Ok(lock(&self.state).read(topic, after, limit))
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        Ok(lock(&self.state).topic(topic))
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(lock(&self.state).topics(after, limit))
    }

    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(lock(&self.state).newest_topics(limit))
    }

    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(lock(&self.state).newest_named(keep, limit))
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        Ok(lock(&self.state).entry(topic, id))
    }

    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        Ok(lock(&self.state).entries(topic, query))
    }

    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        Ok(lock(&self.state).numbered(topic, around, pick))
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        Ok(lock(&self.state).held(topic, limit))
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        Ok(lock(&self.state).remembered(topic, key))
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        Ok(lock(&self.state).audit(topic, limit))
    }

    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>> {
        lock(&self.feed).take()
    }

    fn compact(&self) -> Result<bool, ReadError> {
        Ok(true)
    }

    fn backup(&self, _target: &Path) -> Result<(), ReadError> {
        Err(ReadError::Medium("the memory store has no backup".into()))
    }

    fn failed(&self) -> Option<String> {
        None
    }
}

/// The one that changes the state.
struct Writer {
    state: Arc<Mutex<Ledger>>,
    topics_max: usize,
    clock: Arc<dyn Clock>,
    feed: mpsc::Sender<Vec<Committed>>,
}

impl Writer {
    /// Works until the queue is closed and empty.
    fn run(self, mut queue: mpsc::Receiver<Queued>) {
        while let Some((append, reply)) = queue.blocking_recv() {
            let now = self.clock.now();
            let applied = lock(&self.state).apply(append, now, self.topics_max);
            let (answer, committed) = match applied {
                Ok((appended, committed)) => (Ok(appended), committed),
                Err(refused) => (Err(AppendError::NotStored(refused)), Vec::new()),
            };
            // Whoever asked may be gone; the change is stored all the same.
            let _ = reply.send(answer);
            if !committed.is_empty() {
                // A broker that is gone needs no feed.
                let _ = self.feed.blocking_send(committed);
            }
        }
    }
}

/// The reads answer as the methods of [`Store`] of the same name.
impl Ledger {
    /// The changes behind `after`.
    pub fn read(&self, topic: &TopicName, after: Offset, limit: ReadLimit) -> Vec<StoredChange> {
        let log = self.topics.get(topic);
        log.map(|log| log.read(after, limit)).unwrap_or_default()
    }

    /// The topic with its head.
    pub fn topic(&self, topic: &TopicName) -> Option<StoredTopic> {
        self.topics.get(topic).map(|log| log.topic.clone())
    }

    /// Topics in the order of their names.
    pub fn topics(&self, after: Option<&TopicName>, limit: usize) -> Vec<StoredTopic> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.topics
            .range::<TopicName, _>((behind, Bound::Unbounded))
            .take(limit)
            .map(|(_, log)| log.topic.clone())
            .collect()
    }

    /// Public topics that have a change.
    pub fn newest_topics(&self, limit: usize) -> Vec<StoredTopic> {
        let mut changed: Vec<_> = self
            .topics
            .values()
            .filter(|log| !log.topic.private)
            .filter_map(|log| log.changed_at().map(|at| (Reverse(at), &log.topic)))
            .collect();
        // Stable: those of the same moment stay in the order of their names.
        changed.sort_by_key(|(at, _)| *at);
        changed.truncate(limit);
        let topics = changed.into_iter().map(|(_, topic)| topic.clone());
        topics.collect()
    }

    /// Topics whose name is kept.
    pub fn newest_named(&self, keep: &KeepName<'_>, limit: usize) -> Vec<StoredTopic> {
        let kept = self.topics.iter().filter(|(name, _)| keep(name));
        let mut named: Vec<_> = kept
            .map(|(_, log)| (Reverse(log.changed_at()), &log.topic))
            .collect();
        named.sort_by_key(|(at, _)| *at);
        named.truncate(limit);
        named.into_iter().map(|(_, topic)| topic.clone()).collect()
    }

    /// One entry.
    pub fn entry(&self, topic: &TopicName, id: &EntryId) -> Option<StoredEntry> {
        self.topics.get(topic)?.entry(id)
    }

    /// A snapshot page.
    pub fn entries(&self, topic: &TopicName, query: &EntryQuery) -> Option<EntryPage> {
        self.topics.get(topic).map(|log| log.entries(query))
    }

    /// Entries by their numbers.
    pub fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Option<NumberedPage> {
        let log = self.topics.get(topic);
        log.map(|log| log.numbered(around, pick))
    }

    /// The held entries.
    pub fn held(&self, topic: Option<&TopicName>, limit: usize) -> Vec<HeldEntry> {
        let mut held: Vec<_> = self
            .topics
            .values()
            .filter(|log| topic.is_none_or(|topic| *topic == log.topic.name))
            .flat_map(TopicLog::held)
            .collect();
        held.sort_by_key(|(number, entry)| (entry.released_at, *number));
        held.truncate(limit);
        held.into_iter().map(|(_, entry)| entry).collect()
    }

    /// What an idempotency key was answered with.
    pub fn remembered(&self, topic: &TopicName, key: &str) -> Option<Remembered> {
        self.topics.get(topic)?.remembered(key)
    }

    /// The audit trail.
    pub fn audit(&self, topic: &TopicName, limit: usize) -> Vec<AuditRecord> {
        let log = self.topics.get(topic);
        log.map(|log| log.audit(limit)).unwrap_or_default()
    }

    /// Does one append at `now`, whole or not at all: its answer, and what the feed has to say of it. The same appends
    /// at the same times make the same ledger.
    ///
    /// # Errors
    /// [`Refused`], with nothing changed.
    pub fn apply(
        &mut self,
        append: Append,
        now: Timestamp,
        topics_max: usize,
    ) -> Result<(Appended, Vec<Committed>), Refused> {
        let known = self.topics.get(&append.topic);
        if let Some(log) = known
            && let Some(idempotency) = &append.idempotency
            && let Some(first) = log.remembered(&idempotency.key)
        {
            return replayed(first, idempotency.request);
        }
        let mut draft = match (known, &append.create) {
            (Some(log), _) => Draft::of_topic(log, self.held_count, now),
            (None, None) => return Err(Refused::NoTopic),
            (None, Some(_)) if self.topics.len() >= topics_max => {
                return Err(Refused::TooManyTopics(topics_max));
            }
            (None, Some(new)) => Draft::of_new_topic(&append.topic, new, self.held_count, now),
        };
        let (steps, earlier) = draft.run(&append)?;
        let draft = draft.finish();
        self.held_count = draft.held_count;
        let appended = Appended {
            epoch: draft.topic.epoch.clone(),
            replayed: !steps.is_empty() && earlier.len() == steps.len(),
            steps,
            earlier,
        };
        let committed = draft.committed();
        let log = self
            .topics
            .entry(append.topic)
            .or_insert_with(|| TopicLog::new(draft.topic.clone()));
        log.take_in(draft);
        if let Some(idempotency) = append.idempotency {
            log.remember(idempotency, appended.steps.clone());
        }
        Ok((appended, committed))
    }
}

fn replayed(first: Remembered, request: [u8; 32]) -> Result<(Appended, Vec<Committed>), Refused> {
    if first.request != request {
        return Err(Refused::KeyReused);
    }
    let appended = Appended {
        epoch: first.epoch,
        earlier: (0..first.steps.len()).collect(),
        steps: first.steps,
        replayed: true,
    };
    Ok((appended, Vec::new()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // An append is prepared aside and taken in at its end, so a panic leaves no half of one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
