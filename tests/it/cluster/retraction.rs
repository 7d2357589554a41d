//! A retraction reaches every node, and the log itself.

use serde_json::json;

use super::{node, node_in, two, until_has};
use crate::support::bytes::holds;
use crate::support::garbler::Garbler;
use crate::support::nats::{self, Nats};
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server};

const CANARY: &str = "persimmon";

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_is_confirmed_by_the_other_node_and_on_none_of_its_paths() {
    if nats::is_missing() {
        return;
    }
    let (a, b) = two().await;
    let body = json!({"id": "e", "headline": CANARY, "body": {"text": CANARY}, "key_event": true});
    a.publish_entry("t", body).await;
    until_has(&b, "t", 1).await;
    // Both have heard of each other by then.
    until_knows(&a, 1).await;
    let answer = a.desk("DELETE", "/v1/topics/t/entries/e").expect(200).await;
    assert_eq!(answer["retracted_everywhere"], true, "{answer}");
    for (path, text) in b.every_path("t").await {
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_is_named() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let a = node(nats, &prefix, "a").await;
    a.publish_entry("t", json!({"id": "e", "body": {"text": "x"}}))
        .await;
    // A node that was heard of once and is silent since: it may still show what it had.
    let client = async_nats::connect(&nats.url).await.expect("a connection");
    let beat = json!({"node": "silent", "applied": 0, "record": "", "readers": []});
    let subject = format!("{prefix}.node.silent");
    client
        .publish(subject, beat.to_string().into())
        .await
        .expect("sent");
    until_knows(&a, 1).await;
    let answer = a.desk("DELETE", "/v1/topics/t/entries/e").expect(200).await;
    assert_eq!(answer["retracted_everywhere"], false, "{answer}");
    assert_eq!(answer["unconfirmed"], json!(["silent"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_confirms_when_it_is_retracted_again() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let a = node(nats, &prefix, "a").await;
    let b = node(nats, &prefix, "b").await;
    a.publish_entry("t", json!({"id": "e", "body": {"text": "x"}}))
        .await;
    until_has(&b, "t", 1).await;
    let folder = b.stop().await;
    let keyed = || {
        a.desk("DELETE", "/v1/topics/t/entries/e")
            .header("idempotency-key", "taken-back")
    };
    keyed().expect(200).await;
    // It has the retraction from its start on, so no news of it comes; the one that asks heard nothing of it.
    let b = node_in(nats, &prefix, "b", folder).await;
    until_knows(&a, 1).await;
    let again = keyed().expect(200).await;
    assert_eq!(again["retracted_everywhere"], true, "{again}");
    // Also where the topic is in use there, and by the node that was away, which heard nothing of the first one.
    let mut reader = Ws::open(&b.ws("?topic=t&after=start")).await;
    reader.op("subscribed").await;
    until_knows(&b, 1).await;
    for server in [&a, &b] {
        let path = "/v1/topics/t/entries/e";
        let again = server.desk("DELETE", path).expect(200).await;
        assert_eq!(again["retracted_everywhere"], true, "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_just_started_knows_of_one_that_is_cut_off() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let a = node(nats, &prefix, "a").await;
    let between = Garbler::start(&nats.url, &[]).await;
    let mut config = nats.config(&prefix, "b");
    config.servers = vec![between.url.clone()];
    let folder = tempfile::tempdir().expect("a folder");
    let b = Server::start_in(folder, |server| server.nats = Some(config)).await;
    a.publish_entry("t", json!({"id": "e", "body": {"text": CANARY}}))
        .await;
    until_has(&b, "t", 1).await;
    between.cut().await;
    // It has heard of nobody, and nothing comes of the one that is cut off.
    drop(a.stop().await);
    let a = node(nats, &prefix, "a").await;
    let answer = a.desk("DELETE", "/v1/topics/t/entries/e").expect(200).await;
    assert_eq!(answer["retracted_everywhere"], false, "{answer}");
    assert_eq!(answer["unconfirmed"], json!(["b"]));
    let shown = b.get("/v1/topics/t/entries/e").expect(200).await;
    assert!(shown.to_string().contains(CANARY), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_it_stays_in_the_log_and_who_reads_it_anew_has_no_hole() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "bytes", "a").await;
    a.publish("t", "first").await;
    // Several entries in one record, and several records with content of the same entry.
    let entries = json!({"entries": [
        {"id": "keep", "body": {"text": "stays"}},
        {"id": "e", "body": {"text": CANARY}},
    ]});
    a.desk("POST", "/v1/topics/t/entries:batch")
        .json(&entries)
        .expect(201)
        .await;
    let patch = json!({"headline": format!("more {CANARY}")});
    a.desk("PATCH", "/v1/topics/t/entries/e")
        .json(&patch)
        .expect(200)
        .await;
    let held = json!({"id": "h", "body": {"text": CANARY}, "released_at": "2099-01-01T00:00:00Z"});
    a.desk("POST", "/v1/topics/t/entries")
        .json(&held)
        .expect(201)
        .await;
    assert!(holds(&nats.store(), CANARY));
    a.desk("DELETE", "/v1/topics/t/entries/e").expect(200).await;
    a.desk("DELETE", "/v1/topics/t/entries/h").expect(200).await;
    a.publish("t", "last").await;
    a.until_metric("tenbells_cluster_erasures_pending", |left| left == 0.0)
        .await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while holds(&nats.store(), CANARY) {
        assert!(tokio::time::Instant::now() < until, "the log still has it");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let b = node(&nats, "bytes", "b").await;
    let (of_a, of_b) = (until_has(&a, "t", 6).await, until_has(&b, "t", 6).await);
    assert_eq!(of_a, of_b);
    assert_eq!(a.snapshot("t").await, b.snapshot("t").await);
    let kinds: Vec<_> = of_b.iter().map(|change| change["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "entry.published",
            "entry.published",
            "entry.redacted",
            "entry.redacted",
            "entry.retracted",
            "entry.published"
        ]
        .map(Some)
    );
    // The same once more, where what stays in the first record's place is taken back as well.
    a.desk("DELETE", "/v1/topics/t/entries/keep")
        .expect(200)
        .await;
    a.until_metric("tenbells_cluster_erasures_pending", |left| left == 0.0)
        .await;
    let folder = b.stop().await;
    drop(folder);
    let c = node_in(&nats, "bytes", "c", tempfile::tempdir().expect("a folder")).await;
    assert_eq!(until_has(&c, "t", 7).await, until_has(&a, "t", 7).await);
}

/// Waits until a node has heard of so many others.
async fn until_knows(server: &Server, others: u32) {
    server
        .until_metric("tenbells_cluster_nodes", |nodes| nodes >= f64::from(others))
        .await;
}
