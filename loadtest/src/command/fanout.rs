//! `fanout` and `topics`: readers by the ten thousand, entries at a steady pace, every reader checking its own stream.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::report::Report;
use crate::scenario::{Part, Readers, Scenario};

/// How long the server rests between connecting and the reading of its memory.
const SETTLE: Duration = Duration::from_secs(1);

/// `loadtest fanout`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct FanoutArgs {
    #[command(flatten)]
    pub broker: Broker,
    #[command(flatten)]
    pub readers: Readers,
    /// Entries a second, over all topics
    #[arg(long, default_value_t = 10.0, value_parser = args::rate)]
    pub rate: f64,
    /// Seconds of publishing
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    pub seconds: Duration,
    #[command(flatten)]
    pub content: Content,
}

/// Runs it, as the command `name`: `topics` is a fan-out as well.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(name: &'static str, args: &FanoutArgs) -> Result<Report> {
    let mut report = Report::new(name, args).over(args.readers.transport.name());
    let part = measure(args, &mut report).await?;
    part.report(&mut report, "");
    Ok(report)
}

/// Connects, publishes and gathers; connecting is in the report already.
///
/// # Errors
/// As [`run`].
pub async fn measure(args: &FanoutArgs, report: &mut Report) -> Result<Part> {
    let start = Instant::now();
    let readers = u64::from(args.readers.readers);
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    scenario.connect_all(SETTLE, report).await?;
    let arrived = scenario.crew.tell().await?;
    report.distribution("connect_us", "connect to subscribed", &arrived.connect);
    let mut part = scenario.publish(args.rate, args.seconds).await?;
    part.expect_all(report, readers, u64::from(args.readers.topics));
    part.tally.violations.merge(&arrived.violations);
    report.seconds += start.elapsed().as_secs_f64();
    Ok(part)
}
