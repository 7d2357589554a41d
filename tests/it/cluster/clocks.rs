//! Nodes whose clocks are off: an embargo ends at its time for all of them, and never before.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tenbells::broker::{Broker, BrokerOptions, WriteRequest};
use tenbells::clock::Clock;
use tenbells::model::TopicName;
use tenbells::store::jetstream::JetStreamStore;
use tenbells::store::{Store, StoreOptions};

use crate::support::PATIENCE;
use crate::support::nats::{self, Nats};

/// The machine's clock, off by so much.
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.0).expect("a time")
    }
}

/// A node of this name, without a listener.
struct Node {
    store: Arc<JetStreamStore>,
    broker: Arc<Broker>,
    running: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Node {
    async fn start(nats: &Nats, prefix: &str, name: &str, off: SignedDuration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = nats.options(prefix, name);
        let clock: Arc<dyn Clock> = Arc::new(Off(off));
        let (path, of_store) = (folder.path().to_owned(), Arc::clone(&clock));
        let open = move || JetStreamStore::open(&path, options, StoreOptions::default(), of_store);
        let store = tokio::task::spawn_blocking(open).await.expect("no panic");
        let store = store.expect("a log");
        let broker = Broker::new(Arc::clone(&store) as _, clock, BrokerOptions::default());
        broker.set_outlets(Vec::new());
        broker.set_peers(store.peers());
        let running = tokio::spawn(Arc::clone(&broker).run());
        Self {
            store,
            broker,
            running,
            _folder: folder,
        }
    }

    /// Publishes an entry that is held until then; whether it has a position.
    async fn hold(&self, topic: &TopicName, until: Timestamp) -> bool {
        let entry = serde_json::json!({"headline": "held", "released_at": format!("{until:.3}")});
        let entry = serde_json::from_value(entry).expect("an entry");
        let request = WriteRequest {
            actor: "test".into(),
            key: None,
            may_create: true,
        };
        let published = self.broker.publish(topic, entry, request).await;
        published.expect("published").position.is_some()
    }

    /// Waits until the topic has a change, and gives the time.
    async fn until_released(&self, topic: &TopicName) -> Timestamp {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self
            .store
            .topic(topic)
            .expect("a read")
            .map(|found| found.head)
            != Some(1)
        {
            assert!(tokio::time::Instant::now() < end, "{topic} is not released");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Timestamp::now()
    }

    async fn stop(self) {
        self.running.abort();
        let _ = self.running.await;
        self.store.close();
    }
}

fn in_ms(ms: i64) -> Timestamp {
    // What brokers know of a time.
    let now = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(now + ms).expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_ahead_neither_shows_nor_releases_anything_early() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let ahead = Node::start(nats, &prefix, "ahead", SignedDuration::from_hours(2)).await;
    let topic = TopicName::parse("t").expect("a name");
    // By its own clock this is long past: published there and then it would be seen at once.
    let until = in_ms(1_500);
    assert!(!ahead.hold(&topic, until).await, "it is not held");
    // It is alone, so nobody else releases it.
    let released = ahead.until_released(&topic).await;
    assert!(released >= until, "{released} is before {until}");
    ahead.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_behind_holds_nobody_up() {
    if nats::is_missing() {
        return;
    }
    let (nats, prefix) = (nats::shared(), nats::prefix());
    let behind = Node::start(nats, &prefix, "behind", SignedDuration::from_hours(-2)).await;
    let right = Node::start(nats, &prefix, "right", SignedDuration::ZERO).await;
    let topic = TopicName::parse("t").expect("a name");
    let until = in_ms(1_000);
    assert!(!behind.hold(&topic, until).await, "it is not held");
    let released = behind.until_released(&topic).await;
    assert!(released >= until, "{released} is before {until}");
    let late = released.duration_since(until);
    assert!(late < SignedDuration::from_secs(10), "{late} late");
    behind.stop().await;
    right.stop().await;
}
