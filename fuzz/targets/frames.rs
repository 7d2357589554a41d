//! Frames of a reader (RFC 6455): the same messages and the same verdict as tungstenite's, or a stricter one that is
//! listed in [`Breach`]; in whatever pieces they arrive.
//!
//! Input: options (1 byte), the size of a piece (1 byte), then the bytes of a connection after its handshake.
#![cfg_attr(fuzzing, no_main)]

use std::io::{self, Read, Write};

use libfuzzer_sys::fuzz_target;
use tenbells::fuzzing::{FrameRead, Message, read_frames};
use tenbells::protocol::Wire;
use tungstenite::error::Error;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

const DEFLATED: u8 = 1;
const SHORT: u8 = 2;

fuzz_target!(|data: &[u8]| {
    let Some((&[options, piece], bytes)) = data.split_first_chunk() else {
        return;
    };
    let limit = if options & SHORT != 0 { 64 } else { 4_096 };
    let piece = usize::from(piece).max(1);
    for wire in [Wire::Plain, Wire::Deflated] {
        let whole = read_frames([bytes], limit, wire);
        assert_eq!(read_frames(bytes.chunks(piece), limit, wire), whole);
        for message in &whole.messages {
            match message {
                Message::Text(text) => assert!(text.len() <= limit),
                Message::Ping(payload) => assert!(payload.len() <= 125),
                Message::Pong | Message::Close(_) => {}
            }
        }
        if wire == Wire::Plain {
            compare(&whole, bytes, limit);
        } else if options & DEFLATED == 0 && !has_rsv1(bytes) {
            assert_eq!(whole, read_frames([bytes], limit, Wire::Plain));
        }
    }
});

/// A frame that ours refuses, and tungstenite takes or has not looked at yet.
#[derive(Debug)]
enum Breach {
    /// The protocol is text: 1003.
    Binary,
    /// The length is not in its shortest form (section 5.2).
    LongLength,
    /// A close frame with a code that may not stand in one (section 7.4). tungstenite says so in its answer alone.
    CloseCode,
    /// Seen in the header, before the payload is there: a reserved bit, no mask, a control frame that is long or in
    /// fragments, a length beyond the limit.
    Early,
}

/// Registered at IANA since RFC 6455 ("bad gateway"), and not known to tungstenite, which closes with 1002 instead.
const BAD_GATEWAY: u16 = 1014;

/// Up to the first close frame: behind it nobody reads.
fn compare(ours: &FrameRead, bytes: &[u8], limit: usize) {
    let theirs = tungstenite(bytes, limit);
    let mut our_messages = ours.messages.clone();
    for message in &mut our_messages {
        if *message == Message::Close(Some(BAD_GATEWAY)) {
            *message = Message::Close(Some(1002));
        }
    }
    let (our_messages, ours_closed) = until_close(&our_messages);
    let (their_messages, _) = until_close(&theirs.messages);
    if theirs.refused == Some(1007) && our_messages.len() >= their_messages.len() {
        // Text in fragments is looked at once it is whole; tungstenite looks at each fragment.
        let (same, more) = our_messages.split_at(their_messages.len());
        assert_eq!(same, their_messages);
        assert!(
            !more
                .iter()
                .any(|message| matches!(message, Message::Text(_)))
        );
        return;
    }
    match (ours.refused, theirs.refused) {
        _ if ours_closed => assert_eq!(our_messages, their_messages),
        (None, None) => assert_eq!(our_messages, their_messages),
        (None, Some(code)) => panic!("only tungstenite refuses, with {code}"),
        (Some(ours), Some(theirs)) if ours == theirs && our_messages == their_messages => {}
        (Some(code), _) => {
            assert!(their_messages.starts_with(our_messages));
            let known = breach(bytes, our_messages.len(), limit);
            assert!(known.is_some(), "only ours refuses, with {code}");
        }
    }
}

fn until_close(messages: &[Message]) -> (&[Message], bool) {
    let close = messages
        .iter()
        .position(|message| matches!(message, Message::Close(_)));
    match close {
        Some(at) => (&messages[..=at], true),
        None => (messages, false),
    }
}

fn tungstenite(bytes: &[u8], limit: usize) -> FrameRead {
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit.max(125)));
    let mut socket = WebSocket::from_raw_socket(Peer(bytes), Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        use tungstenite::Message as Theirs;
        messages.push(match socket.read() {
            Ok(Theirs::Text(text)) => Message::Text(text.to_string()),
            Ok(Theirs::Ping(payload)) => Message::Ping(payload.to_vec()),
            Ok(Theirs::Pong(_)) => Message::Pong,
            Ok(Theirs::Close(close)) => Message::Close(close.map(|close| close.code.into())),
            Ok(Theirs::Binary(_) | Theirs::Frame(_)) => Message::Text("binary".to_owned()),
            Err(error) => {
                let refused = match error {
                    Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed => None,
                    Error::Capacity(_) => Some(1009),
                    Error::Utf8(_) => Some(1007),
                    _ => Some(1002),
                };
                return FrameRead { messages, refused };
            }
        });
    }
}

/// A peer that has said this, and takes everything.
struct Peer<'a>(&'a [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A header, read by hand.
struct Head {
    first: u8,
    is_masked: bool,
    is_shortest: bool,
    start: usize,
    length: u64,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, extra, least) = match second & 0x7f {
        126 => {
            let length = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (u64::from(length), 2, 126)
        }
        127 => (
            u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?),
            8,
            65_536,
        ),
        short => (u64::from(short), 0, 0),
    };
    let is_masked = second & 0x80 != 0;
    let start = 2 + extra + if is_masked { 4 } else { 0 };
    (bytes.len() >= start).then_some(Head {
        first,
        is_masked,
        is_shortest: length >= least,
        start,
        length,
    })
}

/// Whether a frame's first byte has RSV1, wherever a frame could begin.
fn has_rsv1(bytes: &[u8]) -> bool {
    frames(bytes).any(|(head, _)| head.first & 0x40 != 0)
}

/// The frames whose headers are there, each with its payload as far as it is there.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (Head, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let head = head(rest)?;
        let end = usize::try_from(head.length)
            .unwrap_or(usize::MAX)
            .saturating_add(head.start);
        let payload = &rest[head.start..end.min(rest.len())];
        rest = rest.get(end..).unwrap_or_default();
        Some((head, payload))
    })
}

/// The breach that only ours sees, in the frame behind so many messages and the fragments of the next.
fn breach(bytes: &[u8], messages: usize, limit: usize) -> Option<Breach> {
    let (mut left, mut used) = (messages, 0_u64);
    for (head, payload) in frames(bytes) {
        let (opcode, is_final) = (head.first & 0x0f, head.first & 0x80 != 0);
        let is_control = opcode >= 8;
        let limit = limit as u64;
        if left == 0 {
            let is_long = if is_control {
                head.length > 125
            } else {
                head.length > limit.saturating_sub(used)
            };
            if opcode == 2 {
                return Some(Breach::Binary);
            }
            if !head.is_shortest {
                return Some(Breach::LongLength);
            }
            if head.first & 0x70 != 0 || !head.is_masked || is_long || is_control && !is_final {
                return Some(Breach::Early);
            }
            if opcode == 8 && payload.len() >= 2 {
                return Some(Breach::CloseCode);
            }
        }
        if is_control || is_final {
            left = left.saturating_sub(1);
        }
        match (is_control, is_final) {
            (true, _) => {}
            (false, true) => used = 0,
            (false, false) => used += head.length,
        }
    }
    None
}
