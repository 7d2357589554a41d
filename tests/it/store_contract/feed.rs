//! Cases about the feed: every committed change once, in order, and never without a bound.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tenbells::clock::ManualClock;
use tenbells::store::{AppendError, Appended, Refused, StoreOptions};

use super::fixture::{Fixture, close_and_drain, drain, start};
use super::steps::{
    append, drop_held, hold, keyed, new_topic, publish, refused, release, retract, revise, stored,
    topic,
};
use super::view::{changes, outline};

type Pending = Pin<Box<dyn Future<Output = Result<Appended, AppendError>>>>;

pub fn the_feed_has_every_change_once_in_commit_order<F: Fixture>() {
    let fixture = F::new();
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    let appends = [
        ("t", vec![publish("a", "one"), publish("b", "two")]),
        ("u", vec![publish("a", "one")]),
        (
            "t",
            vec![revise("a", 1, "more"), hold("h", "later", start())],
        ),
        ("v", vec![publish("a", "one")]),
        ("u", vec![retract("a")]),
        ("t", vec![release("h")]),
    ];
    for (name, steps) in appends {
        stored(store, append(name, steps));
    }
    let log_of_t = changes(store, &topic("t"));
    let fed = close_and_drain(fixture, feed);
    let order: Vec<_> = fed
        .iter()
        .map(|committed| {
            assert_eq!(committed.epoch, new_topic(committed.topic.as_str()).epoch);
            let change = &committed.change;
            format!(
                "{}-{} {}",
                committed.topic,
                change.offset,
                change.kind.as_str()
            )
        })
        .collect();
    assert_eq!(
        order,
        [
            "t-1 entry.published",
            "t-2 entry.published",
            "u-1 entry.published",
            "t-3 entry.revised",
            "v-1 entry.published",
            "u-2 entry.retracted",
            "t-4 entry.published",
        ]
    );
    let of_t = fed
        .into_iter()
        .filter(|committed| committed.topic == topic("t"));
    assert_eq!(
        of_t.map(|committed| committed.change).collect::<Vec<_>>(),
        log_of_t
    );
}

pub fn the_feed_is_taken_once<F: Fixture>() {
    let fixture = F::new();
    assert!(fixture.store().take_feed().is_some());
    assert!(fixture.store().take_feed().is_none());
}

pub fn what_changes_nothing_is_not_in_the_feed<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    // Changes from before the feed was taken are in it; it begins where the store was opened.
    let first = || keyed(append("t", vec![publish("a", "one")]), "k", 1);
    stored(store, first());
    let feed = store.take_feed().expect("the feed");
    stored(store, first());
    refused(
        store,
        append("t", vec![publish("b", "x"), publish("a", "in use")]),
    );
    stored(
        store,
        append(
            "t",
            vec![hold("h", "later", start()), hold("g", "later", start())],
        ),
    );
    stored(store, append("t", vec![drop_held("h", None)]));
    stored(store, append("new", Vec::new()));
    stored(store, append("t", vec![publish("b", "two")]));
    let fed = close_and_drain(fixture, feed);
    let offsets: Vec<_> = fed
        .iter()
        .map(|committed| committed.change.offset)
        .collect();
    assert_eq!(offsets, [1, 2]);
}

pub fn appends_are_bounded_while_nobody_reads_the_feed<F: Fixture>() {
    // More than a store may take into its feed, its hands and its queue together.
    const MANY: usize = 10_000;
    let options = StoreOptions {
        queue_max: 4,
        feed_batches_max: 2,
        ..StoreOptions::default()
    };
    let fixture = F::open(options, ManualClock::new(start()));
    let feed = fixture.store().take_feed().expect("the feed");
    let store = fixture.store();
    let (mut accepted, mut pending) = (0, Vec::new());
    let busy = (0..MANY).any(|number| {
        let append = append("t", vec![publish(&format!("e{number}"), "x")]);
        let mut answer: Pending = Box::pin(store.append(append).wait());
        match answer
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Err(AppendError::NotStored(refused))) => {
                assert_eq!(refused, Refused::Busy(4));
                return true;
            }
            Poll::Ready(answer) => drop(answer.expect("an answer")),
            Poll::Pending => pending.push(answer),
        }
        accepted += 1;
        false
    });
    assert!(busy, "{MANY} appends were taken while nobody read the feed");

    // Once somebody reads, everything that was taken is stored, and there is room again.
    let reader = std::thread::spawn(move || drain(feed));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for answer in pending {
        runtime.block_on(answer).expect("what was taken is stored");
    }
    let last = stored(store, append("t", vec![publish("last", "x")]));
    assert_eq!(last.steps[0].offset, Some(accepted + 1));
    let log = changes(store, &topic("t"));
    drop(fixture);
    let fed = reader.join().expect("the feed's reader");
    assert_eq!(
        fed.into_iter()
            .map(|committed| committed.change)
            .collect::<Vec<_>>(),
        log
    );
}

pub fn a_dropped_receipt_does_not_drop_the_append<F: Fixture>() {
    let fixture = F::new();
    let store = fixture.store();
    for number in 0..20 {
        drop(store.append(append("t", vec![publish(&format!("e{number}"), "x")])));
    }
    // The queue is in order, so this one is stored behind them.
    let last = stored(store, append("t", vec![publish("last", "x")]));
    assert_eq!(last.steps[0].offset, Some(21));
    assert_eq!(outline(store, "t").len(), 21);
}

pub fn a_feed_that_is_gone_stops_nothing<F: Fixture>() {
    let options = StoreOptions {
        feed_batches_max: 1,
        ..StoreOptions::default()
    };
    let fixture = F::open(options, ManualClock::new(start()));
    let store = fixture.store();
    drop(store.take_feed());
    for number in 0..20 {
        stored(
            store,
            append("t", vec![publish(&format!("e{number}"), "x")]),
        );
    }
    assert_eq!(store.failed(), None);
}
