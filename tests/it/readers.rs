//! Readers in numbers: subscriptions that race a publish, bursts, sockets that are not read, retractions in between.
//!
//! `TENBELLS_RACES` and `TENBELLS_READERS` make it longer: 100,000 races and 5,000 readers are what a release is tried
//! with.

use serde_json::{Value, json};
use tenbells::config::Config;
use tokio::sync::Barrier;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::Server;
use crate::support::ws::Ws;

fn count(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn offset(change: &Value) -> u64 {
    change["offset"].as_u64().expect("an offset")
}

fn offset_of(position: &Value) -> u64 {
    let text = position.as_str().expect("a position");
    let offset = text.rsplit('-').next().expect("an offset");
    offset.parse().expect("a number")
}

/// Each round, every connection subscribes at the instant of one publish. It must be told of the change exactly if its
/// position is before it: a head that moved between the two would be a hole, or a double.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscribe_that_races_a_publish_misses_nothing_and_doubles_nothing() {
    let races = count("TENBELLS_RACES", 20_000);
    let connections = races.clamp(1, 200);
    let rounds = races.div_ceil(connections);
    let server = Arc::new(Server::start_with(|config| config.shards = 2).await);
    server.publish("t", "first").await;
    let barrier = Arc::new(Barrier::new(connections + 1));
    let early = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for _ in 0..connections {
        let (server, barrier, early) = (
            Arc::clone(&server),
            Arc::clone(&barrier),
            Arc::clone(&early),
        );
        readers.push(tokio::spawn(async move {
            let mut ws = Ws::open(&server.ws("")).await;
            for round in 0..rounds {
                let head = round as u64 + 1;
                barrier.wait().await;
                ws.say(json!({"op": "subscribe", "topic": "t"})).await;
                let start = offset_of(&ws.op("subscribed").await["position"]);
                assert!(start == head || start == head + 1, "{start} at {head}");
                if start == head {
                    early.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(offset(&ws.change().await), head + 1);
                }
                barrier.wait().await;
                // Whatever came twice would stand before this answer.
                ws.say(json!({"op": "unsubscribe", "topic": "t"})).await;
                ws.op("unsubscribed").await;
                // A reader may say only so much at once; a new connection starts afresh.
                if round % 50 == 49 {
                    ws = Ws::open(&server.ws("")).await;
                }
            }
        }));
    }
    for _ in 0..rounds {
        barrier.wait().await;
        server.publish("t", "at that instant").await;
        barrier.wait().await;
    }
    for reader in readers {
        reader.await.expect("no hole, no double");
    }
    let early = early.load(Ordering::Relaxed);
    println!(
        "{} races, {early} of them won by the subscribe",
        connections * rounds
    );
    assert!(
        early > 0,
        "nobody was there before a publish: nothing was tried"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_reaches_every_reader_in_order() {
    let readers = count("TENBELLS_READERS", 300);
    let burst = 200;
    let server = Server::start().await;
    server.publish("t", "first").await;
    let mut reading = Vec::new();
    for number in 0..readers {
        // A third each: live, from the start, and by the shortcut.
        let query = ["?topic=t", "?topic=t&after=start", ""][number % 3];
        let mut ws = Ws::open_small(&server.ws(query)).await;
        if query.is_empty() {
            ws.say(json!({"op": "subscribe", "topic": "t"})).await;
        }
        let start = offset_of(&ws.op("subscribed").await["position"]);
        reading.push(tokio::spawn(async move {
            for expected in start + 1..=burst + 1 {
                assert_eq!(offset(&ws.change().await), expected);
            }
        }));
    }
    let entries: Vec<_> = (0..burst / 4)
        .map(|number| json!({"body": {"text": format!("number {number} {}", "x".repeat(500))}}))
        .collect();
    for _ in 0..4 {
        server
            .desk("POST", "/v1/topics/t/entries:batch")
            .json(&json!({"entries": entries}))
            .expect(201)
            .await;
    }
    for reader in reading {
        reader.await.expect("every change, once, in order");
    }
}

/// A reader that takes nothing while far more than a socket holds goes by, and then reads on.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_catches_up_from_the_store_and_slows_nobody() {
    stalls_and_catches_up(Server::start_with(with_a_short_ring).await).await;
}

/// So little that whoever stalls for a few changes has to be given the rest from the store.
pub fn with_a_short_ring(config: &mut Config) {
    config.ring.frames_max = 16;
    config.ring.bytes_max = 1 << 20;
}

pub async fn stalls_and_catches_up(server: Server) {
    server.publish("t", "first").await;
    let mut stalled = Ws::open(&server.ws("?topic=t&after=start")).await;
    stalled.op("subscribed").await;
    let mut healthy = Ws::open(&server.ws("?topic=t")).await;
    healthy.op("subscribed").await;
    let total = 300;
    for number in 2..=total {
        server
            .publish("t", &format!("{number} {}", "y".repeat(60_000)))
            .await;
        assert_eq!(offset(&healthy.change().await), number);
    }
    for expected in 1..=total {
        assert_eq!(offset(&stalled.change().await), expected);
    }
    server.publish("t", "live again").await;
    assert_eq!(offset(&stalled.change().await), total + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_closed_and_resumes_elsewhere() {
    never_reads_and_resumes(Server::start_with(with_little_patience).await).await;
}

pub fn with_little_patience(config: &mut Config) {
    config.websocket.stall_max = std::time::Duration::from_millis(500);
}

pub async fn never_reads_and_resumes(server: Server) {
    let first = server.publish("t", "first").await;
    let mut stalled = Ws::open(&server.ws("?topic=t")).await;
    stalled.op("subscribed").await;
    for _ in 0..200 {
        server.publish("t", &"z".repeat(100_000)).await;
    }
    server
        .until_metric("tenbells_websockets", |open| open == 0.0)
        .await;
    // What was taken is whole and in order; then the connection is at an end.
    let mut last = offset_of(&first["position"]);
    while let Some(Ok(change)) = stalled.next().await {
        assert_eq!(offset(&change), last + 1);
        last += 1;
    }
    assert!(last < 201, "it was cut off before the end");
    let epoch = first["position"]
        .as_str()
        .expect("position")
        .split('-')
        .next();
    let after = format!("{}-{last}", epoch.expect("epoch"));
    let mut again = Ws::open(&server.ws(&format!("?topic=t&after={after}"))).await;
    again.op("subscribed").await;
    for expected in last + 1..=201 {
        assert_eq!(offset(&again.change().await), expected);
    }
}

/// The body is in no frame that leaves after the acknowledgement, whether the reader is live, replays or is stalled.
#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_body_leaves_on_no_websocket_after_the_acknowledgement() {
    retracted_body_leaves_no_more(Server::start().await).await;
}

pub async fn retracted_body_leaves_no_more(server: Server) {
    let canary = "kumquat";
    for number in 0..80 {
        let text = if number == 40 { canary } else { "fine" };
        let entry = json!({"id": format!("e{number}"), "body": {"text": text}});
        server.publish_entry("t", entry).await;
    }
    let mut live = Ws::open(&server.ws("?topic=t")).await;
    live.op("subscribed").await;
    // Warms the shared runs and pages with the body.
    let mut warm = Ws::open(&server.ws("?topic=t&after=start")).await;
    warm.op("subscribed").await;
    let mut seen = String::new();
    for _ in 0..80 {
        seen += &warm.change().await.to_string();
    }
    assert!(seen.contains(canary));
    server
        .desk("DELETE", "/v1/topics/t/entries/e40")
        .json(&json!({}))
        .expect(200)
        .await;
    assert_eq!(live.change().await["kind"], "entry.retracted");
    let mut after = Ws::open(&server.ws("?topic=t&after=start")).await;
    after.op("subscribed").await;
    for expected in 1..=81 {
        let change = after.change().await;
        assert_eq!(offset(&change), expected);
        assert!(!change.to_string().contains(canary), "{change}");
        if expected == 41 {
            assert_eq!(change["kind"], "entry.redacted");
            assert_eq!(change["id"], "e40");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_middle_of_a_frame_is_cut_off_by_a_retraction() {
    cut_off_by_a_retraction(Server::start().await, 60, 100_000).await;
}

/// What the kernel has of a frame can't be called back, and its rest must not leave: so nothing more comes at all.
pub async fn cut_off_by_a_retraction(server: Server, total: u64, body_bytes: usize) {
    server.publish("t", "first").await;
    let mut stalled = Ws::open(&server.ws("?topic=t&after=start")).await;
    stalled.op("subscribed").await;
    for number in 2..=total {
        let text = "y".repeat(body_bytes);
        let entry = json!({"id": format!("e{number}"), "body": {"text": text}});
        server.publish_entry("t", entry).await;
    }
    server
        .until_metric("tenbells_laggards", |behind| behind == 1.0)
        .await;
    server
        .desk("DELETE", &format!("/v1/topics/t/entries/e{total}"))
        .json(&json!({}))
        .expect(200)
        .await;
    // Whoever asked for the retraction knows by now that the connection is gone.
    server
        .until_metric("tenbells_websockets", |open| open == 0.0)
        .await;
    let mut last = 0;
    while let Some(Ok(change)) = stalled.next().await {
        last += 1;
        assert_eq!(offset(&change), last);
    }
    assert!(last < total, "it was cut off before the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_told_how_many_they_are() {
    let server = Server::start().await;
    server.publish("t", "one").await;
    let mut first = Ws::open(&server.ws("?topic=t")).await;
    first.op("subscribed").await;
    let _second = Ws::open(&server.ws("?topic=t")).await;
    let told = first.next().await.expect("open").expect("a message");
    assert_eq!(told["op"], "presence");
    assert_eq!(told["topic"], "t");
    assert!((1..=2).contains(&told["readers"].as_u64().expect("a number")));
}
