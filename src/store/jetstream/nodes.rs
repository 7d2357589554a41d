//! What nodes tell each other in plain messages: that they live, what they have applied, their readers, and what they let go of.
//!
//! None of it is kept. A message that is lost is made good by the next one, a few seconds later at the most.

mod peers;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};

use super::sharing::NewVersion;
use super::tail::TailError;
use super::{Inner, lock};
use crate::model::{Offset, TopicName};
use crate::store::sqlite::Arrived;

/// How often a node says that it lives.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(2);
/// The least time between two beats.
const BEAT_PAUSE: Duration = Duration::from_millis(20);
/// How old the numbers of readers may be.
const READERS_FRESH: Duration = Duration::from_secs(10);
/// When a node that says nothing is forgotten: it has no readers left by then.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Most topics of which one message tells the readers.
const TOPICS_MAX: usize = 4_096;
/// How many records are remembered by sequence and id.
const MARKS_MAX: usize = 4_096;
/// Most confirmations that are remembered.
const CONFIRMED_MAX: usize = 100_000;
/// Most retractions that others ask about at once: who asks does so again.
const ASKED_MAX: usize = 256;
/// Most nodes.
pub(super) const NODES_MAX: usize = 256;

/// What a node says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) node: String,
    pub(super) applied: u64,
    record: String,
    readers: Vec<(TopicName, u64)>,
    /// The newest versions of shared values that it has heard of.
    #[serde(default)]
    versions: Vec<(String, u64)>,
    #[serde(default)]
    leaves: bool,
}

/// What a node says when it has let go of a retracted body.
#[derive(Debug, Serialize, Deserialize)]
struct LetGo {
    node: String,
    topic: TopicName,
    offset: Offset,
}

/// What a node asks where another one has not said that it let go of a retracted body.
#[derive(Debug, Serialize, Deserialize)]
struct Asks {
    node: String,
    topic: TopicName,
    offset: Offset,
}

/// Questions on their way to the broker, whose end is there until it takes it.
struct Asked {
    sender: mpsc::Sender<(TopicName, Offset)>,
    receiver: Mutex<Option<mpsc::Receiver<(TopicName, Offset)>>>,
}

/// What is known of the other nodes.
pub(super) struct Nodes {
    others: Mutex<HashMap<String, Other>>,
    confirmed: Mutex<HashMap<(String, TopicName), Offset>>,
    /// Moves with each confirmation.
    confirmations: watch::Sender<u64>,
    asked: Asked,
    own_readers: Mutex<Vec<(TopicName, u64)>>,
    marks: Mutex<Marks>,
    beat: Notify,
}

struct Other {
    heard: Instant,
    applied: u64,
    readers: HashMap<TopicName, u64>,
}

