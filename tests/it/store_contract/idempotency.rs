//! Cases about idempotency keys: one key, one answer, for the life of the topic.

use std::sync::Barrier;

use tenbells::store::{Appended, EntryWrite, Refused, Remembered, Step};

use super::fixture::{Fixture, close_and_drain, start};
use super::steps::{
    Status, append, append_existing, drop_held, hold, id, keyed, new_topic, publish, refused,
    retract, revise, stored, topic, topic_doc, update_topic, write,
};
use super::view::{outline, view};

pub fn a_repetition_gets_the_first_answer<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = || {
        vec![
            publish("a", "one"),
            hold("h", "later", start()),
            update_topic("t", 1, Status::Live),
        ]
    };
    let first = stored(store, keyed(append("t", steps()), "k", 1));
    assert!(!first.replayed);
    let before = view(store, &["k"]);
    for _ in 0..3 {
        let again = stored(store, keyed(append("t", steps()), "k", 1));
        assert_eq!(
            again,
            Appended {
                replayed: true,
                earlier: (0..first.steps.len()).collect(),
                ..first.clone()
            }
        );
    }
    // The store compares the fingerprint alone: a retry may carry an id that was made anew.
    let retry = keyed(append_existing("t", vec![publish("b", "one")]), "k", 1);
    assert_eq!(stored(store, retry).steps, first.steps);
    assert_eq!(view(store, &["k"]), before);
    let remembered = Remembered {
        request: [1; 32],
        steps: first.steps,
        epoch: first.epoch,
    };
    assert_eq!(store.remembered(&topic("t"), "k"), Ok(Some(remembered)));
}

pub fn a_key_stands_for_one_request<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    stored(store, keyed(append("t", vec![publish("a", "one")]), "k", 1));
    let before = view(store, &["k"]);
    let other = keyed(append("t", vec![publish("b", "two")]), "k", 2);
    assert_eq!(refused(store, other.clone()), Refused::KeyReused);
    assert_eq!(refused(store, other), Refused::KeyReused);
    assert_eq!(view(store, &["k"]), before);
    // Keys are compared to the last byte.
    for (key, entry) in [
        ("K", "b"),
        ("k ", "c"),
        ("", "d"),
        ("k\u{0}", "e"),
        ("ключ – 🔔", "f"),
    ] {
        let appended = stored(store, keyed(append("t", vec![publish(entry, "x")]), key, 2));
        assert!(!appended.replayed, "{key:?}");
        assert!(
            stored(store, keyed(append("t", Vec::new()), key, 2)).replayed,
            "{key:?}"
        );
    }
}

pub fn the_key_is_looked_at_first<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let first = || keyed(append("t", vec![publish("a", "one")]), "k", 1);
    stored(store, first());
    stored(
        store,
        append("t", vec![update_topic("t", 1, Status::Ended)]),
    );
    // The topic has ended and the entry exists, and yet the answer is the first one.
    assert!(stored(store, first()).replayed);
    assert_eq!(
        refused(store, keyed(append("t", vec![publish("b", "x")]), "k", 2)),
        Refused::KeyReused
    );
    let fresh = keyed(append("t", vec![publish("a", "one")]), "k2", 1);
    assert_eq!(refused(store, fresh), Refused::TopicEnded);
}

pub fn a_refused_append_remembers_nothing<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    refused(store, keyed(append("t", vec![retract("never")]), "k", 1));
    assert_eq!(store.remembered(&topic("t"), "k"), Ok(None));
    stored(store, append("t", vec![publish("a", "one")]));
    let bad = keyed(
        append("t", vec![publish("b", "x"), publish("a", "in use")]),
        "k",
        1,
    );
    assert_eq!(refused(store, bad), Refused::EntryExists(id("a")));
    assert_eq!(store.remembered(&topic("t"), "k"), Ok(None));
    // The key is free for another request, and that one is remembered.
    let good = || keyed(append("t", vec![publish("b", "two")]), "k", 2);
    assert!(!stored(store, good()).replayed);
    assert!(stored(store, good()).replayed);
}

pub fn keys_belong_to_their_topic<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    for (name, request) in [("t", 1), ("u", 2)] {
        let appended = stored(
            store,
            keyed(append(name, vec![publish("a", name)]), "k", request),
        );
        assert!(!appended.replayed);
        assert_eq!(appended.epoch, new_topic(name).epoch);
    }
    let missing = keyed(append_existing("v", vec![publish("a", "x")]), "k", 1);
    assert_eq!(refused(store, missing), Refused::NoTopic);
    for (name, request) in [("t", 1), ("u", 2)] {
        let again = stored(store, keyed(append(name, Vec::new()), "k", request));
        assert_eq!((again.replayed, again.epoch), (true, new_topic(name).epoch));
    }
}

pub fn racing_repetitions_store_once<F: Fixture>() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 10;
    let fixture = F::new();
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    for round in 0..ROUNDS {
        let barrier = Barrier::new(THREADS);
        let answers: Vec<Appended> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        // Every publisher made its own id, as a server does for a request without one.
                        let entry = format!("e{round}-{thread}");
                        let append = append("t", vec![publish(&entry, "x")]);
                        barrier.wait();
                        stored(store, keyed(append, &format!("k{round}"), 1))
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a publisher"))
                .collect()
        });
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        for answer in &answers {
            assert_eq!(answer.steps, answers[0].steps);
            assert_eq!(answer.steps[0].offset, Some(round as u64 + 1));
        }
    }
    assert_eq!(outline(store, "t").len(), ROUNDS);
    assert_eq!(
        store.audit(&topic("t"), 1_000).expect("audit").len(),
        ROUNDS
    );
    assert_eq!(close_and_drain(fixture, feed).len(), ROUNDS);
}

