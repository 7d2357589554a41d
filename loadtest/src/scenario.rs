//! What most commands have in common: topics, a crew of readers on them, a publisher, and the server's cost beside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::crew::Crew;
use crate::http::Target;
use crate::latency::Latency;
use crate::proc::{Process, Usage};
use crate::progress::Progress;
use crate::publisher::{Publisher, Stretch};
use crate::reader::{Begin, Order, Plan, Pulse, Tally, Wire};
use crate::report::Report;

/// The readers.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Readers")]
pub struct Readers {
    /// How many
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub readers: u32,
    /// Topics; reader i reads topic i modulo this
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub topics: u32,
    /// Threads of each process of readers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Processes of readers; there are more where descriptors ask for it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub processes: u32,
    /// Handshakes at once
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub in_flight: u32,
    /// Seconds in which readers must have connected, and must have reached the head
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    pub patience: Duration,
}

/// A run under way.
#[derive(Debug)]
pub struct Scenario {
    /// The readers.
    pub crew: Crew,
    /// The publisher.
    pub publisher: Publisher,
    /// The server's process, where it is on this machine.
    pub process: Option<Process>,
    readers: Readers,
}

/// A stretch of a run, with what readers gathered and what it cost.
#[derive(Debug)]
pub struct Part {
    /// What the readers gathered.
    pub tally: Tally,
    /// What the publisher did.
    pub stretch: Stretch,
    /// The server's counters before and after.
    pub usage: Option<(Usage, Usage)>,
    /// When publishing began, in microseconds.
    pub start_us: u64,
}

impl Scenario {
    /// Makes the topics and hires readers; nobody is connected yet.
    ///
    /// # Errors
    /// When the broker can't be reached, or refuses the key.
    pub async fn open(broker: &Broker, content: &Content, readers: &Readers) -> Result<Self> {
        let target = broker.target()?;
        let process = broker.process(&target)?;
        let run = args::run_name();
        let topics: Vec<String> = (0..readers.topics)
            .map(|index| format!("lt-{run}-{index}"))
            .collect();
        let mut publisher = Publisher::new(
            Arc::clone(&target),
            topics.clone(),
            run.clone(),
            content.writer(0),
        );
        publisher.open_topics().await?;
        let plan = plan(&target, topics, run, readers);
        Ok(Self {
            crew: Crew::hire(&plan, readers.processes).await?,
            publisher,
            process,
            readers: readers.clone(),
        })
    }

    /// The server's counters; none where it is elsewhere.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn usage(&self) -> Result<Option<Usage>> {
        self.process.as_ref().map(Process::usage).transpose()
    }

    /// Connects readers `from..to`, and waits until all live readers are `live`.
    ///
    /// # Errors
    /// When they are not within the patience.
    pub async fn connect(&mut self, from: u64, to: u64, begin: Begin, live: u64) -> Result<()> {
        let order = Order::Connect {
            from,
            to,
            begin,
            receive_buffer: None,
        };
        self.crew.order(&order).await?;
        self.wait_live(live).await
    }

    /// Waits until `live` readers have their subscription.
    ///
    /// # Errors
    /// When they have not within the patience.
    pub async fn wait_live(&mut self, live: u64) -> Result<()> {
        let progress = Progress::new(self.readers.patience);
        let view = self.crew.view();
        let connected = tokio::select! {
            connected = self.crew.until(self.readers.patience, |pulse| pulse.live >= live) => connected?,
            never = progress.watch(|_| format!("{} of {live} readers are there", view().live)) => match never {},
        };
        drop(progress);
        if connected {
            return Ok(());
        }
        let pulse = self.crew.pulse();
        let told = self.crew.tell().await?;
        bail!(
            "{} of {live} readers are there after {:?}: {:?}",
            pulse.live,
            self.readers.patience,
            told.violations.examples
        )
    }

    /// Publishes at a pace while readers read, waits until all are at the head, and gathers.
    ///
    /// # Errors
    /// When a process of ours is gone.
    pub async fn publish(&mut self, rate: f64, duration: Duration) -> Result<Part> {
        let usage = self.usage()?;
        let start_us = crate::clock::now_micros();
        let progress = Progress::new(duration);
        let (view, counter) = (self.crew.view(), self.publisher.counter());
        let stretch = tokio::select! {
            stretch = self.publisher.pace(rate, duration) => stretch?,
            never = progress.watch(|_| line(&view(), counter.load(Ordering::Relaxed))) => match never {},
        };
        drop(progress);
        self.gather(stretch, usage, start_us).await
    }

    /// Waits until all readers are at the head, and gathers; who is not in time is counted as behind.
    ///
    /// # Errors
    /// When a process of ours is gone.
    pub async fn gather(
        &mut self,
        stretch: Stretch,
        usage: Option<Usage>,
        start_us: u64,
    ) -> Result<Part> {
        let heads = self.publisher.heads();
        self.crew.order(&Order::Target(heads)).await?;
        self.crew
            .until(self.readers.patience, |pulse| pulse.behind == 0)
            .await?;
        let behind = self.crew.pulse().behind;
        let usage = match (usage, self.usage()?) {
            (Some(before), Some(after)) => Some((before, after)),
            _ => None,
        };
        let mut tally = self.crew.tell().await?;
        tally.violations.behind += behind;
        Ok(Part {
            tally,
            stretch,
            usage,
            start_us,
        })
    }
}

