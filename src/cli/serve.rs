//! `serve` and `check-config`: the broker itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};

/// Under the help of `serve`.
pub const EXAMPLES: &str = "\
Examples:
  A sample blog at a watchable pace, and the address to open:
    tenbells serve --demo
  Behind a proxy that does TLS:
    tenbells serve --config /etc/tenbells.toml --listen 0.0.0.0:7010 --behind-proxy

A flag goes before the environment, that before the configuration file, that before the default. SIGTERM stops it in
order: readers are told when to come back, and nothing that was acknowledged is lost.";

/// Under the help of `check-config`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  tenbells check-config --config /etc/tenbells.toml && systemctl restart tenbells";

/// `tenbells serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder with everything that is kept; made where it isn't there [default: tenbells-data]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Where publishers and readers connect [default: 127.0.0.1:7010]
    #[arg(long, value_name = "ADDRESS", help_heading = "Listeners")]
    pub listen: Option<SocketAddr>,
    /// Where health and metrics are; keep it private [default: 127.0.0.1:7011]
    #[arg(long, value_name = "ADDRESS", help_heading = "Listeners")]
    pub admin_listen: Option<SocketAddr>,
    /// Allows listening in the open without TLS, because a proxy in front does it
    #[arg(long, help_heading = "Listeners")]
    pub behind_proxy: bool,
    /// Threads that serve readers [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shards: Option<u16>,
    /// Plays a sample blog, and prints the address to open
    #[arg(long)]
    pub demo: bool,
    /// How log lines are written, on stderr [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// `tenbells check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigArgs {
    /// Configuration file, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Runs the broker until it is told to stop.
///
/// # Errors
/// When it can't start, or the store fails.
pub fn run(_args: ServeArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Other, "not built in this binary"))
}

/// Checks a configuration.
///
/// # Errors
/// When it is not valid.
pub fn check_config(_args: CheckConfigArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Other, "not built in this binary"))
}
