//! The writer thread: takes what waits in the queue into one transaction, commits once, answers, feeds.
//!
//! It alone writes the database, so it may keep the topics' heads in memory. After any rollback they are forgotten
//! and read again. A commit whose outcome is open ends the writer's work: it refuses everything from then on.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::reads::read_error;
use super::rows::TopicRow;
use super::schema::{Leave, leave_log};
use super::steps::{Group, StepError};
use super::sweep;
use crate::clock::Clock;
use crate::model::TopicName;
use crate::store::{Append, AppendError, Appended, Committed, ReadError, Refused, StoreOptions};

/// Most appends in one transaction: bounds how long the first of them waits for its commit.
const GROUP_MAX: usize = 256;

/// Most steps in one transaction, but for the append that passes it: bounds its memory.
const GROUP_STEPS_MAX: usize = 4_096;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Store this.
    Append(Box<Append>, Reply),
    /// Fold the WAL into the database and cut it to nothing.
    Compact(oneshot::Sender<Result<bool, ReadError>>),
}

type Reply = oneshot::Sender<Result<Appended, AppendError>>;
type Outcomes = Vec<Result<Appended, AppendError>>;

/// The one writer of a database.
pub(super) struct Writer {
    connection: Connection,
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    feed: mpsc::Sender<Vec<Committed>>,
    failed: Arc<OnceLock<String>>,
    topics: HashMap<TopicName, TopicRow>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        feed: mpsc::Sender<Vec<Committed>>,
        failed: Arc<OnceLock<String>>,
    ) -> Self {
        Self {
            connection,
            options,
            clock,
            feed,
            failed,
            topics: HashMap::new(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(first) = queue.blocking_recv() {
            let mut appends = Vec::new();
            let mut replies = Vec::new();
            let mut compactions = Vec::new();
            let mut next = Some(first);
            let mut steps = 0;
            while let Some(command) = next {
                match command {
                    Command::Append(append, reply) => {
                        steps += append.steps.len();
                        appends.push(*append);
                        replies.push(reply);
                    }
                    Command::Compact(reply) => compactions.push(reply),
                }
                let room = appends.len() < GROUP_MAX && steps < GROUP_STEPS_MAX;
                next = if room { queue.try_recv().ok() } else { None };
            }
            if !appends.is_empty() {
                self.commit(appends, replies);
            }
            if !compactions.is_empty() {
                let outcome = sweep::compact(&self.connection).map_err(|error| read_error(&error));
                for reply in compactions {
                    // Whoever asked may be gone; the work is done all the same.
                    let _ = reply.send(outcome.clone());
                }
            }
        }
        if self.failed.get().is_none()
            && let Err(error) = sweep::fold_in(&self.connection)
        {
            tracing::warn!(%error, "the write-ahead log is not folded in yet; the next start does it");
        }
    }

    fn commit(&mut self, appends: Vec<Append>, replies: Vec<Reply>) {
        if let Some(reason) = self.failed.get() {
            let error = AppendError::NotStored(Refused::Failed(reason.clone()));
            return answer_all(replies, &error);
        }
        let applied = self.apply(appends);
        let committed = match applied {
            Ok((outcomes, committed)) => match self.connection.execute_batch("COMMIT") {
                Ok(()) => {
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        // Whoever asked may be gone; the change is stored all the same.
                        let _ = reply.send(outcome);
                    }
                    committed
                }
                Err(error) => return answer_all(replies, &self.commit_failed(&error)),
            },
            Err(error) => return answer_all(replies, &self.roll_back(&error)),
        };
        if !committed.is_empty() {
            // A broker that is gone needs no feed.
            let _ = self.feed.blocking_send(committed);
        }
    }

    fn apply(&mut self, appends: Vec<Append>) -> rusqlite::Result<(Outcomes, Vec<Committed>)> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let now = self.clock.now();
        let mut group = Group::new(
            &self.connection,
            &mut self.topics,
            now,
            self.options.topics_max,
        );
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            outcomes.push(match group.apply(append) {
                Ok(appended) => Ok(appended),
                Err(StepError::Refused(refused)) => Err(AppendError::NotStored(refused)),
                Err(StepError::Sqlite(error)) => return Err(error),
            });
        }
        Ok((outcomes, group.finish()?))
    }

    /// Undoes a transaction that never reached its commit.
    fn roll_back(&mut self, cause: &rusqlite::Error) -> AppendError {
        self.topics.clear();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            return AppendError::NotStored(self.fail(&error));
        }
        AppendError::NotStored(match cause.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Refused::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Refused::Busy(self.options.queue_max)
            }
            _ => self.fail(cause),
        })
    }

    /// A full disk or a lock is noticed before the commit record is written; after anything else the outcome is open.
    fn commit_failed(&mut self, cause: &rusqlite::Error) -> AppendError {
        match cause.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                self.roll_back(cause)
            }
            _ => {
                self.topics.clear();
                self.fail(cause);
                AppendError::OutcomeUnknown(cause.to_string())
            }
        }
    }

    fn fail(&self, cause: &rusqlite::Error) -> Refused {
        let reason = cause.to_string();
        tracing::error!(%reason, "the store has failed and takes no more appends");
        if let Err(error) = leave_log(&self.connection, Leave::AsItIs) {
            tracing::error!(%error, "closing the database may sync it once more");
        }
        // The first reason is the one to tell.
        let _ = self.failed.set(reason.clone());
        Refused::Failed(reason)
    }
}

fn answer_all(replies: Vec<Reply>, error: &AppendError) {
    for reply in replies {
        // Whoever asked may be gone.
        let _ = reply.send(Err(error.clone()));
    }
}
