//! What a node knows of how the servers sync: with the configuration that is shipped, with another one, and with none to ask.

use std::path::Path;

use serde_json::Value;

use super::node;
use crate::support::nats::{self, Nats};

/// The shipped configuration of a server, on its own and in this folder.
fn shipped(folder: &Path) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nats/nats-a.conf");
    let text = std::fs::read_to_string(file).expect("deploy/nats/nats-a.conf");
    let (before, rest) = text.split_once("\ncluster {").expect("its cluster");
    let (_, after) = rest.split_once("\n}\n").expect("the end of it");
    // Its ports and its folder are those of the test, and secrets are not in the environment.
    let mut text = format!("{before}\n{after}")
        .replace("/var/lib/nats", &folder.join("store").display().to_string())
        .lines()
        .filter(|line| !line.starts_with("listen:") && !line.starts_with("http:"))
        .collect::<Vec<_>>()
        .join("\n");
    for name in [
        "NATS_SYS_USER",
        "NATS_SYS_PASSWORD",
        "NATS_USER",
        "NATS_PASSWORD",
    ] {
        assert!(text.contains(&format!("${name}")), "{name} is not in it");
        text = text.replace(&format!("${name}"), name);
    }
    text
}

/// What a node says of the servers' syncing.
async fn said(nats: &Nats) -> Value {
    let node = node(nats, "sync", "a").await;
    let ready = node.admin("/readyz").expect(200).await;
    ready["synced"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_the_servers_sync_is_known_with_the_shipped_configuration() {
    if nats::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = shipped(folder.path());
    assert!(text.contains("sync_interval: always"));
    let user = "NATS_USER:NATS_PASSWORD";
    let nats = Nats::start_with(folder, &text, Some(user));
    assert_eq!(said(&nats).await, true);

    let folder = tempfile::tempdir().expect("a folder");
    let lazy = shipped(folder.path()).replace("sync_interval: always", "sync_interval: 30s");
    let nats = Nats::start_with(folder, &lazy, Some(user));
    assert_eq!(said(&nats).await, false);

    // A server that has nobody to ask.
    assert_eq!(said(nats::shared()).await, Value::Null);
}
