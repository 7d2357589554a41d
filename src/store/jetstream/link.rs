//! The connection to the NATS servers, the two streams, and the questions that are asked of their leaders.
//!
//! The log stream has one subject a topic. The stream beside it has records whose content was erased, by the sequence
//! they had in the log, and the last value of what nodes share. All reads here go to a leader: a lagging replica must not
//! make a record look lost.

mod opening;

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use self::opening::{make_stream, open, stream_config};
use super::NatsOptions;
use super::version::{Version, VersionError};
use crate::model::TopicName;
use crate::store::{RECORD_VERSION, Record};

/// How long one question may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// A replica that its leader has not heard of for so long is not in touch with it.
const SILENT: Duration = Duration::from_secs(4);
/// The key of the log's identity in the metadata of its stream.
const LOG_KEY: &str = "tenbells_log";
/// What a message may have beside the record: headers, and room for what differs between clients.
const HEADERS_BYTES: usize = 8 << 10;

/// Why the servers can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// None of them answers.
    #[error("no NATS server of {servers} can be used: {cause}")]
    Connect {
        /// Which were tried.
        servers: String,
        /// Why the last one could not.
        cause: String,
    },
    /// A server is too old.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// JetStream refuses or does not answer.
    #[error("JetStream: {0}")]
    JetStream(String),
    /// A newer program wrote what is in the stream.
    #[error(
        "the record at sequence {sequence} has version {found}, which is newer than this program"
    )]
    Newer {
        /// Where.
        sequence: u64,
        /// Its version.
        found: u8,
    },
    /// What is in the stream is not a record.
    #[error("{subject} at sequence {sequence} is not a record: {cause}")]
    NotARecord {
        /// Where.
        subject: String,
        /// At which sequence.
        sequence: u64,
        /// Why.
        cause: String,
    },
}

/// How a publish ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is stored, at this sequence.
    Stored(u64),
    /// It was not stored: the subject has another last record than expected.
    Overtaken,
    /// Nobody was there to store it.
    Refused(String),
    /// It may be stored or not.
    Open(String),
}

/// What the leader of the log says of it.
#[derive(Debug, Clone)]
pub struct LogNow {
    /// Sequence of the last record.
    pub last: u64,
    /// The leader's clock.
    pub at: Option<Timestamp>,
    /// Whether a majority of the replicas is in touch with it. One that is not may be a leader no more, without knowing.
    pub is_settled: bool,
}

/// The connection.
#[derive(Debug, Clone)]
pub struct Link {
    client: Client,
    context: Context,
    log: Stream<()>,
    aside: Stream<()>,
    prefix: String,
}

impl Link {
    /// Connects, checks the server, and makes the streams where they are not there yet.
    ///
    /// # Errors
    /// [`LinkError`], after `options.connect_timeout` at the latest.
    pub async fn connect(options: &NatsOptions) -> Result<Self, LinkError> {
        let end = Instant::now() + options.connect_timeout;
        let client = open(options, end).await?;
        Version::check(&client.server_info().version)?;
        let context = jetstream::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .build(client.clone());
        let upper = options.prefix.to_uppercase();
        let (log, aside) = (upper.clone(), format!("{upper}_ASIDE"));
        let prefix = options.prefix.clone();
        for config in [
            stream_config(&log, vec![format!("{prefix}.topic.*")], options),
            stream_config(
                &aside,
                vec![format!("{prefix}.erased.*"), format!("{prefix}.shared.*")],
                options,
            ),
        ] {
            make_stream(&context, config, end).await?;
        }
        let stream = |name: String| {
            let context = context.clone();
            async move {
                context
                    .get_stream_no_info(name)
                    .await
                    .map_err(|error| LinkError::JetStream(error.to_string()))
            }
        };
        Ok(Self {
            log: stream(log).await?,
            aside: stream(aside).await?,
            client,
            context,
            prefix,
        })
    }

    /// The client, for plain messages.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The log's stream, to follow.
    pub fn log(&self) -> &Stream<()> {
        &self.log
    }

    /// The first part of every subject.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Most bytes of a record.
    pub fn record_bytes_max(&self) -> usize {
        self.client
            .server_info()
            .max_payload
            .saturating_sub(HEADERS_BYTES)
    }

