//! A store of the contract over the faulty medium: the rules are those of the memory store's ledger, the writer groups,
//! writes, syncs, and only then applies, answers and feeds.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tenbells::clock::Clock;
use tenbells::model::{EntryId, Epoch, Offset, TopicName};
use tenbells::store::memory::Ledger;
use tenbells::store::{
    Append, AppendError, Appended, AuditRecord, Committed, EntryPage, EntryQuery, HeldEntry,
    KeepName, NumberedPage, PickNumbers, ReadError, ReadLimit, Receipt, Refused, Remembered, Step,
    Store, StoredChange, StoredEntry, StoredTopic,
};
use tokio::sync::{mpsc, oneshot};

use super::disk::{Disk, Kept, Record};
use super::mutant::Mutant;
use super::tick::{draw, pause};

const TOPICS_MAX: usize = 100;
const QUEUE_MAX: usize = 32;
const FEED_MAX: usize = 4;
const GROUP_MAX: usize = 6;

type Reply = oneshot::Sender<Result<Appended, AppendError>>;
type Queued = (Append, Reply);

/// The store of one process.
pub(super) struct SimStore {
    disk: Arc<Disk>,
    ledger: Mutex<Ledger>,
    /// The first body of each change, for the mutant that gives those.
    bodies: Mutex<Vec<(TopicName, StoredChange)>>,
    queue: mpsc::Sender<Queued>,
    feed: Mutex<Option<mpsc::Receiver<Vec<Committed>>>>,
    failed: OnceLock<String>,
    random: Mutex<fastrand::Rng>,
}

/// The one that writes.
pub(super) struct Writer {
    store: Arc<SimStore>,
    clock: Arc<dyn Clock>,
    queue: mpsc::Receiver<Queued>,
    feed: mpsc::Sender<Vec<Committed>>,
}

impl SimStore {
    /// Opens what the medium holds: applies it anew, and syncs it before anybody is served.
    pub(super) async fn open(disk: &Arc<Disk>, clock: Arc<dyn Clock>) -> (Arc<Self>, Writer) {
        let mut ledger = Ledger::default();
        let mut bodies = Vec::new();
        let records = disk.lock().records.clone();
        for record in records {
            for append in forgetful(disk.mutant, record.appends) {
                if let Ok((_, committed)) = ledger.apply(append, record.at, TOPICS_MAX) {
                    bodies.extend(committed.into_iter().map(|done| (done.topic, done.change)));
                }
            }
        }
        pause(1, 30).await;
        if disk.mutant != Mutant::OpenWithoutSync {
            for record in &mut disk.lock().records {
                record.state = Kept::Synced;
            }
        }
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (feed_sender, feed) = mpsc::channel(FEED_MAX);
        let store = Arc::new(Self {
            disk: Arc::clone(disk),
            ledger: Mutex::new(ledger),
            bodies: Mutex::new(bodies),
            queue,
            feed: Mutex::new(Some(feed)),
            failed: OnceLock::new(),
            random: Mutex::new(fastrand::Rng::with_seed(draw(|random| random.u64(..)))),
        });
        let writer = Writer {
            store: Arc::clone(&store),
            clock,
            queue: waiting,
            feed: feed_sender,
        };
        (store, writer)
    }

    fn ledger(&self) -> Result<MutexGuard<'_, Ledger>, ReadError> {
        let failing = self.disk.lock().failing_reads;
        if lock(&self.random).u32(0..1_000) < failing {
            return Err(ReadError::Medium("an injected error".into()));
        }
        Ok(lock(&self.ledger))
    }

    fn is_now_and_then(&self) -> bool {
        lock(&self.random).u32(0..12) == 0
    }
}

