//! `migrate`: a single node's topics into a cluster's log, and a cluster's data folder back to a single node.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::output;
use crate::config::{Flag, Machine, Settings, Sources};
use crate::store::jetstream::{
    JetStreamError, MigrateError, NatsOptions, migrate_to_cluster, migrate_to_single,
};

/// Under the help of `migrate`.
pub const EXAMPLES: &str = "\
Examples:
  From a single node to a cluster; the node is stopped, its folder stays as it is:
    tenbells migrate to-cluster --data-dir /var/lib/tenbells --config /etc/tenbells.toml
  Back to a single node; all nodes are stopped, and the folder is one that was up to date:
    tenbells migrate to-single /srv/single --data-dir /var/lib/tenbells --nats nats://a:4222

Epochs and offsets stay as they are: readers resume as if nothing had happened. docs/cluster.md has the whole of it.";

/// `tenbells migrate …`.
#[derive(Debug, Clone, Subcommand)]
pub enum MigrateCommand {
    /// Brings the topics of a single node into an empty log
    #[command(after_long_help = EXAMPLES)]
    ToCluster(ToClusterArgs),
    /// Makes a single node's data folder out of one that follows a log
    #[command(after_long_help = EXAMPLES)]
    ToSingle(ToSingleArgs),
}

/// `tenbells migrate to-cluster`.
#[derive(Debug, Clone, Args)]
pub struct ToClusterArgs {
    /// The single node's data folder
    #[arg(long, value_name = "FOLDER", default_value = "tenbells-data")]
    pub data_dir: PathBuf,
    /// The log.
    #[command(flatten)]
    pub log: Log,
}

/// `tenbells migrate to-single`.
#[derive(Debug, Clone, Args)]
pub struct ToSingleArgs {
    /// Folder to make; it must be empty or not there yet
    pub target: PathBuf,
    /// The data folder that follows the log
    #[arg(long, value_name = "FOLDER", default_value = "tenbells-data")]
    pub data_dir: PathBuf,
    /// Doesn't look whether the folder has all of the log: for a log that is gone
    #[arg(long, conflicts_with = "nats")]
    pub without_log: bool,
    /// The log.
    #[command(flatten)]
    pub log: Log,
}

/// Where the log is.
#[derive(Debug, Clone, Args)]
pub struct Log {
    /// Configuration file with a [nats] section, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The NATS servers, with commas between them
    #[arg(long, value_name = "SERVERS")]
    pub nats: Option<String>,
}

/// Brings topics from one to the other.
///
/// # Errors
/// When a folder or the log can't be used.
pub fn run(command: MigrateCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the runtime", &error))?;
    match command {
        MigrateCommand::ToCluster(args) => {
            let options = options(&args.log)?;
            let migrated = runtime
                .block_on(migrate_to_cluster(&args.data_dir, &options))
                .map_err(failure)?;
            output::note(format_args!(
                "{} topics with {} changes are in the log, in {} records; copy keys.db to the data folder of one node",
                migrated.topics, migrated.changes, migrated.records
            ));
        }
        MigrateCommand::ToSingle(args) => {
            let options = match args.without_log {
                true => None,
                false => Some(options(&args.log)?),
            };
            let sequence = runtime
                .block_on(migrate_to_single(
                    &args.data_dir,
                    &args.target,
                    options.as_ref(),
                ))
                .map_err(failure)?;
            output::note(format_args!(
                "{} has the log up to sequence {sequence}, and is a single node's",
                args.target.display()
            ));
        }
    }
    Ok(())
}

fn options(log: &Log) -> Result<NatsOptions, Failure> {
    let mut flags = vec![Flag {
        name: "--engine",
        key: "engine",
        value: "nats".into(),
    }];
    flags.extend(log.nats.clone().map(|servers| Flag {
        name: "--nats",
        key: "nats.servers",
        value: servers.into(),
    }));
    let sources = Sources::of_process(log.config.clone(), flags);
    let settings = Settings::load(&sources, Machine::this())
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    let nats = settings.config().nats;
    nats.map(|nats| crate::app::nats_options(&nats))
        .ok_or_else(|| Failure::usage("no log is named: --nats, or [nats] in --config".to_owned()))
}

fn failure(error: MigrateError) -> Failure {
    let message = error.to_string();
    match error {
        MigrateError::JetStream(JetStreamError::Link(_)) => {
            Failure::new(Exit::Unavailable, message)
        }
        MigrateError::NotEmpty(_) | MigrateError::Topic { .. } => Failure::data(message),
        _ => Failure::new(Exit::Io, message),
    }
}
