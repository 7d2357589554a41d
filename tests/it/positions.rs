//! A position that an answer named is good at once, though the feed brings the change to the readers a moment later.

use std::sync::Arc;

use serde_json::json;
use tenbells::broker::{Broker, BrokerOptions, ResetReason, Start, WriteRequest};
use tenbells::clock::SystemClock;
use tenbells::model::{After, NewEntry, TopicName};
use tenbells::store::StoreOptions;
use tenbells::store::memory::MemoryStore;

use crate::support::Server;

#[tokio::test]
async fn a_position_from_the_store_is_not_past_the_head() {
    let clock = Arc::new(SystemClock);
    let store = MemoryStore::open(StoreOptions::default(), clock.clone());
    // It does not run, so the feed brings nothing.
    let broker = Broker::new(store, clock, BrokerOptions::default());
    let topic = TopicName::parse("t").expect("a name");
    let mut positions = Vec::new();
    let mut channel = None;
    for headline in ["one", "two"] {
        let entry: NewEntry = serde_json::from_value(json!({"headline": headline})).expect("entry");
        let request = WriteRequest {
            actor: "a".into(),
            key: None,
            may_create: true,
        };
        let published = broker
            .publish(&topic, entry, request)
            .await
            .expect("is kept");
        positions.push(published.position.expect("a position"));
        if channel.is_none() {
            channel = broker.channel(&topic).await.expect("is read");
        }
    }
    let channel = channel.expect("the topic");
    assert_eq!(channel.head(), 1, "the feed has not brought the second");
    let ahead = After::Position(channel.epoch().at(3));
    let start = broker.start(&channel, &ahead).await.expect("is read");
    assert_eq!(start, Start::Reset(ResetReason::PastHead));
    let last = After::Position(positions[1].clone());
    let start = broker.start(&channel, &last).await.expect("is read");
    assert_eq!(start, Start::From(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_can_read_on_from_its_own_position() {
    let server = Server::start().await;
    for number in 0..50 {
        let published = server.publish("t", &format!("entry {number}")).await;
        let position = published["position"].as_str().expect("a position");
        let path = format!("/v1/topics/t/changes?after={position}");
        let page = server.get(&path).expect(200).await;
        assert_eq!((&page["changes"], page.get("reset")), (&json!([]), None));
    }
}
