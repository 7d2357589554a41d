//! The broker's messages, read only as far as a check needs: the kind, and the number in front. A change is never
//! parsed whole, because that would cost ten times what its delivery does.

use memchr::memmem;

use crate::http::split_position;

/// How far into a change its offset may stand, in bytes: behind a topic's name of up to 128.
const HEAD_BYTES: usize = 320;

/// A message from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A change with its offset.
    Change(u64),
    /// The subscription stands: what is behind the offset follows.
    Subscribed(&'a str, u64),
    /// Take a fresh snapshot and go on behind the offset.
    Reset(&'a str, u64),
    /// How many readers there are.
    Presence,
    /// An error, whole.
    Error(&'a str),
    /// Outside the protocol.
    Unknown,
}

/// Reads `payload`.
#[inline]
pub fn read(payload: &[u8]) -> Message<'_> {
    if payload.starts_with(b"{\"op\":\"change\",") {
        return offset(payload).map_or(Message::Unknown, Message::Change);
    }
    let Ok(text) = std::str::from_utf8(payload) else {
        return Message::Unknown;
    };
    let position = || string(text, "\"position\":\"").and_then(split_position);
    match string(text, "\"op\":\"") {
        Some("subscribed") => position().map_or(Message::Unknown, |(epoch, offset)| {
            Message::Subscribed(epoch, offset)
        }),
        Some("reset") => position().map_or(Message::Unknown, |(epoch, offset)| {
            Message::Reset(epoch, offset)
        }),
        Some("presence") => Message::Presence,
        Some("error") => Message::Error(text),
        _ => Message::Unknown,
    }
}

/// The offset of a change: it stands near the front, in its WebSocket message as in the bare change.
#[inline]
pub fn offset(payload: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"offset\":";
    let head = &payload[..payload.len().min(HEAD_BYTES)];
    let start = memmem::find(head, NAME)? + NAME.len();
    digits(&head[start..])
}

/// The time in the id of an entry that this run published (`lt-RUN-MICROS-SEQUENCE`): when it was meant to be sent.
pub fn intended(payload: &[u8], run: &str) -> Option<u64> {
    let name = format!("\"id\":\"lt-{run}-");
    let head = &payload[..payload.len().min(2 * HEAD_BYTES)];
    let start = memmem::find(head, name.as_bytes())? + name.len();
    let number = digits(&head[start..])?;
    let behind = head[start..]
        .iter()
        .position(|byte| !byte.is_ascii_digit())?;
    (head[start + behind] == b'-').then_some(number)
}

/// The id that [`intended`] reads.
pub fn entry_id(run: &str, intended_us: u64, sequence: u64) -> String {
    format!("lt-{run}-{intended_us}-{sequence}")
}

#[inline]
fn digits(bytes: &[u8]) -> Option<u64> {
    let mut number: Option<u64> = None;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            break;
        }
        number = Some(
            number
                .unwrap_or(0)
                .checked_mul(10)?
                .checked_add(u64::from(byte - b'0'))?,
        );
    }
    number
}

fn string<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = &text[text.find(name)? + name.len()..];
    rest.split_once('"').map(|(value, _)| value)
}

/// A fingerprint of a change's bytes: equal for equal bytes, in any process.
pub fn fingerprint(payload: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = PRIME ^ payload.len() as u64;
    let (words, rest) = payload.as_chunks::<8>();
    for word in words {
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
    }
    for byte in rest {
        hash = (hash.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &[u8] =
        br#"{"op":"change","topic":"t","offset":43,"at":"2026","kind":"entry.published","entry":{"id":"lt-ab1-123456-7","revision":1}}"#;

    #[test]
    fn the_documented_messages_are_told_apart() {
        assert_eq!(read(CHANGE), Message::Change(43));
        assert_eq!(
            read(br#"{"op":"subscribed","topic":"t","position":"k3-42","head":57}"#),
            Message::Subscribed("k3", 42)
        );
        assert_eq!(
            read(br#"{"op":"reset","topic":"t","position":"z8-12","reason":"x"}"#),
            Message::Reset("z8", 12)
        );
        assert_eq!(
            read(br#"{"op":"presence","topic":"t","readers":3}"#),
            Message::Presence
        );
        assert!(matches!(
            read(br#"{"op":"error","code":"x","message":"y"}"#),
            Message::Error(_)
        ));
    }

    #[test]
    fn anything_else_is_outside_the_protocol() {
        for bad in [
            &b""[..],
            b"{}",
            b"\xff",
            br#"{"op":"change","topic":"t"}"#,
            br#"{"op":"change","topic":"t","offset":x}"#,
            br#"{"op":"change","topic":"t","offset":99999999999999999999999}"#,
            br#"{"op":"subscribed","topic":"t","position":"k3"}"#,
        ] {
            assert_eq!(
                read(bad),
                Message::Unknown,
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    #[test]
    fn the_intended_time_is_read_back() {
        let id = entry_id("ab1", 123_456, 7);
        assert_eq!(id, "lt-ab1-123456-7");
        assert_eq!(intended(CHANGE, "ab1"), Some(123_456));
        assert_eq!(intended(CHANGE, "ab2"), None);
        assert_eq!(intended(br#"{"id":"lt-ab1-first"}"#, "ab1"), None);
    }

    #[test]
    fn fingerprints_differ_where_bytes_do() {
        let base = fingerprint(CHANGE);
        for at in 0..CHANGE.len() {
            let mut other = CHANGE.to_vec();
            other[at] ^= 1;
            assert_ne!(fingerprint(&other), base, "{at}");
        }
        assert_ne!(fingerprint(&CHANGE[..CHANGE.len() - 1]), base);
    }
}
