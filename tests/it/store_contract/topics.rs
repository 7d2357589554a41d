//! Cases about topics: how they come to be, how many there may be, their document, their end.

use std::time::Duration;

use tenbells::store::{KeepName, Refused, Step, StoreOptions};

use super::fixture::{Fixture, start};
use super::steps::{
    Status, append, append_existing, drop_held, hold, id, new_topic, offsets, publish, refused,
    release, retract, revise, stored, topic, update_topic, write,
};
use super::view::{outline, view};
use tenbells::clock::ManualClock;

pub fn an_append_makes_a_topic_only_where_it_may<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let missing = append_existing("t", vec![publish("a", "one")]);
    assert_eq!(refused(store, missing), Refused::NoTopic);
    assert_eq!(store.topic(&topic("t")).expect("read"), None);

    let mut first = append("t", vec![publish("a", "one")]);
    let new = first.create.get_or_insert_with(|| new_topic("t"));
    new.private = true;
    new.raw = r#"{"visibility":"private"}"#.into();
    let new = new.clone();
    let appended = stored(store, first);
    assert_eq!(appended.epoch, new.epoch);
    let made = store.topic(&topic("t")).expect("read").expect("a topic");
    assert_eq!((made.head, made.revision), (1, 1));
    assert_eq!((made.ended, made.private), (false, true));
    assert_eq!((&made.doc, &made.raw), (&new.doc, &new.raw));
    assert_eq!((&made.epoch, &made.name), (&new.epoch, &topic("t")));
    assert_eq!(
        outline(store, "t"),
        ["entry.published a"],
        "making a topic logs nothing"
    );

    // What a later append would have made it of does not matter.
    let mut second = append("t", vec![publish("b", "two")]);
    second.create = Some(new_topic("other"));
    assert_eq!(stored(store, second).epoch, new.epoch);
    let still = store.topic(&topic("t")).expect("read").expect("a topic");
    assert_eq!(
        (still.doc, still.epoch, still.head),
        (new.doc, new.epoch, 2)
    );

    // A topic without any change yet has head 0.
    stored(store, append("quiet", vec![hold("h", "later", start())]));
    assert_eq!(
        store
            .topic(&topic("quiet"))
            .expect("read")
            .expect("a topic")
            .head,
        0
    );
}

pub fn a_refused_append_makes_no_topic<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let bad = [
        vec![retract("never")],
        vec![publish("a", "one"), publish("a", "twice")],
        vec![
            hold("h", "later", start()),
            update_topic("t", 2, Status::Live),
        ],
    ];
    for steps in bad {
        refused(store, append("t", steps));
        assert_eq!(view(store, &[]).topics, []);
        assert_eq!(store.held(None, 10).expect("held"), []);
    }
    // The name is free, and the numbering begins at 1.
    assert_eq!(
        offsets(&stored(store, append("t", vec![publish("a", "one")]))),
        [Some(1)]
    );
}

pub fn the_number_of_topics_is_bounded<F: Fixture>() {
    let options = StoreOptions {
        topics_max: 2,
        ..StoreOptions::default()
    };
    let fixture = F::open(options, ManualClock::new(start()));
    let store = fixture.store();
    stored(store, append("a", vec![publish("e", "x")]));
    refused(store, append("refused", vec![retract("never")]));
    stored(store, append("b", vec![publish("e", "x")]));
    let third = || append("c", vec![publish("e", "x")]);
    assert_eq!(refused(store, third()), Refused::TooManyTopics(2));
    // It is about new topics alone, and a missing one that may not be made stays missing.
    stored(store, append("a", vec![publish("f", "y")]));
    assert_eq!(
        refused(store, append_existing("c", Vec::new())),
        Refused::NoTopic
    );
    assert_eq!(store.topics(None, 10).expect("topics").len(), 2);
}

