//! Positions, and what a reader says to begin at one: text form and JSON there and back, and where a reader starts.
//!
//! Input: a number for the head (8 bytes), then text.
#![cfg_attr(fuzzing, no_main)]

use libfuzzer_sys::fuzz_target;
use tenbells::broker::{ResetReason, Start, resolve};
use tenbells::model::{After, EntryId, Epoch, Position, TopicName};
use tenbells::protocol::ClientOp;

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let head = u64::from_be_bytes(*head);
    round_trips(text);
    if let Ok(after) = After::parse(text) {
        starts(&after, head);
    }
    if let Ok(ClientOp::Subscribe { topic, after }) = ClientOp::parse(text) {
        assert_eq!(TopicName::parse(topic.as_str()), Ok(topic));
        starts(&after, head);
    }
    let _ = tenbells::fuzzing::first_subscribe(Some(text));
});

/// What is read as a value is written as the text that it was, and is the same value as JSON.
fn round_trips(text: &str) {
    let json = serde_json::Value::from(text);
    let position = Position::parse(text);
    if let Ok(position) = &position {
        assert_eq!(position.to_string(), text);
        assert!((1..=16).contains(&position.epoch.as_str().len()));
        assert_eq!(serde_json::to_value(position).ok(), Some(json.clone()));
    }
    assert_eq!(serde_json::from_value(json.clone()).ok(), position.ok());
    let epoch = Epoch::parse(text);
    if let Ok(epoch) = &epoch {
        assert_eq!(epoch.as_str(), text);
    }
    assert_eq!(serde_json::from_value(json.clone()).ok(), epoch.ok());
    let name = TopicName::parse(text);
    assert_eq!(serde_json::from_value(json.clone()).ok(), name.ok());
    let id = EntryId::parse(text);
    assert_eq!(serde_json::from_value(json).ok(), id.ok());
}

/// Nobody starts past the head, and nobody is sent elsewhere without a reason.
fn starts(after: &After, head: u64) {
    let other = Epoch::from_seed(head);
    let own = match after {
        After::Position(position) => position.epoch.clone(),
        After::Head | After::Start => other.clone(),
    };
    match (resolve(after, &own, head), after) {
        (Start::From(start), After::Position(position)) => {
            assert!(start == position.offset && start <= head);
        }
        (Start::Reset(reason), After::Position(position)) => {
            assert!(reason == ResetReason::PastHead && position.offset > head);
        }
        (Start::From(start), After::Start) => assert_eq!(start, 0),
        (Start::From(start), After::Head) => assert_eq!(start, head),
        (Start::Reset(_), _) => panic!("{after:?} is reset at {head}"),
    }
    if own != other {
        let reset = Start::Reset(ResetReason::EpochChanged);
        assert_eq!(resolve(after, &other, head), reset);
    }
}
