//! WebSocket frames that RFC 6455, RFC 7692 or a limit forbids, each with the code that ends the connection.

use flate2::{Compress, Compression, FlushCompress};
use serde_json::json;

use crate::support::Server;
use crate::support::frames::{Bare, OFFER};

/// Longest message of a reader, by default.
const MESSAGE_MAX: usize = 4_096;

/// A masked frame in its shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length @ ..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("medium").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x5a, 0x01, 0xff, 0x7e];
    bytes.extend(mask);
    let masked = payload.iter().zip(mask.into_iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a masked frame that declares this length in 64 bits, and none of its payload.
fn declares(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn declares_16(first: u8, length: u16) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 126];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason);
    frame(0x88, &payload)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 100 + 1_024);
    Compress::new(Compression::best(), false)
        .compress_vec(bytes, &mut out, FlushCompress::Sync)
        .expect("compresses");
    out.truncate(out.len() - 4);
    out
}

type Line = (&'static str, Vec<u8>, u16);

fn breaches_of_framing() -> Vec<Line> {
    let unmasked = |first: u8, payload: &[u8]| {
        let mut bytes = vec![first, u8::try_from(payload.len()).expect("short")];
        bytes.extend(payload);
        bytes
    };
    vec![
        ("text without a mask", unmasked(0x81, b"{}"), 1002),
        ("a ping without a mask", unmasked(0x89, b""), 1002),
        ("a close without a mask", unmasked(0x88, &[3, 232]), 1002),
        ("an empty text without a mask", unmasked(0x81, b""), 1002),
        ("RSV1 where nothing was agreed", frame(0xc1, b"{}"), 1002),
        ("RSV2", frame(0xa1, b"{}"), 1002),
        ("RSV3", frame(0x91, b"{}"), 1002),
        ("all reserved bits", frame(0xf1, b"{}"), 1002),
        ("RSV1 on a ping", frame(0xc9, b""), 1002),
        ("RSV2 on a close", frame(0xa8, &[3, 232]), 1002),
        ("opcode 3", frame(0x83, b"{}"), 1002),
        ("opcode 4", frame(0x84, b"{}"), 1002),
        ("opcode 5", frame(0x85, b"{}"), 1002),
        ("opcode 6", frame(0x86, b"{}"), 1002),
        ("opcode 7", frame(0x87, b"{}"), 1002),
        ("opcode 11", frame(0x8b, b""), 1002),
        ("opcode 12", frame(0x8c, b""), 1002),
        ("opcode 13", frame(0x8d, b""), 1002),
        ("opcode 14", frame(0x8e, b""), 1002),
        ("opcode 15", frame(0x8f, b""), 1002),
        ("a binary message", frame(0x82, b"{}"), 1003),
        ("a binary fragment", frame(0x02, b"{}"), 1003),
        ("a ping in fragments", frame(0x09, b"x"), 1002),
        ("a pong in fragments", frame(0x0a, b"x"), 1002),
        ("a close in fragments", frame(0x08, &[3, 232]), 1002),
        ("a ping of 126 bytes", frame(0x89, &[b'x'; 126]), 1002),
        ("a pong of 126 bytes", frame(0x8a, &[b'x'; 126]), 1002),
        ("a close of 126 bytes", close(1000, &[b'x'; 124]), 1002),
        ("a ping that declares 2^63", declares(0x89, 1 << 63), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("a fragment of nothing", frame(0x00, b"{}"), 1002),
        (
            "a message within a message",
            [frame(0x01, b"{"), frame(0x81, b"}")].concat(),
            1002,
        ),
        (
            "a fragment within a message",
            [frame(0x01, b"{"), frame(0x01, b"}")].concat(),
            1002,
        ),
        (
            "a message that goes on behind its end",
            [frame(0x81, b"{\"op\":\"ping\"}"), frame(0x80, b"x")].concat(),
            1002,
        ),
        (
            "2 in 16 bits",
            [&declares_16(0x81, 2)[..], b"{}"].concat(),
            1002,
        ),
        ("125 in 16 bits", declares_16(0x81, 125), 1002),
        (
            "2 in 64 bits",
            [&declares(0x81, 2)[..], b"{}"].concat(),
            1002,
        ),
        ("65,535 in 64 bits", declares(0x81, 65_535), 1002),
        (
            "HTTP",
            b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(),
            1002,
        ),
    ]
}

fn beyond_the_limit() -> Vec<Line> {
    let space = vec![b' '; MESSAGE_MAX];
    let fragments = |count: usize, each: usize| {
        let mut bytes = frame(0x01, &space[..each]);
        for _ in 1..count {
            bytes.extend(frame(0x00, &space[..each]));
        }
        bytes
    };
    vec![
        (
            "a byte too many",
            frame(0x81, &[b' '; MESSAGE_MAX + 1]),
            1009,
        ),
        ("a byte too many, declared", declares_16(0x81, 4_097), 1009),
        ("65,535, declared", declares_16(0x81, 65_535), 1009),
        ("65,536, declared", declares(0x81, 65_536), 1009),
        ("2^31, declared", declares(0x81, 1 << 31), 1009),
        ("2^62, declared", declares(0x81, 1 << 62), 1009),
        ("2^63 - 1, declared", declares(0x81, u64::MAX >> 1), 1009),
        ("2^63, declared", declares(0x81, 1 << 63), 1009),
        ("2^64 - 1, declared", declares(0x81, u64::MAX), 1009),
        ("a fragment of 2^62", declares(0x01, 1 << 62), 1009),
        (
            "a continuation of 2^62",
            [frame(0x01, b" "), declares(0x80, 1 << 62)].concat(),
            1009,
        ),
        (
            "64 fragments of 64 bytes and one of one",
            [fragments(64, 64), frame(0x80, b" ")].concat(),
            1009,
        ),
        (
            "a whole one and one byte",
            [fragments(1, MESSAGE_MAX), frame(0x80, b" ")].concat(),
            1009,
        ),
    ]
}

fn not_text() -> Vec<Line> {
    vec![
        (
            "a byte that is in no character",
            frame(0x81, b"{\"op\":\"\xff\"}"),
            1007,
        ),
        (
            "a character in too many bytes",
            frame(0x81, b"\xc0\xaf"),
            1007,
        ),
        ("half a surrogate pair", frame(0x81, b"\xed\xa0\x80"), 1007),
        (
            "beyond the last character",
            frame(0x81, b"\xf4\x90\x80\x80"),
            1007,
        ),
        ("cut in the middle", frame(0x81, b"\xe2\x82"), 1007),
        (
            "cut in the middle by the last fragment",
            [frame(0x01, b"\xe2"), frame(0x80, b"\x82")].concat(),
            1007,
        ),
        (
            "broken across fragments",
            [
                frame(0x01, b"\xe2"),
                frame(0x00, b"\x82"),
                frame(0x80, b"x"),
            ]
            .concat(),
            1007,
        ),
        (
            "a close whose reason is no text",
            close(1000, b"\xff"),
            1007,
        ),
        (
            "a close whose reason is cut",
            close(1000, b"\xe2\x82"),
            1007,
        ),
    ]
}

fn closes() -> Vec<Line> {
    let mut lines = vec![("a close of one byte", frame(0x88, &[3]), 1002)];
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535,
    ] {
        lines.push(("a code that may not be sent", close(code, b""), 1002));
    }
    for code in [
        1000, 1001, 1002, 1003, 1007, 1009, 1011, 3000, 3999, 4000, 4999,
    ] {
        lines.push(("a code that may", close(code, b"bye"), code));
    }
    lines.push(("no code", frame(0x88, b""), 0));
    lines.push(("a reason of 123 bytes", close(4_321, &[b'x'; 123]), 4_321));
    // What comes behind a close is not looked at any more.
    lines.push((
        "a breach behind it",
        [close(1000, b""), frame(0xf1, b"x")].concat(),
        1000,
    ));
    lines
}

fn compressed() -> Vec<Line> {
    let ping = deflated(br#"{"op":"ping"}"#);
    let mut flood = Vec::new();
    for _ in 0..8 {
        flood.extend(frame(0xc1, &deflated(&[b' '; MESSAGE_MAX + 1])));
    }
    let (half, rest) = ping.split_at(3);
    vec![
        (
            "a bomb of 4,097 bytes",
            frame(0xc1, &deflated(&[b' '; MESSAGE_MAX + 1])),
            1009,
        ),
        (
            "a bomb of 4 MiB in 4 KiB",
            frame(0xc1, &deflated(&vec![b'a'; 4 << 20])[..4_000]),
            1009,
        ),
        ("bombs in a row", flood, 1009),
        (
            "a bomb in fragments",
            {
                let bomb = deflated(&vec![b'a'; 1 << 20]);
                let (one, two) = bomb.split_at(bomb.len() / 2);
                [frame(0x41, one), frame(0x80, two)].concat()
            },
            1009,
        ),
        ("noise", frame(0xc1, &[0xff; 16]), 1002),
        ("a reserved block type", frame(0xc1, &[0x07]), 1002),
        (
            "a distance beyond the beginning",
            frame(0xc1, &[0x4b, 0x04, 0xa2, 0x00]),
            1002,
        ),
        (
            "text that is none, inflated",
            frame(0xc1, &deflated(b"\xff\xfe")),
            1007,
        ),
        (
            "the bit on a continuation",
            [frame(0x41, half), frame(0xc0, rest)].concat(),
            1002,
        ),
        ("the bit on a ping", frame(0xc9, &ping), 1002),
        ("RSV2 as well", frame(0xe1, &ping), 1002),
        (
            "compressed beyond the limit",
            declares_16(0xc1, 4_097),
            1009,
        ),
    ]
}

async fn expect(server: &Server, offers: &[&str], lines: Vec<Line>) {
    for (what, bytes, code) in lines {
        let mut bare = Bare::open(server, "", offers).await;
        bare.send_raw(&bytes).await;
        assert_eq!(bare.closed().await, (code, 0), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_breach_of_the_framing_has_its_close_code() {
    let server = Server::start().await;
    expect(&server, &[], breaches_of_framing()).await;
    expect(&server, &[], not_text()).await;
    expect(&server, &[], closes()).await;
    // Not one of them has cost another reader anything.
    server.publish("t", "x").await;
    let mut bare = Bare::open(&server, "?topic=t&after=start", &[]).await;
    assert_eq!(bare.frame().await.json()["op"], "subscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_length_is_refused_before_a_byte_of_it_is_there() {
    let server = Server::start().await;
    expect(&server, &[], beyond_the_limit()).await;
    // To the byte: the longest message there may be, whole and in the most fragments, is read.
    let mut message = json!({"op": "ping"}).to_string().into_bytes();
    message.resize(MESSAGE_MAX, b' ');
    let (first, last) = message.split_at(MESSAGE_MAX - 1);
    for bytes in [
        frame(0x81, &message),
        [frame(0x01, first), frame(0x00, b""), frame(0x80, last)].concat(),
    ] {
        let mut bare = Bare::open(&server, "", &[]).await;
        bare.send_raw(&bytes).await;
        assert_eq!(bare.frame().await.json()["op"], "pong");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_has_the_limits_of_what_is_not() {
    let server = Server::start().await;
    expect(&server, &[OFFER], compressed()).await;
    let mut message = json!({"op": "ping"}).to_string().into_bytes();
    message.resize(MESSAGE_MAX, b' ');
    let mut bare = Bare::open(&server, "", &[OFFER]).await;
    bare.send_raw(&frame(0xc1, &deflated(&message))).await;
    assert_eq!(bare.frame().await.json()["op"], "pong");
}
