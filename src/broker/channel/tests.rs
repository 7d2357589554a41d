use super::*;
use crate::model::{ChangeBody, encode_change};
use crate::protocol::Wire;
use crate::store::StoredChange;
use jiff::Timestamp;

fn stored(head: Offset, private: bool) -> StoredTopic {
    StoredTopic {
        name: TopicName::parse("t").expect("name"),
        epoch: Epoch::from_seed(1),
        head,
        revision: 1,
        ended: false,
        private,
        doc: "{}".into(),
        raw: "{}".into(),
    }
}

fn channel(head: Offset, frames_max: usize) -> Channel {
    Channel::new(
        &stored(head, false),
        RingLimit {
            frames_max,
            bytes_max: 1 << 20,
        },
        &Redactions::default(),
    )
}

fn frame(offset: Offset, id: &str, body: &str) -> Arc<Frame> {
    let topic = TopicName::parse("t").expect("name");
    let entry = EntryId::parse(id).expect("id");
    let body = match body {
        "retract" => ChangeBody::Retracted(&entry, None),
        body => ChangeBody::Published(body),
    };
    Frame::new(StoredChange {
        offset,
        kind: body.kind(),
        entry: Some(entry.clone()),
        json: encode_change(&topic, offset, Timestamp::UNIX_EPOCH, &body).into(),
    })
}

fn offsets(walk: Walk) -> Vec<Offset> {
    match walk {
        Walk::Frames(frames) => frames.iter().map(|frame| frame.offset()).collect(),
        Walk::AtHead => Vec::new(),
        Walk::Store => vec![0],
    }
}

#[test]
fn a_walk_goes_from_store_to_ring_to_head() {
    let channel = channel(2, 3);
    assert_eq!(offsets(channel.walk(0, 10, 1_000)), [0]);
    for offset in 3..=6 {
        channel.advance(frame(offset, "e", "{}"));
    }
    assert_eq!(channel.head(), 6);
    assert_eq!(offsets(channel.walk(2, 10, 1_000)), [0]);
    assert_eq!(offsets(channel.walk(3, 10, 1_000)), [4, 5, 6]);
    assert_eq!(offsets(channel.walk(3, 2, 1_000)), [4, 5]);
    assert_eq!(offsets(channel.walk(3, 10, 1)), [4]);
    assert!(matches!(channel.walk(6, 10, 1_000), Walk::AtHead));
}

#[test]
fn what_the_head_already_counts_still_reaches_the_ring() {
    let channel = channel(5, 3);
    channel.advance(frame(4, "e", "{}"));
    assert_eq!(channel.head(), 5);
    assert_eq!(offsets(channel.walk(4, 10, 1_000)), [0]);
    channel.advance(frame(5, "e", "{}"));
    channel.advance(frame(5, "e", "{}"));
    assert_eq!(offsets(channel.walk(3, 10, 1_000)), [4, 5]);
}

#[test]
fn a_retraction_redacts_the_ring_before_the_head_moves() {
    let channel = channel(0, 8);
    channel.advance(frame(1, "gone", r#"{"body_html":"canary"}"#));
    channel.advance(frame(2, "stays", r#"{"body_html":"other"}"#));
    let before = channel.redactions();
    channel.advance(frame(3, "gone", "retract"));
    assert_eq!(channel.redactions(), before + 1);
    let Walk::Frames(frames) = channel.walk(0, 10, 10_000) else {
        panic!("three frames");
    };
    let kinds: Vec<_> = frames.iter().map(|frame| frame.kind().as_str()).collect();
    assert_eq!(
        kinds,
        ["entry.redacted", "entry.published", "entry.retracted"]
    );
    for frame in frames {
        let ws = String::from_utf8_lossy(frame.ws(Wire::Plain)).into_owned();
        assert!(!ws.contains("canary"), "{ws}");
        assert!(!frame.json().contains("canary"));
    }
}

/// An update that says the visibility.
fn update(offset: Offset, visibility: &str) -> Arc<Frame> {
    let json = format!(r#"{{"offset":{offset},"state":{{"visibility":"{visibility}"}}}}"#);
    Frame::new(StoredChange {
        offset,
        kind: ChangeKind::TopicUpdated,
        entry: None,
        json: json.into(),
    })
}

#[test]
fn hiding_a_topic_makes_copies_void_and_an_older_update_opens_nothing() {
    let channel = channel(4, 8);
    let taken = channel.redactions();
    channel.advance(update(5, "public"));
    assert!(!channel.is_private() && !channel.is_void(taken));
    channel.advance(update(6, "private"));
    assert!(channel.is_private() && channel.is_void(taken));
    // Once more is nothing new.
    let taken = channel.redactions();
    channel.advance(update(7, "private"));
    assert!(!channel.is_void(taken));
    // What the head counts already is known, and by now it may be otherwise.
    channel.advance(update(3, "public"));
    assert!(channel.is_private());
    channel.catch_up(&stored(6, false));
    assert!(channel.is_private());
    channel.catch_up(&stored(9, false));
    channel.advance(update(8, "private"));
    assert!(!channel.is_private());
    assert_eq!(channel.head(), 9);
}

#[test]
fn a_head_from_the_store_says_nothing_of_the_ring() {
    let channel = channel(2, 8);
    channel.advance(frame(3, "e", "{}"));
    assert!(channel.has_taken(2) && channel.has_taken(3) && !channel.has_taken(4));
    channel.catch_up(&stored(5, false));
    assert_eq!(channel.head(), 5);
    assert!(!channel.has_taken(5));
    let taken = channel.redactions();
    assert_eq!(offsets(channel.walk(2, 10, 1_000)), [3]);
    channel.forget();
    assert_eq!(offsets(channel.walk(2, 10, 1_000)), [0]);
    assert!(channel.is_void(taken));
}

#[test]
fn what_a_page_shows_as_redacted_does_not_come_back_from_the_ring() {
    let channel = channel(0, 8);
    for (offset, id) in [(1, "gone"), (2, "stays")] {
        channel.advance(frame(offset, id, "{}"));
    }
    let taken = channel.redactions();
    let as_it_was = [frame(1, "gone", "{}"), frame(2, "stays", "{}")];
    channel.hold_against(&as_it_was);
    assert_eq!(offsets(channel.walk(0, 10, 1_000)), [1, 2]);
    assert!(!channel.is_void(taken));
    let redacted = as_it_was[0].redacted(channel.name()).expect("a redaction");
    let page = [
        redacted,
        frame(2, "stays", "{}"),
        frame(3, "gone", "retract"),
    ];
    channel.hold_against(&page);
    assert_eq!(offsets(channel.walk(0, 10, 1_000)), [0], "from the store");
    assert!(channel.is_void(taken));
    // Now that the ring has nothing, there is nothing more to forget.
    let taken = channel.redactions();
    channel.hold_against(&page);
    assert!(!channel.is_void(taken));
}

#[test]
fn subscribers_are_counted_while_they_live() {
    let channel = Arc::new(channel(0, 1));
    let first = channel.enter();
    let second = channel.enter();
    assert_eq!(channel.readers(), 2);
    drop((first, second));
    assert_eq!(channel.readers(), 0);
}
