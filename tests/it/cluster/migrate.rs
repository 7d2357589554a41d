//! From a single node to a cluster and back, with every position as it was.

use serde_json::{Value, json};
use tenbells::store::jetstream::{MigrateError, migrate_to_cluster, migrate_to_single};
use tenbells::store::sqlite::{Restored, backup_folder, restore_folder};

use super::{node_in, until_has};
use crate::support::Server;
use crate::support::nats;
use crate::support::ws::Ws;

/// A single node with a bit of everything.
async fn single() -> Server {
    let server = Server::start().await;
    for number in 0..20 {
        let body = json!({"id": format!("e{number}"), "body": {"text": format!("number {number}")}, "pinned": number == 3});
        server.publish_entry("t", body).await;
    }
    let patch = json!({"headline": "later"});
    server
        .desk("PATCH", "/v1/topics/t/entries/e1")
        .json(&patch)
        .expect(200)
        .await;
    server
        .desk("DELETE", "/v1/topics/t/entries/e2")
        .expect(200)
        .await;
    let held = json!({"id": "h", "body": {"text": "held"}, "released_at": "2099-01-01T00:00:00Z"});
    server
        .desk("POST", "/v1/topics/t/entries")
        .json(&held)
        .expect(201)
        .await;
    super::publish_keyed(&server, "k", "keyed").await;
    server.publish("over", "x").await;
    server
        .desk("POST", "/v1/topics/over/end")
        .json(&json!({}))
        .expect(200)
        .await;
    server
}

/// All that a node has of its topics, as readers and the desk get it.
async fn view(server: &Server) -> Vec<Value> {
    let mut view = Vec::new();
    for topic in ["t", "over"] {
        view.push(server.position(topic).await.into());
        view.extend(server.changes(topic, "start").await);
        view.extend(server.snapshot(topic).await);
        let audit = format!("/v1/topics/{topic}/audit");
        view.push(server.desk("GET", &audit).expect(200).await);
    }
    view.push(
        server
            .desk("GET", "/v1/topics/t/entries?filter=pinned")
            .expect(200)
            .await,
    );
    view
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_nodes_topics_go_to_a_cluster_and_back_with_every_position() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let server = single().await;
    let before = view(&server).await;
    let position = server.position("t").await;
    let folder = server.stop().await;
    let options = nats.options(&prefix, "migrate");
    let migrated = migrate_to_cluster(folder.path(), &options)
        .await
        .expect("brought over");
    assert_eq!((migrated.topics, migrated.changes), (2, 25));
    let again = migrate_to_cluster(folder.path(), &options).await;
    assert!(matches!(again, Err(MigrateError::NotEmpty(_))), "{again:?}");

    let on_cluster = tempfile::tempdir().expect("a folder");
    let a = node_in(nats, &prefix, "a", on_cluster).await;
    assert_eq!(view(&a).await, before);
    let mut reader = Ws::open(&a.ws(&format!("?topic=t&after={position}"))).await;
    assert_eq!(reader.op("subscribed").await["position"], position);
    // Keys of requests, embargoes and ids go on as they were.
    assert_eq!(
        super::publish_keyed(&a, "k", "keyed").await["position"],
        position
    );
    a.desk("DELETE", "/v1/topics/t/entries/h").expect(200).await;
    let retracted = a
        .desk("DELETE", "/v1/topics/t/entries/e5")
        .expect(200)
        .await;
    assert_eq!(
        retracted["position"].as_str().map(|at| &at[..6]),
        Some(&position[..6])
    );
    a.until_metric("tenbells_cluster_erasures_pending", |left| left == 0.0)
        .await;
    // Who reads the log anew gets the same, the erased content left out.
    let b = node_in(nats, &prefix, "b", tempfile::tempdir().expect("a folder")).await;
    let after = view(&a).await;
    until_has(&b, "t", 24).await;
    assert_eq!(view(&b).await, after);
    assert!(!format!("{after:?}").contains("number 5\""));

    let folder = a.stop().await;
    drop(b.stop().await);
    let target = tempfile::tempdir().expect("a folder");
    migrate_to_single(folder.path(), target.path(), Some(&options))
        .await
        .expect("a single node's");
    let back = Server::start_in(target, |_| {}).await;
    assert_eq!(view(&back).await, after);
    back.publish("t", "on its own again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_backup_makes_a_single_node_and_that_another_cluster() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let a = super::node(nats, &prefix, "a").await;
    for text in ["one", "two"] {
        a.publish("t", text).await;
    }
    let changes = until_has(&a, "t", 2).await;
    let epoch = |position: String| position.split_once('-').expect("a position").0.to_owned();
    let before = epoch(a.position("t").await);
    let backups = tempfile::tempdir().expect("a folder");
    let backup = backups.path().join("a.backup");
    backup_folder(a.folder.path(), &backup).expect("a backup");

    let restored = tempfile::tempdir().expect("a folder");
    restore_folder(&backup, restored.path(), Restored::SingleNode).expect("restored");
    let single = Server::start_in(restored, |_| {}).await;
    assert_eq!(single.changes("t", "start").await, changes);
    let after = epoch(single.position("t").await);
    assert_ne!(before, after, "what came after the backup is gone");

    let folder = single.stop().await;
    let other = nats::prefix();
    let migrated = migrate_to_cluster(folder.path(), &nats.options(&other, "b")).await;
    assert_eq!(migrated.expect("brought over").changes, 2);
    let b = super::node(nats, &other, "b").await;
    assert_eq!(until_has(&b, "t", 2).await, changes);
    assert_eq!(epoch(b.position("t").await), after);

    // The backup of that single node follows no log.
    let backup = backups.path().join("single.backup");
    backup_folder(folder.path(), &backup).expect("a backup");
    let into = tempfile::tempdir().expect("a folder");
    let refused = restore_folder(&backup, into.path(), Restored::SameLog);
    let said = refused.expect_err("refused").to_string();
    assert!(said.contains("follows no log"), "{said}");
}
