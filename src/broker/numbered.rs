//! Entries by their numbers, for pages whose addresses and content stay put.
//!
//! A snapshot counts from the newest entry, which moves; a number counts from the oldest, which does not. Who asks says
//! which numbers it wants once it knows how many there are, all in one read of the store. What a page is, this room does not know.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::read::{entry_answer, first_offset};
use super::{Broker, EntryAnswer};
use crate::model::{EntryId, Offset, TopicName};
use crate::store::{ReadError, Shelf, StoredTopic};

/// A stretch of a topic's entries.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// The topic, with the head that all of it is true at.
    pub topic: StoredTopic,
    /// What there is of the topic.
    pub shelf: Shelf,
    /// The number of the oldest entry here.
    pub first: u64,
    /// The entries with the offsets of their publication, newest first.
    pub entries: Vec<(Offset, EntryAnswer)>,
}

impl Broker {
    /// The entries with the numbers that `pick` names; none where there is no such topic.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn numbered(
        self: &Arc<Self>,
        topic: &TopicName,
        around: Option<EntryId>,
        pick: impl Fn(&Shelf) -> RangeInclusive<u64> + Send + 'static,
    ) -> Result<Option<Numbered>, ReadError> {
        let topic = topic.clone();
        let page = self
            .blocking(move |store| store.numbered(&topic, around.as_ref(), &pick))
            .await?;
        let Some(page) = page else {
            return Ok(None);
        };
        let entries = page
            .entries
            .iter()
            .map(|stored| Ok((first_offset(stored).unwrap_or(0), entry_answer(stored)?)))
            .collect::<Result<_, ReadError>>()?;
        Ok(Some(Numbered {
            topic: page.topic,
            shelf: page.shelf,
            first: page.first,
            entries,
        }))
    }
}
