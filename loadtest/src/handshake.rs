//! The opening handshake of a reader (RFC 6455, section 4.1), with the sample key of the RFC: it need not be secret.

use std::fmt;

use memchr::memmem;

/// The key of section 1.3 of the RFC, and the answer that belongs to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After<'a> {
    /// At the head.
    Head,
    /// Before the first change.
    Start,
    /// Behind this change.
    Position(&'a str, u64),
}

impl fmt::Display for After<'_> {
    /// As the query parameter, behind another one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => Ok(()),
            Self::Start => f.write_str("&after=start"),
            Self::Position(epoch, offset) => write!(f, "&after={epoch}-{offset}"),
        }
    }
}

/// Whether messages may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// No.
    Plain,
    /// They have to be (RFC 7692).
    Deflate,
}

/// The request.
pub fn request(authority: &str, topic: &str, after: After<'_>, offer: Offer) -> String {
    let extension = match offer {
        Offer::Plain => "",
        Offer::Deflate => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
        }
    };
    upgrade(
        authority,
        &format!("/v1/ws?topic={topic}{after}"),
        &format!("Sec-WebSocket-Protocol: tenbells.v1\r\n{extension}"),
    )
}

/// The request of any WebSocket at `path`; `more` are further header lines, each with its end.
pub fn upgrade(authority: &str, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// Reads the answer: its length, or none where more must be read.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn answer(bytes: &[u8], offer: Offer) -> Result<Option<usize>, String> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > ANSWER_BYTES_MAX {
            Err("an endless answer to the handshake".to_owned())
        } else {
            Ok(None)
        };
    };
    let text =
        std::str::from_utf8(&bytes[..end]).map_err(|_| "an answer that is not text".to_owned())?;
    let status = text.split("\r\n").next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(status.to_owned());
    }
    let field = |wanted: &str| {
        text.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    if field("sec-websocket-accept") != Some(ACCEPT) {
        return Err("an answer without the right Sec-WebSocket-Accept".to_owned());
    }
    let agreed = field("sec-websocket-extensions").unwrap_or_default();
    match offer {
        Offer::Plain if agreed.is_empty() => Ok(Some(end + 4)),
        Offer::Plain => Err(format!("an extension nobody offered: {agreed}")),
        Offer::Deflate
            if agreed.starts_with("permessage-deflate")
                && agreed.contains("server_no_context_takeover") =>
        {
            Ok(Some(end + 4))
        }
        Offer::Deflate => Err("the server does not compress".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_in_the_request() {
        let line = |after| {
            request("h:1", "t", after, Offer::Plain)
                .lines()
                .next()
                .map(str::to_owned)
        };
        assert_eq!(
            line(After::Head).as_deref(),
            Some("GET /v1/ws?topic=t HTTP/1.1")
        );
        assert_eq!(
            line(After::Start).as_deref(),
            Some("GET /v1/ws?topic=t&after=start HTTP/1.1")
        );
        assert_eq!(
            line(After::Position("k3", 7)).as_deref(),
            Some("GET /v1/ws?topic=t&after=k3-7 HTTP/1.1")
        );
    }

    #[test]
    fn only_the_right_answer_is_taken() {
        let good =
            format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {ACCEPT}\r\n\r\n");
        assert_eq!(answer(good.as_bytes(), Offer::Plain), Ok(Some(good.len())));
        assert_eq!(
            answer(format!("{good}\u{1}\x00").as_bytes(), Offer::Plain),
            Ok(Some(good.len()))
        );
        assert_eq!(answer(&good.as_bytes()[..40], Offer::Plain), Ok(None));
        assert_eq!(
            answer(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Offer::Plain),
            Err("HTTP/1.1 503 Service Unavailable".to_owned())
        );
        assert!(
            answer(
                b"HTTP/1.1 101 x\r\nsec-websocket-accept: no\r\n\r\n",
                Offer::Plain
            )
            .is_err()
        );
        assert!(answer(&[b'x'; 9_000], Offer::Plain).is_err());
    }

    #[test]
    fn an_extension_is_there_where_it_was_offered_and_only_there() {
        let request = request("h:1", "t", After::Head, Offer::Deflate);
        assert!(
            request.contains("\r\nSec-WebSocket-Extensions: permessage-deflate;"),
            "{request}"
        );
        let head = format!("HTTP/1.1 101 x\r\nsec-websocket-accept: {ACCEPT}\r\n");
        let plain = format!("{head}\r\n");
        let deflate = format!(
            "{head}sec-websocket-extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
        );
        let context = format!("{head}sec-websocket-extensions: permessage-deflate\r\n\r\n");
        assert_eq!(
            answer(deflate.as_bytes(), Offer::Deflate),
            Ok(Some(deflate.len()))
        );
        for (text, offer) in [
            (&plain, Offer::Deflate),
            (&context, Offer::Deflate),
            (&deflate, Offer::Plain),
        ] {
            assert!(answer(text.as_bytes(), offer).is_err(), "{text}");
        }
    }
}
