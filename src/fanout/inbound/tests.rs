//! The reader of frames against hand-made frames, and against tungstenite's writer as an oracle.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use super::*;

const MAX: usize = 64;
const PLAIN: Accepts = Accepts {
    message_bytes_max: MAX,
    wire: Wire::Plain,
};
const LONG: Accepts = Accepts {
    message_bytes_max: 1_000,
    wire: Wire::Plain,
};
const DEFLATED: Accepts = Accepts {
    message_bytes_max: MAX,
    wire: Wire::Deflated,
};
const MASK: [u8; 4] = [1, 2, 3, 4];

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | u8::try_from(length).expect("short")),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("medium").to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(unmask(payload, MASK));
    bytes
}

fn read(bytes: &[u8]) -> (Vec<Received>, Result<(), CloseCode>) {
    let mut received = Vec::new();
    let outcome = Assembly::default().read(bytes, PLAIN, &mut received);
    (received, outcome)
}

fn refused(bytes: &[u8]) -> CloseCode {
    read(bytes).1.expect_err("refused")
}

#[test]
fn reads_text_in_one_piece_and_in_fragments_with_a_ping_between() {
    let mut bytes = frame(0x81, b"one");
    bytes.extend(frame(0x01, b"tw"));
    bytes.extend(frame(0x89, b"?"));
    bytes.extend(frame(0x80, b"o"));
    bytes.extend(frame(0x8a, b""));
    bytes.extend(frame(0x88, &[0x03, 0xe8]));
    let expected = [
        Received::Text("one".into()),
        Received::Fragment,
        Received::Ping(Bytes::from_static(b"?")),
        Received::Text("two".into()),
        Received::Pong,
        Received::Close(Some(1000)),
    ];
    assert_eq!(read(&bytes), (expected.to_vec(), Ok(())));
    // The same, a byte at a time.
    let mut assembly = Assembly::default();
    let mut received = Vec::new();
    for byte in &bytes {
        assembly
            .read(std::slice::from_ref(byte), PLAIN, &mut received)
            .expect("valid");
    }
    assert_eq!(received, expected);
    assert!(assembly.is_empty());
}

#[test]
fn each_breach_has_its_code() {
    let unmasked = [0x81, 1, b'x'];
    assert_eq!(refused(&unmasked), CloseCode::Protocol);
    for rsv in [0x40, 0x20, 0x10] {
        assert_eq!(refused(&frame(0x81 | rsv, b"x")), CloseCode::Protocol);
    }
    for reserved in [0x83, 0x87, 0x8b, 0x8f] {
        assert_eq!(refused(&frame(reserved, b"x")), CloseCode::Protocol);
    }
    assert_eq!(refused(&frame(0x82, b"x")), CloseCode::Unsupported);
    assert_eq!(refused(&frame(0x81, &[0xff])), CloseCode::InvalidText);
    assert_eq!(refused(&frame(0x81, &[b'x'; MAX + 1])), CloseCode::TooLarge);
    assert_eq!(refused(&frame(0x09, b"")), CloseCode::Protocol);
    assert_eq!(refused(&frame(0x89, &[b'x'; 126])), CloseCode::Protocol);
    assert_eq!(refused(&frame(0x80, b"x")), CloseCode::Protocol);
    let mut two = frame(0x01, b"x");
    two.extend(frame(0x81, b"y"));
    assert_eq!(refused(&two), CloseCode::Protocol);
    assert_eq!(refused(&frame(0x88, b"x")), CloseCode::Protocol);
    assert_eq!(refused(&frame(0x88, &[0x03, 0xed])), CloseCode::Protocol);
    assert_eq!(
        refused(&frame(0x88, &[0x03, 0xe8, 0xff])),
        CloseCode::InvalidText
    );
}

#[test]
fn a_length_that_is_not_the_shortest_is_refused() {
    let long_form = [0x81, 0x80 | 126, 0, 1, 1, 2, 3, 4, b'x' ^ 1];
    assert_eq!(refused(&long_form), CloseCode::Protocol);
}

#[test]
fn a_declared_length_is_refused_before_its_bytes_come() {
    let mut header = vec![0x81, 0x80 | 127];
    header.extend(u64::MAX.to_be_bytes());
    header.extend(MASK);
    assert_eq!(refused(&header), CloseCode::TooLarge);
}

