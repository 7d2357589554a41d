//! Cases about the log: density, order, atomicity, reads and their limits, the audit trail.

use std::collections::HashMap;
use std::time::Duration;

use tenbells::clock::ManualClock;
use tenbells::model::{ChangeBody, encode_change};
use tenbells::store::{ReadLimit, Refused, Step, StoreOptions};

use super::fixture::{Fixture, close_and_drain, start};
use super::steps::{
    Status, append, append_existing, drop_held, hold, id, keyed, offsets, publish, refused,
    release, retract, revise, stored, topic, topic_doc, update_topic, write,
};
use super::view::{ALL, changes, outline, view};

pub fn offsets_are_dense_and_changes_read_as_encoded<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    let first = stored(store, append("t", vec![publish("a", "one")]));
    assert_eq!(offsets(&first), [Some(1)]);
    assert!(!first.replayed);
    // The log keeps milliseconds, and a clock that goes back does not disturb the order.
    clock.advance(Duration::from_micros(1_234_567));
    let batch = vec![
        publish("b", "two"),
        revise("a", 1, "one, again"),
        publish("c", "three"),
    ];
    assert_eq!(
        offsets(&stored(store, append("t", batch))),
        [Some(2), Some(3), Some(4)]
    );
    clock.set(start() - Duration::from_secs(60));
    stored(store, append("t", vec![update_topic("t", 1, Status::Live)]));

    let times = ["09:00:01.234", "08:59:00.000"]
        .map(|time| format!("2026-11-24T{time}Z").parse().expect("a time"));
    let (one, two) = (write("a", 1, "one").doc, write("b", 1, "two").doc);
    let (again, three) = (write("a", 2, "one, again").doc, write("c", 1, "three").doc);
    let document = topic_doc("t", 2);
    let name = topic("t");
    let expected = [
        encode_change(&name, 1, start(), &ChangeBody::Published(&one)),
        encode_change(&name, 2, times[0], &ChangeBody::Published(&two)),
        encode_change(&name, 3, times[0], &ChangeBody::Revised(&again)),
        encode_change(&name, 4, times[0], &ChangeBody::Published(&three)),
        encode_change(&name, 5, times[1], &ChangeBody::Topic(&document)),
    ];
    let log = changes(store, &name);
    let read: Vec<&str> = log.iter().map(|change| &*change.json).collect();
    assert_eq!(read, expected);
    let entries: Vec<_> = log.iter().map(|change| change.entry.clone()).collect();
    assert_eq!(
        entries,
        [
            Some(id("a")),
            Some(id("b")),
            Some(id("a")),
            Some(id("c")),
            None
        ]
    );
}

pub fn concurrent_appends_are_each_stored_once_in_feed_order<F: Fixture>() {
    const THREADS: usize = 8;
    const EACH: usize = 40;
    let fixture = F::new();
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    let acknowledged: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let name = ["even", "odd"][thread % 2];
                    (0..EACH)
                        .map(|number| {
                            let entry = format!("e{thread}-{number}");
                            let appended = stored(store, append(name, vec![publish(&entry, "x")]));
                            (
                                name,
                                appended.steps[0].offset.expect("an offset"),
                                id(&entry),
                            )
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("a publisher"))
            .collect()
    });
    let mut logs = HashMap::new();
    for name in ["even", "odd"] {
        let log = changes(store, &topic(name));
        assert_eq!(log.len(), THREADS / 2 * EACH);
        logs.insert(name, log);
    }
    for (name, offset, entry) in acknowledged {
        let index = usize::try_from(offset).expect("small") - 1;
        assert_eq!(logs[name][index].entry, Some(entry));
    }
    let fed = close_and_drain(fixture, feed);
    for (name, log) in logs {
        let of_topic: Vec<_> = fed
            .iter()
            .filter(|committed| committed.topic.as_str() == name)
            .map(|committed| committed.change.clone())
            .collect();
        assert_eq!(of_topic, log);
    }
}

pub fn a_bad_step_takes_the_others_with_it<F: Fixture>() {
    let fixture = F::new();
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    let setup = vec![
        publish("a", "one"),
        publish("gone", "x"),
        hold("h", "later", start()),
    ];
    stored(store, append("t", setup));
    stored(store, append("t", vec![retract("gone")]));
    let before = view(store, &["k"]);
    let good = || {
        vec![
            publish("b", "two"),
            revise("a", 1, "changed"),
            hold("h2", "even later", start()),
            release("h"),
            update_topic("t", 1, Status::Live),
            retract("a"),
        ]
    };
    let bad = [
        (
            publish("b", "twice in one append"),
            Refused::EntryExists(id("b")),
        ),
        (
            revise("a", 2, "of a retracted one"),
            Refused::EntryRetracted(id("a")),
        ),
        (release("h"), Refused::NoEntry(id("h"))),
        (
            update_topic("t", 1, Status::Live),
            Refused::Stale { current: 2 },
        ),
        (retract("never"), Refused::NoEntry(id("never"))),
    ];
    for (step, why) in bad {
        let mut steps = good();
        steps.push(step);
        steps.push(publish("z", "never reached"));
        let request = keyed(append("t", steps), "k", 1);
        assert_eq!(refused(store, request), why);
        assert_eq!(view(store, &["k"]), before, "{why}");
    }
    // The same steps without the bad one go through, on the offsets that the refused ones did not use up.
    let done = stored(store, append("t", good()));
    assert_eq!(
        offsets(&done),
        [Some(4), Some(5), None, Some(6), Some(7), Some(8)]
    );
    let fed = close_and_drain(fixture, feed);
    assert_eq!(
        fed.iter()
            .map(|committed| committed.change.offset)
            .collect::<Vec<_>>(),
        (1..=8).collect::<Vec<_>>()
    );
}

