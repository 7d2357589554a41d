//! Writing the topic itself: create, change, end with a successor, reopen. Each is a change that readers get.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::read::offset_of;

#[tokio::test(flavor = "multi_thread")]
async fn put_creates_and_replaces_and_patch_changes_some() {
    let server = Server::start().await;
    let fields = json!({
        "title": "Harbour “live”",
        "summary": {"markdown": "What *we* know"},
        "language": "en-GB",
        "key_points": ["Fog", "Ferries are late"],
        "predecessor": {"topic": "harbour-1", "title": "Day 1"},
    });
    let put = |fields: &Value| server.desk("PUT", "/v1/topics/t").json(fields);
    let created = put(&fields).expect(201).await;
    let topic = &created["topic"];
    for field in ["title", "language", "key_points", "predecessor"] {
        assert_eq!(topic[field], fields[field], "{field}");
    }
    assert_eq!(topic["summary"], "What we know");
    assert!(
        topic["summary_html"]
            .as_str()
            .expect("html")
            .contains("<em>we</em>")
    );
    assert_eq!(
        (&topic["revision"], &topic["status"]),
        (&json!(1), &json!("live"))
    );
    assert_eq!(offset_of(&created["position"]), 1);

    let patched = server
        .desk("PATCH", "/v1/topics/t")
        .header("if-match", "\"1\"")
        .json(&json!({"key_points": ["Clear again"], "language": null}))
        .expect(200)
        .await;
    let topic = &patched["topic"];
    assert_eq!(
        (&topic["revision"], &topic["title"]),
        (&json!(2), &fields["title"])
    );
    assert_eq!(topic["key_points"], json!(["Clear again"]));
    assert!(topic.get("language").is_none());
    let stale = server
        .desk("PATCH", "/v1/topics/t")
        .header("if-match", "\"1\"")
        .json(&json!({"title": "Late"}))
        .expect_problem(412, "revision_stale")
        .await;
    assert_eq!(stale["current_revision"], 2);

    let replaced = put(&json!({"title": "Anew"})).expect(200).await;
    let topic = &replaced["topic"];
    assert_eq!(
        (&topic["title"], &topic["key_points"]),
        (&json!("Anew"), &json!([]))
    );
    assert!(topic.get("summary").is_none() && topic.get("predecessor").is_none());
    let changes = server.changes("t", "start").await;
    assert_eq!(changes.len(), 3);
    for (change, answer) in changes.iter().zip([&created, &patched, &replaced]) {
        assert_eq!(change["kind"], "topic.updated");
        assert_eq!(change["state"], answer["topic"]);
        assert_eq!(change["offset"], offset_of(&answer["position"]));
    }
    // Putting what is there already is no change.
    assert_eq!(put(&json!({"title": "Anew"})).expect(200).await, replaced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_can_not_be_patched_ended_or_reopened() {
    let server = Server::start().await;
    for (method, path) in [
        ("PATCH", "/v1/topics/none"),
        ("POST", "/v1/topics/none/end"),
        ("POST", "/v1/topics/none/reopen"),
        ("PATCH", "/v1/topics/none/entries/e"),
        ("DELETE", "/v1/topics/none/entries/e"),
    ] {
        let call = server.desk(method, path).json(&json!({}));
        call.expect_problem(404, "topic_not_found").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_topic_reaches_open_readers_with_its_successor() {
    let server = Server::start().await;
    let published = server
        .publish_entry("t", json!({"id": "e", "headline": "Last"}))
        .await;
    let position = published["position"].as_str().expect("position");
    let mut sse = server.stream("t", position).await;
    let successor = json!({"topic": "t2", "title": "The morning after"});
    let ended = server
        .desk("POST", "/v1/topics/t/end")
        .json(&json!({ "successor": successor }))
        .expect(200)
        .await;
    assert_eq!(ended["topic"]["status"], "ended");
    assert_eq!(ended["topic"]["successor"], successor);
    assert!(ended["topic"]["ended_at"].is_string());
    let event = sse.change().await;
    assert_eq!(event.kind, "topic.updated");
    assert_eq!(event.data["state"], ended["topic"]);
    assert_eq!(event.id, ended["position"].as_str().expect("position"));

    let publish = |id: &str| {
        server
            .desk("POST", "/v1/topics/t/entries")
            .json(&json!({"id": id, "headline": "Late"}))
    };
    publish("late").expect_problem(409, "topic_ended").await;
    server
        .desk("POST", "/v1/topics/t/entries:batch")
        .json(&json!({"entries": [{"headline": "Late"}]}))
        .expect_problem(409, "topic_ended")
        .await;
    // Corrections and retractions still come, and a retried publish from before the end still has its answer.
    server
        .desk("PATCH", "/v1/topics/t/entries/e")
        .json(&json!({"correction": {"note": "Not the last."}}))
        .expect(200)
        .await;
    let event = sse.change().await;
    assert_eq!(
        (event.kind.as_str(), &event.data["offset"]),
        ("entry.revised", &json!(3))
    );
    server
        .desk("DELETE", "/v1/topics/t/entries/e")
        .expect(200)
        .await;
    assert_eq!(sse.change().await.kind, "entry.retracted");

    let reopened = server.desk("POST", "/v1/topics/t/reopen").expect(200).await;
    assert_eq!(reopened["topic"]["status"], "live");
    for gone in ["successor", "ended_at"] {
        assert!(reopened["topic"].get(gone).is_none(), "{gone}");
    }
    assert_eq!(sse.change().await.data["state"], reopened["topic"]);
    publish("late").expect(201).await;
    assert_eq!(sse.change().await.data["entry"]["id"], "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_needs_no_successor_and_ending_again_changes_it() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    let end = |body: Value| server.desk("POST", "/v1/topics/t/end").json(&body);
    let bare = server.desk("POST", "/v1/topics/t/end").expect(200).await;
    assert!(bare["topic"].get("successor").is_none());
    let elsewhere = json!({"url": "https://news.example/day-2?a=1&b=2"});
    let again = end(json!({ "successor": elsewhere })).expect(200).await;
    assert_eq!(again["topic"]["successor"], elsewhere);
    assert_eq!(again["topic"]["ended_at"], bare["topic"]["ended_at"]);
    let page = scraper::Html::parse_document(&server.get("/t/t").send().await.text());
    let links = scraper::Selector::parse("a[href]").expect("selector");
    let mut targets = page.select(&links).filter_map(|link| link.attr("href"));
    assert!(targets.any(|target| elsewhere["url"] == target));
    for (bad, field) in [
        (
            json!({"successor": {"topic": "b", "url": "https://a.example/"}}),
            "successor",
        ),
        (
            json!({"successor": {"url": "javascript:alert(1)"}}),
            "successor.url",
        ),
        (json!({"successor": {"topic": "NO"}}), "successor.topic"),
        (json!({"next": "b"}), "next"),
    ] {
        let problem = end(bad).expect_problem(422, "invalid_field").await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    assert_eq!(server.topic("t").await["head"], 3);
}
