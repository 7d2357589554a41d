//! `slow`: readers who stop reading, beside healthy ones. The healthy ones must not notice; the stalled ones must be
//! brought to the head, without a hole, once they read again.
//!
//! Rounds alternate: healthy readers alone, then the same beside stalled ones whose sockets were filled before, so that
//! nothing of what is measured goes into the kernel's buffers of those who do not read.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::args::{self, Broker, Content};
use crate::proc::{self, Usage};
use crate::reader::{Begin, Order};
use crate::report::{Report, as_f64};
use crate::scenario::{Part, Readers, Scenario, Transport};
use crate::text::{Sizes, Writer};

/// Receive buffer of a stalled reader, in bytes: it is full after a few changes.
const STALLED_BUFFER_BYTES: u32 = 4_096;
/// Size of the entries that fill sockets, in bytes, and how many are published at once.
const FILL_BYTES: usize = 16 * 1024;
const FILL_ENTRIES: u64 = 4;
/// How often it is published to fill them, before it is given up.
const FILLS_MAX: u32 = 64;
/// How often where the server is elsewhere, so that its send queues can't be read: 1.5 MiB for each reader.
const FILLS_UNSEEN: u32 = 24;

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
    /// Rounds, each without and with stalled readers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Entries a second, over all topics
    #[arg(long, default_value_t = 20.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing in each half of a round. The stalled answer no ping meanwhile, nor while their sockets are
    /// filled: all of it is to be less than a server waits for a pong (10 s), or it closes some of them
    #[arg(long, default_value = "5", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

/// What one round found.
struct Round {
    without: Part,
    with: Part,
    /// What the stalled got when they read again.
    thawed: Part,
    memory: Option<Memory>,
    /// Zero-window probes of the kernel in the stretch beside the stalled.
    probes: u64,
}

/// What stalled readers keep of the machine, in bytes for each of them.
struct Memory {
    /// Growth of the server's resident memory, from before they came until the end of the stretch.
    server: f64,
    /// What the kernel holds for them, without its own records.
    kernel: f64,
    /// What it took of that during the stretch; nothing where the sockets were full before.
    taken_meanwhile: f64,
    /// Growth of all the machine's TCP buffers, with the kernel's records.
    tcp: f64,
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
    let healthy = u64::from(args.readers.readers);
    let all = Readers {
        readers: args.readers.readers.saturating_add(args.stalled),
        ..args.readers.clone()
    };
    let mut scenario = Scenario::open(&args.broker, &args.content, &all).await?;
    scenario.connect(0, healthy, Begin::Head, healthy).await?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        rounds.push(round(args, &mut scenario).await?);
    }
    summarise(args, rounds, &mut report);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

async fn round(args: &SlowArgs, scenario: &mut Scenario) -> Result<Round> {
    let (healthy, stalled) = (u64::from(args.readers.readers), u64::from(args.stalled));
    let (from, to) = (healthy, healthy + stalled);
    let without = scenario.publish(args.rate, args.seconds).await?;
    let before = scenario.usage()?;
    let connect = Order::Connect {
        from,
        to,
        begin: Begin::Head,
        receive_buffer: Some(STALLED_BUFFER_BYTES),
    };
    scenario.crew.order(&connect).await?;
    scenario.wait_live(to).await?;
    scenario.crew.order(&Order::Freeze { from, to }).await?;
    let filling = fill(args, scenario).await?;
    let port = scenario.publisher.port();
    let full = proc::untaken_bytes(port);
    let probes = proc::window_probes();
    let with = scenario.publish(args.rate, args.seconds).await?;
    let probes = proc::window_probes().saturating_sub(probes);
    let after = scenario.usage()?;
    let memory = before
        .zip(after)
        .map(|(before, after)| Memory::of(&before, &after, full, port, stalled));
    scenario.crew.order(&Order::Thaw { from, to }).await?;
    let mut thawed = scenario
        .gather(
            Default::default(),
            scenario.usage()?,
            crate::clock::now_micros(),
        )
        .await?;
    thawed.tally.violations.merge(&filling.tally.violations);
    scenario.crew.order(&Order::Leave { from, to }).await?;
    Ok(Round {
        without,
        with,
        thawed,
        memory,
        probes,
    })
}

