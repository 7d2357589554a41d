//! Recorded conversations on the wire (`tests/transcripts/*.json`), played against the broker: given what a reader says and
//! a desk writes, the broker says exactly what was recorded, but for epochs and times. The client library is held
//! against the same files, from the other side (`web/tests/client/transcripts.test.ts`).
//!
//! `TENBELLS_RECORD=1 cargo test --test it transcripts` writes down what the broker says now: look at the difference.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server, tls};

/// What stands for the epoch, every time and every wait in a transcript.
const EPOCH: &str = "epoch1";
const TIME: &str = "2026-11-24T20:31:40.120Z";
const WAIT: &str = "1000";

/// The broker and its reader, in the middle of a conversation.
struct Stage {
    server: Option<Server>,
    stopping: Option<JoinHandle<tempfile::TempDir>>,
    epoch: String,
    topic: String,
    line: Line,
}

/// What the reader has open.
enum Line {
    None,
    Ws(Box<Ws>),
    Stream(reqwest::Response, String),
    Poll(JoinHandle<reqwest::Response>),
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_what_was_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the transcripts")
        .map(|item| item.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a transcript");
        let recorded: Value = serde_json::from_str(&text).expect("JSON");
        let played = play(&recorded, &file).await;
        if std::env::var_os("TENBELLS_RECORD").is_some() {
            std::fs::write(&file, written(&played)).expect("written");
            continue;
        }
        let steps = |transcript: &Value| transcript["steps"].as_array().expect("steps").clone();
        for (index, (recorded, played)) in steps(&recorded).iter().zip(steps(&played)).enumerate() {
            assert_eq!(recorded, &played, "{}, step {index}", file.display());
        }
    }
}

/// Plays a transcript; gives it with what the broker said.
async fn play(recorded: &Value, file: &Path) -> Value {
    let server = Server::start().await;
    let topic = recorded["topic"].as_str().expect("topic").to_owned();
    for write in recorded["before"].as_array().expect("before") {
        desk(&server, &topic, write).await;
    }
    let told = server
        .desk("GET", &format!("/v1/topics/{topic}"))
        .send()
        .await;
    let epoch = told.json()["position"]
        .as_str()
        .and_then(|position| Some(position.split_once('-')?.0.to_owned()))
        .unwrap_or_default();
    let mut stage = Stage {
        server: Some(server),
        stopping: None,
        epoch,
        topic,
        line: Line::None,
    };
    let mut played = recorded.clone();
    let steps = played["steps"].as_array_mut().expect("steps");
    for (index, step) in steps.iter_mut().enumerate() {
        let step = step.as_object_mut().expect("a step");
        let done = tokio::time::timeout(PATIENCE, stage.take(step)).await;
        done.unwrap_or_else(|_| panic!("{}, step {index}: nothing comes", file.display()));
    }
    played
}

async fn desk(server: &Server, topic: &str, write: &Value) {
    let method = write["method"].as_str().expect("method");
    let path = write["path"].as_str().expect("path");
    let call = server.desk(
        method,
        format!("/v1/topics/{topic}{path}").trim_end_matches('/'),
    );
    let answer = match &write["body"] {
        Value::Null => call.send().await,
        body => call.json(body).send().await,
    };
    assert!(answer.status < 300, "{write}: {}", answer.text());
}

impl Stage {
    async fn take(&mut self, step: &mut Map<String, Value>) {
        if let Some(said) = step.get("reader") {
            let said = self.real(said.clone());
            self.say(&said).await;
        } else if let Some(write) = step.get("desk") {
            let server = self.server.as_ref().expect("the broker runs");
            desk(server, &self.topic, write).await;
        } else if step.contains_key("drain") {
            let server = self.server.take().expect("the broker runs");
            self.stopping = Some(tokio::spawn(server.stop()));
        } else if step.contains_key("cut") {
            self.line = Line::None;
        } else if step.contains_key("close") {
            let close = self.closed().await;
            step.insert("close".into(), close);
            self.start_again().await;
        } else {
            assert!(step.contains_key("broker"), "{step:?} is no step");
            let said = self.hear().await;
            step.insert("broker".into(), self.plain(said));
        }
    }

    /// After a drain: the broker comes back on the same folder.
    async fn start_again(&mut self) {
        self.line = Line::None;
        if let Some(stopping) = self.stopping.take() {
            let folder = stopping.await.expect("it stops");
            self.server = Some(Server::start_in(folder, |_| {}).await);
        }
    }

