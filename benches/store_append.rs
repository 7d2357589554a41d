//! How many durable appends a second the embedded store takes, for 1 to 256 publishers.
//!
//! `cargo bench --bench store_append`. Each publisher is a thread that waits for its answer before it sends the next
//! entry. Beside each figure stands a bare loop of `write` and `fdatasync` of the same bytes in the same folder, taken
//! right before: the disk's own rate for one append at a time. The folder is TENBELLS_BENCH_DIR, or `target/bench`.
//! TENBELLS_BENCH_SECONDS (5) and TENBELLS_BENCH_ROUNDS (3) make it shorter or longer.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tenbells::clock::SystemClock;
use tenbells::model::{EntryId, Epoch, TopicName};
use tenbells::store::sqlite::SqliteStore;
use tenbells::store::{Append, EntryWrite, Idempotency, NewTopic, Step, Store, StoreOptions};

/// Publishers, topics that they share, and whether their idempotency keys sort by time (as ULIDs do) or are random.
const CASES: [Case; 6] = [
    Case(1, 1, Keys::Sorted),
    Case(8, 1, Keys::Sorted),
    Case(64, 1, Keys::Sorted),
    Case(64, 1, Keys::Random),
    Case(64, 4, Keys::Sorted),
    Case(256, 1, Keys::Sorted),
];
/// The sizes of a day's entries: their median is 690 bytes.
const BODY_BYTES: [usize; 9] = [180, 290, 410, 560, 690, 820, 1_050, 1_480, 2_210];

#[derive(Debug, Clone, Copy)]
struct Case(usize, usize, Keys);

#[derive(Debug, Clone, Copy)]
enum Keys {
    Sorted,
    Random,
}

/// What one run came to.
struct Run {
    appends_per_second: f64,
    appends_per_commit: f64,
}

/// The figures of all rounds for one number of publishers.
#[derive(Default)]
struct Rounds {
    bare: Vec<f64>,
    appends: Vec<f64>,
    group: Vec<f64>,
}

fn main() -> Result<()> {
    let root = match std::env::var_os("TENBELLS_BENCH_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench"),
    };
    std::fs::create_dir_all(&root).context("the folder of the benchmark")?;
    let seconds = Duration::from_secs(number("TENBELLS_BENCH_SECONDS", 5)?);
    let rounds = number("TENBELLS_BENCH_ROUNDS", 3)?;
    let mut figures: Vec<Rounds> = CASES.iter().map(|_| Rounds::default()).collect();
    for _ in 0..rounds {
        for (case, figures) in CASES.into_iter().zip(&mut figures) {
            let folder = tempfile::tempdir_in(&root)?;
            figures.bare.push(bare_loop(folder.path(), seconds / 5)?);
            let run = appends(&folder.path().join("store"), case, seconds)?;
            figures.appends.push(run.appends_per_second);
            figures.group.push(run.appends_per_commit);
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "durable appends/s, {rounds} rounds of {} s in {}: min / median / max",
        seconds.as_secs(),
        root.display()
    )?;
    for (Case(publishers, topics, keys), mut figures) in CASES.into_iter().zip(figures) {
        let (bare, appends) = (spread(&mut figures.bare), spread(&mut figures.appends));
        let group = spread(&mut figures.group);
        writeln!(
            out,
            "{publishers:>4} publishers, {topics} topics, {keys:?} keys: {:>7.0} / {:>7.0} / {:>7.0}   {:>5.1} a commit   \
             bare write+fdatasync: {:>6.0} / {:>6.0} / {:>6.0}   ratio {:.1}",
            appends[0],
            appends[1],
            appends[2],
            group[1],
            bare[0],
            bare[1],
            bare[2],
            appends[1] / bare[1]
        )?;
    }
    Ok(())
}

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{name} is no whole number: {text:?}")),
        Err(_) => Ok(default),
    }
}

fn spread(figures: &mut [f64]) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    match &*figures {
        [] => [0.0; 3],
        [first, ..] => [
            *first,
            figures[figures.len() / 2],
            figures[figures.len() - 1],
        ],
    }
}

/// The disk's own rate: the bytes of an entry, synced one by one.
fn bare_loop(folder: &Path, time: Duration) -> Result<f64> {
    let mut file = File::create(folder.join("bare"))?;
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < time {
        file.write_all(entry(0, u64::from(count))?.doc.as_bytes())?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

fn appends(folder: &Path, case: Case, time: Duration) -> Result<Run> {
    let store = SqliteStore::open(folder, StoreOptions::default(), Arc::new(SystemClock))?;
    let mut feed = store.take_feed().context("the feed")?;
    // A feed batch is a commit.
    let commits = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let (done, elapsed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while feed.blocking_recv().is_some() {
                commits.fetch_add(1, Ordering::Relaxed);
            }
        });
        let started = Instant::now();
        let threads: Vec<_> = (0..case.0)
            .map(|publisher| {
                let (store, stop) = (&store, &stop);
                scope.spawn(move || publish_until(store, publisher, case, stop))
            })
            .collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let done: Result<u64> = threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a publisher panicked"))?)
            .sum();
        let elapsed = started.elapsed();
        store.close();
        (done, elapsed)
    });
    let done = f64::from(u32::try_from(done?)?);
    let commits = f64::from(u32::try_from(commits.into_inner())?);
    Ok(Run {
        appends_per_second: done / elapsed.as_secs_f64(),
        appends_per_commit: done / commits,
    })
}

fn publish_until(
    store: &SqliteStore,
    publisher: usize,
    case: Case,
    stop: &AtomicBool,
) -> Result<u64> {
    let topic = TopicName::parse(&format!("topic-{}", publisher % case.1))?;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let write = entry(publisher, count)?;
        let append = Append {
            topic: topic.clone(),
            create: Some(NewTopic {
                doc: "{}".into(),
                raw: "{}".into(),
                private: false,
                epoch: Epoch::from_seed(1),
            }),
            idempotency: Some(Idempotency {
                key: match case.2 {
                    Keys::Sorted => write.id.to_string(),
                    // The last characters of a ULID are its random ones.
                    Keys::Random => write.id.as_str().chars().rev().collect(),
                },
                request: [7; 32],
            }),
            steps: vec![Step::Publish(write)],
            actor: "bench".into(),
        };
        store.append(append).wait_blocking()?;
        count += 1;
    }
    Ok(count)
}

/// An entry as a newsroom tool sends it: its id sorts by time, its body is of the usual sizes.
fn entry(publisher: usize, count: u64) -> Result<EntryWrite> {
    let bytes = BODY_BYTES[usize::try_from(count)?
        .wrapping_mul(7)
        .wrapping_add(publisher)
        % 9];
    let id = EntryId::parse(&ulid::Ulid::generate().to_string())?;
    let body = "The count goes on into the night. ".repeat(bytes / 34 + 1);
    let body = &body[..bytes];
    Ok(EntryWrite {
        doc: format!(
            r#"{{"id":"{id}","revision":1,"body_html":"<p>{body}</p>","authors":[{{"name":"A. Writer","type":"person"}}],"created_at":"2026-11-24T09:00:00.000Z"}}"#
        ),
        raw: format!(r#"{{"markdown":"{body}"}}"#),
        id,
        revision: 1,
        key_event: false,
        pinned: false,
        request: None,
    })
}
