//! A server that speaks as much of the protocol as the harness needs, keeps nothing on disk, and can leave a hole: what
//! it skips it acknowledged, and never sends.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::program::Environment;

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The change with this offset is not sent.
    Skips(usize),
}

/// The one topic: its changes, from offset 1.
#[derive(Default)]
struct Topic {
    changes: Mutex<Vec<String>>,
    grown: Condvar,
}

struct Request {
    path: String,
    body: Vec<u8>,
}

/// Starts one; it serves until the test's process ends.
pub fn start(fault: Fault) -> Environment {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let topic = Arc::new(Topic::default());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, topic) = (stream.expect("a connection"), Arc::clone(&topic));
            // A harness that is done resets its connections: the thread of one then ends.
            std::thread::spawn(move || serve(stream, &topic, fault));
        }
    });
    [
        ("TENBELLS_URL", format!("http://{address}")),
        ("TENBELLS_KEY", "tb_any".to_owned()),
    ]
}

fn serve(stream: TcpStream, topic: &Topic, fault: Fault) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reading = BufReader::new(stream.try_clone().ok()?);
    let mut writing = stream;
    loop {
        let request = request(&mut reading)?;
        if request.path.starts_with("/v1/ws") {
            return websocket(&mut writing, topic, fault);
        }
        let (status, body) = match request.path.split_once("/changes?") {
            Some((_, query)) => ("200 OK", page(topic, query, fault)?),
            None => ("201 Created", publish(topic, &request.body)?),
        };
        let length = body.len();
        write!(
            writing,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
    }
}

fn request(reading: &mut impl BufRead) -> Option<Request> {
    let (mut first, mut length) = (String::new(), 0);
    reading.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        if reading.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reading.read_exact(&mut body).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    Some(Request { path, body })
}

fn publish(topic: &Topic, body: &[u8]) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut changes = topic.changes.lock().ok()?;
    let offset = changes.len() + 1;
    changes.push(format!(
        r#"{{"topic":"t","offset":{offset},"at":"2026","kind":"entry.published","entry":{{"id":{}}}}}"#,
        entry["id"]
    ));
    topic.grown.notify_all();
    Some(format!(r#"{{"entry":{{}},"position":"e-{offset}"}}"#))
}

/// The changes behind `after`, without the one that is skipped.
fn behind(changes: &[String], after: usize, fault: Fault) -> Vec<&str> {
    let numbered = changes.iter().enumerate().skip(after);
    numbered
        .filter(|(index, _)| fault != Fault::Skips(index + 1))
        .map(|(_, change)| change.as_str())
        .collect()
}

fn page(topic: &Topic, query: &str, fault: Fault) -> Option<String> {
    let changes = topic.changes.lock().ok()?;
    let after = query.split("after=e-").nth(1);
    let Some(after) = after.and_then(|text| text.parse::<usize>().ok()) else {
        let head = changes.len();
        return Some(format!(
            r#"{{"topic":"t","changes":[],"position":"e-{head}"}}"#
        ));
    };
    let few = |changes: &mut Vec<String>| behind(changes, after, fault).is_empty();
    let wait = Duration::from_secs(10);
    let (changes, _) = topic.grown.wait_timeout_while(changes, wait, few).ok()?;
    let list = behind(&changes, after, fault).join(",");
    let head = changes.len();
    Some(format!(
        r#"{{"topic":"t","changes":[{list}],"position":"e-{head}"}}"#
    ))
}

/// Sends changes as they come, until the reader is gone.
fn websocket(writing: &mut TcpStream, topic: &Topic, fault: Fault) -> Option<()> {
    let mut sent = topic.changes.lock().ok()?.len();
    // The answer to the key of RFC 6455, section 1.3, which the harness sends.
    write!(
        writing,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
    .ok()?;
    let subscribed =
        format!(r#"{{"op":"subscribed","topic":"t","position":"e-{sent}","head":{sent}}}"#);
    writing.write_all(&frame(&subscribed)).ok()?;
    loop {
        let mut frames = Vec::new();
        {
            let changes = topic.changes.lock().ok()?;
            let none = |changes: &mut Vec<String>| changes.len() == sent;
            let changes = topic.grown.wait_while(changes, none).ok()?;
            for change in behind(&changes, sent, fault) {
                frames.extend(frame(&change.replacen('{', r#"{"op":"change","#, 1)));
            }
            sent = changes.len();
        }
        writing.write_all(&frames).ok()?;
    }
}

/// A text frame of at most 65,535 bytes.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            let length = u16::try_from(text.len()).expect("a short message");
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(text.bytes());
    frame
}
