//! A record in the middle of the log that is lost: where a node has it, nothing is; where none has it, the topic goes on in
//! a new epoch with what the log still has.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tenbells::clock::SystemClock;
use tenbells::store::jetstream::{JetStreamError, JetStreamStore};
use tenbells::store::sqlite::{Restored, backup_folder, restore_folder};
use tenbells::store::{Store, StoreOptions};

use super::{node, node_in, until_has};
use crate::store_contract::{publish_into_the_unknown, publish_one};
use crate::support::Server;
use crate::support::nats::{self, Nats};
use crate::support::ws::Ws;

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_a_node_can_fill_is_named_with_that_node_and_no_position_is_lost() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "hole", "a").await;
    let b = node(&nats, "hole", "b").await;
    for text in ["one", "two"] {
        a.publish("t", text).await;
    }
    let before = until_has(&b, "t", 2).await;
    let of_b = b.stop().await;
    for text in ["three", "four"] {
        a.publish("t", text).await;
    }
    lose(&nats, 3).await;

    // Neither the one that had something nor a new one goes past it, however often it is started.
    let new = tempfile::tempdir().expect("a folder");
    for folder in [of_b.path(), of_b.path(), new.path()] {
        let said = opened(&nats, folder, None).await.expect_err("not opened");
        assert!(said.contains("has lost data"), "{said}");
        assert!(said.contains("sequence 3"), "{said}");
        assert!(said.contains("Node a has it"), "{said}");
        assert_eq!(kept(folder), 0, "nothing was begun anew");
    }
    // Nor where somebody says that the loss is to be accepted: there is none.
    let said = opened(&nats, new.path(), Some(3)).await;
    assert!(said.expect_err("not opened").contains("Node a has it"));
    // The node that has everything goes on, and gives the next offset to nothing else.
    let next = a.publish("t", "five").await;
    assert_eq!(crate::support::read::offset_of(&next["position"]), 5);
    let of_a = until_has(&a, "t", 5).await;
    assert_eq!(of_a[..2], before);

    // As the message says: out of its backup.
    let backup = new.path().join("a.backup");
    backup_folder(a.folder.path(), &backup).expect("a backup");
    let filled = tempfile::tempdir().expect("a folder");
    restore_folder(&backup, filled.path(), Restored::SameLog).expect("restored");
    a.publish("t", "six").await;
    let b = node_in(&nats, "hole", "b", filled).await;
    assert_eq!(until_has(&b, "t", 6).await[..5], of_a);
    assert_eq!(b.position("t").await, a.position("t").await);
    b.publish("t", "seven").await;
    assert_eq!(until_has(&a, "t", 7).await, until_has(&b, "t", 7).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_node_has_any_more_means_a_new_epoch_with_what_the_log_still_has() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "hole", "a").await;
    a.publish("other", "untouched").await;
    entry(&a, "first").await;
    entry(&a, "second").await;
    // The sequence that is lost: an entry, which later records build on.
    entry(&a, "lost").await;
    revise(&a, "lost", "the whole text once more").await;
    entry(&a, "gone").await;
    retract(&a, "gone").await;
    revise(&a, "first", "better").await;
    let had = until_has(&a, "t", 7).await;
    let position = a.position("t").await;
    let other = a.position("other").await;
    let of_a = a.stop().await;
    lose(&nats, 4).await;

    let b = node(&nats, "hole", "b").await;
    assert_eq!(b.position("other").await, other, "nothing is missing there");
    let (epoch, _) = position.split_once('-').expect("a position");
    assert!(!b.position("t").await.starts_with(epoch));
    let now = b.changes("t", "start").await;
    let kinds: Vec<&str> = now
        .iter()
        .filter_map(|change| change["kind"].as_str())
        .collect();
    // Where the log was cut, the topic begins the new epoch; the correction of the lost entry has all of it.
    assert_eq!(
        kinds,
        [
            "entry.published",
            "entry.published",
            "topic.updated",
            "entry.published",
            "entry.redacted",
            "entry.retracted",
            "entry.revised"
        ]
    );
    assert_eq!(now[..2], had[..2]);
    let html = now[3]["entry"]["body_html"].as_str().expect("a body");
    assert!(html.contains("the whole text once more"), "{html}");
    let offsets = now.iter().map(|change| change["offset"].as_u64());
    assert!(
        offsets.eq((1..=7).map(Some)),
        "no offset twice, none missing"
    );
    let mut reader = Ws::open(&b.ws(&format!("?topic=t&after={position}"))).await;
    assert_eq!(reader.op("reset").await["reason"], "epoch_changed");

    // The one that had it has what all others have, and keeps beside it what it had.
    let a = node_in(&nats, "hole", "a", of_a).await;
    assert_eq!(kept(a.folder.path()), 1);
    assert_eq!(a.changes("t", "start").await, now);
    a.publish("t", "after").await;
    let c = node(&nats, "hole", "c").await;
    let all = until_has(&c, "t", 8).await;
    assert_eq!(all[..7], now);
    assert_eq!(all, until_has(&a, "t", 8).await);
    assert_eq!(all, until_has(&b, "t", 8).await);
    // A later start finds nothing new.
    let before = c.position("t").await;
    let c = node_in(&nats, "hole", "c", c.stop().await).await;
    assert_eq!(c.position("t").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_record_that_nothing_follows_may_be_of_every_topic_without_a_later_one() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "hole", "a").await;
    for topic in ["t", "quiet", "u", "t", "u"] {
        a.publish(topic, "x").await;
    }
    let before = positions(&a).await;
    drop(a.stop().await);
    lose(&nats, 4).await;
    let b = node(&nats, "hole", "b").await;
    let after = positions(&b).await;
    // Its offset 2 was given to readers; nobody knows of which topic it was.
    for (topic, changes) in [("t", true), ("quiet", true), ("u", false)] {
        let of = |positions: &Value| {
            let position = positions[topic].as_str().expect("a position").to_owned();
            position.split_once('-').expect("a position").0.to_owned()
        };
        assert_eq!(of(&before) != of(&after), changes, "{topic}");
    }
    assert_eq!(before["u"], after["u"]);
    b.publish("t", "next").await;
    assert!(b.position("t").await.ends_with("-3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_may_have_it_unless_somebody_says_otherwise() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "hole", "a").await;
    for text in ["one", "two", "three"] {
        a.publish("t", text).await;
    }
    drop(a.stop().await);
    lose(&nats, 2).await;
    // As one that was killed leaves the list.
    let client = async_nats::connect(&nats.url).await.expect("a connection");
    let now = jiff::Timestamp::now().as_millisecond();
    let list = json!({"killed": now, "long-ago": now - 25 * 3_600 * 1_000}).to_string();
    let context = async_nats::jetstream::new(client);
    let stored = context.publish("hole.shared.nodes", list.into()).await;
    stored.expect("sent").await.expect("stored");

    let new = tempfile::tempdir().expect("a folder");
    for accepts in [None, Some(1)] {
        let said = opened(&nats, new.path(), accepts)
            .await
            .expect_err("not opened");
        assert!(said.contains("sequence 2"), "{said}");
        assert!(said.contains("may have it: killed. Start"), "{said}");
        assert!(said.contains("nats.accept_loss"), "{said}");
    }
    opened(&nats, new.path(), Some(2)).await.expect("opened");
    // The others need no word for it: it is decided.
    opened(&nats, tempfile::tempdir().expect("a folder").path(), None)
        .await
        .expect("opened");
}

#[test]
fn a_node_that_runs_into_a_hole_stops_and_its_next_start_goes_on() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let (folder, options) = (folder.path().to_owned(), nats.options("hole", "a"));
        let clock = Arc::new(SystemClock);
        JetStreamStore::open(&folder, options, StoreOptions::default(), clock).expect("a log")
    };
    let store = open();
    assert_eq!(publish_one(store.as_ref(), "t", "one"), Some(1));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = async_nats::connect(&nats.url).await.expect("a connection");
        let context = async_nats::jetstream::new(client);
        // Nobody can read it, so nobody has it.
        let sent = context.publish("hole.topic.x", "{".into()).await;
        sent.expect("sent").await.expect("stored");
        lose(&nats, 2).await;
    });
    // It is stored behind the hole; where it stands, this node can't say.
    let said = publish_into_the_unknown(store.as_ref(), "t", "two");
    let reason = store.failed().expect("it stops");
    assert_eq!(said, reason);
    assert!(reason.contains("the record at sequence 2"), "{reason}");
    assert!(reason.contains("Start this node again"), "{reason}");
    store.close();
    drop(store);
    let store = open();
    assert_eq!(publish_one(store.as_ref(), "t", "three"), Some(3));
}

