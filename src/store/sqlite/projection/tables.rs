//! The tables that a projection has beside those of the embedded store: where it stands in the log, and what is lost.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::Projection;
use crate::model::{Epoch, Offset, TopicName};
use crate::store::ReadError;
use crate::store::sqlite::reads::read_error;
use crate::store::sqlite::rows::{self, sql, unsql};
use crate::store::sqlite::schema::OpenError;

const TABLES: &str = "
-- Where this node stands in the shared log.
CREATE TABLE IF NOT EXISTS shared_log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
-- The last record of each topic.
CREATE TABLE IF NOT EXISTS shared_topic (
    name TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Which records have content of an entry.
CREATE TABLE IF NOT EXISTS shared_content (
    topic TEXT NOT NULL,
    entry_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (topic, entry_id, sequence)
) STRICT, WITHOUT ROWID;
-- Which records content of an entry is still to be taken out of.
CREATE TABLE IF NOT EXISTS shared_erasure (
    sequence INTEGER NOT NULL,
    entry_id TEXT NOT NULL,
    PRIMARY KEY (sequence, entry_id)
) STRICT, WITHOUT ROWID;
-- What this node had of topics when it found that the log has lost records.
CREATE TABLE IF NOT EXISTS shared_lost (
    name TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    head INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Records that no node has any more, and that the log goes on without.
CREATE TABLE IF NOT EXISTS shared_hole (
    sequence INTEGER PRIMARY KEY
) STRICT;
-- Topics that go on in a new numbering because of one, until the first record that is written in it.
CREATE TABLE IF NOT EXISTS shared_cut (
    name TEXT PRIMARY KEY,
    epoch TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

const DROP_TABLES: &str = "
DROP TABLE IF EXISTS shared_log; DROP TABLE IF EXISTS shared_topic; DROP TABLE IF EXISTS shared_content;
DROP TABLE IF EXISTS shared_erasure; DROP TABLE IF EXISTS shared_lost; DROP TABLE IF EXISTS shared_hole;
DROP TABLE IF EXISTS shared_cut;
";

/// Where a projection stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Identity of the log; empty where the projection is new.
    pub log: String,
    /// Sequence of the last record that was applied.
    pub sequence: u64,
    /// Its id.
    pub record: String,
}

/// Where a topic stands in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicStanding {
    /// Sequence of its last record; 0 where there is none.
    pub sequence: u64,
    /// Its id.
    pub record: String,
}

/// What this node had of a topic when the log was found to have lost records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The topic.
    pub topic: TopicName,
    /// Its numbering.
    pub epoch: String,
    /// The newest offset.
    pub head: Offset,
    /// Where it stood.
    pub standing: TopicStanding,
}

/// Whether a database is the projection of a shared log.
pub(in crate::store::sqlite) fn is_projection(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'shared_log')",
        [],
        |row| row.get(0),
    )
}

/// Makes a database that follows no log out of one that does.
pub(in crate::store::sqlite) fn drop_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(DROP_TABLES)
}

/// Makes the tables in a new folder; one with topics of a single node is refused.
pub(super) fn prepare(connection: &Connection, folder: &Path) -> Result<(), OpenError> {
    if !is_projection(connection)? {
        let used: bool =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM topic)", [], |row| row.get(0))?;
        if used {
            return Err(OpenError::NotProjection(folder.display().to_string()));
        }
    }
    // What power loss takes comes again from the log, and the sequence with it.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(TABLES)?;
    Ok(connection.execute_batch(
        "INSERT OR IGNORE INTO shared_log (id, log, sequence, record) VALUES (1, '', 0, '')",
    )?)
}

