//! Open-loop publishing: entries leave at their intended times, whether or not earlier ones were answered, so that a
//! server that stalls is seen to stall (no coordinated omission). The intended time travels in the entry's id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::{now_micros, until};
use crate::http::{Connection, Refused, Target};
use crate::latency::Latency;
use crate::message::entry_id;
use crate::text::Writer;

/// Entries that may be on the way at once; beyond it they leave late, which their latency shows.
const ON_THE_WAY_MAX: usize = 1_024;
const TRIES_MAX: u32 = 8;

/// Publishes at a pace.
#[derive(Debug)]
pub struct Publisher {
    target: Arc<Target>,
    topics: Arc<[String]>,
    run: String,
    writer: Writer,
    sequence: u64,
    idle: Arc<Mutex<Vec<Connection>>>,
    published: Arc<AtomicU64>,
    /// The highest acknowledged offset of each topic.
    heads: Vec<u64>,
}

/// What a stretch of publishing did.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Entries acknowledged.
    pub acknowledged: u64,
    /// From the intended send time to the acknowledgement.
    pub latency: Latency,
    /// How late the harness itself sent.
    pub late: Latency,
    /// What was refused, in words.
    pub refused: Vec<String>,
    /// Where acknowledged entries are: topic, offset.
    pub placed: Vec<(u32, u64)>,
}

impl Stretch {
    /// Adds a later stretch.
    pub fn merge(&mut self, later: Self) {
        self.acknowledged += later.acknowledged;
        self.latency.merge(&later.latency);
        self.late.merge(&later.late);
        self.refused.extend(later.refused);
        self.placed.extend(later.placed);
    }
}

struct Sent {
    topic: u32,
    late_us: u64,
    latency_us: u64,
    outcome: Result<u64, Refused>,
}

impl Publisher {
    /// A publisher to `topics`, in turns.
    pub fn new(target: Arc<Target>, topics: Vec<String>, run: String, writer: Writer) -> Self {
        Self {
            heads: vec![0; topics.len()],
            target,
            topics: topics.into(),
            run,
            writer,
            sequence: 0,
            idle: Arc::default(),
            published: Arc::default(),
        }
    }

    /// Makes every topic with a first entry.
    ///
    /// # Errors
    /// When the broker refuses one.
    pub async fn open_topics(&mut self) -> Result<()> {
        let count = self.topics.len() as u64;
        let stretch = self.burst(count).await?;
        if let Some(refused) = stretch.refused.first() {
            bail!("the broker does not take entries: {refused}");
        }
        Ok(())
    }

    /// Publishes `rate` entries a second for `duration`.
    ///
    /// # Errors
    /// When a task of ours ends early.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "microseconds and counts of a run are far below 2^53"
    )]
    pub async fn pace(&mut self, rate: f64, duration: Duration) -> Result<Stretch> {
        let gap_us = 1e6 / rate;
        let count = (duration.as_secs_f64() * rate).round().max(1.0) as u64;
        let start = now_micros() + 10_000;
        self.send(count, move |index| start + (index as f64 * gap_us) as u64)
            .await
    }

    /// Publishes `count` entries at once.
    ///
    /// # Errors
    /// When a task of ours ends early.
    pub async fn burst(&mut self, count: u64) -> Result<Stretch> {
        let now = now_micros();
        self.send(count, move |_| now).await
    }

    /// From now on entries are written by `writer`; returns the one before.
    pub fn write_with(&mut self, writer: Writer) -> Writer {
        std::mem::replace(&mut self.writer, writer)
    }

    /// The broker's port.
    pub fn port(&self) -> u16 {
        self.target.address.port()
    }

    /// The highest acknowledged offset of each topic.
    pub fn heads(&self) -> Vec<u64> {
        self.heads.clone()
    }

    /// How many were acknowledged, for the progress line.
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.published)
    }

    async fn send(
        &mut self,
        count: u64,
        intended: impl Fn(u64) -> u64 + Send + 'static,
    ) -> Result<Stretch> {
        // A thread sleeps to tens of microseconds, the runtime's timer only to a millisecond.
        let (tick, mut ticks) = mpsc::channel(ON_THE_WAY_MAX);
        std::thread::spawn(move || {
            for index in 0..count {
                let at = intended(index);
                std::thread::sleep(until(at));
                if tick.blocking_send(at).is_err() {
                    return;
                }
            }
        });
        let mut stretch = Stretch::default();
        let mut on_the_way = JoinSet::new();
        while let Some(at) = ticks.recv().await {
            if on_the_way.len() >= ON_THE_WAY_MAX
                && let Some(sent) = on_the_way.join_next().await
            {
                self.take(&mut stretch, sent?);
            }
            self.sequence += 1;
            on_the_way.spawn(self.one(at));
            while let Some(sent) = on_the_way.try_join_next() {
                self.take(&mut stretch, sent?);
            }
        }
        while let Some(sent) = on_the_way.join_next().await {
            self.take(&mut stretch, sent.context("a publish of ours ended early")?);
        }
        Ok(stretch)
    }

    fn one(&mut self, intended_us: u64) -> impl Future<Output = Sent> + use<> {
        let topics = self.topics.len() as u64;
        let topic = (self.sequence - 1) % topics;
        let id = entry_id(&self.run, intended_us, self.sequence);
        let entry = Bytes::from(self.writer.entry(&id));
        let idle = Arc::clone(&self.idle);
        let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = waiting.unwrap_or_else(|| Connection::new(Arc::clone(&self.target)));
        let all = Arc::clone(&self.topics);
        let published = Arc::clone(&self.published);
        async move {
            let late_us = now_micros().saturating_sub(intended_us);
            let name = &all[usize::try_from(topic).unwrap_or(0)];
            let outcome = connection.publish_surely(name, &id, entry, TRIES_MAX).await;
            let latency_us = now_micros().saturating_sub(intended_us);
            published.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            Sent {
                topic: u32::try_from(topic).unwrap_or(0),
                late_us,
                latency_us,
                outcome: outcome.map(|placed| placed.offset),
            }
        }
    }

    fn take(&mut self, stretch: &mut Stretch, sent: Sent) {
        stretch.late.record_micros(sent.late_us);
        match sent.outcome {
            Ok(offset) => {
                stretch.acknowledged += 1;
                stretch.latency.record_micros(sent.latency_us);
                stretch.placed.push((sent.topic, offset));
                let head = &mut self.heads[sent.topic as usize];
                *head = offset.max(*head);
            }
            Err(refused) => stretch.refused.push(refused.to_string()),
        }
    }
}
