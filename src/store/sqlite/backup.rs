//! Backup and restore of a whole data folder as one file.
//!
//! A backup is a database of ours that any SQL tool can open, with one table more: `backup_file` carries the database
//! of the keys as it is, so this room need not know its schema. It is taken while a server runs on the folder. A
//! restore begins a new numbering for every topic, because what was published after the backup is gone; but not where
//! the log that it was taken of is still there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::projection::{drop_tables, is_projection};
use super::schema::OpenError;
use super::{DATABASE_FILE, reads, rows, schema, seal};
use crate::model::Epoch;
use crate::store::{ReadError, ReadLimit};

/// Name of the database of the keys in the data folder.
const KEYS_FILE: &str = "keys.db";

/// How often a copy tries again while a writer of another program has the source, and how long it waits in between.
const BUSY_TRIES_MAX: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How much of a topic is read at a time to check it.
const CHECK_LIMIT: ReadLimit = ReadLimit {
    changes_max: 4_096,
    bytes_max: 8 << 20,
};

/// Why a backup or a restore did not work.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target of a backup is there already.
    #[error("{0} exists: a backup does not overwrite anything")]
    TargetExists(PathBuf),
    /// There is nothing to copy.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The folder of a restore has a database already.
    #[error("{0} exists: a restore needs a data folder without a database")]
    FolderInUse(PathBuf),
    /// There is no log that it could follow.
    #[error("{0} is not a backup of a node of a cluster: it follows no log")]
    NotOfNode(PathBuf),
    /// The backup or the folder can't be used, because of its schema or its owner.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was read is not what was written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// SQLite can't read or write.
    #[error("the database can't be copied: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What a restored folder is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// A single node's, with a new epoch for each topic.
    SingleNode,
    /// A node's that follows the same log as the one that was backed up, and goes on where that stood.
    SameLog,
}

/// Writes what `folder` holds to the one file `target`, while a server may be running on it.
///
/// The file appears under its name when it is whole and on the medium.
///
/// # Errors
/// [`BackupError`]; `target` is then as it was.
pub fn backup_folder(folder: &Path, target: &Path) -> Result<(), BackupError> {
    if target.exists() {
        return Err(BackupError::TargetExists(target.to_owned()));
    }
    let database = folder.join(DATABASE_FILE);
    if !database.exists() {
        return Err(BackupError::Missing(database));
    }
    let target_folder = parent(target);
    let partial = partial_in(target_folder)?;
    {
        let copy = copy_database(&database, &partial)?;
        schema::check(&copy, &database)?;
        // Pages are copied with their unused parts, and those are no part of what is backed up.
        if rows::unswept(&copy)? {
            copy.execute_batch("VACUUM; DELETE FROM unswept")?;
        }
        let keys = folder.join(KEYS_FILE);
        copy.execute_batch(
            "CREATE TABLE backup_file (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT",
        )?;
        if keys.exists() {
            let content = whole_file(&keys, target_folder)?;
            copy.execute(
                "INSERT INTO backup_file (name, content) VALUES (?1, ?2)",
                (KEYS_FILE, content),
            )?;
        }
    }
    keep(partial, target).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::TargetExists(target.to_owned()),
        _ => BackupError::File(target.to_owned(), error),
    })
}

/// Fills the data folder `folder`, which must not have a database yet, with what [`backup_folder`] wrote.
///
/// Every change is checked first. For a single node each topic gets a new epoch, so readers are reset rather than led
/// astray.
///
/// # Errors
/// [`BackupError`]; the folder then has no database.
pub fn restore_folder(backup: &Path, folder: &Path, to_be: Restored) -> Result<(), BackupError> {
    if !backup.exists() {
        return Err(BackupError::Missing(backup.to_owned()));
    }
    let _lock = schema::lock_folder(folder)?;
    let (database, keys) = (folder.join(DATABASE_FILE), folder.join(KEYS_FILE));
    // A write-ahead log that was left behind would be played into the restored database.
    for name in [DATABASE_FILE, KEYS_FILE] {
        for suffix in ["", "-wal", "-journal"] {
            let path = folder.join(format!("{name}{suffix}"));
            if path.exists() {
                return Err(BackupError::FolderInUse(path));
            }
        }
    }
    let partial = partial_in(folder)?;
    let keys_content = {
        let mut copy = copy_database(backup, &partial)?;
        if schema::check(&copy, backup)? == 0 {
            return Err(OpenError::Foreign(backup.display().to_string()).into());
        }
        schema::migrate(&mut copy, backup)?;
        let follows = is_projection(&copy)?;
        if to_be == Restored::SameLog && !follows {
            return Err(BackupError::NotOfNode(backup.to_owned()));
        }
        check_content(&copy)?;
        if to_be == Restored::SingleNode {
            drop_tables(&copy)?;
            renumber(&copy)?;
        }
        take_keys(&copy)?
    };
    if let Some(content) = keys_content {
        let partial = partial_in(folder)?;
        std::fs::write(&partial, content)
            .and_then(|()| keep(partial, &keys))
            .map_err(|error| BackupError::File(keys.clone(), error))?;
    }
    seal::forget(folder).map_err(|error| BackupError::File(folder.to_owned(), error))?;
    // The log comes last: a folder without it is one that can be restored to again, once the keys are out of the way.
    keep(partial, &database).map_err(|error| {
        // What stays is named by the next attempt.
        let _ = std::fs::remove_file(&keys);
        BackupError::File(database.clone(), error)
    })
}

