//! The command line of the proof. Exit codes: 0 all is well, 1 a promise was broken, 2 it could not be told.

use std::fs::File;
use std::io::{BufReader, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use proof::nemesis::{self, Ended};
use proof::{history, judge};

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
        /// How long behind an acknowledgement a live reader may take what was sent before it, in milliseconds
        #[arg(long, default_value_t = 0)]
        grace: u64,
    },
    /// Three brokers on three NATS servers under a nemesis
    Cluster(nemesis::ClusterArgs),
}

fn main() -> ExitCode {
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
        Command::Check { file, calm, grace } => {
            let open = File::open(&file).with_context(|| file.display().to_string())?;
            let events = history::read(BufReader::new(open))?;
            let options = judge::Options {
                calm_us: micros(Duration::from_secs(calm)),
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
