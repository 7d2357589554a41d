//! Changes of a topic in a row, joined once a shard into one buffer and shared by every subscriber at the same cursor.
//!
//! At a low rate a run is one frame and its bytes are the frame's own. When changes come faster than a walk over the
//! subscribers takes, the next walk finds several behind each cursor and sends them as one buffer: a write costs far
//! more than its bytes.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::broker::{Channel, Frame, Walk};
use crate::model::Offset;
use crate::protocol::Wire;

/// Most changes of a run.
const RUN_FRAMES_MAX: usize = 64;
/// About the most bytes of a run; a single larger change is a run of its own.
const RUN_BYTES_MAX: usize = 64 << 10;
/// Runs kept of a topic, for subscribers at different cursors.
const RUNS_MAX: usize = 32;
/// Bytes of runs kept of a topic, in each form that somebody reads.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Changes in a row.
#[derive(Debug)]
pub(super) struct Run {
    after: Offset,
    last: Offset,
    frames: Vec<Arc<Frame>>,
    plain: OnceCell<Bytes>,
    deflated: OnceCell<Bytes>,
    /// Built at its bounds: more stood behind it already.
    is_full: bool,
}

/// The runs kept of a topic.
#[derive(Debug, Default)]
pub(super) struct Runs {
    kept: VecDeque<Run>,
    bytes: usize,
}

/// What stands behind a cursor.
#[derive(Debug)]
pub(super) enum Behind<'a> {
    /// Nothing.
    AtHead,
    /// These changes.
    Run(&'a Run),
    /// Changes older than the ring.
    Store,
}

impl Run {
    fn new(after: Offset, frames: Vec<Arc<Frame>>, head: Offset) -> Option<Self> {
        let last = frames.last()?.offset();
        Some(Self {
            after,
            last,
            frames,
            plain: OnceCell::new(),
            deflated: OnceCell::new(),
            is_full: last < head,
        })
    }

    /// Offset of the newest change in it.
    pub(super) fn last(&self) -> Offset {
        self.last
    }

    /// How many changes it has.
    pub(super) fn count(&self) -> u64 {
        self.last - self.after
    }

    /// The frames of all its changes, joined when the first reader of that form asks.
    pub(super) fn bytes(&self, wire: Wire) -> &Bytes {
        let joined = match wire {
            Wire::Plain => &self.plain,
            Wire::Deflated => &self.deflated,
        };
        joined.get_or_init(|| join(&self.frames, wire))
    }

    /// Where a write that stopped after `sent` bytes leaves the cursor, and the rest of the frame it cut, if it cut one.
    ///
    /// The rest is a slice of that one frame, not of the run: a stalled reader keeps alive no more than that.
    pub(super) fn cut(&self, sent: usize, wire: Wire) -> (Offset, Option<Bytes>) {
        let mut end = 0;
        let mut cursor = self.after;
        for frame in &self.frames {
            if sent <= end {
                break;
            }
            let bytes = frame.ws(wire);
            cursor = frame.offset();
            if sent < end + bytes.len() {
                return (cursor, Some(bytes.slice(sent - end..)));
            }
            end += bytes.len();
        }
        (cursor, None)
    }

    /// About how many bytes it may hold, in each form.
    fn weight(&self) -> usize {
        self.frames.iter().map(|frame| frame.json().len()).sum()
    }
}

fn join(frames: &[Arc<Frame>], wire: Wire) -> Bytes {
    if let [only] = frames {
        return only.ws(wire).clone();
    }
    let length = frames.iter().map(|frame| frame.ws(wire).len()).sum();
    let mut joined = BytesMut::with_capacity(length);
    for frame in frames {
        joined.extend_from_slice(frame.ws(wire));
    }
    joined.freeze()
}

