//! A record in the middle of the log that is nowhere, with later ones behind it.
//!
//! Where another node has it, nothing is lost yet: this node does not start, and says which node to copy. Where none has
//! it, the log goes on without it: a record beside the log, in its place, gives a new epoch to each topic that may miss
//! changes by it. The first node that writes that decides for all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::Inner;
use super::link::{LinkError, Sent, error_text, parse_record};
use super::nodes::{BEAT_EVERY, Beat};
use super::tail::{TailError, sequence_of};
use crate::model::{Epoch, TopicName, millis};
use crate::store::sqlite::Arrived;
use crate::store::{Record, What};

/// The name of the list of lost records that the log goes on without.
const NAME: &str = "holes";
/// How long the other nodes are listened to: they speak every two seconds.
const LISTEN: Duration = Duration::from_secs(5);
/// How long records may take to come.
const SILENCE: Duration = Duration::from_secs(10);

/// What helps a node that needs a record which the log has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    /// This node has it.
    CopyOf(String),
    /// These nodes may have it, and don't answer.
    Hear(BTreeSet<String>),
}

impl fmt::Display for Remedy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopyOf(node) => write!(
                to,
                "Node {node} has it, so nothing is lost: make a backup there, and restore it with --same-log into an empty data folder for this node"
            ),
            Self::Hear(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
                write!(
                    to,
                    "Nodes that do not answer may have it: {}. Start them; if they are gone for good, start this node with nats.accept_loss set to that sequence: the topics that may miss changes get new epochs",
                    nodes.join(", ")
                )
            }
        }
    }
}

impl Inner {
    /// Goes on without a record that no node has, before anybody is served.
    pub(super) async fn put_behind(self: &Arc<Self>, sequence: u64) -> Result<(), TailError> {
        let record = self.given_up(sequence).await?;
        let lost = Arrived { sequence, record };
        self.take_in(vec![lost], None).await
    }

    /// The record that stands in the place of one that no node has.
    async fn given_up(self: &Arc<Self>, sequence: u64) -> Result<Record, TailError> {
        tracing::error!(sequence, "the log has lost a record; asking who has it");
        // How long ago a node was there counts by the log's clock.
        self.ask().await;
        if let Some(remedy) = self.remedy(sequence).await? {
            return Err(TailError::Missing(sequence, remedy));
        }
        let what = What::Lost(self.may_miss(sequence).await?);
        let record = Record {
            v: what.version(),
            id: ulid::Ulid::generate().to_string(),
            node: self.options.node.clone(),
            topic: TopicName::parse("lost")
                .map_err(|error| LinkError::JetStream(error.to_string()))?,
            prev: 0,
            epoch: Epoch::from_seed(getrandom::u64().unwrap_or(sequence)),
            first: 0,
            at_ms: millis(self.clock.now()),
            what,
        };
        // Noted first: a node that has it must not take the log for whole because it was not told.
        self.rewrite(NAME, |holes: &mut BTreeSet<u64>| {
            holes.insert(sequence);
        })
        .await?;
        let payload = serde_json::to_vec(&record).unwrap_or_default();
        match self.link.publish_erased(sequence, 0, payload.into()).await {
            Sent::Stored(_) => Ok(record),
            Sent::Overtaken => match self.link.record_at(sequence).await? {
                Some(record) => Ok(record),
                None => Err(LinkError::JetStream("another node was faster".into()).into()),
            },
            Sent::Refused(cause) | Sent::Open(cause) => Err(LinkError::JetStream(cause).into()),
        }
    }

    /// What to do instead of going on without the record; none where no node can have it.
    async fn remedy(&self, sequence: u64) -> Result<Option<Remedy>, LinkError> {
        let mut silent = self.members().await?;
        let subject = format!("{}.node.*", self.link.prefix());
        let heard = self.link.client().subscribe(subject).await;
        let mut heard = heard.map_err(|error| LinkError::JetStream(error.to_string()))?;
        let end = Instant::now() + LISTEN;
        let mut say = tokio::time::interval(BEAT_EVERY / 4);
        loop {
            let message = tokio::select! {
                message = heard.next() => message,
                // Others may stand before the same hole, and listen as well.
                _ = say.tick() => {
                    self.send_beat(false).await;
                    continue;
                }
                () = tokio::time::sleep_until(end) => break,
            };
            let Some(message) = message else { break };
            let Ok(beat) = serde_json::from_slice::<Beat>(&message.payload) else {
                continue;
            };
            if beat.applied >= sequence && beat.node != self.options.node {
                return Ok(Some(Remedy::CopyOf(beat.node)));
            }
            silent.remove(&beat.node);
        }
        if silent.is_empty() || self.options.accept_loss == Some(sequence) {
            return Ok(None);
        }
        Ok(Some(Remedy::Hear(silent)))
    }