    /// The subject of a topic.
    pub fn subject(&self, topic: &TopicName) -> String {
        format!("{}.topic.{topic}", self.prefix)
    }

    fn erased_subject(&self, sequence: u64) -> String {
        format!("{}.erased.{sequence}", self.prefix)
    }

    /// The identity of the log: it changes when the stream is made anew.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn identity(&self) -> Result<String, LinkError> {
        let info = self.log.get_info().await.map_err(failed)?;
        let made = info.created.unix_timestamp_nanos();
        let id = info.config.metadata.get(LOG_KEY).map_or("", String::as_str);
        Ok(format!("{id}@{made}"))
    }

    /// How many replicas the log has.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn replicas(&self) -> Result<usize, LinkError> {
        let info = self.log.get_info().await.map_err(failed)?;
        Ok(info.config.num_replicas)
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn now(&self) -> Result<LogNow, LinkError> {
        #[derive(Deserialize)]
        struct Answer {
            ts: Option<Timestamp>,
            state: Option<State>,
            #[serde(default)]
            cluster: Cluster,
            error: Option<serde_json::Value>,
        }
        #[derive(Default, Deserialize)]
        struct Cluster {
            #[serde(default)]
            replicas: Vec<Replica>,
        }
        #[derive(Deserialize)]
        struct Replica {
            #[serde(default)]
            offline: bool,
            /// How long ago it was heard of, in nanoseconds.
            #[serde(default)]
            active: u64,
        }
        #[derive(Deserialize)]
        struct State {
            last_seq: u64,
        }
        let subject = format!("STREAM.INFO.{}", self.prefix.to_uppercase());
        let answer: Answer = self.context.request(subject, &()).await.map_err(failed)?;
        let others = &answer.cluster.replicas;
        let silent = u64::try_from(SILENT.as_nanos()).unwrap_or(u64::MAX);
        let in_touch = others
            .iter()
            .filter(|replica| !replica.offline && replica.active < silent)
            .count();
        let is_settled = (in_touch + 1) * 2 > others.len() + 1;
        match answer.state {
            Some(state) => Ok(LogNow {
                last: state.last_seq,
                at: answer.ts,
                is_settled,
            }),
            None => Err(LinkError::JetStream(answer.error.map_or_else(
                || "an answer without a state".into(),
                |error| error.to_string(),
            ))),
        }
    }

    /// Publishes a record behind the topic's record at `record.prev`.
    pub async fn publish(&self, record: &Record, payload: Bytes) -> Sent {
        let message = PublishMessage::build()
            .payload(payload)
            .message_id(&record.id)
            .expected_last_subject_sequence(record.prev);
        self.send(self.subject(&record.topic), message).await
    }

    /// Puts a record that content was taken out of in the place of the one at `sequence`, behind its last such version.
    pub async fn publish_erased(&self, sequence: u64, expected: u64, payload: Bytes) -> Sent {
        let message = PublishMessage::build()
            .payload(payload)
            .expected_last_subject_sequence(expected);
        self.send(self.erased_subject(sequence), message).await
    }

    /// Shares a value under a name, behind its last version.
    pub async fn share(&self, name: &str, expected: u64, payload: Bytes) -> Sent {
        let message = PublishMessage::build()
            .payload(payload)
            .expected_last_subject_sequence(expected);
        self.send(format!("{}.shared.{name}", self.prefix), message)
            .await
    }

    /// The shared value of that name, with its version.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn shared(&self, name: &str) -> Result<Option<(u64, Bytes)>, LinkError> {
        let subject = format!("{}.shared.{name}", self.prefix);
        let found = last(&self.aside, &subject).await?;
        Ok(found.map(|message| (message.sequence, message.payload)))
    }

    async fn send(&self, subject: String, message: PublishMessage) -> Sent {
        let ack = match self.context.send_publish(subject, message).await {
            Ok(ack) => ack,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        match ack.await {
            Ok(ack) => Sent::Stored(ack.sequence),
            Err(error) => {
                let text = error_text(&error);
                match error.kind() {
                    PublishErrorKind::WrongLastSequence => Sent::Overtaken,
                    _ if text.contains("wrong last sequence") => Sent::Overtaken,
                    PublishErrorKind::StreamNotFound | PublishErrorKind::MaxPayloadExceeded => {
                        Sent::Refused(text)
                    }
                    _ => Sent::Open(text),
                }
            }
        }
    }

    /// Sequence of the topic's last record; 0 where there is none.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn last_of(&self, topic: &TopicName) -> Result<u64, LinkError> {
        let found = last(&self.log, &self.subject(topic)).await?;
        Ok(found.map_or(0, |message| message.sequence))
    }

    /// The record at `sequence`: as it was erased, else as it stands in the log.
    ///
    /// # Errors
    /// When JetStream doesn't answer, or what it has is not a record.
    pub async fn record_at(&self, sequence: u64) -> Result<Option<Record>, LinkError> {
        if let Some((_, record)) = self.erased_at(sequence).await? {
            return Ok(Some(record));
        }
        let in_log = at(&self.log, sequence).await?;
        if in_log.is_none() {
            // It can have been erased between the two questions.
            return Ok(self.erased_at(sequence).await?.map(|(_, record)| record));
        }
        in_log.as_ref().map(read_record).transpose()
    }

    /// The record as it stands in the log.
    ///
    /// # Errors
    /// When JetStream doesn't answer, or what it has is not a record.
    pub async fn log_record(&self, sequence: u64) -> Result<Option<Record>, LinkError> {
        at(&self.log, sequence)
            .await?
            .as_ref()
            .map(read_record)
            .transpose()
    }

    /// The record in the place of the one at `sequence`, with its own sequence beside the log.
    ///
    /// # Errors
    /// When JetStream doesn't answer, or what it has is not a record.
    pub async fn erased_at(&self, sequence: u64) -> Result<Option<(u64, Record)>, LinkError> {
        let found = last(&self.aside, &self.erased_subject(sequence)).await?;
        found
            .map(|message| Ok((message.sequence, read_record(&message)?)))
            .transpose()
    }

    /// Deletes a record of the log, its bytes too.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn delete_from_log(&self, sequence: u64) -> Result<(), LinkError> {
        delete(&self.log, sequence).await
    }

    /// Deletes all versions of an erased record but the last, their bytes too.
    ///
    /// # Errors
    /// When JetStream doesn't answer.
    pub async fn delete_older_erased(&self, sequence: u64) -> Result<(), LinkError> {
        let subject = self.erased_subject(sequence);
        let Some(newest) = last(&self.aside, &subject).await? else {
            return Ok(());
        };
        loop {
            let first = self
                .aside
                .get_first_raw_message_by_subject(subject.as_str(), 1)
                .await
                .map_err(failed)?;
            if first.sequence >= newest.sequence {
                return Ok(());
            }
            delete(&self.aside, first.sequence).await?;
        }
    }
}

