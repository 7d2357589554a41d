//! Readers: polls and event streams that go on at another broker whenever one fails, and a look at every path that shows
//! the topic, at each broker.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::callers::{Caller, INSIST, PAUSE, TOPIC};
use crate::history::{After, Kind, Place, Read, What};

/// The paths that show entries, beside those that readers follow.
const PATHS: [&str; 6] = [
    "v1/topics/t/entries?limit=1000",
    "v1/topics/t/entries?filter=pinned",
    "t/t",
    "v1/topics/t/feed.atom",
    "v1/topics/t/feed.json",
    "v1/topics/t/liveblog.jsonld",
];
/// Between two looks at one broker.
const LOOK_EVERY: Duration = Duration::from_millis(700);

/// Reads page by page for ever.
pub(super) async fn poll_until(mut caller: Caller, reader: String) {
    loop {
        if caller.page(&reader).await.is_err() {
            caller.go_on();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Follows event streams for ever.
pub(super) async fn stream_until(mut caller: Caller, reader: String) {
    loop {
        // However it ended, the next one goes on from there.
        let _ = caller.stream(&reader).await;
        caller.say(What::Left {
            reader: reader.clone(),
        });
        caller.go_on();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at the paths of one broker, one after the other, for ever.
pub(super) async fn look_until(caller: Caller) {
    for path in PATHS.iter().cycle() {
        tokio::time::sleep(LOOK_EVERY).await;
        // One that is away shows nothing.
        let _ = caller.look(path).await;
    }
}

impl Caller {
    /// The next page behind where the reader is: the values in it.
    async fn page(&self, reader: &str) -> Result<Vec<String>> {
        let place = self.recorder.place(reader);
        let from = place.as_ref().map_or("start".to_owned(), Place::to_string);
        let url = format!(
            "{}/v1/topics/{TOPIC}/changes?after={from}&limit=1000&wait=1",
            self.base()
        );
        self.asks(reader, "poll", place);
        let answer = self.http.get(url).bearer_auth(&self.key).send().await?;
        let page: Value = answer.error_for_status()?.json().await?;
        let now = place_of(&page["position"])?;
        if let Some(reset) = page["reset"].as_object() {
            self.is_reset(reader, now, reset["reason"].as_str());
            return Ok(Vec::new());
        }
        let changes = page["changes"].as_array().context("changes")?;
        let begin = now.offset - changes.len() as u64;
        self.is_told(reader, Place::new(now.epoch.clone(), begin));
        let mut values = Vec::new();
        for change in changes {
            let read = read_of(reader, &now.epoch, change)?;
            values.push(read.value.clone());
            self.say(What::Read(read));
        }
        self.recorder.stands(reader, now);
        Ok(values)
    }

    /// One event stream behind where the reader is, to its end.
    async fn stream(&self, reader: &str) -> Result<()> {
        let place = self.recorder.place(reader);
        let from = place.as_ref().map_or("start".to_owned(), Place::to_string);
        let url = format!("{}/v1/topics/{TOPIC}/stream?after={from}", self.base());
        self.asks(reader, "sse", place);
        let answer = self.http.get(url).bearer_auth(&self.key).send().await?;
        let mut answer = answer.error_for_status()?;
        let mut buffer = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = buffer.drain(..end + 2).collect();
                self.event(reader, str::from_utf8(&block)?)?;
            }
        }
        Ok(())
    }

    fn event(&self, reader: &str, block: &str) -> Result<()> {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let Some(place) = field("id").and_then(Place::parse) else {
            return Ok(());
        };
        let Some(data) = field("data") else {
            // The first one says where the stream begins.
            self.is_told(reader, place);
            return Ok(());
        };
        let data: Value = serde_json::from_str(data)?;
        if field("event") == Some("reset") {
            self.is_reset(reader, place, data["reason"].as_str());
        } else {
            self.say(What::Read(read_of(reader, &place.epoch, &data)?));
            self.recorder.stands(reader, place);
        }
        Ok(())
    }

    /// What a path shows now, without a key.
    async fn look(&self, path: &str) -> Result<()> {
        let asked = self.recorder.now();
        let answer = self.http.get(format!("{}/{path}", self.base())).send();
        let text = answer.await?.error_for_status()?.text().await?;
        let canaries = canaries_in(&text);
        self.say(What::Seen {
            path: path.to_owned(),
            asked,
            canaries,
        });
        Ok(())
    }

    fn asks(&self, reader: &str, transport: &str, place: Option<Place>) {
        self.say(What::Subscribe {
            reader: reader.to_owned(),
            transport: transport.to_owned(),
            topic: TOPIC.to_owned(),
            after: place.map_or(After::Start, After::Place),
        });
    }

    fn is_told(&self, reader: &str, place: Place) {
        self.say(What::Subscribed {
            reader: reader.to_owned(),
            topic: TOPIC.to_owned(),
            place,
        });
    }

    fn is_reset(&self, reader: &str, place: Place, reason: Option<&str>) {
        self.say(What::Reset {
            reader: reader.to_owned(),
            topic: TOPIC.to_owned(),
            place: place.clone(),
            reason: reason.unwrap_or_default().to_owned(),
        });
        self.recorder.stands(reader, place);
    }

    /// Reads on to this value.
    pub(super) async fn finish(&self, reader: &str, last: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.page(reader).await {
                Ok(values) if values.iter().any(|value| value == last) => return Ok(()),
                // It may have read that before.
                Ok(values) if values.is_empty() && self.recorder.has_read(reader, last) => {
                    return Ok(());
                }
                _ if began.elapsed() > INSIST => bail!("{reader} does not get to the end"),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn place_of(position: &Value) -> Result<Place> {
    position
        .as_str()
        .and_then(Place::parse)
        .context("a position")
}

fn read_of(reader: &str, epoch: &str, change: &Value) -> Result<Read> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entry = &change["entry"];
    Ok(Read {
        reader: reader.to_owned(),
        topic: TOPIC.to_owned(),
        place: Place::new(epoch, change["offset"].as_u64().context("an offset")?),
        kind: change["kind"]
            .as_str()
            .and_then(Kind::from_wire)
            .context("a kind")?,
        entry: text(&entry["id"])
            .or(text(&change["id"]))
            .unwrap_or_default(),
        // The retraction's own value is its reason.
        value: text(&entry["headline"])
            .or(text(&change["reason"]))
            .unwrap_or_default(),
    })
}

/// The words of this kind in a text, each once.
fn canaries_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.starts_with("canary") && word.ends_with('y'))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}
