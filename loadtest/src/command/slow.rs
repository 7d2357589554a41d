//! `slow`: readers who stop reading, beside healthy ones. The healthy ones must not notice; the stalled ones must be
//! brought to the head, without a hole, once they read again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::reader::{Begin, Order};
use crate::report::Report;
use crate::scenario::{Readers, Scenario, Transport};

/// Receive buffer of a stalled reader, in bytes: it is full after a few changes.
const STALLED_BUFFER_BYTES: u32 = 4_096;

/// `loadtest slow`. `--readers` are the healthy ones.
#[derive(Debug, Clone, Args, Serialize)]
pub struct SlowArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Readers who stop reading, beside the others
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    stalled: u32,
    /// Entries a second, over all topics
    #[arg(long, default_value_t = 20.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing, once without and once with stalled readers
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &SlowArgs) -> Result<Report> {
    if args.readers.transport == Transport::Poll {
        bail!("a long poll can't stall: its reader only asks later. Use --transport ws or sse");
    }
    let start = Instant::now();
    let mut report = Report::new("slow", args).over(args.readers.transport.name());
    let (healthy, stalled) = (u64::from(args.readers.readers), u64::from(args.stalled));
    let all = Readers {
        readers: args.readers.readers.saturating_add(args.stalled),
        ..args.readers.clone()
    };
    let mut scenario = Scenario::open(&args.broker, &args.content, &all).await?;
    scenario.connect(0, healthy, Begin::Head, healthy).await?;
    let without = scenario.publish(args.rate, args.seconds).await?;
    let connect = Order::Connect {
        from: healthy,
        to: healthy + stalled,
        begin: Begin::Head,
        receive_buffer: Some(STALLED_BUFFER_BYTES),
    };
    scenario.crew.order(&connect).await?;
    scenario.wait_live(healthy + stalled).await?;
    let (from, to) = (healthy, healthy + stalled);
    scenario.crew.order(&Order::Freeze { from, to }).await?;
    let with = scenario.publish(args.rate, args.seconds).await?;
    scenario.crew.order(&Order::Thaw { from, to }).await?;
    let thawed = scenario
        .gather(
            Default::default(),
            scenario.usage()?,
            crate::clock::now_micros(),
        )
        .await?;
    report.count("healthy", "healthy readers", healthy);
    report.count("stalled", "stalled readers", stalled);
    without.report(&mut report, "without: ");
    with.report(&mut report, "with stalled: ");
    report.count(
        "caught_up",
        "changes that the stalled had to catch up",
        thawed.tally.deliveries,
    );
    thawed.fail(&mut report, "after the stall: ");
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}