/// The plan of all readers on the broker.
fn plan(target: &Target, topics: Vec<String>, run: String, readers: &Readers) -> Plan {
    Plan {
        server: target.address,
        authority: target.authority.clone(),
        wire: Wire::WebSocket,
        topics,
        run,
        threads: readers.threads,
        in_flight: readers.in_flight,
        first: 0,
        readers: u64::from(readers.readers),
    }
}

fn line(pulse: &Pulse, published: u64) -> String {
    format!(
        "{published} published, {} readers, {} deliveries, {} violations, slowest lately {}",
        pulse.live,
        pulse.deliveries,
        pulse.violations,
        crate::report::duration(pulse.slowest_us)
    )
}

impl Part {
    /// From the intended send time of each change to its last reader.
    pub fn last_reader(&self) -> Latency {
        let mut latency = Latency::new();
        for seen in self.tally.seen.iter().filter(|seen| seen.intended_us > 0) {
            latency.record_micros(seen.last_us.saturating_sub(seen.intended_us));
        }
        latency
    }

    /// Server CPU for each delivery, in microseconds, with `ksoftirqd`; none where the server is elsewhere.
    pub fn cpu_per_delivery_us(&self) -> Option<f64> {
        let (before, after) = self.usage?;
        (self.tally.deliveries > 0)
            .then(|| after.cpu_since(&before).as_secs_f64() * 1e6 / as_f64(self.tally.deliveries))
    }

    /// Mean bytes of a delivery, with its frame header.
    pub fn bytes_per_delivery(&self) -> f64 {
        as_f64(self.tally.bytes) / as_f64(self.tally.deliveries.max(1))
    }

    /// Writes what was found into the report; `prefix` goes before keys and labels of a second part.
    pub fn report(&self, report: &mut Report, prefix: &str) {
        let key = |name: &str| format!("{}{name}", prefix.replace(": ", "_").replace(' ', "_"));
        let label = |name: &str| format!("{prefix}{name}");
        let seconds = self.span().max(1e-6);
        report.count(
            key("published"),
            label("entries published"),
            self.stretch.acknowledged,
        );
        report.count(
            key("deliveries"),
            label("deliveries"),
            self.tally.deliveries,
        );
        report.figure(
            key("deliveries_per_second"),
            label("deliveries a second"),
            as_f64(self.tally.deliveries) / seconds,
            "1/s",
        );
        report.figure(
            key("bytes_per_delivery"),
            label("bytes of a delivery"),
            self.bytes_per_delivery(),
            "B",
        );
        report.figure(
            key("mib_delivered"),
            label("delivered"),
            as_f64(self.tally.bytes) / 1_048_576.0,
            "MiB",
        );
        if let (Some((before, after)), Some(cpu)) = (self.usage, self.cpu_per_delivery_us()) {
            let soft =
                after.ksoftirqd_since(&before).as_secs_f64() * 1e6 / as_f64(self.tally.deliveries);
            report.figure(
                key("server_cpu_per_delivery_us"),
                label("server CPU of a delivery"),
                cpu,
                "µs",
            );
            report.figure(
                key("ksoftirqd_per_delivery_us"),
                label("  of it ksoftirqd"),
                soft,
                "µs",
            );
        }
        report.distribution(
            key("delivery_us"),
            label("publish to delivery"),
            &self.tally.delivery,
        );
        report.distribution(
            key("last_reader_us"),
            label("publish to last reader"),
            &self.last_reader(),
        );
        report.distribution(
            key("acknowledge_us"),
            label("publish to answer"),
            &self.stretch.latency,
        );
        report.distribution(
            key("harness_late_us"),
            label("harness sent late by"),
            &self.stretch.late,
        );
        report.over_time(
            key("deliveries"),
            label("deliveries"),
            "1/s",
            self.over_time(|bucket| as_f64(bucket.deliveries)),
        );
        report.over_time(
            key("slowest_ms"),
            label("slowest delivery"),
            "ms",
            self.over_time(|bucket| as_f64(bucket.slowest_us) / 1e3),
        );
        self.fail(report, prefix);
    }

