//! A publisher that retries blindly and a reader that resumes, both through whatever happens to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::PATIENCE;
use super::sse::Sse;

/// How soon a client tries again.
const RETRY: Duration = Duration::from_millis(10);
/// One of so many requests is a batch.
const BATCH_EVERY: usize = 4;
const BATCH_LEN: usize = 3;

/// An entry that was acknowledged: its headline, which no other has, and its position.
#[derive(Debug, Clone)]
pub struct Acked {
    pub headline: String,
    pub position: String,
}

/// Publishes one request after the other to the topic `t`, each under a key of its own.
#[derive(Clone)]
pub struct Publisher {
    pub name: usize,
    pub base: String,
    pub key: String,
    /// How many requests got no answer, and how many of all answers were those of an earlier try.
    pub lost: Arc<AtomicUsize>,
    pub replayed: Arc<AtomicUsize>,
    http: reqwest::Client,
}

impl Publisher {
    pub fn new(name: usize, base: &str, key: &str) -> Self {
        Self {
            name,
            base: base.to_owned(),
            key: key.to_owned(),
            lost: Arc::default(),
            replayed: Arc::default(),
            http: reqwest::Client::new(),
        }
    }

    /// Sends the request with this number once; none where no 2xx came back.
    pub async fn send(&self, number: usize) -> Option<Vec<Acked>> {
        let acked = self.try_send(number).await;
        self.lost
            .fetch_add(usize::from(acked.is_none()), Ordering::Relaxed);
        acked
    }

    async fn try_send(&self, number: usize) -> Option<Vec<Acked>> {
        let idempotency_key = format!("p{}-{number}", self.name);
        let entry = |part: usize| json!({"headline": format!("{idempotency_key}.{part}")});
        let batch = number.is_multiple_of(BATCH_EVERY);
        let (path, body) = if batch {
            let entries: Vec<_> = (0..BATCH_LEN).map(entry).collect();
            ("entries:batch", json!({ "entries": entries }))
        } else {
            ("entries", entry(0))
        };
        let answer = self
            .http
            .post(format!("{}/v1/topics/t/{path}", self.base))
            .bearer_auth(&self.key)
            .header("idempotency-key", &idempotency_key)
            .json(&body)
            .send()
            .await
            .ok()?;
        if !answer.status().is_success() {
            // A new key may take a moment to be known, and a server that stops says so: both are for later.
            assert!(matches!(answer.status().as_u16(), 401 | 503), "{answer:?}");
            return None;
        }
        let replayed = answer.headers().contains_key("idempotency-replayed");
        self.replayed
            .fetch_add(usize::from(replayed), Ordering::Relaxed);
        // An answer that breaks off is no acknowledgement.
        let answer: Value = answer.json().await.ok()?;
        let answers = match &answer["entries"] {
            Value::Array(answers) => answers.clone(),
            _ => vec![answer],
        };
        Some(answers.iter().map(acked).collect())
    }

    /// Sends it again until it is acknowledged.
    pub async fn insist(&self, number: usize) -> Vec<Acked> {
        let began = Instant::now();
        loop {
            if let Some(acked) = self.send(number).await {
                return acked;
            }
            assert!(began.elapsed() < PATIENCE, "nobody takes request {number}");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Publishes until `enough`, telling of each acknowledged request; gives all that was acknowledged.
    pub async fn keep_on(
        self,
        enough: Arc<AtomicBool>,
        told: mpsc::UnboundedSender<()>,
    ) -> Vec<Acked> {
        let mut all = Vec::new();
        for number in 0.. {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            all.extend(self.insist(number).await);
            // Whoever listened has heard enough.
            let _ = told.send(());
        }
        all
    }
}

fn acked(answer: &Value) -> Acked {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Acked {
        headline: text(&answer["entry"]["headline"]),
        position: text(&answer["position"]),
    }
}

/// Reads the event stream of the topic `t` from its start to the entry with this headline, resuming by
/// `Last-Event-ID` whenever it ends. Every change has to be the next one.
pub async fn read_to(base: &str, headline: &str) -> Vec<Value> {
    let url = format!("{base}/v1/topics/t/stream?after=start");
    let mut changes: Vec<Value> = Vec::new();
    let mut last_id: Option<String> = None;
    let mut alone_since = Instant::now();
    loop {
        if let Some(mut sse) = Sse::try_open(&url, last_id.as_deref(), None).await {
            while let Some(event) = sse.next().await {
                if event.kind == "presence" {
                    continue;
                }
                assert_eq!(event.data["offset"], changes.len() + 1, "{event:?}");
                let last = event.data["entry"]["headline"] == headline;
                last_id = Some(event.id);
                changes.push(event.data);
                if last {
                    return changes;
                }
            }
            alone_since = Instant::now();
        }
        assert!(alone_since.elapsed() < PATIENCE, "nobody streams");
        tokio::time::sleep(RETRY).await;
    }
}

/// Checks a log against what was acknowledged: dense, each entry once, each where the acknowledgement said.
pub fn judge(changes: &[Value], acked: &[Acked]) {
    let mut headlines = std::collections::HashSet::new();
    for (index, change) in changes.iter().enumerate() {
        assert_eq!(change["offset"], index + 1);
        assert_eq!(change["kind"], "entry.published");
        let headline = change["entry"]["headline"].as_str().expect("headline");
        assert!(headlines.insert(headline), "{headline} is there twice");
    }
    for acked in acked {
        let offset = super::read::offset_of(&json!(acked.position));
        let index = usize::try_from(offset).expect("small") - 1;
        let there = changes
            .get(index)
            .map(|change| &change["entry"]["headline"]);
        assert_eq!(there, Some(&json!(acked.headline)), "{}", acked.position);
    }
    assert_eq!(
        acked.len(),
        changes.len(),
        "nothing is there that nobody was told of"
    );
}
