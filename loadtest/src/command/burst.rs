//! `burst`: many publishes at once to many readers; every reader checks all of them.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{Broker, Content};
use crate::clock::now_micros;
use crate::reader::Begin;
use crate::report::Report;
use crate::scenario::{Readers, Scenario};

/// `loadtest burst`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct BurstArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Entries published at once
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    entries: u32,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &BurstArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("burst", args).over(args.readers.transport.name());
    let readers = u64::from(args.readers.readers);
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    let (usage, start_us) = (scenario.usage()?, now_micros());
    let stretch = scenario.publisher.burst(u64::from(args.entries)).await?;
    let part = scenario.gather(stretch, usage, start_us).await?;
    part.report(&mut report, "");
    part.expect_all(&mut report, readers, u64::from(args.readers.topics));
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}
