//! `crash`: a broker with all its readers is killed and started again, and all come back with their cursors: politely,
//! each at a random moment of a window, or rudely, all at once. Was anything lost, how long did it take, and could
//! publishers work meanwhile?

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::args::{self, Content};
use crate::clock::now_micros;
use crate::crew::Crew;
use crate::own_broker::{OwnBroker, Privacy};
use crate::proc::{Process, peak_bytes};
use crate::reader::{Begin, Order};
use crate::report::{Report, as_f64};
use crate::scenario::{Readers, Scenario};

/// How often polite readers that are due are told to connect.
const TURN: Duration = Duration::from_millis(20);

/// `loadtest crash`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct CrashArgs {
    /// Program of the broker, which is started on a folder of its own
    #[arg(long, default_value = "target/release/tenbells", value_name = "FILE")]
    server_bin: PathBuf,
    /// Its port; the next one is its admin listener's
    #[arg(long, default_value_t = 17_810)]
    port: u16,
    /// Its shards
    #[arg(long, default_value_t = 1)]
    shards: u32,
    #[command(flatten)]
    readers: Readers,
    /// Seconds over which readers come back; 0 is rude: all at once
    #[arg(long, default_value = "0", value_parser = seconds_or_none)]
    window: Duration,
    /// Entries that were published before the crash
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    before: u32,
    /// Entries a second while readers come back
    #[arg(long, default_value_t = 10.0, value_parser = args::rate)]
    rate: f64,
    /// Seconds of publishing behind the restart
    #[arg(long, default_value = "20", value_parser = args::seconds)]
    seconds: Duration,
    #[command(flatten)]
    content: Content,
}

fn seconds_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    args::seconds(text)
}

/// Runs it.
///
/// # Errors
/// When the run could not be done; what readers found wrong is in the report.
pub async fn run(args: &CrashArgs) -> Result<Report> {
    let folder = std::env::temp_dir().join(format!("loadtest-crash-{}", std::process::id()));
    let report = measured(args, &folder).await;
    // What is left in the temporary folder does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    report
}

async fn measured(args: &CrashArgs, folder: &Path) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report::new("crash", args).over(args.readers.transport.name());
    let (readers, topics) = (
        u64::from(args.readers.readers),
        u64::from(args.readers.topics),
    );
    let own = OwnBroker {
        program: &args.server_bin,
        port: args.port,
        shards: args.shards,
        steering: None,
        wire: Privacy::Plain,
    };
    let (mut child, broker) = own.start(folder).await?;
    let mut scenario = Scenario::open(&broker, &args.content, &args.readers).await?;
    scenario.connect(0, readers, Begin::Head, readers).await?;
    let before = u64::from(args.before) * topics;
    let stretch = scenario.publisher.burst(before).await?;
    let usage = scenario.usage()?;
    let arrived = scenario.gather(stretch, usage, now_micros()).await?;
    let all = Order::Leave {
        from: 0,
        to: readers,
    };
    let killed_us = now_micros();
    child.kill().await.context("can't kill the broker")?;
    scenario.crew.order(&all).await?;
    // That the connections were lost is what was wanted.
    let mut lost = scenario.crew.tell().await?.violations;
    lost.closed = 0;
    lost.examples.clear();
    let key = broker.key.clone().context("a key")?;
    let (mut child, broker) = own.start_again(folder, key).await?;
    let started_us = now_micros();
    let pid = broker.server_pid.context("the broker's process")?;
    scenario.process = Some(Process::open(pid)?);
    let usage = scenario.usage()?;
    let heads = scenario.publisher.heads();
    scenario.crew.order(&Order::Target(heads)).await?;
    let Scenario {
        crew, publisher, ..
    } = &mut scenario;
    let (stretch, back_us) = tokio::join!(
        publisher.pace(args.rate, args.seconds),
        come_back(crew, args, readers)
    );
    let (stretch, back_us) = (stretch?, back_us?);
    let mut part = scenario.gather(stretch, usage, started_us).await?;
    for earlier in [&arrived.tally.violations, &lost] {
        part.tally.violations.merge(earlier);
    }
    part.forget_ages();
    let peak = peak_bytes(pid)?;
    child.kill().await.context("can't stop the broker")?;
    let took = Took {
        killed_us,
        started_us,
        back_us,
    };
    report.count("readers", "readers", readers);
    figures(&mut report, args, &took, peak);
    report.distribution("reconnect_us", "connect to subscribed", &part.tally.connect);
    part.report(&mut report, "");
    part.expect_all(&mut report, readers, topics);
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// When what happened.
struct Took {
    killed_us: u64,
    started_us: u64,
    back_us: u64,
}

fn figures(report: &mut Report, args: &CrashArgs, took: &Took, peak: u64) {
    let seconds = |from: u64, to: u64| as_f64(to.saturating_sub(from)) / 1e6;
    let window = args.window.as_secs_f64();
    report.figure("window_s", "readers come back within", window, "s");
    report.figure(
        "restart_s",
        "kill to first answer",
        seconds(took.killed_us, took.started_us),
        "s",
    );
    report.figure(
        "all_at_head_s",
        "first answer to all at the head",
        seconds(took.started_us, took.back_us),
        "s",
    );
    report.figure(
        "peak_mib",
        "most memory of the broker",
        as_f64(peak) / 1_048_576.0,
        "MiB",
    );
}

/// Has all readers come back; when the last of them was where it had been.
async fn come_back(crew: &mut Crew, args: &CrashArgs, readers: u64) -> Result<u64> {
    let begun = Instant::now();
    let mut asked = 0;
    while asked < readers {
        let due = if args.window.is_zero() {
            readers
        } else {
            let share = (begun.elapsed().as_secs_f64() / args.window.as_secs_f64()).min(1.0);
            portion(readers, share)
        };
        if due > asked {
            let order = Order::Connect {
                from: asked,
                to: due,
                begin: Begin::Cursor,
                receive_buffer: None,
            };
            crew.order(&order).await?;
            asked = due;
        }
        if asked < readers {
            tokio::time::sleep(TURN).await;
        }
    }
    let all = |pulse: &crate::reader::Pulse| pulse.live >= readers && pulse.behind == 0;
    if !crew.until(args.readers.patience, all).await? {
        let pulse = crew.pulse();
        bail!(
            "{} of {readers} readers are back, {} of them behind",
            pulse.live,
            pulse.behind
        );
    }
    Ok(now_micros())
}

/// That share of the readers, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share from 0 to 1 of a number far below 2^53"
)]
fn portion(readers: u64, share: f64) -> u64 {
    ((as_f64(readers) * share).ceil() as u64).clamp(1, readers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_readers_is_at_least_one_and_at_most_all() {
        assert_eq!(portion(10, 0.0), 1);
        assert_eq!(portion(10, 0.25), 3);
        assert_eq!(portion(10, 1.0), 10);
    }
}
