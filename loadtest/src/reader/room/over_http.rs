//! What a reader over HTTP does with its bytes: an event stream that never ends, or one page after the other. The check
//! of every change is the same as for a WebSocket, and stands in `flow`.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::flow::End;
use super::{Begin, Room, State};
use crate::chunked::{Chunks, Piece};
use crate::event::{self, Block};
use crate::exchange::{self, Head, Length};
use crate::handshake::After;
use crate::http::split_position;
use crate::message::{self, Message};

/// How long the broker may wait for a change before it answers a poll.
const WAIT: Duration = Duration::from_secs(20);

/// What is half read of an event stream.
#[derive(Debug, Default)]
pub(super) struct Half {
    chunks: Chunks,
    /// The start of a block that is not whole.
    block: Vec<u8>,
    /// Bytes between the chunks that no change was charged with.
    framing: usize,
}

/// A catch-up page.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    position: &'a str,
    #[serde(borrow)]
    reset: Option<&'a RawValue>,
}

impl Room {
    /// Takes what is whole of an event stream; how many bytes that had.
    pub(super) fn consume_stream(
        &mut self,
        slot: usize,
        bytes: &[u8],
        now: u64,
    ) -> Result<usize, End> {
        let mut used = 0;
        if self.readers[slot].state == State::Answering {
            let Some(head) = exchange::head(bytes).map_err(End::Refused)? else {
                return Ok(0);
            };
            match head {
                Head { status: 200, .. } if head.length == Length::Chunked => used = head.bytes,
                Head { status: 200, .. } => {
                    return Err(End::Refused("a stream that has a length".to_owned()));
                }
                Head { status, .. } => return Err(End::Refused(format!("status {status}"))),
            }
            self.readers[slot].half = Half::default();
            self.readers[slot].state = State::Subscribing;
            if self.dialect.is_some() {
                self.stand(slot);
            }
        }
        let mut half = std::mem::take(&mut self.readers[slot].half);
        let outcome = self.pieces(slot, &mut half, &bytes[used..], now);
        self.readers[slot].half = half;
        Ok(used + outcome?)
    }

    fn pieces(
        &mut self,
        slot: usize,
        half: &mut Half,
        bytes: &[u8],
        now: u64,
    ) -> Result<usize, End> {
        let mut used = 0;
        loop {
            let (piece, len) = match half.chunks.take(&bytes[used..]) {
                Ok(Some(taken)) => taken,
                Ok(None) => return Ok(used),
                Err(breach) => return Err(self.breach(slot, breach)),
            };
            used += len;
            match piece {
                Piece::Bytes(bytes) => self.stream_bytes(slot, half, bytes, now)?,
                Piece::Framing => half.framing += len,
                Piece::End => {
                    self.ended(slot, "the server ended the stream")?;
                }
            }
        }
    }

    fn stream_bytes(
        &mut self,
        slot: usize,
        half: &mut Half,
        bytes: &[u8],
        now: u64,
    ) -> Result<(), End> {
        if half.block.is_empty() {
            let used = self.blocks(slot, &mut half.framing, bytes, now)?;
            half.block.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut half.block);
        gathered.extend_from_slice(bytes);
        let used = self.blocks(slot, &mut half.framing, &gathered, now)?;
        half.block = gathered.split_off(used);
        Ok(())
    }

    fn blocks(
        &mut self,
        slot: usize,
        framing: &mut usize,
        bytes: &[u8],
        now: u64,
    ) -> Result<usize, End> {
        let mut used = 0;
        loop {
            match event::take(&bytes[used..]) {
                Ok(Some((block, len))) => {
                    self.block(slot, block, len, framing, now);
                    used += len;
                }
                Ok(None) => return Ok(used),
                Err(breach) => return Err(self.breach(slot, breach)),
            }
        }
    }

    #[inline]
    fn block(&mut self, slot: usize, block: Block<'_>, len: usize, framing: &mut usize, now: u64) {
        if self.dialect.is_some() {
            return self.hear_event(slot, block.data, len + std::mem::take(framing), now);
        }
        let position = block.id.and_then(split_position);
        match (block.event, position, block.data) {
            (Some("reset"), Some((epoch, offset)), Some(_)) => {
                self.other(slot, Message::Reset(epoch, offset));
            }
            (Some(_), Some((epoch, offset)), Some(data)) => {
                if message::offset(data) != Some(offset) {
                    return self.outside(slot, "an event whose id is not its change's position");
                }
                self.same_epoch(slot, epoch);
                let bytes = len + std::mem::take(framing);
                self.change(slot, offset, data, bytes, now);
            }
            (None, Some((epoch, offset)), None) if self.readers[slot].state != State::Live => {
                self.subscribed(slot, epoch, offset);
            }
            (Some("presence"), None, Some(_)) => {}
            (None, None, None) if block.id.is_none() => self.pulse.heartbeats += 1,
            _ => self.outside(slot, "an event that is not in the protocol"),
        }
    }

