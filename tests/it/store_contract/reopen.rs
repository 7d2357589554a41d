//! Cases about what a store still knows when it was closed and opened again.
//!
//! They are for stores that keep what they have; the memory store is not one of them.

use tenbells::store::{Appended, Refused};

use super::fixture::{Fixture, close_and_drain, start};
use super::steps::{
    Status, append, hold, id, keyed, offsets, publish, refused, release, retract, revise, stored,
    topic, update_topic,
};
use super::view::{outline, view};

pub fn everything_is_there_after_a_reopen<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        publish("a", "„one“"),
        hold("h", "later", start()),
        publish("b", "two"),
    ];
    stored(store, keyed(append("t", steps), "k", 1));
    stored(
        store,
        append("t", vec![revise("a", 1, "more"), retract("b")]),
    );
    stored(store, append("u", vec![hold("h", "later", start())]));
    stored(
        store,
        append("u", vec![update_topic("u", 1, Status::Ended)]),
    );
    let before = view(store, &["k"]);
    let fixture = reopened(fixture);
    let store = fixture.store();
    assert_eq!(view(store, &["k"]), before);
    // The numbering goes on, the end still stands, and the new feed begins behind what was there.
    let feed = store.take_feed().expect("the feed");
    let next = stored(store, append("t", vec![publish("c", "three")]));
    assert_eq!(
        (offsets(&next), &next.epoch),
        (vec![Some(5)], &before.topics[0].topic.epoch)
    );
    let late = refused(store, append("u", vec![publish("c", "late")]));
    assert_eq!(late, Refused::TopicEnded);
    let used = refused(store, append("t", vec![publish("b", "in use")]));
    assert_eq!(used, Refused::EntryExists(id("b")));
    let fed = close_and_drain(fixture, feed);
    assert_eq!(fed.len(), 1);
    assert_eq!(fed[0].change.offset, 5);
}

pub fn a_key_is_remembered_after_a_reopen<F: Fixture>() {
    let fixture = F::new();
    let first = || {
        let steps = vec![publish("a", "one"), hold("h", "later", start())];
        keyed(append("t", steps), "k", 1)
    };
    let answer = stored(fixture.store(), first());
    stored(fixture.store(), append("t", vec![retract("a")]));
    let fixture = reopened(fixture);
    let store = fixture.store();
    assert_eq!(
        stored(store, first()),
        Appended {
            replayed: true,
            earlier: (0..answer.steps.len()).collect(),
            ..answer
        }
    );
    let other = keyed(append("t", vec![publish("b", "two")]), "k", 2);
    assert_eq!(refused(store, other), Refused::KeyReused);
    assert_eq!(
        outline(store, "t"),
        ["entry.redacted a", "entry.retracted a"]
    );
}

pub fn a_held_entry_is_released_after_a_reopen<F: Fixture>() {
    let fixture = F::new();
    for entry in ["z", "a", "m"] {
        stored(
            fixture.store(),
            append("t", vec![hold(entry, "x", start())]),
        );
    }
    let fixture = reopened(fixture);
    let store = fixture.store();
    let held = store.held(None, 10).expect("held");
    let order: Vec<_> = held.iter().map(|held| held.id.as_str()).collect();
    assert_eq!(order, ["z", "a", "m"]);
    let steps = held.iter().map(|held| release(held.id.as_str())).collect();
    assert_eq!(
        offsets(&stored(store, append("t", steps))),
        [Some(1), Some(2), Some(3)]
    );
    assert_eq!(store.held(Some(&topic("t")), 10).expect("held"), []);
}

pub fn a_retraction_holds_after_a_reopen<F: Fixture>() {
    let fixture = F::new();
    let steps = vec![
        publish("a", "SECRET"),
        publish("b", "SECRET too"),
        revise("a", 1, "SECRET"),
    ];
    stored(fixture.store(), append("t", steps));
    stored(fixture.store(), append("t", vec![retract("a")]));
    let fixture = reopened(fixture);
    let store = fixture.store();
    // The chain of an entry's changes survives as well.
    stored(store, append("t", vec![revise("b", 1, "SECRET, later")]));
    let fixture = reopened(fixture);
    let store = fixture.store();
    stored(store, append("t", vec![retract("b")]));
    assert!(!format!("{:?}", view(store, &[])).contains("SECRET"));
    assert_eq!(
        outline(store, "t"),
        [
            "entry.redacted a",
            "entry.redacted b",
            "entry.redacted a",
            "entry.retracted a",
            "entry.redacted b",
            "entry.retracted b",
        ]
    );
}

fn reopened<F: Fixture>(fixture: F) -> F {
    fixture.reopen().expect("a store that keeps what it has")
}
