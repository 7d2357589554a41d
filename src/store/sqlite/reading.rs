//! The reads of the contract on the database file of a data folder, for whoever writes it: this store, or the
//! projection of a shared log.

use std::path::PathBuf;

use super::reads::{self, ReaderPool};
use crate::model::{EntryId, Offset, TopicName};
use crate::store::{
    AuditRecord, EntryPage, EntryQuery, HeldEntry, KeepName, NumberedPage, PickNumbers, ReadError,
    ReadLimit, Remembered, StoredChange, StoredEntry, StoredTopic,
};

/// Reads of one database.
pub struct Reading(ReaderPool);

impl Reading {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(ReaderPool::new(path))
    }

    /// The changes behind `after`: see [`crate::store::Store::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(
        &self,
        topic: &TopicName,
        after: Offset,
        limit: ReadLimit,
    ) -> Result<Vec<StoredChange>, ReadError> {
        self.0
            .with(|connection| reads::changes(connection, topic, after, limit))
    }

    /// One topic: see [`crate::store::Store::topic`].
    ///
    /// # Errors
    /// As there.
    pub fn topic(&self, topic: &TopicName) -> Result<Option<StoredTopic>, ReadError> {
        self.0.with(|connection| reads::topic(connection, topic))
    }

    /// Topics by name: see [`crate::store::Store::topics`].
    ///
    /// # Errors
    /// As there.
    pub fn topics(
        &self,
        after: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.0
            .with(|connection| reads::topics(connection, after, limit))
    }

    /// Public topics by their newest change: see [`crate::store::Store::newest_topics`].
    ///
    /// # Errors
    /// As there.
    pub fn newest_topics(&self, limit: usize) -> Result<Vec<StoredTopic>, ReadError> {
        self.0
            .with(|connection| reads::newest_topics(connection, limit))
    }

    /// Named topics by their newest change: see [`crate::store::Store::newest_named`].
    ///
    /// # Errors
    /// As there.
    pub fn newest_named(
        &self,
        keep: &KeepName<'_>,
        limit: usize,
    ) -> Result<Vec<StoredTopic>, ReadError> {
        self.0
            .with(|connection| reads::newest_named(connection, keep, limit))
    }

    /// One entry: see [`crate::store::Store::entry`].
    ///
    /// # Errors
    /// As there.
    pub fn entry(&self, topic: &TopicName, id: &EntryId) -> Result<Option<StoredEntry>, ReadError> {
        self.0
            .with(|connection| reads::entry(connection, topic, id))
    }

    /// A snapshot page: see [`crate::store::Store::entries`].
    ///
    /// # Errors
    /// As there.
    pub fn entries(
        &self,
        topic: &TopicName,
        query: &EntryQuery,
    ) -> Result<Option<EntryPage>, ReadError> {
        self.0
            .with(|connection| reads::entries(connection, topic, query))
    }

    /// Entries by their numbers: see [`crate::store::Store::numbered`].
    ///
    /// # Errors
    /// As there.
    pub fn numbered(
        &self,
        topic: &TopicName,
        around: Option<&EntryId>,
        pick: &PickNumbers<'_>,
    ) -> Result<Option<NumberedPage>, ReadError> {
        self.0
            .with(|connection| reads::numbered(connection, topic, around, pick))
    }

    /// Held entries: see [`crate::store::Store::held`].
    ///
    /// # Errors
    /// As there.
    pub fn held(
        &self,
        topic: Option<&TopicName>,
        limit: usize,
    ) -> Result<Vec<HeldEntry>, ReadError> {
        self.0
            .with(|connection| reads::held(connection, topic, limit))
    }

    /// What a key was answered with: see [`crate::store::Store::remembered`].
    ///
    /// # Errors
    /// As there.
    pub fn remembered(
        &self,
        topic: &TopicName,
        key: &str,
    ) -> Result<Option<Remembered>, ReadError> {
        self.0
            .with(|connection| reads::remembered(connection, topic, key))
    }

    /// The audit trail: see [`crate::store::Store::audit`].
    ///
    /// # Errors
    /// As there.
    pub fn audit(&self, topic: &TopicName, limit: usize) -> Result<Vec<AuditRecord>, ReadError> {
        self.0
            .with(|connection| reads::audit(connection, topic, limit))
    }
}
