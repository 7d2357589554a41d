//! What the key file must hold: the rules of a key, one record each, and files that only their owner can read.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn globs(globs: &[&str]) -> Vec<String> {
    globs.iter().map(|glob| (*glob).to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("metadata").permissions().mode() & 0o777
}

#[test]
fn keys_are_listed_with_all_but_their_secret() {
    let folder = tempfile::tempdir().expect("folder");
    let file = KeyFile::open(folder.path()).expect("open");
    let topics = globs(&["sport-*", "news"]);
    let desk = file
        .create(Role::Desk, &topics, Some("Nachtdienst – José"), at(10))
        .expect("desk");
    let reader = file
        .create(Role::Reader, &globs(&["*"]), None, at(20))
        .expect("reader");
    assert!(file.revoke(reader.id(), at(30)).expect("revoke"));

    let reopened = KeyFile::open(folder.path())
        .expect("reopen")
        .list()
        .expect("list");
    let expected = [
        KeyRecord {
            id: desk.id().to_owned(),
            role: Role::Desk,
            topics,
            name: Some("Nachtdienst – José".to_owned()),
            created_at: at(10),
            revoked_at: None,
        },
        KeyRecord {
            id: reader.id().to_owned(),
            role: Role::Reader,
            topics: globs(&["*"]),
            name: None,
            created_at: at(20),
            revoked_at: Some(at(30)),
        },
    ];
    assert_eq!(reopened, expected);
}

#[test]
fn no_byte_of_a_secret_is_in_the_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let file = KeyFile::open(folder.path()).expect("open");
    let token = file
        .create(Role::Admin, &globs(&["*"]), None, at(1))
        .expect("create");
    let mut found_id = false;
    for entry in folder.path().read_dir().expect("folder") {
        let bytes = std::fs::read(entry.expect("entry").path()).expect("read");
        let has = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        found_id |= has(token.id());
        assert!(!has(&token.reveal()[12..24]));
    }
    assert!(found_id, "the key is somewhere");
}

#[test]
fn revoking_twice_or_what_is_not_there_changes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let file = KeyFile::open(folder.path()).expect("open");
    let token = file
        .create(Role::Publisher, &globs(&["a"]), None, at(1))
        .expect("create");
    assert!(file.revoke(token.id(), at(2)).expect("first"));
    assert!(!file.revoke(token.id(), at(3)).expect("second"));
    assert!(!file.revoke("nothere0", at(3)).expect("unknown"));
    assert_eq!(file.list().expect("list")[0].revoked_at, Some(at(2)));
}

#[test]
fn globs_and_names_outside_the_rules_are_refused_and_nothing_is_stored() {
    let folder = tempfile::tempdir().expect("folder");
    let file = KeyFile::open(folder.path()).expect("open");
    let long = "a".repeat(129);
    let many: Vec<&str> = vec!["a"; 33];
    for (topics, message) in [
        (&[] as &[&str], "at least one glob"),
        (&[""], "a glob is empty"),
        (&["sport-*", "a b"], "\"a b\""),
        (&["Sport"], "\"Sport\""),
        (&["a/b"], "\"a/b\""),
        (&["[a]"], "\"[a]\""),
        (&[&long], "a glob has 129 bytes, the limit is 128"),
        (&many, "the key has 33 globs, the limit is 32"),
    ] {
        let refused = file
            .create(Role::Desk, &globs(topics), None, at(1))
            .expect_err("refused");
        assert!(matches!(refused, KeyError::Invalid(_)), "{refused}");
        assert!(refused.to_string().contains(message), "{refused}");
    }
    for (name, message) in [
        (" ", "empty"),
        ("a\nb", "control"),
        (&*"n".repeat(201), "201 bytes, the limit is 200"),
    ] {
        let topics = globs(&["*"]);
        let refused = file
            .create(Role::Desk, &topics, Some(name), at(1))
            .expect_err("refused");
        assert!(refused.to_string().contains(message), "{refused}");
    }
    assert_eq!(file.list().expect("list"), []);
}

