//! A stretch of a run as it is reported: deliveries, latencies, the server's cost, and what was wrong.

use anyhow::{Context, Result};

use crate::latency::Latency;
use crate::proc::Usage;
use crate::publisher::Stretch;
use crate::reader::Tally;
use crate::report::{Report, as_f64};

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
    /// Seconds of the stretches that were put together with this one.
    pub earlier_s: f64,
    /// The server while it was published: seconds since the start, share of one core in percent, memory in MiB.
    pub cost: Vec<(f64, f64, f64)>,
}

impl Part {
    /// Adds a later stretch of the same kind; what passed in between counts for nothing.
    pub fn merge(&mut self, later: Self) {
        self.earlier_s = self.span();
        self.start_us = later.start_us;
        self.tally.merge(&later.tally);
        self.stretch.merge(later.stretch);
        self.usage = match (self.usage, later.usage) {
            (Some((before, after)), Some((from, to))) => {
                Some((before, after.continued(&from, &to)))
            }
            _ => None,
        };
        let at = self.cost.last().map_or(0.0, |last| last.0);
        let cost = later.cost.into_iter();
        self.cost
            .extend(cost.map(|(seconds, busy, memory)| (at + seconds, busy, memory)));
    }

    /// Forgets how old the changes were when they were read: where readers had been away, that is no figure of the
    /// server's.
    pub fn forget_ages(&mut self) {
        self.tally.delivery = Latency::new();
        for seen in &mut self.tally.seen {
            seen.intended_us = 0;
        }
    }

    /// When the last reader got its last change, in microseconds of the harness's clock.
    pub fn last_arrival_us(&self) -> Option<u64> {
        self.tally.seen.iter().map(|seen| seen.last_us).max()
    }

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
        self.figures(report, &key, &label);
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
        let cost = |value: fn(&(f64, f64, f64)) -> f64| {
            self.cost.iter().map(|at| (at.0, value(at))).collect()
        };
        report.over_time(
            key("server_cpu_percent"),
            label("server CPU, of one core"),
            "%",
            cost(|at| at.1),
        );
        report.over_time(
            key("server_memory_mib"),
            label("server memory"),
            "MiB",
            cost(|at| at.2),
        );
        self.fail(report, prefix);
    }

    fn figures(
        &self,
        report: &mut Report,
        key: &dyn Fn(&str) -> String,
        label: &dyn Fn(&str) -> String,
    ) {
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
        self.earlier_s + as_f64(last.saturating_sub(self.start_us)) / 1e6
    }
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
