//! `storm`: all readers lose their connection at once, changes happen meanwhile, and all come back at once with their
//! cursors. How long until everyone is at the head, and was anything lost on the way?

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{Broker, Content};
use crate::clock::now_micros;
use crate::reader::{Begin, Order};
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Scenario};

/// `loadtest storm`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct StormArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Changes that every reader misses
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    missed: u32,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &StormArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("storm", args).over(args.readers.transport.name());
    let readers = u64::from(args.readers.readers);
    let topics = u64::from(args.readers.topics);
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    let arrived = scenario.crew.tell().await?;
    scenario
        .crew
        .order(&Order::Leave {
            from: 0,
            to: readers,
        })
        .await?;
    let stretch = scenario
        .publisher
        .burst(u64::from(args.missed) * topics)
        .await?;
    let heads = scenario.publisher.heads();
    scenario.crew.order(&Order::Target(heads)).await?;
    let (usage, start_us) = (scenario.usage()?, now_micros());
    scenario.connect(0, readers, Begin::Cursor, readers).await?;
    scenario
        .crew
        .until(args.readers.patience, |pulse| pulse.behind == 0)
        .await?;
    let reached_us = now_micros();
    let mut part = scenario.gather(stretch, usage, start_us).await?;
    part.tally.violations.merge(&arrived.violations);
    part.forget_ages();
    let last = part.last_arrival_us().unwrap_or(reached_us);
    report.count("readers", "readers", readers);
    report.count("missed", "changes that each missed", u64::from(args.missed));
    report.figure(
        "all_at_head_s",
        "all at the head after",
        as_f64(last.saturating_sub(start_us)) / 1e6,
        "s",
    );
    report.distribution("reconnect_us", "connect to subscribed", &part.tally.connect);
    report.distribution("recovery_us", "connect to head", &part.tally.recovery);
    part.report(&mut report, "");
    part.expect_all(&mut report, readers, topics);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}