#[test]
fn a_full_file_forgets_the_key_that_was_revoked_first_and_none_that_stands() {
    let folder = tempfile::tempdir().expect("folder");
    let file = KeyFile::open(folder.path()).expect("open");
    let ids: Vec<String> = (0..3)
        .map(|i| {
            file.create(Role::Desk, &globs(&["*"]), None, at(i))
                .expect("create")
        })
        .map(|token| token.id().to_owned())
        .collect();
    file.revoke(&ids[2], at(5)).expect("revoke");
    file.revoke(&ids[1], at(6)).expect("revoke");
    let left = |max: usize| {
        let transaction = file.write().expect("begin");
        make_room(&transaction, max).map(|()| {
            transaction.commit().expect("commit");
            file.list()
                .expect("list")
                .into_iter()
                .map(|record| record.id)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(left(4).expect("room"), ids);
    assert_eq!(left(3).expect("room"), ids[..2]);
    assert_eq!(left(2).expect("room"), ids[..1]);
    assert!(matches!(left(1), Err(KeyError::Full)));
    assert_eq!(file.list().expect("list").len(), 1);
}

#[test]
fn folder_and_files_are_for_their_owner_alone() {
    let parent = tempfile::tempdir().expect("folder");
    let folder = parent.path().join("a/b");
    let file = KeyFile::open(&folder).expect("open");
    file.create(Role::Desk, &globs(&["*"]), None, at(1))
        .expect("create");
    assert_eq!(mode(&folder), 0o700);
    for entry in folder.read_dir().expect("folder") {
        let path = entry.expect("entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(file);
    let path = folder.join(KEYS_FILE);
    std::fs::set_permissions(&path, Permissions::from_mode(0o664)).expect("open it up");
    KeyFile::open(&folder).expect("open again");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn another_programs_file_and_a_newer_one_are_refused_and_left_alone() {
    let refused = |fill: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(KEYS_FILE);
        fill(&path);
        let before = std::fs::read(&path).expect("read");
        let error = KeyFile::open(folder.path()).expect_err("refused");
        assert_eq!(std::fs::read(&path).expect("read"), before);
        error
    };
    let sql = |path: &Path, sql: &str| {
        Connection::open(path)
            .and_then(|db| db.execute_batch(sql))
            .expect("fill");
    };
    let other = refused(&|path| sql(path, "CREATE TABLE a (b)"));
    assert!(matches!(other, KeyError::Foreign(_)), "{other}");
    let text = refused(&|path| std::fs::write(path, "hello ".repeat(200)).expect("write"));
    assert!(matches!(text, KeyError::Foreign(_)), "{text}");
    let newer = refused(&|path| {
        let id = APPLICATION_ID;
        sql(
            path,
            &format!("PRAGMA application_id = {id}; PRAGMA user_version = 2"),
        );
    });
    assert!(matches!(newer, KeyError::Newer { found: 2 }), "{newer}");
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("taken");
    std::fs::write(&path, "").expect("write");
    let error = KeyFile::open(&path).expect_err("refused").to_string();
    assert!(error.contains("taken/keys.db can't be used"), "{error}");
}

#[test]
fn a_file_made_by_root_belongs_to_the_owner_of_the_folder() {
    let folder = tempfile::tempdir().expect("folder");
    if chown(folder.path(), Some(12_345), Some(12_345)).is_err() {
        // Past the capture of the test runner: who runs it should know.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: only root can give a folder away\n",
        );
        return;
    }
    let file = KeyFile::open(folder.path()).expect("open");
    file.create(Role::Desk, &globs(&["*"]), None, at(1))
        .expect("create");
    for entry in folder.path().read_dir().expect("folder") {
        let entry = entry.expect("entry");
        let metadata = entry.metadata().expect("metadata");
        assert_eq!(metadata.uid(), 12_345, "{:?}", entry.path());
    }
}
