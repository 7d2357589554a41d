//! `catchup`: a long history, read from its start by many readers at once.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{Broker, Content};
use crate::clock::now_micros;
use crate::reader::{Begin, Order};
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Scenario};

/// `loadtest catchup`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct CatchupArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Changes of each topic's history
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    changes: u32,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &CatchupArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("catchup", args).over(args.readers.transport.name());
    let (readers, topics) = (
        u64::from(args.readers.readers),
        u64::from(args.readers.topics),
    );
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    // The first change of each topic was made with the topic.
    let stretch = scenario
        .publisher
        .burst(u64::from(args.changes - 1) * topics)
        .await?;
    let heads = scenario.publisher.heads();
    scenario.crew.order(&Order::Target(heads)).await?;
    let (usage, start_us) = (scenario.usage()?, now_micros());
    scenario.connect(0, readers, Begin::Start, readers).await?;
    let mut part = scenario.gather(stretch, usage, start_us).await?;
    part.forget_ages();
    let last = part.last_arrival_us().unwrap_or(start_us);
    report.count("readers", "readers", readers);
    report.count("changes", "changes of the history", u64::from(args.changes));
    report.figure(
        "all_at_head_s",
        "all at the head after",
        as_f64(last.saturating_sub(start_us)) / 1e6,
        "s",
    );
    report.distribution("connect_us", "connect to subscribed", &part.tally.connect);
    report.distribution("recovery_us", "connect to head", &part.tally.recovery);
    part.report(&mut report, "");
    part.expect_all(&mut report, readers, topics);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}