pub fn topics_do_not_mix<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    for name in ["a", "a-b", "b"] {
        stored(
            store,
            append(name, vec![publish("same", name), hold("h", name, start())]),
        );
    }
    stored(
        store,
        append_existing("a", vec![retract("same"), release("h")]),
    );
    assert_eq!(
        outline(store, "a"),
        [
            "entry.redacted same",
            "entry.retracted same",
            "entry.published h"
        ]
    );
    for name in ["a-b", "b"] {
        assert_eq!(outline(store, name), ["entry.published same"]);
        let entry = store
            .entry(&topic(name), &id("same"))
            .expect("read")
            .expect("an entry");
        assert_eq!(entry.raw, write("same", 1, name).raw);
        assert_eq!(store.held(Some(&topic(name)), 10).expect("held").len(), 1);
        assert_eq!(store.audit(&topic(name), 10).expect("audit").len(), 2);
    }
    assert_eq!(store.held(None, 10).expect("held").len(), 2);
}

pub fn long_and_odd_text_comes_back_as_it_went_in<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let texts = [
        "„Zitat ‚im Zitat‘“ – Łódź, Beyoncé, 東京, 🔔🔔",
        "quote \" backslash \\ nul \u{0} line \u{2028} bell \u{7} ' ; DROP TABLE change; --",
        "e\u{301} is not é, and \u{200f}right to left\u{200e}",
        "",
        &"long – ".repeat(60_000),
    ];
    for (index, text) in texts.iter().enumerate() {
        let entry = format!("e{index}");
        let reason = Step::Retract {
            id: id(&entry),
            reason: Some((*text).to_owned()),
            expect: Some(1),
        };
        let offset = 2 * index as u64;
        stored(store, append("t", vec![publish(&entry, text)]));
        let read = store.read(&topic("t"), offset, ALL).expect("read");
        let json: serde_json::Value = serde_json::from_str(&read[0].json).expect("JSON");
        assert_eq!(json["entry"]["body_html"], *text);
        let kept = store
            .entry(&topic("t"), &id(&entry))
            .expect("read")
            .expect("an entry");
        assert_eq!(kept.raw, write(&entry, 1, text).raw);
        stored(store, append("t", vec![reason]));
        let read = store.read(&topic("t"), offset + 1, ALL).expect("read");
        let json: serde_json::Value = serde_json::from_str(&read[0].json).expect("JSON");
        assert_eq!(json["reason"], *text);
    }
}

pub fn reads_keep_to_their_limits<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    let name = topic("t");
    let steps = (0..30)
        .map(|n| publish(&format!("e{n}"), &"x".repeat(n * 20)))
        .collect();
    stored(store, append("t", steps));
    let all = changes(store, &name);
    let read = |after, changes_max, bytes_max| {
        let limit = ReadLimit {
            changes_max,
            bytes_max,
        };
        store.read(&name, after, limit).expect("read")
    };
    assert_eq!(read(0, 7, usize::MAX), all[..7]);
    assert_eq!(read(7, 7, usize::MAX), all[7..14]);
    assert_eq!(read(28, 7, usize::MAX), all[28..]);
    assert_eq!(read(30, 7, usize::MAX), []);
    assert_eq!(read(u64::MAX, 7, usize::MAX), []);
    assert_eq!(read(0, usize::MAX, usize::MAX), all);
    for bytes_max in [0, 1, 500, 1_000, 5_000, 1 << 20] {
        let mut after = 0;
        while after < 30 {
            let part = read(after, 100, bytes_max);
            let from = usize::try_from(after).expect("small");
            assert!(
                !part.is_empty(),
                "no way past offset {after} with {bytes_max} bytes"
            );
            assert_eq!(part, all[from..from + part.len()]);
            let bytes: usize = part.iter().map(|change| change.json.len()).sum();
            assert!(
                part.len() == 1 || bytes <= bytes_max,
                "{bytes} bytes, limit {bytes_max}"
            );
            after += part.len() as u64;
        }
    }
}

pub fn the_audit_trail_has_every_step_and_no_body<F: Fixture>() {
    let clock = ManualClock::new(start());
    let fixture = F::open(StoreOptions::default(), clock.clone());
    let store = fixture.store();
    let name = topic("t");
    let first = keyed(
        append(
            "t",
            vec![publish("a", "SECRET"), hold("h", "SECRET", start())],
        ),
        "k",
        1,
    );
    stored(store, first.clone());
    clock.advance(Duration::from_secs(1));
    let mut second = append(
        "t",
        vec![
            revise("a", 1, "SECRET"),
            Step::ReviseHeld(write("h", 2, "SECRET"), 1, start()),
            drop_held("h", None),
            retract("a"),
            update_topic("t", 1, Status::Live),
        ],
    );
    second.actor = "other".into();
    stored(store, second);
    // Neither a repetition nor a refusal is a step.
    assert!(stored(store, first).replayed);
    refused(store, append("t", vec![publish("a", "SECRET")]));

    let audit = store.audit(&name, 100).expect("audit");
    assert!(!format!("{audit:?}").contains("SECRET"));
    let lines: Vec<_> = audit
        .iter()
        .map(|line| {
            let entry = line.entry.as_ref().map_or("-", |entry| entry.as_str());
            let seconds = line.at.as_second() - start().as_second();
            format!(
                "{seconds} {} {} {entry} {}",
                line.actor,
                line.action,
                line.offset.unwrap_or(0)
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "1 other topic - 4",
            "1 other retract a 3",
            "1 other drop_held h 0",
            "1 other revise_held h 0",
            "1 other revise a 2",
            "0 desk-1 hold h 0",
            "0 desk-1 publish a 1",
        ]
    );
    assert_eq!(store.audit(&name, 2).expect("audit"), audit[..2]);
}
