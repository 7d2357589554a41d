//! Faults on real processes and real files: each scenario injects one kind, keeps a history, and has it judged.
//!
//! The broker is the program `tenbells`, in a process of its own on a fresh folder; where none is named, it is this
//! very program, which has the whole of it built in. What a scenario needs of the machine (strace, namespaces) it asks
//! for first, and says that it was skipped where that is missing.

mod calm;
mod client;
mod damage;
mod disk;
mod half_open;
mod idempotency;
mod kill;
mod overload;
mod process;
mod slowloris;
mod timing;

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::history::{self, Event};
use crate::judge::{Options, judge};
use client::Client;
use process::{Process, Program, make_key};

/// How long after an acknowledgement a live reader may still find what the kernel held of it.
const GRACE: Duration = Duration::from_millis(250);

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// kill -9 at the Nth write or sync, for N from 1 to --points
    Kill,
    /// A sync that fails with EIO
    Eio,
    /// A disk that is full, and has room again
    Full,
    /// No descriptors left for readers
    Descriptors,
    /// SIGSTOP for a while (--seconds)
    Stop,
    /// Packets of readers that vanish without a word
    HalfOpen,
    /// Every cut and every flipped bit of a small data folder (every --step of them)
    Damage,
    /// Whether what is hidden takes as long as what is not there; a measurement, to be run alone
    Timing,
    /// Publishes that race with themselves, a fifth of them across a crash (--publishes)
    Idempotency,
    /// Sockets that say a byte a second and never enough (--sockets)
    Slowloris,
}

/// How large.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Points of `kill`.
    pub points: u32,
    /// Every how many of them; of `damage`, every how many cuts and bits.
    pub step: u32,
    /// Seconds of `stop`.
    pub seconds: u64,
    /// Entries of `idempotency`.
    pub publishes: u32,
    /// Sockets of `slowloris`.
    pub sockets: u32,
}

/// How a scenario ended.
pub enum Outcome {
    /// All promises were kept. Says what was done.
    Kept(String),
    /// It could not be done here, and why.
    Skipped(String),
}

/// Runs a scenario. `program` is the broker's program with its first arguments.
///
/// # Errors
/// When a promise was broken, or the scenario could not be carried through.
pub fn run(scenario: Scenario, program: &[OsString], extent: Extent) -> Result<Outcome> {
    let program = Program::new(program);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match scenario {
            Scenario::Kill => kill::at_every_call(&program, extent).await,
            Scenario::Eio => disk::sync_fails(&program).await,
            Scenario::Full => disk::full(&program).await,
            Scenario::Descriptors => overload::descriptors(&program).await,
            Scenario::Stop => calm::stopped(&program, Duration::from_secs(extent.seconds)).await,
            Scenario::HalfOpen => half_open::run(&program).await,
            Scenario::Timing => timing::run(&program).await,
            Scenario::Damage => damage::run(extent.step).await,
            Scenario::Idempotency => idempotency::run(&program, extent.publishes).await,
            Scenario::Slowloris => slowloris::run(&program, extent.sockets as usize).await,
        }
    })
}

/// Judges what a scenario recorded; a broken one is left in a file.
fn judged(name: &str, events: &[Event]) -> Result<String> {
    let options = Options {
        grace_us: u64::try_from(GRACE.as_micros()).unwrap_or(u64::MAX),
        ..Options::default()
    };
    let verdict = judge(events, options);
    if verdict.is_clean() {
        return Ok(verdict.to_string());
    }
    let path = std::env::temp_dir().join(format!("proof-{name}-{}.jsonl", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    history::write(events, &mut file)?;
    file.flush()?;
    bail!("{name}: {verdict}\nthe history is in {}", path.display())
}

/// Whether a command is there.
fn has(command: &str) -> bool {
    let found = std::process::Command::new("sh")
        .args(["-c", &format!("command -v {command}")])
        .stdout(std::process::Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// A broker on a fresh folder, which lasts as long as what is given beside it, and one entry in its topic `t`.
async fn with_an_entry(
    program: &Program,
    wrapper: &[&str],
) -> Result<(tempfile::TempDir, Process, Client)> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("data");
    std::fs::create_dir(&folder)?;
    let key = make_key(&folder)?;
    let process = program.start(&folder, wrapper).await?;
    let client = Client::new(&process.base, &key);
    let first = client.record.number();
    client.insist("t", first).await?;
    Ok((root, process, client))
}
