//! A data folder whose files were altered: it is refused, or its reads fail, or it says what it said; never anything else.
//!
//! Input: which folder and which of its files (1 byte), then patches: what is done (1 byte), where (3 bytes), how much
//! (1 byte), and for some so many bytes. Three folders: one that was closed in order, and is sealed; one that was killed,
//! with its write-ahead log; one that was killed when its log was just folded into the database. Where there is no seal,
//! changes alone are looked at, and fewer of them are an earlier state: docs/reliability.md says why.
#![cfg_attr(fuzzing, no_main)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tenbells::broker::{Broker, BrokerOptions, WriteRequest};
use tenbells::clock::SystemClock;
use tenbells::model::{EntryId, NewEntry, TopicName};
use tenbells::store::sqlite::SqliteStore;
use tenbells::store::{EntryFilter, EntryQuery, ReadLimit, Store, StoreOptions, StoredChange};

const DATABASE: &str = "tenbells.db";
const LOG: &str = "tenbells.db-wal";
const SEAL: &str = "tenbells.seal";
const ENTRIES: [&str; 4] = ["a", "b", "gone", "held"];
/// Most patches of one input.
const PATCHES_MAX: usize = 4;
const PAGE: usize = 4_096;

static SAMPLES: LazyLock<[Sample; 3]> = LazyLock::new(samples);

/// Files of a folder, and what was said of it.
struct Sample {
    files: Vec<(&'static str, Vec<u8>)>,
    /// Everything, where a seal is on it.
    everything: Option<Vec<Option<String>>>,
    /// What the log was after each write.
    logs: Arc<Vec<Vec<StoredChange>>>,
}

fuzz_target!(|data: &[u8]| {
    let Some((&which, patches)) = data.split_first() else {
        return;
    };
    let sample = &SAMPLES[usize::from(which) % SAMPLES.len()];
    // All in one file: a seal that was forged for an altered database is no accident.
    let patched = usize::from(which >> 4) % sample.files.len();
    let folder = tempfile::tempdir_in(fast_folder()).expect("a folder");
    for (index, (name, bytes)) in sample.files.iter().enumerate() {
        let path = folder.path().join(name);
        let written = if index == patched {
            std::fs::write(path, patch(bytes.clone(), patches))
        } else {
            std::fs::write(path, bytes)
        };
        written.expect("written");
    }
    let Ok(store) = open(folder.path()) else {
        return;
    };
    if let Some(everything) = &sample.everything {
        for (said, was) in look(store.as_ref()).iter().zip(everything) {
            assert!(said.is_none() || said == was, "{said:?} was {was:?}");
        }
    }
    if let Ok(changes) = changes(store.as_ref()) {
        let newest = sample.logs.last().expect("a state");
        let fits = newest.starts_with(&changes) || sample.logs.contains(&changes);
        assert!(fits, "altered: {changes:?}");
    }
    store.close();
});

fn patch(mut bytes: Vec<u8>, mut patches: &[u8]) -> Vec<u8> {
    for _ in 0..PATCHES_MAX {
        let Some((&[what, high, middle, low, count], rest)) = patches.split_first_chunk() else {
            break;
        };
        if bytes.is_empty() {
            break;
        }
        let at = u32::from_be_bytes([0, high, middle, low]) as usize % bytes.len();
        let count = usize::from(count);
        let with = &rest[..count.min(rest.len())];
        patches = &rest[with.len()..];
        match what % 5 {
            0 => bytes.truncate(at),
            1 => bytes[at..]
                .iter_mut()
                .zip(with)
                .for_each(|(byte, with)| *byte = *with),
            2 => bytes[at..]
                .iter_mut()
                .zip(with)
                .for_each(|(byte, with)| *byte ^= with),
            3 => bytes.extend(with),
            _ => {
                let (from, to) = (at / PAGE * PAGE, count * PAGE % bytes.len() / PAGE * PAGE);
                let page = bytes[from..bytes.len().min(from + PAGE)].to_vec();
                bytes[to..]
                    .iter_mut()
                    .zip(page)
                    .for_each(|(byte, with)| *byte = with);
            }
        }
    }
    bytes
}

fn open(folder: &Path) -> Result<Arc<SqliteStore>, impl std::fmt::Debug> {
    SqliteStore::open(folder, StoreOptions::default(), Arc::new(SystemClock))
}

fn topic() -> TopicName {
    TopicName::parse("t").expect("a name")
}

fn changes(store: &dyn Store) -> Result<Vec<StoredChange>, impl std::fmt::Debug> {
    let limit = ReadLimit {
        changes_max: 1_000,
        bytes_max: usize::MAX,
    };
    store.read(&topic(), 0, limit)
}

/// All that a store says, none where it answers with an error.
fn look(store: &dyn Store) -> Vec<Option<String>> {
    fn told<T: std::fmt::Debug, E>(answer: Result<T, E>) -> Option<String> {
        answer.ok().map(|answer| format!("{answer:?}"))
    }
    let topic = topic();
    let query = |filter| EntryQuery {
        before: None,
        limit: 100,
        filter,
    };
    let mut said = vec![
        told(changes(store)),
        told(store.topic(&topic)),
        told(store.topics(None, 10)),
        told(store.newest_topics(10)),
        told(store.held(None, 10)),
        told(store.audit(&topic, 100)),
    ];
    for filter in [
        EntryFilter::All,
        EntryFilter::KeyEvents,
        EntryFilter::Pinned,
    ] {
        said.push(told(store.entries(&topic, &query(filter))));
    }
    for id in ENTRIES {
        said.push(told(
            store.entry(&topic, &EntryId::parse(id).expect("an id")),
        ));
        said.push(told(store.remembered(&topic, &format!("key:k-{id}"))));
    }
    said
}

fn samples() -> [Sample; 3] {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir_in(fast_folder()).expect("a folder");
        let store = open(folder.path()).expect("a new folder");
        let clock = Arc::new(SystemClock);
        let broker = Broker::new(Arc::clone(&store) as _, clock, BrokerOptions::default());
        let running = tokio::spawn(Arc::clone(&broker).run());
        let logs = Arc::new(write_all(&broker, store.as_ref()).await);
        let killed = files(folder.path(), &[DATABASE, LOG]);
        running.abort();
        let _ = running.await;
        drop(broker);
        let everything = look(store.as_ref());
        assert!(everything.iter().all(Option::is_some), "{everything:?}");
        store.close();
        drop(store);
        let sample = |files, everything| Sample {
            files,
            everything,
            logs: Arc::clone(&logs),
        };
        [
            sample(files(folder.path(), &[DATABASE, SEAL]), Some(everything)),
            sample(killed, None),
            sample(files(folder.path(), &[DATABASE]), None),
        ]
    })
}

