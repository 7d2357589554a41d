//! Words that would be syntax where they end up: fields of event streams, header fields, lines of the log.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::process::Process;
use crate::support::raw::exchange;
use crate::support::{PATIENCE, Server, make_key};
use tenbells::keys::Role;

/// What ends a line for somebody, with a forged field behind it.
const ENDS: [&str; 9] = [
    "\n", "\r", "\r\n", "\n\n", "\u{2028}", "\u{2029}", "\u{85}", "\u{0}", "\u{b}",
];

/// An entry with a line end and forged fields in every text that it has.
fn forged(end: &str) -> Value {
    let text =
        format!("a{end}id: forged-9{end}event: forged{end}data: {{}}{end}{end}retry: 1{end}: x");
    json!({
        "headline": text,
        "body": {"text": text},
        "authors": [{"name": text}],
        "sources": [{"name": text, "role": text}],
        "related_links": [{"title": text, "url": "https://a.example/"}],
        "tags": [text],
        "correction": {"note": text},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_becomes_a_field_of_an_event_stream() {
    let server = Server::start().await;
    for end in ENDS {
        server.publish_entry("t", forged(end)).await;
    }
    server
        .desk("PUT", "/v1/topics/t")
        .json(
            &json!({"title": "a\r\nid: forged-9\n\nevent: forged", "key_points": ["a\rdata: {}"]}),
        )
        .expect(200)
        .await;
    let position = server.changes("t", "start").await.len();
    assert_eq!(position, ENDS.len() + 1);
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    let mut response = reqwest::get(url).await.expect("a stream");
    let mut bytes = Vec::new();
    let last = format!("-{position}\nevent: ");
    while !(bytes.ends_with(b"\n\n") && String::from_utf8_lossy(&bytes).contains(&last)) {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk())
            .await
            .expect("in time");
        bytes.extend(chunk.expect("is read").expect("more"));
    }
    let stream = String::from_utf8(bytes).expect("UTF-8");
    // As the standard parts lines: at CR, LF and both.
    assert!(!stream.contains('\r') && !stream.contains('\0'));
    let (mut ids, mut kinds) = (Vec::new(), HashSet::new());
    for line in stream.split('\n') {
        match line.split_once(": ") {
            Some(("id", id)) => ids.push(id.to_owned()),
            Some(("event", kind)) => {
                kinds.insert(kind.to_owned());
            }
            Some(("data", data)) => assert!(serde_json::from_str::<Value>(data).is_ok(), "{data}"),
            Some(("retry", "2000")) => {}
            _ => assert!(line.is_empty() || line.starts_with(": head "), "{line:?}"),
        }
    }
    let epoch = ids[0].split('-').next().expect("an epoch").to_owned();
    let expected: Vec<_> = (0..=position)
        .map(|offset| format!("{epoch}-{offset}"))
        .collect();
    assert_eq!(ids, expected);
    kinds.remove("presence");
    assert_eq!(
        kinds,
        HashSet::from(["entry.published".to_owned(), "topic.updated".to_owned()])
    );
    // What was written arrives as it was written.
    for (change, end) in server.changes("t", "start").await.iter().zip(ENDS) {
        assert_eq!(change["entry"]["headline"], forged(end)["headline"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_id_is_a_position_or_refused() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    let long = "a".repeat(7_000);
    for value in [
        b"x".as_slice(),
        b"start",
        b"a",
        b"a-",
        b"-1",
        b"a-b",
        b"a-01",
        b"a-+1",
        b"a--1",
        b"a-1-2",
        b"A-1",
        b"a-1 a-2",
        b"a-1,a-2",
        b"a-1\xe2\x80\xa8",
        b"\xff",
        b"a-1\xff",
        b"a-18446744073709551616",
        b"a-1.0",
        b"a-0x1",
        b"'a-1'",
        b"aaaaaaaaaaaaaaaaa-1",
        b"a-1\x0b",
        b"a-1\0",
        b"a-1\x1b[31m",
        b"a-1\r\n folded",
        b"a-1\nid: b-1",
        long.as_bytes(),
    ] {
        let mut request =
            b"GET /v1/topics/t/stream HTTP/1.1\r\nHost: t\r\nLast-Event-ID: ".to_vec();
        request.extend(value);
        request.extend(b"\r\n\r\n");
        let shown = String::from_utf8_lossy(value).into_owned();
        if shown.contains('\n') && !shown.contains("folded") {
            // The rest is a field of its own, in front of which the position ends.
            continue;
        }
        let answer = exchange(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_request_becomes_a_field_of_the_answer() {
    let server = Server::start().await;
    let id = "a.b~c_d-E";
    let answer = server
        .desk("POST", "/v1/topics/t/entries")
        .json(&json!({"id": id, "headline": "x"}))
        .send()
        .await;
    assert_eq!(
        answer.header("location"),
        format!("/v1/topics/t/entries/{id}")
    );
    for id in [
        "e\r\nX-Forged: y",
        "e\nX-Forged: y",
        "e/../f",
        "e?f",
        "e#f",
        "e%0d%0a",
        "\u{e9}",
        "e\u{0}",
    ] {
        let call = server
            .desk("POST", "/v1/topics/t/entries")
            .json(&json!({"id": id, "headline": "x"}));
        assert_eq!(
            call.expect_problem(422, "invalid_field").await["field"],
            "id"
        );
    }
    let forged = "%0d%0aX-Forged:%20y%0d%0a%0d%0aforged";
    for path in [
        format!("/v1/topics/t{forged}"),
        format!("/v1/topics/t/entries/e{forged}"),
        format!("/v1/topics/t/changes?after=start{forged}"),
        format!("/v1/topics/t/changes?after=start&limit=1{forged}"),
        format!("/v1/topics/t/entries?before=1{forged}"),
        format!("/v1/topics/t/entries?filter=pinned{forged}"),
        format!("/v1/topics/t/stream?ticket=tk_a_b{forged}"),
        format!("/t/t{forged}"),
        format!("/t/t?page=1{forged}"),
        format!("/t/t?entry=e{forged}"),
        format!("/oembed?url=http://{}/t/t{forged}", server.address()),
        format!("/assets/x{forged}"),
        format!("/desk/x{forged}"),
        format!("/v1/ws?topic=t{forged}"),
        format!("/{forged}"),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nIf-None-Match: \"x\"\r\nX-Forwarded-Host: forged.example\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(&server, request.as_bytes()).await;
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(!head.to_lowercase().contains("forged"), "{path}: {head}");
        assert!(!head.contains(" 500 "), "{path}: {head}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{path}: {answer}");
    }
}

/// Sends this to the process, and takes what comes first.
async fn say(process: &Process, bytes: &[u8]) {
    let mut stream = TcpStream::connect(process.address())
        .await
        .expect("connects");
    stream.write_all(bytes).await.expect("is sent");
    let mut first = [0; 4_096];
    let read = stream.read(&mut first);
    let _ = tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer");
}

/// Says what would be lines of a log, wherever something can be said.
async fn forge_lines(process: &Process, key: &str) {
    let line = "{\"level\":\"ERROR\",\"message\":\"forged\"}";
    let encoded = "%0A%7B%22message%22%3A%22forged%22%7D%1B%5B31m";
    for request in [
        format!("GET /v1/topics/t{encoded} HTTP/1.1\r\nHost: t\r\n\r\n"),
        format!("GET /{encoded}?after={encoded}&ticket={encoded} HTTP/1.1\r\nHost: t\r\n\r\n"),
        format!("GET /v1/topics/t/stream?ticket=tk_{encoded} HTTP/1.1\r\nHost: t\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: x\t{line}\r\nAuthorization: Bearer tb_\t{line}\r\n\r\n"
        ),
        "GET / HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer eyJhbGciOiJub25lIn0.\u{1b}[31mforged.x\r\n\r\n"
            .to_owned(),
        format!("forged\u{1b}[31m {line} HTTP/1.1\r\n\r\n"),
    ] {
        say(process, request.as_bytes()).await;
    }
    let text = format!("a\r\n{line}\u{1b}[2J");
    let entry = json!({"id": "e", "headline": text, "body": {"html": format!("<p title=\"{line}\">{text}<forged>")},
        "authors": [{"name": text}], "tags": [text]}).to_string();
    let reason = json!({"reason": text}).to_string();
    for (call, body) in [
        ("POST /v1/topics/t/entries", &entry),
        ("DELETE /v1/topics/t/entries/e", &reason),
    ] {
        let length = body.len();
        let request = format!(
            "{call} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        say(process, request.as_bytes()).await;
    }
    // A close reason of a reader, and a token that is none.
    for message in [
        format!("{{\"op\":\"auth\",\"token\":\"x\\n{}\"}}", "forged"),
        "forged\n\u{1b}[31m".to_owned(),
    ] {
        let mut request =
            b"GET /v1/ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .to_vec();
        for first in [0x81, 0x88] {
            request.extend([
                first,
                0x80 | u8::try_from(message.len()).expect("short"),
                0,
                0,
                0,
                0,
            ]);
            request.extend(message.bytes());
        }
        say(process, &request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_becomes_a_line_of_the_log() {
    for format in ["json", "text"] {
        let folder = tempfile::tempdir().expect("folder");
        let key = make_key(folder.path(), Role::Desk, "*");
        let address = crate::support::process::free_address();
        let config = folder.path().join("config.toml");
        let log = format!(
            "[log]
level = \"debug\"
format = \"{format}\"
"
        );
        std::fs::write(&config, log).expect("is written");
        let more = vec!["--config".to_owned(), config.display().to_string()];
        let process = Process::start_with(folder.path(), address, more).await;
        forge_lines(&process, &key).await;
        process.terminate();
        let mut process = process;
        process.ended().await;
        let said = process.said();
        assert!(said.lines().count() > 3, "{said}");
        assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said}");
        for line in said.lines() {
            if format == "json" {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                assert!(
                    line["timestamp"].is_string() && line["message"] != "forged",
                    "{line}"
                );
            } else {
                assert!(line.starts_with("20") && line.contains("Z "), "{line}");
                assert!(!line.contains("forged"), "{line}");
            }
        }
    }
}
