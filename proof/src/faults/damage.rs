//! Damage to files at rest: a small data folder, cut at every byte and with every bit flipped, and what is served of it.
//!
//! Two folders: one whose process stopped in order (one database, sealed), and one whose process was killed (a database
//! and its write-ahead log). Each damaged copy may be refused, or its reads may fail, or it may be what it was; one with
//! a log may also be what it was some commits earlier. It is never anything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tenbells::broker::{Broker, BrokerOptions, WriteRequest};
use tenbells::clock::SystemClock;
use tenbells::model::{EntryId, NewEntry, TopicName};
use tenbells::store::sqlite::SqliteStore;
use tenbells::store::{EntryFilter, EntryQuery, ReadLimit, Store, StoreOptions};

use super::Outcome;

const DATABASE: &str = "tenbells.db";
const LOG: &str = "tenbells.db-wal";
const SEAL: &str = "tenbells.seal";
const TOPIC: &str = "t";
const ENTRIES: [&str; 5] = ["a", "b", "c", "gone", "held"];
/// What is told of violations.
const TOLD_MAX: usize = 5;

/// Everything a store says, by what was asked; none where it answered with an error.
type Said = BTreeMap<String, Option<String>>;

/// Files of a folder, and what was said of it after each write.
struct Sample {
    files: Vec<(&'static str, Vec<u8>)>,
    states: Vec<Said>,
    /// What is looked at: everything, or what has a checksum of its own.
    scope: Scope,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    /// The log, and entries by their changes.
    Changes,
}

#[derive(Default)]
struct Count {
    damaged: u64,
    refused: u64,
    failed_reads: u64,
    same: u64,
    earlier: u64,
    altered: Vec<String>,
}

enum Damage {
    Cut(usize),
    Flip(usize, u8),
}

pub(super) async fn run(step: u32) -> Result<Outcome> {
    let (closed, killed) = samples().await?;
    let step = step.max(1) as usize;
    let (count, total) =
        tokio::task::spawn_blocking(move || scan(&closed, &killed, step)).await??;
    let total_bits = total;
    if !count.altered.is_empty() {
        let told: Vec<_> = count
            .altered
            .iter()
            .take(TOLD_MAX)
            .map(String::as_str)
            .collect();
        bail!(
            "{} of {} damages gave something else:\n{}",
            count.altered.len(),
            count.damaged,
            told.join("\n")
        );
    }
    Ok(Outcome::Kept(format!(
        "{} damages (every {step}th cut and bit of {total_bits} bytes): {} refused at the start, {} with reads that fail, {} \
         as it was, {} as it was some commits earlier, 0 altered",
        count.damaged, count.refused, count.failed_reads, count.same, count.earlier
    )))
}

fn scan(closed: &Sample, killed: &Sample, step: usize) -> Result<(Count, usize)> {
    let mut count = Count::default();
    let mut total = 0;
    for sample in [closed, killed] {
        for file in 0..sample.files.len() {
            let length = sample.files[file].1.len();
            total += length;
            for at in (0..length).step_by(step) {
                one(sample, file, &Damage::Cut(at), &mut count)?;
            }
            for bit in (0..length * 8).step_by(step) {
                let damage = Damage::Flip(bit / 8, 1 << (bit % 8));
                one(sample, file, &damage, &mut count)?;
            }
        }
    }
    Ok((count, total))
}

fn one(sample: &Sample, file: usize, damage: &Damage, count: &mut Count) -> Result<()> {
    let folder = tempfile::tempdir_in(fast_folder())?;
    for (index, (name, bytes)) in sample.files.iter().enumerate() {
        let path = folder.path().join(name);
        match damage {
            Damage::Cut(at) if index == file => std::fs::write(path, &bytes[..*at])?,
            Damage::Flip(at, bit) if index == file => {
                let mut bytes = bytes.clone();
                bytes[*at] ^= bit;
                std::fs::write(path, bytes)?;
            }
            _ => std::fs::write(path, bytes)?,
        }
    }
    count.damaged += 1;
    let opened = SqliteStore::open(
        folder.path(),
        StoreOptions::default(),
        Arc::new(SystemClock),
    );
    let Ok(store) = opened else {
        count.refused += 1;
        return Ok(());
    };
    let said = look(store.as_ref(), sample.scope);
    store.close();
    let fits = |state: &&Said| {
        said.iter()
            .all(|(what, text)| text.is_none() || state.get(what) == Some(text))
    };
    let newest = sample.states.last().context("a state")?;
    if said.values().any(Option::is_none) {
        count.failed_reads += 1;
    }
    if fits(&newest) {
        count.same += u64::from(said.values().all(Option::is_some));
    } else if sample.files.len() > 1
        && sample.scope == Scope::Changes
        && sample.states.iter().any(|state| fits(&state))
    {
        count.earlier += u64::from(said.values().all(Option::is_some));
    } else {
        let name = sample.files[file].0;
        let what = match damage {
            Damage::Cut(at) => format!("{name} cut at {at}"),
            Damage::Flip(at, bit) => format!("{name} with bit {bit:#04x} of byte {at} flipped"),
        };
        let other = said
            .iter()
            .find(|(asked, text)| text.is_some() && newest.get(*asked) != Some(*text));
        count.altered.push(format!("{what}: {other:?}"));
    }
    Ok(())
}

/// What a store says of the topic.
fn look(store: &dyn Store, scope: Scope) -> Said {
    let mut said = Said::new();
    let Ok(topic) = TopicName::parse(TOPIC) else {
        return said;
    };
    let limit = ReadLimit {
        changes_max: 1_000,
        bytes_max: usize::MAX,
    };
    let mut keep = |what: String, text: Option<String>| said.insert(what, text);
    keep("changes".into(), told(store.read(&topic, 0, limit)));
    let query = |filter| EntryQuery {
        before: None,
        limit: 100,
        filter,
    };
    if scope == Scope::Changes {
        return said;
    }
    keep("topic".into(), told(store.topic(&topic)));
    keep("topics".into(), told(store.topics(None, 10)));
    for filter in [
        EntryFilter::All,
        EntryFilter::KeyEvents,
        EntryFilter::Pinned,
    ] {
        keep(
            format!("entries {filter:?}"),
            told(store.entries(&topic, &query(filter))),
        );
    }
    for id in ENTRIES {
        if let Ok(id) = EntryId::parse(id) {
            keep(format!("entry {id}"), told(store.entry(&topic, &id)));
        }
        keep(
            format!("key {id}"),
            told(store.remembered(&topic, &format!("key:k-{id}"))),
        );
    }
    keep("held".into(), told(store.held(None, 10)));
    keep("audit".into(), told(store.audit(&topic, 100)));
    said
}

fn told<T: std::fmt::Debug, E>(answer: std::result::Result<T, E>) -> Option<String> {
    answer.ok().map(|answer| format!("{answer:?}"))
}

/// A folder that was closed in order, and one as a killed process leaves it.
async fn samples() -> Result<(Sample, Sample)> {
    let folder = tempfile::tempdir_in(fast_folder())?;
    let store = SqliteStore::open(
        folder.path(),
        StoreOptions::default(),
        Arc::new(SystemClock),
    )?;
    let broker = Broker::new(
        Arc::clone(&store) as _,
        Arc::new(SystemClock),
        BrokerOptions::default(),
    );
    let running = tokio::spawn(Arc::clone(&broker).run());
    let changes = write_all(&broker, &store).await?;
    let killed = Sample {
        files: files(folder.path(), &[DATABASE, LOG])?,
        states: changes,
        scope: Scope::Changes,
    };
    running.abort();
    let _ = running.await;
    let everything = look(store.as_ref(), Scope::Everything);
    ensure!(everything.values().all(Option::is_some), "{everything:?}");
    drop(broker);
    store.close();
    drop(store);
    let closed = Sample {
        files: files(folder.path(), &[DATABASE, SEAL])?,
        states: vec![everything],
        scope: Scope::Everything,
    };
    Ok((closed, killed))
}

/// Some of everything. Gives what the log was after each write.
async fn write_all(broker: &Arc<Broker>, store: &Arc<SqliteStore>) -> Result<Vec<Said>> {
    let topic = TopicName::parse(TOPIC)?;
    let mut states = vec![look(store.as_ref(), Scope::Changes)];
    let request = |key: &str| WriteRequest {
        actor: "k".into(),
        key: Some(format!("k-{key}")),
        may_create: true,
    };
    for id in ENTRIES {
        let mut fields = json!({"id": id, "headline": format!("Headline of {id}"), "body": {"markdown": "*Words* of it."},
            "key_event": id == "a", "pinned": id == "b"});
        if id == "held" {
            fields["released_at"] = "2999-01-01T00:00:00Z".into();
        }
        let entry: NewEntry = serde_json::from_value(fields)?;
        broker.publish(&topic, entry, request(id)).await?;
        states.push(look(store.as_ref(), Scope::Changes));
    }
    broker
        .revise(
            &topic,
            &EntryId::parse("c")?,
            json!({"headline": "Another"}),
            None,
            request("r"),
        )
        .await?;
    states.push(look(store.as_ref(), Scope::Changes));
    broker
        .retract(
            &topic,
            &EntryId::parse("gone")?,
            Some("It was wrong.".into()),
            None,
            request("g"),
        )
        .await?;
    states.push(look(store.as_ref(), Scope::Changes));
    broker
        .patch_topic(
            &topic,
            json!({"title": "A title", "key_points": ["One"]}),
            None,
            request("t"),
        )
        .await?;
    states.push(look(store.as_ref(), Scope::Changes));
    Ok(states)
}

fn files(folder: &Path, names: &[&'static str]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let read = |name: &&'static str| Ok((*name, std::fs::read(folder.join(name)).context(*name)?));
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
