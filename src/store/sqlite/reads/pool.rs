//! A few read connections, opened when they are first needed and used again.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::broken;
use crate::store::ReadError;
use crate::store::sqlite::schema;

/// Most read connections; a further read waits for one of them.
const CONNECTIONS_MAX: usize = 8;

/// The read connections of a database.
pub(in crate::store::sqlite) struct ReaderPool {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

/// A connection that is lent; it comes back by itself.
struct Lent<'a> {
    pool: &'a ReaderPool,
    connection: Option<Connection>,
}

impl ReaderPool {
    /// A pool for the database at `path`; nothing is opened yet.
    pub(in crate::store::sqlite) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Reads with one of the connections, waiting while all are in use.
    pub(in crate::store::sqlite) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut lent = self.lend();
        let connection = match lent.connection.take() {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(broken)?,
        };
        read(lent.connection.insert(connection))
    }

    fn lend(&self) -> Lent<'_> {
        let mut state = self.lock();
        while state.lent >= CONNECTIONS_MAX {
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        Lent {
            pool: self,
            connection: state.idle.pop(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.lent -= 1;
        // One that is still in a transaction would go on reading an old state.
        state
            .idle
            .extend(self.connection.take().filter(Connection::is_autocommit));
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn connections_are_used_again_and_never_more_than_the_limit() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        drop(schema::open_writer(&path).expect("made"));
        let pool = ReaderPool::new(path);
        let all_lent = Barrier::new(CONNECTIONS_MAX);
        std::thread::scope(|scope| {
            for _ in 0..CONNECTIONS_MAX {
                scope.spawn(|| pool.with(|_| Ok(all_lent.wait())).expect("read"));
            }
        });
        assert_eq!(pool.lock().idle.len(), CONNECTIONS_MAX);
        std::thread::scope(|scope| {
            for _ in 0..4 * CONNECTIONS_MAX {
                scope.spawn(|| pool.with(|_| Ok(())).expect("read"));
            }
        });
        let state = pool.lock();
        assert_eq!((state.idle.len(), state.lent), (CONNECTIONS_MAX, 0));
    }

    #[test]
    fn a_connection_comes_back_from_an_error_and_from_a_panic() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        let pool = ReaderPool::new(path.clone());
        assert!(pool.with(|_| Ok(())).is_err(), "no such file");
        drop(schema::open_writer(&path).expect("made"));
        for _ in 0..2 * CONNECTIONS_MAX {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                pool.with(|_| -> Result<(), ReadError> { panic!("in a read") })
            }));
            assert!(panicked.is_err());
        }
        assert_eq!(pool.lock().lent, 0);
    }

    #[test]
    fn a_reader_can_not_write() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.db");
        drop(schema::open_writer(&path).expect("made"));
        let refused = ReaderPool::new(path)
            .with(|connection| connection.execute("DELETE FROM topic", []).map_err(broken));
        assert!(matches!(refused, Err(ReadError::Medium(_))), "{refused:?}");
    }
}
