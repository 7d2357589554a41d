//! `idle`: readers to whom nothing happens. What do their heartbeats cost, and what memory do they keep?
//!
//! It is measured once heartbeats have begun, so that their whole rhythm is in it; readers answer them as browsers do.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::proc::Usage;
use crate::reader::Begin;
use crate::report::{Report, as_f64};
use crate::scenario::{self, Readers, Rest, Scenario};

/// How long the server rests between connecting and the reading of its memory.
const SETTLE: Duration = Duration::from_secs(1);

/// `loadtest idle`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct IdleArgs {
    #[command(flatten)]
    broker: Broker,
    #[command(flatten)]
    readers: Readers,
    /// Seconds that are measured; a quarter of it before, without readers
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    seconds: Duration,
    /// Seconds in which the first heartbeat must have come
    #[arg(long, default_value = "60", value_parser = args::seconds)]
    heartbeat: Duration,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &IdleArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("idle", args).over(args.readers.transport.name());
    let readers = u64::from(args.readers.readers);
    let mut scenario = Scenario::open(&args.broker, &args.content, &args.readers).await?;
    let empty = scenario.rest(args.seconds / 4).await?;
    let before = scenario.usage()?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    tokio::time::sleep(SETTLE).await;
    let after = scenario.usage()?;
    report.count("readers", "readers", readers);
    scenario::memory(&mut report, before, after, readers)?;
    let begun = scenario
        .crew
        .until(args.heartbeat, |pulse| pulse.heartbeats > 0)
        .await?;
    if !begun {
        report.fail(format!("no heartbeat came within {:?}", args.heartbeat));
    }
    let heard = scenario.crew.pulse().heartbeats;
    let rest = scenario.rest(args.seconds).await?;
    let pulse = scenario.crew.pulse();
    let heartbeats = pulse.heartbeats - heard;
    let told = scenario.crew.tell().await?;
    report.count("heartbeats", "heartbeats meanwhile", heartbeats);
    costs(&mut report, &empty, &rest, heartbeats);
    report.distribution("connect_us", "connect to subscribed", &told.connect);
    rest.over_time(&mut report);
    if pulse.live != readers {
        report.fail(format!("{} of {readers} readers are left", pulse.live));
    }
    told.violations.fail(&mut report, "");
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

fn costs(report: &mut Report, empty: &Rest, rest: &Rest, heartbeats: u64) {
    let percent = |rest: &Rest, of: fn(&Usage, &Usage) -> Duration| {
        let (before, after) = rest.usage?;
        Some(of(&after, &before).as_secs_f64() / rest.seconds * 100.0)
    };
    for (key, label, value) in [
        (
            "server_cpu_percent",
            "server CPU, of one core",
            percent(rest, Usage::cpu_since),
        ),
        (
            "ksoftirqd_percent",
            "  of it ksoftirqd",
            percent(rest, Usage::ksoftirqd_since),
        ),
        (
            "server_cpu_percent_without",
            "server CPU without readers, of one core",
            percent(empty, Usage::cpu_since),
        ),
    ] {
        if let Some(value) = value {
            report.figure(key, label, value, "%");
        }
    }
    let Some((before, after)) = rest.usage.filter(|_| heartbeats > 0) else {
        return;
    };
    let each_us = after.cpu_since(&before).as_secs_f64() * 1e6 / as_f64(heartbeats);
    report.figure(
        "server_cpu_per_heartbeat_us",
        "server CPU of a heartbeat",
        each_us,
        "µs",
    );
}
