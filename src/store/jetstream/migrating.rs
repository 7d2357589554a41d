//! From a single node to a cluster and back, with every position as it was.

use std::path::{Path, PathBuf};

use super::link::{Link, Sent};
use super::opening::JetStreamError;
use super::{LinkError, NatsOptions};
use crate::model::{Epoch, Offset, TopicName};
use crate::store::sqlite::{OpenError, SingleNode, detach};
use crate::store::{Record, Rows, What};

/// How often a record is sent until the servers count as unreachable.
const TRIES: u32 = 20;

/// What was brought over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Topics.
    pub topics: u64,
    /// Their changes.
    pub changes: u64,
    /// Records that they became.
    pub records: u64,
}

/// Why topics could not be brought over.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The servers, or the log.
    #[error(transparent)]
    JetStream(#[from] JetStreamError),
    /// The log has records already.
    #[error(
        "the log {0} has records already: topics can only be brought into an empty one (another --prefix, or delete the streams)"
    )]
    NotEmpty(String),
    /// A topic can't be brought over.
    #[error("topic {topic}: {cause}")]
    Topic {
        /// Which.
        topic: TopicName,
        /// Why.
        cause: String,
    },
    /// The database can't be copied.
    #[error("{folder} can't be made a single node's: {cause}", folder = .folder.display())]
    Detach {
        /// Which.
        folder: PathBuf,
        /// Why.
        cause: String,
    },
}

/// Brings all topics of a single node's data folder into an empty log. The folder stays as it is; no server may run on it.
///
/// # Errors
/// [`MigrateError`]. What was brought over before an error is in the log: delete its streams before another try.
pub async fn to_cluster(folder: &Path, options: &NatsOptions) -> Result<Migrated, MigrateError> {
    let node = SingleNode::open(folder)?;
    let link = Link::connect(options).await.map_err(JetStreamError::from)?;
    let now = link.now().await.map_err(JetStreamError::from)?;
    if now.last > 0 {
        return Err(MigrateError::NotEmpty(options.prefix.clone()));
    }
    let mut migrated = Migrated::default();
    for topic in node.topics().map_err(JetStreamError::from)? {
        let broken = |cause: String| MigrateError::Topic {
            topic: topic.clone(),
            cause,
        };
        let (epoch, parts) = node
            .export(&topic)
            .map_err(|error| broken(error.to_string()))?;
        let mut prev = 0;
        let mut head = 0;
        for rows in parts {
            let last = rows.changes.last().map(|change| change.0);
            migrated.changes += rows.changes.len() as u64;
            let record = record(options, &topic, &epoch, (prev, head + 1), rows);
            prev = send(&link, &record).await.map_err(broken)?;
            head = last.unwrap_or(head);
            migrated.records += 1;
        }
        migrated.topics += 1;
    }
    Ok(migrated)
}

fn record(
    options: &NatsOptions,
    topic: &TopicName,
    epoch: &Epoch,
    (prev, first): (u64, Offset),
    rows: Rows,
) -> Record {
    let what = What::Import(Box::new(rows));
    Record {
        v: what.version(),
        id: ulid::Ulid::generate().to_string(),
        node: options.node.clone(),
        topic: topic.clone(),
        prev,
        epoch: epoch.clone(),
        first,
        at_ms: 0,
        what,
    }
}

async fn send(link: &Link, record: &Record) -> Result<u64, String> {
    let payload = serde_json::to_vec(record).map_err(|error| error.to_string())?;
    let max = link.record_bytes_max();
    if payload.len() > max {
        return Err(format!(
            "a record of {} bytes, the servers take {max}: raise max_payload in nats.conf",
            payload.len()
        ));
    }
    let mut cause = String::new();
    for _ in 0..TRIES {
        // The servers recognise a repeated record by its id.
        match link.publish(record, payload.clone().into()).await {
            Sent::Stored(sequence) => return Ok(sequence),
            Sent::Overtaken => return Err("somebody else writes to the log".into()),
            Sent::Refused(why) | Sent::Open(why) => cause = why,
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    Err(cause)
}

/// Makes a single node's data folder out of one that follows a log: a copy in `target`, with every position as it was. No
/// server may run on `folder`.
///
/// # Errors
/// [`MigrateError`]. Where the servers are named and have more than the folder, nothing is made.
pub async fn to_single(
    folder: &Path,
    target: &Path,
    options: Option<&NatsOptions>,
) -> Result<u64, MigrateError> {
    let failed = |cause: String| MigrateError::Detach {
        folder: folder.to_owned(),
        cause,
    };
    let last = match options {
        Some(options) => {
            let link = Link::connect(options).await.map_err(JetStreamError::from)?;
            let now: Result<_, LinkError> = link.now().await;
            Some(now.map_err(JetStreamError::from)?.last)
        }
        None => None,
    };
    let standing = detach::standing(folder).map_err(|error| failed(error.to_string()))?;
    if let Some(last) = last.filter(|last| *last != standing) {
        return Err(failed(format!(
            "it has the log up to sequence {standing}, the log ends at {last}: let a node run on it until /readyz says lag_records 0, stop all nodes, and try again"
        )));
    }
    detach::copy(folder, target).map_err(|error| failed(error.to_string()))?;
    Ok(standing)
}
