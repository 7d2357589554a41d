//! Random appends, on the store under test and on the memory store: equal answers, equal reads, equal feeds.
//!
//! What must hold in any store is checked on the way, so that the memory store is not its own only witness: a refusal
//! changes nothing, and the snapshot is what folding the log gives.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tenbells::clock::ManualClock;
use tenbells::model::{ChangeKind, EntryId, Offset};
use tenbells::store::{
    Append, AppendError, Committed, EntryFilter, EntryQuery, EntryState, EntryWrite, Refused, Step,
    Store, StoreOptions,
};

use super::fixture::{Fixture, MemoryFixture, close_and_drain, drain, start};
use super::steps::{append, append_existing, id, keyed, topic_doc, write};
use super::view::{TopicView, View, page, view};

const TOPICS: [&str; 3] = ["a", "a-b", "b"];
const ENTRIES: [&str; 5] = ["v", "w", "x", "y", "z"];
const KEYS: [&str; 3] = ["k1", "k2", "k3"];
const CASES: u32 = 48;
const TOPICS_MAX: usize = 2;

pub fn random_appends_read_as_in_the_memory_store<F: Fixture>() {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let appends = prop::collection::vec((0_u64..2_000, any_append()), 1..40);
    TestRunner::new(config)
        .run(&appends, |appends| compare::<F>(appends))
        .unwrap_or_else(|error| panic!("{error}"));
}

fn compare<F: Fixture>(appends: Vec<(u64, Append)>) -> Result<(), TestCaseError> {
    let clock = ManualClock::new(start());
    let options = StoreOptions {
        topics_max: TOPICS_MAX,
        ..StoreOptions::default()
    };
    let reference = MemoryFixture::open(options, clock.clone());
    let fixture = F::open(options, clock.clone());
    let feeds = (
        reference.store().take_feed().expect("the feed"),
        fixture.store().take_feed().expect("the feed"),
    );
    let mut last = view(fixture.store(), &KEYS);
    for (wait_ms, append) in appends {
        clock.advance(Duration::from_millis(wait_ms));
        let expected = reference.store().append(append.clone()).wait_blocking();
        let answer = fixture.store().append(append.clone()).wait_blocking();
        prop_assert_eq!(&answer, &expected, "{:?}", append);
        let now = view(fixture.store(), &KEYS);
        prop_assert_eq!(&now, &view(reference.store(), &KEYS), "{:?}", append);
        if !answer.as_ref().is_ok_and(|appended| !appended.replayed) {
            prop_assert_eq!(&now, &last, "{:?} left a trace", answer);
        }
        check_refusal(&answer, &last, &append)?;
        last = now;
    }
    for topic in &last.topics {
        check_snapshot(topic)?;
        check_pages(fixture.store(), topic)?;
    }
    if let Some(reopened) = fixture.reopen() {
        prop_assert_eq!(&view(reopened.store(), &KEYS), &last, "after a reopen");
    }
    let fed = drain(feeds.1);
    prop_assert_eq!(flat(&fed), flat(&close_and_drain(reference, feeds.0)));
    check_feed(&fed, &last)
}

/// The refusals that a look at the store from before the append foretells.
fn check_refusal(
    answer: &Result<tenbells::store::Appended, AppendError>,
    before: &View,
    append: &Append,
) -> Result<(), TestCaseError> {
    let known = before
        .topics
        .iter()
        .any(|view| view.topic.name == append.topic);
    let foretold = match (known, &append.create) {
        (true, _) => return Ok(()),
        (false, None) => Refused::NoTopic,
        (false, Some(_)) if before.topics.len() >= TOPICS_MAX => Refused::TooManyTopics(TOPICS_MAX),
        (false, Some(_)) => return Ok(()),
    };
    prop_assert_eq!(answer, &Err(AppendError::NotStored(foretold)));
    Ok(())
}

/// The snapshot of a topic is what its log comes to.
fn check_snapshot(topic: &TopicView) -> Result<(), TestCaseError> {
    let mut folded: BTreeMap<Offset, EntryState> = BTreeMap::new();
    let mut first_of: BTreeMap<&EntryId, Offset> = BTreeMap::new();
    for change in &topic.changes {
        let Some(entry) = &change.entry else {
            prop_assert_eq!(change.kind, ChangeKind::TopicUpdated);
            continue;
        };
        let first = *first_of.entry(entry).or_insert(change.offset);
        let (last, change_json) = (change.offset, change.json.clone());
        let state = match change.kind {
            ChangeKind::EntryRetracted => EntryState::Retracted {
                first,
                last,
                change: change_json,
            },
            _ => EntryState::Released {
                first,
                last,
                change: change_json,
            },
        };
        folded.insert(first, state);
    }
    let snapshot: Vec<_> = topic.pages[0]
        .entries
        .iter()
        .map(|entry| &entry.state)
        .collect();
    prop_assert_eq!(snapshot, folded.values().rev().collect::<Vec<_>>());
    let retracted = |entry: &EntryId| {
        let state = first_of.get(entry).and_then(|first| folded.get(first));
        matches!(state, Some(EntryState::Retracted { .. }))
    };
    for change in &topic.changes {
        let Some(entry) = &change.entry else { continue };
        let bodiless = matches!(
            change.kind,
            ChangeKind::EntryRedacted | ChangeKind::EntryRetracted
        );
        prop_assert_eq!(bodiless, retracted(entry), "{:?}", change);
    }
    Ok(())
}

