//! Appends on their way into the log: one lane a topic, a group of them in one record.
//!
//! While one record is under way the next group of its topic gathers; topics don't wait for each other. A group is tried
//! on the projection, published behind the record it was tried on, and tried again where another node was faster.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError, oneshot};
use tokio::time::Instant;

use super::link::Sent;
use super::{Inner, lock};
use crate::model::TopicName;
use crate::store::sqlite::Trial;
use crate::store::{Append, AppendError, Appended, Record, Refused, Step};

/// Most appends in one record.
const GROUP_MAX: usize = 256;
/// About how many bytes of content a record may have, but for the append that passes it.
const GROUP_BYTES_MAX: usize = 256 << 10;
/// How long to wait before a record is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

type Outcome = Result<Appended, AppendError>;
type Reply = oneshot::Sender<Outcome>;

/// The appends that wait, by topic. A topic is in here while its lane runs.
#[derive(Default)]
pub(super) struct Lanes(HashMap<TopicName, VecDeque<Waiting>>);

/// An append that waits for its record.
struct Waiting {
    append: Append,
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

/// What became of a record.
enum Landing {
    /// It is in the log, and applied.
    Landed,
    /// Another record came between: try again on what is there now.
    Overtaken,
    /// Neither is known in time.
    Lost(AppendError),
}

impl Inner {
    /// Puts an append into its topic's lane.
    pub(super) fn queue(
        self: &Arc<Self>,
        runtime: &Handle,
        append: Append,
        reply: Reply,
    ) -> Result<(), Refused> {
        if let Some(reason) = self.failed.get() {
            return Err(Refused::Failed(reason.clone()));
        }
        if let Some(reason) = self.cut_off() {
            return Err(Refused::CutOff(reason));
        }
        let room = Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|error| match error {
                TryAcquireError::NoPermits => Refused::Busy(self.bounds.queue_max),
                TryAcquireError::Closed => Refused::Failed("the store is closed".into()),
            })?;
        let topic = append.topic.clone();
        let waiting = Waiting {
            append,
            reply,
            _room: room,
        };
        let mut lanes = lock(&self.lanes);
        let begins = !lanes.0.contains_key(&topic);
        lanes.0.entry(topic.clone()).or_default().push_back(waiting);
        drop(lanes);
        if begins {
            let inner = Arc::clone(self);
            runtime.spawn(async move { inner.run_lane(topic).await });
        }
        Ok(())
    }

    pub(super) fn lanes_are_empty(&self) -> bool {
        lock(&self.lanes).0.is_empty()
    }

    async fn run_lane(self: Arc<Self>, topic: TopicName) {
        while let Some(group) = self.next_group(&topic) {
            self.run_group(&topic, group).await;
        }
    }