impl Runs {
    /// What stands between `cursor` and `head`, from what is kept or from the ring.
    pub(super) fn behind(&mut self, cursor: Offset, head: Offset, channel: &Channel) -> Behind<'_> {
        if cursor >= head {
            return Behind::AtHead;
        }
        if let Some(found) = self.find(cursor, head) {
            return Behind::Run(&self.kept[found]);
        }
        match channel.walk(cursor, RUN_FRAMES_MAX, RUN_BYTES_MAX) {
            Walk::AtHead => Behind::AtHead,
            Walk::Store => Behind::Store,
            Walk::Frames(frames) => self
                .keep(cursor, frames, head)
                .map_or(Behind::AtHead, Behind::Run),
        }
    }

    /// The run behind `cursor` out of frames read from the store; none where there are none.
    pub(super) fn join_page(
        &mut self,
        cursor: Offset,
        frames: &[Arc<Frame>],
        head: Offset,
    ) -> Option<&Run> {
        let mut bytes = 0;
        let frames: Vec<_> = frames
            .iter()
            .take_while(|frame| {
                let first = bytes == 0;
                bytes += frame.json().len();
                first || bytes <= RUN_BYTES_MAX
            })
            .cloned()
            .collect();
        self.keep(cursor, frames, head)
    }

    /// Lets go of everything: something in it was retracted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn find(&mut self, cursor: Offset, head: Offset) -> Option<usize> {
        let found = self.kept.iter().rposition(|run| run.after == cursor)?;
        let run = &self.kept[found];
        if run.is_full || run.last >= head {
            return Some(found);
        }
        // More has come since it was joined: a longer one takes its place.
        let outdated = self.kept.remove(found)?;
        self.bytes -= outdated.weight();
        None
    }

    fn keep(&mut self, cursor: Offset, frames: Vec<Arc<Frame>>, head: Offset) -> Option<&Run> {
        let run = Run::new(cursor, frames, head)?;
        self.bytes += run.weight();
        self.kept.push_back(run);
        while self.kept.len() > RUNS_MAX || (self.bytes > KEPT_BYTES_MAX && self.kept.len() > 1) {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.weight();
            }
        }
        self.kept.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChangeKind, EntryId};
    use crate::store::StoredChange;

    fn frame(offset: Offset, length: usize) -> Arc<Frame> {
        Frame::new(StoredChange {
            offset,
            kind: ChangeKind::EntryPublished,
            entry: EntryId::parse("e").ok(),
            json: format!("{{\"offset\":{offset},\"x\":\"{}\"}}", "y".repeat(length)).into(),
        })
    }

    fn frames(offsets: std::ops::RangeInclusive<Offset>) -> Vec<Arc<Frame>> {
        offsets.map(|offset| frame(offset, 10)).collect()
    }

    #[test]
    fn a_cut_run_leaves_the_rest_of_one_frame_and_the_cursor_on_it() {
        let run = Run::new(4, frames(5..=7), 7).expect("a run");
        assert_eq!((run.count(), run.last()), (3, 7));
        let length = frame(5, 10).ws(Wire::Plain).len();
        assert_eq!(run.bytes(Wire::Plain).len(), 3 * length);
        assert_eq!(run.cut(0, Wire::Plain), (4, None));
        assert_eq!(run.cut(length, Wire::Plain), (5, None));
        assert_eq!(run.cut(3 * length, Wire::Plain), (7, None));
        for sent in [1, length - 1, length + 1, 3 * length - 1] {
            let (cursor, rest) = run.cut(sent, Wire::Plain);
            let rest = rest.expect("a frame was cut");
            assert_eq!(cursor, 5 + (sent / length) as u64);
            assert_eq!(rest.len(), length - sent % length);
            let end = (sent / length + 1) * length;
            assert_eq!(rest, run.bytes(Wire::Plain).slice(sent..end));
        }
    }

    #[test]
    fn one_change_is_shared_and_several_are_joined() {
        let one = frame(1, 10);
        let run = Run::new(0, vec![Arc::clone(&one)], 1).expect("a run");
        assert_eq!(
            run.bytes(Wire::Plain).as_ptr(),
            one.ws(Wire::Plain).as_ptr()
        );
        assert!(Run::new(0, Vec::new(), 1).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut runs = Runs::default();
        for cursor in 0..200 {
            let big: Vec<_> = (cursor + 1..=cursor + 2)
                .map(|offset| frame(offset, 30_000))
                .collect();
            let run = runs.join_page(cursor, &big, 1_000).expect("a run");
            assert_eq!(run.count(), 2);
        }
        assert!(runs.kept.len() <= RUNS_MAX);
        assert!(runs.bytes <= KEPT_BYTES_MAX);
        let counted: usize = runs.kept.iter().map(Run::weight).sum();
        assert_eq!(counted, runs.bytes);
        runs.clear();
        assert_eq!((runs.kept.len(), runs.bytes), (0, 0));
    }

    #[test]
    fn a_page_is_cut_at_the_bytes_of_a_run() {
        let mut runs = Runs::default();
        let huge: Vec<_> = (1..=3).map(|offset| frame(offset, 50_000)).collect();
        let run = runs.join_page(0, &huge, 3).expect("a run");
        assert_eq!(run.last(), 1);
        assert!(run.is_full);
        let over: Vec<_> = (4..=5).map(|offset| frame(offset, 90_000)).collect();
        assert_eq!(runs.join_page(3, &over, 5).expect("a run").last(), 4);
    }
}