/// Reads a record out of a message.
///
/// # Errors
/// [`LinkError::Newer`], [`LinkError::NotARecord`].
pub fn parse_record(subject: &str, sequence: u64, payload: &[u8]) -> Result<Record, LinkError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u8,
    }
    serde_json::from_slice(payload).map_err(|error| match serde_json::from_slice(payload) {
        Ok(Versioned { v: found }) if found > RECORD_VERSION => {
            LinkError::Newer { sequence, found }
        }
        _ => LinkError::NotARecord {
            subject: subject.to_owned(),
            sequence,
            cause: error.to_string(),
        },
    })
}

fn read_record(message: &StreamMessage) -> Result<Record, LinkError> {
    parse_record(&message.subject, message.sequence, &message.payload)
}

async fn last(stream: &Stream<()>, subject: &str) -> Result<Option<StreamMessage>, LinkError> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn at(stream: &Stream<()>, sequence: u64) -> Result<Option<StreamMessage>, LinkError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn delete(stream: &Stream<()>, sequence: u64) -> Result<(), LinkError> {
    match stream.delete_message(sequence).await {
        Ok(_) => Ok(()),
        // Another node was faster.
        Err(error) if error_text(&error).contains("no message found") => Ok(()),
        Err(error) if error_text(&error).contains("not found") => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: impl std::error::Error) -> LinkError {
    LinkError::JetStream(error_text(&error))
}

/// An error with what caused it.
pub fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
