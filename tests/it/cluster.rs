//! Several nodes on one log: what one takes the others have, whoever goes away and comes back.

mod clocks;
mod cut_off;
mod hole;
mod migrate;
mod regression;
mod retraction;
mod start;
mod syncing;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::nats::{self, Nats};
use crate::support::read::offset_of;
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server};

/// A node of this name on the log of this prefix.
async fn node(nats: &Nats, prefix: &str, name: &str) -> Server {
    node_in(nats, prefix, name, tempfile::tempdir().expect("a folder")).await
}

/// A node on a data folder that is there already.
async fn node_in(nats: &Nats, prefix: &str, name: &str, folder: TempDir) -> Server {
    let config = nats.config(prefix, name);
    Server::start_in(folder, |server| server.nats = Some(config)).await
}

/// Two nodes on a log of their own.
async fn two() -> (Server, Server) {
    let (nats, prefix) = (nats::shared(), nats::prefix());
    (
        node(nats, &prefix, "a").await,
        node(nats, &prefix, "b").await,
    )
}

/// Waits until a node has so many changes of the topic, and gives them.
async fn until_has(server: &Server, topic: &str, count: usize) -> Vec<Value> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let path = format!("/v1/topics/{topic}");
        let answer = server.get(&path).send().await;
        if answer.json()["head"].as_u64() >= Some(count as u64) {
            return server.changes(topic, "start").await;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "{topic} has {}",
            answer.text()
        );
        tokio::task::yield_now().await;
    }
}

async fn publish_keyed(server: &Server, key: &str, text: &str) -> Value {
    server
        .desk("POST", "/v1/topics/t/entries")
        .header("idempotency-key", key)
        .json(&json!({"body": {"text": text}}))
        .expect(201)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_takes_the_other_has_at_the_same_position() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    a.publish("t", "one").await;
    until_has(&b, "t", 1).await;
    let mut live = Ws::open(&b.ws("?topic=t")).await;
    live.op("subscribed").await;
    b.publish("t", "two").await;
    let third = a
        .publish_entry("t", json!({"body": {"text": "three"}}))
        .await;
    for offset in 2..=3 {
        assert_eq!(live.change().await["offset"], offset);
    }
    let (of_a, of_b) = (until_has(&a, "t", 3).await, until_has(&b, "t", 3).await);
    assert_eq!(of_a, of_b);
    assert_eq!(offset_of(&third["position"]), 3);
    assert_eq!(a.position("t").await, b.position("t").await);

    // A reader of one node goes on at the other, also where that one does not have the position yet.
    let last = a
        .publish_entry("t", json!({"body": {"text": "four"}}))
        .await;
    let position = last["position"].as_str().expect("a position").to_owned();
    let mut resumed = Ws::open(&b.ws(&format!("?topic=t&after={position}"))).await;
    assert_eq!(resumed.op("subscribed").await["position"], position);
    a.publish("t", "five").await;
    assert_eq!(resumed.change().await["offset"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_reads_first_sees_what_another_node_has_acknowledged() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    for number in 0..20 {
        let id = format!("e{number}");
        let body = json!({"id": id, "body": {"text": "one"}});
        a.publish_entry("t", body).await;
        let path = format!("/v1/topics/t/entries/{id}");
        let patch = json!({"headline": "more"});
        b.desk("PATCH", &path).json(&patch).expect(200).await;
        let stale = a.desk("PATCH", &path).header("if-match", "\"1\"");
        let problem = stale
            .json(&patch)
            .expect_problem(412, "revision_stale")
            .await;
        assert_eq!(problem["current_revision"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_the_first_answer_on_every_node() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    for number in 0..20 {
        let key = format!("k{number}");
        let (one, other) = tokio::join!(
            publish_keyed(&a, &key, "the same"),
            publish_keyed(&b, &key, "the same")
        );
        assert_eq!(one, other);
    }
    assert_eq!(until_has(&b, "t", 20).await.len(), 20);
    b.desk("POST", "/v1/topics/t/entries")
        .header("idempotency-key", "k0")
        .json(&json!({"body": {"text": "another"}}))
        .expect_problem(409, "idempotency_key_reused")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_nodes_make_one_dense_order() {
    if nats::is_missing() {
        return;
    }
    const EACH: usize = 60;
    let (a, b) = two().await;
    let many = |server| async move {
        for number in 0..EACH {
            Server::publish(server, "t", &format!("{number}")).await;
        }
    };
    tokio::join!(many(&a), many(&b), many(&a), many(&b));
    let of_a = until_has(&a, "t", EACH * 4).await;
    let of_b = until_has(&b, "t", EACH * 4).await;
    assert_eq!(of_a, of_b);
    let offsets = of_a.iter().map(|change| change["offset"].as_u64());
    assert!(offsets.eq((1..=EACH as u64 * 4).map(Some)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embargo_ends_once() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    a.publish("t", "first").await;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1_500);
    for number in 0..5 {
        let held = json!({"id": format!("h{number}"), "body": {"text": "later"}, "released_at": until.to_string()});
        let entry = a
            .desk("POST", "/v1/topics/t/entries")
            .json(&held)
            .expect(201)
            .await;
        assert_eq!(entry["position"], Value::Null);
    }
    let of_a = until_has(&a, "t", 6).await;
    assert!(jiff::Timestamp::now() >= until);
    assert_eq!(until_has(&b, "t", 6).await, of_a);
    let mut ids: Vec<_> = of_a[1..]
        .iter()
        .map(|change| change["entry"]["id"].as_str())
        .collect();
    ids.sort();
    assert_eq!(ids, ["h0", "h1", "h2", "h3", "h4"].map(Some));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_readers_are_shared() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    a.publish("t", "one").await;
    until_has(&b, "t", 1).await;
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = b
            .call(reqwest::Method::POST, "/v1/topics/t/entries")
            .key(&a.desk);
        let answer = answer.json(&json!({"body": {"text": "x"}})).send().await;
        if answer.status == 201 {
            break;
        }
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(tokio::time::Instant::now() < until);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let _readers = (
        Ws::open(&a.ws("?topic=t&after=start")).await,
        Ws::open(&b.ws("?topic=t&after=start")).await,
        Ws::open(&b.ws("?topic=t&after=start")).await,
    );
    for server in [&a, &b] {
        loop {
            if server.topic("t").await["readers"] == 3 {
                break;
            }
            assert!(tokio::time::Instant::now() < until);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_with_its_folder_and_without() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let a = node(nats, &prefix, "a").await;
    let b = node(nats, &prefix, "b").await;
    for number in 0..5 {
        a.publish("t", &format!("{number}")).await;
    }
    let body = json!({"id": "gone", "body": {"text": "taken back"}});
    a.publish_entry("t", body).await;
    a.desk("DELETE", "/v1/topics/t/entries/gone")
        .expect(200)
        .await;
    let before = until_has(&b, "t", 7).await;
    let folder = b.stop().await;
    a.publish("t", "while it was away").await;
    let b = node_in(nats, &prefix, "b", folder).await;
    let now = b.changes("t", "start").await;
    assert_eq!(now[..7], before);
    assert_eq!(now.len(), 8);
    drop(b.stop().await);
    let b = node(nats, &prefix, "b").await;
    assert_eq!(b.changes("t", "start").await, now);
    assert_eq!(b.position("t").await, a.position("t").await);
    assert_eq!(
        publish_keyed(&b, "k", "x").await["position"],
        publish_keyed(&a, "k", "x").await["position"]
    );
}
