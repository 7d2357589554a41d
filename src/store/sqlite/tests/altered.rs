//! Rows that something else has written to.

use super::*;

/// The checksum is of the JSON alone: what is kept beside it has to agree with it.
#[test]
fn altered_columns_beside_the_json_are_corrupt_and_named() {
    for (what, sql) in [
        (
            "kind",
            "UPDATE change SET kind = kind % 2 + 1 WHERE key = ?1",
        ),
        ("entry", "UPDATE change SET entry_id = 'e2' WHERE key = ?1"),
        (
            "no entry",
            "UPDATE change SET entry_id = NULL WHERE key = ?1",
        ),
        (
            "another change",
            "UPDATE change SET json = other.json, crc = other.crc FROM change AS other
             WHERE change.key = ?1 AND other.key = change.key - 1",
        ),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let it = open(folder.path());
        let steps = (1..=3).map(|n| publish(&format!("e{n}"), "body")).collect();
        store(&it, "t", steps).expect("stored");
        let database = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
        let altered = database.execute(sql, [row_key(1, 3)]).expect("altered");
        assert_eq!(altered, 1, "{what}");
        match it.read(&name("t"), 0, ALL) {
            Err(ReadError::Corrupt(said)) => {
                assert!(said.contains("topic t, offset 3"), "{what}: {said}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(
            it.read(
                &name("t"),
                0,
                ReadLimit {
                    changes_max: 2,
                    ..ALL
                }
            )
            .map(|it| it.len()),
            Ok(2)
        );
    }
}

#[test]
fn a_retraction_follows_no_damaged_chain() {
    for (what, sql) in [
        ("a circle", "UPDATE change SET previous = 3 WHERE key = ?1"),
        (
            "another entry",
            "UPDATE change SET previous = 2 WHERE key = ?1",
        ),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let it = open(folder.path());
        let revised = Step::Revise(write("a", 2, "new"), 1);
        let steps = vec![publish("a", "body"), publish("b", "other"), revised];
        store(&it, "t", steps).expect("stored");
        let database = Connection::open(folder.path().join(DATABASE_FILE)).expect("opens");
        database.execute(sql, [row_key(1, 3)]).expect("altered");
        store(&it, "t", vec![retract("a")]).expect_err(what);
        let left = it.read(&name("t"), 0, ALL).expect("still there");
        assert!(left[1].json.contains("other"), "{what}: {left:?}");
    }
}
