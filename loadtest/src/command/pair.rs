//! `pair`: the same fan-out in two ways (plain and compressed, in the clear and sealed, two transports), in alternating
//! rounds of one run, each on a broker of its own: what the one costs over the other.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::fanout::{self, FanoutArgs};
use crate::args::{self, Content};
use crate::own_broker::{OwnBroker, Privacy};
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Transport};

/// `loadtest pair`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct PairArgs {
    /// Program of the broker; every round starts one of its own, on a fresh folder
    #[arg(long, value_name = "PATH")]
    server_bin: PathBuf,
    /// Port of the broker; the next one is its admin listener's
    #[arg(long, default_value_t = 7590, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port: u16,
    /// What the second is measured over
    #[arg(long, value_enum, default_value_t = Way::Plain)]
    first: Way,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Way::Tls)]
    second: Way,
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

/// A way for changes to reach their readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    /// WebSocket
    Plain,
    /// WebSocket with permessage-deflate
    Deflate,
    /// WebSocket inside TLS
    Tls,
    /// Event stream
    Sse,
    /// Long poll
    Poll,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Deflate => "deflate",
            Self::Tls => "tls",
            Self::Sse => "sse",
            Self::Poll => "poll",
        }
    }

    fn transport(self) -> Transport {
        match self {
            Self::Plain | Self::Tls => Transport::Ws,
            Self::Deflate => Transport::Deflate,
            Self::Sse => Transport::Sse,
            Self::Poll => Transport::Poll,
        }
    }

    fn privacy(self) -> Privacy {
        if self == Self::Tls {
            Privacy::Tls
        } else {
            Privacy::Plain
        }
    }
}

/// What one round came to.
#[derive(Debug, Clone, Copy)]
struct Round {
    cpu_us: f64,
    delivery_bytes: f64,
    memory_bytes: f64,
    connects_per_second: f64,
    last_reader_ms: f64,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &PairArgs) -> Result<Report> {
    let start = Instant::now();
    if args.first == args.second {
        bail!("--first and --second are the same way");
    }
    let mut report = Report::new("pair", args);
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let first = one(args, args.first, round, &mut report).await?;
        let second = one(args, args.second, round, &mut report).await?;
        rounds.push((first, second));
    }
    spreads(args, &rounds, &mut report);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Key, label, value and unit of a figure.
type RoundFigure = (&'static str, &'static str, fn(&Round) -> f64, &'static str);

fn spreads(args: &PairArgs, rounds: &[(Round, Round)], report: &mut Report) {
    let figures: [RoundFigure; 5] = [
        (
            "cpu_per_delivery_us",
            "server CPU of a delivery",
            |round| round.cpu_us,
            "µs",
        ),
        (
            "bytes_per_delivery",
            "bytes of a delivery",
            |round| round.delivery_bytes,
            "B",
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
    let (first, second) = (args.first.name(), args.second.name());
    for (key, label, value, unit) in figures {
        let of = |pick: fn(&(Round, Round)) -> &Round| {
            rounds.iter().map(|pair| value(pick(pair))).collect()
        };
        let values = [(first, of(|pair| &pair.0)), (second, of(|pair| &pair.1))];
        for (name, values) in values {
            report.spread(
                &format!("{name}_{key}"),
                &format!("{name}: {label}"),
                values,
                unit,
            );
        }
        let ratios = rounds
            .iter()
            .filter(|pair| value(&pair.0) > 0.0)
            .map(|pair| value(&pair.1) / value(&pair.0))
            .collect();
        report.spread(
            &format!("ratio_{key}"),
            &format!("{second} over {first}: {label}"),
            ratios,
            "×",
        );
    }
}

async fn one(args: &PairArgs, way: Way, round: u32, report: &mut Report) -> Result<Round> {
    let name = way.name();
    let folder =
        std::env::temp_dir().join(format!("loadtest-{}-{round}-{name}", std::process::id()));
    let outcome = measured(
        args,
        way,
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
    args: &PairArgs,
    way: Way,
    folder: &std::path::Path,
    prefix: &str,
    report: &mut Report,
) -> Result<Round> {
    let own = OwnBroker {
        program: &args.server_bin,
        port: args.port,
        shards: args.shards,
        steering: None,
        wire: way.privacy(),
    };
    let (mut child, broker) = own.start(folder).await?;
    let fanout = FanoutArgs {
        broker,
        readers: Readers {
            transport: way.transport(),
            ..args.readers.clone()
        },
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
        delivery_bytes: part.bytes_per_delivery(),
        cpu_us: part.cpu_per_delivery_us().context("no CPU was measured")?,
        memory_bytes: figure("rss_per_reader_bytes")?,
        connects_per_second: figure("connects_per_second")?,
        last_reader_ms: as_f64(part.last_reader().percentile(50.0)) / 1e3,
    })
}
