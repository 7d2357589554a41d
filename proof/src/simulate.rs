//! `proof simulate`: many seeds on all cores, with a count of what happened; or one seed, with its history.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use proof::history;
use proof::sim::{self, Mutant, Run};

/// Failing seeds until the run gives up.
const FAILURES_MAX: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone: prints what the judge says
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Where to write the history of `--seed`
    #[arg(long, requires = "seed")]
    history: Option<PathBuf>,
    /// Threads; as many as there are cores where it isn't said
    #[arg(long)]
    jobs: Option<usize>,
    /// Breaks the store or the broker's surroundings: the seeds have to show it
    #[arg(long, value_enum, default_value = "none")]
    mutant: Mutant,
}

#[derive(Default)]
struct Tally {
    runs: u64,
    counted: BTreeMap<String, u64>,
    failed: Vec<Run>,
}

/// Whether every seed was clean.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    if let Some(seed) = args.seed {
        return one(args, seed);
    }
    let began = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(args.from);
    let end = args.from.saturating_add(args.seeds);
    let tally = Mutex::<Tally>::default();
    std::thread::scope(|threads| {
        for _ in 0..args.jobs.unwrap_or(cores).max(1) {
            threads.spawn(|| work(args.mutant, &next, end, &tally));
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut out = stdout().lock();
    for run in &tally.failed {
        writeln!(
            out,
            "seed {} of commit {}:\n{}\n",
            run.seed,
            commit(),
            run.verdict
        )?;
    }
    writeln!(
        out,
        "{} seeds in {:.1} s, {} failed",
        tally.runs,
        began.elapsed().as_secs_f64(),
        tally.failed.len()
    )?;
    for (what, count) in &tally.counted {
        writeln!(out, "  {count:>12} {what}")?;
    }
    if let Some(run) = tally.failed.first() {
        writeln!(
            out,
            "again: cargo run --release -p proof -- simulate --seed {}",
            run.seed
        )?;
    }
    Ok(tally.failed.is_empty())
}

fn work(mutant: Mutant, next: &AtomicU64, end: u64, tally: &Mutex<Tally>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let run = sim::run(seed, mutant);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.runs += 1;
        for (what, count) in &run.verdict.counted {
            *tally.counted.entry((*what).to_owned()).or_default() += count;
        }
        for (what, count) in &run.faults {
            *tally.counted.entry(format!("faults: {what}")).or_default() += count;
        }
        if !run.verdict.is_clean() {
            tally.failed.push(run);
            if tally.failed.len() >= FAILURES_MAX {
                next.store(end, Ordering::Relaxed);
            }
        }
    }
}

fn one(args: &Args, seed: u64) -> anyhow::Result<bool> {
    let run = sim::run(seed, args.mutant);
    let mut out = stdout().lock();
    writeln!(out, "seed {seed} of commit {}:\n{}", commit(), run.verdict)?;
    if let Some(path) = &args.history {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        history::write(&run.events, BufWriter::new(file))?;
    }
    Ok(run.verdict.is_clean())
}

/// The commit of the sources, where they can be asked.
fn commit() -> String {
    let said = Command::new("git")
        .args([
            "-C",
            env!("CARGO_MANIFEST_DIR"),
            "describe",
            "--always",
            "--dirty",
        ])
        .output();
    let said = said.ok().filter(|said| said.status.success());
    said.map_or("unknown".to_owned(), |said| {
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    })
}
