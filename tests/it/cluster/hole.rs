//! A record in the middle of the log that is lost: who needs it stops and says which, and nothing is served past it.

use std::sync::Arc;

use tenbells::clock::SystemClock;
use tenbells::store::jetstream::{JetStreamError, JetStreamStore};
use tenbells::store::{Store, StoreOptions};

use super::{node, until_has};
use crate::support::nats::{self, Nats};

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_log_is_named_and_what_a_node_has_stays_as_it_is() {
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
        let said = opened(&nats, folder).await.expect_err("not opened");
        assert!(said.contains("has lost data"), "{said}");
        assert!(said.contains("sequence 3"), "{said}");
        let copies = std::fs::read_dir(folder).expect("the folder");
        let copies = copies.filter_map(Result::ok);
        let kept = copies.filter(|file| file.file_name().to_string_lossy().starts_with("lost-"));
        assert_eq!(kept.count(), 0, "nothing was begun anew");
    }
    // The node that has everything goes on, and gives the next offset to nothing else.
    let next = a.publish("t", "five").await;
    assert_eq!(crate::support::read::offset_of(&next["position"]), 5);
    assert_eq!(until_has(&a, "t", 5).await[..2], before);
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
async fn opened(nats: &Nats, folder: &std::path::Path) -> Result<(), String> {
    let (folder, options) = (folder.to_owned(), nats.options("hole", "b"));
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
