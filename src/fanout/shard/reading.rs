//! What readers say, and what follows from it.

use bytes::Bytes;

use super::Shard;
use crate::fanout::connection::Key;
use crate::fanout::inbound::Received;
use crate::protocol::{ClientOp, CloseCode, Code, error, pong, pong_frame, text_frame};

/// Buffers that a reader may fill at once: it says a few lines, not half a mebibyte.
const BUFFERS_MAX: usize = 8;
/// Messages outside the protocol that are answered; the next one closes the connection.
const BREACHES_MAX: u8 = 8;

impl Shard {
    /// Reads until nothing waits.
    pub(super) fn readable(&mut self, key: Key) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut buffers = 0;
        while let Some(connection) = self.connection(key) {
            match connection.read(&mut buffer) {
                Ok(Some(0)) | Err(_) => {
                    self.broken.push(key);
                    break;
                }
                Ok(None) => break,
                // A connection that is closing is read so that the peer is not reset before it has read why.
                Ok(Some(_)) if connection.is_closing() && buffers < BUFFERS_MAX => buffers += 1,
                Ok(Some(_)) if buffers >= BUFFERS_MAX => {
                    self.close(key, CloseCode::Misuse, "too many messages");
                    self.broken.push(key);
                    break;
                }
                Ok(Some(count)) => {
                    buffers += 1;
                    self.take_bytes(key, &buffer[..count]);
                    let is_drained = self
                        .connection(key)
                        .is_none_or(|it| it.socket.is_drained(count, buffer.len()));
                    if is_drained {
                        break;
                    }
                }
            }
        }
        self.buffer = buffer;
    }

    /// Takes in bytes of a reader.
    pub(super) fn take_bytes(&mut self, key: Key, bytes: &[u8]) {
        let limit = self.parts.options.message_bytes_max;
        let mut received = std::mem::take(&mut self.received);
        let Some(connection) = self.connection(key) else {
            return;
        };
        let outcome = connection.assemble(bytes, limit, &mut received);
        for message in received.drain(..) {
            self.on_message(key, message);
        }
        self.received = received;
        if let Err(code) = outcome {
            self.close(key, code, breach_reason(code));
        }
    }

    fn on_message(&mut self, key: Key, message: Received) {
        let now = self.now;
        let Some(connection) = self.connection(key) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        if !connection.may_speak(now) {
            return self.close(key, CloseCode::Misuse, "too many messages");
        }
        match message {
            Received::Pong => connection.awaits_pong = false,
            // It counts as a message: fragments without end, or without content, are a flood as well.
            Received::Fragment => {}
            Received::Ping(payload) => self.answer(key, pong_frame(&payload)),
            Received::Close(code) => self.farewell(key, code),
            Received::Text(text) => match ClientOp::parse(&text) {
                Ok(op) => self.on_op(key, op),
                Err(invalid) => self.breach(key, invalid.code, &invalid.message),
            },
        }
    }

    fn on_op(&mut self, key: Key, op: ClientOp) {
        match op {
            ClientOp::Subscribe { topic, after } => self.subscribe(key, topic, after),
            ClientOp::Unsubscribe { topic } => self.unsubscribe(key, &topic),
            ClientOp::Ping => self.answer(key, text_frame(pong())),
            ClientOp::Auth { token } => self.authenticate(key, &token),
        }
    }

    /// Answers a message outside the protocol, a few times.
    fn breach(&mut self, key: Key, code: Code, message: &str) {
        let Some(connection) = self.connection(key) else {
            return;
        };
        connection.breaches += 1;
        if connection.breaches > BREACHES_MAX {
            return self.close(
                key,
                CloseCode::Misuse,
                "too many messages outside the protocol",
            );
        }
        self.answer(key, text_frame(&error(code, message, None)));
    }

    /// Echoes the peer's close (RFC 6455, section 5.5.1), and goes.
    fn farewell(&mut self, key: Key, code: Option<u16>) {
        let now = self.now;
        let mut frame = vec![0x88, 0];
        if let Some(code) = code {
            frame[1] = 2;
            frame.extend(code.to_be_bytes());
        }
        self.leave_all(key);
        self.answer(key, Bytes::from(frame));
        if let Some(connection) = self.connection(key) {
            connection.socket.take_leave();
            // What stands behind a close frame is not looked at, and not answered with another.
            connection.closing_at = Some(now);
        }
        self.broken.push(key);
    }
}

fn breach_reason(code: CloseCode) -> &'static str {
    match code {
        CloseCode::Unsupported => "messages are text frames of JSON",
        CloseCode::InvalidText => "text frames are UTF-8",
        CloseCode::TooLarge => "the message is too large",
        _ => "the frame breaks RFC 6455 or 7692",
    }
}
