//! Publishers and readers that go to another broker when one fails them, and record what they see.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::history::{Act, After, Event, Kind, Place, Read, Try, What};

const TOPIC: &str = "t";
/// Between two publishes of one publisher, and two tries.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a write, or reading to the end, is insisted on.
const INSIST: Duration = Duration::from_secs(150);
/// Every how many publishes an older one is sent again.
const AGAIN_EVERY: u64 = 10;

/// Where the history is kept.
#[derive(Clone)]
pub(super) struct Recorder {
    began: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    events: Vec<Event>,
    made: u64,
    places: std::collections::HashMap<String, Place>,
}

/// Somebody who calls brokers.
#[derive(Clone)]
pub(super) struct Caller {
    recorder: Recorder,
    bases: Vec<String>,
    at: usize,
    key: String,
    http: reqwest::Client,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            kept: Arc::default(),
        }
    }

    pub(super) fn say(&self, node: &str, what: What) {
        let mut kept = self.lock();
        let at = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        kept.events.push(Event {
            at,
            node: node.to_owned(),
            what,
        });
    }

    pub(super) fn fault(&self, what: &str) {
        self.say("", What::Fault { what: what.into() });
    }

    fn number(&self) -> u64 {
        let mut kept = self.lock();
        kept.made += 1;
        kept.made
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes until it is told to stop, each entry until it is acknowledged, older ones again every now and then.
pub(super) async fn publish_until(mut caller: Caller, stop: Arc<AtomicBool>) -> Result<()> {
    let mut mine = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let number = caller.recorder.number();
        caller.insist(number).await?;
        mine.push(number);
        if (mine.len() as u64).is_multiple_of(AGAIN_EVERY) {
            // The first of them is older than the window in which the servers know a record again.
            caller.insist(mine[mine.len() / 20]).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Reads for ever, at another broker whenever one fails.
pub(super) async fn read_until(mut caller: Caller, reader: String) {
    loop {
        if caller.page(&reader).await.is_err() {
            caller.go_on();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Caller {
    pub(super) fn new(
        recorder: Recorder,
        bases: Vec<String>,
        at: usize,
        key: &str,
        http: reqwest::Client,
    ) -> Self {
        Self {
            recorder,
            bases,
            at,
            key: key.to_owned(),
            http,
        }
    }

    fn go_on(&mut self) {
        self.at = (self.at + 1) % self.bases.len();
    }

    /// Publishes the entry of this number until it is acknowledged, at one broker after the other.
    async fn insist(&mut self, number: u64) -> Result<()> {
        let began = Instant::now();
        while !self.publish(number).await {
            if began.elapsed() > INSIST {
                bail!("entry {number} is not taken");
            }
            self.go_on();
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// One try; whether it was acknowledged.
    async fn publish(&self, number: u64) -> bool {
        let op = self.recorder.number();
        let (base, node) = (&self.bases[self.at], self.at.to_string());
        let (entry, value) = (format!("n{number}"), format!("v{number}"));
        let body = json!({"id": entry, "headline": value, "body": {"text": "Words. ".repeat(60)}});
        self.recorder.say(
            &node,
            What::Try(Try {
                op,
                who: "p".into(),
                topic: TOPIC.into(),
                act: Act::Publish,
                entry,
                value,
                hidden_until: None,
                canaries: Vec::new(),
            }),
        );
        let call = self
            .http
            .post(format!("{base}/v1/topics/{TOPIC}/entries"))
            .bearer_auth(&self.key)
            .header("idempotency-key", format!("k{number}"))
            .json(&body);
        let outcome = match call.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let answer = answer.json::<Value>().await;
                answer.ok().map(|answer| (status, answer))
            }
            Err(_) => None,
        };
        let (what, acked) = match outcome {
            Some((200..=299, answer)) => {
                let place = answer["position"].as_str().and_then(Place::parse);
                (What::Ack { op, place }, true)
            }
            Some((_, answer)) if answer["code"] == "outcome_unknown" => {
                (What::Unknown { op }, false)
            }
            Some((_, answer)) => {
                let code = answer["code"].as_str().unwrap_or_default().to_owned();
                (What::Refused { op, code }, false)
            }
            None => (What::Unknown { op }, false),
        };
        self.recorder.say(&node, what);
        acked
    }

    /// The next page behind where the reader is; whether something was read.
    async fn page(&self, reader: &str) -> Result<Vec<String>> {
        let place = self.recorder.lock().places.get(reader).cloned();
        let from = place.as_ref().map_or("start".to_owned(), Place::to_string);
        let (base, node) = (&self.bases[self.at], self.at.to_string());
        let url = format!("{base}/v1/topics/{TOPIC}/changes?after={from}&limit=1000&wait=1");
        let answer = self.http.get(url).bearer_auth(&self.key).send().await?;
        let page: Value = answer.error_for_status()?.json().await?;
        let now = page["position"]
            .as_str()
            .and_then(Place::parse)
            .context("a position")?;
        let topic = || TOPIC.to_owned();
        self.recorder.say(
            &node,
            What::Subscribe {
                reader: reader.to_owned(),
                transport: "poll".into(),
                topic: topic(),
                after: place.map_or(After::Start, After::Place),
            },
        );
        if let Some(reset) = page["reset"].as_object() {
            self.recorder.say(
                &node,
                What::Reset {
                    reader: reader.to_owned(),
                    topic: topic(),
                    place: now.clone(),
                    reason: reset["reason"].as_str().unwrap_or_default().to_owned(),
                },
            );
            self.keep(reader, now);
            return Ok(Vec::new());
        }
        let changes = page["changes"].as_array().context("changes")?;
        let begin = now.offset - changes.len() as u64;
        self.recorder.say(
            &node,
            What::Subscribed {
                reader: reader.to_owned(),
                topic: topic(),
                place: Place::new(now.epoch.clone(), begin),
            },
        );
        let mut values = Vec::new();
        for change in changes {
            let read = read_of(reader, &now.epoch, change)?;
            values.push(read.value.clone());
            self.recorder.say(&node, What::Read(read));
        }
        self.keep(reader, now);
        Ok(values)
    }

    fn keep(&self, reader: &str, place: Place) {
        self.recorder.lock().places.insert(reader.to_owned(), place);
    }

    /// One more entry once all is well; its value.
    pub(super) async fn last_word(mut self) -> Result<String> {
        let number = self.recorder.number();
        self.insist(number).await?;
        Ok(format!("v{number}"))
    }

    /// Reads on to this value.
    pub(super) async fn finish(&self, reader: &str, last: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.page(reader).await {
                Ok(values) if values.iter().any(|value| value == last) => return Ok(()),
                // It may have read that before.
                Ok(values) if values.is_empty() && self.has_read(reader, last) => return Ok(()),
                _ if began.elapsed() > INSIST => bail!("{reader} does not get to the end"),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn has_read(&self, reader: &str, last: &str) -> bool {
        self.recorder.lock().events.iter().rev().any(|event| {
            matches!(&event.what, What::Read(read) if read.reader == reader && read.value == last)
        })
    }
}

fn read_of(reader: &str, epoch: &str, change: &Value) -> Result<Read> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Read {
        reader: reader.to_owned(),
        topic: TOPIC.to_owned(),
        place: Place::new(epoch, change["offset"].as_u64().context("an offset")?),
        kind: change["kind"]
            .as_str()
            .and_then(Kind::from_wire)
            .context("a kind")?,
        entry: text(&change["entry"]["id"]),
        value: text(&change["entry"]["headline"]),
    })
}
