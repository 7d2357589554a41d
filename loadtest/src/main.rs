//! The Tenbells load harness: publishers and readers by the ten thousand against a broker, every reader checking its
//! own stream.
//!
//! Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage, 3 the run could not be done.

mod args;
mod check;
mod chunked;
mod clock;
mod cluster;
mod command;
mod cores;
mod corpus;
mod crew;
mod event;
mod exchange;
mod frame;
mod handshake;
mod http;
mod inflate;
mod lanes;
mod latency;
mod line;
mod machine;
mod message;
mod own_broker;
mod peer;
mod plot;
mod proc;
mod progress;
mod publisher;
mod reader;
mod report;
mod scenario;
mod sender;
mod session;
mod source;
mod text;
mod trust;
mod turn;

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
    /// Readers by the ten thousand at a steady pace of entries, each checking its stream
    Fanout(command::fanout::FanoutArgs),
    /// Many topics with a few readers each
    #[command(
        mut_arg("topics", |arg| arg.default_value("2000")),
        mut_arg("readers", |arg| arg.default_value("10000")),
        mut_arg("rate", |arg| arg.default_value("200"))
    )]
    Topics(command::fanout::FanoutArgs),
    /// A fan-out for hours: does the server's memory grow?
    Soak(command::fanout::FanoutArgs),
    /// Many publishes at once to many readers
    Burst(command::burst::BurstArgs),
    /// All readers drop and come back at once with their cursors
    Storm(command::storm::StormArgs),
    /// The broker is killed and started again, and all readers come back, politely or at once
    Crash(command::crash::CrashArgs),
    /// Readers who stop reading, beside healthy ones
    Slow(command::slow::SlowArgs),
    /// Readers who leave and come back all the time
    Churn(command::churn::ChurnArgs),
    /// Readers to whom nothing happens: what their heartbeats cost, and their memory
    Idle(command::idle::IdleArgs),
    /// Several times the load for a minute, then the usual one: how soon is its goodput back?
    Overload(command::overload::OverloadArgs),
    /// A long history read from its start by many readers at once
    Catchup(command::catchup::CatchupArgs),
    /// The bare send loop over as many sockets and bytes: what the machine itself asks for
    Bare(command::bare::BareArgs),
    /// Broker over bare send loop, in alternating rounds of one run
    Ratio(command::ratio::RatioArgs),
    /// The same fan-out in two ways (plain, compressed, sealed, other transports), in alternating rounds of one run
    #[command(mut_arg("transport", |arg| arg.hide(true)))]
    Pair(command::pair::PairArgs),
    /// Tenbells beside Centrifugo, Mercure, nchan and uWebSockets, in alternating rounds of one run
    #[command(
        mut_arg("readers", |arg| arg.default_value("5000")),
        mut_arg("topics", |arg| arg.hide(true))
    )]
    Compare(command::compare::CompareArgs),
    /// Brokers on three NATS servers of its own: a fan-out over all of them, also while one dies or all are restarted
    Cluster(command::cluster::ClusterArgs),
    /// Markdown tables out of reports, written into a document
    Tables(command::tables::TablesArgs),
    /// The process of the bare send loop; the other commands start it
    #[command(hide = true)]
    Sender,
    /// A process of readers; the other commands start it
    #[command(hide = true)]
    Readers,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Command::Readers => return work(reader::work),
        Command::Sender => return work(sender::work),
        Command::Tables(args) => return work(|| command::tables::run(args)),
        command => run(command, &cli.output),
    };
    match outcome {
        Ok(report) if report.failures.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(CHECK_FAILED),
        Err(error) => not_done(&error),
    }
}

fn work(work: impl FnOnce() -> Result<()>) -> ExitCode {
    work().map_or_else(|error| not_done(&error), |()| ExitCode::SUCCESS)
}

fn not_done(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to say where stderr is closed.
    let _ = writeln!(std::io::stderr(), "loadtest: {error:#}");
    ExitCode::from(NOT_DONE)
}

fn run(command: &Command, output: &Output) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let report = runtime.block_on(async {
        match command {
            Command::Publish(args) => command::publish::run(args).await,
            Command::Fanout(args) => command::fanout::run("fanout", args).await,
            Command::Topics(args) => command::fanout::run("topics", args).await,
            Command::Soak(args) => command::soak::run(args).await,
            Command::Burst(args) => command::burst::run(args).await,
            Command::Storm(args) => command::storm::run(args).await,
            Command::Crash(args) => command::crash::run(args).await,
            Command::Slow(args) => command::slow::run(args).await,
            Command::Churn(args) => command::churn::run(args).await,
            Command::Idle(args) => command::idle::run(args).await,
            Command::Overload(args) => command::overload::run(args).await,
            Command::Catchup(args) => command::catchup::run(args).await,
            Command::Bare(args) => command::bare::run(args).await,
            Command::Ratio(args) => command::ratio::run(args).await,
            Command::Pair(args) => command::pair::run(args).await,
            Command::Compare(args) => command::compare::run(args).await,
            Command::Cluster(args) => command::cluster::run(args).await,
            Command::Readers | Command::Sender | Command::Tables(_) => {
                anyhow::bail!("this makes no report")
            }
        }
    })?;
    report::print(&report).context("can't write the summary")?;
    if let Some(path) = &output.json {
        report.write_json(path)?;
    }
    if let Some(path) = &output.html {
        report.write_html(path)?;
    }
    Ok(report)
}