pub fn topics_page_in_the_order_of_their_names<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let names = ["0", "10", "9", "a", "a-", "a-b", "a0", "b", "ba"];
    for name in names.iter().rev() {
        stored(store, append(name, vec![publish("e", name)]));
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().map(|name| topic(name));
        let part = store.topics(after.as_ref(), 4).expect("topics");
        assert!(part.len() <= 4);
        if part.is_empty() {
            break;
        }
        for stored in &part {
            assert_eq!(
                store.topic(&stored.name).expect("topic").as_ref(),
                Some(stored)
            );
        }
        seen.extend(part.iter().map(|stored| stored.name.to_string()));
    }
    assert_eq!(seen, names);
    // The name to go on behind need not be there.
    let behind = store.topics(Some(&topic("a-a")), 1).expect("topics");
    assert_eq!(behind[0].name, topic("a-b"));
    assert_eq!(store.topics(Some(&topic("zz")), 10).expect("topics"), []);
}

pub fn public_topics_come_by_their_newest_change<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    let newest = |limit| -> Vec<String> {
        let topics = store.newest_topics(limit).expect("topics");
        for stored in &topics {
            let whole = store.topic(&stored.name).expect("topic");
            assert_eq!(whole.as_ref(), Some(stored));
        }
        topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    assert_eq!(newest(9), Vec::<String>::new());
    for name in ["d", "c", "b", "a"] {
        clock.advance(Duration::from_secs(1));
        stored(store, append(name, vec![publish("e", name)]));
    }
    // Nothing to read in it yet.
    clock.advance(Duration::from_secs(1));
    stored(store, append("held", vec![hold("h", "later", start())]));
    assert_eq!(newest(9), ["a", "b", "c", "d"]);
    // Whatever the change is about, it brings its topic to the top; those of one moment go by name.
    clock.advance(Duration::from_secs(1));
    stored(store, append("d", vec![publish("f", "more")]));
    stored(
        store,
        append("c", vec![update_topic("c", 1, Status::Ended)]),
    );
    assert_eq!(newest(9), ["c", "d", "a", "b"]);
    assert_eq!(newest(3), ["c", "d", "a"]);
    let hidden = match update_topic("d", 1, Status::Live) {
        Step::Topic {
            expect,
            doc,
            raw,
            ended,
            ..
        } => Step::Topic {
            expect,
            doc,
            raw,
            ended,
            private: true,
        },
        other => other,
    };
    stored(store, append("d", vec![hidden]));
    assert_eq!(newest(3), ["c", "a", "b"]);
}

pub fn named_topics_come_by_their_newest_change<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    let newest = |keep: &KeepName<'_>, limit| -> Vec<String> {
        let topics = store.newest_named(keep, limit).expect("topics");
        for stored in &topics {
            let whole = store.topic(&stored.name).expect("topic");
            assert_eq!(whole.as_ref(), Some(stored));
        }
        topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    assert_eq!(newest(&|_| true, 9), Vec::<String>::new());
    for name in ["held-b", "held-a"] {
        stored(store, append(name, vec![hold("h", "later", start())]));
    }
    for name in ["c", "b", "a"] {
        clock.advance(Duration::from_secs(1));
        stored(store, append(name, vec![publish("e", name)]));
    }
    // Those without a change come last, by name.
    assert_eq!(newest(&|_| true, 9), ["a", "b", "c", "held-a", "held-b"]);
    clock.advance(Duration::from_secs(1));
    let hidden = match update_topic("c", 1, Status::Live) {
        Step::Topic {
            expect, doc, raw, ..
        } => Step::Topic {
            expect,
            doc,
            raw,
            ended: false,
            private: true,
        },
        other => other,
    };
    stored(store, append("c", vec![hidden]));
    assert_eq!(newest(&|_| true, 2), ["c", "a"]);
    // What is not kept takes no place of those that are.
    assert_eq!(newest(&|name| name.as_str() != "a", 2), ["c", "b"]);
    assert_eq!(newest(&|_| false, 9), Vec::<String>::new());
    assert_eq!(newest(&|_| true, 0), Vec::<String>::new());
}

