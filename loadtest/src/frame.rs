//! WebSocket frames from the reader's side (RFC 6455): strict about what a server may send, and without a copy.

/// Longest frame that is taken, in bytes.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest payload of a control frame, in bytes (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// Any mask will do: it guards proxies, and there are none on the way.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole text message.
    Text(&'a [u8]),
    /// A whole text message, compressed (RFC 7692): only where the handshake agreed.
    Deflated(&'a [u8]),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// An answer to a ping.
    Pong,
    /// The end, with its code; 1005 where it has none.
    Close(u16),
}

/// A breach of the protocol by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A masked frame.
    Masked,
    /// A reserved bit without an extension.
    Reserved,
    /// A message in several frames: the broker sends none.
    Fragmented,
    /// Binary, or an unknown kind of frame.
    Kind(u8),
    /// A length in more bytes than it needs.
    WideLength,
    /// A frame beyond the limit, or a control frame beyond 125 bytes.
    TooLong(u64),
    /// A close frame with half a code.
    CloseCode,
}

/// Takes one frame off the start of `bytes`: the frame and how many bytes it had, or none where more must be read.
///
/// # Errors
/// [`Breach`], after which the connection is of no use.
#[inline]
pub fn take(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Breach> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if second & 0x80 != 0 {
        return Err(Breach::Masked);
    }
    let kind = first & 0x0f;
    // RSV1 says that a message is compressed.
    let is_deflated = first & 0x40 != 0;
    if first & 0x30 != 0 || (is_deflated && kind != 1) {
        return Err(Breach::Reserved);
    }
    if first & 0x80 == 0 || kind == 0 {
        return Err(Breach::Fragmented);
    }
    let Some((head, len)) = length(second & 0x7f, rest)? else {
        return Ok(None);
    };
    if kind >= 8 && len > CONTROL_BYTES_MAX {
        return Err(Breach::TooLong(len as u64));
    }
    let Some(payload) = bytes.get(head..head + len) else {
        return Ok(None);
    };
    let frame = match kind {
        1 if is_deflated => Frame::Deflated(payload),
        1 => Frame::Text(payload),
        8 => Frame::Close(close_code(payload)?),
        9 => Frame::Ping(payload),
        10 => Frame::Pong,
        other => return Err(Breach::Kind(other)),
    };
    Ok(Some((frame, head + len)))
}

/// Length of the header and of the payload; none where the header is not whole.
#[inline]
fn length(short: u8, rest: &[u8]) -> Result<Option<(usize, usize)>, Breach> {
    match short {
        0..126 => Ok(Some((2, usize::from(short)))),
        126 => {
            let Some(bytes) = rest.first_chunk::<2>() else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(*bytes);
            if len < 126 {
                return Err(Breach::WideLength);
            }
            Ok(Some((4, usize::from(len))))
        }
        _ => {
            let Some(bytes) = rest.first_chunk::<8>() else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(*bytes);
            if len < 65_536 {
                return Err(Breach::WideLength);
            }
            match usize::try_from(len) {
                Ok(len) if len <= FRAME_BYTES_MAX => Ok(Some((10, len))),
                _ => Err(Breach::TooLong(len)),
            }
        }
    }
}

fn close_code(payload: &[u8]) -> Result<u16, Breach> {
    match payload {
        [] => Ok(1005),
        [_] => Err(Breach::CloseCode),
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
    }
}

/// A masked pong with `payload`, at most 125 bytes of it.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    control(0x8a, &payload[..payload.len().min(CONTROL_BYTES_MAX)])
}

fn control(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap_or(0);
    let mut bytes = vec![first, 0x80 | len];
    bytes.extend_from_slice(&MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// A text frame as a server sends it: what the bare sender writes.
pub fn server_text(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    let len = payload.len();
    if let (Ok(short), true) = (u8::try_from(len), len < 126) {
        bytes.push(short);
    } else if let Ok(medium) = u16::try_from(len) {
        bytes.push(126);
        bytes.extend_from_slice(&medium.to_be_bytes());
    } else {
        bytes.push(127);
        bytes.extend_from_slice(&(len as u64).to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_read() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; len];
            let bytes = server_text(&payload);
            let (frame, used) = take(&bytes).expect("sound").expect("whole");
            assert_eq!(
                (frame, used),
                (Frame::Text(&payload[..]), bytes.len()),
                "{len}"
            );
        }
    }

    #[test]
    fn a_part_of_a_frame_waits_for_the_rest() {
        let bytes = server_text(&[b'x'; 300]);
        for cut in 0..bytes.len() {
            assert_eq!(take(&bytes[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn several_frames_of_one_read_are_taken_one_by_one() {
        let mut bytes = server_text(b"one");
        bytes.extend([0x89, 2, b'h', b'i']);
        bytes.extend([0x8a, 0]);
        bytes.extend([0x88, 2, 0x0f, 0xa1]);
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((frame, used)) = take(rest).expect("sound") {
            frames.push(frame);
            rest = &rest[used..];
        }
        let expected = [
            Frame::Text(b"one"),
            Frame::Ping(b"hi"),
            Frame::Pong,
            Frame::Close(4001),
        ];
        assert_eq!(frames, expected);
        assert!(rest.is_empty());
    }

    #[test]
    fn breaches_are_named() {
        for (bytes, breach) in [
            (&[0x81, 0x81, 0, 0, 0, 0, 0][..], Breach::Masked),
            (&[0xa1, 0], Breach::Reserved),
            (&[0xc9, 0], Breach::Reserved),
            (&[0x01, 0], Breach::Fragmented),
            (&[0x80, 0], Breach::Fragmented),
            (&[0x82, 0], Breach::Kind(2)),
            (&[0x8b, 0], Breach::Kind(11)),
            (&[0x81, 126, 0, 125], Breach::WideLength),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], Breach::WideLength),
            (&[0x89, 126, 0, 126], Breach::TooLong(126)),
            (&[0x88, 1, 3], Breach::CloseCode),
            (
                &[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0],
                Breach::TooLong(1 << 32),
            ),
        ] {
            assert_eq!(take(bytes), Err(breach), "{bytes:02x?}");
        }
        assert_eq!(take(&[0x88, 0]), Ok(Some((Frame::Close(1005), 2))));
        assert_eq!(
            take(&[0xc1, 1, 0]),
            Ok(Some((Frame::Deflated(&[0][..]), 3)))
        );
    }

    #[test]
    fn a_pong_is_masked_and_has_the_pings_payload() {
        let bytes = pong(b"abc");
        assert_eq!(bytes[..2], [0x8a, 0x83]);
        let unmasked: Vec<u8> = bytes[6..]
            .iter()
            .zip(&bytes[2..5])
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        assert_eq!(unmasked, b"abc");
        assert_eq!(pong(&[0; 200]).len(), 6 + 125);
    }
}
