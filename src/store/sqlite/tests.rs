//! What is special to the embedded store: its file, its groups, its checks. The contract has a suite of its own.

use std::sync::Arc;

use jiff::Timestamp;

use rusqlite::Connection;

use super::rows::{OFFSET_MAX, row_key, sql};
use super::*;
use crate::clock::SystemClock;
use crate::model::{ChangeKind, Epoch};
use crate::store::{
    AppendError, Appended, EntryFilter, EntryState, EntryWrite, Idempotency, NewTopic, Step,
};

mod altered;
mod backup;
mod bytes;
mod groups;
mod salvage;

fn open(folder: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(folder, StoreOptions::default(), Arc::new(SystemClock)).expect("opens")
}

fn name(text: &str) -> TopicName {
    TopicName::parse(text).expect("a topic name")
}

fn id(text: &str) -> EntryId {
    EntryId::parse(text).expect("an entry id")
}

fn write(entry: &str, revision: u64, body: &str) -> EntryWrite {
    EntryWrite {
        id: id(entry),
        revision,
        doc: format!(r#"{{"id":"{entry}","revision":{revision},"body_html":"{body}"}}"#),
        raw: format!(r#"{{"text":"{body}"}}"#),
        key_event: false,
        pinned: false,
        request: None,
    }
}

fn publish(entry: &str, body: &str) -> Step {
    Step::Publish(write(entry, 1, body))
}

fn retract(entry: &str) -> Step {
    Step::Retract {
        id: id(entry),
        reason: None,
        expect: None,
    }
}

fn append(topic: &str, steps: Vec<Step>) -> Append {
    Append {
        topic: name(topic),
        create: Some(NewTopic {
            doc: "{}".into(),
            raw: "{}".into(),
            private: false,
            epoch: Epoch::from_seed(7),
        }),
        steps,
        idempotency: None,
        actor: "desk".into(),
    }
}

fn store(store: &SqliteStore, topic: &str, steps: Vec<Step>) -> Result<Appended, AppendError> {
    store.append(append(topic, steps)).wait_blocking()
}

const ALL: ReadLimit = ReadLimit {
    changes_max: 1_000,
    bytes_max: usize::MAX,
};

fn kinds(store: &SqliteStore, topic: &str) -> Vec<(Offset, ChangeKind)> {
    store
        .read(&name(topic), 0, ALL)
        .expect("reads")
        .into_iter()
        .map(|change| (change.offset, change.kind))
        .collect()
}

#[test]
fn what_was_appended_is_there_after_a_reopen() {
    let folder = tempfile::tempdir().expect("folder");
    let first = open(folder.path());
    let done = store(&first, "t", vec![publish("a", "x"), publish("b", "y")]).expect("stored");
    assert_eq!(done.steps[1].offset, Some(2));
    first.close();
    assert!(
        matches!(
            store(&first, "t", vec![publish("c", "z")]),
            Err(AppendError::NotStored(Refused::Failed(_)))
        ),
        "closed"
    );
    drop(first);

    let second = open(folder.path());
    let changes = second.read(&name("t"), 0, ALL).expect("reads");
    assert_eq!(changes.len(), 2);
    assert!(
        changes[1].json.contains(r#""offset":2"#),
        "{}",
        changes[1].json
    );
    let done = store(&second, "t", vec![publish("c", "z")]).expect("stored");
    assert_eq!(done.steps[0].offset, Some(3), "the head is read again");
    assert_eq!(second.audit(&name("t"), 10).expect("audit").len(), 3);
}

#[test]
fn a_full_numbering_is_refused_and_nothing_is_stored() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    let until = Timestamp::UNIX_EPOCH;
    store(
        &it,
        "t",
        vec![publish("a", "x"), Step::Hold(write("h", 1, "x"), until)],
    )
    .expect("stored");
    it.close();
    drop(it);
    let database = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
    database
        .execute("UPDATE topic SET head = ?1", [sql(OFFSET_MAX - 1)])
        .expect("moved");
    drop(database);
    std::fs::remove_file(folder.path().join("tenbells.seal")).expect("served as it is");

    let it = open(folder.path());
    let last = store(&it, "t", vec![publish("b", "x")]).expect("the last one");
    assert_eq!(last.steps[0].offset, Some(OFFSET_MAX));
    for step in [publish("c", "x"), retract("b"), Step::Release(id("h"))] {
        assert_eq!(
            store(&it, "t", vec![step]),
            Err(AppendError::NotStored(Refused::TopicFull(OFFSET_MAX)))
        );
    }
    assert_eq!(
        it.held(None, 10).expect("held").len(),
        1,
        "not dropped by half a release"
    );
    assert_eq!(it.failed(), None);
    store(&it, "other", vec![publish("c", "x")]).expect("other topics go on");
}

#[test]
fn altered_bytes_are_corrupt_and_named() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    store(
        &it,
        "t",
        (1..=5).map(|n| publish(&format!("e{n}"), "body")).collect(),
    )
    .expect("stored");
    let database = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
    let key = row_key(1, 3);
    let alter = |sql: &str| database.execute(sql, [key]).expect("altered");
    let read = |after| it.read(&name("t"), after, ALL);
    let corrupt = |outcome: Result<Vec<StoredChange>, ReadError>| match outcome {
        Err(ReadError::Corrupt(what)) => what,
        other => panic!("{other:?}"),
    };

    alter("UPDATE change SET json = replace(json, 'body', 'b0dy') WHERE key = ?1");
    let what = corrupt(read(0));
    assert!(what.contains("topic t, offset 3"), "{what}");
    assert!(matches!(
        it.entry(&name("t"), &id("e3")),
        Err(ReadError::Corrupt(_))
    ));
    assert_eq!(read(3).expect("behind it").len(), 2);

    alter("DELETE FROM change WHERE key = ?1");
    let what = corrupt(read(2));
    assert!(what.contains("topic t, offset 3"), "{what}");
    assert!(matches!(
        it.entry(&name("t"), &id("e3")),
        Err(ReadError::Corrupt(_))
    ));

    database
        .execute("DELETE FROM change WHERE key >= ?1", [row_key(1, 5)])
        .expect("altered");
    let what = corrupt(read(3));
    assert!(
        what.contains("topic t, offset 5"),
        "the end is missing: {what}"
    );
}

#[test]
fn a_read_keeps_to_its_limits_but_gives_one() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    store(
        &it,
        "t",
        (1..=5).map(|n| publish(&format!("e{n}"), "body")).collect(),
    )
    .expect("stored");
    let count = |after, changes_max, bytes_max| {
        let limit = ReadLimit {
            changes_max,
            bytes_max,
        };
        it.read(&name("t"), after, limit).expect("reads").len()
    };
    let size = it.read(&name("t"), 0, ALL).expect("reads")[0].json.len();
    assert_eq!(count(0, 2, usize::MAX), 2);
    assert_eq!(count(0, 10, 1), 1);
    assert_eq!(count(0, 10, 2 * size), 2);
    assert_eq!(count(0, usize::MAX, usize::MAX), 5);
    assert_eq!(count(5, 10, usize::MAX), 0);
    assert_eq!(count(u64::MAX, 10, usize::MAX), 0);
}

