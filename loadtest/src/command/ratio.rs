//! `ratio`: what a broker costs over the bare send loop, in alternating rounds of one run: the number that the
//! engine is judged by, because it does not depend on the machine's mood.

mod turns;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use self::turns::Turns;
use super::bare::{self, BareArgs};
use crate::args::{self, Content};
use crate::cores::Steering;
use crate::own_broker::{OwnBroker, Privacy};
use crate::report::{Report, as_f64};
use crate::scenario::{Part, Readers};

/// `loadtest ratio`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct RatioArgs {
    /// Program of the broker; every round starts one of its own, on a fresh folder
    #[arg(long, value_name = "PATH")]
    server_bin: PathBuf,
    /// Port of the broker; the next one is its admin listener's
    #[arg(long, default_value_t = 7590, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port: u16,
    /// Rounds of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Threads of the bare sender, and shards of the broker
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    sender_threads: u32,
    /// Entries a second
    #[arg(long, default_value_t = 10.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing in each round: to readers, as long to nobody, and as long by the bare sender
    #[arg(long, default_value = "10", value_parser = args::seconds)]
    seconds: Duration,
    /// Core for the receiving half and the readers; broker and bare sender get the others. Takes root and taskset
    #[arg(long, value_name = "CORE")]
    receive_core: Option<u32>,
    #[command(flatten)]
    readers: Readers,
    #[command(flatten)]
    content: Content,
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &RatioArgs) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("ratio", args);
    let steering = args.receive_core.map(Steering::to).transpose()?;
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let broker = broker_round(args, steering.as_ref(), round).await?;
        let bare = bare::measure(&bare_args(args, &broker.part)?, steering.as_ref()).await?;
        rounds.push(Round::of(&broker, &bare)?);
        for (name, part) in [("broker", &broker.part), ("bare", &bare)] {
            part.fail(&mut report, &format!("round {round}, {name}: "));
            report.distribution(
                format!("{name}_delivery_us_{round}"),
                format!("round {round}: {name}"),
                &part.tally.delivery,
            );
            report.distribution(
                format!("{name}_last_reader_us_{round}"),
                format!("round {round}: {name}, last reader"),
                &part.last_reader(),
            );
        }
    }
    Round::report(&rounds, &mut report);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Key, label, value and unit of a figure of a round.
type RoundFigure = (&'static str, &'static str, fn(&Round) -> f64, &'static str);

/// What a round of both came to.
struct Round {
    broker_us: f64,
    /// CPU of one publish that nobody reads, in microseconds.
    publish_us: f64,
    /// CPU of a delivery without that of the publishes.
    net_us: f64,
    bare_us: f64,
    /// Median time from the moment at which a message was due to its last reader, in milliseconds.
    broker_last_ms: f64,
    bare_last_ms: f64,
}

impl Round {
    fn of(broker: &Turns, bare: &Part) -> Result<Self> {
        let (Some(broker_us), Some(net_us), Some(bare_us)) = (
            broker.part.cpu_per_delivery_us(),
            broker.net_per_delivery_us(),
            bare.cpu_per_delivery_us(),
        ) else {
            bail!("no CPU was measured");
        };
        let last_ms = |part: &Part| as_f64(part.last_reader().percentile(50.0)) / 1e3;
        let bare_last_ms = last_ms(bare);
        if bare_us <= 0.0 || bare_last_ms <= 0.0 {
            bail!(
                "the bare loop used less CPU than a clock tick: ask for more readers, seconds or rate"
            );
        }
        Ok(Self {
            broker_us,
            publish_us: broker.publish_us,
            net_us,
            bare_us,
            broker_last_ms: last_ms(&broker.part),
            bare_last_ms,
        })
    }

    fn report(rounds: &[Self], report: &mut Report) {
        let figures: [RoundFigure; 9] = [
            (
                "broker_cpu_per_delivery_us",
                "broker CPU of a delivery",
                |round| round.broker_us,
                "µs",
            ),
            (
                "publish_cpu_us",
                "broker CPU of a publish that nobody reads",
                |round| round.publish_us,
                "µs",
            ),
            (
                "broker_net_cpu_per_delivery_us",
                "broker CPU of a delivery, without the publishes",
                |round| round.net_us,
                "µs",
            ),
            (
                "bare_cpu_per_delivery_us",
                "bare CPU of a delivery",
                |round| round.bare_us,
                "µs",
            ),
            (
                "ratio",
                "broker over bare",
                |round| round.broker_us / round.bare_us,
                "×",
            ),
            (
                "ratio_net",
                "broker over bare, without the publishes",
                |round| round.net_us / round.bare_us,
                "×",
            ),
            (
                "broker_last_reader_ms",
                "broker, due to last reader",
                |round| round.broker_last_ms,
                "ms",
            ),
            (
                "bare_last_reader_ms",
                "bare, due to last reader",
                |round| round.bare_last_ms,
                "ms",
            ),
            (
                "last_reader_ratio",
                "broker over bare, to last reader",
                |round| round.broker_last_ms / round.bare_last_ms,
                "×",
            ),
        ];
        for (key, label, value, unit) in figures {
            report.spread(key, label, rounds.iter().map(value).collect(), unit);
        }
    }
}

async fn broker_round(args: &RatioArgs, steering: Option<&Steering>, round: u32) -> Result<Turns> {
    let folder = std::env::temp_dir().join(format!("loadtest-{}-{round}", std::process::id()));
    let outcome = async {
        let own = OwnBroker {
            program: &args.server_bin,
            port: args.port,
            shards: args.sender_threads,
            steering,
            wire: Privacy::Plain,
        };
        let (mut child, broker) = own.start(&folder).await?;
        let mut aside = Report::new("ratio", args);
        let pace = (args.rate, args.seconds);
        let turns = turns::take(&broker, &args.readers, &args.content, pace, &mut aside).await;
        child.kill().await.context("can't stop the broker")?;
        let mut turns = turns?;
        turns.part.stretch.refused.extend(aside.failures);
        Ok(turns)
    }
    .await;
    // What is left in the temporary folder does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn bare_args(args: &RatioArgs, broker: &Part) -> Result<BareArgs> {
    let messages = u32::try_from(broker.stretch.acknowledged)?;
    // As many bytes as the broker sent on the same number of sockets.
    let size = u32::try_from(broker.tally.bytes / broker.tally.deliveries.max(1))?;
    Ok(BareArgs {
        readers: args.readers.readers,
        size: size.max(130),
        messages: messages.max(1),
        rate: args.rate,
        threads: args.sender_threads,
        reader_threads: args.readers.threads,
        patience: args.readers.patience,
        receive_core: args.receive_core,
    })
}
