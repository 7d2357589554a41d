//! A room of readers against a small server of the test's own, which plants the faults that must be found.

mod over_http;
mod peer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use super::Room;
use crate::frame::{Frame, server_text};
use crate::reader::{Begin, Order, Peer, Plan, Pulse, Tally, Wire};

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn change(offset: u64, text: &str) -> Vec<u8> {
    server_text(
        format!(r#"{{"op":"change","topic":"t","offset":{offset},"entry":{{"id":"lt-r-1-{offset}","x":"{text}"}}}}"#)
            .as_bytes(),
    )
}

/// The same change, compressed.
fn deflated_change(offset: u64, text: &str) -> Vec<u8> {
    let plain = change(offset, text);
    let Ok(Some((Frame::Text(payload), _))) = crate::frame::take(&plain) else {
        panic!("a text frame");
    };
    let mut compressed = Vec::with_capacity(payload.len() + 100);
    flate2::Compress::new(flate2::Compression::default(), false)
        .compress_vec(payload, &mut compressed, flate2::FlushCompress::Sync)
        .expect("compresses");
    compressed.truncate(compressed.len() - 4);
    let mut frame = server_text(&compressed);
    frame[0] |= 0x40;
    frame
}

/// Serves `readers` connections one after the other: the handshake, then `bytes`, in pieces of `piece` bytes.
fn serve(readers: usize, bytes: Vec<Vec<u8>>, piece: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for bytes in bytes.iter().cycle().take(readers) {
            let (mut stream, _) = listener.accept().expect("a reader");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            let mut all = ANSWER.as_bytes().to_vec();
            if String::from_utf8_lossy(&request).contains("permessage-deflate") {
                all.truncate(all.len() - 2);
                all.extend(
                    b"sec-websocket-extensions: permessage-deflate; server_no_context_takeover\r\n\r\n",
                );
            }
            all.extend(server_text(
                br#"{"op":"subscribed","topic":"t","position":"e-0","head":0}"#,
            ));
            all.extend_from_slice(bytes);
            for part in all.chunks(piece) {
                stream.write_all(part).expect("a reader that reads");
            }
            open.push(stream);
        }
        // Until the test is over, which drops the readers.
        for mut stream in open {
            let _ = stream.read(&mut [0; 64]);
        }
    });
    address
}

/// What `readers` readers gather once `deliveries` changes have come.
fn gather(server: SocketAddr, readers: u64, deliveries: u64) -> Tally {
    gather_over(Wire::WebSocket, server, readers, deliveries)
}

fn gather_over(wire: Wire, server: SocketAddr, readers: u64, deliveries: u64) -> Tally {
    let plan = Plan {
        server,
        nodes: Vec::new(),
        authority: server.to_string(),
        ca: None,
        wire,
        topics: vec!["t".to_owned()],
        run: "r".to_owned(),
        threads: 1,
        in_flight: 8,
        first: 0,
        readers,
        peer: matches!(wire, Wire::Peer(_)).then(|| Peer {
            opening: "GET /read HTTP/1.1\r\n\r\n".to_owned(),
            lanes: 2,
        }),
    };
    let (orders, inbox) = mpsc::channel();
    let (tallies, told) = mpsc::channel();
    let shown = Arc::new(Mutex::new(Pulse::default()));
    let (room, waker) =
        Room::new(Arc::new(plan), 0, inbox, tallies, Arc::clone(&shown)).expect("a room");
    let working = std::thread::spawn(move || room.run());
    let connect = Order::Connect {
        from: 0,
        to: readers,
        begin: Begin::Start,
        receive_buffer: None,
    };
    orders.send(connect).expect("a thread");
    waker.wake().expect("awake");
    let mut all = Tally::default();
    while all.deliveries < deliveries {
        orders.send(Order::Tell).expect("a thread");
        waker.wake().expect("awake");
        all.merge(
            &told
                .recv_timeout(std::time::Duration::from_secs(20))
                .expect("a tally"),
        );
    }
    drop(orders);
    waker.wake().expect("awake");
    working.join().expect("no panic").expect("epoll");
    all
}

#[test]
fn a_sound_stream_passes_in_pieces_of_any_size() {
    let stream: Vec<u8> = (1..=20).flat_map(|offset| change(offset, "same")).collect();
    for piece in [1, 7, 100, 100_000] {
        let tally = gather(serve(3, vec![stream.clone()], piece), 3, 60);
        assert_eq!(tally.violations.total(), 0, "{:?}", tally.violations);
        assert_eq!(
            (
                tally.deliveries,
                tally.delivery.count(),
                tally.connect.count()
            ),
            (60, 60, 3)
        );
        assert_eq!(tally.bytes, 3 * stream.len() as u64);
        assert!(tally.seen.len() == 20 && tally.seen.iter().all(|seen| seen.readers == 3));
    }
}

#[test]
fn compressed_streams_are_checked_like_plain_ones() {
    let compressed = |offsets: &[u64]| -> Vec<u8> {
        offsets
            .iter()
            .flat_map(|offset| deflated_change(*offset, "words and words and words"))
            .collect()
    };
    let sound = compressed(&[1, 2, 3]);
    for piece in [1, 7, 100_000] {
        let server = serve(3, vec![sound.clone()], piece);
        let tally = gather_over(Wire::Deflated, server, 3, 9);
        assert_eq!(tally.violations.total(), 0, "{:?}", tally.violations);
        assert_eq!((tally.deliveries, tally.bytes), (9, 3 * sound.len() as u64));
    }
    let server = serve(1, vec![compressed(&[1, 3])], 4_096);
    assert_eq!(gather_over(Wire::Deflated, server, 1, 2).violations.gaps, 1);
    // Compressed without having been asked for.
    let server = serve(1, vec![[change(1, "x"), compressed(&[2])].concat()], 4_096);
    let tally = gather_over(Wire::WebSocket, server, 1, 1);
    assert_eq!(tally.violations.protocol, 1);
}

#[test]
fn planted_faults_are_found() {
    let stream = |offsets: &[u64]| {
        offsets
            .iter()
            .flat_map(|offset| change(*offset, "x"))
            .collect()
    };
    let found = |offsets: &[u64]| {
        let tally = gather(
            serve(1, vec![stream(offsets)], 4_096),
            1,
            offsets.len() as u64,
        );
        let found = tally.violations;
        (found.gaps, found.duplicates, found.inversions)
    };
    assert_eq!(found(&[1, 2, 4]), (1, 0, 0));
    assert_eq!(found(&[1, 2, 2, 3]), (0, 1, 0));
    assert_eq!(found(&[1, 3, 2, 4]), (1, 0, 1));
}

#[test]
fn two_contents_at_one_offset_are_found() {
    let streams = vec![change(1, "this"), change(1, "that")];
    let tally = gather(serve(2, streams, 4_096), 2, 2);
    assert_eq!(tally.violations.divergent, 1);
}

#[test]
fn a_server_that_hangs_up_and_one_that_masks_are_found() {
    let mut closing = change(1, "x");
    closing.extend([0x88, 2, 0x0f, 0xa2]);
    assert_eq!(
        gather(serve(1, vec![closing], 4_096), 1, 1)
            .violations
            .closed,
        1
    );
    let mut masked = change(1, "x");
    masked.extend([0x81, 0x80, 0, 0, 0, 0]);
    assert_eq!(
        gather(serve(1, vec![masked], 4_096), 1, 1)
            .violations
            .protocol,
        1
    );
}