    /// The topics that may miss changes by the loss of this record. The next record of its topic names it; where there is
    /// none, it may have been of any topic that nothing was written to since.
    async fn may_miss(self: &Arc<Self>, sequence: u64) -> Result<Vec<TopicName>, TailError> {
        let mut behind = Behind::new(sequence);
        self.read_behind(sequence, &mut behind).await?;
        if let Some(topic) = behind.named {
            return Ok(vec![topic]);
        }
        let known = self.blocking(|projection| projection.topics_in_log());
        let mut topics: BTreeSet<TopicName> = known.await??.into_iter().collect();
        for (topic, is_whole) in behind.topics {
            if is_whole {
                topics.remove(&topic);
            } else {
                topics.insert(topic);
            }
        }
        Ok(topics.into_iter().collect())
    }

    async fn read_behind(&self, sequence: u64, behind: &mut Behind) -> Result<(), LinkError> {
        let last = self.link.now().await?.last;
        let mut batches = self.consume(sequence + 1).await?;
        let mut at = sequence;
        while at < last && behind.named.is_none() {
            let batch = tokio::time::timeout(SILENCE, batches.next()).await;
            let Ok(Some(batch)) = batch else {
                return Err(LinkError::JetStream("its records do not come".into()));
            };
            for message in batch {
                let message = message.map_err(|error| LinkError::JetStream(error_text(&error)))?;
                let found = sequence_of(&message)?;
                for missing in at + 1..found {
                    match self.link.record_at(missing).await? {
                        Some(record) => behind.see(missing, &record),
                        None => behind.miss(missing),
                    }
                }
                behind.see(
                    found,
                    &parse_record(&message.subject, found, &message.payload)?,
                );
                at = found;
            }
        }
        Ok(())
    }

    /// Whether a projection that has the log up to `sequence` has a record in it that is lost, and that all others go on
    /// without.
    pub(super) async fn has_what_is_lost(&self, sequence: u64) -> Result<bool, LinkError> {
        let (_, told): (_, BTreeSet<u64>) = self.list(NAME).await?;
        if told.range(..=sequence).next().is_none() {
            return Ok(false);
        }
        let known = self
            .projection
            .holes()
            .map_err(|error| LinkError::JetStream(error.to_string()))?;
        for hole in told.range(..=sequence).filter(|hole| !known.contains(hole)) {
            // Noted before it was decided: until then the record may come from whoever has it.
            let decided = self.link.erased_at(*hole).await?;
            if decided.is_some_and(|(_, record)| matches!(record.what, What::Lost(_))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the records behind a lost one say of it.
struct Behind {
    sequence: u64,
    /// The topic of the lost record.
    named: Option<TopicName>,
    /// Topics that have records behind it, and whether the first of these shows that they miss none.
    topics: HashMap<TopicName, bool>,
    /// Other records that are lost.
    missing: HashSet<u64>,
}

impl Behind {
    fn new(sequence: u64) -> Self {
        Self {
            sequence,
            named: None,
            topics: HashMap::new(),
            missing: HashSet::new(),
        }
    }

    fn miss(&mut self, sequence: u64) {
        self.missing.insert(sequence);
    }

    fn see(&mut self, sequence: u64, record: &Record) {
        if let What::Lost(_) = record.what {
            self.miss(sequence);
        } else if record.prev == self.sequence {
            self.named = Some(record.topic.clone());
        } else {
            let is_whole = !self.missing.contains(&record.prev);
            self.topics.entry(record.topic.clone()).or_insert(is_whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(topic: &str, prev: u64) -> Record {
        Record {
            v: 1,
            id: String::new(),
            node: String::new(),
            topic: TopicName::parse(topic).expect("a name"),
            prev,
            epoch: Epoch::from_seed(1),
            first: 1,
            at_ms: 0,
            what: What::Appends(Vec::new()),
        }
    }

    #[test]
    fn the_next_record_of_a_topic_says_of_which_one_a_lost_record_was() {
        let mut behind = Behind::new(5);
        behind.see(6, &record("a", 3));
        behind.see(7, &record("b", 5));
        assert_eq!(behind.named, TopicName::parse("b").ok());
    }

    #[test]
    fn a_topic_whose_chain_goes_past_the_loss_misses_nothing() {
        let mut behind = Behind::new(5);
        behind.see(6, &record("a", 3));
        behind.miss(7);
        behind.see(8, &record("b", 7));
        behind.see(9, &record("b", 8));
        behind.see(10, &record("a", 7));
        let of = |name: &str| behind.topics[&TopicName::parse(name).expect("a name")];
        assert!(of("a"), "it goes from 3 to 6, whatever is lost later");
        assert!(!of("b"), "what 7 follows is not known: it can be 5");
        assert_eq!(behind.named, None);
    }
}
