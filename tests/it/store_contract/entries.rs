//! Cases about entries: ids, revisions, snapshot pages and their filters.

use tenbells::store::{EntryFilter, EntryQuery, EntryState, EntryWrite, Refused, Shelf, Step};

use super::fixture::{Fixture, start};
use super::steps::{
    append, drop_held, hold, id, offsets, publish, refused, release, retract, revise, stored,
    topic, write,
};
use super::view::{ALL, changes, ids, page, view};

pub fn an_id_is_used_once<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        publish("released", "one"),
        publish("retracted", "two"),
        hold("held", "three", start()),
        hold("dropped", "four", start()),
        hold("was-held", "five", start()),
    ];
    stored(store, append("t", steps));
    let steps = vec![
        retract("retracted"),
        drop_held("dropped", None),
        release("was-held"),
    ];
    stored(store, append("t", steps));
    let before = view(store, &[]);
    for entry in ["released", "retracted", "held", "was-held"] {
        for step in [publish(entry, "again"), hold(entry, "again", start())] {
            let why = refused(store, append("t", vec![step]));
            assert_eq!(why, Refused::EntryExists(id(entry)));
        }
    }
    assert_eq!(view(store, &[]), before);
    // What was dropped is as if it had never been; ids are told apart by case.
    let steps = vec![publish("dropped", "four"), publish("Released", "six")];
    stored(store, append("t", steps));
}

pub fn a_revision_is_refused_when_stale<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    stored(
        store,
        append("t", vec![publish("a", "one"), hold("h", "later", start())]),
    );
    let refusal = |step| refused(store, append("t", vec![step]));
    assert_eq!(refusal(revise("a", 2, "x")), Refused::Stale { current: 1 });
    assert_eq!(refusal(revise("a", 0, "x")), Refused::Stale { current: 1 });
    stored(store, append("t", vec![revise("a", 1, "two")]));
    assert_eq!(refusal(revise("a", 1, "x")), Refused::Stale { current: 2 });
    let retraction = |expect| Step::Retract {
        id: id("a"),
        reason: None,
        expect,
    };
    assert_eq!(refusal(retraction(Some(1))), Refused::Stale { current: 2 });
    let held = |expect| Step::ReviseHeld(write("h", expect + 1, "x"), expect, start());
    assert_eq!(refusal(held(2)), Refused::Stale { current: 1 });
    assert_eq!(
        refusal(drop_held("h", Some(2))),
        Refused::Stale { current: 1 }
    );
    // What is held is not revised as if readers had it, nor the other way round; nor is what isn't there.
    assert_eq!(refusal(revise("h", 1, "x")), Refused::NoEntry(id("h")));
    let released = Step::ReviseHeld(write("a", 3, "x"), 2, start());
    assert_eq!(refusal(released), Refused::NoEntry(id("a")));
    assert_eq!(
        refusal(revise("never", 1, "x")),
        Refused::NoEntry(id("never"))
    );

    let entry = store
        .entry(&topic("t"), &id("a"))
        .expect("read")
        .expect("an entry");
    assert_eq!((entry.revision, entry.raw), (2, write("a", 2, "two").raw));
    stored(store, append("t", vec![retraction(Some(2))]));
    assert_eq!(
        refusal(revise("a", 2, "x")),
        Refused::EntryRetracted(id("a"))
    );
}

pub fn steps_of_one_append_build_on_each_other<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        publish("a", "one"),
        revise("a", 1, "two"),
        publish("b", "other"),
        revise("a", 2, "three"),
    ];
    assert_eq!(
        offsets(&stored(store, append("t", steps))),
        [Some(1), Some(2), Some(3), Some(4)]
    );
    let entry = store
        .entry(&topic("t"), &id("a"))
        .expect("read")
        .expect("an entry");
    assert_eq!(entry.revision, 3);
    let log = changes(store, &topic("t"));
    let state = EntryState::Released {
        first: 1,
        last: 4,
        change: log[3].json.clone(),
    };
    assert_eq!(entry.state, state);
}

