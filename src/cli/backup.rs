//! `backup` and `restore`: everything in one file, and back.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::keys::Store;
use super::output;
use crate::store::sqlite::{BackupError, Restored, backup_folder, restore_folder};

/// Under the help of `backup`.
pub const EXAMPLES: &str = "\
Examples:
  tenbells backup /backup/tenbells-monday.db --data-dir /var/lib/tenbells

The copy is consistent as of one moment, and the broker keeps publishing meanwhile.";

/// Under the help of `restore`.
pub const RESTORE_EXAMPLES: &str = "\
Examples:
  tenbells restore /backup/tenbells-monday.db --data-dir /var/lib/tenbells-restored
  tenbells restore /backup/node-a.db --data-dir /var/lib/tenbells --same-log

The broker must not run on that folder. Topics get a new epoch: a reader that had seen more than the backup has is told
to reset, and never gets other changes under numbers that it knows. With --same-log they keep theirs: that is for another
node of the cluster that the backup is of, and the log has what came since.";

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
    /// Make a node of the same cluster out of it, which goes on in the log where the backed up one stood
    #[arg(long)]
    pub same_log: bool,
}

/// Writes a copy of everything to a file.
///
/// # Errors
/// When the data folder can't be read or the file not be written.
pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    backup_folder(&args.store.data_dir, &args.file).map_err(failure)?;
    output::note(format!("{} has everything as of now", args.file.display()));
    Ok(())
}

/// Makes a data folder out of a backup.
///
/// # Errors
/// When the file is no backup or the folder can't be written.
pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let (to_be, note) = if args.same_log {
        let note = "it goes on in the log where the backup stands: give the node a name of its own";
        (Restored::SameLog, note)
    } else {
        let note = "its topics have new epochs, so readers take a fresh snapshot";
        (Restored::SingleNode, note)
    };
    restore_folder(&args.file, &args.data_dir, to_be).map_err(failure)?;
    output::note(format!("{} is ready; {note}", args.data_dir.display()));
    Ok(())
}

fn failure(error: BackupError) -> Failure {
    let message = error.to_string();
    match error {
        BackupError::TargetExists(_) => {
            Failure::new(Exit::Data, message).advise("name another file")
        }
        BackupError::Missing(_) => Failure::no_input(message),
        BackupError::FolderInUse(_) => {
            Failure::new(Exit::Data, message).advise("name a folder that is empty or not there yet")
        }
        BackupError::NotOfNode(_) => Failure::data(message).advise("leave out --same-log"),
        BackupError::Open(_) | BackupError::Read(_) => Failure::data(message),
        BackupError::File(..) | BackupError::Sqlite(_) => Failure::new(Exit::Io, message),
    }
}