/// Copies a database as it is at one moment, and opens the copy: one file, without a write-ahead log.
fn copy_database(from: &Path, to: &Path) -> Result<Connection, BackupError> {
    // Reading a database in WAL mode writes its index of readers, so that is tried first.
    let source = schema::open_reader(from)
        .or_else(|_| Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    {
        let mut target = Connection::open(to)?;
        // Synced once, when the file is whole.
        target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
        let copying = Backup::new(&source, &mut target)?;
        let mut tries = 0;
        // All pages in one step: a copy in slices begins again whenever the writer commits in between.
        while copying.step(-1).map_err(|error| not_ours(error, from))? != StepResult::Done {
            tries += 1;
            if tries >= BUSY_TRIES_MAX {
                let message = "another program has been writing to it all the time".to_owned();
                return Err(ReadError::Medium(message).into());
            }
            std::thread::sleep(BUSY_PAUSE);
        }
    }
    let copy = Connection::open(to)?;
    let mode: String = copy
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .map_err(|error| not_ours(error, from))?;
    if mode != "delete" {
        return Err(ReadError::Medium(format!("the copy stays in journal mode {mode}")).into());
    }
    // What is deleted from a copy is gone from it.
    copy.pragma_update(None, "secure_delete", "ON")?;
    Ok(copy)
}

fn not_ours(error: rusqlite::Error, path: &Path) -> BackupError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            OpenError::Foreign(path.display().to_string()).into()
        }
        _ => error.into(),
    }
}

/// A consistent copy of the database at `path`, as bytes.
fn whole_file(path: &Path, scratch: &Path) -> Result<Vec<u8>, BackupError> {
    let partial = partial_in(scratch)?;
    drop(copy_database(path, &partial)?);
    std::fs::read(&partial).map_err(|error| BackupError::File(path.to_owned(), error))
}

/// Checks the tables, and the checksum and number of every change up to the head of its topic.
fn check_content(copy: &Connection) -> Result<(), BackupError> {
    let verdict: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(ReadError::Corrupt(verdict).into());
    }
    let mut last = None;
    loop {
        let topics = reads::topics(copy, last.as_ref(), 256)?;
        for topic in &topics {
            let mut after = 0;
            while after < topic.head {
                after = reads::changes(copy, &topic.name, after, CHECK_LIMIT)?
                    .last()
                    .map_or(topic.head, |change| change.offset);
            }
        }
        match topics.into_iter().next_back() {
            Some(topic) => last = Some(topic.name),
            None => return Ok(()),
        }
    }
}

/// Gives every topic a new epoch.
fn renumber(copy: &Connection) -> Result<(), BackupError> {
    let ids: Vec<i64> = copy
        .prepare("SELECT id FROM topic")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let transaction = copy.unchecked_transaction()?;
    for id in ids {
        let seed = getrandom::u64()
            .map_err(|error| ReadError::Medium(format!("no randomness for an epoch: {error}")))?;
        transaction.execute(
            "UPDATE topic SET epoch = ?2 WHERE id = ?1",
            (id, Epoch::from_seed(seed).as_str()),
        )?;
    }
    Ok(transaction.commit()?)
}

/// Takes the database of the keys out of a copy, where it has one.
fn take_keys(copy: &Connection) -> Result<Option<Vec<u8>>, BackupError> {
    let carries: i64 = copy.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'backup_file'",
        [],
        |row| row.get(0),
    )?;
    if carries == 0 {
        return Ok(None);
    }
    let content = copy
        .query_row(
            "SELECT content FROM backup_file WHERE name = ?1",
            [KEYS_FILE],
            |row| row.get(0),
        )
        .optional()?;
    copy.execute_batch("DROP TABLE backup_file")?;
    Ok(content)
}

/// A file that is for its owner alone and disappears unless it is kept.
fn partial_in(folder: &Path) -> Result<tempfile::TempPath, BackupError> {
    tempfile::Builder::new()
        .prefix(".tenbells-partial-")
        .tempfile_in(folder)
        .map(tempfile::NamedTempFile::into_temp_path)
        .map_err(|error| BackupError::File(folder.to_owned(), error))
}

/// Brings a whole file to the medium, and then to its name, unless something has that name.
fn keep(partial: tempfile::TempPath, path: &Path) -> std::io::Result<()> {
    File::open(&partial)?.sync_all()?;
    partial
        .persist_noclobber(path)
        .map_err(|refused| refused.error)?;
    File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
