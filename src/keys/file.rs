//! The keys of a data folder: a small SQLite file of their own, `keys.db`.
//!
//! It is apart from the log so that a command can create and revoke keys while the server has the log's write lock.
//! Any number of processes may have it open. It holds hashes, never tokens; a revoked key stays in the list, until
//! its place is needed.

mod sharing;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction, TransactionBehavior};

use super::rules::{check_globs, check_name};
use super::token::{Token, TokenHash};
use super::{Grant, Role};
use crate::model::millis;

pub use self::sharing::SharedKey;

/// Name of the file in the data folder.
pub const KEYS_FILE: &str = "keys.db";
/// Most keys of a data folder, revoked ones included as long as there is room for them.
pub const KEYS_MAX: usize = 10_000;

/// `TNBK`: marks the file as ours in the SQLite header.
const APPLICATION_ID: i64 = 0x544e_424b;
const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
CREATE TABLE key (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    role TEXT NOT NULL,
    -- globs, a space between them
    topics TEXT NOT NULL,
    name TEXT,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
";
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The keys of a data folder.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    connection: Connection,
    identity: FileIdentity,
}

/// A key as it is kept: never its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// Globs of the topics it is good for.
    pub topics: Vec<String>,
    /// Who has it.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Timestamp>,
}

/// Why the keys can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What was asked for breaks a rule; the text says which.
    #[error("{0}")]
    Invalid(String),
    /// There is no room for another key.
    #[error(
        "there are {KEYS_MAX} keys, which is the limit: revoke some that are not needed any more"
    )]
    Full,
    /// The folder or the file can't be used.
    #[error("{path} can't be used: {source}", path = .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is another program's.
    #[error("{0} is not a Tenbells key file")]
    Foreign(String),
    /// It was written by a newer program.
    #[error(
        "the key file has schema {found}, this tenbells knows up to {SCHEMA_VERSION}: use the newer tenbells that wrote it"
    )]
    Newer {
        /// The version it has.
        found: i64,
    },
    /// The system gives no randomness.
    #[error("no randomness for a key: {0}")]
    Randomness(#[from] getrandom::Error),
    /// SQLite refuses.
    #[error("the key file can't be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Which file a path leads to, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl KeyFile {
    /// Opens the keys of a data folder, making folder and file (for their owner alone) where they are not there yet.
    ///
    /// # Errors
    /// [`KeyError`] when they can't be used, or are another or a newer program's.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(KEYS_FILE);
        let prepared = make_file(folder, &path).map_err(|source| KeyError::File {
            path: path.clone(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        migrate(&mut connection, &path)?;
        // With a write-ahead log, readers never wait for a writer.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self {
            path,
            connection,
            identity: prepared,
        })
    }

    /// Makes a key, durably, and gives its token: the only time that it can be shown.
    ///
    /// Where the file is full, the key that was revoked longest ago makes room.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for globs or a name outside the rules, [`KeyError::Full`], or when it can't be stored.
    pub fn create(
        &self,
        role: Role,
        topics: &[String],
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Token, KeyError> {
        check_globs(topics)?;
        name.map_or(Ok(()), check_name)?;
        let transaction = self.write()?;
        make_room(&transaction, KEYS_MAX)?;
        let token = loop {
            let token = Token::generate()?;
            let inserted = transaction.execute(
                "INSERT INTO key (id, hash, role, topics, name, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO NOTHING",
                (
                    token.id(),
                    TokenHash::of(token.reveal()).as_bytes(),
                    role.as_str(),
                    topics.join(" "),
                    name,
                    millis(now),
                ),
            )?;
            if inserted == 1 {
                break token;
            }
        };
        transaction.commit()?;
        Ok(token)
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn list(&self) -> Result<Vec<KeyRecord>, KeyError> {
        let mut statement = self.connection.prepare(
            "SELECT id, role, topics, name, created_ms, revoked_ms FROM key ORDER BY created_ms, id",
        )?;
        let records = statement.query_map([], record_of)?;
        Ok(records.collect::<Result<_, _>>()?)
    }

    /// Takes a key away, durably. False where no key of that id stood.
    ///
    /// # Errors
    /// When it can't be stored.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<bool, KeyError> {
        let transaction = self.write()?;
        let revoked = transaction.execute(
            "UPDATE key SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL",
            (id, millis(now)),
        )?;
        transaction.commit()?;
        Ok(revoked > 0)
    }

    /// A number that moves when another connection, of whatever process, has changed the file.
    pub(super) fn version(&self) -> Result<i64, KeyError> {
        Ok(self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Whether the path leads to another file by now: one that was put in the place of this one, or none.
    pub(super) fn is_replaced(&self) -> bool {
        FileIdentity::of(&self.path).is_none_or(|identity| identity != self.identity)
    }

    /// How long to wait for a writer that is in the way.
    pub(super) fn set_patience(&self, patience: Duration) -> Result<(), KeyError> {
        Ok(self.connection.busy_timeout(patience)?)
    }

    /// The keys that stand.
    pub(super) fn standing(&self) -> Result<Vec<(TokenHash, Grant)>, KeyError> {
        let mut statement = self
            .connection
            .prepare("SELECT id, hash, role, topics FROM key WHERE revoked_ms IS NULL")?;
        let keys = statement.query_map([], |row| {
            let hash: Vec<u8> = row.get(1)?;
            let hash = TokenHash::from_bytes(&hash)
                .ok_or_else(|| broken(1, Type::Blob, "a hash has 32 bytes"))?;
            let id: String = row.get(0)?;
            Ok((hash, Grant::new(id, row.get(2)?, &globs_of(row, 3)?)))
        })?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    fn write(&self) -> Result<Transaction<'_>, KeyError> {
        let immediate = TransactionBehavior::Immediate;
        Ok(Transaction::new_unchecked(&self.connection, immediate)?)
    }
}

impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Self::from_name(name)
            .ok_or_else(|| FromSqlError::Other(format!("there is no role {name:?}").into()))
    }
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    let time = |millis: i64| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(KeyRecord {
        id: row.get(0)?,
        role: row.get(1)?,
        topics: globs_of(row, 2)?,
        name: row.get(3)?,
        created_at: time(row.get(4)?),
        revoked_at: row.get::<_, Option<i64>>(5)?.map(time),
    })
}

fn globs_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    let globs: String = row.get(column)?;
    Ok(globs.split(' ').map(str::to_owned).collect())
}

