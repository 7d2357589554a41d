//! A retracted body is not in the folder's bytes once the store is compacted.

use std::collections::BTreeSet;

use super::*;

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

#[test]
fn compaction_removes_retracted_and_dropped_bodies() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(folder.path());
    // Entries of all sizes, revised to other sizes, so that pages split, merge and overflow.
    for round in 0..40_usize {
        let steps = (0..10)
            .map(|n| {
                let seed = round * 10 + n;
                let words = 1 + (seed * 37) % 97 * if seed.is_multiple_of(13) { 12 } else { 1 };
                publish(&format!("e{seed}"), &marked(seed, words))
            })
            .collect();
        store(&it, "t", steps).expect("published");
        let seed = (round * 7) % (10 * round + 10);
        let body = marked(seed, 1 + (round * 53) % 211);
        let entry = it
            .entry(&name("t"), &id(&format!("e{seed}")))
            .expect("reads")
            .expect("there");
        let revised = write(&format!("e{seed}"), entry.revision + 1, &body);
        store(&it, "t", vec![Step::Revise(revised, entry.revision)]).expect("revised");
    }
    let until = Timestamp::from_second(4_000_000_000).expect("in range");
    for n in 0..30 {
        let held = write(&format!("h{n}"), 1, &marked(5_000 + n, 1 + n * 11));
        store(&it, "t", vec![Step::Hold(held, until)]).expect("held");
        let longer = write(&format!("h{n}"), 2, &marked(5_000 + n, 300 - n * 7));
        store(&it, "t", vec![Step::ReviseHeld(longer, 1, until)]).expect("revised");
    }
    assert!(it.compact().expect("compacts"));
    let everything: BTreeSet<usize> = (0..400).chain(5_000..5_030).collect();
    assert_eq!(marks_in(folder.path()), everything);

    // The neighbours of what goes stay, so that pages are rebuilt around them.
    for rest in [0, 1, 2] {
        for seed in (0..400).filter(|seed| seed % 3 == rest) {
            store(&it, "t", vec![retract(&format!("e{seed}"))]).expect("retracted");
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
