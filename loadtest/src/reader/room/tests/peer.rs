//! The same faults in the streams of other servers: what is around a change is taken off, and two publishers number
//! theirs apart.

use super::over_http::serve;
use super::{ANSWER, gather_over};
use crate::frame::server_text;
use crate::reader::{Dialect, Tally, Wire};

fn change(offset: u64) -> String {
    format!(r#"{{"op":"change","topic":"t","offset":{offset},"entry":{{"id":"lt-r-1-{offset}"}}}}"#)
}

fn bare(offsets: &[u64]) -> Vec<u8> {
    let messages = offsets
        .iter()
        .flat_map(|offset| server_text(change(*offset).as_bytes()));
    ANSWER.bytes().chain(messages).collect()
}

/// Two publications in each frame, where there are two.
fn centrifugo(offsets: &[u64]) -> Vec<u8> {
    let connect = br#"{"connect":{"client":"x","subs":{"c":{}}}}"#;
    let mut bytes: Vec<u8> = ANSWER.bytes().chain(server_text(connect)).collect();
    for pair in offsets.chunks(2) {
        let lines: Vec<String> = pair
            .iter()
            .map(|offset| format!(r#"{{"channel":"c","pub":{{"data":{}}}}}"#, change(*offset)))
            .collect();
        bytes.extend(server_text(lines.join("\n").as_bytes()));
        bytes.extend(server_text(b"{}"));
    }
    bytes
}

/// A comment ahead of each event, as the hub's sign of life.
fn mercure(offsets: &[u64]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for offset in offsets {
        let event = format!(":\nid: urn:uuid:{offset}\ndata: {}\n\n", change(*offset));
        // Chunks end where they like.
        for part in event.as_bytes().chunks(50) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes());
            bytes.extend_from_slice(part);
            bytes.extend(b"\r\n");
        }
    }
    bytes
}

type Stream = fn(&[u64]) -> Vec<u8>;
const ALL: [(Dialect, Stream); 3] = [
    (Dialect::Bare, bare),
    (Dialect::Centrifugo, centrifugo),
    (Dialect::Mercure, mercure),
];

fn read(dialect: Dialect, bytes: Vec<u8>, piece: usize, deliveries: usize) -> Tally {
    let server = serve(vec![bytes], piece);
    gather_over(Wire::Peer(dialect), server, 1, deliveries as u64)
}

#[test]
fn a_sound_stream_of_two_publishers_passes_in_pieces_of_any_size() {
    // Each publisher's own numbers rise; between them there is no order.
    let offsets = [2, 1, 4, 6, 3, 5];
    for (dialect, stream) in ALL {
        for piece in [1, 9, 100_000] {
            let tally = read(dialect, stream(&offsets), piece, offsets.len());
            let found = &tally.violations;
            assert_eq!(found.total(), 0, "{dialect:?} by {piece}: {found:?}");
            assert_eq!((tally.deliveries, tally.delivery.count()), (6, 6));
            assert!(tally.stood_us > 0 && tally.seen.len() == 6);
        }
    }
}

#[test]
fn planted_faults_are_found() {
    for (dialect, stream) in ALL {
        let found = |offsets: &[u64]| {
            let found = read(dialect, stream(offsets), 4_096, offsets.len()).violations;
            (found.gaps, found.duplicates, found.inversions)
        };
        assert_eq!(found(&[1, 2, 5, 4]), (1, 0, 0), "{dialect:?}");
        assert_eq!(found(&[1, 2, 2]), (0, 1, 0), "{dialect:?}");
        assert_eq!(found(&[1, 5, 3]), (1, 0, 1), "{dialect:?}");
    }
}

#[test]
fn what_a_peer_says_beside_changes_is_found() {
    let mut bytes = centrifugo(&[1]);
    bytes.extend(server_text(br#"{"disconnect":{"code":3008}}"#));
    bytes.extend(server_text(
        format!(r#"{{"channel":"c","pub":{{"data":{}}}}}"#, change(3)).as_bytes(),
    ));
    let found = read(Dialect::Centrifugo, bytes, 4_096, 2).violations;
    assert_eq!((found.protocol, found.gaps), (1, 0), "{found:?}");
}