pub fn snapshots_page_by_first_offset_newest_first<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let name = topic("t");
    for entry in ["a", "b", "c", "d", "e"] {
        stored(store, append("t", vec![publish(entry, entry)]));
    }
    // A revision does not move an entry, a retraction leaves a tombstone in its place, what is held is not there.
    stored(
        store,
        append(
            "t",
            vec![revise("b", 1, "b2"), retract("d"), hold("h", "h", start())],
        ),
    );
    let log = changes(store, &name);
    let query = |before, limit| EntryQuery {
        before,
        limit,
        filter: EntryFilter::All,
    };

    let everything = EntryQuery {
        before: None,
        limit: 10,
        filter: EntryFilter::All,
    };
    let all = page(store, &name, everything);
    assert_eq!(ids(&all), ["e", "d", "c", "b", "a"]);
    assert!(!all.more);
    assert_eq!(all.topic.head, 7);
    assert_eq!(
        all.entries[1].state,
        EntryState::Retracted {
            first: 4,
            last: 7,
            change: log[6].json.clone()
        }
    );
    assert_eq!(
        all.entries[3].state,
        EntryState::Released {
            first: 2,
            last: 6,
            change: log[5].json.clone()
        }
    );
    for entry in &all.entries {
        assert_eq!(
            store.entry(&name, &entry.id).expect("read").as_ref(),
            Some(entry)
        );
    }
    let pages = [
        (query(None, 2), vec!["e", "d"], true),
        (query(Some(4), 2), vec!["c", "b"], true),
        (query(Some(2), 2), vec!["a"], false),
        (query(Some(1), 2), vec![], false),
        (query(Some(0), 2), vec![], false),
        (query(None, 5), vec!["e", "d", "c", "b", "a"], false),
        (query(Some(u64::MAX), 4), vec!["e", "d", "c", "b"], true),
    ];
    for (query, expected, more) in pages {
        let found = page(store, &name, query);
        assert_eq!((ids(&found), found.more), (expected, more), "{query:?}");
        assert_eq!(found.topic.head, 7);
    }
}

pub fn entries_keep_their_numbers<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let name = topic("t");
    let steps = ["a", "b", "c", "d", "e"].map(|entry| publish(entry, "x"));
    stored(store, append("t", steps.into()));
    stored(store, append("u", vec![publish("a", "another topic's")]));
    let read = |wanted: std::ops::RangeInclusive<u64>, around: Option<&str>| {
        let around = around.map(id);
        let pick = move |_: &Shelf| wanted.clone();
        let page = store.numbered(&name, around.as_ref(), &pick).expect("read");
        let page = page.expect("a topic");
        let ids: Vec<_> = page.entries.iter().map(|e| e.id.to_string()).collect();
        (page.first, ids.join(""), page.shelf)
    };
    let shelf = |count, around, ended| Shelf {
        count,
        around,
        ended,
    };
    // From either end, and no further than there are entries.
    assert_eq!(read(1..=2, None), (1, "ba".into(), shelf(5, None, false)));
    assert_eq!(
        read(4..=9, Some("b")),
        (4, "ed".into(), shelf(5, Some(2), false))
    );
    assert_eq!(read(0..=u64::MAX, None).1, "edcba");
    assert_eq!(read(6..=9, None).1, "");
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "an empty page is asked for so"
    )]
    let empty = read(3..=2, None);
    assert_eq!(empty.1, "");
    // Revised, retracted or followed by others, an entry keeps its number; one under embargo has none before its release.
    let steps = vec![
        Step::Revise(write("a", 2, "y"), 1),
        retract("b"),
        hold("held", "later", start()),
    ];
    stored(store, append("t", steps));
    assert_eq!(
        read(1..=2, Some("held")),
        (1, "ba".into(), shelf(5, None, false))
    );
    stored(store, append("t", vec![publish("f", "x"), release("held")]));
    assert_eq!(
        read(5..=7, Some("held")),
        (5, "heldfe".into(), shelf(7, Some(7), false))
    );
    // As in a snapshot, to the last field.
    let everything = EntryQuery {
        before: None,
        limit: 10,
        filter: EntryFilter::All,
    };
    let all = page(store, &name, everything);
    let pick = |shelf: &Shelf| 1..=shelf.count;
    let numbered = store.numbered(&name, None, &pick).expect("read");
    let numbered = numbered.expect("a topic");
    assert_eq!((numbered.topic, numbered.entries), (all.topic, all.entries));
    let missing = store.numbered(&topic("missing"), None, &pick);
    assert_eq!(missing.expect("read"), None);
}

