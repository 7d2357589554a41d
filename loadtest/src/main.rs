//! The Tenbells load harness: publishers and readers by the ten thousand against a broker, every reader checking its
//! own stream.
//!
//! Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage, 3 the run could not be done.

mod args;
mod clock;
mod command;
mod http;
mod latency;
mod machine;
mod proc;
mod progress;
mod report;
mod text;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::args::Output;
use crate::report::Report;

const CHECK_FAILED: u8 = 1;
const NOT_DONE: u8 = 3;

/// Load and checks for a Tenbells broker.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Closed-loop publishers: durable entries a second and their latency
    Publish(command::publish::PublishArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(report) if report.failures.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(CHECK_FAILED),
        Err(error) => {
            // Nothing is left to say where stderr is closed.
            let _ = writeln!(std::io::stderr(), "loadtest: {error:#}");
            ExitCode::from(NOT_DONE)
        }
    }
}

fn run(cli: &Cli) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let report = runtime.block_on(async {
        match &cli.command {
            Command::Publish(args) => command::publish::run(args).await,
        }
    })?;
    report::print(&report).context("can't write the summary")?;
    if let Some(path) = &cli.output.json {
        report.write_json(path)?;
    }
    Ok(report)
}
