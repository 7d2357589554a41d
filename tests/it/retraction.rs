//! Retractions: after the acknowledgement the body is on no path, and after the next compaction in no byte on disk.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::bytes::{holds, until_gone};
use crate::support::slow::Slow;
use crate::support::sse::Sse;

/// In every text of the retracted entry, and nowhere else.
const CANARY: &str = "kumquat";

fn wrong(id: &str) -> Value {
    json!({
        "id": id,
        "headline": format!("“{CANARY}” in the headline"),
        "body": {"markdown": format!("A *{CANARY}* <!-- {CANARY} in the raw form alone -->")},
        "authors": [{"name": format!("A. {CANARY}"), "url": format!("https://{CANARY}.example/")}],
        "sources": [{"name": CANARY}],
        "related_links": [{"title": CANARY, "url": format!("https://a.example/{CANARY}")}],
        "tags": [CANARY],
        "key_event": true,
        "pinned": true,
    })
}

/// A topic in which the entry `e` was published, revised and pinned among others.
async fn with_a_wrong_entry() -> (Server, Vec<Value>) {
    let server = Server::start().await;
    server.publish("t", "first").await;
    // From its first reader on, the topic keeps what follows in memory as well.
    assert_eq!(server.changes("t", "start").await.len(), 1);
    server.publish_entry("t", wrong("e")).await;
    server.publish("t", "between").await;
    let path = "/v1/topics/t/entries/e";
    for patch in [
        json!({"body": {"markdown": null, "text": format!("still the {CANARY}")}}),
        json!({"headline": "Innocent", "correction": {"note": format!("no {CANARY}")}}),
    ] {
        server.desk("PATCH", path).json(&patch).expect(200).await;
    }
    server.publish("t", "last").await;
    let before = server.changes("t", "start").await;
    assert_eq!(before.len(), 6);
    (server, before)
}

async fn retract(server: &Server, id: &str) -> Value {
    server
        .desk("DELETE", &format!("/v1/topics/t/entries/{id}"))
        .json(&json!({"reason": "It was wrong."}))
        .expect(200)
        .await
}