/// Some of everything. Gives what the log was after each write.
async fn write_all(broker: &Arc<Broker>, store: &SqliteStore) -> Vec<Vec<StoredChange>> {
    let topic = topic();
    let request = |key: &str| WriteRequest {
        actor: "k".into(),
        key: Some(format!("k-{key}")),
        may_create: true,
    };
    let mut logs = vec![Vec::new()];
    let mut keep = || logs.push(changes(store).expect("what was written"));
    for id in ENTRIES {
        let mut fields = json!({"id": id, "headline": format!("Headline of {id}"), "key_event": id == "a",
            "body": {"markdown": "*Words* of it."}, "pinned": id == "b"});
        if id == "held" {
            fields["released_at"] = "2999-01-01T00:00:00Z".into();
        }
        let entry: NewEntry = serde_json::from_value(fields).expect("an entry");
        broker
            .publish(&topic, entry, request(id))
            .await
            .expect("published");
        keep();
    }
    let id = |id| EntryId::parse(id).expect("an id");
    let patch = json!({"headline": "Another"});
    broker
        .revise(&topic, &id("b"), patch, None, request("r"))
        .await
        .expect("revised");
    keep();
    let reason = Some("It was wrong.".to_owned());
    broker
        .retract(&topic, &id("gone"), reason, None, request("g"))
        .await
        .expect("retracted");
    keep();
    let patch = json!({"title": "A title", "key_points": ["One"]});
    broker
        .patch_topic(&topic, patch, None, request("t"))
        .await
        .expect("patched");
    keep();
    logs
}

fn files(folder: &Path, names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    let read = |name: &&'static str| (*name, std::fs::read(folder.join(name)).expect("a file"));
    names.iter().map(read).collect()
}

/// A folder in memory, where there is one: nothing here asks for a medium.
fn fast_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}