pub fn the_topic_document_is_replaced_at_its_revision<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    // 0 is for the topic that the append itself makes: its document has revision 1 and is logged.
    let made = stored(store, append("t", vec![update_topic("t", 0, Status::Live)]));
    assert_eq!(offsets(&made), [Some(1)]);
    assert_eq!(made.steps[0].entry, None);
    let now = || store.topic(&topic("t")).expect("read").expect("a topic");
    assert_eq!((now().revision, now().head), (1, 1));

    for stale in [0, 2, 3, u64::MAX - 1] {
        let step = update_topic("t", stale, Status::Live);
        assert_eq!(
            refused(store, append("t", vec![step])),
            Refused::Stale { current: 1 }
        );
    }
    let next = Step::Topic {
        expect: 1,
        doc: r#"{"title":"Größer"}"#.into(),
        raw: r#"{"title":" Größer "}"#.into(),
        ended: true,
        private: true,
    };
    stored(store, append("t", vec![next]));
    let changed = now();
    assert_eq!((changed.revision, changed.head), (2, 2));
    assert_eq!((changed.ended, changed.private), (true, true));
    assert_eq!(changed.doc, r#"{"title":"Größer"}"#);
    assert_eq!(changed.raw, r#"{"title":" Größer "}"#);
    let step = update_topic("t", 1, Status::Live);
    assert_eq!(
        refused(store, append("t", vec![step])),
        Refused::Stale { current: 2 }
    );
    // Entries do not count as revisions of the document, and several steps may replace it one after the other.
    let steps = vec![
        update_topic("t", 2, Status::Live),
        publish("a", "one"),
        update_topic("t", 3, Status::Live),
    ];
    stored(store, append("t", steps));
    assert_eq!((now().revision, now().private), (4, false));
    assert_eq!(
        outline(store, "t"),
        [
            "topic.updated",
            "topic.updated",
            "topic.updated",
            "entry.published a",
            "topic.updated"
        ]
    );
}

pub fn an_ended_topic_takes_no_new_entries<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let steps = vec![
        publish("a", "one"),
        publish("b", "two"),
        hold("h1", "x", start()),
        hold("h2", "y", start()),
        update_topic("t", 1, Status::Ended),
    ];
    stored(store, append("t", steps));
    let before = view(store, &[]);
    for step in [
        publish("c", "late"),
        hold("h3", "late", start()),
        publish("a", "in use"),
    ] {
        assert_eq!(refused(store, append("t", vec![step])), Refused::TopicEnded);
    }
    assert_eq!(view(store, &[]), before);
    // Corrections, retractions and what is under embargo already go on.
    let steps = vec![
        revise("a", 1, "corrected"),
        retract("b"),
        Step::ReviseHeld(write("h1", 2, "changed"), 1, start()),
        release("h1"),
        drop_held("h2", Some(1)),
    ];
    stored(store, append("t", steps));
    // Reopened, it takes entries again.
    let steps = vec![update_topic("t", 2, Status::Live), publish("c", "three")];
    stored(store, append("t", steps));
    assert!(
        !store
            .topic(&topic("t"))
            .expect("read")
            .expect("a topic")
            .ended
    );
}

pub fn an_append_can_end_a_topic_for_its_own_later_steps<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    stored(store, append("t", vec![publish("a", "one")]));
    let steps = vec![update_topic("t", 1, Status::Ended), publish("b", "late")];
    assert_eq!(refused(store, append("t", steps)), Refused::TopicEnded);
    let topic = store.topic(&topic("t")).expect("read").expect("a topic");
    assert_eq!((topic.ended, topic.revision, topic.head), (false, 1, 1));
    // And the refusal left no end behind that a later append would meet.
    let appended = stored(store, append("t", vec![publish("b", "two")]));
    assert_eq!(appended.steps[0].entry, Some(id("b")));
}
