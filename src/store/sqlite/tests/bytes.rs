//! A retracted body is not in the folder's bytes once the store is compacted.

use std::collections::BTreeSet;

use super::*;

/// Enough that splits and merges leave copies behind where nothing sweeps them out.
const ENTRIES: usize = 1_500;

/// The marks that are somewhere in the bytes of the folder's files.
fn marks_in(folder: &Path) -> BTreeSet<usize> {
    let mut marks = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("folder") {
        let bytes = std::fs::read(file.expect("file").path()).expect("bytes");
        let text: String = bytes.into_iter().map(char::from).collect();
        let found = text
            .split("secret-")
            .skip(1)
            .filter_map(|rest| rest.get(..4)?.parse().ok());
        marks.extend::<Vec<usize>>(found.collect());
    }
    marks
}

/// A body of `words` words that occurs nowhere else.
fn marked(seed: usize, words: usize) -> String {
    vec![format!("secret-{seed:04}-"); words].concat()
}

/// Entries of all sizes in two topics, revised to other sizes, so that pages split, merge and overflow.
fn fill(it: &SqliteStore) -> BTreeSet<usize> {
    let mut random = 7_usize;
    let mut below = |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut revisions = [1_u64; ENTRIES];
    let topic = |seed: usize| if seed.is_multiple_of(2) { "t" } else { "u" };
    for first in (0..ENTRIES).step_by(10) {
        for half in [0, 1] {
            let seeds = (first + half..first + 10).step_by(2);
            let steps =
                seeds.map(|seed| publish(&format!("e{seed}"), &marked(seed, 1 + below(60))));
            store(it, topic(half), steps.collect()).expect("published");
        }
        for _ in 0..4 {
            let seed = below(first + 10);
            let revised = write(
                &format!("e{seed}"),
                revisions[seed] + 1,
                &marked(seed, 1 + below(300)),
            );
            store(
                it,
                topic(seed),
                vec![Step::Revise(revised, revisions[seed])],
            )
            .expect("revised");
            revisions[seed] += 1;
        }
    }
    let until = Timestamp::from_second(4_000_000_000).expect("in range");
    for n in 0..30 {
        let held = write(&format!("h{n}"), 1, &marked(5_000 + n, 1 + n * 11));
        store(it, "t", vec![Step::Hold(held, until)]).expect("held");
        let longer = write(&format!("h{n}"), 2, &marked(5_000 + n, 300 - n * 7));
        store(it, "t", vec![Step::ReviseHeld(longer, 1, until)]).expect("revised");
    }
    assert!(it.compact().expect("compacts"));
    (0..ENTRIES).chain(5_000..5_030).collect()
}

#[test]
fn compaction_removes_retracted_and_dropped_bodies() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    let everything = fill(&it);
    assert!(it.compact().expect("compacts"));
    assert_eq!(marks_in(folder.path()), everything);

    // The neighbours of what goes stay, so that pages are rebuilt around them.
    for rest in 0..3 {
        for (topic, parity) in [("t", 0), ("u", 1)] {
            let gone = (0..ENTRIES).filter(|seed| seed % 3 == rest && seed % 2 == parity);
            let steps = gone.map(|seed| retract(&format!("e{seed}"))).collect();
            store(&it, topic, steps).expect("retracted");
        }
        for n in (0..30).filter(|n| (5_000 + n) % 3 == rest) {
            let drop = Step::DropHeld {
                id: id(&format!("h{n}")),
                expect: None,
            };
            store(&it, "t", vec![drop]).expect("dropped");
        }
        assert!(it.compact().expect("compacts"));
        let stays: BTreeSet<usize> = everything
            .iter()
            .copied()
            .filter(|seed| seed % 3 > rest)
            .collect();
        assert_eq!(marks_in(folder.path()), stays);
    }
}

#[test]
fn a_backup_has_no_retracted_bodies_even_before_compaction() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(&folder.path().join("source"));
    let everything = fill(&it);
    let gone = (0..ENTRIES).filter(|seed| seed % 6 == 0);
    let steps = gone.map(|seed| retract(&format!("e{seed}"))).collect();
    store(&it, "t", steps).expect("retracted");
    let backups = folder.path().join("backups");
    std::fs::create_dir(&backups).expect("made");
    it.backup(&backups.join("one")).expect("backup");
    let stays: BTreeSet<usize> = everything
        .into_iter()
        .filter(|seed| *seed >= ENTRIES || seed % 6 != 0)
        .collect();
    assert_eq!(marks_in(&backups), stays);
}

#[test]
fn a_long_read_is_in_the_way_of_compaction_only_while_it_lasts() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    store(&it, "t", vec![publish("a", "x")]).expect("stored");
    let reader = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM change")
        .expect("reads");
    store(&it, "t", vec![publish("b", "x")]).expect("appends go on");
    assert!(!it.compact().expect("asked"));
    reader.execute_batch("COMMIT").expect("done");
    assert!(it.compact().expect("asked"));
}