async fn entry(server: &Server, id: &str) {
    let entry = json!({"id": id, "body": {"text": id}});
    server.publish_entry("t", entry).await;
}

async fn revise(server: &Server, id: &str, text: &str) {
    let path = format!("/v1/topics/t/entries/{id}");
    let call = server.desk("PATCH", &path);
    call.json(&json!({"body": {"text": text}}))
        .expect(200)
        .await;
}

async fn retract(server: &Server, id: &str) {
    let path = format!("/v1/topics/t/entries/{id}");
    server.desk("DELETE", &path).expect(200).await;
}

async fn positions(server: &Server) -> Value {
    json!({
        "t": server.position("t").await,
        "quiet": server.position("quiet").await,
        "u": server.position("u").await,
    })
}

/// How many copies of lost rows are in a folder.
fn kept(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).expect("the folder");
    let names = files.filter_map(Result::ok).map(|file| file.file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("lost-"))
        .count()
}

/// Deletes a record, as nothing but a fault does.
async fn lose(nats: &Nats, sequence: u64) {
    let client = async_nats::connect(&nats.url).await.expect("a connection");
    let context = async_nats::jetstream::new(client);
    let log = context.get_stream("HOLE").await.expect("the log");
    let lost = log.delete_message(sequence).await.expect("an answer");
    assert!(lost);
}

/// Opens the store on this folder; what it says where it can't.
async fn opened(nats: &Nats, folder: &Path, accept_loss: Option<u64>) -> Result<(), String> {
    let folder = folder.to_owned();
    let mut options = nats.options("hole", "b");
    options.accept_loss = accept_loss;
    let open = move || {
        let clock = Arc::new(SystemClock);
        match JetStreamStore::open(&folder, options, StoreOptions::default(), clock) {
            Ok(store) => {
                assert_eq!(store.failed(), None);
                store.close();
                Ok(())
            }
            Err(JetStreamError::Log(said)) => Err(said),
            Err(other) => panic!("{other}"),
        }
    };
    tokio::task::spawn_blocking(open).await.expect("no panic")
}
