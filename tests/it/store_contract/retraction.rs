//! Cases about retraction: what was taken back is on no path, and its place stays.

use std::time::Duration;

use tenbells::clock::ManualClock;
use tenbells::model::{ChangeBody, encode_change, encode_redacted};
use tenbells::store::{EntryState, Refused, Step, StoreOptions};

use super::fixture::{Fixture, close_and_drain, start};
use super::steps::{
    append, hold, id, keyed, offsets, publish, refused, release, retract, revise, stored, topic,
};
use super::view::{changes, outline, view};

pub fn a_retracted_body_is_on_no_path<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let first = keyed(append("t", vec![publish("a", "SECRET one")]), "k", 1);
    stored(store, first);
    stored(
        store,
        append(
            "t",
            vec![publish("b", "stays"), hold("h", "SECRET held", start())],
        ),
    );
    stored(
        store,
        append("t", vec![revise("a", 1, "SECRET two"), release("h")]),
    );
    stored(
        store,
        append(
            "t",
            vec![revise("a", 2, "SECRET three"), revise("h", 1, "SECRET h2")],
        ),
    );
    assert!(format!("{:?}", view(store, &["k"])).contains("SECRET"));
    let done = stored(store, append("t", vec![retract("a"), retract("h")]));
    assert_eq!(offsets(&done), [Some(7), Some(8)]);

    let after = view(store, &["k"]);
    assert!(!format!("{after:?}").contains("SECRET"), "{after:#?}");
    assert!(format!("{after:?}").contains("stays"));
    assert_eq!(
        outline(store, "t"),
        [
            "entry.redacted a",
            "entry.published b",
            "entry.redacted a",
            "entry.redacted h",
            "entry.redacted a",
            "entry.redacted h",
            "entry.retracted a",
            "entry.retracted h",
        ]
    );
    let entry = store
        .entry(&topic("t"), &id("a"))
        .expect("read")
        .expect("a tombstone");
    assert_eq!((entry.raw.as_str(), entry.revision), ("", 3));
    let change = changes(store, &topic("t"))[6].json.clone();
    assert_eq!(
        entry.state,
        EntryState::Retracted {
            first: 1,
            last: 7,
            change
        }
    );
    assert_eq!(store.compact(), Ok(true));
    assert_eq!(view(store, &["k"]), after);
}

pub fn a_retraction_is_refused_where_it_makes_no_sense<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    stored(
        store,
        append("t", vec![publish("a", "one"), hold("h", "later", start())]),
    );
    let refusal = |entry| refused(store, append("t", vec![retract(entry)]));
    assert_eq!(refusal("never"), Refused::NoEntry(id("never")));
    assert_eq!(refusal("h"), Refused::NoEntry(id("h")));
    stored(store, append("t", vec![retract("a")]));
    let before = view(store, &[]);
    assert_eq!(refusal("a"), Refused::EntryRetracted(id("a")));
    let again = Step::Retract {
        id: id("a"),
        reason: Some("again".into()),
        expect: Some(9),
    };
    assert_eq!(
        refused(store, append("t", vec![again])),
        Refused::EntryRetracted(id("a"))
    );
    assert_eq!(view(store, &[]), before);
}

pub fn published_and_retracted_at_once_never_shows_the_body<F: Fixture>() {
    let fixture = F::new();
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    let steps = vec![
        publish("a", "SECRET one"),
        publish("b", "stays"),
        revise("a", 1, "SECRET two"),
        retract("a"),
    ];
    stored(store, append("t", steps));
    let shown = view(store, &[]);
    assert!(!format!("{shown:?}").contains("SECRET"), "{shown:#?}");
    let log = changes(store, &topic("t"));
    let fed = close_and_drain(fixture, feed);
    let fed: Vec<_> = fed.into_iter().map(|committed| committed.change).collect();
    assert_eq!(fed, log);
}

pub fn earlier_changes_keep_their_place_and_time<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    let second = Duration::from_millis(1_001);
    stored(
        store,
        append("t", vec![publish("a", "one"), publish("b", "other")]),
    );
    clock.advance(second);
    stored(store, append("t", vec![revise("a", 1, "two")]));
    clock.advance(second);
    let reason = "a \"wrong\" name – sorry";
    let step = Step::Retract {
        id: id("a"),
        reason: Some(reason.into()),
        expect: Some(2),
    };
    stored(store, append("t", vec![step]));

    let (name, entry) = (topic("t"), id("a"));
    let log = changes(store, &name);
    assert_eq!(*log[0].json, encode_redacted(&name, 1, start(), &entry));
    assert_eq!(
        *log[2].json,
        encode_redacted(&name, 3, start() + second, &entry)
    );
    assert_eq!(log[0].entry, Some(entry.clone()));
    let body = ChangeBody::Retracted(&entry, Some(reason));
    assert_eq!(
        *log[3].json,
        encode_change(&name, 4, start() + second * 2, &body)
    );
}