/// Which record is at which sequence: as applied here, and as others said.
#[derive(Default)]
struct Marks {
    own: VecDeque<(u64, String)>,
    others: VecDeque<(u64, String, String)>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(ASKED_MAX);
        let receiver = Mutex::new(Some(receiver));
        Self {
            asked: Asked { sender, receiver },
            others: Mutex::default(),
            confirmed: Mutex::default(),
            confirmations: watch::Sender::new(0),
            own_readers: Mutex::default(),
            marks: Mutex::default(),
            beat: Notify::new(),
        }
    }

    /// Takes in what was applied here, and has it told.
    pub(super) fn applied(&self, applied: Vec<(u64, String)>) {
        let mut marks = lock(&self.marks);
        marks.own.extend(applied);
        let excess = marks.own.len().saturating_sub(MARKS_MAX);
        marks.own.drain(..excess);
        drop(marks);
        self.beat.notify_one();
    }

    /// Takes nodes for being there of which nothing was heard yet.
    pub(super) fn know(&self, names: impl Iterator<Item = String>) {
        let silent = Instant::now().checked_sub(READERS_FRESH);
        let heard = silent.unwrap_or_else(Instant::now);
        let mut others = lock(&self.others);
        for name in names {
            others.entry(name).or_insert_with(|| Other {
                heard,
                applied: 0,
                readers: HashMap::new(),
            });
        }
    }

    fn take_beat(&self, beat: Beat) {
        let mut others = lock(&self.others);
        if beat.leaves {
            others.remove(&beat.node);
            drop(others);
            self.confirmations.send_modify(|count| *count += 1);
            return;
        }
        if others.len() >= NODES_MAX && !others.contains_key(&beat.node) {
            return;
        }
        others.retain(|_, other| other.heard.elapsed() < FORGET_AFTER);
        others.insert(
            beat.node.clone(),
            Other {
                heard: Instant::now(),
                applied: beat.applied,
                readers: beat.readers.into_iter().take(TOPICS_MAX).collect(),
            },
        );
        drop(others);
        let mut marks = lock(&self.marks);
        if beat.applied > 0 {
            marks
                .others
                .push_back((beat.applied, beat.record, beat.node));
            let excess = marks.others.len().saturating_sub(MARKS_MAX);
            marks.others.drain(..excess);
        }
    }

    fn take_let_go(&self, said: LetGo) {
        let mut confirmed = lock(&self.confirmed);
        if confirmed.len() >= CONFIRMED_MAX {
            // Whoever waited for these has long been answered.
            confirmed.clear();
        }
        let newest = confirmed.entry((said.node, said.topic)).or_default();
        *newest = said.offset.max(*newest);
        drop(confirmed);
        self.confirmations.send_modify(|count| *count += 1);
    }

    fn missing(&self, topic: &TopicName, offset: Offset) -> Vec<String> {
        let nodes: Vec<String> = lock(&self.others).keys().cloned().collect();
        let confirmed = lock(&self.confirmed);
        let mut missing: Vec<String> = nodes
            .into_iter()
            .filter(|node| {
                confirmed
                    .get(&(node.clone(), topic.clone()))
                    .is_none_or(|newest| *newest < offset)
            })
            .collect();
        missing.sort();
        missing
    }

    /// The node that had another record at one of these sequences, with that record's id.
    fn conflict(&self, arrived: &[Arrived]) -> Option<(u64, String, String)> {
        let marks = lock(&self.marks);
        marks
            .others
            .iter()
            .find(|(sequence, id, _)| {
                arrived
                    .iter()
                    .any(|arrived| arrived.sequence == *sequence && arrived.record.id != *id)
            })
            .cloned()
    }

    /// Whether a record that was applied here is another one elsewhere.
    fn disagrees(&self, sequence: u64, record: &str) -> bool {
        lock(&self.marks)
            .own
            .iter()
            .any(|(own, id)| *own == sequence && id != record)
    }
}

