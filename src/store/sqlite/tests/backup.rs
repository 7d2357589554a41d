//! Backup and restore of a folder.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn keys_in(folder: &Path) -> Vec<String> {
    let keys = Connection::open(folder.join("keys.db")).expect("opens");
    let mut statement = keys
        .prepare("SELECT id FROM key ORDER BY id")
        .expect("its own schema");
    let ids = statement.query_map([], |row| row.get(0)).expect("rows");
    ids.collect::<Result<_, _>>().expect("ids")
}

fn make_keys(folder: &Path) -> Connection {
    let keys = Connection::open(folder.join("keys.db")).expect("opens");
    keys.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE key (id TEXT PRIMARY KEY, hash BLOB) STRICT;
         CREATE INDEX key_hash ON key (hash);
         INSERT INTO key VALUES ('one', x'01'), ('two', x'02');",
    )
    .expect("made");
    keys
}

fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("folder")
        .map(|file| {
            file.expect("file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_of_a_running_store_restores_to_the_same_changes_in_a_new_numbering() {
    let folder = tempfile::tempdir().expect("folder");
    let source = folder.path().join("source");
    let it = open(&source);
    let keys = make_keys(&source);
    let with_key = Append {
        idempotency: Some(Idempotency {
            key: "k".into(),
            request: [1; 32],
        }),
        ..append("t", vec![publish("a", "x")])
    };
    it.append(with_key.clone()).wait_blocking().expect("stored");
    store(&it, "t", vec![publish("b", "y")]).expect("stored");
    store(&it, "t", vec![retract("b")]).expect("stored");
    let until = Timestamp::from_second(4_000_000_000).expect("in range");
    store(&it, "u", vec![Step::Hold(write("h", 1, "later"), until)]).expect("stored");

    std::fs::create_dir(folder.path().join("backups")).expect("made");
    let target = folder.path().join("backups/tenbells.backup");
    backup_folder(&source, &target).expect("backup");
    assert_eq!(
        file_names(&folder.path().join("backups")),
        ["tenbells.backup"],
        "one file"
    );
    drop(keys);

    let restored = folder.path().join("restored");
    restore_folder(&target, &restored, Restored::SingleNode).expect("restore");
    assert_eq!(keys_in(&restored), ["one", "two"]);
    let again = open(&restored);
    assert_eq!(again.read(&name("t"), 0, ALL), it.read(&name("t"), 0, ALL));
    assert_eq!(again.held(None, 10), it.held(None, 10));
    assert_eq!(again.audit(&name("t"), 10), it.audit(&name("t"), 10));
    let before = it.topic(&name("t")).expect("reads").expect("there");
    let after = again.topic(&name("t")).expect("reads").expect("there");
    assert_ne!(before.epoch, after.epoch);
    assert_eq!(before.head, after.head);
    let replayed = again.append(with_key).wait_blocking().expect("remembered");
    assert_eq!((replayed.replayed, replayed.epoch), (true, after.epoch));
}

#[test]
fn a_backup_holds_together_while_appends_go_on() {
    let folder = tempfile::tempdir().expect("folder");
    let source = folder.path().join("source");
    let it = open(&source);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut feed = it.take_feed().expect("feed");
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                store(
                    &it,
                    "t",
                    vec![publish(&format!("e{n}"), &"word ".repeat(400))],
                )
                .expect("stored");
                while feed.try_recv().is_ok() {}
            }
        });
        for n in 0..5 {
            let target = folder.path().join(format!("backup-{n}"));
            it.backup(&target).expect("backup");
            // A restore checks every change up to every head.
            restore_folder(
                &target,
                &folder.path().join(format!("restored-{n}")),
                Restored::SingleNode,
            )
            .expect("restore");
        }
        stop.store(true, Ordering::Relaxed);
        appending.join().expect("appended");
    });
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("folder");
    let source = folder.path().join("source");
    let missing = backup_folder(&source, &folder.path().join("backup"));
    assert!(
        matches!(missing, Err(BackupError::Missing(_))),
        "{missing:?}"
    );
    let it = open(&source);
    let target = folder.path().join("backup");
    std::fs::write(&target, "mine").expect("written");
    let refused = backup_folder(&source, &target);
    assert!(
        matches!(refused, Err(BackupError::TargetExists(_))),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&target).expect("there"), b"mine");

    let target = folder.path().join("good");
    it.backup(&target).expect("backup");
    let refused = restore_folder(&target, &source, Restored::SingleNode);
    assert!(
        matches!(refused, Err(BackupError::Open(OpenError::InUse(_)))),
        "a server runs: {refused:?}"
    );
    drop(it);
    let refused = restore_folder(&target, &source, Restored::SingleNode);
    assert!(
        matches!(refused, Err(BackupError::FolderInUse(_))),
        "{refused:?}"
    );
}

#[test]
fn a_bad_backup_is_refused_and_leaves_no_database() {
    let folder = tempfile::tempdir().expect("folder");
    let it = open(&folder.path().join("source"));
    store(&it, "t", vec![publish("a", "body"), publish("b", "body")]).expect("stored");
    let refused = |file: &str, what: &str| {
        let into = folder.path().join(format!("into-{file}"));
        let error =
            restore_folder(&folder.path().join(file), &into, Restored::SingleNode).expect_err(file);
        assert!(error.to_string().contains(what), "{file}: {error}");
        let left = if into.exists() {
            file_names(&into)
        } else {
            Vec::new()
        };
        assert!(
            left.iter().all(|name| name == "tenbells.lock"),
            "{file}: {left:?}"
        );
    };
    let altered = |file: &str, sql: &str| {
        let target = folder.path().join(file);
        it.backup(&target).expect("backup");
        let copy = Connection::open(&target).expect("opens");
        copy.execute_batch(sql).expect("altered");
    };
    refused("absent", "does not exist");
    std::fs::write(folder.path().join("text"), "not a database, not at all").expect("written");
    refused("text", "not a Tenbells database");
    std::fs::write(folder.path().join("empty"), "").expect("written");
    refused("empty", "not a Tenbells database");
    altered("newer", "PRAGMA user_version = 99");
    refused("newer", "schema 99");
    altered("marked", "PRAGMA application_id = 1");
    refused("marked", "not a Tenbells database");
    altered("crc", "UPDATE change SET json = '{}' WHERE key & 255 = 2");
    refused("crc", "topic t, offset 2");
    altered("hole", "DELETE FROM change WHERE key & 255 = 1");
    refused("hole", "topic t, offset 1");
}
