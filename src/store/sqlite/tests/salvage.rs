//! A log that has lost any one of its records: what the others come to without it.

use super::*;
use crate::store::sqlite::{Arrived, Projection};
use crate::store::{Record, What};

/// A history in which later steps build on earlier ones, one append a record.
fn history() -> Vec<Vec<Step>> {
    let until = Timestamp::from_second(4_000_000_000).expect("in range");
    let topic = |expect: u64, ended| Step::Topic {
        expect,
        doc: format!(r#"{{"revision":{}}}"#, expect + 1),
        raw: "{}".into(),
        ended,
        private: false,
    };
    let revise = |entry, revision| Step::Revise(write(entry, revision, "better"), revision - 1);
    vec![
        vec![publish("a", "x")],
        vec![publish("b", "y")],
        vec![revise("a", 2)],
        vec![revise("a", 3), publish("c", "z")],
        vec![Step::Hold(write("h", 1, "later"), until)],
        vec![Step::ReviseHeld(write("h", 2, "later still"), 1, until)],
        vec![topic(1, false)],
        vec![topic(2, false)],
        vec![Step::Release(id("h"))],
        vec![retract("b")],
        vec![Step::Hold(write("i", 1, "never"), until)],
        vec![Step::DropHeld {
            id: id("i"),
            expect: Some(1),
        }],
        vec![revise("a", 4)],
        vec![topic(3, true)],
    ]
}

fn projection() -> (tempfile::TempDir, Projection) {
    let folder = tempfile::tempdir().expect("folder");
    let projection = Projection::open(folder.path()).expect("opens");
    (folder, projection)
}

fn apply(projection: &Projection, sequence: u64, record: &Record) {
    let record = record.clone();
    let applied = projection.apply(vec![Arrived { sequence, record }]);
    applied.unwrap_or_else(|error| panic!("{error}"));
}

/// Writes an append as the node of this projection does, at this sequence.
fn write_record(projection: &Projection, sequence: u64, append: &Append) -> Record {
    let now = Timestamp::from_second(1_000 + i64::try_from(sequence).unwrap_or(0)).expect("a time");
    let trial = projection
        .attempt(&append.topic, std::slice::from_ref(append), now, 10)
        .expect("tried");
    for outcome in trial.outcomes {
        outcome.expect("taken");
    }
    let record = trial.record.expect("something to store");
    apply(projection, sequence, &record);
    record
}

fn records() -> Vec<Record> {
    let (_folder, whole) = projection();
    let write = |(index, steps)| write_record(&whole, index as u64 + 1, &append("t", steps));
    history().into_iter().enumerate().map(write).collect()
}

/// What a node comes to whose log has lost the record at this sequence.
fn without(records: &[Record], lost: u64) -> (tempfile::TempDir, Projection) {
    let (folder, projection) = projection();
    for (sequence, record) in (1..).zip(records) {
        if sequence == lost {
            let record = Record {
                v: 2,
                id: "lost".into(),
                prev: 0,
                epoch: Epoch::from_seed(99),
                first: 0,
                what: What::Lost(vec![name("t")]),
                ..record.clone()
            };
            apply(&projection, sequence, &record);
        } else {
            apply(&projection, sequence, record);
        }
    }
    (folder, projection)
}

fn changes(projection: &Projection) -> Vec<(Offset, ChangeKind, String)> {
    let changes = projection.reading().read(&name("t"), 0, ALL);
    let all = changes.expect("reads").into_iter();
    all.map(|change| (change.offset, change.kind, change.json.to_string()))
        .collect()
}

#[test]
fn whichever_record_is_lost_the_rest_stands_in_a_new_numbering() {
    let records = records();
    let before = records[0].epoch.clone();
    for lost in 1..=records.len() as u64 {
        let (_folder, it) = without(&records, lost);
        let topic = it.reading().topic(&name("t")).expect("reads");
        let topic = topic.unwrap_or_else(|| panic!("{lost}: the topic is there"));
        assert_ne!(topic.epoch, before, "{lost}");
        let now = changes(&it);
        let offsets = now.iter().map(|change| change.0);
        assert!(offsets.eq(1..=topic.head), "{lost}: {now:?}");
        // The newest content of an entry needs nothing that was before it.
        let of_a = now
            .iter()
            .rev()
            .find(|change| change.2.contains(r#""id":"a""#));
        let of_a = of_a.unwrap_or_else(|| panic!("{lost}: {now:?}"));
        let revision = if lost == 13 { 3 } else { 4 };
        assert!(
            of_a.2.contains(&format!(r#""revision":{revision}"#)),
            "{lost}: {of_a:?}"
        );
        // What was taken back is, unless that very record is lost: then the entry stands.
        let of_b = now.iter().filter(|change| change.2.contains(r#""id":"b""#));
        let stands = of_b
            .clone()
            .any(|change| change.1 == ChangeKind::EntryPublished);
        assert_eq!(stands, lost == 10, "{lost}");
        // Nothing that was dropped while it was held is anywhere.
        let held = it.reading().held(Some(&name("t")), 10).expect("reads");
        let held: Vec<String> = held.into_iter().map(|held| held.id.to_string()).collect();
        let expected: &[&str] = match lost {
            9 => &["h"],
            12 => &["i"],
            _ => &[],
        };
        assert_eq!(held, expected, "{lost}");
        // All nodes come to the same.
        let (_other, again) = without(&records, lost);
        assert_eq!(changes(&again), now, "{lost}");
    }
}

#[test]
fn the_first_record_in_the_new_numbering_ends_it() {
    let records = &records()[..3];
    let (_folder, it) = without(records, 2);
    let (_other, other) = without(records, 2);
    let next = write_record(&it, 4, &append("t", vec![publish("d", "new")]));
    assert_eq!(next.epoch, Epoch::from_seed(99));
    apply(&other, 4, &next);
    assert_eq!(changes(&it), changes(&other));
    // From then on a record of the old one does not fit.
    let mut late = records[2].clone();
    late.prev = 4;
    let applied = it.apply(vec![Arrived {
        sequence: 5,
        record: late,
    }]);
    let said = applied.expect_err("refused").to_string();
    assert!(said.contains("does not fit"), "{said}");
}

#[test]
fn a_record_that_follows_nothing_known_is_still_refused_in_a_topic_that_is_cut() {
    let records = records();
    let (_folder, it) = without(&records[..3], 2);
    let mut stray = records[3].clone();
    stray.prev = 77;
    let applied = it.apply(vec![Arrived {
        sequence: 4,
        record: stray,
    }]);
    assert!(applied.is_err());
}
