//! permessage-deflate (RFC 7692) over real sockets: who gets it, that it says the same, and what it may not do.

use flate2::{Compress, Compression, FlushCompress};
use serde_json::json;

use crate::support::Server;
use crate::support::frames::{AGREED, Bare, OFFER};

fn deflated(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 << 16);
    Compress::new(Compression::best(), false)
        .compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Sync)
        .expect("compresses");
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn paragraph(number: usize) -> String {
    format!(
        "Update {number}: the harbour bridge is open again in both directions. Ferries run every twenty minutes until \
         midnight, and the council says that the closed lane will be checked once more on Saturday morning. \
         People who left their cars on the quay can fetch them from six o'clock on."
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_ask_get_the_same_changes_in_fewer_bytes() {
    let server = Server::start().await;
    for number in 1..=5 {
        server.publish("harbour", &paragraph(number)).await;
    }
    let query = "?topic=harbour&after=start";
    let mut compressed = Bare::open(&server, query, &[OFFER]).await;
    let mut plain = Bare::open(&server, query, &[]).await;
    assert_eq!(compressed.extensions.as_deref(), Some(AGREED));
    assert_eq!(plain.extensions, None);
    // What is short stays plain: the answer to the subscription.
    assert_eq!(compressed.frame().await.json()["op"], "subscribed");
    assert_eq!(plain.frame().await.json()["op"], "subscribed");
    for number in 6..=8 {
        server.publish("harbour", &paragraph(number)).await;
    }
    for offset in 1..=8 {
        let (small, large) = (compressed.frame().await, plain.frame().await);
        assert_eq!((small.first, large.first), (0xc1, 0x81));
        assert!(small.payload.len() * 10 < large.payload.len() * 7);
        assert_eq!(small.json(), large.json());
        assert_eq!(small.json()["offset"], offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_kept_is_declined_and_another_one_taken() {
    let server = Server::start().await;
    for (offers, agreed) in [
        (&["permessage-deflate; server_max_window_bits=10"][..], None),
        (&["permessage-bzip2"], None),
        (
            &["permessage-deflate; server_max_window_bits=10", OFFER],
            Some(AGREED),
        ),
    ] {
        let bare = Bare::open(&server, "", offers).await;
        assert_eq!(bare.extensions.as_deref(), agreed, "{offers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_turns_it_off() {
    let server = Server::start_with(|config| config.websocket.deflate = false).await;
    let mut bare = Bare::open(&server, "", &[OFFER]).await;
    assert_eq!(bare.extensions, None);
    bare.send(0xc1, &deflated("{}")).await;
    let close = bare.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.payload[..2], 1002_u16.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_sends_compressed_is_read_within_the_limit() {
    let server = Server::start().await;
    server.publish("harbour", "one").await;
    let mut bare = Bare::open(&server, "", &[OFFER]).await;
    let subscribe = json!({"op": "subscribe", "topic": "harbour"}).to_string();
    bare.send(0xc1, &deflated(&subscribe)).await;
    assert_eq!(bare.frame().await.json()["op"], "subscribed");
    let bomb = deflated(&" ".repeat(4_097));
    assert!(bomb.len() < 64);
    bare.send(0xc1, &bomb).await;
    let close = bare.frame().await;
    assert_eq!(close.first, 0x88);
    assert_eq!(close.payload[..2], 1009_u16.to_be_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_body_is_in_no_compressed_frame() {
    let server = Server::start().await;
    let entry = server.publish("harbour", &paragraph(1)).await;
    let mut early = Bare::open(&server, "?topic=harbour&after=start", &[OFFER]).await;
    early.frame().await;
    assert_eq!(early.frame().await.json()["kind"], "entry.published");
    let id = entry["entry"]["id"].as_str().expect("an id");
    server
        .desk("DELETE", &format!("/v1/topics/harbour/entries/{id}"))
        .expect(200)
        .await;
    assert_eq!(early.frame().await.json()["kind"], "entry.retracted");
    let mut late = Bare::open(&server, "?topic=harbour&after=start", &[OFFER]).await;
    late.frame().await;
    assert_eq!(late.frame().await.json()["kind"], "entry.redacted");
}
