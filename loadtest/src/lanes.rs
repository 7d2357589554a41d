//! Open-loop publishing to any of the servers of `compare`: a few publishers, each on a connection of its own and each
//! waiting for its answer before the next, so that the order of its changes is the order in which it sent them. What is
//! late because an answer was, shows as late: latency counts from the intended time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::{now_micros, until};
use crate::corpus::Corpus;
use crate::http::Connection;
use crate::message::entry_id;
use crate::peer::{Kind, Way};
use crate::publisher::Stretch;

/// What all publishers of a channel have in common.
#[derive(Debug)]
struct Channel {
    way: Way,
    name: String,
    run: String,
    corpus: Arc<Corpus>,
    publishers: u64,
}

/// The publishers of a channel.
#[derive(Debug)]
pub struct Lanes {
    channel: Arc<Channel>,
    lanes: Vec<Lane>,
    head: u64,
}

#[derive(Debug)]
struct Lane {
    number: u64,
    sent: u64,
    connection: Connection,
}

impl Lanes {
    /// So many publishers of `name`; the run's name is in every id.
    ///
    /// # Errors
    /// When the broker does not make the topic.
    pub async fn open(
        way: &Way,
        name: &str,
        run: &str,
        corpus: &Arc<Corpus>,
        publishers: u32,
    ) -> Result<Self> {
        let channel = Channel {
            way: way.clone(),
            name: name.to_owned(),
            run: run.to_owned(),
            corpus: Arc::clone(corpus),
            publishers: u64::from(publishers.max(1)),
        };
        let lanes = (0..channel.publishers)
            .map(|number| Lane {
                number,
                sent: 0,
                connection: Connection::new(Arc::clone(&way.target)),
            })
            .collect();
        let mut all = Self {
            channel: Arc::new(channel),
            lanes,
            head: 0,
        };
        if way.kind == Kind::Tenbells {
            // A topic is there with its first entry; with the others, a channel is there with its first reader.
            let first = all.burst_of_one().await?;
            if let Some(refused) = first.refused.first() {
                return Err(anyhow!("no topic: {refused}"));
            }
        }
        Ok(all)
    }

    /// The number of the last change of the channel, as readers count them.
    pub fn head(&self) -> u64 {
        self.head
    }

    async fn burst_of_one(&mut self) -> Result<Stretch> {
        self.send(1, Duration::from_secs(20), |_| now_micros())
            .await
    }

    /// Publishes `rate` changes a second for `duration`; a publisher that is later than `give_up` stops.
    ///
    /// # Errors
    /// When a task of ours ends early.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "microseconds and counts of a run are far below 2^53"
    )]
    pub async fn pace(
        &mut self,
        rate: f64,
        duration: Duration,
        give_up: Duration,
    ) -> Result<Stretch> {
        let gap_us = 1e6 / rate;
        let count = (duration.as_secs_f64() * rate).round().max(1.0) as u64;
        let start = now_micros() + 10_000;
        self.send(count, give_up, move |index| {
            start + (index as f64 * gap_us) as u64
        })
        .await
    }

    async fn send(
        &mut self,
        count: u64,
        give_up: Duration,
        intended: impl Fn(u64) -> u64 + Send + 'static,
    ) -> Result<Stretch> {
        let mut tasks = Vec::new();
        let mut clocks: Vec<UnboundedSender<u64>> = Vec::new();
        for lane in self.lanes.drain(..) {
            let (clock, ticks) = unbounded_channel();
            clocks.push(clock);
            tasks.push(tokio::spawn(lane.work(
                Arc::clone(&self.channel),
                ticks,
                give_up,
            )));
        }
        // A thread sleeps to tens of microseconds, the runtime's timer only to a millisecond.
        std::thread::spawn(move || {
            for (index, clock) in (0..count).zip(clocks.iter().cycle()) {
                let at = intended(index);
                std::thread::sleep(until(at));
                // A publisher that gave up says so itself.
                let _ = clock.send(at);
            }
        });
        let mut all = Stretch::default();
        for task in tasks {
            let (lane, stretch) = task.await.context("a publisher of ours ended early")?;
            self.lanes.push(lane);
            all.acknowledged += stretch.acknowledged;
            all.latency.merge(&stretch.latency);
            all.late.merge(&stretch.late);
            all.refused.extend(stretch.refused);
            all.placed.extend(stretch.placed);
        }
        self.head = match self.channel.way.kind {
            Kind::Tenbells => {
                let last = all.placed.iter().map(|(_, offset)| *offset).max();
                last.unwrap_or(0).max(self.head)
            }
            _ => self.head + all.acknowledged,
        };
        Ok(all)
    }
}

impl Lane {
    async fn work(
        mut self,
        channel: Arc<Channel>,
        mut ticks: UnboundedReceiver<u64>,
        give_up: Duration,
    ) -> (Self, Stretch) {
        let mut stretch = Stretch::default();
        while let Some(at) = ticks.recv().await {
            let late_us = now_micros().saturating_sub(at);
            stretch.late.record_micros(late_us);
            if Duration::from_micros(late_us) > give_up {
                let late = crate::report::duration(late_us);
                stretch
                    .refused
                    .push(format!("a publisher was {late} late and gave up"));
                break;
            }
            match self.one(&channel, at).await {
                Ok(offset) => {
                    stretch.acknowledged += 1;
                    stretch.latency.record_micros(now_micros() - at);
                    stretch.placed.push((0, offset));
                }
                Err(refused) => {
                    stretch.refused.push(refused);
                    break;
                }
            }
        }
        (self, stretch)
    }

    /// Publishes one change; the number that readers will see.
    async fn one(&mut self, channel: &Channel, at: u64) -> Result<u64, String> {
        let offset = self.sent * channel.publishers + self.number + 1;
        let index = offset - 1;
        self.sent += 1;
        let id = entry_id(&channel.run, at, offset);
        let text = match channel.way.kind {
            Kind::Tenbells => channel.corpus.entry(index, &id),
            _ => channel.corpus.change(index, &id, offset),
        };
        let post = channel.way.post(&channel.name, &text);
        let answer = self
            .connection
            .post(&post.path, post.kind, post.body)
            .await
            .map_err(|refused| refused.to_string())?;
        let placed = channel.way.taken(&answer)?;
        Ok(placed.map_or(offset, |placed| placed.offset))
    }
}
