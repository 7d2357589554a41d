//! The command line of the proof. Exit codes: 0 all is well, 1 a promise was broken, 2 it could not be told.

mod simulate;

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use proof::faults::{self, Extent, Outcome, Scenario};
use proof::nemesis::{self, Ended};
use proof::{history, judge};

/// The first word that makes this program the broker itself.
const BROKER: &str = "tenbells";

#[derive(Parser)]
#[command(
    about = "Proves what Tenbells promises, under faults. docs/reliability.md has the whole of it."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judges a history, a file of JSON lines
    Check {
        /// The file
        file: PathBuf,
        /// How long after the faults stop everything has to be well, in seconds
        #[arg(long, default_value_t = 30)]
        calm: u64,
        /// How long after its time, and after the faults stop, what was under embargo may take to come out, in seconds
        #[arg(long, default_value_t = 30)]
        release: u64,
        /// How long behind an acknowledgement a live reader may take what was sent before it, in milliseconds
        #[arg(long, default_value_t = 0)]
        grace: u64,
    },
    /// Runs the seeded simulation, and judges each history
    Simulate(simulate::Args),
    /// Injects faults into real processes
    Faults(Faults),
    /// Three brokers on three NATS servers under a nemesis
    Cluster(nemesis::ClusterArgs),
}

#[derive(clap::Args)]
struct Faults {
    /// Which
    #[arg(required = true, value_enum)]
    scenarios: Vec<Scenario>,
    /// The broker's program; without it, the one that is built into this program
    #[arg(long)]
    program: Option<OsString>,
    /// kill: up to which call
    #[arg(long, default_value_t = 500)]
    points: u32,
    /// kill, damage: every how many of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    step: u32,
    /// stop: for how long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// idempotency: how many entries
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..))]
    publishes: u32,
    /// slowloris: how many sockets
    #[arg(long, default_value_t = 18_000, value_parser = clap::value_parser!(u32).range(6..=100_000))]
    sockets: u32,
}

fn main() -> ExitCode {
    // As a broker of its own, in a process of its own.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == BROKER)
    {
        return tenbells::cli::run(std::env::args_os().skip(1));
    }
    match run(Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // A pipe that is closed has nobody to tell.
            let _ = writeln!(std::io::stderr(), "proof: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Faults(args) => inject(args),
        Command::Check {
            file,
            calm,
            release,
            grace,
        } => {
            let open = File::open(&file).with_context(|| file.display().to_string())?;
            let events = history::read(BufReader::new(open))?;
            let options = judge::Options {
                calm_us: micros(Duration::from_secs(calm)),
                release_us: micros(Duration::from_secs(release)),
                grace_us: micros(Duration::from_millis(grace)),
            };
            let verdict = judge::judge(&events, options);
            writeln!(stdout(), "{verdict}")?;
            Ok(verdict.is_clean())
        }
        Command::Cluster(args) => {
            match nemesis::run(&args)? {
                Ended::Kept(what) => writeln!(stdout(), "{what}")?,
                Ended::Skipped(why) => writeln!(stdout(), "skipped: {why}")?,
            }
            Ok(true)
        }
    }
}

fn inject(args: Faults) -> anyhow::Result<bool> {
    let program = match args.program {
        Some(program) => vec![program],
        None => vec![std::env::current_exe()?.into_os_string(), BROKER.into()],
    };
    let extent = Extent {
        points: args.points,
        step: args.step,
        seconds: args.seconds,
        publishes: args.publishes,
        sockets: args.sockets,
    };
    let mut all_kept = true;
    for scenario in args.scenarios {
        let name = format!("{scenario:?}").to_lowercase();
        match faults::run(scenario, &program, extent) {
            Ok(Outcome::Kept(what)) => writeln!(stdout(), "{name}: {what}")?,
            Ok(Outcome::Skipped(why)) => writeln!(stdout(), "{name}: skipped: {why}")?,
            Err(error) => {
                all_kept = false;
                writeln!(stdout(), "{name}: FAILED: {error:#}")?;
            }
        }
    }
    Ok(all_kept)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