/// Small pages put together are the large one.
fn check_pages(store: &dyn Store, topic: &TopicView) -> Result<(), TestCaseError> {
    let filters = [
        EntryFilter::All,
        EntryFilter::KeyEvents,
        EntryFilter::Pinned,
    ];
    for (filter, whole) in filters.into_iter().zip(&topic.pages) {
        let mut together = Vec::new();
        let mut before = None;
        loop {
            let part = page(
                store,
                &topic.topic.name,
                EntryQuery {
                    before,
                    limit: 2,
                    filter,
                },
            );
            prop_assert!(part.entries.len() == 2 || !part.more);
            before = match part.entries.last().map(|entry| &entry.state) {
                Some(EntryState::Released { first, .. } | EntryState::Retracted { first, .. }) => {
                    Some(*first)
                }
                _ => before,
            };
            together.extend(part.entries);
            if !part.more {
                break;
            }
        }
        prop_assert_eq!(&together, &whole.entries);
    }
    Ok(())
}

/// The feed of a topic is its log, but for bodies that were retracted when the feed had them already.
fn check_feed(fed: &[Committed], last: &View) -> Result<(), TestCaseError> {
    for topic in &last.topics {
        let of_topic = fed
            .iter()
            .filter(|committed| committed.topic == topic.topic.name);
        let of_topic: Vec<_> = of_topic.map(|committed| &committed.change).collect();
        prop_assert_eq!(of_topic.len(), topic.changes.len());
        for (fed, kept) in of_topic.into_iter().zip(&topic.changes) {
            prop_assert_eq!((fed.offset, &fed.entry), (kept.offset, &kept.entry));
            if kept.kind != ChangeKind::EntryRedacted {
                prop_assert_eq!(fed, kept);
            }
        }
    }
    Ok(())
}

fn flat(fed: &[Committed]) -> Vec<String> {
    fed.iter()
        .map(|committed| {
            let Committed {
                topic,
                epoch,
                change,
            } = committed;
            format!("{topic} {epoch} {change:?}")
        })
        .collect()
}

fn any_append() -> impl Strategy<Value = Append> {
    let steps = |name| prop::collection::vec(any_step(name), 1..5);
    let key = prop::option::weighted(0.25, (select(&KEYS[..]), 1_u8..3));
    let topic = select(&TOPICS[..]).prop_flat_map(move |name| (Just(name), steps(name)));
    (topic, prop::bool::weighted(0.8), key).prop_map(|((name, steps), create, key)| {
        let append = if create {
            append(name, steps)
        } else {
            append_existing(name, steps)
        };
        match key {
            Some((key, request)) => keyed(append, key, request),
            None => append,
        }
    })
}

fn any_step(name: &'static str) -> impl Strategy<Value = Step> {
    let expect = || 1_u64..3;
    let until = || {
        (0_i64..4).prop_map(|seconds| {
            Timestamp::from_second(start().as_second() + seconds).expect("a time")
        })
    };
    let expected = || prop::option::of(expect());
    prop_oneof![
        6 => any_write(1).prop_map(Step::Publish),
        3 => (any_write(1), until()).prop_map(|(write, until)| Step::Hold(write, until)),
        4 => expect().prop_flat_map(|expect| (any_write(expect + 1), Just(expect)))
            .prop_map(|(write, expect)| Step::Revise(write, expect)),
        2 => (expect().prop_flat_map(|expect| (any_write(expect + 1), Just(expect))), until())
            .prop_map(|((write, expect), until)| Step::ReviseHeld(write, expect, until)),
        3 => any_id().prop_map(Step::Release),
        2 => (any_id(), prop::option::of("\\PC{0,8}"), expected())
            .prop_map(|(id, reason, expect)| Step::Retract { id, reason, expect }),
        1 => (any_id(), expected()).prop_map(|(id, expect)| Step::DropHeld { id, expect }),
        2 => (prop::option::of(any_id()), expect())
            .prop_map(|(entry, expect)| Step::Keep { entry, expect }),
        2 => (0_u64..4, prop::bool::weighted(0.2), any::<bool>()).prop_map(
            move |(expect, ended, private)| Step::Topic {
                expect,
                doc: topic_doc(name, expect + 1),
                raw: format!("{{\"expect\":{expect}}}"),
                ended,
                private,
            }
        ),
    ]
}

fn any_id() -> impl Strategy<Value = EntryId> {
    select(&ENTRIES[..]).prop_map(id)
}

fn any_write(revision: u64) -> impl Strategy<Value = EntryWrite> {
    (
        select(&ENTRIES[..]),
        "\\PC{0,12}",
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(move |(entry, text, key_event, pinned)| EntryWrite {
            key_event,
            pinned,
            ..write(entry, revision, &text)
        })
}
