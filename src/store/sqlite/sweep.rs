//! Making retracted bytes disappear from the file, and folding the write-ahead log in.

use std::time::Duration;

use rusqlite::Connection;

use super::rows;
use super::schema::BUSY_TIMEOUT;

/// How long folding in the WAL waits for readers.
const COMPACT_WAIT: Duration = Duration::from_millis(200);

/// Sweeps out what retractions left and folds in the WAL.
///
/// SQLite overwrites what it deletes, but when it splits or merges pages it leaves copies of the rows it moved in
/// their unused parts. Only writing the database anew is sure to leave none, so that is done, but only where
/// something was retracted since the last time.
pub(super) fn compact(connection: &Connection) -> rusqlite::Result<bool> {
    if rows::unswept(connection)? {
        connection.execute_batch("VACUUM; DELETE FROM unswept")?;
    }
    fold_in(connection)
}

/// Folds the WAL into the database and cuts it to nothing, unless a read is in the way.
pub(super) fn fold_in(connection: &Connection) -> rusqlite::Result<bool> {
    // Appends wait meanwhile, so a long read is soon given way to.
    connection.busy_timeout(COMPACT_WAIT)?;
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(busy == 0)
}
