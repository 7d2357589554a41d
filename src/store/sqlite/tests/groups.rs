//! Appends that share a commit, and a queue that is full.

use super::*;

/// A store whose writer can't go back to its queue: of two batches of changes its feed holds one.
fn with_stuck_writer(folder: &Path) -> Arc<SqliteStore> {
    let options = StoreOptions {
        queue_max: 8,
        feed_batches_max: 1,
        ..StoreOptions::default()
    };
    let it = SqliteStore::open(folder, options, Arc::new(SystemClock)).expect("opens");
    for entry in ["one", "two"] {
        store(&it, "stuck", vec![publish(entry, "")]).expect("stored");
    }
    it
}

/// What became of appends that shared one commit, and what the feed said of topic `t`.
fn as_one_group(
    it: &SqliteStore,
    appends: Vec<Append>,
) -> (Vec<Result<Appended, AppendError>>, Vec<StoredChange>) {
    let receipts: Vec<Receipt> = appends
        .into_iter()
        .map(|append| it.append(append))
        .collect();
    let mut feed = it.take_feed().expect("feed");
    let reading = std::thread::spawn(move || {
        let mut batches = Vec::new();
        while let Some(batch) = feed.blocking_recv() {
            batches.push(batch);
        }
        batches
    });
    let outcomes = receipts.into_iter().map(Receipt::wait_blocking).collect();
    it.close();
    let batches = reading.join().expect("read");
    assert_eq!(batches.len(), 3, "two that stuck, and one group");
    let of_t = batches
        .into_iter()
        .flatten()
        .filter(|committed| committed.topic == name("t"));
    (outcomes, of_t.map(|committed| committed.change).collect())
}

#[test]
fn a_refused_append_leaves_its_group_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let it = with_stuck_writer(folder.path());
    let (outcomes, fed) = as_one_group(
        &it,
        vec![
            append("t", vec![publish("a", "a1"), publish("b", "b1")]),
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
    let offsets: Vec<Offset> = fed.iter().map(|change| change.offset).collect();
    assert_eq!(offsets, [1, 2, 3]);
    let b = &fed[1].json;
    assert!(
        b.contains("b1"),
        "a refused retraction redacts nothing: {b}"
    );
}

#[test]
fn the_feed_never_carries_what_its_own_group_retracted() {
    let folder = tempfile::tempdir().expect("folder");
    let it = with_stuck_writer(folder.path());
    let (outcomes, fed) = as_one_group(
        &it,
        vec![
            append("t", vec![publish("a", "secret-one"), publish("b", "stays")]),
            append("t", vec![Step::Revise(write("a", 2, "secret-two"), 1)]),
            append("t", vec![retract("a")]),
        ],
    );
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
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
    let it = with_stuck_writer(folder.path());
    let receipts: Vec<Receipt> = (0..9)
        .map(|n| it.append(append("t", vec![publish(&format!("e{n}"), "x")])))
        .collect();
    it.close();
    let outcomes: Vec<_> = receipts.into_iter().map(Receipt::wait_blocking).collect();
    let (stored, refused) = outcomes.split_at(8);
    assert!(
        stored.iter().all(Result::is_ok),
        "queued before the close: {stored:?}"
    );
    assert_eq!(refused, [Err(AppendError::NotStored(Refused::Busy(8)))]);
    assert_eq!(kinds(&it, "t").len(), 8);
}
