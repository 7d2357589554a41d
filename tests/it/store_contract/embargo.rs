//! Cases about entries under embargo: no offset and no trace before the release.

use std::time::Duration;

use jiff::Timestamp;
use tenbells::clock::ManualClock;
use tenbells::model::{ChangeBody, encode_change};
use tenbells::store::{EntryState, Refused, Step, StoreOptions};

use super::fixture::{Fixture, start};
use super::steps::{
    Status, append, drop_held, hold, id, offsets, publish, refused, release, retract, stored,
    topic, update_topic, write,
};
use super::view::{outline, view};

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(start().as_second() + seconds).expect("a time")
}

pub fn a_held_entry_has_no_trace_before_its_release<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    stored(store, append("t", vec![publish("a", "one")]));
    let done = stored(store, append("t", vec![hold("h", "SECRET", later(60))]));
    assert_eq!(offsets(&done), [None]);
    assert_eq!(done.steps[0].entry, Some(id("h")));
    stored(store, append("t", vec![publish("b", "two")]));

    let shown = view(store, &[]);
    let public = (
        &shown.topics[0].changes,
        &shown.topics[0].pages,
        &shown.topics[0].topic,
    );
    assert!(!format!("{public:?}").contains("SECRET"));
    assert!(!format!("{public:?}").contains("\"h\""));
    let entry = store
        .entry(&topic("t"), &id("h"))
        .expect("read")
        .expect("a held entry");
    let doc = write("h", 1, "SECRET").doc;
    let state = EntryState::Held {
        released_at: later(60),
        doc: doc.clone(),
    };
    assert_eq!((entry.state, entry.revision), (state, 1));
    assert_eq!(entry.raw, write("h", 1, "SECRET").raw);

    // The store does not look at the time: whoever releases does.
    clock.advance(Duration::from_secs(30));
    let done = stored(store, append("t", vec![release("h")]));
    assert_eq!(offsets(&done), [Some(3)]);
    let log = &view(store, &[]).topics[0].changes;
    let expected = encode_change(&topic("t"), 3, later(30), &ChangeBody::Published(&doc));
    assert_eq!(*log[2].json, expected);
    assert_eq!(store.held(None, 10).expect("held"), []);
    let entry = store
        .entry(&topic("t"), &id("h"))
        .expect("read")
        .expect("an entry");
    let state = EntryState::Released {
        first: 3,
        last: 3,
        change: expected.into(),
    };
    assert_eq!(
        (entry.state, entry.raw),
        (state, write("h", 1, "SECRET").raw)
    );
}

pub fn a_held_entry_is_revised_and_dropped<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    stored(
        store,
        append(
            "t",
            vec![hold("h", "FIRST", later(60)), hold("g", "GONE", later(5))],
        ),
    );
    // The store keeps milliseconds.
    let until = later(90) + Duration::from_micros(999);
    let step = Step::ReviseHeld(write("h", 2, "second"), 1, until);
    assert_eq!(offsets(&stored(store, append("t", vec![step]))), [None]);
    let done = stored(store, append("t", vec![drop_held("g", Some(1))]));
    assert_eq!(
        (offsets(&done), &done.steps[0].entry),
        (vec![None], &Some(id("g")))
    );

    let shown = view(store, &[]);
    assert!(!format!("{shown:?}").contains("FIRST"), "{shown:#?}");
    assert!(!format!("{shown:?}").contains("GONE"), "{shown:#?}");
    let held = &shown.held[0];
    assert_eq!((held.released_at, held.revision), (later(90), 2));
    assert_eq!((&held.id, &held.topic), (&id("h"), &topic("t")));
    assert_eq!(held.doc, write("h", 2, "second").doc);
    assert_eq!(shown.held.len(), 1);
    assert_eq!(store.entry(&topic("t"), &id("g")).expect("read"), None);
    assert_eq!(
        store
            .topic(&topic("t"))
            .expect("read")
            .expect("a topic")
            .head,
        0
    );

    let gone = refused(store, append("t", vec![drop_held("g", None)]));
    assert_eq!(gone, Refused::NoEntry(id("g")));
    assert_eq!(
        refused(store, append("t", vec![release("g")])),
        Refused::NoEntry(id("g"))
    );
    stored(store, append("t", vec![release("h")]));
    let entry = store
        .entry(&topic("t"), &id("h"))
        .expect("read")
        .expect("an entry");
    assert_eq!(
        (entry.revision, entry.raw),
        (2, write("h", 2, "second").raw)
    );
}

pub fn held_entries_stand_in_the_order_of_their_release<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let holds = [
        ("t", "z", 50),
        ("u", "a", 50),
        ("t", "m", 50),
        ("u", "soon", 10),
        ("t", "b", 70),
    ];
    for (name, entry, seconds) in holds {
        stored(store, append(name, vec![hold(entry, "x", later(seconds))]));
    }
    let order = |name: Option<&str>, limit| {
        let name = name.map(topic);
        let held = store.held(name.as_ref(), limit).expect("held");
        held.into_iter()
            .map(|held| held.id.to_string())
            .collect::<Vec<_>>()
    };
    // Those of one moment are released in the order in which they came.
    assert_eq!(order(None, 10), ["soon", "z", "a", "m", "b"]);
    assert_eq!(order(None, 2), ["soon", "z"]);
    assert_eq!(order(Some("t"), 10), ["z", "m", "b"]);
    assert_eq!(order(Some("u"), 1), ["soon"]);
    let step = Step::ReviseHeld(write("b", 2, "earlier now"), 1, later(5));
    stored(store, append("t", vec![step]));
    assert_eq!(order(None, 10), ["b", "soon", "z", "a", "m"]);
    // A revision keeps its place; an entry that is held anew goes to the end.
    let step = Step::ReviseHeld(write("z", 2, "same time"), 1, later(50));
    stored(store, append("t", vec![step]));
    stored(
        store,
        append(
            "u",
            vec![drop_held("a", None), hold("a", "anew", later(50))],
        ),
    );
    assert_eq!(order(None, 10), ["b", "soon", "z", "m", "a"]);
}

pub fn a_release_works_once_and_in_an_ended_topic<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        hold("h", "x", later(1)),
        update_topic("t", 1, Status::Ended),
    ];
    stored(store, append("t", steps));
    stored(store, append("t", vec![release("h")]));
    let before = view(store, &[]);
    let refusal = |step| refused(store, append("t", vec![step]));
    assert_eq!(refusal(release("h")), Refused::NoEntry(id("h")));
    assert_eq!(refusal(release("never")), Refused::NoEntry(id("never")));
    assert_eq!(refusal(drop_held("h", None)), Refused::NoEntry(id("h")));
    assert_eq!(view(store, &[]), before);
    stored(store, append("t", vec![retract("h")]));
    assert_eq!(refusal(release("h")), Refused::NoEntry(id("h")));
}

pub fn hold_and_release_in_one_append<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        publish("a", "one"),
        hold("h", "x", later(1)),
        Step::ReviseHeld(write("h", 2, "y"), 1, later(2)),
        release("h"),
        hold("g", "x", later(1)),
        drop_held("g", None),
        publish("g", "after all"),
    ];
    let done = stored(store, append("t", steps));
    assert_eq!(
        offsets(&done),
        [Some(1), None, None, Some(2), None, None, Some(3)]
    );
    assert_eq!(
        outline(store, "t"),
        [
            "entry.published a",
            "entry.published h",
            "entry.published g"
        ]
    );
    assert_eq!(store.held(None, 10).expect("held"), []);
}