impl Inner {
    /// Says what this node has, and hears what others say, until the store is closed.
    pub(super) async fn run_nodes(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.hear() => {}
                () = self.say() => {}
                () = self.closed() => return,
            }
            tokio::time::sleep(BEAT_EVERY).await;
        }
    }

    async fn say(&self) {
        let mut tick = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.nodes.beat.notified() => {}
            }
            self.send_beat(false).await;
            tokio::time::sleep(BEAT_PAUSE).await;
        }
    }

    /// Lets the others forget this node.
    pub(super) async fn say_goodbye(&self) {
        self.send_beat(true).await;
        // Without an answer the others forget it later.
        let _ = tokio::time::timeout(Duration::from_millis(500), self.link.client().flush()).await;
    }

    pub(super) async fn send_beat(&self, leaves: bool) {
        let newest = lock(&self.nodes.marks).own.back().cloned();
        let (applied, record) = newest.unwrap_or_default();
        let beat = Beat {
            node: self.options.node.clone(),
            applied,
            record,
            readers: lock(&self.nodes.own_readers).clone(),
            versions: self.versions.all(),
            leaves,
        };
        let subject = format!("{}.node.{}", self.link.prefix(), self.options.node);
        self.tell(subject, &beat).await;
    }

    pub(super) async fn tell(&self, subject: String, message: &impl Serialize) {
        if !self.link.is_connected() {
            return;
        }
        let payload = serde_json::to_vec(message).unwrap_or_default();
        if let Err(error) = self.link.client().publish(subject, payload.into()).await {
            tracing::debug!(%error, "a message to the other nodes was not sent");
        }
    }

    async fn hear(self: &Arc<Self>) {
        let prefix = self.link.prefix();
        let beats = self
            .link
            .client()
            .subscribe(format!("{prefix}.node.*"))
            .await;
        let let_go = self
            .link
            .client()
            .subscribe(format!("{prefix}.let_go"))
            .await;
        let versions = self
            .link
            .client()
            .subscribe(format!("{prefix}.version"))
            .await;
        let asks = self
            .link
            .client()
            .subscribe(format!("{prefix}.let_go_asked"))
            .await;
        let (Ok(mut beats), Ok(mut let_go), Ok(mut versions), Ok(mut asks)) =
            (beats, let_go, versions, asks)
        else {
            return;
        };
        loop {
            tokio::select! {
                message = beats.next() => match message {
                    Some(message) => self.hear_beat(&message.payload).await,
                    None => return,
                },
                message = versions.next() => match message {
                    Some(message) => {
                        if let Ok(new) = serde_json::from_slice::<NewVersion>(&message.payload) {
                            self.versions.heard(new);
                        }
                    }
                    None => return,
                },
                message = let_go.next() => match message {
                    Some(message) => match serde_json::from_slice::<LetGo>(&message.payload) {
                        Ok(said) if said.node != self.options.node => self.nodes.take_let_go(said),
                        _ => {}
                    },
                    None => return,
                },
                message = asks.next() => match message {
                    Some(message) => match serde_json::from_slice::<Asks>(&message.payload) {
                        Ok(asks) if asks.node != self.options.node => {
                            // Where there is no room it is asked again, when it is retracted again.
                            let _ = self.nodes.asked.sender.try_send((asks.topic, asks.offset));
                        }
                        _ => {}
                    },
                    None => return,
                },
            }
        }
    }

    async fn hear_beat(self: &Arc<Self>, payload: &[u8]) {
        let Ok(beat) = serde_json::from_slice::<Beat>(payload) else {
            return;
        };
        if beat.node == self.options.node {
            return;
        }
        for (name, version) in &beat.versions {
            let (name, version) = (name.clone(), *version);
            self.versions.heard(NewVersion { name, version });
        }
        let disagrees = beat.applied > 0 && self.nodes.disagrees(beat.applied, &beat.record);
        self.nodes.take_beat(beat);
        if disagrees {
            // One of the two has what the log lost; the other one finds out for itself.
            self.look_again().await;
        }
    }

    /// Refuses records that stand where another node has had others: the log has lost those, and their offsets are given.
    pub(super) async fn check_marks(
        self: &Arc<Self>,
        arrived: &[Arrived],
    ) -> Result<(), TailError> {
        let Some((sequence, id, node)) = self.nodes.conflict(arrived) else {
            return Ok(());
        };
        // Settled where a new numbering begins behind them: then all that was given before is void.
        let renumbered = arrived
            .iter()
            .any(|later| matches!(later.record.what, crate::store::What::Renumber));
        if renumbered {
            return Ok(());
        }
        let record = arrived
            .iter()
            .find(|arrived| arrived.sequence == sequence)
            .map(|arrived| arrived.record.clone());
        if let Some(record) = record {
            self.note_given(&record, sequence, id).await?;
        }
        self.lost(format!(
            "node {node} had another record at sequence {sequence} than the log has now"
        ))
        .await;
        Err(TailError::Hole(sequence))
    }
}