pub fn the_answer_outlives_the_entry<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let first = || keyed(append("t", vec![publish("a", "SECRET")]), "k", 1);
    let answer = stored(store, first());
    stored(store, append("t", vec![retract("a")]));
    let again = stored(store, first());
    assert_eq!(
        again,
        Appended {
            replayed: true,
            earlier: (0..answer.steps.len()).collect(),
            ..answer
        }
    );
    assert_eq!(
        outline(store, "t"),
        ["entry.redacted a", "entry.retracted a"]
    );
}

pub fn an_id_of_the_publishers_own_stands_for_its_content<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let first = stored(
        store,
        append("t", vec![own("a", "one", 1), own("b", "two", 2)]),
    );
    assert_eq!(first.earlier, Vec::<usize>::new());
    stored(store, append_existing("t", vec![retract("a")]));
    // A batch that has grown stores what is new and answers what it knows, the retracted entry as well.
    let grown = vec![own("a", "one", 1), own("c", "three", 3), own("b", "two", 2)];
    let again = stored(store, append_existing("t", grown.clone()));
    assert_eq!((again.replayed, again.earlier.clone()), (false, vec![0, 2]));
    assert_eq!(again.steps[0], first.steps[0]);
    assert_eq!(again.steps[2], first.steps[1]);
    assert_eq!(again.steps[1].offset, Some(4));
    let before = view(store, &[]);
    let whole = stored(store, append_existing("t", grown));
    assert_eq!((whole.replayed, whole.earlier), (true, vec![0, 1, 2]));
    // Other content under a known id refuses the whole append.
    let other = append_existing("t", vec![own("d", "four", 4), own("b", "other", 5)]);
    assert_eq!(refused(store, other), Refused::EntryExists(id("b")));
    assert_eq!(view(store, &[]), before);
}

pub fn a_dropped_hold_frees_its_id<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let held = || match own("h", "later", 7) {
        Step::Publish(write) => Step::Hold(write, start()),
        other => other,
    };
    stored(store, append("t", vec![held()]));
    let again = stored(store, append_existing("t", vec![held()]));
    assert!(again.replayed);
    stored(store, append_existing("t", vec![drop_held("h", None)]));
    let anew = stored(store, append_existing("t", vec![own("h", "now", 8)]));
    assert_eq!((anew.replayed, anew.steps[0].offset), (false, Some(1)));
}

pub fn what_changes_nothing_is_remembered_as_well<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let keep = |entry: Option<&str>, expect| Step::Keep {
        entry: entry.map(id),
        expect,
    };
    let asked = |key: &str, step: &Step| keyed(append_existing("t", vec![step.clone()]), key, 1);
    let missing = asked("k", &keep(None, 1));
    assert_eq!(refused(store, missing), Refused::NoTopic);
    let steps = vec![publish("a", "one"), hold("h", "50 % later", start())];
    stored(store, append("t", steps));
    stored(store, append("t", vec![revise("a", 1, "two")]));
    let cases = [
        ("entry", keep(Some("a"), 2), Some(2), None),
        ("held", keep(Some("h"), 1), None, None),
        ("topic", keep(None, 1), Some(2), Some(topic_doc("t", 1))),
    ];
    let before = view(store, &[]);
    for (key, step, offset, doc) in &cases {
        let first = stored(store, asked(key, step));
        assert!(!first.replayed, "{key}");
        assert_eq!(first.steps[0].offset, *offset, "{key}");
        assert_eq!(first.steps[0].doc.as_deref(), doc.as_deref(), "{key}");
    }
    assert_eq!(view(store, &[]), before);
    // Later writes change neither the answers nor, by them, what stands.
    stored(store, append("t", vec![revise("a", 2, "three")]));
    stored(store, append("t", vec![retract("a"), drop_held("h", None)]));
    stored(store, append("t", vec![update_topic("t", 1, Status::Live)]));
    for (key, step, offset, doc) in &cases {
        let again = stored(store, asked(key, step));
        assert!(again.replayed, "{key}");
        assert_eq!(again.steps[0].offset, *offset, "{key}");
        assert_eq!(again.steps[0].doc.as_deref(), doc.as_deref(), "{key}");
    }
    let other = keyed(append_existing("t", vec![keep(None, 2)]), "topic", 2);
    assert_eq!(refused(store, other), Refused::KeyReused);
    // A tombstone stays as it is, too; another revision and an unknown entry are refused.
    let tombstone = stored(store, asked("tombstone", &keep(Some("a"), 3)));
    assert_eq!(tombstone.steps[0].offset, Some(4));
    for (step, why) in [
        (keep(Some("a"), 2), Refused::Stale { current: 3 }),
        (keep(None, 1), Refused::Stale { current: 2 }),
        (keep(Some("h"), 1), Refused::NoEntry(id("h"))),
    ] {
        assert_eq!(refused(store, asked("k", &step)), why);
    }
    assert_eq!(store.remembered(&topic("t"), "k"), Ok(None));
}

/// A publish under an id that the publisher chose.
fn own(entry: &str, text: &str, request: u8) -> Step {
    Step::Publish(EntryWrite {
        request: Some([request; 32]),
        ..write(entry, 1, text)
    })
}