/// Checks every path there is, each right after the other.
async fn is_gone(server: &Server, changes: usize) {
    for (path, text) in server.every_path("t").await {
        assert!(!text.contains(CANARY), "{path}: {text}");
    }
    let list = server.desk("GET", "/v1/topics/t/audit").expect(200).await;
    assert!(!list.to_string().contains(CANARY), "{list}");
    let gone = server.get("/v1/topics/t/entries/e").send().await;
    assert_eq!(gone.status, 410);
    assert!(!gone.text().contains(CANARY));
    let replay = server.streamed("t", "start", changes).await;
    assert!(!json!(replay).to_string().contains(CANARY));
    let epoch = server.position("t").await;
    let epoch = epoch.split('-').next().expect("an epoch");
    for from in 0..changes {
        let after = format!("{epoch}-{from}");
        assert_eq!(server.changes("t", &after).await, replay[from..], "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_body_is_on_no_path() {
    let (server, before) = with_a_wrong_entry().await;
    let shown = server.every_path("t").await;
    let shown = shown.iter().filter(|(_, text)| text.contains(CANARY));
    assert_eq!(shown.count(), 8, "it was on every path but the topic's own");
    let position = server.position("t").await;
    let mut live = server.stream("t", &position).await;
    let answer = retract(&server, "e").await;
    is_gone(&server, 7).await;
    let event = live.change().await;
    assert_eq!(event.kind, "entry.retracted");
    assert_eq!(event.id, answer["position"].as_str().expect("position"));
    assert_eq!(
        (&event.data["id"], &event.data["reason"]),
        (&json!("e"), &json!("It was wrong."))
    );
    assert!(event.data.get("entry").is_none());

    let after = server.changes("t", "start").await;
    for (was, is) in before.iter().zip(&after) {
        let mine = was["entry"]["id"] == "e";
        if mine {
            let redacted = json!({
                "topic": "t", "offset": was["offset"], "at": was["at"],
                "kind": "entry.redacted", "id": "e",
            });
            assert_eq!(is, &redacted, "at its own offset and time");
        } else {
            assert_eq!(is, was, "the others stay as they were");
        }
    }
    assert_eq!(after[6], event.data);
    // And from the store alone.
    let server = Server::start_in(server.stop().await, |_| {}).await;
    assert_eq!(server.changes("t", "start").await, after);
    is_gone(&server, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_middle_gets_no_retracted_body_after_the_acknowledgement() {
    let (server, _) = with_a_wrong_entry().await;
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    let mut sse = Sse::open(&url, None, None).await;
    assert_eq!(sse.change().await.data["offset"], 1);
    let first = server.changes("t", "start").await;
    retract(&server, "e").await;
    // It resumes where it was, by what it remembers.
    let last_id = sse.last_id.clone();
    drop(sse);
    let mut sse = Sse::open(&url, Some(&last_id), None).await;
    let next = sse.change().await;
    assert_eq!(
        (next.kind.as_str(), &next.data["offset"]),
        ("entry.redacted", &json!(2))
    );
    assert_eq!(sse.change().await.data, first[2]);
}

/// How long a topic without readers stays in memory where that matters.
const IDLE: std::time::Duration = std::time::Duration::from_millis(50);
/// How often the canary stands in an entry that is larger than what the kernel keeps for a reader that takes nothing.
const MANY: usize = 9_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_being_sent_a_retracted_body_is_cut_off() {
    let server = Server::start().await;
    let long = format!("{CANARY}&&&&&&&&&&").repeat(MANY);
    server
        .publish_entry("t", json!({"id": "e", "body": {"text": long}}))
        .await;
    let mut slow = Slow::asks(&server, "/v1/topics/t/stream?after=start", "").await;
    slow.until(CANARY).await;
    retract(&server, "e").await;
    let came = slow.rest().await.matches(CANARY).count();
    assert!(came < MANY, "{came} of {MANY}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_being_sent_a_retracted_body_is_cut_off() {
    let long = format!("{CANARY}&&&&&&&&&&").repeat(MANY);
    let other = "Calm seas. ".repeat(14_000);
    for path in [
        "/v1/topics/t/entries",
        "/v1/topics/t/entries/e",
        "/v1/topics/t/changes?after=start",
        "/t/t",
        "/t/t?page=1",
        "/t/t/fragment",
        "/v1/topics/t/feed.atom",
        "/v1/topics/t/feed.json",
        "/v1/topics/t/liveblog.jsonld",
    ] {
        let server = Server::start().await;
        // Whichever comes first, the kernel does not keep all that is in front of it.
        for _ in 0..3 {
            server.publish("t", &other).await;
        }
        let entry = json!({"id": "e", "body": {"text": long}});
        server.publish_entry("t", entry).await;
        for _ in 0..3 {
            server.publish("t", &other).await;
        }
        server.publish("other", "x").await;
        let whole = server.get(path).send().await;
        let many = whole.text().matches(CANARY).count();
        assert!(many >= MANY, "{path} has {many}");
        let mut slow = Slow::asks(&server, path, "").await;
        let mut beside = Slow::asks(&server, path, "").await;
        for slow in [&mut slow, &mut beside] {
            slow.until("200 OK").await;
        }
        // What is taken back elsewhere does not hurt it.
        let elsewhere = server.publish("other", "y").await;
        let id = elsewhere["entry"]["id"].as_str().expect("an id");
        let elsewhere = format!("/v1/topics/other/entries/{id}");
        server.desk("DELETE", &elsewhere).expect(200).await;
        assert_eq!(
            beside.all(whole.text().len()).await.matches(CANARY).count(),
            many
        );

        retract(&server, "e").await;
        let came = slow.rest().await.matches(CANARY).count();
        assert!(came < many, "{path}: {came} of {many}");
    }
}

/// A request with a key and a body.
fn request(server: &Server, method: &str, path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        server.desk,
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_whoever_wrote_it_as_well() {
    // As it was sent, each quotation mark takes two bytes.
    let long = format!("{CANARY}{}", "\"".repeat(10)).repeat(MANY);
    let entry = json!({"id": "e", "body": {"text": long}});
    let entries = "/v1/topics/t/entries";
    let batch = json!({"entries": [{"body": {"text": "Calm seas. ".repeat(14_000)}}, entry]});
    let writes = [
        ("POST", entries.to_owned(), entry.clone(), false),
        ("POST", format!("{entries}:batch"), batch, false),
        (
            "PATCH",
            format!("{entries}/e"),
            json!({"pinned": true}),
            true,
        ),
        // A topic that nobody uses has nowhere to note what was retracted.
        ("GET", format!("{entries}/e/source"), json!({}), true),
    ];
    for (method, path, body, is_there) in writes {
        let server = Server::start().await;
        if is_there {
            server.publish_entry("t", entry.clone()).await;
        }
        let mut slow = Slow::asks(&server, "/healthz", "").await;
        slow.until("\r\n\r\n").await;
        // What was sent is less than the kernel keeps, so it is asked for three times.
        let times = if method == "GET" { 3 } else { 1 };
        let request = request(&server, method, &path, &body);
        slow.says(&request.repeat(times)).await;
        slow.until(" 20").await;
        slow.until(CANARY).await;
        retract(&server, "e").await;
        let came = slow.rest().await.matches(CANARY).count();
        // As HTML and as text, or as it was sent.
        let many = if method == "GET" { 3 * MANY } else { 2 * MANY };
        assert!(came < many, "{method} {path}: {came} of {many}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_cut_off_when_its_topic_is_hidden() {
    let long = format!("{CANARY}&&&&&&&&&&").repeat(MANY);
    for path in ["/v1/topics/t/stream?after=start", "/v1/topics/t/entries"] {
        let server = Server::start().await;
        let entry = json!({"id": "e", "body": {"text": long}});
        server.publish_entry("t", entry).await;
        let mut slow = Slow::asks(&server, path, "").await;
        slow.until(CANARY).await;
        let hide = server.desk("PATCH", "/v1/topics/t");
        hide.json(&json!({"visibility": "private"}))
            .expect(200)
            .await;
        let came = slow.rest().await.matches(CANARY).count();
        assert!(came < MANY, "{path}: {came} of {MANY}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_of_another_topic_before_is_nothing_to_the_next_answer() {
    let server = Server::start().await;
    let long = "Calm seas &&&&&&&&&&. ".repeat(7_000);
    for topic in ["t", "other"] {
        let entry = json!({"id": "e", "body": {"text": long}});
        server.publish_entry(topic, entry).await;
    }
    // The topic of the first answer has had a retraction that the other one has not.
    server
        .publish_entry("t", json!({"id": "first", "headline": "x"}))
        .await;
    retract(&server, "first").await;
    let length = async |path: &str| server.get(path).send().await.text().len();
    let path = "/v1/topics/t/entries";
    let mut slow = Slow::asks(&server, path, "").await;
    // The connection waits for room here, so that it is known as one of this topic's.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    slow.all(length(path).await).await;
    let other = "/v1/topics/other/entries";
    slow.says(&format!("GET {other} HTTP/1.1\r\nhost: t\r\n\r\n"))
        .await;
    slow.until("200 OK").await;
    retract(&server, "e").await;
    slow.all(length(other).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_under_way_for_long_is_cut_off_all_the_same() {
    let server = Server::start_with(|config| config.topics.idle = IDLE).await;
    let long = format!("{CANARY}&&&&&&&&&&").repeat(MANY);
    server
        .publish_entry("t", json!({"id": "first", "headline": "x"}))
        .await;
    retract(&server, "first").await;
    server
        .publish_entry("t", json!({"id": "e", "body": {"text": long}}))
        .await;
    let mut slow = Slow::asks(&server, "/v1/topics/t/entries", "").await;
    slow.until(CANARY).await;
    // Meanwhile nobody else uses the topic, for far longer than it is kept in memory.
    tokio::time::sleep(IDLE * 4).await;
    retract(&server, "e").await;
    let came = slow.rest().await.matches(CANARY).count();
    assert!(came < MANY, "{came} of {MANY}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_answer_as_well() {
    let server = Server::start().await;
    // Little of it can be left out, and it is more than the kernel keeps.
    for number in 0..8u64 {
        let noise = (0..6_000).map(|at: u64| {
            let mixed = (number * 6_000 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{:016x}", mixed ^ (mixed >> 29))
        });
        let body: String = noise.collect();
        let id = format!("e{number}");
        let entry = json!({"id": id, "body": {"text": body}});
        server.publish_entry("t", entry).await;
    }
    let path = "/v1/topics/t/entries";
    let whole = Slow::asks(
        &server,
        path,
        "accept-encoding: gzip\r\nconnection: close\r\n",
    )
    .await;
    let whole = whole.rest().await;
    assert!(
        whole.contains("content-encoding: gzip"),
        "{}",
        &whole[..500]
    );
    assert!(whole.ends_with("\r\n0\r\n\r\n"), "it is sent to its end");
    let mut slow = Slow::asks(&server, path, "accept-encoding: gzip\r\n").await;
    slow.until("content-encoding: gzip").await;
    // The oldest is the last in it.
    retract(&server, "e0").await;
    let came = slow.rest().await;
    assert!(
        came.len() < whole.len(),
        "{} of {}",
        came.len(),
        whole.len()
    );
    assert!(!came.ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_kept_are_void_after_a_retraction() {
    let (server, _) = with_a_wrong_entry().await;
    let paths = [
        "/v1/topics/t/entries",
        "/v1/topics/t/entries/e",
        "/v1/topics/t/changes?after=start",
        "/t/t",
        "/v1/topics/t/feed.atom",
        "/v1/topics/t/feed.json",
        "/v1/topics/t/liveblog.jsonld",
    ];
    let mut tags = Vec::new();
    for path in paths {
        let answer = server.get(path).send().await;
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=1",
            "{path}"
        );
        tags.push(answer.header("etag").to_owned());
    }
    retract(&server, "e").await;
    for (path, tag) in paths.into_iter().zip(tags) {
        let answer = server.get(path).header("if-none-match", &tag).send().await;
        let expected = if path.ends_with("/e") { 410 } else { 200 };
        assert_eq!(answer.status, expected, "{path}");
        assert!(!answer.text().contains(CANARY), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_publish_does_not_bring_it_back() {
    let server = Server::start().await;
    let publish = || {
        let call = server.desk("POST", "/v1/topics/t/entries");
        call.header("idempotency-key", "k").json(&wrong("e"))
    };
    publish().expect(201).await;
    retract(&server, "e").await;
    let again = publish().send().await;
    assert!(!again.text().contains(CANARY), "{}", again.text());
    assert_eq!(server.changes("t", "start").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_compaction_no_byte_of_it_is_in_the_data_folder() {
    let (server, _) = with_a_wrong_entry().await;
    assert!(holds(server.folder.path(), CANARY), "it was on disk");
    retract(&server, "e").await;
    until_gone(server.folder.path(), CANARY).await;
    is_gone(&server, 7).await;
    let folder = server.stop().await;
    assert!(!holds(folder.path(), CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_embargo_leaves_no_byte_either() {
    let server = Server::start().await;
    server.publish("t", "first").await;
    let mut held = wrong("h");
    held["released_at"] = json!("2999-01-01T00:00:00Z");
    server.publish_entry("t", held).await;
    assert!(holds(server.folder.path(), CANARY), "it was on disk");
    retract(&server, "h").await;
    until_gone(server.folder.path(), CANARY).await;
}

/// Tools repeat a request while the first is under way: whoever is answered first, the body is gone by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_that_is_asked_for_five_times_at_once_is_gone_at_each_answer() {
    let server = Server::start().await;
    server.publish("t", "first").await;
    for round in 0..10 {
        let (id, canary) = (format!("e{round}"), format!("{CANARY}{round}x"));
        let entry = json!({"id": id, "body": {"text": canary}});
        server.publish_entry("t", entry).await;
        let path = format!("/v1/topics/t/entries/{id}");
        let asked = (0..5).map(|_| async {
            server
                .desk("DELETE", &path)
                .header("idempotency-key", &format!("take-back-{round}"))
                .json(&json!({}))
                .expect(200)
                .await;
            let replay = server.get("/v1/topics/t/changes?after=start&limit=1000");
            let text = replay.send().await.text();
            assert!(!text.contains(&canary), "{text}");
        });
        futures_util::future::join_all(asked).await;
    }
}
