//! Canaries: a token of its own in every field of what is hidden or was taken back, and a tap on whatever leaves the
//! program: each path in each content coding, header fields, streams and sockets, errors, metrics and the log.

use std::io::Read;

use serde_json::{Value, json};
use tenbells::keys::Role;

use crate::support::bytes::until_gone;
use crate::support::frames::{Bare, OFFER};
use crate::support::make_key;
use crate::support::process::Process;
use crate::support::read::PATHS;
use crate::support::sse::Sse;
use crate::support::ws::Ws;

/// In front of every canary, and nowhere else.
const CANARY: &str = "zq7";
const CODINGS: [&str; 3] = ["identity", "gzip", "br"];

/// An entry with a canary in every field that it has.
fn entry(id: &str) -> Value {
    let token = |field: &str| format!("{CANARY}-{id}-{field}");
    json!({
        "id": id,
        "headline": token("headline"),
        "body": {"markdown": format!("*{}* <!-- {} --> [x](https://{}.example/)", token("body"), token("raw"), token("link"))},
        "authors": [{"name": token("author"), "url": format!("https://{}.example/", token("author-url"))}],
        "sources": [{"name": token("source"), "url": format!("https://{}.example/", token("source-url")), "role": token("role")}],
        "related_links": [{"title": token("related"), "url": format!("https://a.example/{}", token("related-url"))}],
        "tags": [token("tag")],
        "key_event": true,
        "pinned": true,
        "verification": "unconfirmed",
    })
}

struct Tap {
    process: Process,
    key: String,
    http: reqwest::Client,
    /// How many answers were looked at.
    taps: usize,
}

impl Tap {
    async fn write(&self, method: &str, path: &str, body: &Value) -> Value {
        let method = method.parse().expect("a method");
        let call = self
            .http
            .request(method, format!("{}{path}", self.process.base))
            .bearer_auth(&self.key)
            .json(body);
        let answer = call.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.expect("JSON")
    }

    /// One answer, whatever its status: head and body hold no canary.
    async fn tap(&mut self, base: &str, path: &str, coding: &str, key: Option<&str>) {
        let mut call = self.http.get(format!("{base}{path}"));
        call = call.header("accept-encoding", coding);
        if let Some(key) = key {
            call = call.bearer_auth(key);
        }
        let answer = call.send().await.expect("an answer");
        let head = format!("{:?} {:?}", answer.status(), answer.headers());
        let coded = answer.headers().get("content-encoding").cloned();
        let body = answer.bytes().await.expect("a body");
        let body = match coded.as_ref().map(|coded| coded.to_str().expect("text")) {
            Some("gzip") => inflate(flate2::read::GzDecoder::new(&body[..])),
            Some("br") => inflate(brotli_decompressor::Decompressor::new(&body[..], 4_096)),
            None => String::from_utf8_lossy(&body).into_owned(),
            Some(other) => panic!("{path} is coded as {other}"),
        };
        assert!(!head.contains(CANARY), "{path}: {head}");
        assert!(!body.contains(CANARY), "{path} as {coding}: {body}");
        self.taps += 1;
    }

    /// Every path there is, for a reader of `t`, with `ids` that are hidden or gone.
    async fn everywhere(&mut self, ids: &[&str]) {
        let base = self.process.base.clone();
        let admin = self.process.admin.clone();
        for coding in CODINGS {
            for path in PATHS {
                self.tap(&base, &path.replace("{}", "t"), coding, None)
                    .await;
                self.tap(&base, &path.replace("{}", "secret"), coding, None)
                    .await;
            }
            for path in [
                "/",
                "/v1/topics",
                "/v1/topics/t/audit",
                "/t/t/fragment",
                "/oembed?url=x",
                "/nowhere",
            ] {
                self.tap(&base, path, coding, None).await;
            }
            for id in ids {
                for rest in ["", "/source"] {
                    let path = format!("/v1/topics/t/entries/{id}{rest}");
                    self.tap(&base, &path, coding, None).await;
                }
            }
            for path in ["/metrics", "/healthz", "/readyz"] {
                self.tap(&admin, path, coding, None).await;
            }
        }
        // The trail of who did what has no words of entries, for those either who may see it.
        let key = self.key.clone();
        self.tap(&base, "/v1/topics/t/audit", "identity", Some(&key))
            .await;
    }

