//! WebSocket frames from the server (RFC 6455): unmasked, so the same bytes serve every reader.

use bytes::{BufMut, Bytes, BytesMut};

use super::CloseCode;
use super::deflate::deflate_frame;

/// Longest reason of a close frame, in bytes (RFC 6455, section 5.5: 125 with the code).
const CLOSE_REASON_BYTES_MAX: usize = 123;

const TEXT: u8 = 0x81;
/// A text frame with RSV1, which says that its payload is compressed (RFC 7692, section 6).
const DEFLATED_TEXT: u8 = 0xc1;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// In which form a reader gets its changes, as its handshake agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As they are.
    Plain,
    /// Compressed where that is shorter (RFC 7692).
    Deflated,
}

/// A text frame.
pub fn text_frame(payload: &str) -> Bytes {
    frame(TEXT, &[payload.as_bytes()])
}

/// The frame of a change: its JSON with `"op":"change"` in front.
pub fn change_frame(json: &str) -> Bytes {
    frame(
        TEXT,
        &[
            br#"{"op":"change","#,
            json.get(1..).unwrap_or("}").as_bytes(),
        ],
    )
}

/// The frame of a change, compressed; `None` where the plain one is as good.
pub fn deflated_change_frame(plain: &Bytes) -> Option<Bytes> {
    deflate_frame(payload(plain))
}

/// A text frame of a payload that is compressed already.
pub(super) fn deflated_text_frame(compressed: &[u8]) -> Bytes {
    frame(DEFLATED_TEXT, &[compressed])
}

/// What stands behind the header of a frame of ours.
fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}

/// A close frame; a reason beyond 123 bytes is cut.
pub fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    let mut end = reason.len().min(CLOSE_REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    frame(
        CLOSE,
        &[&code.as_u16().to_be_bytes(), &reason.as_bytes()[..end]],
    )
}

/// A ping without a payload.
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// A pong with the payload of the ping (at most 125 bytes).
pub fn pong_frame(payload: &[u8]) -> Bytes {
    frame(PONG, &[payload])
}

fn frame(first: u8, parts: &[&[u8]]) -> Bytes {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = BytesMut::with_capacity(len + 10);
    bytes.put_u8(first);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short), _) if short < 126 => bytes.put_u8(short),
        (_, Ok(medium)) => {
            bytes.put_u8(126);
            bytes.put_u16(medium);
        }
        _ => {
            bytes.put_u8(127);
            bytes.put_u64(len as u64);
        }
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

    #[test]
    fn headers_are_what_tungstenite_reads() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(len);
            let bytes = text_frame(&payload);
            let mut cursor = Cursor::new(&bytes[..]);
            let (header, announced) = FrameHeader::parse(&mut cursor)
                .expect("a header")
                .expect("complete");
            assert_eq!(announced as usize, len);
            assert!(header.is_final && header.mask.is_none());
            let start = usize::try_from(cursor.position()).expect("small");
            assert_eq!(&bytes[start..], payload.as_bytes());
        }
    }

    #[test]
    fn a_change_frame_is_the_change_with_its_op() {
        let bytes = change_frame(r#"{"topic":"t"}"#);
        assert_eq!(&bytes[2..], br#"{"op":"change","topic":"t"}"#);
    }

    #[test]
    fn close_reasons_are_cut_at_a_character() {
        let bytes = close_frame(CloseCode::Draining, &"ä".repeat(100));
        assert_eq!(bytes.len(), 2 + 2 + 122);
        assert_eq!(&bytes[2..4], &4001_u16.to_be_bytes());
        assert!(std::str::from_utf8(&bytes[4..]).is_ok());
    }
}
