//! Data folders between a single node and a cluster: topics out of one, and a projection made a store of its own.

use std::path::Path;

use rusqlite::Connection;

use super::projection::{drop_tables, export_rows, is_projection};
use super::schema::{self, OpenError};
use super::{DATABASE_FILE, reads, rows};
use crate::model::{Epoch, TopicName};
use crate::store::{ReadError, Rows};

/// A single node's data folder, to be brought into a shared log.
pub struct SingleNode {
    connection: Connection,
    _lock: std::fs::File,
}

impl SingleNode {
    /// Opens it; no server may run on it.
    ///
    /// # Errors
    /// [`OpenError`], also when the folder follows a log already.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = schema::lock_folder(folder)?;
        let connection = schema::open_writer(&folder.join(DATABASE_FILE))?;
        if is_projection(&connection)? {
            return Err(OpenError::IsProjection(folder.display().to_string()));
        }
        Ok(Self {
            connection,
            _lock: lock,
        })
    }

    /// Its topics, by name.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn topics(&self) -> Result<Vec<TopicName>, ReadError> {
        let read = || -> rusqlite::Result<Vec<TopicName>> {
            self.connection
                .prepare("SELECT name FROM topic ORDER BY name")?
                .query_map([], |row| rows::topic_name(row, 0))?
                .collect()
        };
        read().map_err(|error| reads::read_error(&error))
    }

    /// The epoch of a topic and its rows, in parts that go into one record each.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn export(&self, topic: &TopicName) -> Result<(Epoch, Vec<Rows>), ReadError> {
        export_rows(&self.connection, topic)
            .map_err(|error| reads::read_error(&error))?
            .ok_or_else(|| ReadError::Corrupt(format!("topic {topic} is gone")))
    }
}

/// Up to which sequence a folder has the log that it follows.
///
/// # Errors
/// When it follows none, or a server runs on it.
pub fn standing(folder: &Path) -> Result<u64, OpenError> {
    let _lock = schema::lock_folder(folder)?;
    let connection = schema::open_writer(&folder.join(DATABASE_FILE))?;
    if !is_projection(&connection)? {
        return Err(OpenError::Folder(std::io::Error::other(
            "it follows no shared log",
        )));
    }
    Ok(
        connection.query_row("SELECT sequence FROM shared_log", [], |row| {
            row.get(0).map(rows::unsql)
        })?,
    )
}

/// Copies a folder that follows a log to one that is a single node's, keys included.
///
/// # Errors
/// When a server runs on it, or the copy can't be written.
pub fn copy(folder: &Path, target: &Path) -> Result<(), OpenError> {
    let _lock = schema::lock_folder(folder)?;
    let _target_lock = schema::lock_folder(target)?;
    let (from, to) = (folder.join(DATABASE_FILE), target.join(DATABASE_FILE));
    if to.exists() {
        return Err(OpenError::Folder(std::io::Error::other(format!(
            "{} exists: name a folder that is empty or not there yet",
            to.display()
        ))));
    }
    let source = schema::open_writer(&from)?;
    let mut copy = schema::open_writer(&to)?;
    rusqlite::backup::Backup::new(&source, &mut copy)?.run_to_completion(
        1_024,
        std::time::Duration::ZERO,
        None,
    )?;
    drop_tables(&copy)?;
    copy.execute_batch("VACUUM; PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE)")
        .or_else(ignore_rows)?;
    let keys = folder.join("keys.db");
    if keys.exists() {
        let keys = Connection::open(&keys)?;
        let mut copied = Connection::open(target.join("keys.db"))?;
        rusqlite::backup::Backup::new(&keys, &mut copied)?.run_to_completion(
            1_024,
            std::time::Duration::ZERO,
            None,
        )?;
        use std::os::unix::fs::PermissionsExt;
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(target.join("keys.db"), owner_alone).map_err(OpenError::Folder)?;
    }
    Ok(())
}

/// A pragma that answers is no error here.
fn ignore_rows(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::ExecuteReturnedResults => Ok(()),
        other => Err(other),
    }
}
