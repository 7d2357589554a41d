//! `cluster`: a fan-out over several brokers on one log, also while one of them dies, or all are restarted one by one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{self, Content};
use crate::cluster::{Cluster, Layout, SERVERS};
use crate::proc::Process;
use crate::reader::Pulse;
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Scenario};

/// How long the brokers rest between connecting and publishing.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the readers of a broker that died may take until all have resumed elsewhere.
const RESUME_DUE: Duration = Duration::from_secs(10);
/// How long is waited for it.
const RESUME_MAX: Duration = Duration::from_secs(60);

/// `loadtest cluster`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct ClusterArgs {
    /// Brokers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=64))]
    brokers: u16,
    /// What happens meanwhile
    #[arg(long, value_enum, default_value_t = Strike::None)]
    strike: Strike,
    /// The broker's program
    #[arg(long, default_value = "target/release/tenbells")]
    server_bin: PathBuf,
    /// The NATS server's program
    #[arg(long, default_value = "target/tools/nats-server")]
    nats_server: PathBuf,
    /// First port of the brokers; the servers' are 200 above
    #[arg(long, default_value_t = 17_100)]
    port: u16,
    /// Shards of each broker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: u32,
    #[command(flatten)]
    readers: Readers,
    /// Entries a second
    #[arg(long, default_value_t = 1.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

/// What happens while it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Strike {
    /// Nothing
    None,
    /// One broker is killed
    Kill,
    /// Every broker and every NATS server is restarted, one after the other; the publisher goes on at another broker
    Rolling,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &ClusterArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("cluster", args).over(args.readers.transport.name());
    let folder = std::env::temp_dir().join(format!("loadtest-cluster-{}", std::process::id()));
    let done = in_folder(args, &folder, &mut report).await;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    done?;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

async fn in_folder(
    args: &ClusterArgs,
    folder: &std::path::Path,
    report: &mut Report,
) -> Result<()> {
    let layout = Layout {
        nats_server: args.nats_server.clone(),
        tenbells: args.server_bin.clone(),
        port: args.port,
        brokers: args.brokers,
        shards: args.shards,
    };
    let mut cluster = Cluster::start(layout, folder).await?;
    let readers = u64::from(args.readers.readers);
    let process = match args.strike {
        Strike::None => Some(Process::of(cluster.pids())?),
        // Processes come and go: what they cost together can't be read.
        Strike::Kill | Strike::Rolling => None,
    };
    let broker = cluster.publisher();
    let mut scenario = Scenario::open_on(
        &broker,
        &args.content,
        &args.readers,
        cluster.nodes(),
        process,
    )
    .await?;
    // The topics reach the other nodes meanwhile.
    tokio::time::sleep(SETTLE).await;
    report.count("brokers", "brokers", u64::from(args.brokers));
    scenario.connect_all(SETTLE, report).await?;
    let arrived = scenario.crew.tell().await?;
    let view = scenario.crew.view();
    let (part, struck) = tokio::join!(
        scenario.publish(args.rate, args.seconds),
        strike(args, &mut cluster, view, readers)
    );
    let (mut part, struck) = (part?, struck?);
    part.tally.violations.merge(&arrived.violations);
    let lost = std::mem::take(&mut part.tally.violations.closed);
    match struck {
        Some(resumed) => {
            // What the examples say of lost connections is what was done to them.
            part.tally
                .violations
                .examples
                .retain(|example| !example.contains("lost its connection"));
            tell(args, report, lost, resumed);
        }
        None => part.tally.violations.closed = lost,
    }
    part.report(report, "");
    part.expect_all(report, readers, u64::from(args.readers.topics));
    Ok(())
}

/// Says how readers came through what was done to the brokers, and whether that is what is promised.
fn tell(args: &ClusterArgs, report: &mut Report, lost: u64, resumed: Duration) {
    let readers = u64::from(args.readers.readers);
    report.count(
        "reconnects",
        "connections that were lost, and resumed",
        lost,
    );
    report.figure(
        "reconnects_per_reader",
        "of them for each reader",
        as_f64(lost) / as_f64(readers),
        "",
    );
    report.figure("resumed_s", "all resumed after", resumed.as_secs_f64(), "s");
    if args.strike == Strike::Kill && resumed > RESUME_DUE {
        report.fail(format!(
            "the readers of the broker that died took {resumed:?} until all had resumed, {RESUME_DUE:?} at most were due"
        ));
    }
    let most = readers * u64::from(args.brokers);
    if args.strike == Strike::Rolling && lost > most {
        report.fail(format!(
            "{lost} reconnects, at most {most} were due: one a reader and node"
        ));
    }
}

/// Does what is to happen; how long the readers took to be all there again.
async fn strike(
    args: &ClusterArgs,
    cluster: &mut Cluster,
    view: impl Fn() -> Pulse,
    readers: u64,
) -> Result<Option<Duration>> {
    tokio::time::sleep(args.seconds / 4).await;
    match args.strike {
        Strike::None => Ok(None),
        Strike::Kill => {
            // The publisher's own is the first.
            cluster.kill(args.brokers - 1).await?;
            resumed(&view, readers).await.map(Some)
        }
        Strike::Rolling => {
            let mut longest = Duration::ZERO;
            for index in 0..args.brokers {
                cluster.restart_broker(index).await?;
                longest = longest.max(resumed(&view, readers).await?);
            }
            for index in 0..SERVERS {
                cluster.restart_server(index).await?;
            }
            Ok(Some(longest))
        }
    }
}

/// Waits until all readers have their subscription again.
async fn resumed(view: &impl Fn() -> Pulse, readers: u64) -> Result<Duration> {
    let began = Instant::now();
    // The first losses show within this.
    tokio::time::sleep(Duration::from_millis(300)).await;
    while view().live < readers {
        ensure!(
            began.elapsed() < RESUME_MAX,
            "{} of {readers} readers have resumed after {RESUME_MAX:?}",
            view().live
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(began.elapsed())
}
