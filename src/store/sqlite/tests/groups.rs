//! Appends that share a commit, and a queue that is full.

use super::*;

/// Sends several appends so that the writer takes them as one group: it can't begin while the lock is held.
fn as_one_group(
    folder: &Path,
    store: &SqliteStore,
    appends: Vec<Append>,
) -> Vec<Result<Appended, AppendError>> {
    let blocker = Connection::open(folder.join(DATABASE_FILE)).expect("opens");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locks");
    // The first one makes the writer wait for the lock; the others queue behind it.
    let first = store.append(Append {
        idempotency: None,
        ..append("first", vec![publish("first", "")])
    });
    let waiting: Vec<Receipt> = appends
        .into_iter()
        .map(|append| store.append(append))
        .collect();
    blocker.execute_batch("COMMIT").expect("unlocks");
    first.wait_blocking().expect("stored");
    waiting.into_iter().map(Receipt::wait_blocking).collect()
}

#[test]
fn a_refused_append_leaves_its_group_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    let mut feed = it.take_feed().expect("feed");
    store(&it, "t", vec![publish("a", "a1")]).expect("stored");
    let outcomes = as_one_group(
        folder.path(),
        &it,
        vec![
            append("t", vec![publish("b", "b1")]),
            // Half of each of these can be done.
            append(
                "t",
                vec![publish("c", "c1"), retract("b"), publish("a", "twice")],
            ),
            append("new", vec![publish("n", "n1"), retract("nothing")]),
            append("t", vec![publish("a", "twice")]),
            append("t", vec![publish("d", "d1")]),
        ],
    );
    assert!(outcomes[0].is_ok());
    assert_eq!(
        outcomes[1],
        Err(AppendError::NotStored(Refused::EntryExists(id("a"))))
    );
    assert_eq!(
        outcomes[2],
        Err(AppendError::NotStored(Refused::NoEntry(id("nothing"))))
    );
    assert!(outcomes[3].is_err());
    let last = outcomes[4].as_ref().expect("stored");
    assert_eq!(
        last.steps[0].offset,
        Some(3),
        "no hole where one was refused"
    );

    let published = ChangeKind::EntryPublished;
    assert_eq!(
        kinds(&it, "t"),
        [(1, published), (2, published), (3, published)]
    );
    assert_eq!(it.topic(&name("new")), Ok(None));
    assert_eq!(it.audit(&name("t"), 10).expect("audit").len(), 3);
    it.close();
    let mut fed = Vec::new();
    while let Ok(batch) = feed.try_recv() {
        fed.extend(batch.into_iter().filter(|change| change.topic == name("t")));
    }
    let offsets: Vec<Offset> = fed.iter().map(|change| change.change.offset).collect();
    assert_eq!(offsets, [1, 2, 3]);
    let b = &fed[1].change.json;
    assert!(
        b.contains("b1"),
        "a refused retraction redacts nothing: {b}"
    );
}

#[test]
fn the_feed_never_carries_what_its_own_group_retracted() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    let mut feed = it.take_feed().expect("feed");
    let outcomes = as_one_group(
        folder.path(),
        &it,
        vec![
            append("t", vec![publish("a", "secret-one"), publish("b", "stays")]),
            append("t", vec![Step::Revise(write("a", 2, "secret-two"), 1)]),
            append("t", vec![retract("a")]),
        ],
    );
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    it.close();
    let mut fed = Vec::new();
    while let Ok(batch) = feed.try_recv() {
        fed.extend(batch.into_iter().filter(|change| change.topic == name("t")));
    }
    let fed: Vec<StoredChange> = fed.into_iter().map(|committed| committed.change).collect();
    assert_eq!(
        fed,
        it.read(&name("t"), 0, ALL).expect("reads"),
        "equal bytes"
    );
    let seen: Vec<ChangeKind> = fed.iter().map(|change| change.kind).collect();
    assert_eq!(
        seen,
        [
            ChangeKind::EntryRedacted,
            ChangeKind::EntryPublished,
            ChangeKind::EntryRedacted,
            ChangeKind::EntryRetracted
        ]
    );
    assert!(fed.iter().all(|change| !change.json.contains("secret")));
}

#[test]
fn a_full_queue_is_busy_and_closing_needs_no_reader_of_the_feed() {
    let folder = tempfile::tempdir().expect("folder");
    let options = StoreOptions {
        queue_max: 2,
        feed_batches_max: 1,
        ..StoreOptions::default()
    };
    let it = SqliteStore::open(folder.path(), options, Arc::new(SystemClock)).expect("opens");
    let blocker = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("locks");
    // The writer holds some of them at the lock; the queue two more.
    let receipts: Vec<Receipt> = (0..8)
        .map(|n| it.append(append("t", vec![publish(&format!("e{n}"), "x")])))
        .collect();
    blocker.execute_batch("COMMIT").expect("unlocks");
    let closing = Arc::clone(&it);
    let closed = std::thread::spawn(move || closing.close());
    let outcomes: Vec<_> = receipts.into_iter().map(Receipt::wait_blocking).collect();
    closed.join().expect("closed");
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let busy = AppendError::NotStored(Refused::Busy(2));
    let refused = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref() == Err(&busy))
        .count();
    assert_eq!(stored + refused, 8, "{outcomes:?}");
    assert!(stored >= 2 && refused >= 1, "{outcomes:?}");
    assert_eq!(kinds(&it, "t").len(), stored);
}
