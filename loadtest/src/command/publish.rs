//! `publish`: closed-loop publishers, each with a connection of its own: how many durable entries a second, and how
//! long one takes. At the end every topic's positions are checked: unique, dense from 1, and the server's own head.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::clock::now_micros;
use crate::http::{Connection, Placed, Target};
use crate::latency::Latency;
use crate::proc::Process;
use crate::progress::Progress;
use crate::report::{Report, as_f64};

/// How often one entry is tried before its outcome is given up.
const TRIES_MAX: u32 = 8;

/// `loadtest publish`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct PublishArgs {
    #[command(flatten)]
    broker: Broker,
    /// Publishers at once; several numbers are run one after the other
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64], value_parser = clap::value_parser!(u32).range(1..=5_000))]
    publishers: Vec<u32>,
    /// Topics they publish to, in turns
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    topics: u32,
    /// Seconds of each run
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

/// What one publisher did.
struct Worked {
    latency: Latency,
    placed: Vec<(u32, Placed)>,
    bytes: u64,
    refused: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When the broker can't be reached or refuses the key.
pub async fn run(args: &PublishArgs) -> Result<Report> {
    let mut report = Report::new("publish", args);
    let target = args.broker.target()?;
    let process = args.broker.process(&target)?;
    for publishers in &args.publishers {
        round(args, &target, process.as_ref(), *publishers, &mut report).await?;
    }
    Ok(report)
}

async fn round(
    args: &PublishArgs,
    target: &Arc<Target>,
    process: Option<&Process>,
    publishers: u32,
    report: &mut Report,
) -> Result<()> {
    let run = args::run_name();
    let topics: Arc<[String]> = (0..args.topics)
        .map(|index| format!("lt-{run}-{index}"))
        .collect();
    first_answer(args, target, &run).await?;
    let before = process.map(Process::usage).transpose()?;
    let progress = Progress::new(args.seconds);
    let published = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let deadline = start + args.seconds;
    let tasks: Vec<_> = (0..publishers)
        .map(|index| {
            let publisher = Publisher {
                connection: Connection::new(Arc::clone(target)),
                topics: Arc::clone(&topics),
                run: run.clone(),
                index,
                published: Arc::clone(&published),
            };
            tokio::spawn(publisher.work(args.content.clone(), deadline))
        })
        .collect();
    let watching = progress.watch(|seconds| {
        let count = published.load(Ordering::Relaxed);
        format!(
            "{publishers} publishers: {count} entries, {:.0}/s",
            as_f64(count) / seconds.max(0.001)
        )
    });
    let gathering = async {
        let mut worked = Vec::new();
        for task in tasks {
            worked.push(task.await.context("a publisher's task ended early")?);
        }
        anyhow::Ok(worked)
    };
    let worked = tokio::select! {
        worked = gathering => worked?,
        never = watching => match never {},
    };
    let elapsed = start.elapsed();
    let after = process.map(Process::usage).transpose()?;
    summarise(report, publishers, &worked, elapsed);
    if let (Some(before), Some(after)) = (before, after) {
        let entries = worked
            .iter()
            .map(|one| one.placed.len())
            .sum::<usize>()
            .max(1);
        report.figure(
            format!("server_cpu_per_entry_us_{publishers}"),
            format!("{publishers} publishers: server CPU per entry"),
            after.cpu_since(&before).as_secs_f64() * 1e6 / as_f64(entries as u64),
            "µs",
        );
    }
    for failure in verify(target, &topics, &worked).await? {
        report.fail(format!("{publishers} publishers: {failure}"));
    }
    report.seconds += elapsed.as_secs_f64();
    Ok(())
}

/// One entry ahead of the run, so that a wrong address or key is said at once and plainly.
async fn first_answer(args: &PublishArgs, target: &Arc<Target>, run: &str) -> Result<()> {
    let id = format!("lt-{run}-first");
    let entry = args.content.writer(u64::MAX).entry(&id);
    let placed = Connection::new(Arc::clone(target))
        .publish(&format!("lt-{run}-first"), &id, entry.into())
        .await;
    match placed {
        Ok(_) => Ok(()),
        Err(refused) => bail!("{} does not take entries: {refused}", args.broker.url),
    }
}

struct Publisher {
    connection: Connection,
    topics: Arc<[String]>,
    run: String,
    index: u32,
    published: Arc<AtomicU64>,
}

impl Publisher {
    async fn work(mut self, content: Content, deadline: Instant) -> Worked {
        let mut writer = content.writer(u64::from(self.index));
        let mut worked = Worked {
            latency: Latency::new(),
            placed: Vec::new(),
            bytes: 0,
            refused: Vec::new(),
        };
        let count = u32::try_from(self.topics.len()).unwrap_or(1);
        let mut turn = self.index;
        let mut sequence = 0_u64;
        while Instant::now() < deadline && worked.refused.len() < 10 {
            let topic = turn % count;
            turn = turn.wrapping_add(1);
            sequence += 1;
            let id = format!("lt-{}-{}-{sequence}", self.run, self.index);
            let entry = Bytes::from(writer.entry(&id));
            let bytes = entry.len() as u64;
            let from = now_micros();
            let topic_name = &self.topics[topic as usize];
            match self
                .connection
                .publish_surely(topic_name, &id, entry, TRIES_MAX)
                .await
            {
                Ok(placed) => {
                    worked.latency.record_micros(now_micros() - from);
                    worked.placed.push((topic, placed));
                    worked.bytes += bytes;
                    self.published.fetch_add(1, Ordering::Relaxed);
                }
                Err(refused) => worked.refused.push(refused.to_string()),
            }
        }
        worked
    }
}

fn summarise(report: &mut Report, publishers: u32, worked: &[Worked], elapsed: Duration) {
    let mut latency = Latency::new();
    for one in worked {
        latency.merge(&one.latency);
    }
    let entries: usize = worked.iter().map(|one| one.placed.len()).sum();
    let bytes: u64 = worked.iter().map(|one| one.bytes).sum();
    let per_second = |count: u64| as_f64(count) / elapsed.as_secs_f64();
    let label = |what: &str| format!("{publishers} publishers: {what}");
    report.count(
        format!("entries_{publishers}"),
        label("entries"),
        entries as u64,
    );
    report.figure(
        format!("entries_per_second_{publishers}"),
        label("entries a second"),
        per_second(entries as u64),
        "1/s",
    );
    report.figure(
        format!("kib_per_second_{publishers}"),
        label("published"),
        per_second(bytes) / 1024.0,
        "KiB/s",
    );
    report.distribution(
        format!("publish_us_{publishers}"),
        label("publish to answer"),
        &latency,
    );
    let mut refusals: HashMap<&str, usize> = HashMap::new();
    for refused in worked.iter().flat_map(|one| &one.refused) {
        *refusals.entry(refused).or_default() += 1;
    }
    for (refused, times) in refusals {
        report.fail(label(&format!("{times} × {refused}")));
    }
}

/// Checks that each topic's positions are 1, 2, 3 … and end at the server's head.
async fn verify(target: &Arc<Target>, topics: &[String], worked: &[Worked]) -> Result<Vec<String>> {
    let mut by_topic: Vec<Vec<&Placed>> = vec![Vec::new(); topics.len()];
    for (topic, placed) in worked.iter().flat_map(|one| &one.placed) {
        by_topic[*topic as usize].push(placed);
    }
    let mut failures = Vec::new();
    let mut connection = Connection::new(Arc::clone(target));
    for (topic, placed) in topics.iter().zip(by_topic) {
        if placed.is_empty() {
            continue;
        }
        let head = connection.head(topic).await?;
        failures.extend(judge(topic, &placed, &head));
    }
    Ok(failures)
}

fn judge(topic: &str, placed: &[&Placed], head: &Placed) -> Vec<String> {
    let mut failures = Vec::new();
    if placed.iter().any(|one| one.epoch != head.epoch) {
        failures.push(format!("topic {topic} changed its epoch"));
    }
    let mut offsets: Vec<u64> = placed.iter().map(|one| one.offset).collect();
    offsets.sort_unstable();
    let duplicates = offsets.windows(2).filter(|pair| pair[0] == pair[1]).count();
    if duplicates > 0 {
        failures.push(format!("topic {topic} gave {duplicates} offsets twice"));
    }
    offsets.dedup();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let holes = last.saturating_sub(offsets.len() as u64);
    if first != 1 || holes > 0 {
        failures.push(format!(
            "topic {topic} has {holes} holes between 1 and {last}"
        ));
    }
    if last != head.offset {
        failures.push(format!(
            "topic {topic} is at {}, acknowledged was up to {last}",
            head.offset
        ));
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(offsets: &[u64], head: u64) -> Vec<String> {
        let at = |offset| Placed {
            epoch: "e".to_owned(),
            offset,
        };
        let placed: Vec<Placed> = offsets.iter().map(|offset| at(*offset)).collect();
        judge("t", &placed.iter().collect::<Vec<_>>(), &at(head))
    }

    #[test]
    fn dense_positions_pass_in_any_order() {
        assert_eq!(judged(&[2, 1, 3], 3), Vec::<String>::new());
    }

    #[test]
    fn planted_faults_are_found() {
        assert!(judged(&[1, 2, 2, 3], 3)[0].contains("twice"));
        assert!(judged(&[1, 3], 3)[0].contains("1 holes"));
        assert!(judged(&[2, 3], 3)[0].contains("holes"));
        assert!(judged(&[1, 2], 3)[0].contains("is at 3"));
    }

    #[test]
    fn another_epoch_is_found() {
        let one = Placed {
            epoch: "a".to_owned(),
            offset: 1,
        };
        let head = Placed {
            epoch: "b".to_owned(),
            offset: 1,
        };
        assert!(judge("t", &[&one], &head)[0].contains("epoch"));
    }
}