/// What a mutant remembers of the journal.
fn forgetful(mutant: Mutant, appends: Vec<Append>) -> Vec<Append> {
    appends
        .into_iter()
        .map(|mut append| {
            match mutant {
                Mutant::KeysForgotten => {
                    append.idempotency = None;
                    for step in &mut append.steps {
                        if let Step::Publish(write) = step {
                            write.request = None;
                        }
                    }
                }
                Mutant::HeldForgotten => {
                    append.steps.retain(|step| !matches!(step, Step::Hold(..)))
                }
                Mutant::EpochAtStart => {
                    if let Some(new) = &mut append.create {
                        new.epoch = Epoch::from_seed(draw(|random| random.u64(..)));
                    }
                }
                _ => {}
            }
            append
        })
        .collect()
}

impl Writer {
    /// Works until the process ends.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut group = vec![first];
            pause(1, self.slow()).await;
            while group.len() < GROUP_MAX
                && let Ok(next) = self.queue.try_recv()
            {
                group.push(next);
            }
            self.commit(group).await;
        }
    }

    fn slow(&self) -> u64 {
        self.store.disk.lock().slow_ms
    }

    async fn commit(&self, group: Vec<Queued>) {
        if let Some(reason) = self.store.failed.get() {
            return refuse(
                group,
                &AppendError::NotStored(Refused::Failed(reason.clone())),
            );
        }
        let (appends, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let at = self.clock.now();
        let mutant = self.store.disk.mutant;
        if let Some(refused) = self.write(&appends, at) {
            let error = AppendError::NotStored(refused);
            return answer_all(replies, &error);
        }
        if mutant == Mutant::AckBeforeSync {
            return self.apply(appends, replies, at).await;
        }
        if mutant == Mutant::FeedBeforeCommit {
            self.tell_early(&appends, at).await;
        }
        pause(1, self.slow()).await;
        self.set_last(Kept::Written);
        pause(1, self.slow()).await;
        let failed = std::mem::take(&mut self.store.disk.lock().fail_sync);
        if failed && mutant != Mutant::SyncRetried {
            let reason = "the sync failed".to_owned();
            let _ = self.store.failed.set(reason.clone());
            return answer_all(replies, &AppendError::OutcomeUnknown(reason));
        }
        // The kernel drops the dirty pages of a failed sync, and says no more of them.
        if !failed {
            self.set_last(Kept::Synced);
        }
        self.apply(appends, replies, at).await;
    }

    /// Writes the group's record, or says why not.
    fn write(&self, appends: &[Append], at: jiff::Timestamp) -> Option<Refused> {
        let mut state = self.store.disk.lock();
        let mutant = self.store.disk.mutant;
        let full = state.is_full || (mutant == Mutant::FullForEver && state.was_full);
        let failed = std::mem::take(&mut state.fail_write);
        if !full && !failed || mutant == Mutant::RefusedButKept {
            state.records.push(Record {
                appends: appends.to_vec(),
                at,
                state: if full { Kept::Synced } else { Kept::Writing },
            });
        }
        if full {
            return Some(Refused::Full);
        }
        if failed {
            let reason = "the write failed".to_owned();
            let _ = self.store.failed.set(reason.clone());
            return Some(Refused::Failed(reason));
        }
        None
    }

    fn set_last(&self, kept: Kept) {
        if let Some(record) = self.store.disk.lock().records.last_mut() {
            record.state = kept;
        }
    }

    /// Makes the group true, answers, and feeds.
    async fn apply(&self, appends: Vec<Append>, replies: Vec<Reply>, at: jiff::Timestamp) {
        let mut all = Vec::new();
        for (append, reply) in appends.into_iter().zip(replies) {
            let applied = lock(&self.store.ledger).apply(append, at, TOPICS_MAX);
            let answer = match applied {
                Ok((appended, committed)) => {
                    all.extend(committed);
                    Ok(appended)
                }
                Err(refused) => Err(AppendError::NotStored(refused)),
            };
            // Whoever asked may be gone.
            let _ = reply.send(answer);
        }
        let bodies = all
            .iter()
            .map(|done| (done.topic.clone(), done.change.clone()));
        lock(&self.store.bodies).extend(bodies);
        if !all.is_empty() && self.store.disk.mutant != Mutant::FeedBeforeCommit {
            if draw(|random| random.bool()) {
                pause(1, self.slow()).await;
            }
            let _ = self.feed.send(all).await;
        }
    }

    /// The mutant that feeds what may still be lost.
    async fn tell_early(&self, appends: &[Append], at: jiff::Timestamp) {
        let mut ahead = Ledger::default();
        let records = self.store.disk.lock().records.clone();
        let before = records.len().saturating_sub(1);
        for record in records.into_iter().take(before) {
            for append in record.appends {
                let _ = ahead.apply(append, record.at, TOPICS_MAX);
            }
        }
        let mut committed = Vec::new();
        for append in appends {
            if let Ok((_, done)) = ahead.apply(append.clone(), at, TOPICS_MAX) {
                committed.extend(done);
            }
        }
        if !committed.is_empty() {
            let _ = self.feed.send(committed).await;
        }
    }
}

