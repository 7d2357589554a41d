//! `backup` and `restore`: everything in one file, and back.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::keys::Store;

/// Under the help of `backup`.
pub const EXAMPLES: &str = "\
Examples:
  tenbells backup /backup/tenbells-monday.db --data-dir /var/lib/tenbells

The copy is consistent as of one moment, and the broker keeps publishing meanwhile.";

/// Under the help of `restore`.
pub const RESTORE_EXAMPLES: &str = "\
Examples:
  tenbells restore /backup/tenbells-monday.db --data-dir /var/lib/tenbells-restored

The broker must not run on that folder. Topics get a new epoch: a reader that had seen more than the backup has is told
to reset, and never gets other changes under numbers that it knows.";

/// `tenbells backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// File to write; it must not be there yet
    pub file: PathBuf,
    /// Where everything is kept.
    #[command(flatten)]
    pub store: Store,
}

/// `tenbells restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// A file that `tenbells backup` wrote
    pub file: PathBuf,
    /// Folder to make; it must be empty or not there yet
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
}

/// Writes a copy of everything to a file.
///
/// # Errors
/// When the data folder can't be read or the file not be written.
pub fn backup(_args: BackupArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Other, "not built in this binary"))
}

/// Makes a data folder out of a backup.
///
/// # Errors
/// When the file is no backup or the folder can't be written.
pub fn restore(_args: RestoreArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Other, "not built in this binary"))
}