#[test]
fn fragments_count_together() {
    let mut bytes = frame(0x01, &[b'x'; MAX]);
    bytes.extend(frame(0x80, b""));
    assert_eq!(read(&bytes).0.len(), 2);
    let mut bytes = frame(0x01, &[b'x'; MAX]);
    bytes.extend(frame(0x80, b"y"));
    assert_eq!(refused(&bytes), CloseCode::TooLarge);
}

/// "Hello" (RFC 7692, section 7.2.3.1).
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn read_deflated(bytes: &[u8]) -> Result<Vec<Received>, CloseCode> {
    let mut received = Vec::new();
    Assembly::default().read(bytes, DEFLATED, &mut received)?;
    Ok(received)
}

#[test]
fn compressed_messages_are_read_where_the_handshake_agreed() {
    assert_eq!(refused(&frame(0xc1, &HELLO)), CloseCode::Protocol);
    let hello = Received::Text("Hello".into());
    assert_eq!(read_deflated(&frame(0xc1, &HELLO)), Ok(vec![hello.clone()]));
    // In fragments, with a plain message behind (section 7.2.3.1; the bit stands on the first frame alone).
    let mut bytes = frame(0x41, &HELLO[..3]);
    bytes.extend(frame(0x8a, b""));
    bytes.extend(frame(0x80, &HELLO[3..]));
    bytes.extend(frame(0x81, b"plain"));
    let plain = Received::Text("plain".into());
    assert_eq!(
        read_deflated(&bytes),
        Ok(vec![Received::Fragment, Received::Pong, hello, plain])
    );
}

#[test]
fn a_compressed_message_has_the_limits_of_any_other() {
    // Sixty-five spaces in a handful of bytes.
    let deflated = |text: &str| {
        let mut compressor = flate2::Compress::new(flate2::Compression::best(), false);
        let mut bytes = Vec::with_capacity(1_000);
        compressor
            .compress_vec(text.as_bytes(), &mut bytes, flate2::FlushCompress::Sync)
            .expect("compresses");
        bytes.truncate(bytes.len() - 4);
        bytes
    };
    let most = frame(0xc1, &deflated(&" ".repeat(MAX)));
    assert_eq!(
        read_deflated(&most),
        Ok(vec![Received::Text(" ".repeat(MAX))])
    );
    let over = frame(0xc1, &deflated(&" ".repeat(MAX + 1)));
    assert_eq!(read_deflated(&over), Err(CloseCode::TooLarge));
    let rubbish = frame(0xc1, &[0xff; 8]);
    assert_eq!(read_deflated(&rubbish), Err(CloseCode::Protocol));
    for misplaced in [0xc0, 0xc9, 0xca, 0xc8] {
        let mut bytes = frame(0x01, b"x");
        bytes.extend(frame(misplaced, b""));
        assert_eq!(read_deflated(&bytes), Err(CloseCode::Protocol));
    }
}

proptest! {
    #[test]
    fn reads_what_tungstenite_writes(texts in proptest::collection::vec(".{0,20}", 1..6), cut in 1_usize..50) {
        let mut bytes = Vec::new();
        for text in &texts {
            let mut frame = Frame::message(text.clone().into_bytes(), OpCode::Data(Data::Text), true);
            frame.header_mut().mask = Some([9, 8, 7, 6]);
            frame.format(&mut bytes).expect("a frame");
        }
        let mut assembly = Assembly::default();
        let mut received = Vec::new();
        for piece in bytes.chunks(cut) {
            assembly.read(piece, LONG, &mut received).expect("valid");
        }
        let expected: Vec<_> = texts.into_iter().map(Received::Text).collect();
        prop_assert_eq!(received, expected);
        prop_assert!(assembly.is_empty());
    }

    #[test]
    fn nothing_panics_and_nothing_grows_past_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut assembly = Assembly::default();
        let mut received = Vec::new();
        for piece in bytes.chunks(7) {
            if assembly.read(piece, DEFLATED, &mut received).is_err() {
                break;
            }
            prop_assert!(assembly.raw.len() <= MAX + 125 + 14);
            prop_assert!(assembly.fragments.as_ref().is_none_or(|kept| kept.payload.len() <= MAX));
        }
    }
}
