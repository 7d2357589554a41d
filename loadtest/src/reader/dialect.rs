//! How the peers of `compare` wrap a change on the way to their readers: taken off here, so that behind it every server
//! is checked alike. It knows nothing of sockets or readers.

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// How a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// WebSocket; each message is a change, and the subscription stands with the handshake.
    Bare,
    /// Centrifugo's one-way WebSocket in JSON.
    Centrifugo,
    /// Mercure's event stream over chunked HTTP; the subscription stands with the answer's head.
    Mercure,
}

/// What a peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The subscription stands.
    Standing,
    /// A change.
    Change(&'a [u8]),
    /// A sign of life.
    Nothing,
    /// Something else.
    Outside(&'a [u8]),
}

/// One line of a Centrifugo message: several may come in one frame, with line ends between them.
#[inline]
pub fn centrifugo(line: &[u8]) -> Heard<'_> {
    const DATA: &[u8] = b"\"pub\":{\"data\":";
    const CHANNEL_BYTES_MAX: usize = 320;
    match line {
        b"" | b"{}" => Heard::Nothing,
        _ if line.starts_with(b"{\"channel\":") => {
            let head = &line[..line.len().min(CHANNEL_BYTES_MAX)];
            memmem::find(head, DATA)
                .and_then(|at| line[at + DATA.len()..].strip_suffix(b"}}"))
                .map_or(Heard::Outside(line), Heard::Change)
        }
        _ if line.starts_with(b"{\"connect\":") => Heard::Standing,
        _ => Heard::Outside(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_centrifugo_push_has_the_change_inside() {
        let change = br#"{"op":"change","offset":1,"entry":{"a":{}}}"#;
        let mut line = br#"{"channel":"lt-1","pub":{"data":"#.to_vec();
        line.extend_from_slice(change);
        line.extend_from_slice(b"}}");
        assert_eq!(centrifugo(&line), Heard::Change(change));
        assert_eq!(
            centrifugo(br#"{"connect":{"client":"x","subs":{"lt-1":{}}}}"#),
            Heard::Standing
        );
        assert_eq!(centrifugo(b"{}"), Heard::Nothing);
        for outside in [
            &br#"{"disconnect":{"code":3008,"reason":"slow"}}"#[..],
            br#"{"channel":"lt-1","join":{}}"#,
            br#"{"channel":"lt-1","pub":{"data":{"#,
            b"\xff",
        ] {
            assert_eq!(centrifugo(outside), Heard::Outside(outside));
        }
    }
}