    /// Takes whole answers to polls, and asks again after each; how many bytes they had.
    pub(super) fn consume_pages(
        &mut self,
        slot: usize,
        bytes: &[u8],
        now: u64,
    ) -> Result<usize, End> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let head = match exchange::head(rest) {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(used),
                Err(why) => return Err(self.breach(slot, &why)),
            };
            let (body, len) = match exchange::body(head.length, &rest[head.bytes..]) {
                Ok(Some(whole)) => whole,
                Ok(None) => return Ok(used),
                Err(why) => return Err(self.breach(slot, why)),
            };
            if head.status != 200 {
                self.ended(slot, &format!("status {}", head.status))?;
            }
            self.page(slot, &body, head.bytes + len, now)?;
            used += head.bytes + len;
        }
    }

    /// Takes one page, of `bytes` on the wire, and asks for the next.
    fn page(&mut self, slot: usize, body: &[u8], bytes: usize, now: u64) -> Result<(), End> {
        let page = std::str::from_utf8(body)
            .ok()
            .and_then(|text| serde_json::from_str::<Page<'_>>(text).ok());
        let Some((page, (epoch, last))) = page
            .and_then(|page| Some((split_position(page.position)?, page)))
            .map(|(position, page)| (page, position))
        else {
            return Err(self.breach(slot, "a page that is not in the protocol"));
        };
        if page.reset.is_some() {
            self.other(slot, Message::Reset(epoch, last));
        } else if self.readers[slot].state == State::Live {
            self.same_epoch(slot, epoch);
            self.pulse.heartbeats += u64::from(page.changes.is_empty());
        } else {
            let behind = last.saturating_sub(page.changes.len() as u64);
            self.subscribed(slot, epoch, behind);
        }
        let changes: usize = page.changes.iter().map(|change| change.get().len()).sum();
        let mut around = bytes.saturating_sub(changes);
        for change in &page.changes {
            let change = change.get().as_bytes();
            let Some(offset) = message::offset(change) else {
                return Err(self.breach(slot, "a change without an offset"));
            };
            let bytes = change.len() + std::mem::take(&mut around);
            self.change(slot, offset, change, bytes, now);
        }
        if self.readers[slot].cursor.offset() != last {
            return Err(self.breach(slot, "a page whose position is not its last change's"));
        }
        let topic = &self.plan.topics[self.readers[slot].topic as usize];
        let after = After::Position(epoch, last);
        let request = exchange::poll_request(&self.plan.authority, topic, after, WAIT);
        let stream = self.readers[slot].stream.as_mut().ok_or(End::Over)?;
        match stream.write_all(request.as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) => self.ended(slot, &error.to_string()),
        }
    }

    /// The request that a reader begins with.
    pub(super) fn first_request(&self, slot: usize) -> String {
        let reader = &self.readers[slot];
        let topic = &self.plan.topics[reader.topic as usize];
        let epoch = self.topics[reader.topic as usize].epoch.as_deref();
        let after = match (reader.begin, epoch) {
            (Begin::Start, _) => After::Start,
            (Begin::Cursor, Some(epoch)) => After::Position(epoch, reader.cursor.offset()),
            _ => After::Head,
        };
        let authority = &self.plan.authority;
        if let Some(peer) = &self.plan.peer {
            return peer.opening.clone();
        }
        match self.plan.wire {
            super::Wire::EventStream => exchange::stream_request(authority, topic, after),
            super::Wire::LongPoll => {
                exchange::poll_request(authority, topic, after, Duration::ZERO)
            }
            wire => crate::handshake::request(authority, topic, after, wire.offer()),
        }
    }

    fn same_epoch(&mut self, slot: usize, epoch: &str) {
        let topic = &self.topics[self.readers[slot].topic as usize];
        if topic.epoch.as_deref() != Some(epoch) {
            self.tally.violations.epochs += 1;
        }
    }

    fn breach(&mut self, slot: usize, what: &str) -> End {
        self.outside(slot, what);
        End::Over
    }
}
