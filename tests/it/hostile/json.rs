//! JSON that parsers disagree on: depth, names that are there twice, numbers, surrogates, what is in front and behind.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::ws::Ws;

const JSON: &str = "application/json";

/// A server with an entry `e`, and what a refusal must not change.
async fn standing() -> (Server, Value) {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "e", "headline": "One"}))
        .await;
    let before = server.topic("t").await["position"].clone();
    (server, before)
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_there_once_at_every_level() {
    let (server, before) = standing().await;
    let entries = "/v1/topics/t/entries";
    for (method, path, body, field) in [
        (
            "POST",
            entries,
            r#"{"headline":"a","headline":"b"}"#,
            "headline",
        ),
        (
            "POST",
            entries,
            r#"{"headline":"a","head\u006cine":"b"}"#,
            "headline",
        ),
        (
            "POST",
            entries,
            r#"{"body":{"text":"a"},"body":{"html":"b"}}"#,
            "body",
        ),
        (
            "POST",
            entries,
            r#"{"body":{"text":"a","text":"b"}}"#,
            "body.text",
        ),
        (
            "POST",
            entries,
            r#"{"headline":"a","authors":[{"name":"a"},{"name":"a","name":"b"}]}"#,
            "authors[1].name",
        ),
        (
            "POST",
            entries,
            r#"{"headline":"a","sources":[{"name":"a","url":null,"url":null}]}"#,
            "sources[0].url",
        ),
        (
            "POST",
            entries,
            r#"{"headline":"a","correction":{"note":"a","note":"b"}}"#,
            "correction.note",
        ),
        (
            "POST",
            "/v1/topics/t/entries:batch",
            r#"{"entries":[{"headline":"a"},{"headline":"b","headline":"c"}]}"#,
            "entries[1].headline",
        ),
        (
            "POST",
            "/v1/topics/t/entries:batch",
            r#"{"entries":[],"entries":[]}"#,
            "entries",
        ),
        (
            "PUT",
            "/v1/topics/t",
            r#"{"title":"a","title":"b"}"#,
            "title",
        ),
        (
            "PUT",
            "/v1/topics/t",
            r#"{"summary":{"text":"a","text":"b"}}"#,
            "summary.text",
        ),
        (
            "POST",
            "/v1/topics/t/end",
            r#"{"successor":{"title":"a","title":"b"}}"#,
            "successor.title",
        ),
        (
            "DELETE",
            "/v1/topics/t/entries/e",
            r#"{"reason":"a","reason":"b"}"#,
            "reason",
        ),
        (
            "POST",
            "/v1/tickets",
            r#"{"topics":["t"],"topics":["u"]}"#,
            "topics",
        ),
        (
            "POST",
            "/v1/preview",
            r#"{"body":{"text":"a"},"body":{"text":"b"}}"#,
            "body",
        ),
        (
            "PATCH",
            "/v1/topics/t/entries/e",
            r#"{"headline":"a","headline":"b"}"#,
            "headline",
        ),
        (
            "PATCH",
            "/v1/topics/t/entries/e",
            r#"{"headline":"a","headline":null}"#,
            "headline",
        ),
        (
            "PATCH",
            "/v1/topics/t/entries/e",
            r#"{"body":{"text":"a","text":"b"}}"#,
            "body.text",
        ),
        (
            "PATCH",
            "/v1/topics/t/entries/e",
            r#"{"authors":[{"name":"a","name":"b"}]}"#,
            "authors[0].name",
        ),
        (
            "PATCH",
            "/v1/topics/t",
            r#"{"title":"a","title":"b"}"#,
            "title",
        ),
        (
            "PATCH",
            "/v1/topics/t",
            r#"{"predecessor":{"topic":"a","topic":"b"}}"#,
            "predecessor.topic",
        ),
    ] {
        let call = server.desk(method, path).body(JSON, body);
        let problem = call.expect_problem(422, "invalid_field").await;
        assert_eq!(problem["field"], field, "{body}: {problem}");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("twice") && detail.contains(field),
            "{problem}"
        );
    }
    assert_eq!(server.topic("t").await["position"], before);
    let mut ws = Ws::open(&server.ws("")).await;
    for twice in [
        r#"{"op":"subscribe","topic":"t","topic":"u"}"#,
        r#"{"op":"ping","op":"subscribe","topic":"t"}"#,
    ] {
        ws.raw(tungstenite::Message::text(twice)).await;
        assert_eq!(ws.op("error").await["code"], "invalid_message", "{twice}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_or_no_text_is_refused_whole() {
    let (server, before) = standing().await;
    let within = |value: &str| format!("{{\"headline\":{value}}}").into_bytes();
    let deep = |open: &str, close: &str, depth: usize| {
        format!(
            "{{\"headline\":{}1{}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
        .into_bytes()
    };
    for (what, body) in [
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"headline\":\"x\"}".to_vec(),
        ),
        (
            "UTF-16",
            "{\"headline\":\"x\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        ("something behind", b"{\"headline\":\"x\"}x".to_vec()),
        ("a second object", b"{\"headline\":\"x\"}{}".to_vec()),
        ("a NUL behind", b"{\"headline\":\"x\"}\0".to_vec()),
        ("a comment", b"{\"headline\":\"x\"}//".to_vec()),
        ("a comment within", b"{/**/\"headline\":\"x\"}".to_vec()),
        ("a comma too many", b"{\"headline\":\"x\",}".to_vec()),
        ("single quotes", b"{'headline':'x'}".to_vec()),
        ("no quotes", b"{headline:\"x\"}".to_vec()),
        ("cut off", b"{\"headline\":\"x\"".to_vec()),
        ("NaN", within("NaN")),
        ("Infinity", within("-Infinity")),
        ("a number beyond all numbers", within("1e999")),
        ("a hexadecimal number", within("0x10")),
        ("a number with a zero in front", within("007")),
        ("a plus", within("+1")),
        ("a raw NUL", within("\"\0\"")),
        ("a raw line break", within("\"a\nb\"")),
        ("an unknown escape", within(r#""\x41""#)),
        ("a leading surrogate", within(r#""\ud800""#)),
        ("a trailing surrogate", within(r#""\udc00""#)),
        ("a surrogate and a letter", within(r#""\ud800\u0041""#)),
        ("a surrogate in a name", br#"{"\ud800":"x"}"#.to_vec()),
        (
            "bytes that are no text",
            within("\"\u{1}\"")
                .into_iter()
                .map(|byte| if byte == 1 { 0xff } else { byte })
                .collect(),
        ),
    ] {
        for (method, path) in [
            ("POST", "/v1/topics/t/entries"),
            ("PATCH", "/v1/topics/t/entries/e"),
        ] {
            let call = server.desk(method, path).body(JSON, body.clone());
            let answer = call.send().await;
            let code = answer.json()["code"].clone();
            // A number may be looked at as a headline before it is seen not to be one.
            let wanted = if what.contains("number") && answer.status == 422 {
                (422, json!("invalid_field"))
            } else {
                (400, json!("invalid_json"))
            };
            let text = answer.text();
            assert_eq!((answer.status, code), wanted, "{what} by {method}: {text}");
        }
    }
    // Deep: a parser that recurses would have no stack left.
    for body in [
        deep("[", "]", 200_000 / 2),
        deep("{\"a\":", "}", 30_000),
        "[".repeat(250_000).into_bytes(),
        "{\"body\":".repeat(30_000).into_bytes(),
    ] {
        for (method, path) in [
            ("POST", "/v1/topics/t/entries"),
            ("PATCH", "/v1/topics/t/entries/e"),
            ("PUT", "/v1/topics/t"),
        ] {
            let answer = server
                .desk(method, path)
                .body(JSON, body.clone())
                .send()
                .await;
            assert!(
                matches!(answer.status, 400 | 422),
                "{method}: {}",
                answer.status
            );
        }
    }
    let mut nested = Ws::open(&server.ws("")).await;
    for _ in 0..8 {
        nested
            .raw(tungstenite::Message::text("[".repeat(4_096)))
            .await;
        assert_eq!(nested.op("error").await["code"], "invalid_message");
    }
    assert_eq!(server.topic("t").await["position"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_reach_nobody_as_such() {
    let server = Server::start().await;
    // Escaped, JSON may carry what XML and HTML may not.
    let odd = "a\u{0}b\u{8}c\u{1b}[31md\u{7f}e\u{85}f\u{2028}g\u{fffe}h\u{202e}i";
    server
        .publish_entry(
            "t",
            json!({"id": "e", "headline": odd, "body": {"html": format!("<p>{odd}</p>")}, "tags": [odd],
                "authors": [{"name": odd}], "key_event": true, "pinned": true}),
        )
        .await;
    server.changes("t", "start").await;
    for (path, text) in server.every_path("t").await {
        if path.starts_with("/t/") {
            // In HTML they are no markup, and a browser leaves them out.
            let page = scraper::Html::parse_document(&text);
            let entries = scraper::Selector::parse("article").expect("a selector");
            assert_eq!(page.select(&entries).count(), 2, "the entry, and its pin");
            continue;
        }
        let is_raw =
            |c: &char| c.is_control() && !matches!(c, '\n' | '\t' | '\r' | '\u{7f}'..='\u{9f}');
        assert_eq!(text.chars().find(is_raw), None, "{path}");
        if path.ends_with(".atom") {
            // XML has no such characters, in whatever spelling.
            assert!(!text.contains(['\u{fffe}', '\u{ffff}']), "{path}");
            for spelling in ["&#x0;", "&#0;", "&#x8;", "&#8;", "&#x1b;", "&#27;"] {
                assert!(!text.contains(spelling), "{path}: {text}");
            }
        }
    }
}
