//! What a reader sends: a strict, small reader of RFC 6455 frames on tungstenite's header codec.
//!
//! Readers say little, so nothing is kept for one between messages; only a message that arrives in pieces has a buffer,
//! never longer than the limit, and its declared length is refused before anything is allocated. Compressed messages
//! (RFC 7692) are inflated within the same limit, where the handshake agreed on them.

use std::io::Cursor;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::protocol::{CloseCode, InflateError, Wire, inflate};

/// Longest payload of a control frame (RFC 6455, section 5.5), in bytes.
const CONTROL_BYTES_MAX: u64 = 125;

/// A message of a reader, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Received {
    /// A text message.
    Text(String),
    /// A fragment of one that goes on: it says nothing, but was sent.
    Fragment,
    /// A ping, with what the pong has to say.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The reader closes, with this code if it gave one.
    Close(Option<u16>),
}

/// What a reader may send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepts {
    /// Longest message, in bytes, compressed or not.
    pub message_bytes_max: usize,
    /// Whether it may be compressed.
    pub wire: Wire,
}

/// A message that has not wholly arrived.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The beginning of a frame.
    raw: Vec<u8>,
    /// What earlier fragments said.
    fragments: Option<Fragments>,
}

/// A message, as far as it is there.
#[derive(Debug, Default)]
struct Fragments {
    /// Unmasked payloads.
    payload: Vec<u8>,
    is_deflated: bool,
}

struct Incoming<'a> {
    header: FrameHeader,
    payload: &'a [u8],
    used: usize,
}

impl Assembly {
    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.fragments.is_none()
    }

    /// Takes bytes in, and appends the messages they complete to `received`.
    ///
    /// # Errors
    /// The code to close with. What was received before it counts.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        accepts: Accepts,
        received: &mut Vec<Received>,
    ) -> Result<(), CloseCode> {
        let joined = if self.raw.is_empty() {
            None
        } else {
            let mut raw = std::mem::take(&mut self.raw);
            raw.extend_from_slice(bytes);
            Some(raw)
        };
        let mut rest = joined.as_deref().unwrap_or(bytes);
        while let Some(frame) = next_frame(rest, self.room(accepts), accepts.wire)? {
            rest = &rest[frame.used..];
            self.take(&frame, accepts, received)?;
        }
        self.raw = rest.to_vec();
        Ok(())
    }

    /// Bytes that the message may still have.
    fn room(&self, accepts: Accepts) -> usize {
        let used = self.fragments.as_ref().map_or(0, |f| f.payload.len());
        accepts.message_bytes_max.saturating_sub(used)
    }

    fn take(
        &mut self,
        frame: &Incoming<'_>,
        accepts: Accepts,
        received: &mut Vec<Received>,
    ) -> Result<(), CloseCode> {
        let mask = frame.header.mask.ok_or(CloseCode::Protocol)?;
        match frame.header.opcode {
            OpCode::Control(control) => {
                received.push(control_message(control, unmask(frame.payload, mask))?);
            }
            OpCode::Data(data) => {
                let mut message = match (data, self.fragments.take()) {
                    (Data::Text, None) => Fragments {
                        payload: Vec::new(),
                        is_deflated: frame.header.rsv1,
                    },
                    // Only the first frame of a message says that it is compressed (RFC 7692, section 6.1).
                    (Data::Continue, Some(earlier)) if !frame.header.rsv1 => earlier,
                    (Data::Binary, None) => return Err(CloseCode::Unsupported),
                    _ => return Err(CloseCode::Protocol),
                };
                message.payload.extend(unmask(frame.payload, mask));
                if frame.header.is_final {
                    received.push(Received::Text(message.text(accepts)?));
                } else {
                    self.fragments = Some(message);
                    received.push(Received::Fragment);
                }
            }
        }
        Ok(())
    }
}

impl Fragments {
    fn text(self, accepts: Accepts) -> Result<String, CloseCode> {
        let message = if self.is_deflated {
            inflate(&self.payload, accepts.message_bytes_max).map_err(|error| match error {
                InflateError::TooLarge => CloseCode::TooLarge,
                InflateError::Invalid => CloseCode::Protocol,
            })?
        } else {
            self.payload
        };
        String::from_utf8(message).map_err(|_| CloseCode::InvalidText)
    }
}

/// The frame at the beginning of `bytes`; none where it is not all there.
fn next_frame(
    bytes: &[u8],
    data_bytes_max: usize,
    wire: Wire,
) -> Result<Option<Incoming<'_>>, CloseCode> {
    let mut cursor = Cursor::new(bytes);
    let Some((header, length)) =
        FrameHeader::parse(&mut cursor).map_err(|_| CloseCode::Protocol)?
    else {
        return Ok(None);
    };
    let start = usize::try_from(cursor.position()).map_err(|_| CloseCode::Protocol)?;
    let is_control = matches!(header.opcode, OpCode::Control(_));
    if header.rsv1 && (is_control || wire == Wire::Plain) {
        return Err(CloseCode::Protocol);
    }
    if header.rsv2 || header.rsv3 || header.mask.is_none() {
        return Err(CloseCode::Protocol);
    }
    // The shortest form of a length is the only one (section 5.2).
    if header.len(length) != start {
        return Err(CloseCode::Protocol);
    }
    if is_control && (!header.is_final || length > CONTROL_BYTES_MAX) {
        return Err(CloseCode::Protocol);
    }
    if header.opcode == OpCode::Data(Data::Binary) {
        return Err(CloseCode::Unsupported);
    }
    let length = usize::try_from(length).map_err(|_| CloseCode::TooLarge)?;
    if !is_control && length > data_bytes_max {
        return Err(CloseCode::TooLarge);
    }
    let used = start + length;
    Ok(bytes.get(start..used).map(|payload| Incoming {
        header,
        payload,
        used,
    }))
}

fn unmask(payload: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> + '_ {
    payload
        .iter()
        .zip(mask.into_iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
}

fn control_message(
    control: Control,
    payload: impl Iterator<Item = u8>,
) -> Result<Received, CloseCode> {
    match control {
        Control::Ping => Ok(Received::Ping(payload.collect())),
        Control::Pong => Ok(Received::Pong),
        Control::Close => close_message(&payload.collect::<Vec<_>>()),
        Control::Reserved(_) => Err(CloseCode::Protocol),
    }
}

fn close_message(payload: &[u8]) -> Result<Received, CloseCode> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(Received::Close(None))
        } else {
            Err(CloseCode::Protocol)
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    // Section 7.4: these may stand in a close frame, the others may not.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(CloseCode::Protocol);
    }
    std::str::from_utf8(reason).map_err(|_| CloseCode::InvalidText)?;
    Ok(Received::Close(Some(code)))
}

#[cfg(test)]
mod tests;