    fn next_group(&self, topic: &TopicName) -> Option<Vec<Waiting>> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.0.get_mut(topic)?;
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
            let Some(waiting) = lane.pop_front() else {
                break;
            };
            bytes += content_bytes(&waiting.append);
            group.push(waiting);
        }
        if group.is_empty() {
            lanes.0.remove(topic);
            return None;
        }
        Some(group)
    }

    async fn run_group(self: &Arc<Self>, topic: &TopicName, group: Vec<Waiting>) {
        let appends: Arc<Vec<Append>> =
            Arc::new(group.iter().map(|waiting| waiting.append.clone()).collect());
        let outcomes = self.store(topic, &appends).await;
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            // Whoever asked may be gone; the change is stored all the same.
            let _ = waiting.reply.send(outcome);
        }
    }

    /// Stores a group, or says for each append why not.
    async fn store(
        self: &Arc<Self>,
        topic: &TopicName,
        appends: &Arc<Vec<Append>>,
    ) -> Vec<Outcome> {
        let end = Instant::now() + self.options.append_timeout;
        let mut is_fresh = false;
        loop {
            let trial = match self.attempt(topic, appends).await {
                Ok(trial) => trial,
                Err(refused) => return all(appends, &AppendError::NotStored(refused)),
            };
            let Some(mut record) = trial.record else {
                // A refusal only counts on the newest state.
                let refuses = trial.outcomes.iter().any(Result::is_err);
                if !refuses || is_fresh {
                    return trial.outcomes;
                }
                match self.catch_up(topic, end).await {
                    Ok(at) => is_fresh = at == trial.prev,
                    Err(refused) => return all(appends, &AppendError::NotStored(refused)),
                }
                if is_fresh {
                    return trial.outcomes;
                }
                continue;
            };
            record.node.clone_from(&self.options.node);
            match self.land(&record, end).await {
                Landing::Landed => return trial.outcomes,
                Landing::Overtaken => {}
                Landing::Lost(error) => return all(appends, &error),
            }
        }
    }

    async fn attempt(
        self: &Arc<Self>,
        topic: &TopicName,
        appends: &Arc<Vec<Append>>,
    ) -> Result<Trial, Refused> {
        let (topic, appends) = (topic.clone(), Arc::clone(appends));
        let (now, topics_max) = (self.clock.now(), self.bounds.topics_max);
        self.blocking(move |projection| projection.attempt(&topic, &appends, now, topics_max))
            .await
            .and_then(|tried| tried)
            .map_err(|error| Refused::Failed(error.to_string()))
    }

    /// Publishes a record until it is in the log, or can't be.
    async fn land(self: &Arc<Self>, record: &Record, end: Instant) -> Landing {
        let payload = serde_json::to_vec(record).unwrap_or_default();
        let max = self.link.record_bytes_max();
        if payload.len() > max {
            let bytes = payload.len();
            return Landing::Lost(AppendError::NotStored(Refused::TooLarge { bytes, max }));
        }
        lock(&self.mine).insert(record.id.clone(), false);
        let landing = self.send_until(record, payload.into(), end).await;
        lock(&self.mine).remove(&record.id);
        landing
    }

    async fn send_until(
        self: &Arc<Self>,
        record: &Record,
        payload: bytes::Bytes,
        end: Instant,
    ) -> Landing {
        let mut open: Option<String> = None;
        loop {
            // The client would keep it and send it later, when nobody waits for it any more.
            let sent = if self.link.is_connected() {
                self.link.publish(record, payload.clone()).await
            } else {
                Sent::Refused("there is no connection to a NATS server".into())
            };
            let cause = match sent {
                Sent::Stored(sequence) => {
                    if sequence <= *self.applied.borrow() && !self.is_applied(&record.id) {
                        self.lost(format!(
                            "a new record got sequence {sequence}, which an applied one has"
                        ))
                        .await;
                    }
                    self.wait_applied(&record.id, end).await;
                    if !self.is_applied(&record.id)
                        && let Some(reason) = self.failed.get()
                    {
                        // It is stored, but where it stands is for the others to say.
                        return Landing::Lost(AppendError::OutcomeUnknown(reason.clone()));
                    }
                    // It is stored, whether this node has it already or not.
                    return Landing::Landed;
                }
                Sent::Overtaken => return self.overtaken(record, open, end).await,
                Sent::Refused(cause) => cause,
                Sent::Open(cause) => open.insert(cause).clone(),
            };
            if self.is_applied(&record.id) {
                return Landing::Landed;
            }
            if Instant::now() + RETRY_PAUSE >= end || self.failed.get().is_some() {
                return Landing::Lost(match open {
                    Some(cause) => AppendError::OutcomeUnknown(cause),
                    None => AppendError::NotStored(Refused::CutOff(cause)),
                });
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// The topic has another last record than this one expects. Once the projection has the topic's next record, it is this
    /// one, of which the answer was lost, or this one can never be stored.
    async fn overtaken(
        self: &Arc<Self>,
        record: &Record,
        open: Option<String>,
        end: Instant,
    ) -> Landing {
        let mut applied = self.applied.subscribe();
        loop {
            applied.borrow_and_update();
            if self.is_applied(&record.id) {
                return Landing::Landed;
            }
            let topic = record.topic.clone();
            let standing = self
                .blocking(move |projection| projection.topic_standing(&topic))
                .await
                .and_then(|standing| standing);
            match standing {
                Ok(standing) if standing.sequence != record.prev => {
                    return if self.is_applied(&record.id) {
                        Landing::Landed
                    } else {
                        Landing::Overtaken
                    };
                }
                Ok(_) => {}
                Err(error) => {
                    return Landing::Lost(AppendError::OutcomeUnknown(error.to_string()));
                }
            }
            if tokio::time::timeout_at(end, applied.changed())
                .await
                .is_err()
            {
                let cause = "the log is ahead of this node".to_owned();
                return Landing::Lost(match open {
                    Some(cause) => AppendError::OutcomeUnknown(cause),
                    None => AppendError::NotStored(Refused::CutOff(cause)),
                });
            }
        }
    }

    fn is_applied(&self, id: &str) -> bool {
        lock(&self.mine).get(id).copied().unwrap_or(false)
    }

    async fn wait_applied(&self, id: &str, end: Instant) {
        let mut applied = self.applied.subscribe();
        while !self.is_applied(id) {
            // Marked before the sequence moves, so no move is missed.
            match tokio::time::timeout_at(end, applied.changed()).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }
}

fn all(appends: &[Append], error: &AppendError) -> Vec<Outcome> {
    appends.iter().map(|_| Err(error.clone())).collect()
}

fn content_bytes(append: &Append) -> usize {
    let writes = append.steps.iter().filter_map(Step::write);
    writes
        .map(|write| write.doc.len() + write.raw.len() + 256)
        .sum()
}
