//! Publishers: entries, at once or under embargo, revisions and retractions, each insisted on at one broker after the other,
//! and older entries sent again: late, and at two brokers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::callers::{Caller, End, INSIST, PAUSE, TOPIC};
use crate::history::{Act, Try};

/// Every how many publishes what happens.
const AGAIN_EVERY: u64 = 10;
const TWIN_EVERY: u64 = 12;
const EMBARGO_EVERY: u64 = 7;
const REVISE_EVERY: u64 = 6;
const RETRACT_EVERY: u64 = 5;
/// An embargo lasts so long.
const EMBARGO_MS: std::ops::Range<u64> = 200..6_000;
/// The window in which the servers themselves recognise a record; the broker makes its streams with it.
const SERVERS_WINDOW: Duration = Duration::from_secs(120);
/// Retractions that wait until every node has let go.
const RETRACTIONS_MAX: usize = 1_024;

/// An entry of a publisher.
#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    sent: Instant,
    /// Under embargo until then: by the history's clock, and as brokers are told.
    until: Option<(u64, String)>,
}

/// A write that is insisted on.
enum Write<'a> {
    Publish(&'a Entry),
    Revise(u64, String),
    Retract(u64, String),
}

/// Publishes until it is told to stop.
pub(super) async fn publish_until(mut caller: Caller, stop: Arc<AtomicBool>) -> Result<()> {
    let (queue, retractions) = mpsc::channel(RETRACTIONS_MAX);
    // Beside the publishing: while a node is away, nothing is let go of everywhere.
    let retracting: JoinHandle<Result<()>> = tokio::spawn(retract_all(caller.clone(), retractions));
    let mut random = fastrand::Rng::with_seed(caller.at as u64);
    let mut mine: Vec<Entry> = Vec::new();
    let mut standing: Vec<u64> = Vec::new();
    let mut count = 0_u64;
    while !stop.load(Ordering::Acquire) {
        count += 1;
        let number = caller.recorder.number();
        let entry = Entry {
            number,
            sent: Instant::now(),
            until: count.is_multiple_of(EMBARGO_EVERY).then(|| {
                let ms = random.u64(EMBARGO_MS);
                caller.recorder.moment(Duration::from_millis(ms))
            }),
        };
        if count.is_multiple_of(TWIN_EVERY) {
            let other = caller.elsewhere();
            caller.recorder.repeated(false);
            tokio::join!(caller.publish(&entry), other.publish(&entry));
        }
        caller.insist(&Write::Publish(&entry)).await?;
        if entry.until.is_none() {
            standing.push(number);
        }
        // One of two under embargo is dropped, or taken back if it came out meanwhile.
        let drops = entry.until.is_some() && random.bool();
        mine.push(entry);
        if count.is_multiple_of(REVISE_EVERY) && !standing.is_empty() {
            let chosen = standing[random.usize(..standing.len())];
            let value = format!("w{}", caller.recorder.number());
            caller.insist(&Write::Revise(chosen, value)).await?;
        }
        if drops || (count.is_multiple_of(RETRACT_EVERY) && !standing.is_empty()) {
            let chosen = match drops {
                true => number,
                false => standing.swap_remove(random.usize(..standing.len())),
            };
            let _ = queue.try_send(chosen);
        }
        if count.is_multiple_of(AGAIN_EVERY) {
            // The first of them is older than the servers' window, in a run that is long enough.
            let chosen = &mine[mine.len() / 20];
            let late = chosen.sent.elapsed() > SERVERS_WINDOW;
            caller.send_again(chosen, late).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    drop(queue);
    retracting.await?
}

/// Takes entries back, each until every node has let go of it.
async fn retract_all(mut caller: Caller, mut queue: mpsc::Receiver<u64>) -> Result<()> {
    while let Some(number) = queue.recv().await {
        let value = format!("x{}", caller.recorder.number());
        caller.insist(&Write::Retract(number, value)).await?;
    }
    Ok(())
}

impl Caller {
    /// Tries until it is acknowledged, at one broker after the other.
    async fn insist(&mut self, write: &Write<'_>) -> Result<()> {
        let began = Instant::now();
        loop {
            let (number, end) = match write {
                Write::Publish(entry) => (entry.number, self.publish(entry).await),
                Write::Revise(number, value) => (*number, self.revise(*number, value).await),
                Write::Retract(number, value) => (*number, self.retract(*number, value).await),
            };
            if end == End::Acked {
                return Ok(());
            }
            if began.elapsed() > INSIST {
                bail!("a write of entry n{number} is not taken: {end:?}");
            }
            self.go_on();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends an entry again that was acknowledged long ago: whatever the answer is, it says nothing new.
    async fn send_again(&mut self, entry: &Entry, late: bool) {
        // One that was taken back is refused for good.
        if let End::Acked | End::Refused(_) = self.publish(entry).await
            && late
        {
            self.recorder.repeated(true);
        }
    }

    async fn publish(&self, entry: &Entry) -> End {
        let number = entry.number;
        let value = format!("v{number}");
        let mut body = json!({
            "id": format!("n{number}"),
            "headline": value,
            "body": {"text": format!("{} {}", canary(&value), "Words. ".repeat(60))},
        });
        if let Some((_, at)) = &entry.until {
            body["released_at"] = at.as_str().into();
        }
        let call = self
            .http
            .post(format!("{}/v1/topics/{TOPIC}/entries", self.base()))
            .header("idempotency-key", format!("k{number}"))
            .json(&body);
        let until = entry.until.as_ref().map(|(until, _)| *until);
        self.attempt(self.write(Act::Publish, number, value, until), call)
            .await
    }

    async fn revise(&self, number: u64, value: &str) -> End {
        let body = json!({"headline": value, "body": {"text": canary(value)}});
        let call = self
            .http
            .patch(self.entry(number))
            .header("idempotency-key", format!("k{value}"))
            .json(&body);
        self.attempt(self.write(Act::Revise, number, value.into(), None), call)
            .await
    }

    async fn retract(&self, number: u64, value: &str) -> End {
        let call = self
            .http
            .delete(self.entry(number))
            .header("idempotency-key", format!("k{value}"))
            .json(&json!({"reason": value}));
        self.attempt(self.write(Act::Retract, number, value.into(), None), call)
            .await
    }

    /// One more entry once all is well; its value.
    pub(super) async fn last_word(mut self) -> Result<String> {
        let number = self.recorder.number();
        let entry = Entry {
            number,
            sent: Instant::now(),
            until: None,
        };
        self.insist(&Write::Publish(&entry)).await?;
        Ok(format!("v{number}"))
    }

    fn entry(&self, number: u64) -> String {
        format!("{}/v1/topics/{TOPIC}/entries/n{number}", self.base())
    }

    fn write(&self, act: Act, number: u64, value: String, hidden_until: Option<u64>) -> Try {
        Try {
            op: self.recorder.number(),
            who: "p".into(),
            topic: TOPIC.into(),
            act,
            entry: format!("n{number}"),
            canaries: vec![canary(&value)],
            value,
            hidden_until,
        }
    }
}

/// A word of a body by which its value is known wherever it comes out.
pub(super) fn canary(value: &str) -> String {
    format!("canary{value}y")
}
