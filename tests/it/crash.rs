//! `kill -9` in the middle of a burst: what was acknowledged is there, once, and readers go on where they were.
//!
//! `TENBELLS_KILLS` says how often to kill (5 where it isn't set).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tenbells::keys::Role;
use tokio::sync::mpsc;

use crate::support::bytes::{holds, until_gone};
use crate::support::load::{Publisher, judge, read_to};
use crate::support::make_key;
use crate::support::process::Process;

const PUBLISHERS: usize = 4;
const END: &str = "the end";

fn kills() -> usize {
    let set = std::env::var("TENBELLS_KILLS").ok();
    set.map_or(5, |text| text.parse().expect("TENBELLS_KILLS is a number"))
}

async fn all_changes(base: &str) -> Vec<Value> {
    let mut changes = Vec::new();
    let mut after = "start".to_owned();
    loop {
        let url = format!("{base}/v1/topics/t/changes?after={after}&limit=1000");
        let page = reqwest::get(url).await.expect("an answer");
        let page: Value = page.json().await.expect("JSON");
        let batch = page["changes"].as_array().expect("changes");
        if batch.is_empty() {
            return changes;
        }
        changes.extend(batch.iter().cloned());
        after = page["position"].as_str().expect("position").to_owned();
    }
}

async fn publish(base: &str, key: &str, entry: &Value) {
    let call = reqwest::Client::new().post(format!("{base}/v1/topics/t/entries"));
    let answer = call.bearer_auth(key).json(entry).send().await;
    assert_eq!(answer.expect("an answer").status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_and_readers_go_on() {
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "t");
    let mut process = Process::start(folder.path()).await;
    let base = process.base.clone();
    let enough = Arc::new(AtomicBool::new(false));
    let (told, mut acks) = mpsc::unbounded_channel();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|name| Publisher::new(name, &base, &key))
        .collect();
    let publishing: Vec<_> = publishers
        .iter()
        .map(|publisher| publisher.clone().keep_on(Arc::clone(&enough), told.clone()))
        .map(tokio::spawn)
        .collect();
    acks.recv().await.expect("the topic is made");
    let reader = tokio::spawn({
        let base = base.clone();
        async move { read_to(&base, END).await }
    });
    for round in 0..kills() {
        // Not always at the same point of the burst, and always with requests on their way.
        for _ in 0..3 + round * 13 % 41 {
            acks.recv().await.expect("publishers go on");
        }
        process.kill();
        while acks.try_recv().is_ok() {}
        process.start_again().await;
    }
    acks.recv().await.expect("publishers go on");
    enough.store(true, Ordering::Relaxed);
    let mut acked = Vec::new();
    for published in join_all(publishing).await {
        acked.extend(published.expect("the publisher is well"));
    }
    let changes = all_changes(&base).await;
    judge(&changes, &acked);
    let count = |counter: fn(&Publisher) -> &AtomicUsize| -> usize {
        publishers
            .iter()
            .map(|publisher| counter(publisher).load(Ordering::Relaxed))
            .sum()
    };
    let (lost, replayed) = (count(|it| &it.lost), count(|it| &it.replayed));
    eprintln!(
        "{} kills: {} changes, {lost} requests without an answer, {replayed} of them stored all the same",
        kills(),
        changes.len()
    );
    assert!(lost >= kills(), "requests were on their way at every kill");
    publish(&base, &key, &json!({"headline": END})).await;
    let read = reader.await.expect("the reader is well");
    assert_eq!(
        read[..changes.len()],
        changes,
        "the reader has it all, in order"
    );
    // Long after, the keys still give the same answers.
    for name in 0..PUBLISHERS {
        let again = Publisher::new(name, &base, &key).insist(0).await;
        let first = acked
            .iter()
            .filter(|acked| acked.headline.starts_with(&format!("p{name}-0.")));
        let first: Vec<_> = first.map(|acked| acked.position.clone()).collect();
        let again: Vec<_> = again.into_iter().map(|acked| acked.position).collect();
        assert_eq!(again, first);
    }
    assert_eq!(all_changes(&base).await.len(), changes.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_is_swept_out_after_a_crash_as_well() {
    let canary = "kumquat";
    let folder = tempfile::tempdir().expect("folder");
    let key = make_key(folder.path(), Role::Publisher, "t");
    let mut process = Process::start(folder.path()).await;
    publish(&process.base, &key, &json!({"id": "e", "headline": canary})).await;
    let url = format!("{}/v1/topics/t/entries/e", process.base);
    let retracted = reqwest::Client::new()
        .delete(url)
        .bearer_auth(&key)
        .send()
        .await;
    assert_eq!(retracted.expect("an answer").status(), 200);
    // The compaction comes a second after the acknowledgement: too late for this process.
    process.kill();
    assert!(holds(folder.path(), canary), "it is still on disk");
    process.start_again().await;
    let changes = all_changes(&process.base).await;
    assert!(!json!(changes).to_string().contains(canary), "{changes:?}");
    until_gone(folder.path(), canary).await;
}