/// Publishes until the sockets of the stalled readers take no more; the healthy are at the head afterwards.
async fn fill(args: &SlowArgs, scenario: &mut Scenario) -> Result<Part> {
    let writer = Writer::new(args.content.seed, Sizes::Fixed(FILL_BYTES));
    let usual = scenario.publisher.write_with(writer);
    let port = scenario.publisher.port();
    let seen = scenario.process.is_some();
    let entries = FILL_ENTRIES * u64::from(args.readers.topics);
    // A socket that takes no more may still move the last bytes of a segment.
    let full_below = u64::from(args.stalled) * FILL_BYTES as u64 / 64;
    let (mut held, mut all) = (proc::untaken_bytes(port), None::<Part>);
    for turn in 1..=FILLS_MAX {
        let (usage, start_us) = (scenario.usage()?, crate::clock::now_micros());
        let stretch = scenario.publisher.burst(entries).await?;
        let part = scenario.gather(stretch, usage, start_us).await?;
        match &mut all {
            Some(all) => all.merge(part),
            None => all = Some(part),
        }
        let now = proc::untaken_bytes(port);
        let full = if seen {
            now > 0 && now.saturating_sub(held) < full_below
        } else {
            turn == FILLS_UNSEEN
        };
        held = now;
        if full && let Some(all) = all.take() {
            scenario.publisher.write_with(usual);
            return Ok(all);
        }
    }
    bail!(
        "the sockets of the stalled readers took {FILLS_MAX} times {FILL_ENTRIES} entries of {FILL_BYTES} bytes, and \
         take more"
    )
}

impl Memory {
    fn of(before: &Usage, after: &Usage, full: u64, port: u16, stalled: u64) -> Self {
        let held = proc::untaken_bytes(port);
        let each = |bytes: u64| as_f64(bytes) / as_f64(stalled.max(1));
        Self {
            server: each(after.rss_bytes.saturating_sub(before.rss_bytes)),
            kernel: each(held),
            taken_meanwhile: each(held.saturating_sub(full)),
            tcp: each(after.tcp_bytes.saturating_sub(before.tcp_bytes)),
        }
    }
}

fn summarise(args: &SlowArgs, rounds: Vec<Round>, report: &mut Report) {
    let (readers, topics) = (
        u64::from(args.readers.readers),
        u64::from(args.readers.topics),
    );
    report.count("healthy", "healthy readers", readers);
    report.count("stalled", "stalled readers", u64::from(args.stalled));
    let p99 = |part: &Part| as_f64(part.tally.delivery.percentile(99.0)) / 1e3;
    let all = |value: &dyn Fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
    let without = all(&|round| p99(&round.without));
    let with = all(&|round| p99(&round.with));
    let ratio = all(&|round| p99(&round.with) / p99(&round.without).max(0.001));
    report.spread("p99_without_ms", "p99 without stalled", without, "ms");
    report.spread("p99_with_ms", "p99 beside stalled", with, "ms");
    report.spread("p99_ratio", "p99 beside over without", ratio, "×");
    let probes = all(&|round| as_f64(round.probes));
    report.spread("window_probes", "zero-window probes", probes, "");
    let memory = |value: fn(&Memory) -> f64| -> Vec<f64> {
        let found = rounds.iter().filter_map(|round| round.memory.as_ref());
        found.map(value).collect()
    };
    for (key, label, value) in [
        (
            "rss_per_stalled_bytes",
            "server memory of a stalled reader",
            (|one| one.server) as fn(&Memory) -> f64,
        ),
        (
            "kernel_per_stalled_bytes",
            "held by the kernel for a stalled reader",
            |one| one.kernel,
        ),
        (
            "taken_meanwhile_bytes",
            "  of it taken while it was measured",
            |one| one.taken_meanwhile,
        ),
        (
            "tcp_per_stalled_bytes",
            "TCP buffers of a stalled reader",
            |one| one.tcp,
        ),
    ] {
        report.spread(key, label, memory(value), "B");
    }
    let caught_up = rounds.iter().map(|round| round.thawed.tally.deliveries);
    let caught_up = caught_up.sum();
    let (mut without, mut with) = (None::<Part>, None::<Part>);
    for round in rounds {
        round.thawed.fail(report, "after the stall: ");
        for (all, part) in [(&mut without, round.without), (&mut with, round.with)] {
            match all {
                Some(all) => all.merge(part),
                None => *all = Some(part),
            }
        }
    }
    for (prefix, part) in [("without: ", without), ("with stalled: ", with)] {
        if let Some(part) = part {
            part.report(report, prefix);
            part.expect_all(report, readers, topics);
        }
    }
    let label = "changes that the stalled had to catch up";
    report.count("caught_up", label, caught_up);
}
