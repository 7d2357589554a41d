//! A log that has lost records: the node that had them stops, begins anew, and the topic goes on in a new epoch.

use serde_json::json;

use super::{node, until_has};
use crate::support::nats::{self, Nats};
use crate::support::ws::Ws;
use tenbells::clock::SystemClock;
use tenbells::store::jetstream::JetStreamStore;
use tenbells::store::{Store, StoreOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_records_means_a_new_epoch_and_no_offset_twice() {
    if nats::is_missing() {
        return;
    }
    let mut nats = Nats::start();
    let a = node(&nats, "lost", "a").await;
    a.publish("t", "one").await;
    a.publish("other", "untouched").await;
    until_has(&a, "t", 1).await;
    let kept = tempfile::tempdir().expect("a folder");
    // What a disk has that forgot the last writes.
    let folder = nats.stop();
    copy(&folder.path().join("store"), &kept.path().join("store"));
    nats.start_again(folder);
    a.until_metric("tenbells_cluster_stale", |stale| stale == 0.0)
        .await;
    let lost = publish(&a, "acknowledged, then lost").await;
    let epoch_before = lost.split_once('-').expect("a position").0.to_owned();
    let folder = a.stop().await;
    let log = nats.stop();
    std::fs::remove_dir_all(log.path().join("store")).expect("the log is gone");
    copy(&kept.path().join("store"), &log.path().join("store"));
    nats.start_again(log);

    // Opened again, the folder has more than the log.
    let b = super::node_in(&nats, "lost", "a", folder).await;
    let next = publish(&b, "after").await;
    let (epoch, offset) = next.split_once('-').expect("a position");
    assert_ne!(epoch, epoch_before);
    assert_eq!(offset, "3", "the topic's update took 2, in the new epoch");
    let mut reader = Ws::open(&b.ws(&format!("?topic=t&after={lost}"))).await;
    let reset = reader.op("reset").await;
    assert_eq!(reset["reason"], "epoch_changed");
    assert!(b.position("other").await.ends_with("-1"));

    // A node that had nothing of it sees the same.
    let c = node(&nats, "lost", "c").await;
    assert_eq!(until_has(&c, "t", 3).await, until_has(&b, "t", 3).await);
}

#[test]
fn a_node_that_runs_while_the_log_loses_records_stops() {
    if nats::is_missing() {
        return;
    }
    let mut nats = Nats::start();
    let folder = tempfile::tempdir().expect("a folder");
    let open = |nats: &Nats| {
        let (folder, options) = (folder.path().to_owned(), nats.options("lost", "a"));
        let clock = std::sync::Arc::new(SystemClock);
        JetStreamStore::open(&folder, options, StoreOptions::default(), clock).expect("a log")
    };
    let kept = tempfile::tempdir().expect("a folder");
    let store = open(&nats);
    let log = nats.stop();
    copy(&log.path().join("store"), &kept.path().join("store"));
    nats.start_again(log);
    let first = crate::store_contract::publish_one(store.as_ref(), "t", "one");
    assert_eq!(first, Some(1));
    let log = nats.stop();
    std::fs::remove_dir_all(log.path().join("store")).expect("the log is gone");
    copy(&kept.path().join("store"), &log.path().join("store"));
    nats.start_again(log);
    let until = std::time::Instant::now() + crate::support::PATIENCE;
    let reason = loop {
        if let Some(reason) = store.failed() {
            break reason;
        }
        assert!(
            std::time::Instant::now() < until,
            "it goes on as if nothing was lost"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(reason.contains("has lost data"), "{reason}");
    store.close();
    drop(store);
    // It begins anew with what the log has: nothing.
    let store = open(&nats);
    assert_eq!(store.topics(None, 10).expect("topics"), []);
}

async fn publish(server: &crate::support::Server, text: &str) -> String {
    let answer = server
        .publish_entry("t", json!({"body": {"text": text}}))
        .await;
    answer["position"].as_str().expect("a position").to_owned()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for file in std::fs::read_dir(from).expect("the folder") {
        let file = file.expect("a file");
        let target = to.join(file.file_name());
        if file.file_type().expect("its kind").is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).expect("copied");
        }
    }
}
