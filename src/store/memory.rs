//! The contract of the store, executable: everything in memory, nothing survives the process.
//!
//! For tests and simulations, and the reference that the embedded store is compared with. One thread takes appends from
//! a bounded queue, one at a time, and feeds what it kept; reads look under the same lock. It has no medium, so it
//! never fails, needs no compaction and can't be backed up.

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

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    queue: mpsc::Sender<Queued>,
    queue_max: usize,
    feed: Mutex<Option<mpsc::Receiver<Vec<Committed>>>>,
}

type Queued = (Append, oneshot::Sender<Result<Appended, AppendError>>);

#[derive(Default)]
struct State {
    topics: BTreeMap<TopicName, TopicLog>,
    /// How many entries were ever held: their order where they are released at the same moment.
    held_count: u64,
}

impl MemoryStore {
    /// An empty store. Its bounds are at least 1 each.
    ///
    /// # Panics
    /// When the system refuses a thread.
    pub fn open(options: StoreOptions, clock: Arc<dyn Clock>) -> Arc<Self> {
        let queue_max = options.queue_max.max(1);
        let (queue, waiting) = mpsc::channel(queue_max);
        let (feed_sender, feed) = mpsc::channel(options.feed_batches_max.max(1));
        let state = Arc::<Mutex<State>>::default();
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

    fn look<T>(&self, topic: &TopicName, read: impl FnOnce(&TopicLog) -> T) -> Option<T> {
        lock(&self.state).topics.get(topic).map(read)
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
        Ok(self
            .look(topic, |log| log.read(after, limit))
            .unwrap_or_default())
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        Ok(self.look(topic, |log| log.topic.clone()))
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(lock(&self.state)
            .topics
            .range::<TopicName, _>((behind, Bound::Unbounded))
            .take(limit)
            .map(|(_, log)| log.topic.clone())
            .collect())
    }

    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        let state = lock(&self.state);
        let mut changed: Vec<_> = state
            .topics
            .values()
            .filter(|log| !log.topic.private)
            .filter_map(|log| log.changed_at().map(|at| (Reverse(at), &log.topic)))
            .collect();
        // Stable: those of the same moment stay in the order of their names.
        changed.sort_by_key(|(at, _)| *at);
        changed.truncate(limit);
        Ok(changed
            .into_iter()
            .map(|(_, topic)| topic.clone())
            .collect())
    }

    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        let state = lock(&self.state);
        let kept = state.topics.iter().filter(|(name, _)| keep(name));
        let mut named: Vec<_> = kept
            .map(|(_, log)| (Reverse(log.changed_at()), &log.topic))
            .collect();
        named.sort_by_key(|(at, _)| *at);
        named.truncate(limit);
        Ok(named.into_iter().map(|(_, topic)| topic.clone()).collect())
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        Ok(self.look(topic, |log| log.entry(id)).flatten())
    }

    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        Ok(self.look(topic, |log| log.entries(query)))
    }

    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        Ok(self.look(topic, |log| log.numbered(around, pick)))
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        let state = lock(&self.state);
        let mut held: Vec<_> = state
            .topics
            .values()
            .filter(|log| topic.is_none_or(|topic| *topic == log.topic.name))
            .flat_map(TopicLog::held)
            .collect();
        held.sort_by_key(|(number, entry)| (entry.released_at, *number));
        held.truncate(limit);
        Ok(held.into_iter().map(|(_, entry)| entry).collect())
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        Ok(self.look(topic, |log| log.remembered(key)).flatten())
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        Ok(self.look(topic, |log| log.audit(limit)).unwrap_or_default())
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
    state: Arc<Mutex<State>>,
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

impl State {
    /// Does one append, whole or not at all.
    fn apply(
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
