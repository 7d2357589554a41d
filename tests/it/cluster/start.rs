//! A node that starts while the log can't answer waits for it, instead of giving up.

use super::{node, until_has};
use crate::support::Server;
use crate::support::garbler::{Garbler, Spoil};
use crate::support::nats::{self, Nats};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_while_the_log_has_no_leader_waits_for_one() {
    if nats::is_missing() {
        return;
    }
    let nats = Nats::start();
    let a = node(&nats, "start", "a").await;
    let b = node(&nats, "start", "b").await;
    a.publish("t", "one").await;
    until_has(&b, "t", 1).await;
    let folder = b.stop().await;
    a.publish("t", "two").await;
    // What it asks at its start, each unanswered for a while.
    let spoil = |word, skip, count| Spoil { word, skip, count };
    let spoils = [
        // The first ones are to find the streams, which is tried again anyway.
        spoil("STREAM.INFO.START", 2, 3),
        spoil("STREAM.MSG.GET", 0, 2),
        spoil("CONSUMER.CREATE", 0, 2),
    ];
    let garbler = Garbler::start(&nats.url, &spoils).await;
    let mut config = nats.config("start", "b");
    config.servers = vec![garbler.url.clone()];
    let b = Server::start_in(folder, |server| server.nats = Some(config)).await;
    assert!(garbler.is_done(), "it has not asked all of it");
    assert_eq!(until_has(&b, "t", 2).await, until_has(&a, "t", 2).await);
    // The same with nothing in its folder.
    let garbler = Garbler::start(&nats.url, &spoils[2..]).await;
    let mut config = nats.config("start", "c");
    config.servers = vec![garbler.url.clone()];
    let folder = tempfile::tempdir().expect("a folder");
    let c = Server::start_in(folder, |server| server.nats = Some(config)).await;
    assert!(garbler.is_done(), "it has not asked for the log");
    assert_eq!(until_has(&c, "t", 2).await.len(), 2);
}
