//! `churn`: readers leave and come back all the time while entries are published. Each comes back with its cursor, so
//! every change must still come to every reader, once.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::clock::now_micros;
use crate::reader::{Begin, Order};
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Scenario};

const TURN: Duration = Duration::from_millis(100);

/// `loadtest churn`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct ChurnArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Readers who leave and come back, a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    joins: u32,
    /// Entries a second, over all topics
    #[arg(long, default_value_t = 10.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &ChurnArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("churn", args).over(args.readers.transport.name());
    let (readers, topics) = (
        u64::from(args.readers.readers),
        u64::from(args.readers.topics),
    );
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    let arrived = scenario.crew.tell().await?;
    let (usage, start_us) = (scenario.usage()?, now_micros());
    let Scenario {
        crew, publisher, ..
    } = &mut scenario;
    let mut rejoined = 0;
    let stretch = {
        let rejoining = async {
            let mut turn = tokio::time::interval(TURN);
            loop {
                turn.tick().await;
                let due = start_us.abs_diff(now_micros()) * u64::from(args.joins) / 1_000_000;
                while rejoined < due {
                    let from = rejoined % readers;
                    let to = (from + due - rejoined).min(readers);
                    let order = Order::Connect {
                        from,
                        to,
                        begin: Begin::Cursor,
                        receive_buffer: None,
                    };
                    if let Err(error) = crew.order(&order).await {
                        return error;
                    }
                    rejoined += to - from;
                }
            }
        };
        tokio::select! {
            stretch = publisher.pace(args.rate, args.seconds) => stretch?,
            error = rejoining => return Err(error),
        }
    };
    scenario.wait_live(readers).await?;
    let mut part = scenario.gather(stretch, usage, start_us).await?;
    part.tally.violations.merge(&arrived.violations);
    report.count("readers", "readers", readers);
    report.count("rejoined", "times that one left and came back", rejoined);
    report.figure(
        "rejoins_per_second",
        "of them a second",
        as_f64(rejoined) / args.seconds.as_secs_f64(),
        "1/s",
    );
    report.distribution("reconnect_us", "connect to subscribed", &part.tally.connect);
    part.report(&mut report, "");
    part.expect_all(&mut report, readers, topics);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}