#[test]
fn filters_find_what_stands_and_pages_fit_together() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    let steps = (1..=9)
        .map(|n| {
            let mut write = write(&format!("e{n}"), 1, "body");
            write.key_event = n % 2 == 0;
            write.pinned = n == 5;
            Step::Publish(write)
        })
        .collect();
    store(&it, "t", steps).expect("stored");
    store(&it, "u", vec![publish("other", "body")]).expect("stored");
    store(&it, "t", vec![retract("e4")]).expect("stored");
    let page = |before, limit, filter| {
        let query = EntryQuery {
            before,
            limit,
            filter,
        };
        let page = it
            .entries(&name("t"), &query)
            .expect("reads")
            .expect("topic");
        assert_eq!(page.topic.head, 10);
        let ids: Vec<String> = page
            .entries
            .iter()
            .map(|entry| entry.id.as_str().to_owned())
            .collect();
        (ids.join(" "), page.more)
    };
    assert_eq!(
        page(None, 4, EntryFilter::All),
        ("e9 e8 e7 e6".into(), true)
    );
    assert_eq!(
        page(Some(6), 5, EntryFilter::All),
        ("e5 e4 e3 e2 e1".into(), false)
    );
    assert_eq!(
        page(None, 9, EntryFilter::KeyEvents),
        ("e8 e6 e2".into(), false)
    );
    assert_eq!(
        page(Some(8), 1, EntryFilter::KeyEvents),
        ("e6".into(), true)
    );
    assert_eq!(page(None, 9, EntryFilter::Pinned), ("e5".into(), false));
    assert_eq!(page(Some(0), 9, EntryFilter::All), (String::new(), false));
    let tombstone = it
        .entry(&name("t"), &id("e4"))
        .expect("reads")
        .expect("there");
    assert!(matches!(
        tombstone.state,
        EntryState::Retracted {
            first: 4,
            last: 10,
            ..
        }
    ));
    assert_eq!(tombstone.raw, "");
}

#[test]
fn a_key_holds_across_a_reopen() {
    let folder = tempfile::tempdir().expect("folder");
    let with_key = |request| Append {
        idempotency: Some(Idempotency {
            key: "k".into(),
            request: [request; 32],
        }),
        ..append("t", vec![publish("a", "x")])
    };
    let it = open(folder.path());
    let first = it.append(with_key(1)).wait_blocking().expect("stored");
    drop(it);
    let it = open(folder.path());
    let again = it.append(with_key(1)).wait_blocking().expect("remembered");
    assert!(again.replayed);
    assert_eq!(again.steps, first.steps);
    assert_eq!(
        it.append(with_key(2)).wait_blocking(),
        Err(AppendError::NotStored(Refused::KeyReused))
    );
    let remembered = it
        .remembered(&name("t"), "k")
        .expect("reads")
        .expect("there");
    assert_eq!(
        (remembered.request, remembered.steps),
        ([1; 32], first.steps)
    );
    assert_eq!(kinds(&it, "t").len(), 1);
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let _first = open(folder.path());
    let second = SqliteStore::open(
        folder.path(),
        StoreOptions::default(),
        Arc::new(SystemClock),
    );
    assert!(matches!(second.err(), Some(OpenError::InUse(_))));
}

#[test]
fn a_database_that_was_altered_while_nobody_had_it_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(DATABASE_FILE);
    let first = open(folder.path());
    store(&first, "t", vec![publish("e", "words")]).expect("stored");
    first.close();
    drop(first);
    let whole = std::fs::read(&path).expect("the database");
    let mut altered = whole.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    for (what, bytes) in [("flipped", &altered[..]), ("cut", &whole[..last])] {
        std::fs::write(&path, bytes).expect("written");
        let refused = SqliteStore::open(
            folder.path(),
            StoreOptions::default(),
            Arc::new(SystemClock),
        );
        let error = refused.err().expect("refused");
        assert!(
            matches!(error, OpenError::Altered { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("tenbells.seal"), "{error}");
        assert_eq!(std::fs::read(&path).expect("read"), bytes, "left as it was");
    }
    std::fs::write(&path, &whole).expect("written");
    drop(open(folder.path()));
}