pub fn filters_show_what_stands<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let name = topic("t");
    let marked = |entry, revision, key_event, pinned| EntryWrite {
        key_event,
        pinned,
        ..write(entry, revision, "x")
    };
    let steps = vec![
        Step::Publish(marked("key", 1, true, false)),
        Step::Publish(marked("pin", 1, false, true)),
        Step::Publish(marked("both", 1, true, true)),
        Step::Publish(marked("plain", 1, false, false)),
        Step::Publish(marked("was-key", 1, true, false)),
        Step::Publish(marked("gone", 1, true, true)),
        Step::Hold(marked("held", 1, true, true), start()),
        Step::Publish(marked("late-key", 1, false, false)),
    ];
    stored(store, append("t", steps));
    let steps = vec![
        Step::Revise(marked("was-key", 2, false, true), 1),
        Step::Revise(marked("late-key", 2, true, false), 1),
        retract("gone"),
    ];
    stored(store, append("t", steps));
    let found = |filter, limit| {
        page(
            store,
            &name,
            EntryQuery {
                before: None,
                limit,
                filter,
            },
        )
    };
    assert_eq!(
        ids(&found(EntryFilter::KeyEvents, 10)),
        ["late-key", "both", "key"]
    );
    assert_eq!(
        ids(&found(EntryFilter::Pinned, 10)),
        ["was-key", "both", "pin"]
    );
    assert_eq!(found(EntryFilter::All, 10).entries.len(), 7);
    // Whether more follow is about those that match.
    assert!(found(EntryFilter::KeyEvents, 2).more);
    assert!(!found(EntryFilter::KeyEvents, 3).more);
    let older = EntryQuery {
        before: Some(3),
        limit: 1,
        filter: EntryFilter::KeyEvents,
    };
    let older = page(store, &name, older);
    assert_eq!((ids(&older), older.more), (vec!["key"], false));
    // A release keeps the marks.
    stored(store, append("t", vec![release("held")]));
    assert_eq!(ids(&found(EntryFilter::Pinned, 1)), ["held"]);
    assert_eq!(ids(&found(EntryFilter::KeyEvents, 1)), ["held"]);
}

pub fn what_is_not_there_reads_as_nothing<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let missing = topic("missing");
    let query = EntryQuery {
        before: None,
        limit: 10,
        filter: EntryFilter::All,
    };
    assert_eq!(store.topic(&missing).expect("topic"), None);
    assert_eq!(store.read(&missing, 0, ALL).expect("read"), []);
    assert_eq!(store.entry(&missing, &id("a")).expect("entry"), None);
    assert_eq!(store.entries(&missing, &query).expect("entries"), None);
    assert_eq!(store.held(Some(&missing), 10).expect("held"), []);
    assert_eq!(store.remembered(&missing, "k").expect("remembered"), None);
    assert_eq!(store.audit(&missing, 10).expect("audit"), []);
    assert_eq!(store.topics(None, 10).expect("topics"), []);
    assert_eq!(store.failed(), None);
    stored(store, append("t", vec![hold("h", "later", start())]));
    let quiet = page(store, &topic("t"), query);
    assert_eq!(
        (quiet.entries.len(), quiet.more, quiet.topic.head),
        (0, false, 0)
    );
    assert_eq!(store.entry(&topic("t"), &id("a")).expect("entry"), None);
    assert_eq!(
        store.remembered(&topic("t"), "k").expect("remembered"),
        None
    );
}
