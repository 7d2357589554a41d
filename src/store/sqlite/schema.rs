//! The tables, how an older data folder comes to them, and what refuses to open.
//!
//! Whatever is refused is left as it was, to the byte: the checks come before the first pragma that writes.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

/// The schema that this program writes.
pub const SCHEMA_VERSION: i64 = 1;

/// `TNBL`: marks the file as ours in the SQLite header.
const APPLICATION_ID: i64 = 0x544e_424c;
const LOCK_FILE: &str = "tenbells.lock";
/// How long a statement waits for a lock of another program.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One step for each version: `MIGRATIONS[n]` leads from version n to n + 1.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    head INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    private INTEGER NOT NULL,
    doc TEXT NOT NULL,
    raw TEXT NOT NULL
) STRICT;
-- key: topic.id << 40 | offset
CREATE TABLE change (
    key INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    entry_id TEXT,
    previous INTEGER,
    crc INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT;
-- key: topic.id << 40 | offset of the publication
CREATE TABLE entry (
    key INTEGER PRIMARY KEY,
    topic_id INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    last INTEGER NOT NULL,
    retracted INTEGER NOT NULL,
    key_event INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    raw TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_by_id ON entry (topic_id, entry_id);
CREATE INDEX entry_key_event ON entry (key) WHERE key_event = 1;
CREATE INDEX entry_pinned ON entry (key) WHERE pinned = 1;
CREATE TABLE held (
    id INTEGER PRIMARY KEY,
    topic_id INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    released_ms INTEGER NOT NULL,
    key_event INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    doc TEXT NOT NULL,
    raw TEXT NOT NULL,
    UNIQUE (topic_id, entry_id)
) STRICT;
CREATE INDEX held_by_release ON held (released_ms, id);
-- In the order of the callers' keys: where those sort by time, new rows lie side by side.
CREATE TABLE idempotency (
    topic_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (topic_id, key)
) STRICT, WITHOUT ROWID;
-- key: topic.id << 40 | a number from 1
CREATE TABLE audit (
    key INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    entry_id TEXT,
    change_offset INTEGER
) STRICT;
-- Has its one row while bytes of retracted or dropped bodies may be left in the file.
CREATE TABLE unswept (id INTEGER PRIMARY KEY CHECK (id = 1)) STRICT;
"];

/// Why a data folder can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be made, read or written.
    #[error("the data folder can't be used: {0}")]
    Folder(#[source] std::io::Error),
    /// Another process has it.
    #[error("another tenbells is running on this data folder ({0})")]
    InUse(String),
    /// It was written by a newer program.
    #[error(
        "the data folder has schema {found}, this tenbells knows up to {SCHEMA_VERSION}: use the newer tenbells that wrote it"
    )]
    Newer {
        /// The version it has.
        found: i64,
    },
    /// The file is another program's.
    #[error("{0} is not a Tenbells database")]
    Foreign(String),
    /// It is not what it was when the last process stopped.
    #[error(
        "{database} is not what it was when tenbells stopped: the disk has altered it, or another program has written to it. Restore a backup; or, to serve it as it is, remove {seal}"
    )]
    Altered {
        /// The database.
        database: String,
        /// Its seal.
        seal: String,
    },
    /// It follows a shared log, so nothing may be written to it but what stands there.
    #[error(
        "the data folder {0} follows a shared log: serve it with --engine nats, or make it a single node's by `tenbells migrate to-single`"
    )]
    IsProjection(String),
    /// It holds what a single node has written, which no shared log knows.
    #[error(
        "the data folder {0} holds topics of a single node: bring them to the shared log by `tenbells migrate to-cluster`, or name another folder"
    )]
    NotProjection(String),
    /// SQLite refuses.
    #[error("the database can't be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Makes the folder where it is missing (for its owner alone) and takes it for this process.
pub(super) fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    make_folder(folder).map_err(OpenError::Folder)?;
    let path = folder.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::Folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(OpenError::InUse(folder.display().to_string()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(OpenError::Folder(error)),
    }
}

/// Makes a data folder for its owner alone; one that is there keeps its permissions.
pub(in crate::store) fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Makes an empty database file for its owner alone; one that is there keeps its permissions. SQLite gives those of
/// the database to the write-ahead log and the shared memory beside it.
fn make_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Opens the database for the writer, at the newest schema.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    make_file(path).map_err(OpenError::Folder)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    leave_log(&connection, Leave::AsItIs)?;
    check(&connection, path)?;
    if connection.is_readonly(MAIN_DB)? {
        let message = format!("{} can't be written", path.display());
        let denied = std::io::Error::new(std::io::ErrorKind::PermissionDenied, message);
        return Err(OpenError::Folder(denied));
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let message = "its file system can't hold a write-ahead log";
        return Err(OpenError::Folder(std::io::Error::other(message)));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Freed bytes are overwritten, so that a retracted body does not stay in a free page.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate(&mut connection, path)?;
    fold_in_old_log(&connection)?;
    leave_log(&connection, Leave::FoldedIn)?;
    Ok(connection)
}

/// What becomes of the write-ahead log when the last connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// SQLite folds it in, which syncs.
    FoldedIn,
    /// Nothing: after a sync that failed, nothing may be synced again.
    AsItIs,
}

pub(super) fn leave_log(connection: &Connection, leave: Leave) -> rusqlite::Result<()> {
    let as_it_is = leave == Leave::AsItIs;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, as_it_is)
        .map(drop)
}

