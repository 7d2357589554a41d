//! Embargoes: on no path and without an offset before the release, a change like any other at it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenbells::keys::Role;

use crate::support::Server;
use crate::support::read::offset_of;

/// What an embargoed entry has in every text of it; nothing else in these tests has it.
const CANARY: &str = "kumquat";

fn soon(milliseconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_millis(milliseconds)
}

fn held(id: &str, until: Timestamp) -> Value {
    json!({
        "id": id,
        "headline": format!("{CANARY} {id}"),
        "body": {"text": format!("The {CANARY}")},
        "authors": [{"name": CANARY}],
        "tags": [CANARY],
        "key_event": true,
        "pinned": true,
        "released_at": format!("{until:.3}"),
    })
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("RFC 3339")
}

/// Checks that a reader finds nothing of it anywhere, and that the numbering has no place for it.
async fn no_trace(server: &Server, id: &str) {
    for (path, text) in server.every_path("t").await {
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
    let entry = |id: &str| server.get(&format!("/v1/topics/t/entries/{id}")).send();
    // As long as the other one, so that the lengths are the same.
    let other = "x".repeat(id.len());
    let (hidden, absent) = (entry(id).await.whole(), entry(&other).await.whole());
    assert_eq!((hidden.0, absent.0), (404, 404));
    assert_eq!(hidden.1, absent.1);
    assert_eq!(hidden.2, absent.2.replace(&other, id));
    let head = server.topic("t").await["head"].as_u64().expect("head");
    let from_start = server.streamed("t", "start", head as usize).await;
    assert!(!json!(from_start).to_string().contains(CANARY));
    assert_eq!(server.changes("t", "start").await, from_start);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_entry_is_on_no_path_and_takes_no_offset() {
    let server = Server::start().await;
    let before = server.publish("t", "before").await;
    let position = before["position"].as_str().expect("position");
    let mut sse = server.stream("t", position).await;
    let answer = server.publish_entry("t", held("e", soon(3_600_000))).await;
    assert_eq!(answer["position"], Value::Null);
    assert_eq!(answer["entry"]["headline"], format!("{CANARY} e"));
    no_trace(&server, "e").await;
    // Revised and repeated, it stays where it is.
    let patch = json!({"headline": format!("{CANARY} again")});
    let call = server.desk("PATCH", "/v1/topics/t/entries/e").json(&patch);
    let revised = call.expect(200).await;
    assert_eq!(
        (&revised["position"], &revised["entry"]["revision"]),
        (&Value::Null, &json!(2))
    );
    assert_eq!(server.position("t").await, position);
    // What readers get next is the next change, at the next offset.
    server.publish("t", "after").await;
    let next = sse.change().await;
    assert_eq!(
        (&next.data["offset"], &next.data["entry"]["body_html"]),
        (&json!(2), &json!("<p>after</p>"))
    );
    no_trace(&server, "e").await;
    // A poll that waits is not woken by it either.
    let path = format!("/v1/topics/t/changes?after={}&wait=1", next.id);
    let poll = server.get(&path).expect(200);
    let (poll, _) = tokio::join!(poll, server.publish_entry("t", held("f", soon(3_600_000))));
    assert_eq!(poll["changes"], json!([]));
    // Nor does a topic that nobody knows of give itself away by more than its name.
    server
        .desk("POST", "/v1/topics/u/entries")
        .json(&held("e", soon(3_600_000)))
        .expect(201)
        .await;
    assert_eq!(server.snapshot("u").await, Vec::<Value>::new());
    assert_eq!(server.topic("u").await["head"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_alone_sees_what_is_held() {
    let server = Server::start().await;
    server.publish("t", "before").await;
    let (later, sooner) = (soon(7_200_000), soon(3_600_000));
    server.publish_entry("t", held("later", later)).await;
    server.publish_entry("t", held("sooner", sooner)).await;
    let (publisher, reader) = (
        server.key(Role::Publisher, "*"),
        server.key(Role::Reader, "*"),
    );
    let elsewhere = server.key(Role::Desk, "sport-*");
    let list = "/v1/topics/t/entries?filter=held";
    let answer = server.desk("GET", list).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let ids: Vec<_> = answer.json()["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["id"].clone())
        .collect();
    assert_eq!(ids, ["sooner", "later"], "the next to be released first");
    server.get(list).expect_problem(401, "unauthorized").await;
    for key in [&publisher, &reader, &elsewhere] {
        let call = server.get(list).key(key);
        call.expect_problem(403, "forbidden").await;
        let call = server.get("/v1/topics/t/entries/later").key(key);
        call.expect_problem(404, "entry_not_found").await;
        let call = server.get("/v1/topics/t/audit").key(key);
        call.expect_problem(403, "forbidden").await;
    }
    let answer = server
        .desk("GET", "/v1/topics/t/entries/later")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(
        time(&answer.json()["released_at"]).as_millisecond(),
        later.as_millisecond()
    );
    // The desk's snapshot is everybody's snapshot.
    let page = server.desk("GET", "/v1/topics/t/entries").expect(200).await;
    assert!(!page.to_string().contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn released_it_is_a_change_like_any_other() {
    let server = Server::start().await;
    let before = server.publish("t", "before").await;
    let position = before["position"].as_str().expect("position");
    let mut sse = server.stream("t", position).await;
    let path = format!("/v1/topics/t/changes?after={position}&wait=20");
    let until = soon(700);
    let publish = server.publish_entry("t", held("e", until));
    let (answer, poll) = tokio::join!(publish, server.get(&path).expect(200));
    assert_eq!(answer["position"], Value::Null);
    let event = sse.change().await;
    assert_eq!(poll["changes"], json!([event.data]));
    assert_eq!(
        (event.kind.as_str(), &event.data["offset"]),
        ("entry.published", &json!(2))
    );
    let at = time(&event.data["at"]);
    assert!(
        at >= until - SignedDuration::from_millis(1),
        "{at} is before {until}"
    );
    let mut entry = answer["entry"].clone();
    entry.as_object_mut().expect("entry").remove("body_text");
    assert_eq!(event.data["entry"], entry);
    assert_eq!(
        entry["published_at"], entry["released_at"],
        "the shown time is the release"
    );
    let mut shown = 0;
    for (_, text) in server.every_path("t").await {
        shown += usize::from(text.contains(CANARY));
    }
    assert_eq!(shown, 8, "on every path but the topic's own");
    let held = server
        .desk("GET", "/v1/topics/t/entries?filter=held")
        .expect(200)
        .await;
    assert_eq!(held["entries"], json!([]));
    // The embargo of what readers have can't be set any more; the rest can be revised.
    let revise = |patch: Value| server.desk("PATCH", "/v1/topics/t/entries/e").json(&patch);
    revise(json!({"released_at": format!("{:.3}", soon(3_600_000))}))
        .expect_problem(409, "already_released")
        .await;
    revise(json!({"headline": "Out"})).expect(200).await;
    assert_eq!(sse.change().await.kind, "entry.revised");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_moves_the_release_or_takes_it_back() {
    let server = Server::start().await;
    let before = server.publish("t", "before").await;
    let position = before["position"].as_str().expect("position");
    let mut sse = server.stream("t", position).await;
    for id in ["now", "earlier", "never"] {
        server.publish_entry("t", held(id, soon(3_600_000))).await;
    }
    let path = |id: &str| format!("/v1/topics/t/entries/{id}");
    let dropped = server.desk("DELETE", &path("never")).expect(200).await;
    assert_eq!(dropped["position"], Value::Null);
    no_trace(&server, "never").await;
    // Released at once: the answer has the position, and the readers have it.
    let patch = json!({"released_at": null, "headline": format!("{CANARY} now")});
    let now = server
        .desk("PATCH", &path("now"))
        .json(&patch)
        .expect(200)
        .await;
    assert_eq!(offset_of(&now["position"]), 2);
    assert_eq!(sse.change().await.data["entry"]["id"], "now");
    // Released earlier than was planned, in an ended topic as well.
    server.desk("POST", "/v1/topics/t/end").expect(200).await;
    assert_eq!(sse.change().await.kind, "topic.updated");
    let until = soon(300);
    let patch = json!({"released_at": format!("{until:.3}")});
    server
        .desk("PATCH", &path("earlier"))
        .json(&patch)
        .expect(200)
        .await;
    let event = sse.change().await;
    assert_eq!(
        (&event.data["entry"]["id"], &event.data["offset"]),
        (&json!("earlier"), &json!(4))
    );
    // The dropped id is free again, and leaves no tombstone.
    server
        .get(&path("never"))
        .expect_problem(404, "entry_not_found")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embargo_and_its_release_survive_a_restart() {
    let server = Server::start().await;
    server.publish("t", "before").await;
    let until = soon(1_500);
    server.publish_entry("t", held("soon", until)).await;
    server
        .publish_entry("t", held("later", soon(3_600_000)))
        .await;
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let mut sse = server.stream("t", "start").await;
    assert_eq!(
        sse.change().await.data["entry"]["body_html"],
        "<p>before</p>"
    );
    let event = sse.change().await;
    assert_eq!(
        (&event.data["entry"]["id"], &event.data["offset"]),
        (&json!("soon"), &json!(2))
    );
    let at = time(&event.data["at"]);
    assert!(
        at >= until - SignedDuration::from_millis(1),
        "{at} is before {until}"
    );
    let held = server
        .desk("GET", "/v1/topics/t/entries?filter=held")
        .expect(200)
        .await;
    assert_eq!(held["entries"][0]["id"], "later");
    server
        .get("/v1/topics/t/entries/later")
        .expect_problem(404, "entry_not_found")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_time_that_has_passed_is_no_embargo() {
    let server = Server::start().await;
    let answer = server.publish_entry("t", held("e", soon(-60_000))).await;
    assert_eq!(offset_of(&answer["position"]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_show_moves_with_the_release_unless_it_was_set() {
    let server = Server::start().await;
    let revise = |id: &str, patch: Value| {
        let path = format!("/v1/topics/t/entries/{id}");
        server.desk("PATCH", &path).json(&patch).expect(200)
    };
    let (first, later) = ("2199-01-01T00:00:00Z", "2199-06-01T00:00:00Z");
    let shown = |answer: &Value| time(&answer["entry"]["published_at"]);
    let at = |text: &str| time(&json!(text));
    let set = "2026-11-24T09:00:00Z";
    for (id, published_at) in [("follows", Value::Null), ("set", json!(set))] {
        let mut entry = held(id, at(first));
        if !published_at.is_null() {
            entry["published_at"] = published_at;
        }
        server.publish_entry("t", entry).await;
    }
    let moved = revise("follows", json!({"released_at": later})).await;
    assert_eq!(shown(&moved), at(later));
    // Another revision leaves it there.
    let revised = revise("follows", json!({"headline": "Other"})).await;
    assert_eq!(shown(&revised), at(later));
    let stays = revise("set", json!({"released_at": later})).await;
    assert_eq!(shown(&stays), at(set));
    let before = Timestamp::now();
    let released = revise("follows", json!({"released_at": null})).await;
    assert!(shown(&released) >= before - SignedDuration::from_secs(1));
    assert!(shown(&released) <= Timestamp::now());
    assert!(released["position"].is_string());
    let released = revise("set", json!({"released_at": null})).await;
    assert_eq!(shown(&released), at(set));
}
