//! The three ways to read give the same changes at the same positions, and a cursor of one works on the others.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::sse::Sse;
use crate::support::ws::Ws;

/// A topic with some of everything, and a retraction in the middle.
async fn busy_topic(server: &Server) -> usize {
    let fields = json!({"title": "Harbour", "summary": "What we know"});
    server
        .desk("PUT", "/v1/topics/t")
        .json(&fields)
        .expect(201)
        .await;
    for number in 0..150 {
        let entry = json!({
            "id": format!("e{number}"),
            "headline": format!("“Number {number}”, said Zoë"),
            "body": {"markdown": "It *happened*: ‘quoted “inside”’ – naïve façade"},
        });
        server.publish_entry("t", entry).await;
    }
    server
        .desk("PATCH", "/v1/topics/t/entries/e3")
        .json(&json!({"headline": "Corrected", "correction": {"note": "It said otherwise."}}))
        .expect(200)
        .await;
    server
        .desk("DELETE", "/v1/topics/t/entries/e7")
        .json(&json!({"reason": "wrong harbour"}))
        .expect(200)
        .await;
    server
        .desk("POST", "/v1/topics/t/end")
        .json(&json!({"successor": {"topic": "t2", "title": "Next"}}))
        .expect(200)
        .await;
    154
}

async fn by_ws(server: &Server, after: &str, count: usize) -> Vec<Value> {
    let mut ws = Ws::open(&server.ws(&format!("?topic=t&after={after}"))).await;
    ws.op("subscribed").await;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(ws.change().await);
    }
    changes
}

async fn by_sse(server: &Server, last_id: &str, count: usize) -> Vec<Value> {
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    let mut sse = Sse::open(&url, Some(last_id), None).await;
    let mut changes = Vec::new();
    for _ in 0..count {
        let event = sse.change().await;
        assert_eq!(event.kind, event.data["kind"]);
        let offset = event.data["offset"].as_u64().expect("offset");
        assert!(event.id.ends_with(&format!("-{offset}")), "{}", event.id);
        changes.push(event.data);
    }
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn all_transports_give_the_same_changes_from_anywhere() {
    let server = Server::start().await;
    let count = busy_topic(&server).await;
    let all = server.changes("t", "start").await;
    assert_eq!(all.len(), count);
    for (index, change) in all.iter().enumerate() {
        assert_eq!(change["offset"], index + 1);
    }
    let topic = server.get("/v1/topics/t").expect(200).await;
    let position = topic["position"].as_str().expect("position").to_owned();
    let epoch = position.split('-').next().expect("epoch");
    for from in [0, 1, 63, 64, 65, 100, count - 1] {
        let after = format!("{epoch}-{from}");
        assert_eq!(server.changes("t", &after).await, all[from..], "{after}");
        assert_eq!(by_ws(&server, &after, count - from).await, all[from..]);
        assert_eq!(by_sse(&server, &after, count - from).await, all[from..]);
    }
    // And again from the store alone.
    let folder = server.stop().await;
    let server = Server::start_in(folder, |_| {}).await;
    assert_eq!(server.changes("t", "start").await, all);
    assert_eq!(by_ws(&server, "start", count).await, all);
    assert_eq!(
        by_sse(&server, &format!("{epoch}-5"), count - 5).await,
        all[5..]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn live_changes_arrive_on_all_three() {
    let server = Server::start().await;
    server.publish("t", "first").await;
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    let subscribed = ws.op("subscribed").await;
    assert_eq!(subscribed["head"], 1);
    let position = subscribed["position"]
        .as_str()
        .expect("position")
        .to_owned();
    let url = format!("{}/v1/topics/t/stream?after={position}", server.base);
    let mut sse = Sse::open(&url, None, None).await;
    let poll = server
        .get(&format!("/v1/topics/t/changes?after={position}&wait=20"))
        .expect(200);
    let (polled, published) = tokio::join!(poll, server.publish("t", "second"));
    let change = ws.change().await;
    assert_eq!(change["entry"]["body_html"], "<p>second</p>");
    assert_eq!(change["entry"]["id"], published["entry"]["id"]);
    assert!(
        change["entry"].get("body_text").is_none(),
        "bytes times readers"
    );
    assert_eq!(published["entry"]["body_text"], "second");
    assert_eq!(polled["changes"], json!([change]));
    assert_eq!(polled["position"], published["position"]);
    let event = sse.change().await;
    assert_eq!(event.data, change);
    assert_eq!(event.id, published["position"].as_str().expect("position"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_epoch_or_a_future_position_is_reset_everywhere() {
    let server = Server::start().await;
    server.publish("t", "one").await;
    let topic = server.get("/v1/topics/t").expect(200).await;
    let head = topic["position"].as_str().expect("position").to_owned();
    let epoch = head.split('-').next().expect("epoch").to_owned();
    for (after, reason) in [
        ("zzzzzzz-1".to_owned(), "epoch_changed"),
        (format!("{epoch}-2"), "position_past_head"),
    ] {
        let page = server
            .get(&format!("/v1/topics/t/changes?after={after}&wait=5"))
            .expect(200)
            .await;
        assert_eq!(page["changes"], json!([]));
        assert_eq!(page["reset"], json!({"position": head, "reason": reason}));
        let url = format!("{}/v1/topics/t/stream", server.base);
        let mut sse = Sse::open(&url, Some(&after), None).await;
        let event = sse.change().await;
        assert_eq!(
            (event.kind.as_str(), event.id.as_str()),
            ("reset", head.as_str())
        );
        assert_eq!(event.data["reason"], reason);
        let mut ws = Ws::open(&server.ws("")).await;
        ws.say(json!({"op": "subscribe", "topic": "t", "after": after}))
            .await;
        let reset = ws.op("reset").await;
        assert_eq!(reset["position"], head.as_str());
        assert_eq!(reset["reason"], reason);
    }
    let next = server.publish("t", "two").await;
    assert_ne!(next["position"], head.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_waits_in_vain_says_where_to_go_on() {
    let server = Server::start().await;
    let published = server.publish("t", "one").await;
    let position = published["position"].as_str().expect("position");
    let answer = server
        .get(&format!("/v1/topics/t/changes?after={position}&wait=1"))
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["changes"], json!([]));
    assert_eq!(answer.json()["position"], position);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_cursors_give_equal_cacheable_bytes() {
    let server = Server::start().await;
    for number in 0..5 {
        server.publish("t", &format!("entry {number}")).await;
    }
    let path = "/v1/topics/t/changes?after=start&limit=3";
    assert_eq!(server.changes("t", "start").await.len(), 5);
    let first = server.get(path).send().await;
    server.publish("t", "one more").await;
    assert_eq!(server.changes("t", "start").await.len(), 6);
    let again = server.get(path).send().await;
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("cache-control"), "public, max-age=1");
    assert_eq!(
        (first.header("tenbells-head"), again.header("tenbells-head")),
        ("5", "6")
    );
    let etag = first.header("etag").to_owned();
    let known = server.get(path).header("if-none-match", &etag).send().await;
    assert_eq!((known.status, known.body.len()), (304, 0));
}
