//! HTTP/1.1 from the side of a reader that has no WebSocket: the requests of event streams and long polls, and the
//! answers as far as they must be understood.

use std::borrow::Cow;
use std::time::Duration;

use crate::chunked::{Chunks, Piece};
use crate::handshake::After;

/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most header fields of an answer.
const FIELDS_MAX: usize = 64;
/// Longest body that is read as a whole, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// How its body ends.
    pub length: Length,
    /// Bytes of the head, with the empty line.
    pub bytes: usize,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After so many bytes.
    Bytes(usize),
    /// In chunks.
    Chunked,
}

/// A body and how many bytes it had on the wire, with its framing.
type Whole<'a> = (Cow<'a, [u8]>, usize);

/// The request of an event stream. Who was there before says so as a browser does, with `Last-Event-ID`.
pub fn stream_request(authority: &str, topic: &str, after: After<'_>) -> String {
    let (query, field) = match after {
        After::Head => ("", String::new()),
        After::Start => ("?after=start", String::new()),
        After::Position(epoch, offset) => ("", format!("Last-Event-ID: {epoch}-{offset}\r\n")),
    };
    format!(
        "GET /v1/topics/{topic}/stream{query} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n\
         Cache-Control: no-store\r\n{field}\r\n"
    )
}

/// The request of a catch-up page, for which the broker may wait: 0 to 60 s.
pub fn poll_request(authority: &str, topic: &str, after: After<'_>, wait: Duration) -> String {
    let wait = wait.as_secs();
    format!(
        "GET /v1/topics/{topic}/changes?wait={wait}{after} HTTP/1.1\r\nHost: {authority}\r\n\
         Accept: application/json\r\n\r\n"
    )
}

/// Reads the head of an answer; none where more must be read.
///
/// # Errors
/// What is wrong with it, in a few words.
#[inline]
pub fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let used = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => {
            return Err("an endless head of an answer".to_owned());
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not an HTTP answer: {error}")),
    };
    let mut length = None;
    for field in answer.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let bytes = std::str::from_utf8(field.value)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .filter(|bytes| *bytes <= BODY_BYTES_MAX)
                .ok_or("a Content-Length that is no number, or beyond the limit")?;
            length = Some(Length::Bytes(bytes));
        } else if field.name.eq_ignore_ascii_case("transfer-encoding")
            && field.value.eq_ignore_ascii_case(b"chunked")
        {
            length = Some(Length::Chunked);
            break;
        }
    }
    Ok(Some(Head {
        status: answer.code.unwrap_or(0),
        length: length.ok_or("an answer that does not say where it ends")?,
        bytes: used,
    }))
}

/// Reads the whole body behind a head; none where more must be read.
///
/// # Errors
/// What is wrong with it, in a few words.
#[inline]
pub fn body(length: Length, bytes: &[u8]) -> Result<Option<Whole<'_>>, &'static str> {
    if let Length::Bytes(len) = length {
        return Ok(bytes.get(..len).map(|body| (Cow::Borrowed(body), len)));
    }
    let (mut chunks, mut used, mut body) = (Chunks::default(), 0, Vec::new());
    while let Some((piece, len)) = chunks.take(&bytes[used..])? {
        used += len;
        match piece {
            Piece::Bytes(bytes) => body.extend_from_slice(bytes),
            Piece::Framing => {}
            Piece::End => return Ok(Some((Cow::Owned(body), used))),
        }
        if body.len() > BODY_BYTES_MAX {
            return Err("a body beyond the limit");
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_in_the_request() {
        let at = After::Position("k3", 7);
        let line = |request: String| request.lines().next().map(str::to_owned);
        assert_eq!(
            line(stream_request("h:1", "t", After::Start)).as_deref(),
            Some("GET /v1/topics/t/stream?after=start HTTP/1.1")
        );
        assert!(stream_request("h:1", "t", at).contains("\r\nLast-Event-ID: k3-7\r\n"));
        assert!(!stream_request("h:1", "t", After::Head).contains("Last-Event-ID"));
        assert_eq!(
            line(poll_request("h:1", "t", at, Duration::from_secs(20))).as_deref(),
            Some("GET /v1/topics/t/changes?wait=20&after=k3-7 HTTP/1.1")
        );
    }

    #[test]
    fn heads_say_how_their_body_ends() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 3\r\n\r\nabc";
        let found = head(text).expect("sound").expect("whole");
        assert_eq!((found.status, found.length), (200, Length::Bytes(3)));
        assert_eq!(&text[found.bytes..], b"abc");
        for cut in 0..found.bytes {
            assert_eq!(head(&text[..cut]), Ok(None), "{cut}");
        }
        let chunked = b"HTTP/1.1 503 No\r\ntransfer-encoding: Chunked\r\n\r\n";
        let found = head(chunked).expect("sound").expect("whole");
        assert_eq!((found.status, found.length), (503, Length::Chunked));
        for bad in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            b"nonsense\r\n\r\n",
        ] {
            assert!(head(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(head(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(9_000)).as_bytes()).is_err());
    }

    #[test]
    fn bodies_are_whole_or_awaited() {
        let length = Length::Bytes(3);
        assert_eq!(body(length, b"ab"), Ok(None));
        assert_eq!(body(length, b"abcd"), Ok(Some((b"abc"[..].into(), 3))));
        let chunks = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for cut in 0..chunks.len() {
            assert_eq!(body(Length::Chunked, &chunks[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(
            body(Length::Chunked, chunks),
            Ok(Some((b"abc"[..].into(), chunks.len())))
        );
        assert!(body(Length::Chunked, b"x").is_err());
    }
}
