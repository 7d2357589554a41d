//! A reader of a peer of `compare`: what its server wrapped around a change is taken off, and the change goes to the
//! same check as the broker's.

use super::{Reader, Room};
use crate::check::Cursor;
use crate::message::{self, Message};
use crate::reader::dialect::{self, Dialect, Heard};

impl Room {
    /// A whole WebSocket message of `len` bytes with its frame.
    #[inline]
    pub(super) fn hear(
        &mut self,
        slot: usize,
        dialect: Dialect,
        payload: &[u8],
        len: usize,
        now: u64,
    ) {
        if dialect == Dialect::Bare {
            return self.heard(slot, Heard::Change(payload), len, now);
        }
        // The frame's bytes belong to its first change.
        let mut len = len;
        for line in payload.split(|byte| *byte == b'\n') {
            let heard = dialect::centrifugo(line);
            self.heard(slot, heard, len, now);
            if matches!(heard, Heard::Change(_)) {
                len = 0;
            }
        }
    }

    /// The data of an event of `len` bytes; none of a sign of life.
    pub(super) fn hear_event(&mut self, slot: usize, data: Option<&[u8]>, len: usize, now: u64) {
        let heard = data.map_or(Heard::Nothing, Heard::Change);
        self.heard(slot, heard, len, now);
    }

    #[inline]
    fn heard(&mut self, slot: usize, heard: Heard<'_>, len: usize, now: u64) {
        match heard {
            Heard::Standing => self.stand(slot),
            Heard::Nothing => self.pulse.heartbeats += 1,
            Heard::Outside(what) => {
                let what = String::from_utf8_lossy(&what[..what.len().min(200)]);
                self.outside(slot, &what);
            }
            Heard::Change(payload) => match message::read(payload) {
                Message::Change(offset) => self.change(slot, offset, payload, len, now),
                _ => self.outside(slot, "a message that was not published"),
            },
        }
    }
}

impl Reader {
    /// The cursor of a publisher's own numbering, and the number in it: with several publishers, `offset` goes around.
    #[inline]
    pub(super) fn lane(&mut self, offset: u64, lanes: u64) -> (&mut Cursor, u64) {
        if lanes <= 1 {
            return (&mut self.cursor, offset);
        }
        let (lane, number) = ((offset.max(1) - 1) % lanes, (offset.max(1) - 1) / lanes + 1);
        let at = usize::try_from(lane).unwrap_or(0);
        match at.checked_sub(1) {
            None => (&mut self.cursor, number),
            Some(at) => {
                if self.lanes.len() <= at {
                    self.lanes.resize(at + 1, Cursor::behind(0));
                }
                (&mut self.lanes[at], number)
            }
        }
    }

    /// The last offset that came; with several publishers, how many of their changes.
    pub(super) fn reached(&self) -> u64 {
        self.cursor.offset() + self.lanes.iter().map(Cursor::offset).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Step;

    #[test]
    fn every_publisher_has_a_numbering_of_its_own() {
        let mut reader = Reader::new(0);
        // Three publishers: 1, 4, 7 are the first's; 2, 5 the second's; 3 the third's.
        for offset in [1, 2, 4, 3, 7, 5] {
            let (cursor, number) = reader.lane(offset, 3);
            assert_eq!(cursor.step(number), Step::Next, "{offset}");
        }
        assert_eq!(reader.reached(), 6);
        let (cursor, number) = reader.lane(4, 3);
        assert_eq!(cursor.step(number), Step::Duplicate);
        let (cursor, number) = reader.lane(9, 3);
        assert_eq!(cursor.step(number), Step::Gap { missing: 1 });
    }

    #[test]
    fn one_publisher_has_the_numbers_as_they_are() {
        let mut reader = Reader::new(0);
        let (cursor, number) = reader.lane(1, 1);
        assert_eq!((cursor.step(number), number), (Step::Next, 1));
        assert_eq!(reader.reached(), 1);
    }
}
