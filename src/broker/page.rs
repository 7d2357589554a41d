//! Pages of the log for laggards: aligned, so that all who are behind share them, read once, bounded in bytes.
//!
//! Page `n` has the changes `64 n + 1` to `64 n + 64`. A page that the head has not filled yet is not kept. A
//! retraction in a topic makes all its pages void; a page carries the number of the last redaction before it was read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::{Broker, Channel, Frame};
use crate::model::{Offset, TopicName};
use crate::store::{ReadError, ReadLimit};

/// Changes of a full page.
pub const PAGE_CHANGES: u64 = 64;

/// Some changes in a row, oldest first.
#[derive(Debug)]
pub struct Page {
    frames: Vec<Arc<Frame>>,
    redactions: u64,
}

/// The pages that are kept, oldest out first.
pub(super) struct Pages {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

type Key = (TopicName, u64);
type Cell = Arc<OnceCell<Arc<Page>>>;

#[derive(Default)]
struct Kept {
    cells: HashMap<Key, Cell>,
    order: VecDeque<(Key, usize)>,
    bytes: usize,
}

impl Page {
    /// The frames behind `cursor`; none where the page has nothing for it.
    pub fn after(&self, cursor: Offset) -> &[Arc<Frame>] {
        let first = self.frames.first().map_or(0, |frame| frame.offset());
        let skip = usize::try_from((cursor + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.frames.get(skip..).unwrap_or(&[])
    }

    /// Whether nothing was retracted since it was read.
    pub fn is_current(&self, channel: &Channel) -> bool {
        !channel.is_void(self.redactions)
    }
}

impl Pages {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            kept: Mutex::default(),
        }
    }

    pub(super) fn forget(&self, topic: &TopicName) {
        let mut kept = self.lock();
        kept.cells.retain(|(name, _), _| name != topic);
        let mut freed = 0;
        kept.order.retain(|((name, _), bytes)| {
            let keep = name != topic;
            freed += if keep { 0 } else { *bytes };
            keep
        });
        kept.bytes -= freed;
    }

    fn cell(&self, key: &Key) -> Cell {
        Arc::clone(self.lock().cells.entry(key.clone()).or_default())
    }

    /// Lets go of a cell that nobody fills any more.
    fn give_up(&self, key: &Key, cell: &Cell) {
        let mut kept = self.lock();
        // The map's and the caller's: whoever waits for it has one as well.
        let is_last = Arc::strong_count(cell) <= 2;
        let is_kept = |now: &Cell| Arc::ptr_eq(now, cell);
        if is_last && !cell.initialized() && kept.cells.get(key).is_some_and(is_kept) {
            kept.cells.remove(key);
        }
    }

    /// Keeps a full page, and lets go of a short one. A cell that was forgotten meanwhile is left alone.
    fn settle(&self, key: &Key, cell: &Cell, page: Option<&Page>) {
        let mut kept = self.lock();
        if !kept
            .cells
            .get(key)
            .is_some_and(|now| Arc::ptr_eq(now, cell))
        {
            return;
        }
        let Some(page) = page.filter(|page| page.frames.len() as u64 == PAGE_CHANGES) else {
            kept.cells.remove(key);
            return;
        };
        let bytes = page.frames.iter().map(|frame| frame.weight()).sum();
        kept.order.push_back((key.clone(), bytes));
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max && kept.order.len() > 1 {
            if let Some((oldest, bytes)) = kept.order.pop_front() {
                kept.cells.remove(&oldest);
                kept.bytes -= bytes;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What a panic could leave behind is a page too few.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a page; who leaves as the last one takes the empty cell away.
struct Asked<'a> {
    pages: &'a Pages,
    key: &'a Key,
    cell: &'a Cell,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.cell.initialized() {
            self.pages.give_up(self.key, self.cell);
        }
    }
}

impl Broker {
    /// The page with the change behind `cursor`. Readers that ask for the same page at once share one read.
    ///
    /// # Errors
    /// When the store can't be read; never an altered or a missing change.
    pub async fn page(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        cursor: Offset,
    ) -> Result<Arc<Page>, ReadError> {
        loop {
            let key = (channel.name().clone(), cursor / PAGE_CHANGES);
            let cell = self.pages.cell(&key);
            let _asked = Asked {
                pages: &self.pages,
                key: &key,
                cell: &cell,
            };
            let mut read_here = false;
            let page = cell
                .get_or_try_init(|| {
                    read_here = true;
                    self.read_page(channel, key.1)
                })
                .await;
            if read_here {
                self.pages
                    .settle(&key, &cell, page.as_ref().ok().map(|page| page.as_ref()));
            }
            let page = Arc::clone(page?);
            if !page.is_current(channel) {
                self.pages.forget(channel.name());
                continue;
            }
            if page.after(cursor).is_empty() && cursor < channel.head() && !read_here {
                // A short page that another reader shared before the head moved on.
                continue;
            }
            return Ok(page);
        }
    }

    async fn read_page(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        index: u64,
    ) -> Result<Arc<Page>, ReadError> {
        let redactions = channel.redactions();
        let name = channel.name().clone();
        let limit = ReadLimit {
            changes_max: usize::try_from(PAGE_CHANGES).unwrap_or(usize::MAX),
            bytes_max: usize::MAX,
        };
        let changes = self
            .blocking(move |store| store.read(&name, index * PAGE_CHANGES, limit))
            .await?;
        let frames: Vec<_> = changes.into_iter().map(Frame::new).collect();
        channel.hold_against(&frames);
        Ok(Arc::new(Page { frames, redactions }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_nobody_waits_for_any_more_leaves_nothing() {
        let pages = Pages::new(1 << 20);
        let key = (TopicName::parse("t").expect("a name"), 0);
        let (one, other) = (pages.cell(&key), pages.cell(&key));
        pages.give_up(&key, &one);
        assert_eq!(pages.lock().cells.len(), 1, "the other one waits");
        drop(one);
        pages.give_up(&key, &other);
        assert!(pages.lock().cells.is_empty());
    }
}
