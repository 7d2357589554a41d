//! WebSocket frames as they are on the wire, plain and compressed.

use bytes::{Buf, BytesMut};
use flate2::{Decompress, FlushDecompress};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

/// What browsers offer.
pub const OFFER: &str = "permessage-deflate; client_max_window_bits";
/// What the server agrees to.
pub const AGREED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A reader that sees frames as they are on the wire.
pub struct Bare {
    stream: TcpStream,
    buffer: BytesMut,
    /// What the server agreed to.
    pub extensions: Option<String>,
}

/// A frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its first byte.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Bare {
    pub async fn open(server: &Server, query: &str, offers: &[&str]) -> Self {
        Self::open_at(server.base.trim_start_matches("http://"), query, offers).await
    }

    /// A reader of the server at `HOST:PORT`.
    pub async fn open_at(address: &str, query: &str, offers: &[&str]) -> Self {
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
    pub async fn frame(&mut self) -> Frame {
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

    /// Sends bytes as they are; a server that has closed already takes none.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The code of the close frame that ends it, how many pongs came before, and that nothing comes behind.
    pub async fn closed(&mut self) -> (u16, usize) {
        let mut pongs = 0;
        loop {
            let frame = self.any_frame().await;
            match frame.first {
                0x8a => pongs += 1,
                0x88 => {
                    assert!(self.buffer.is_empty(), "nothing follows a close frame");
                    let code = frame
                        .payload
                        .get(..2)
                        .map_or([0, 0], |code| [code[0], code[1]]);
                    return (u16::from_be_bytes(code), pongs);
                }
                _ => {}
            }
        }
    }

    /// Sends a frame with this first byte, masked with zeros.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("short");
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        self.stream.write_all(&frame).await.expect("sent");
    }
}

impl Frame {
    /// What it says, inflated where it is compressed.
    pub fn json(&self) -> Value {
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
