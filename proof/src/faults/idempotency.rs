//! Publishers that do not know: every entry is published by two at once, and a fifth of them across a crash.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::Outcome;
use super::process::{Process, Program, make_key};

/// Requests under way at once.
const AT_ONCE: usize = 64;
/// How long one request is insisted on.
const INSIST: Duration = Duration::from_secs(60);

struct Publisher {
    http: reqwest::Client,
    url: String,
    key: String,
    requests: AtomicU64,
    replayed: AtomicU64,
    /// Sent before the kill, and never answered.
    cut_off: AtomicU64,
    is_killed: AtomicBool,
}

pub(super) async fn run(program: &Program, publishes: u32) -> Result<Outcome> {
    let began = Instant::now();
    let root = tempfile::tempdir()?;
    let folder = root.path().join("data");
    std::fs::create_dir(&folder)?;
    let key = make_key(&folder)?;
    let mut process = program.start(&folder, &[]).await?;
    let publisher = Arc::new(Publisher {
        http: reqwest::Client::builder().timeout(INSIST).build()?,
        url: format!("{}/v1/topics/t/entries", process.base),
        key,
        requests: AtomicU64::new(0),
        replayed: AtomicU64::new(0),
        cut_off: AtomicU64::new(0),
        is_killed: AtomicBool::new(false),
    });
    publisher.insist(0).await?;
    let across = publishes / 5;
    let calm = publishes - across;
    let mut places: HashMap<u32, String> = HashMap::new();
    merge(&mut places, publisher.all(1..calm, 2).await?)?;
    // A fifth across a kill; then all of them again, twice.
    let (known, cut_off) = across_a_kill(&publisher, &mut process, calm..publishes).await?;
    merge(&mut places, known)?;
    merge(&mut places, publisher.all(calm..publishes, 2).await?)?;
    let entries = count(&process.base).await?;
    ensure!(
        entries == u64::from(publishes),
        "{entries} entries of {publishes} publishes"
    );
    let distinct: HashSet<&String> = places.values().collect();
    ensure!(
        distinct.len() == places.len(),
        "two entries have one position"
    );
    process.kill()?;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    Ok(Outcome::Kept(format!(
        "{publishes} entries by {} requests, {across} of them across a kill -9 ({cut_off} requests were under way, {} \
         were told the first answer again): exactly {entries} changes, each at one position; {:.1} s",
        count(&publisher.requests),
        count(&publisher.replayed),
        began.elapsed().as_secs_f64()
    )))
}

/// Sends these once, and kills the process in the middle of them: the positions that were told, and how many requests were
/// under way.
async fn across_a_kill(
    publisher: &Arc<Publisher>,
    process: &mut Process,
    numbers: std::ops::Range<u32>,
) -> Result<(Vec<(u32, String)>, u64)> {
    let across = numbers.end - numbers.start;
    let mut sending: Vec<_> = numbers
        .map(|number| {
            let publisher = Arc::clone(publisher);
            async move { (number, publisher.once(number).await.ok().flatten()) }
        })
        .collect();
    let rest = sending.split_off(sending.len() / 2);
    let first: Vec<_> = stream::iter(sending)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // Killed once half of them are sent, with others on their way.
    let half = publisher.requests.load(Ordering::Relaxed) + u64::from(across / 4);
    let during = tokio::spawn(
        stream::iter(rest)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>(),
    );
    while publisher.requests.load(Ordering::Relaxed) < half && !during.is_finished() {
        tokio::task::yield_now().await;
    }
    publisher.is_killed.store(true, Ordering::SeqCst);
    process.kill()?;
    let second = during.await?;
    let cut_off = publisher.cut_off.load(Ordering::SeqCst);
    ensure!(
        cut_off > 0,
        "no publish was under way at the kill: nothing was tried across it"
    );
    process.start_again().await?;
    let known = first
        .into_iter()
        .chain(second)
        .filter_map(|(number, place)| Some((number, place?)));
    Ok((known.collect(), cut_off))
}

/// Takes positions in; an entry that had another before is an error.
fn merge(places: &mut HashMap<u32, String>, more: Vec<(u32, String)>) -> Result<()> {
    for (number, place) in more {
        if let Some(other) = places.get(&number)
            && *other != place
        {
            bail!("entry {number} was acknowledged at {other} and at {place}");
        }
        places.insert(number, place);
    }
    Ok(())
}

impl Publisher {
    /// Publishes these, each by so many at once, until all are acknowledged.
    async fn all(
        self: &Arc<Self>,
        numbers: std::ops::Range<u32>,
        times: usize,
    ) -> Result<Vec<(u32, String)>> {
        let requests = numbers.flat_map(|number| std::iter::repeat_n(number, times));
        let sending = requests.map(|number| {
            let publisher = Arc::clone(self);
            async move { anyhow::Ok((number, publisher.insist(number).await?)) }
        });
        let done: Vec<_> = stream::iter(sending)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        done.into_iter().collect()
    }

    async fn insist(&self, number: u32) -> Result<String> {
        let began = Instant::now();
        loop {
            if let Some(place) = self.once(number).await? {
                return Ok(place);
            }
            ensure!(began.elapsed() < INSIST, "entry {number} is not taken");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// One request: the position; none where it was not acknowledged.
    async fn once(&self, number: u32) -> Result<Option<String>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let was_before = !self.is_killed.load(Ordering::SeqCst);
        let call = self
            .http
            .post(&self.url)
            .bearer_auth(&self.key)
            .header("idempotency-key", format!("key-{number}"))
            .json(&json!({"headline": format!("entry {number}")}));
        let Ok(answer) = call.send().await else {
            self.cut_off
                .fetch_add(u64::from(was_before), Ordering::SeqCst);
            return Ok(None);
        };
        match answer.status().as_u16() {
            201 => {}
            401 | 500 | 503 => return Ok(None),
            status => bail!("entry {number}: {status}"),
        }
        let again = answer.headers().contains_key("idempotency-replayed");
        self.replayed.fetch_add(u64::from(again), Ordering::Relaxed);
        let Ok(answer) = answer.json::<Value>().await else {
            return Ok(None);
        };
        let headline = answer["entry"]["headline"].as_str().context("a headline")?;
        ensure!(
            headline == format!("entry {number}"),
            "entry {number} got the answer of {headline}"
        );
        Ok(Some(
            answer["position"]
                .as_str()
                .context("a position")?
                .to_owned(),
        ))
    }
}

/// How many changes the topic has, all read; each headline once.
async fn count(base: &str) -> Result<u64> {
    let mut after = "start".to_owned();
    let mut seen = HashSet::new();
    let mut next = 1;
    loop {
        let url = format!("{base}/v1/topics/t/changes?after={after}&limit=1000");
        let page: Value = reqwest::get(url).await?.json().await?;
        let changes = page["changes"].as_array().context("changes")?;
        if changes.is_empty() {
            return Ok(next - 1);
        }
        for change in changes {
            ensure!(
                change["offset"] == next,
                "{} where {next} was next",
                change["offset"]
            );
            next += 1;
            let headline = change["entry"]["headline"]
                .as_str()
                .context("a headline")?
                .to_owned();
            ensure!(!seen.contains(&headline), "{headline} is there twice");
            seen.insert(headline);
        }
        after = page["position"].as_str().context("a position")?.to_owned();
    }
}
