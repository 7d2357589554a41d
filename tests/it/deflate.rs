//! permessage-deflate (RFC 7692) over real sockets: who gets it, that it says the same, and what it may not do.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Server};

/// What browsers offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A reader that sees frames as they are on the wire.
struct Bare {
    stream: TcpStream,
    buffer: BytesMut,
    /// What the server agreed to.
    extensions: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    first: u8,
    payload: Vec<u8>,
}

impl Bare {
    async fn open(server: &Server, query: &str, offers: &[&str]) -> Self {
        let address = server.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let mut head = format!(
            "GET /v1/ws{query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for offer in offers {
            head.push_str(&format!("Sec-WebSocket-Extensions: {offer}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut bare = Self {
            stream,
            buffer: BytesMut::new(),
            extensions: None,
        };
        let end = loop {
            if let Some(end) = bare.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            bare.more().await;
        };
        let head = String::from_utf8(bare.buffer.split_to(end).to_vec()).expect("ASCII");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        bare.extensions = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-extensions")
                .then(|| value.to_owned())
        });
        bare
    }

    async fn more(&mut self) {
        let count = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
            .await
            .expect("in time")
            .expect("read");
        assert!(count > 0, "the server has closed");
    }

    /// The next frame that tells nothing of presence, which comes when it likes.
    async fn frame(&mut self) -> Frame {
        loop {
            let frame = self.any_frame().await;
            if !frame.payload.starts_with(br#"{"op":"presence""#) {
                return frame;
            }
        }
    }

    async fn any_frame(&mut self) -> Frame {
        loop {
            if let Some((header, length)) = extent(&self.buffer)
                && self.buffer.len() >= header + length
            {
                let first = self.buffer[0];
                self.buffer.advance(header);
                return Frame {
                    first,
                    payload: self.buffer.split_to(length).to_vec(),
                };
            }
            self.more().await;
        }
    }

    /// Sends a frame with this first byte, masked with zeros.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("short");
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        self.stream.write_all(&frame).await.expect("sent");
    }
}

impl Frame {
    fn json(&self) -> Value {
        let text = match self.first {
            0xc1 => inflated(&self.payload),
            0x81 => self.payload.clone(),
            other => panic!("no text frame: {other:#x}"),
        };
        serde_json::from_slice(&text).expect("JSON")
    }
}

/// Length of the header and of the payload, where the header is there.
fn extent(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        126 => {
            let length = bytes.get(2..4)?.try_into().ok()?;
            Some((4, usize::from(u16::from_be_bytes(length))))
        }
        127 => panic!("longer than any frame of these tests"),
        short => Some((2, usize::from(short))),
    }
}

fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut input = payload.to_vec();
    input.extend([0, 0, 0xff, 0xff]);
    let mut text = Vec::with_capacity(1 << 20);
    Decompress::new(false)
        .decompress_vec(&input, &mut text, FlushDecompress::Sync)
        .expect("DEFLATE");
    text
}

fn deflated(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 << 16);
    Compress::new(Compression::best(), false)
        .compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn paragraph(number: usize) -> String {
    format!(
        "Update {number}: the harbour bridge is open again in both directions. Ferries run every twenty minutes until \
         midnight, and the council says that the closed lane will be checked once more on Saturday morning. \
         People who left their cars on the quay can fetch them from six o'clock on."
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_ask_get_the_same_changes_in_fewer_bytes() {
    let server = Server::start().await;
    for number in 1..=5 {
        server.publish("harbour", &paragraph(number)).await;
    }
    let query = "?topic=harbour&after=start";
    let mut compressed = Bare::open(&server, query, &[OFFER]).await;
    let mut plain = Bare::open(&server, query, &[]).await;
    assert_eq!(compressed.extensions.as_deref(), Some(AGREED));
    assert_eq!(plain.extensions, None);
    // What is short stays plain: the answer to the subscription.
    assert_eq!(compressed.frame().await.json()["op"], "subscribed");
    assert_eq!(plain.frame().await.json()["op"], "subscribed");
    for number in 6..=8 {
        server.publish("harbour", &paragraph(number)).await;
    }
    for offset in 1..=8 {
        let (small, large) = (compressed.frame().await, plain.frame().await);
        assert_eq!((small.first, large.first), (0xc1, 0x81));
        assert!(small.payload.len() * 10 < large.payload.len() * 7);
        assert_eq!(small.json(), large.json());
        assert_eq!(small.json()["offset"], offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_kept_is_declined_and_another_one_taken() {
    let server = Server::start().await;
    for (offers, agreed) in [
        (&["permessage-deflate; server_max_window_bits=10"][..], None),
        (&["permessage-bzip2"], None),
        (
            &["permessage-deflate; server_max_window_bits=10", OFFER],
            Some(AGREED),
        ),
    ] {
        let bare = Bare::open(&server, "", offers).await;
        assert_eq!(bare.extensions.as_deref(), agreed, "{offers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_turns_it_off() {
    let server = Server::start_with(|config| config.websocket.deflate = false).await;
    let mut bare = Bare::open(&server, "", &[OFFER]).await;
    assert_eq!(bare.extensions, None);
    bare.send(0xc1, &deflated("{}")).await;
    let close = bare.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.payload[..2], 1002_u16.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_sends_compressed_is_read_within_the_limit() {
    let server = Server::start().await;
    server.publish("harbour", "one").await;
    let mut bare = Bare::open(&server, "", &[OFFER]).await;
    let subscribe = json!({"op": "subscribe", "topic": "harbour"}).to_string();
    bare.send(0xc1, &deflated(&subscribe)).await;
    assert_eq!(bare.frame().await.json()["op"], "subscribed");
    let bomb = deflated(&" ".repeat(4_097));
    assert!(bomb.len() < 64);
    bare.send(0xc1, &bomb).await;
    let close = bare.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.payload[..2], 1009_u16.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_body_is_in_no_compressed_frame() {
    let server = Server::start().await;
    let entry = server.publish("harbour", &paragraph(1)).await;
    let mut early = Bare::open(&server, "?topic=harbour&after=start", &[OFFER]).await;
    early.frame().await;
    assert_eq!(early.frame().await.json()["kind"], "entry.published");
    let id = entry["entry"]["id"].as_str().expect("an id");
    server
        .desk("DELETE", &format!("/v1/topics/harbour/entries/{id}"))
        .expect(200)
        .await;
    assert_eq!(early.frame().await.json()["kind"], "entry.retracted");
    let mut late = Bare::open(&server, "?topic=harbour&after=start", &[OFFER]).await;
    late.frame().await;
    assert_eq!(late.frame().await.json()["kind"], "entry.redacted");
}
