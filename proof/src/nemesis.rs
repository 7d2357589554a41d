//! A cluster under a nemesis: three brokers on three NATS servers, publishers and readers that keep a history, and one fault
//! a round. What they saw is judged by the same rules as everything else.
//!
//! It runs in a network namespace of its own, each process under a user of its own: a partition is a rule of the packet
//! filter for the connections of one user to another's ports. Without that, the rounds with partitions are left out.

mod callers;
mod field;
mod member;
mod strikes;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use self::callers::{Recorder, publish_until, read_until};
use self::field::Field;
use self::strikes::Strike;
use crate::history::{self, What};
use crate::judge::{Options, judge};

/// Set in the process that runs in the namespace.
const INSIDE: &str = "PROOF_CLUSTER_INSIDE";
/// How long after an acknowledgement a live reader may still take what was sent before it.
const GRACE: Duration = Duration::from_millis(250);
/// How long after the last fault everything has to be well.
const CALM: Duration = Duration::from_secs(60);
/// Between two rounds.
const REST: Duration = Duration::from_millis(600);

/// A run.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Rounds, each with one fault
    #[arg(long, default_value_t = 12)]
    rounds: u32,
    /// Which faults come when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The broker's program; without it, the one beside this program
    #[arg(long)]
    program: Option<OsString>,
    /// The NATS server's program
    #[arg(long, default_value = "target/tools/nats-server")]
    nats_server: PathBuf,
    /// Where a history that breaks a rule is left
    #[arg(long)]
    history: Option<PathBuf>,
}

/// How a run ended.
pub enum Ended {
    /// All promises were kept. Says what was done.
    Kept(String),
    /// It could not be done here, and why.
    Skipped(String),
}

/// Runs it.
///
/// # Errors
/// When a promise was broken, or the run could not be carried through.
pub fn run(args: &ClusterArgs) -> Result<Ended> {
    if !args.nats_server.is_file() {
        let missing = format!("there is no {}", args.nats_server.display());
        return Ok(Ended::Skipped(missing));
    }
    if std::env::var_os(INSIDE).is_none() {
        return again_inside();
    }
    let beside = std::env::current_exe()?.with_file_name("tenbells");
    let program = args.program.clone().unwrap_or_else(|| beside.into());
    ensure!(
        PathBuf::from(&program).is_file(),
        "there is no {}: build the broker first, or name its --program",
        program.display()
    );
    let program = vec![program];
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(rounds(args, program))
}

async fn rounds(args: &ClusterArgs, program: Vec<OsString>) -> Result<Ended> {
    let mut field = Field::start(&args.nats_server, program).await?;
    let recorder = Recorder::new();
    let (stop, bases) = (Arc::new(AtomicBool::new(false)), field.bases());
    let mut publishing = Vec::new();
    let mut reading = Vec::new();
    for index in 0..bases.len() {
        let caller = field.caller(&recorder, index);
        publishing.push(tokio::spawn(publish_until(
            caller.clone(),
            Arc::clone(&stop),
        )));
        reading.push(tokio::spawn(read_until(caller, format!("r{index}"))));
    }
    let mut random = fastrand::Rng::with_seed(args.seed);
    let mut done = Vec::new();
    for round in 0..args.rounds {
        let strike = Strike::of_round(round, &mut random, field.partitions());
        recorder.fault(&format!("round {round}: {strike:?}"));
        if let Err(error) = field.strike(strike).await {
            bail!("round {round}, {strike:?}: {error:#}\n{}", field.said());
        }
        recorder.fault("healed");
        done.push(strike.name());
        tokio::time::sleep(REST).await;
        field.check_all_run()?;
    }
    field.until_healthy(CALM).await?;
    recorder.say("", What::Calm);
    stop.store(true, Ordering::Release);
    for publisher in publishing {
        publisher.await??;
    }
    let last = field.caller(&recorder, 0).last_word().await?;
    for reader in reading {
        reader.abort();
        // It is cut off between two pages: what it has recorded is whole.
        let _ = reader.await;
    }
    for index in 0..bases.len() {
        let caller = field.caller(&recorder, index);
        caller.finish(&format!("r{index}"), &last).await?;
        // One that comes late, and reads everything.
        caller.finish(&format!("late{index}"), &last).await?;
    }
    let events = recorder.events();
    let options = Options {
        calm_us: u64::try_from(CALM.as_micros())?,
        grace_us: u64::try_from(GRACE.as_micros())?,
    };
    let verdict = judge(&events, options);
    if verdict.is_clean() {
        done.sort_unstable();
        done.dedup();
        return Ok(Ended::Kept(format!(
            "{} rounds ({}): {verdict}",
            args.rounds,
            done.join(", ")
        )));
    }
    let path = args.history.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("proof-cluster-{}.jsonl", std::process::id()))
    });
    history::write(&events, &mut std::fs::File::create(&path)?)?;
    bail!(
        "{verdict}\nthe history is in {}\n{}",
        path.display(),
        field.said()
    )
}

/// Runs this program once more, in a network namespace in which only the loopback is.
fn again_inside() -> Result<Ended> {
    let probe = Command::new("unshare").args(["-n", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return Ok(Ended::Skipped(
            "no network namespace can be made here".into(),
        ));
    }
    let own = std::env::current_exe()?;
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complained = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{said}\n{complained}");
    Ok(Ended::Kept(said))
}