    /// Writes what was wrong into the report.
    pub fn fail(&self, report: &mut Report, prefix: &str) {
        for (name, count) in self.tally.violations.counts() {
            if count > 0 {
                report.fail(format!("{prefix}{name}: {count}"));
            }
        }
        for example in &self.tally.violations.examples {
            report.fail(format!("{prefix}for example: {example}"));
        }
        for refused in self.stretch.refused.iter().take(5) {
            report.fail(format!("{prefix}refused: {refused}"));
        }
    }

    /// Fails the report where an acknowledged change did not come to all of its readers.
    pub fn expect_all(&self, report: &mut Report, readers: u64, topics: u64) {
        for (topic, offset) in &self.stretch.placed {
            let expected = (readers + topics - 1 - u64::from(*topic)) / topics;
            let at = self
                .tally
                .seen
                .binary_search_by_key(&(*topic, *offset), |seen| (seen.topic, seen.offset));
            let came = at.map_or(0, |at| self.tally.seen[at].readers);
            if came != expected {
                report.fail(format!(
                    "offset {offset} of topic {topic} came to {came} of {expected} readers"
                ));
            }
            if report.failures.len() > 20 {
                return;
            }
        }
    }

    fn over_time(&self, value: impl Fn(&crate::reader::Bucket) -> f64) -> Vec<(f64, f64)> {
        let first = self.tally.buckets.first().map_or(0, |bucket| bucket.second);
        self.tally
            .buckets
            .iter()
            .map(|bucket| (as_f64(bucket.second - first), value(bucket)))
            .collect()
    }

    fn span(&self) -> f64 {
        let last = self
            .tally
            .seen
            .iter()
            .map(|seen| seen.last_us)
            .max()
            .unwrap_or(0);
        as_f64(last.saturating_sub(self.start_us)) / 1e6
    }
}

/// A count as a number for rates.
#[expect(
    clippy::cast_precision_loss,
    reason = "rates are shown with a few digits"
)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Notes the memory of a connected reader, from two readings of the server's counters.
///
/// # Errors
/// When readings are missing on one side only.
pub fn memory(
    report: &mut Report,
    before: Option<Usage>,
    after: Option<Usage>,
    readers: u64,
) -> Result<()> {
    let (Some(before), after) = (before, after) else {
        return Ok(());
    };
    let after = after.context("the server's process is gone")?;
    let each = |from: u64, to: u64| as_f64(to.saturating_sub(from)) / as_f64(readers.max(1));
    report.figure(
        "rss_before_mib",
        "server memory before",
        as_f64(before.rss_bytes) / 1_048_576.0,
        "MiB",
    );
    report.figure(
        "rss_connected_mib",
        "server memory with all connected",
        as_f64(after.rss_bytes) / 1_048_576.0,
        "MiB",
    );
    report.figure(
        "rss_per_reader_bytes",
        "server memory of an idle reader",
        each(before.rss_bytes, after.rss_bytes),
        "B",
    );
    Ok(())
}