    async fn say(&mut self, said: &Value) {
        let server = self.server.as_ref().expect("the broker runs");
        let Some(what) = said["get"].as_str() else {
            if !matches!(self.line, Line::Ws(_)) {
                self.line = Line::Ws(Box::new(Ws::open(&server.ws("")).await));
            }
            if let Line::Ws(ws) = &mut self.line {
                ws.say(said.clone()).await;
            }
            return;
        };
        let mut url = format!("{}/v1/topics/{}/{what}?", server.base, self.topic);
        for name in ["after", "wait"] {
            if let Some(value) = said.get(name) {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                url.push_str(&format!("{name}={value}&"));
            }
        }
        let request = tls::http().get(url).send();
        self.line = if what == "changes" {
            Line::Poll(tokio::spawn(async { request.await.expect("an answer") }))
        } else {
            let response = request.await.expect("an answer");
            match response.status().as_u16() {
                200 => Line::Stream(response, String::new()),
                _ => Line::Poll(tokio::spawn(async { response })),
            }
        };
    }

    /// The next thing that the broker says, but for presence, which comes when it likes.
    async fn hear(&mut self) -> Value {
        match &mut self.line {
            Line::None => panic!("nothing is open"),
            Line::Ws(ws) => loop {
                let said = ws.next().await.expect("open").expect("not closed");
                if said["op"] != "presence" {
                    return said;
                }
            },
            Line::Stream(response, rest) => loop {
                let block = block(response, rest).await.expect("not ended");
                if block.get("event").is_none_or(|event| event != "presence") {
                    return Value::Object(block);
                }
            },
            Line::Poll(answer) => {
                let answer = answer.await.expect("an answer");
                self.line = Line::None;
                let head = answer.headers().get("tenbells-head");
                let head = head.map(|head| head.to_str().expect("ASCII").to_owned());
                let status = answer.status().as_u16();
                let body: Value = answer.json().await.expect("JSON");
                let mut said = json!({"status": status, "body": body});
                if let Some(head) = head {
                    said["head"] = head.into();
                }
                said
            }
        }
    }

    /// How the broker ends it: a close code and its reason, or the end of a stream.
    async fn closed(&mut self) -> Value {
        match &mut self.line {
            Line::Ws(ws) => {
                let (code, reason) = ws.closed_with_reason().await;
                let is_wait = reason.parse::<u32>().is_ok();
                json!({"code": code, "reason": if is_wait { WAIT } else { reason.as_str() }})
            }
            Line::Stream(response, rest) => {
                while block(response, rest).await.is_some() {}
                json!({})
            }
            Line::None | Line::Poll(_) => panic!("nothing is open"),
        }
    }

    /// A value of a transcript as it is on this broker, and the other way round.
    fn real(&self, value: Value) -> Value {
        mapped(value, &|text| {
            text.replace(&format!("{EPOCH}-"), &format!("{}-", self.epoch))
        })
    }

    fn plain(&self, value: Value) -> Value {
        let own = format!("{}-", self.epoch);
        mapped(value, &|text| {
            if text.len() == TIME.len() && text.parse::<jiff::Timestamp>().is_ok() {
                TIME.to_owned()
            } else if self.epoch.is_empty() {
                text
            } else {
                text.replace(&own, &format!("{EPOCH}-"))
            }
        })
    }
}

/// The next block of an event stream as an object, its data as JSON; comments that only keep it alive are left out.
async fn block(response: &mut reqwest::Response, rest: &mut String) -> Option<Map<String, Value>> {
    loop {
        if let Some((block, more)) = rest.split_once("\n\n") {
            let mut fields = Map::new();
            for line in block.lines() {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                let value = match name {
                    "data" => serde_json::from_str(value).expect("JSON"),
                    _ => Value::from(value),
                };
                fields.insert(name.to_owned(), value);
            }
            *rest = more.to_owned();
            if fields.keys().any(|name| !name.is_empty()) {
                return Some(fields);
            }
            continue;
        }
        let chunk = response.chunk().await.ok()??;
        rest.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
    }
}

fn mapped(value: Value, map: &impl Fn(String) -> String) -> Value {
    match value {
        Value::String(text) => map(text).into(),
        Value::Array(items) => items.into_iter().map(|item| mapped(item, map)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, mapped(value, map)))
            .collect(),
        other => other,
    }
}

/// A transcript as its file has it: a step a line.
fn written(transcript: &Value) -> String {
    let mut text = String::from("{\n");
    let fields = transcript.as_object().expect("an object");
    for (index, (name, value)) in fields.iter().enumerate() {
        text.push_str(&format!("  \"{name}\": "));
        match value {
            Value::Array(items) if name == "steps" || name == "before" => {
                let lines: Vec<_> = items.iter().map(|item| format!("    {item}")).collect();
                text.push_str(&format!("[\n{}\n  ]", lines.join(",\n")));
            }
            other => text.push_str(&other.to_string()),
        }
        text.push_str(if index + 1 == fields.len() {
            "\n"
        } else {
            ",\n"
        });
    }
    text.push_str("}\n");
    text
}
