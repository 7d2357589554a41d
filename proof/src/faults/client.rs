//! A publisher and a reader that keep a history of what they try and what they get.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::history::{Act, After, Event, Kind, Place, Read, Try, What};

const RETRY: Duration = Duration::from_millis(10);
/// How long a write is insisted on.
const INSIST: Duration = Duration::from_secs(90);
/// Publishes of a run whose end a fault should be.
const PUBLISHES_MAX: u32 = 2_000;
/// Longer than a change may take to readers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(100);
/// The same of one on a connection of its own: whoever has just come is to be served soon.
const ANEW_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a history is kept.
#[derive(Clone)]
pub(super) struct Recorder {
    began: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    events: Vec<Event>,
    made: u64,
}

/// A caller of the broker.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) record: Recorder,
    pub(super) base: String,
    pub(super) key: String,
    pub(super) http: reqwest::Client,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Acked,
    /// With this status and code.
    Refused(u16, String),
    Unknown,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            kept: Arc::default(),
        }
    }

    pub(super) fn say(&self, what: What) {
        let at = self.now();
        let node = String::new();
        self.lock().events.push(Event { at, node, what });
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn fault(&self, what: &str) {
        self.say(What::Fault { what: what.into() });
    }

    pub(super) fn number(&self) -> u64 {
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

impl Client {
    pub(super) fn new(base: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build();
        Self {
            record: Recorder::new(),
            base: base.to_owned(),
            key: key.to_owned(),
            http: http.unwrap_or_default(),
        }
    }

    /// The same caller with a connection of its own, as a tool makes it that has just been started.
    pub(super) fn anew(&self) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(ANEW_TIMEOUT).build()?;
        Ok(Self {
            http,
            ..self.clone()
        })
    }

    /// Publishes a new entry once: its number, and how that ended.
    pub(super) async fn publish(&self, topic: &str) -> (u64, Answer) {
        let number = self.record.number();
        (number, self.publish_as(topic, number).await)
    }

    /// Publishes until an outcome is not known: how many were acknowledged before, and which one is open.
    pub(super) async fn publish_until_lost(&self, topic: &str) -> Result<(u32, Option<u64>)> {
        for acked in 0..PUBLISHES_MAX {
            match self.publish_known(topic).await? {
                (_, Answer::Acked) => {}
                (number, _) => return Ok((acked, Some(number))),
            }
        }
        bail!("{PUBLISHES_MAX} publishes in a row are acknowledged")
    }

    /// Publishes a new entry, once the key is known: acknowledged, or with an outcome that is not.
    async fn publish_known(&self, topic: &str) -> Result<(u64, Answer)> {
        loop {
            match self.publish(topic).await {
                // A new key may take a moment to be known.
                (_, Answer::Refused(401, _)) => tokio::time::sleep(RETRY).await,
                (_, Answer::Refused(status, code)) => bail!("a publish got {status} {code}"),
                done => return Ok(done),
            }
        }
    }

    /// Publishes the entry of this number, anew or again.
    pub(super) async fn publish_as(&self, topic: &str, number: u64) -> Answer {
        let op = self.record.number();
        let value = format!("v{number}");
        let entry = format!("n{number}");
        self.record.say(What::Try(Try {
            op,
            who: "p".into(),
            topic: topic.to_owned(),
            act: Act::Publish,
            entry: entry.clone(),
            value: value.clone(),
            hidden_until: None,
            canaries: Vec::new(),
        }));
        let body = json!({"id": entry, "headline": value, "body": {"text": "Words. ".repeat(60)}});
        let (answer, place) = self.send(topic, &format!("k{number}"), &body).await;
        self.record.say(match &answer {
            Answer::Acked => What::Ack { op, place },
            Answer::Refused(_, code) => What::Refused {
                op,
                code: code.clone(),
            },
            Answer::Unknown => What::Unknown { op },
        });
        answer
    }

    async fn send(&self, topic: &str, key: &str, body: &Value) -> (Answer, Option<Place>) {
        let call = self
            .http
            .post(format!("{}/v1/topics/{topic}/entries", self.base))
            .bearer_auth(&self.key)
            .header("idempotency-key", key)
            .json(body);
        let Ok(answer) = call.send().await else {
            return (Answer::Unknown, None);
        };
        let status = answer.status().as_u16();
        let Ok(answer) = answer.json::<Value>().await else {
            return (Answer::Unknown, None);
        };
        let code = answer["code"].as_str().unwrap_or_default().to_owned();
        match status {
            200..=299 => (
                Answer::Acked,
                answer["position"].as_str().and_then(Place::parse),
            ),
            500 if code == "outcome_unknown" => (Answer::Unknown, None),
            _ => (Answer::Refused(status, code), None),
        }
    }

    /// Publishes the entry of this number until it is acknowledged.
    pub(super) async fn insist(&self, topic: &str, number: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.publish_as(topic, number).await;
            if answer == Answer::Acked {
                return Ok(());
            }
            if began.elapsed() > INSIST {
                bail!("entry {number} is not taken: {answer:?}");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Reads from `after` on, page by page, until `enough` changes were read; the last position.
    pub(super) async fn read(
        &self,
        reader: &str,
        topic: &str,
        after: After,
        enough: impl Fn(&Read) -> bool,
    ) -> Result<Place> {
        let mut after = after;
        let began = Instant::now();
        loop {
            match self.page(reader, topic, &after, &enough).await {
                Ok((place, true)) => return Ok(place),
                Ok((place, false)) => after = After::Place(place),
                Err(error) if began.elapsed() > INSIST => return Err(error),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    async fn page(
        &self,
        reader: &str,
        topic: &str,
        after: &After,
        enough: &impl Fn(&Read) -> bool,
    ) -> Result<(Place, bool)> {
        let from = match after {
            After::Place(place) => place.to_string(),
            After::Start => "start".to_owned(),
            After::Head => String::new(),
        };
        let url = format!(
            "{}/v1/topics/{topic}/changes?after={from}&limit=1000&wait=5",
            self.base
        );
        let answer = self.http.get(url).bearer_auth(&self.key).send().await?;
        let page: Value = answer.error_for_status()?.json().await?;
        let place = page["position"]
            .as_str()
            .and_then(Place::parse)
            .context("a position")?;
        self.record.say(What::Subscribe {
            reader: reader.to_owned(),
            transport: "poll".into(),
            topic: topic.to_owned(),
            after: after.clone(),
        });
        if let Some(reset) = page["reset"].as_object() {
            self.record.say(What::Reset {
                reader: reader.to_owned(),
                topic: topic.to_owned(),
                place: place.clone(),
                reason: reset["reason"].as_str().unwrap_or_default().to_owned(),
            });
            return Ok((place, false));
        }
        let changes = page["changes"].as_array().context("changes")?;
        let count = changes.len() as u64;
        let begin = Place::new(place.epoch.clone(), place.offset - count);
        self.record.say(What::Subscribed {
            reader: reader.to_owned(),
            topic: topic.to_owned(),
            place: begin,
        });
        let mut is_enough = false;
        for change in changes {
            let read = read_of(reader, topic, &place.epoch, change)?;
            is_enough |= enough(&read);
            self.record.say(What::Read(read));
        }
        Ok((place, is_enough))
    }

    /// The faults are over: one more entry, and every reader there is reads up to it.
    pub(super) async fn calm(&self, topic: &str, readers: &[(&str, After)]) -> Result<()> {
        self.record.say(What::Calm);
        let number = self.record.number();
        self.insist(topic, number).await?;
        let last = format!("v{number}");
        for (reader, after) in readers {
            self.read(reader, topic, after.clone(), |read| read.value == last)
                .await?;
        }
        Ok(())
    }
}

fn read_of(reader: &str, topic: &str, epoch: &str, change: &Value) -> Result<Read> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Read {
        reader: reader.to_owned(),
        topic: topic.to_owned(),
        place: Place::new(epoch, change["offset"].as_u64().context("an offset")?),
        kind: change["kind"]
            .as_str()
            .and_then(Kind::from_wire)
            .context("a kind")?,
        entry: text(&change["entry"]["id"]),
        value: text(&change["entry"]["headline"]),
    })
}