fn broken(column: usize, kind: Type, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, what.into())
}

/// Makes the folder where it is missing, and the file; both are for their owner alone.
fn make_file(folder: &Path, path: &Path) -> std::io::Result<FileIdentity> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(file) => {
            let (owner, maker) = (folder.metadata()?, file.metadata()?);
            // Made by root for a server that runs as the owner of the folder: it is the server's.
            if owner.uid() != maker.uid() {
                chown(path, Some(owner.uid()), Some(owner.gid()))?;
            }
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mode = path.metadata()?.permissions().mode();
            if mode & 0o077 != 0 {
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
        }
        Err(error) => return Err(error),
    }
    FileIdentity::of(path).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), KeyError> {
    if check_schema(connection, path)? == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while we waited for the lock.
    if check_schema(&transaction, path)? < SCHEMA_VERSION {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(transaction.commit()?)
}

/// The schema that the file has; 0 for a new one.
fn check_schema(connection: &Connection, path: &Path) -> Result<i64, KeyError> {
    let foreign = || KeyError::Foreign(path.display().to_string());
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => foreign(),
                _ => error.into(),
            })
    };
    let found = number("PRAGMA user_version")?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if number("PRAGMA application_id")? != APPLICATION_ID && (found != 0 || !is_empty) {
        return Err(foreign());
    }
    if found > SCHEMA_VERSION {
        return Err(KeyError::Newer { found });
    }
    Ok(found)
}

/// Sees to it that fewer than `keys_max` keys are there.
fn make_room(transaction: &Transaction<'_>, keys_max: usize) -> Result<(), KeyError> {
    let keys: i64 = transaction.query_row("SELECT count(*) FROM key", [], |row| row.get(0))?;
    if usize::try_from(keys).unwrap_or(usize::MAX) < keys_max {
        return Ok(());
    }
    let removed = transaction.execute(
        "DELETE FROM key WHERE id = (
             SELECT id FROM key WHERE revoked_ms IS NOT NULL ORDER BY revoked_ms, id LIMIT 1
         )",
        [],
    )?;
    if removed == 0 {
        return Err(KeyError::Full);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
