//! The same faults on an event stream and in the pages of long polls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::gather_over;
use crate::reader::{Tally, Wire};

fn change(offset: u64) -> String {
    format!(
        r#"{{"topic":"t","offset":{offset},"at":"2026","kind":"entry.published","entry":{{"id":"lt-r-1-{offset}"}}}}"#
    )
}

fn event(offset: u64) -> String {
    format!(
        "id: e-{offset}\nevent: entry.published\ndata: {}\n\n",
        change(offset)
    )
}

/// An event stream whose chunks have `chunk` bytes.
fn stream(events: &str, chunk: usize) -> Vec<u8> {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    let body = format!("retry: 2000\n: head 9\nid: e-0\n\n: \n\n{events}");
    for part in body.as_bytes().chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", part.len()).bytes());
        bytes.extend_from_slice(part);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn page(offsets: &[u64], last: u64) -> Vec<u8> {
    let changes: Vec<String> = offsets.iter().map(|offset| change(*offset)).collect();
    let body = format!(
        r#"{{"topic":"t","changes":[{}],"position":"e-{last}"}}"#,
        changes.join(",")
    );
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

/// Serves one connection: an answer to each of its requests, in pieces of `piece` bytes.
pub(super) fn serve(answers: Vec<Vec<u8>>, piece: usize) -> SocketAddr {
    serve_again(vec![answers], piece)
}

/// Serves one connection after the other so, each until its reader leaves.
fn serve_again(connections: Vec<Vec<Vec<u8>>>, piece: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for answers in connections {
            let (mut reader, _) = listener.accept().expect("a reader");
            for answer in answers {
                request(&mut reader).expect("a request");
                for part in answer.chunks(piece) {
                    reader.write_all(part).expect("a reader that reads");
                }
            }
            while request(&mut reader).is_some() {}
        }
    });
    address
}

fn faults(tally: &Tally) -> (u64, u64, u64) {
    let found = &tally.violations;
    (found.gaps, found.duplicates, found.inversions)
}

#[test]
fn a_sound_event_stream_passes_however_it_is_cut() {
    let events: String = (1..=20).map(event).collect();
    for (chunk, piece) in [(100_000, 100_000), (1, 3), (7, 100), (150, 1), (100, 13)] {
        let server = serve(vec![stream(&events, chunk)], piece);
        let tally = gather_over(Wire::EventStream, server, 1, 20);
        assert_eq!(tally.violations.total(), 0, "{:?}", tally.violations);
        assert_eq!((tally.deliveries, tally.delivery.count()), (20, 20));
        assert!(tally.bytes > events.len() as u64);
        assert_eq!(tally.connect.count(), 1);
    }
}

#[test]
fn faults_in_an_event_stream_are_found() {
    let found = |offsets: &[u64]| {
        let events: String = offsets.iter().map(|offset| event(*offset)).collect();
        let server = serve(vec![stream(&events, 64)], 1_000);
        faults(&gather_over(
            Wire::EventStream,
            server,
            1,
            offsets.len() as u64,
        ))
    };
    assert_eq!(found(&[1, 2, 4]), (1, 0, 0));
    assert_eq!(found(&[1, 2, 2, 3]), (0, 1, 0));
    assert_eq!(found(&[1, 3, 2, 4]), (1, 0, 1));
}

#[test]
fn an_event_that_is_not_its_change_is_found() {
    let wrong = event(2).replace("id: e-2", "id: e-3");
    let events = format!("{}{wrong}{}", event(1), event(2));
    let server = serve(vec![stream(&events, 1_000)], 1_000);
    let tally = gather_over(Wire::EventStream, server, 1, 2);
    assert_eq!(tally.violations.protocol, 1, "{:?}", tally.violations);
    let another = event(2).replace("id: e-", "id: x-");
    let server = serve(
        vec![stream(&format!("{}{another}", event(1)), 1_000)],
        1_000,
    );
    let tally = gather_over(Wire::EventStream, server, 1, 2);
    assert_eq!(tally.violations.epochs, 1, "{:?}", tally.violations);
}

#[test]
fn a_stream_that_ends_is_found() {
    let mut bytes = stream(&event(1), 1_000);
    bytes.extend(b"0\r\n\r\n");
    let tally = gather_over(Wire::EventStream, serve(vec![bytes], 1_000), 1, 1);
    assert_eq!(tally.violations.closed, 1, "{:?}", tally.violations);
}

#[test]
fn sound_pages_pass_however_they_are_cut() {
    for piece in [1, 50, 100_000] {
        let answers = vec![page(&[1, 2], 2), page(&[], 2), page(&[3, 4, 5], 5)];
        let tally = gather_over(Wire::LongPoll, serve(answers, piece), 1, 5);
        assert_eq!(tally.violations.total(), 0, "{:?}", tally.violations);
        assert_eq!((tally.deliveries, tally.delivery.count()), (5, 5));
        assert_eq!(
            tally.bytes,
            (page(&[1, 2], 2).len() + page(&[3, 4, 5], 5).len()) as u64
        );
    }
}

#[test]
fn faults_in_pages_are_found() {
    let found = |first: &[u64], second: &[u64]| {
        let last = |offsets: &[u64]| *offsets.last().expect("an offset");
        let answers = vec![page(first, last(first)), page(second, last(second))];
        let count = (first.len() + second.len()) as u64;
        gather_over(Wire::LongPoll, serve(answers, 1_000), 1, count)
    };
    assert_eq!(faults(&found(&[1, 2], &[4])), (1, 0, 0));
    assert_eq!(faults(&found(&[1, 2], &[2, 3])), (0, 1, 0));
    assert_eq!(faults(&found(&[1, 2], &[3, 5, 4, 6])), (1, 0, 1));
}

#[test]
fn a_refusal_between_polls_is_found_and_the_reader_comes_back_with_its_cursor() {
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec();
    let connections = vec![vec![page(&[1], 1), refusal], vec![page(&[2, 3], 3)]];
    let tally = gather_over(Wire::LongPoll, serve_again(connections, 1_000), 1, 3);
    assert_eq!(tally.violations.closed, 1, "{:?}", tally.violations);
    assert_eq!(tally.violations.total(), 1, "{:?}", tally.violations);
}