    /// Everything that streams and sockets give from the start on, up to the head.
    async fn streams(&mut self) {
        let base = &self.process.base;
        let topic: Value = reqwest::get(format!("{base}/v1/topics/t"))
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let head = topic["head"].as_u64().expect("a head");
        let mut sse = Sse::open(
            &format!("{base}/v1/topics/t/stream?after=start"),
            None,
            None,
        )
        .await;
        let url = base.replace("http://", "ws://");
        let mut ws = Ws::open(&format!("{url}/v1/ws?topic=t&after=start")).await;
        for offset in 1..=head {
            let event = format!("{:?}", sse.change().await);
            assert!(!event.contains(CANARY), "{event}");
            loop {
                let message = ws.next().await.expect("goes on").expect("a message");
                assert!(!message.to_string().contains(CANARY), "{message}");
                self.taps += 1;
                if message["offset"] == offset {
                    break;
                }
            }
        }
        let compressed = self.compressed(head).await;
        assert!(!compressed.contains(CANARY), "{compressed}");
        let mut refused = Ws::open(&format!("{url}/v1/ws?topic=secret&after=start")).await;
        let message = refused.next().await.expect("an answer").expect("a message");
        assert_eq!(message["code"], "topic_not_found");
        assert!(!message.to_string().contains(CANARY), "{message}");
    }

    /// What a reader gets who asks for compressed messages, from the start on up to this head.
    async fn compressed(&mut self, head: u64) -> String {
        let address = self.process.base.trim_start_matches("http://");
        let mut reader = Bare::open_at(address, "?topic=t&after=start", &[OFFER]).await;
        let (mut text, mut compressed) = (String::new(), 0);
        loop {
            let frame = reader.frame().await;
            compressed += usize::from(frame.first == 0xc1);
            let message = frame.json();
            text.push_str(&message.to_string());
            self.taps += 1;
            if message["offset"] == head {
                assert!(compressed > 0, "what is long is compressed: {text}");
                return text;
            }
        }
    }
}

fn inflate(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("inflates");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn start(folder: &std::path::Path) -> Tap {
    let key = make_key(folder, Role::Desk, "*");
    // As much as it will ever log.
    let config = folder.join("config.toml");
    std::fs::write(&config, "[log]\nlevel = \"trace\"\n").expect("written");
    let more = vec!["--config".to_owned(), config.display().to_string()];
    let address = crate::support::process::free_address();
    Tap {
        process: Process::start_with(folder, address, more).await,
        key,
        http: reqwest::Client::new(),
        taps: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_what_is_hidden_or_taken_back_leaves_by_any_path() {
    let folder = tempfile::tempdir().expect("folder");
    let mut tap = start(folder.path()).await;
    let entries = "/v1/topics/t/entries";
    tap.write(
        "POST",
        entries,
        &json!({"id": "plain", "headline": "For all", "body": {"text": "As long as it takes to be compressed. ".repeat(40)}}),
    )
    .await;
    // A private topic, whole.
    let secret = json!({"title": format!("{CANARY}-title"), "summary": format!("{CANARY}-summary"),
        "key_points": [format!("{CANARY}-point")], "visibility": "private"});
    tap.write("PUT", "/v1/topics/secret", &secret).await;
    tap.write("POST", "/v1/topics/secret/entries", &entry("inside"))
        .await;
    // Under embargo, and revised there.
    let mut held = entry("held");
    held["released_at"] = "2999-01-01T00:00:00Z".into();
    tap.write("POST", entries, &held).await;
    let note = json!({"correction": {"note": format!("{CANARY}-held-note")}});
    tap.write("PATCH", &format!("{entries}/held"), &note).await;
    tap.everywhere(&["held"]).await;
    tap.streams().await;
    // Published, read, revised, and taken back.
    tap.write("POST", entries, &entry("gone")).await;
    let note = json!({"headline": format!("{CANARY}-second"), "correction": {"note": format!("{CANARY}-note")}});
    tap.write("PATCH", &format!("{entries}/gone"), &note).await;
    let shown = reqwest::get(format!("{}/t/t", tap.process.base)).await;
    let shown = shown.expect("an answer").text().await.expect("a page");
    assert!(shown.contains(CANARY), "it can be seen at all");
    let shown = tap.compressed(3).await;
    assert!(shown.contains(CANARY), "it can be seen there as well");
    let reason = json!({"reason": "It was wrong."});
    tap.write("DELETE", &format!("{entries}/gone"), &reason)
        .await;
    tap.everywhere(&["held", "gone"]).await;
    tap.streams().await;
    let said = tap.process.said();
    assert!(
        said.contains("TRACE") || said.contains("DEBUG"),
        "the log says all it can"
    );
    assert!(!said.contains(CANARY), "the log has a canary");
    assert!(tap.taps > 150, "{} answers were looked at", tap.taps);
    until_gone(folder.path(), &format!("{CANARY}-gone-body")).await;
}
