//! What a reader does with its bytes: the handshake, then frame by frame the messages and their check. What is other
//! over HTTP stands in `over_http`.

use std::io::{ErrorKind, Read, Write};

use super::{Begin, Dialect, Room, State, Wire};
use crate::check::Cursor;
use crate::clock::now_micros;
use crate::frame::{self, Frame};
use crate::handshake;
use crate::message::{self, Message};

/// Why a connection is of no use any more.
pub(super) enum End {
    /// It could not be made, or was refused.
    Refused(String),
    /// It ended, or broke the protocol: counted already.
    Over,
}

impl Room {
    /// The socket of `slot` can be written or read.
    pub(super) fn ready(&mut self, slot: usize, writable: bool, read_closed: bool) {
        let Some(reader) = self.readers.get(slot) else {
            return;
        };
        if reader.state == State::Connecting && writable {
            match self.open(slot) {
                Ok(()) => {}
                Err(End::Refused(why)) => return self.connect_failed(slot, &why),
                Err(End::Over) => return,
            }
        }
        if !self.readers[slot].frozen {
            self.read(slot, read_closed);
        }
    }

    /// The connection is made: sends the handshake.
    fn open(&mut self, slot: usize) -> Result<(), End> {
        let request = self.first_request(slot);
        let reader = &mut self.readers[slot];
        let Some(stream) = &mut reader.stream else {
            return Err(End::Over);
        };
        let refused = |error: std::io::Error| End::Refused(error.to_string());
        if let Some(error) = stream.stream().take_error().map_err(refused)? {
            return Err(refused(error));
        }
        if self.plan.wire == Wire::Plain {
            reader.cursor = Cursor::behind(0);
            self.stand(slot);
            return Ok(());
        }
        if self.dialect.is_some() {
            reader.cursor = Cursor::behind(0);
            reader.lanes.clear();
        }
        stream.write_all(request.as_bytes()).map_err(refused)?;
        reader.state = State::Answering;
        Ok(())
    }

