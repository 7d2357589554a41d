//! Floods of what costs the sender nothing: control frames, empty fragments, empty messages. Each is answered within the
//! rate of a reader (128 at once, 20 a second), and then closed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Server;
use crate::support::frames::Bare;

/// Messages that a reader may send at once.
const BURST: usize = 128;
/// What may come back of the burst while a test sends: two seconds' worth.
const EARNED: usize = 40;
/// A masked frame without a payload.
const EMPTY: [u8; 5] = [0x80, 0, 0, 0, 0];

fn frames(first: u8, count: usize) -> Vec<u8> {
    let one: Vec<u8> = std::iter::once(first).chain(EMPTY).collect();
    one.repeat(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_within_the_rate_and_not_beyond() {
    let server = Server::start().await;
    let mut bare = Bare::open(&server, "", &[]).await;
    bare.send_raw(&frames(0x89, BURST)).await;
    for _ in 0..BURST {
        assert_eq!(bare.frame().await.first, 0x8a);
    }
    let mut bare = Bare::open(&server, "", &[]).await;
    bare.send_raw(&frames(0x89, 5_000)).await;
    let (code, pongs) = bare.closed().await;
    assert_eq!(code, 4502);
    assert!((BURST..=BURST + EARNED).contains(&pongs), "{pongs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_is_too_small_to_be_counted() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    for (what, flood) in [
        ("pongs", frames(0x8a, 5_000)),
        (
            "empty fragments",
            [frames(0x01, 1), frames(0x00, 5_000)].concat(),
        ),
        (
            "fragments with pings between",
            [
                frames(0x01, 1),
                [frames(0x00, 1), frames(0x8a, 1)].concat().repeat(2_500),
            ]
            .concat(),
        ),
        ("empty messages", frames(0x81, 5_000)),
    ] {
        let mut bare = Bare::open(&server, "?topic=t", &[]).await;
        assert_eq!(bare.frame().await.json()["op"], "subscribed");
        bare.send_raw(&flood).await;
        let (code, pongs) = bare.closed().await;
        assert_eq!((code, pongs), (4502, 0), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_takes_no_answer_is_cut_off() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    // Neither reads: what is kept for them is bounded, and they are gone when they have said too much.
    let payload = [0x89, 0x80 | 125, 0, 0, 0, 0]
        .into_iter()
        .chain([b'x'; 125]);
    let ping: Vec<u8> = payload.collect();
    let mut floods = Vec::new();
    for _ in 0..20 {
        let mut bare = Bare::open(&server, "?topic=t", &[]).await;
        bare.send_raw(&ping.repeat(2_000)).await;
        floods.push(bare);
    }
    server
        .until_metric("tenbells_websockets ", |count| count == 0.0)
        .await;
    let mut reader = Bare::open(&server, "?topic=t&after=start", &[]).await;
    assert_eq!(reader.frame().await.json()["op"], "subscribed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_never_ends_does_not_stay_without_a_subscription() {
    let server = Server::start_with(|config| {
        config.websocket.first_subscribe = Duration::from_millis(300);
    })
    .await;
    let began = Instant::now();
    for beginning in [
        vec![0x01, 0x81, 0, 0, 0, 0, b'{'],
        vec![0x81],
        vec![0x81, 0x80 | 126, 0x0f],
        vec![0x89, 0x80 | 125, 0, 0],
    ] {
        let mut bare = Bare::open(&server, "", &[]).await;
        bare.send_raw(&beginning).await;
        assert_eq!(bare.closed().await, (4003, 0), "{beginning:?}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    // Subscribed, it costs what it has sent, which is bounded, and its topic goes on.
    server.publish("t", "x").await;
    let mut bare = Bare::open(&server, "?topic=t", &[]).await;
    bare.frame().await;
    bare.send_raw(&[0x01, 0x81, 0, 0, 0, 0, b'{']).await;
    server.publish("t", "y").await;
    assert_eq!(bare.frame().await.json()["offset"], json!(2));
}
