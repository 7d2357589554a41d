//! `tls`: what TLS costs in the broker itself: the same fan-out in the clear and sealed, in alternating rounds of one
//! run, each on a broker of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use super::fanout::{self, FanoutArgs};
use crate::args::{self, Content};
use crate::own_broker::{OwnBroker, Privacy};
use crate::report::{Report, as_f64};
use crate::scenario::Readers;

/// `loadtest tls`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct TlsArgs {
    /// Program of the broker; every round starts one of its own, on a fresh folder
    #[arg(long, value_name = "PATH")]
    server_bin: PathBuf,
    /// Port of the broker; the next one is its admin listener's
    #[arg(long, default_value_t = 7590, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port: u16,
    /// Rounds of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Shards of the broker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: u32,
    /// Entries a second
    #[arg(long, default_value_t = 4.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing in each round
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    readers: Readers,
    #[command(flatten)]
    content: Content,
}

/// What one round came to.
#[derive(Debug, Clone, Copy)]
struct Round {
    cpu_us: f64,
    memory_bytes: f64,
    connects_per_second: f64,
    last_reader_ms: f64,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &TlsArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("tls", args).over(args.readers.transport.name());
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let plain = one(args, Privacy::Plain, round, &mut report).await?;
        let tls = one(args, Privacy::Tls, round, &mut report).await?;
        rounds.push((plain, tls));
    }
    spreads(&rounds, &mut report);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Key, label, value and unit of a figure.
type RoundFigure = (&'static str, &'static str, fn(&Round) -> f64, &'static str);

fn spreads(rounds: &[(Round, Round)], report: &mut Report) {
    let figures: [RoundFigure; 4] = [
        (
            "cpu_per_delivery_us",
            "server CPU of a delivery",
            |round| round.cpu_us,
            "µs",
        ),
        (
            "rss_per_reader_bytes",
            "server memory of an idle reader",
            |round| round.memory_bytes,
            "B",
        ),
        (
            "connects_per_second",
            "connects a second",
            |round| round.connects_per_second,
            "1/s",
        ),
        (
            "last_reader_ms",
            "due to last reader",
            |round| round.last_reader_ms,
            "ms",
        ),
    ];
    for (key, label, value, unit) in figures {
        let of = |pick: fn(&(Round, Round)) -> &Round| {
            rounds.iter().map(|pair| value(pick(pair))).collect()
        };
        let (plain, tls) = (of(|pair| &pair.0), of(|pair| &pair.1));
        report.spread(
            &format!("plain_{key}"),
            &format!("plain: {label}"),
            plain,
            unit,
        );
        report.spread(&format!("tls_{key}"), &format!("TLS: {label}"), tls, unit);
    }
    let ratio = |pair: &(Round, Round)| pair.1.cpu_us / pair.0.cpu_us;
    report.spread(
        "cpu_ratio",
        "TLS over plain, CPU of a delivery",
        rounds.iter().map(ratio).collect(),
        "×",
    );
}

async fn one(args: &TlsArgs, wire: Privacy, round: u32, report: &mut Report) -> Result<Round> {
    let name = match wire {
        Privacy::Plain => "plain",
        Privacy::Tls => "tls",
    };
    let folder =
        std::env::temp_dir().join(format!("loadtest-{}-{round}-{name}", std::process::id()));
    let outcome = measured(
        args,
        wire,
        &folder,
        &format!("round {round}, {name}: "),
        report,
    )
    .await;
    // What is left in the temporary folder does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

async fn measured(
    args: &TlsArgs,
    wire: Privacy,
    folder: &std::path::Path,
    prefix: &str,
    report: &mut Report,
) -> Result<Round> {
    let own = OwnBroker {
        program: &args.server_bin,
        port: args.port,
        shards: args.shards,
        steering: None,
        wire,
    };
    let (mut child, broker) = own.start(folder).await?;
    let fanout = FanoutArgs {
        broker,
        readers: args.readers.clone(),
        rate: args.rate,
        seconds: args.seconds,
        content: args.content.clone(),
    };
    let mut aside = Report::new("fanout", args);
    let part = fanout::measure(&fanout, &mut aside).await;
    child.kill().await.context("can't stop the broker")?;
    let part = part?;
    part.fail(report, prefix);
    for failure in &aside.failures {
        report.fail(format!("{prefix}{failure}"));
    }
    report.distribution(
        prefix.replace([' ', ':', ','], "_") + "delivery_us",
        format!("{prefix}publish to delivery"),
        &part.tally.delivery,
    );
    let figure = |key: &str| {
        let found = aside.figures.iter().find(|figure| figure.key == key);
        found
            .map(|figure| figure.value)
            .with_context(|| format!("no {key} was measured"))
    };
    Ok(Round {
        cpu_us: part.cpu_per_delivery_us().context("no CPU was measured")?,
        memory_bytes: figure("rss_per_reader_bytes")?,
        connects_per_second: figure("connects_per_second")?,
        last_reader_ms: as_f64(part.last_reader().percentile(50.0)) / 1e3,
    })
}