/// Brings what the last process left in the write-ahead log onto the medium before anybody is served.
///
/// A commit that was written, but not synced when its process was killed, is found here and would be given to readers.
/// A loss of power could still undo it, and its offsets would then come to name other changes.
fn fold_in_old_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Opens the database for reading.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    leave_log(&connection, Leave::AsItIs)?;
    connection.pragma_update(None, "query_only", "ON")?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The schema version of a database of ours, or 0 of an empty file.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let foreign = || OpenError::Foreign(path.display().to_string());
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application =
        pragma("application_id").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => foreign(),
            _ => OpenError::Sqlite(error),
        })?;
    let found = pragma("user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = found == 0 && application == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(foreign());
    }
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer { found });
    }
    Ok(found)
}

/// Brings a database of ours, or an empty file, to the newest schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let found = check(connection, path)?;
    for version in found..SCHEMA_VERSION {
        let transaction = connection.transaction()?;
        transaction.execute_batch(MIGRATIONS[usize::try_from(version).unwrap_or(0)])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a refused open must leave as it was.
    fn refused(path: &Path) -> OpenError {
        let before = std::fs::read(path).expect("before");
        let error = open_writer(path).expect_err("refused");
        assert_eq!(std::fs::read(path).expect("after"), before, "{error}");
        error
    }

    #[test]
    fn new_files_are_for_their_owner_alone_and_old_ones_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        let modes = || -> Vec<(String, u32)> {
            let files = std::fs::read_dir(folder.path()).expect("the folder");
            let mode = |file: std::fs::DirEntry| {
                let mode = file.metadata().expect("metadata").permissions().mode();
                (
                    file.file_name().to_string_lossy().into_owned(),
                    mode & 0o777,
                )
            };
            let mut modes: Vec<_> = files.map(|file| mode(file.expect("a file"))).collect();
            modes.sort();
            modes
        };
        let with = |mode| {
            ["x.db", "x.db-shm", "x.db-wal"]
                .map(|name| (name.to_owned(), mode))
                .to_vec()
        };
        let writer = open_writer(&path).expect("first open");
        assert_eq!(modes(), with(0o600));
        drop(writer);
        let shared = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, shared).expect("permissions");
        let writer = open_writer(&path).expect("second open");
        write_something(&writer);
        assert_eq!(modes(), with(0o640));
    }

    /// Writes something, so that the files beside the database are there.
    fn write_something(writer: &Connection) {
        writer
            .execute_batch("INSERT INTO unswept (id) VALUES (1)")
            .expect("written");
    }

    #[test]
    fn what_a_killed_process_left_in_its_log_is_synced_before_anybody_is_served() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        let left = folder.path().join("left");
        std::fs::create_dir(&left).expect("a folder");
        let writer = open_writer(&path).expect("first open");
        write_something(&writer);
        // As a process that is killed leaves it: the log beside the database, not folded in.
        for name in ["x.db", "x.db-wal"] {
            std::fs::copy(folder.path().join(name), left.join(name)).expect("copied");
        }
        let log = left.join("x.db-wal");
        assert!(std::fs::metadata(&log).expect("the log").len() > 0);
        let again = open_writer(&left.join("x.db")).expect("second open");
        assert_eq!(std::fs::metadata(&log).expect("the log").len(), 0);
        let rows: i64 = again
            .query_row("SELECT count(*) FROM unswept", [], |row| row.get(0))
            .expect("counted");
        assert_eq!(rows, 1, "what was in the log is in the database");
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        drop(open_writer(&path).expect("first open"));
        let newer = Connection::open(&path).expect("open");
        newer.pragma_update(None, "user_version", 99).expect("bump");
        drop(newer);
        let error = refused(&path);
        assert!(matches!(error, OpenError::Newer { found: 99 }), "{error}");
        assert!(error.to_string().contains("schema 99"), "{error}");
    }

    #[test]
    fn another_programs_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("folder");
        for (name, setup) in [
            ("plain", "CREATE TABLE a (b);"),
            ("versioned", "CREATE TABLE a (b); PRAGMA user_version = 1;"),
            ("marked", "CREATE TABLE a (b); PRAGMA application_id = 7;"),
        ] {
            let path = folder.path().join(name);
            let other = Connection::open(&path).expect("open");
            other.execute_batch(setup).expect("make");
            drop(other);
            let error = refused(&path);
            assert!(matches!(error, OpenError::Foreign(_)), "{name}: {error}");
        }
        let path = folder.path().join("text");
        std::fs::write(&path, "Stop the press. ".repeat(100)).expect("write");
        assert!(matches!(refused(&path), OpenError::Foreign(_)));
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("write");
        let error = lock_folder(&file.join("data")).expect_err("below a file");
        assert!(matches!(error, OpenError::Folder(_)), "{error}");
    }

    #[test]
    fn a_database_that_can_not_be_written_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        drop(open_writer(&path).expect("first open"));
        let read_only = std::fs::Permissions::from_mode(0o400);
        std::fs::set_permissions(&path, read_only).expect("permissions");
        if File::options().write(true).open(&path).is_ok() {
            // Past the capture of the test runner: who runs it should know.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"skipped: this user may write whatever the permissions say\n",
            );
            return;
        }
        assert!(matches!(open_writer(&path), Err(OpenError::Folder(_))));
    }

    #[test]
    fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().expect("folder");
        let first = lock_folder(folder.path()).expect("first");
        assert!(matches!(
            lock_folder(folder.path()),
            Err(OpenError::InUse(_))
        ));
        drop(first);
        assert!(lock_folder(folder.path()).is_ok());
    }
}