    /// Reads what there is. With `to_end`, until the socket says that there is no more.
    pub(super) fn read(&mut self, slot: usize, to_end: bool) {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        while let Some(stream) = &mut self.readers[slot].stream {
            let outcome = match stream.read(&mut buffer) {
                Ok(0) => self.ended(slot, "the server closed the connection"),
                Ok(count) => {
                    let outcome = self.feed(slot, &buffer[..count]);
                    // A short read has emptied the socket: epoll tells of what comes next.
                    if outcome.is_ok() && count < buffer.len() && !to_end {
                        break;
                    }
                    outcome
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
                Err(error) => self.ended(slot, &error.to_string()),
            };
            match outcome {
                Ok(()) => {}
                Err(End::Refused(why)) => {
                    self.connect_failed(slot, &why);
                    break;
                }
                Err(End::Over) => {
                    self.come_back(slot);
                    break;
                }
            }
        }
        self.read_buffer = buffer;
    }

    pub(super) fn ended(&mut self, slot: usize, why: &str) -> Result<(), End> {
        if self.readers[slot].state != State::Live {
            return Err(End::Refused(why.to_owned()));
        }
        let number = self.number(slot);
        self.tally.violations.closed += 1;
        self.tally
            .violations
            .example(|| format!("reader {number} lost its connection: {why}"));
        Err(End::Over)
    }

    /// A reader whose connection is lost resumes from its cursor, as a page would.
    fn come_back(&mut self, slot: usize) {
        self.drop_connection(slot);
        self.readers[slot].moves += 1;
        // A peer that keeps nothing has nothing to resume.
        if !matches!(self.plan.wire, Wire::Plain | Wire::Peer(_)) {
            self.readers[slot].begin = Begin::Cursor;
            self.wait(slot, now_micros() + super::RETRY_AFTER_US);
        }
    }

    fn feed(&mut self, slot: usize, bytes: &[u8]) -> Result<(), End> {
        let now = now_micros();
        if self.readers[slot].partial.is_empty() {
            let used = self.consume(slot, bytes, now)?;
            self.readers[slot].partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut gathered = std::mem::take(&mut self.readers[slot].partial);
        gathered.extend_from_slice(bytes);
        let used = self.consume(slot, &gathered, now)?;
        gathered.drain(..used);
        if gathered.is_empty() {
            // Ten thousand readers that once had half a frame must not keep its memory.
            gathered = Vec::new();
        }
        self.readers[slot].partial = gathered;
        Ok(())
    }

    /// Takes whole frames off the start; how many bytes they had.
    fn consume(&mut self, slot: usize, bytes: &[u8], now: u64) -> Result<usize, End> {
        match self.plan.wire {
            Wire::EventStream => return self.consume_stream(slot, bytes, now),
            Wire::LongPoll => return self.consume_pages(slot, bytes, now),
            Wire::Peer(Dialect::Mercure) => return self.consume_stream(slot, bytes, now),
            Wire::WebSocket | Wire::Deflated | Wire::Plain | Wire::Peer(_) => {}
        }
        let mut used = 0;
        if self.readers[slot].state == State::Answering {
            match handshake::answer(bytes, self.plan.wire.offer()).map_err(End::Refused)? {
                None => return Ok(0),
                Some(len) => used = len,
            }
            self.readers[slot].state = State::Subscribing;
            if self.dialect == Some(Dialect::Bare) {
                self.stand(slot);
            }
        }
        loop {
            match frame::take(&bytes[used..]) {
                Ok(Some((frame, len))) => {
                    self.frame(slot, frame, len, now)?;
                    used += len;
                }
                Ok(None) => return Ok(used),
                Err(breach) => {
                    self.outside(slot, &format!("{breach:?}"));
                    return Err(End::Over);
                }
            }
        }
    }

    pub(super) fn outside(&mut self, slot: usize, what: &str) {
        let number = self.number(slot);
        self.tally.violations.protocol += 1;
        self.tally
            .violations
            .example(|| format!("reader {number}: {what}"));
    }

    #[inline]
    fn frame(&mut self, slot: usize, frame: Frame<'_>, len: usize, now: u64) -> Result<(), End> {
        match frame {
            Frame::Text(payload) => {
                self.text(slot, payload, len, now);
                Ok(())
            }
            Frame::Deflated(payload) => {
                let mut inflater = std::mem::take(&mut self.inflater);
                match inflater.text(payload) {
                    Ok(text) if self.plan.wire == Wire::Deflated => self.text(slot, text, len, now),
                    Ok(_) => self.outside(slot, "a compressed message that nobody asked for"),
                    Err(why) => self.outside(slot, why),
                }
                self.inflater = inflater;
                Ok(())
            }
            Frame::Ping(payload) => {
                self.pulse.heartbeats += 1;
                let pong = frame::pong(payload);
                let stream = self.readers[slot].stream.as_mut().ok_or(End::Over)?;
                match stream.write_all(&pong) {
                    Ok(()) => Ok(()),
                    Err(error) => self.ended(slot, &error.to_string()),
                }
            }
            Frame::Pong => Ok(()),
            Frame::Close(code) => self.ended(slot, &format!("close code {code}")),
        }
    }

    #[inline]
    fn text(&mut self, slot: usize, text: &[u8], len: usize, now: u64) {
        if let Some(dialect) = self.dialect {
            return self.hear(slot, dialect, text, len, now);
        }
        match message::read(text) {
            Message::Change(offset) => self.change(slot, offset, text, len, now),
            other => self.other(slot, other),
        }
    }

    #[inline]
    pub(super) fn change(
        &mut self,
        slot: usize,
        offset: u64,
        payload: &[u8],
        len: usize,
        now: u64,
    ) {
        let number = self.number(slot);
        let reader = &mut self.readers[slot];
        if reader.state != State::Live {
            return self.outside(slot, "a change before the subscription stands");
        }
        let topic = &mut self.topics[reader.topic as usize];
        let (cursor, due) = reader.lane(offset, self.lanes);
        let step = cursor.step(due);
        self.tally.violations.step(step, offset, number);
        let compared = topic.note(offset, payload, &self.plan.run, now);
        if !compared.equal {
            self.tally.violations.divergent += 1;
            self.tally
                .violations
                .example(|| format!("reader {number} got another content at offset {offset}"));
        }
        self.tally.deliver(now, compared.intended_us, len as u64);
        self.pulse.deliveries += 1;
        self.pulse.bytes += len as u64;
        if offset == topic.target {
            self.tally.reached_us = now;
            if reader.recovering {
                reader.recovering = false;
                self.tally.recovery.record_micros(now - reader.started_us);
            }
        }
    }

    pub(super) fn other(&mut self, slot: usize, message: Message<'_>) {
        match message {
            Message::Subscribed(epoch, offset) => self.subscribed(slot, epoch, offset),
            Message::Reset(epoch, offset) => {
                let topic = self.readers[slot].topic as usize;
                self.topics[topic].epoch = Some(epoch.to_owned());
                self.readers[slot].cursor = Cursor::behind(offset);
                self.tally.violations.resets += 1;
                self.tally
                    .violations
                    .example(|| format!("a reset to {epoch}-{offset}"));
                self.stand(slot);
            }
            Message::Presence => {}
            Message::Error(text) => self.outside(slot, text),
            _ => self.outside(slot, "a message that is not in the protocol"),
        }
    }

    pub(super) fn subscribed(&mut self, slot: usize, epoch: &str, offset: u64) {
        let number = self.number(slot);
        let reader = &mut self.readers[slot];
        let topic = &mut self.topics[reader.topic as usize];
        match &topic.epoch {
            None => topic.epoch = Some(epoch.to_owned()),
            Some(known) if known == epoch => {}
            Some(_) => {
                self.tally.violations.epochs += 1;
                topic.epoch = Some(epoch.to_owned());
            }
        }
        let asked = match reader.begin {
            Begin::Head => None,
            Begin::Start => Some(0),
            Begin::Cursor => Some(reader.cursor.offset()),
        };
        if asked.is_some_and(|asked| asked != offset) {
            self.tally.violations.misplaced += 1;
            self.tally
                .violations
                .example(|| format!("reader {number} asked for {asked:?} and was put at {offset}"));
        }
        if asked != Some(offset) {
            reader.cursor = Cursor::behind(offset);
        }
        self.stand(slot);
    }

    /// The subscription stands.
    pub(super) fn stand(&mut self, slot: usize) {
        let now = now_micros();
        let reader = &mut self.readers[slot];
        if reader.state == State::Live {
            return;
        }
        reader.state = State::Live;
        reader.tries = 0;
        self.in_flight -= 1;
        self.pulse.live += 1;
        self.tally.stood_us = now;
        self.tally.connect.record_micros(now - reader.started_us);
        let target = self
            .topics
            .get(reader.topic as usize)
            .map_or(0, |topic| topic.target);
        reader.recovering = reader.begin != Begin::Head && reader.cursor.offset() < target;
        if !reader.recovering && target > 0 {
            self.tally.reached_us = self.tally.reached_us.max(now);
        }
    }
}