fn refuse(group: Vec<Queued>, error: &AppendError) {
    answer_all(group.into_iter().map(|(_, reply)| reply).collect(), error);
}

fn answer_all(replies: Vec<Reply>, error: &AppendError) {
    for reply in replies {
        // Whoever asked may be gone.
        let _ = reply.send(Err(error.clone()));
    }
}

impl Store for SimStore {
    fn append(&self, append: Append) -> Receipt {
        let (reply, receipt) = Receipt::channel();
        match self.queue.try_send((append, reply)) {
            Ok(()) => receipt,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::refused(Refused::Busy(QUEUE_MAX)),
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
        let mut changes = self.ledger()?.read(topic, after, limit);
        match self.disk.mutant {
            Mutant::ReadsDrop if changes.len() > 1 && self.is_now_and_then() => {
                changes.remove(0);
            }
            Mutant::ReadsSwap if changes.len() > 1 && self.is_now_and_then() => changes.swap(0, 1),
            Mutant::ReadsUnredacted => {
                for change in &mut changes {
                    let bodies = lock(&self.bodies);
                    let first = bodies
                        .iter()
                        .find(|(name, body)| name == topic && body.offset == change.offset);
                    if let Some((_, body)) = first {
                        *change = body.clone();
                    }
                }
            }
            _ => {}
        }
        Ok(changes)
    }

    fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        Ok(self.ledger()?.topic(topic))
    }

    fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(self.ledger()?.topics(after, limit))
    }

    fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(self.ledger()?.newest_topics(limit))
    }

    fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        Ok(self.ledger()?.newest_named(keep, limit))
    }

    fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        Ok(self.ledger()?.entry(topic, id))
    }

    fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        Ok(self.ledger()?.entries(topic, query))
    }

    fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        Ok(self.ledger()?.numbered(topic, around, pick))
    }

    fn held(&self, topic: Option<&TopicName>, limit: usize) -> Result<Vec<HeldEntry>, ReadError> {
        let mut held = self.ledger()?.held(topic, limit);
        if self.disk.mutant == Mutant::EarlyRelease {
            for entry in &mut held {
                let early = jiff::SignedDuration::from_millis(500);
                entry.released_at = entry
                    .released_at
                    .saturating_sub(early)
                    .unwrap_or(entry.released_at);
            }
        }
        Ok(held)
    }

    fn remembered(&self, topic: &TopicName, key: &str) -> Result<Option<Remembered>, ReadError> {
        Ok(self.ledger()?.remembered(topic, key))
    }

    fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        Ok(self.ledger()?.audit(topic, limit))
    }

    fn take_feed(&self) -> Option<mpsc::Receiver<Vec<Committed>>> {
        lock(&self.feed).take()
    }

    fn compact(&self) -> Result<bool, ReadError> {
        Ok(!self.is_now_and_then())
    }

    fn backup(&self, _target: &Path) -> Result<(), ReadError> {
        Err(ReadError::Medium(
            "the simulated store has no backup".into(),
        ))
    }

    fn failed(&self) -> Option<String> {
        self.failed.get().cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
