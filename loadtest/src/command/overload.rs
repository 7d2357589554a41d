//! `overload`: several times the load for a minute, then the usual one again. How long until nearly all of the goodput is
//! back, without anybody restarting anything?
//!
//! Goodput is what is still worth having: the share of all deliveries that came in time, counted from the moment at which
//! the entry should have been sent. What comes late is delivered all the same, and checked as ever.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::clock::now_micros;
use crate::reader::Begin;
use crate::report::{Report, as_f64};
use crate::scenario::{Part, Readers, Scenario};

/// Share of the goodput before that has to be back.
const BACK: f64 = 0.95;
/// How long a look at the recovery takes.
const LOOK: Duration = Duration::from_secs(2);

/// `loadtest overload`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct OverloadArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Entries a second before and after, over all topics
    #[arg(long, default_value_t = 20.0, value_parser = args::rate)]
    rate: f64,
    /// So many times that for the overload
    #[arg(long, default_value_t = 4.0, value_parser = args::rate)]
    factor: f64,
    /// Seconds of overload
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    seconds: Duration,
    /// Seconds of the usual load before
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    before: Duration,
    /// Seconds within which the goodput has to be back
    #[arg(long, default_value = "30", value_parser = args::seconds)]
    within: Duration,
    /// Milliseconds within which a delivery is in time
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    in_time_ms: u64,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done, or the broker was restarted; what readers found wrong is in the report.
pub async fn run(args: &OverloadArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("overload", args).over(args.readers.transport.name());
    let readers = u64::from(args.readers.readers);
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    let before = scenario.publish(args.rate, args.before).await?;
    let usual = goodput(args, &before);
    let overload = scenario
        .publish(args.rate * args.factor, args.seconds)
        .await?;
    let ended_us = overload.start_us + micros(args.seconds);
    let (recovery, back_s) = recover(args, &mut scenario, usual, ended_us).await?;

    report.count("readers", "readers", readers);
    report.figure("goodput_before", "in time before", usual * 100.0, "%");
    let meanwhile = goodput(args, &overload);
    report.figure(
        "goodput_meanwhile",
        "in time in the overload",
        meanwhile * 100.0,
        "%",
    );
    report.count(
        "refused_meanwhile",
        "publishes refused in the overload",
        overload.stretch.refused.len() as u64,
    );
    let last_us = overload.last_arrival_us().unwrap_or(ended_us);
    report.figure(
        "caught_up_s",
        "last of the overload read after its end",
        as_f64(last_us.saturating_sub(ended_us)) / 1e6,
        "s",
    );
    match back_s {
        Some(seconds) => report.figure("back_s", "goodput back after", seconds, "s"),
        None => report.fail(format!(
            "{:.0}% of the goodput was not back {} s after the overload",
            BACK * 100.0,
            args.within.as_secs_f64()
        )),
    }
    let topics = u64::from(args.readers.topics);
    for (prefix, part) in [
        ("before: ", before),
        ("overload: ", overload),
        ("after: ", recovery),
    ] {
        part.expect_all(&mut report, readers, topics);
        part.report(&mut report, prefix);
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Publishes at the usual pace until the goodput is back, or the time is over; gives what was read, and after how many
/// seconds it was back.
async fn recover(
    args: &OverloadArgs,
    scenario: &mut Scenario,
    usual: f64,
    ended_us: u64,
) -> Result<(Part, Option<f64>)> {
    let mut all = None::<Part>;
    loop {
        let part = scenario.publish(args.rate, LOOK).await?;
        let at_s = as_f64(now_micros().saturating_sub(ended_us)) / 1e6;
        let is_back = goodput(args, &part) >= usual * BACK;
        let is_late = at_s > args.within.as_secs_f64();
        let whole = match all.take() {
            Some(mut earlier) => {
                earlier.merge(part);
                earlier
            }
            None => part,
        };
        if is_back || is_late {
            return Ok((whole, (is_back && !is_late).then_some(at_s)));
        }
        all = Some(whole);
    }
}

/// The share of all deliveries that came in time; those that never came are not among them.
fn goodput(args: &OverloadArgs, part: &Part) -> f64 {
    let readers = u64::from(args.readers.readers) / u64::from(args.readers.topics).max(1);
    let expected = as_f64(part.stretch.placed.len() as u64 * readers);
    let in_time = part.tally.delivery.count_up_to(args.in_time_ms * 1_000);
    if expected == 0.0 {
        return 0.0;
    }
    (as_f64(in_time) / expected).min(1.0)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