pub(super) fn topic_standing(
    connection: &Connection,
    topic: &TopicName,
) -> rusqlite::Result<TopicStanding> {
    let found = connection
        .prepare_cached("SELECT sequence, record FROM shared_topic WHERE name = ?1")?
        .query_row([topic.as_str()], |row| {
            Ok(TopicStanding {
                sequence: unsql(row.get(0)?),
                record: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

pub(super) fn standing(connection: &Connection) -> rusqlite::Result<Standing> {
    connection
        .prepare_cached("SELECT log, sequence, record FROM shared_log")?
        .query_row([], |row| {
            Ok(Standing {
                log: row.get(0)?,
                sequence: unsql(row.get(1)?),
                record: row.get(2)?,
            })
        })
}

/// Notes the last record of the log.
pub(super) fn advance(
    connection: &Connection,
    sequence: u64,
    record: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE shared_log SET sequence = ?1, record = ?2")?
        .execute(params![sql(sequence), record])
        .map(drop)
}

/// Notes the last record of a topic.
pub(super) fn advance_topic(
    connection: &Connection,
    topic: &TopicName,
    sequence: u64,
    record: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO shared_topic (name, sequence, record) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET sequence = ?2, record = ?3",
        )?
        .execute(params![topic.as_str(), sql(sequence), record])
        .map(drop)
}

impl Projection {
    /// Where it stands.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn standing(&self) -> Result<Standing, ReadError> {
        standing(&self.lock().connection).map_err(|error| read_error(&error))
    }

    /// Where a topic stands.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn topic_standing(&self, topic: &TopicName) -> Result<TopicStanding, ReadError> {
        topic_standing(&self.lock().connection, topic).map_err(|error| read_error(&error))
    }

    /// Says which log it follows from now on.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn follow(&self, log: &str) -> Result<(), ReadError> {
        self.lock()
            .connection
            .execute("UPDATE shared_log SET log = ?1", [log])
            .map(drop)
            .map_err(|error| read_error(&error))
    }

    /// Notes what it has of each topic, so that the next start knows that it has more than the log.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn mark_lost(&self) -> Result<(), ReadError> {
        self.lock()
            .connection
            .execute_batch(
                "INSERT OR IGNORE INTO shared_lost (name, epoch, head, sequence, record)
                 SELECT t.name, t.epoch, t.head, s.sequence, s.record
                 FROM topic t JOIN shared_topic s ON s.name = t.name",
            )
            .map_err(|error| read_error(&error))
    }

    /// Notes that another node has given offsets that the log does not have any more, in the place of these.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn note_given(
        &self,
        topic: &TopicName,
        epoch: &Epoch,
        head: Offset,
        sequence: u64,
        record: &str,
    ) -> Result<(), ReadError> {
        self.lock()
            .connection
            .execute(
                "INSERT OR REPLACE INTO shared_lost (name, epoch, head, sequence, record)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    topic.as_str(),
                    epoch.as_str(),
                    sql(head),
                    sql(sequence),
                    record
                ],
            )
            .map(drop)
            .map_err(|error| read_error(&error))
    }

    /// What it had when the log was found to have lost records.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lost(&self) -> Result<Vec<Lost>, ReadError> {
        let book = self.lock();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Lost>> {
            connection
                .prepare(
                    "SELECT name, epoch, head, sequence, record FROM shared_lost ORDER BY name",
                )?
                .query_map([], |row| {
                    Ok(Lost {
                        topic: rows::topic_name(row, 0)?,
                        epoch: row.get(1)?,
                        head: unsql(row.get(2)?),
                        standing: TopicStanding {
                            sequence: unsql(row.get(3)?),
                            record: row.get(4)?,
                        },
                    })
                })?
                .collect()
        };
        read(&book.connection).map_err(|error| read_error(&error))
    }

    /// Copies the database to a file beside it, named after where it stands; one that is there stays.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_copy(&self) -> Result<PathBuf, ReadError> {
        use std::os::unix::fs::PermissionsExt;
        let book = self.lock();
        let medium = |error: std::io::Error| ReadError::Medium(error.to_string());
        let sequence = standing(&book.connection)
            .map_err(|error| read_error(&error))?
            .sequence;
        let path = self.folder().join(format!("lost-{sequence}.db"));
        if path.exists() {
            return Ok(path);
        }
        book.connection
            .execute("VACUUM INTO ?1", [path.to_string_lossy()])
            .map_err(|error| read_error(&error))?;
        let owner_alone = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, owner_alone).map_err(medium)?;
        Ok(path)
    }

    /// Drops every row but what it notes as lost: the log is read from its beginning after that.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn begin_anew(&self) -> Result<(), ReadError> {
        let mut book = self.lock();
        book.topics.clear();
        book.connection
            .execute_batch(
                "BEGIN IMMEDIATE;
                 DELETE FROM topic; DELETE FROM change; DELETE FROM entry; DELETE FROM held;
                 DELETE FROM idempotency; DELETE FROM audit;
                 DELETE FROM shared_topic; DELETE FROM shared_content; DELETE FROM shared_erasure;
                 DELETE FROM shared_hole; DELETE FROM shared_cut;
                 INSERT OR IGNORE INTO unswept (id) VALUES (1);
                 UPDATE shared_log SET log = '', sequence = 0, record = '';
                 COMMIT",
            )
            .map_err(|error| read_error(&error))
    }

    /// Forgets what it noted as lost: the topics have their new numberings.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn settle_lost(&self) -> Result<(), ReadError> {
        self.lock()
            .connection
            .execute_batch("DELETE FROM shared_lost")
            .map_err(|error| read_error(&error))
    }
}
