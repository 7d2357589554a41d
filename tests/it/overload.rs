//! More than there is room for: readers wait, publishers don't.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::raw::UPGRADE;
use crate::support::slow::Slow;
use crate::support::sse::Sse;
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server};

/// A client that keeps no connection.
fn fresh() -> reqwest::Client {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    client.build().expect("a client")
}

/// More memory than this process can have, and less than it has.
const PLENTY: u64 = 1 << 50;
const TOO_LITTLE: u64 = 1 << 20;

async fn publish(server: &Server) -> u16 {
    let call = server.call(Method::POST, "/v1/topics/t/entries");
    call.key(&server.desk)
        .json(&json!({"headline": "x"}))
        .send()
        .await
        .status
}

/// Nobody new, each told when to come back; snapshots go on.
async fn expect_no_new_readers(server: &Server) {
    for path in ["/v1/topics/t/stream", "/v1/topics/t/changes?wait=5"] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(
            (1..=5).contains(
                &answer
                    .header("retry-after")
                    .parse::<u32>()
                    .expect("seconds")
            )
        );
    }
    let refused = tokio_tungstenite::connect_async(server.ws("?topic=t")).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("503")));
    server.get("/v1/topics/t/entries").expect(200).await;
}

/// Reads up to offset 3, or to the end: how many were kept, how many closed, and when those are to come back.
async fn read_on(readers: &mut [Ws]) -> (usize, usize, HashSet<u64>) {
    let mut delays = HashSet::new();
    let (mut kept, mut closed) = (0, 0);
    for ws in readers {
        loop {
            match ws.next().await {
                Some(Ok(message)) if message["offset"] == 3 => {
                    kept += 1;
                    break;
                }
                Some(Ok(_)) => {}
                Some(Err((code, reason))) => {
                    closed += 1;
                    if code == 4002 {
                        // It was just being written to.
                        break;
                    }
                    assert_eq!(code, 4001);
                    let delay: u64 = reason.parse().expect("milliseconds");
                    assert!((5_000..65_000).contains(&delay), "{delay}");
                    delays.insert(delay);
                    break;
                }
                None => panic!("cut off without a word"),
            }
        }
    }
    (kept, closed, delays)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_give_way_to_memory_in_steps_and_publishers_do_not() {
    let server = Server::start_with(|config| config.memory.limit_bytes = Some(PLENTY)).await;
    server.publish("t", "x").await;
    let mut readers = Vec::new();
    for _ in 0..40 {
        let mut ws = Ws::open(&server.ws("?topic=t")).await;
        ws.op("subscribed").await;
        readers.push(ws);
    }
    let url = format!("{}/v1/topics/t/stream", server.base);
    let mut sse = Sse::open(&url, None, None).await;
    server
        .until_metric("tenbells_memory_step", |step| step == 0.0)
        .await;
    server.pressure.set_limit(TOO_LITTLE);
    server
        .until_metric("tenbells_memory_step", |step| step == 3.0)
        .await;
    expect_no_new_readers(&server).await;
    // A twentieth of those that are there goes each second, with a delay of its own.
    let left = |most: f64| move |count: f64| count <= most;
    server
        .until_metric("tenbells_websockets ", left(36.0))
        .await;
    assert_eq!(publish(&server).await, 201);
    server.pressure.set_limit(PLENTY);
    server
        .until_metric("tenbells_memory_step", |step| step == 0.0)
        .await;
    assert_eq!(publish(&server).await, 201);
    let (kept, closed, delays) = read_on(&mut readers).await;
    assert!(kept > 0, "not all had to go");
    assert_eq!(kept + closed, 40);
    assert!(
        delays.len() * 2 > closed,
        "each has a delay of its own: {delays:?}"
    );
    // The stream was kept, or was told when to come back; and there is room for new ones.
    let end = async {
        while sse
            .next()
            .await
            .is_some_and(|event| event.data["offset"] != 3)
        {}
    };
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("it goes on or ends");
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.op("subscribed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_far_behind_go_first() {
    let server = Server::start_with(|config| {
        config.memory.limit_bytes = Some(PLENTY);
        // Never.
        config.memory.close_percent = u64::MAX;
    })
    .await;
    server.publish("t", "x").await;
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.op("subscribed").await;
    let mut sse = server.stream("t", "start").await;
    assert_eq!(sse.change().await.data["offset"], 1);
    let mut slow = Slow::asks(&server, "/v1/ws?topic=t", UPGRADE).await;
    slow.until("subscribed").await;
    let mut stream = Slow::asks(&server, "/v1/topics/t/stream", "").await;
    stream.until(": head 1").await;
    // More than the kernel keeps for somebody.
    for offset in 2..=80 {
        server.publish("t", &"z".repeat(100_000)).await;
        assert_eq!(ws.change().await["offset"], offset);
        assert_eq!(sse.change().await.data["offset"], offset);
    }
    let are = |count: f64| move |now: f64| now == count;
    server.until_metric("tenbells_readers ", are(4.0)).await;
    server.pressure.set_limit(TOO_LITTLE);
    server
        .until_metric("tenbells_memory_step", |step| step == 2.0)
        .await;
    server.until_metric("tenbells_readers ", are(2.0)).await;
    for slow in [slow, stream] {
        let came = slow.rest().await.len();
        assert!(came < 7_900_000, "{came} bytes");
    }
    assert_eq!(publish(&server).await, 201);
    assert_eq!(ws.change().await["offset"], 81);
    assert_eq!(sse.change().await.data["offset"], 81);
}

/// Waits until there are the eight connections that say nothing, and no other.
async fn until_silent_alone(server: &Server) {
    server
        .until_metric("tenbells_connections ", |count| count == 8.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_no_publisher_out() {
    let server = Server::start_with(|config| {
        config.http.connections_max = 12;
        config.http.reserved_for_publishers = 4;
        config.http.header_timeout = Duration::from_secs(30);
    })
    .await;
    // Everything but the reserve is taken by whoever says nothing.
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(
            TcpStream::connect(server.address())
                .await
                .expect("connects"),
        );
    }
    until_silent_alone(&server).await;
    // A reader is refused there at once, and its connection ends; a publisher is served.
    let read = fresh()
        .get(format!("{}/v1/topics/t", server.base))
        .send()
        .await
        .expect("an answer");
    assert_eq!(read.status(), 503);
    assert_eq!(read.headers()["connection"], "close");
    assert!(read.headers().contains_key("retry-after"));
    let publish = async || {
        let call = fresh().post(format!("{}/v1/topics/t/entries", server.base));
        let call = call
            .bearer_auth(&server.desk)
            .json(&json!({"headline": "x"}));
        call.send()
            .await
            .map(|answer| answer.status().as_u16())
            .unwrap_or(0)
    };
    assert_eq!(publish().await, 201);
    until_silent_alone(&server).await;
    // In the reserve nobody stays silent for long, however long it may be elsewhere.
    let began = Instant::now();
    let mut in_reserve = Vec::new();
    for _ in 0..4 {
        in_reserve.push(
            TcpStream::connect(server.address())
                .await
                .expect("connects"),
        );
    }
    for stream in &mut in_reserve {
        let mut nothing = [0; 64];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut nothing)).await;
        assert_eq!(
            read.expect("in time").unwrap_or(0),
            0,
            "closed without a word"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    until_silent_alone(&server).await;
    assert_eq!(publish().await, 201);
    drop(silent);
}
