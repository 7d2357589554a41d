//! A topic in one shard: its subscribers of this shard in a dense array, each a cursor, and the walk over them.
//!
//! A walk goes downwards, so that a member who leaves (the last one takes its place) or joins (at the end) in the middle
//! of it makes nobody be missed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::connection::Key;
use super::runs::Runs;
use crate::broker::{Channel, Page, Presence};
use crate::model::Offset;

/// Pages that a topic of a shard holds for its laggards.
const PAGES_MAX: usize = 4;

/// A topic that somebody in the shard follows.
pub(super) struct ShardTopic {
    pub channel: Arc<Channel>,
    pub members: Vec<Member>,
    pub runs: Runs,
    pub pages: Pages,
    /// The members below this place are still to be visited; none where no walk is under way.
    pub walk: Option<usize>,
    /// The head when the walk began.
    pub walk_head: Offset,
    /// The head when the last whole walk began. Whoever is behind that was looked at in it, and goes on by its own turn.
    pub walked: Offset,
    /// It stands in the shard's queue of walks.
    pub is_live: bool,
    /// The head moved since the walk began.
    pub is_dirty: bool,
    pub walk_began: Option<Instant>,
    /// The walk that tells of presence, and the count it tells.
    pub presence_walk: Option<(usize, u64)>,
    pub presence_told: u64,
}

/// A subscriber.
#[derive(Debug)]
pub(super) struct Member {
    pub cursor: Offset,
    /// Index of its connection.
    pub connection: u32,
    /// It waits for a page.
    pub waits: bool,
    pub _presence: Presence,
}

/// Pages asked for and pages there.
#[derive(Debug, Default)]
pub(super) struct Pages {
    slots: HashMap<u64, Slot>,
    order: Vec<u64>,
}

#[derive(Debug)]
enum Slot {
    Asked(Vec<Key>),
    Here(Arc<Page>),
}

/// What to do for a subscriber that needs a page.
#[derive(Debug)]
pub(super) enum PageAnswer {
    /// It is here.
    Here(Arc<Page>),
    /// It has been asked for; the subscriber will be told.
    Wait,
    /// Ask the broker; the subscriber will be told.
    Ask,
}

impl ShardTopic {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self {
            channel,
            members: Vec::new(),
            runs: Runs::default(),
            pages: Pages::default(),
            walk: None,
            walk_head: 0,
            walked: 0,
            is_live: false,
            is_dirty: false,
            walk_began: None,
            presence_walk: None,
            presence_told: 0,
        }
    }

    /// Lets go of every copy of older bytes. Those who wait for a page go on waiting.
    pub(super) fn forget_bytes(&mut self) {
        self.runs.clear();
        self.pages.clear();
    }
}

impl Pages {
    /// The page, or who will be told when it is there.
    pub(super) fn get(
        &mut self,
        index: u64,
        channel: &Channel,
        cursor: Offset,
        key: Key,
    ) -> PageAnswer {
        match self.slots.get_mut(&index) {
            Some(Slot::Here(page))
                if page.is_current(channel) && !page.after(cursor).is_empty() =>
            {
                return PageAnswer::Here(Arc::clone(page));
            }
            Some(Slot::Asked(waiting)) => {
                waiting.push(key);
                return PageAnswer::Wait;
            }
            _ => {}
        }
        self.order.retain(|kept| *kept != index);
        self.slots.insert(index, Slot::Asked(vec![key]));
        PageAnswer::Ask
    }

    /// Takes a page in, or the news that there is none, and gives those who wait for it.
    pub(super) fn settle(&mut self, index: u64, page: Option<Arc<Page>>) -> Vec<Key> {
        let waiting = match self.slots.remove(&index) {
            Some(Slot::Asked(waiting)) => waiting,
            _ => Vec::new(),
        };
        if let Some(page) = page {
            self.order.retain(|kept| *kept != index);
            self.slots.insert(index, Slot::Here(page));
            self.order.push(index);
            if self.order.len() > PAGES_MAX {
                let oldest = self.order.remove(0);
                self.slots.remove(&oldest);
            }
        }
        waiting
    }

    fn clear(&mut self) {
        self.order.clear();
        self.slots.retain(|_, slot| matches!(slot, Slot::Asked(_)));
    }
}
