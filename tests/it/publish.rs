//! Every call of a publisher: what it answers, and what readers get of it.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::read::offset_of;

/// The entry without what only HTTP answers have.
fn without_text(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let removed = entry.as_object_mut().expect("entry").remove("body_text");
    assert!(removed.is_some(), "an HTTP answer has the text beside it");
    entry
}

fn kinds(changes: &[Value]) -> Vec<&str> {
    changes
        .iter()
        .map(|change| change["kind"].as_str().expect("kind"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_publish_makes_the_topic() {
    let server = Server::start().await;
    server
        .get("/v1/topics/fresh")
        .expect_problem(404, "topic_not_found")
        .await;
    let answer = server
        .desk("POST", "/v1/topics/fresh/entries")
        .json(&json!({"headline": "It is on", "body": {"text": "now"}}))
        .send()
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let published = answer.json();
    let id = published["entry"]["id"].as_str().expect("id");
    assert_eq!(id.len(), 26, "a ULID");
    assert_eq!(offset_of(&published["position"]), 1);
    let location = answer.header("location");
    assert_eq!(location, format!("/v1/topics/fresh/entries/{id}"));
    assert_eq!(server.get(location).expect(200).await, published["entry"]);
    let topic = server.topic("fresh").await;
    assert_eq!(
        (&topic["status"], &topic["head"]),
        (&json!("live"), &json!(1))
    );
    assert_eq!(topic["position"], published["position"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auto_create_a_topic_is_made_by_its_name_alone() {
    let server = Server::start_with(|config| config.topics.auto_create = false).await;
    let entry = json!({"body": {"text": "x"}});
    let publish = || server.desk("POST", "/v1/topics/t/entries").json(&entry);
    publish().expect_problem(404, "topic_not_found").await;
    server
        .desk("PUT", "/v1/topics/t")
        .json(&json!({}))
        .expect(201)
        .await;
    publish().expect(201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_as_markdown_html_or_text() {
    let server = Server::start().await;
    for (body, html, text) in [
        (
            json!({"markdown": "It *rains*:\n\n- here\n- there"}),
            "<p>It <em>rains</em>:</p>\n<ul>\n<li>here</li>\n<li>there</li>\n</ul>",
            "rains",
        ),
        (
            json!({"html": "<p onclick=\"x()\">Calm<script>alert(1)</script></p><svg></svg>"}),
            "<p>Calm</p>",
            "Calm",
        ),
        (
            json!({"text": "1 < 2 & “so”\non\n\nZoë"}),
            "<p>1 &lt; 2 &amp; “so”<br>on</p>",
            "1 < 2 & “so”\non",
        ),
    ] {
        let entry = json!({ "body": body });
        let entry = &server.publish_entry("t", entry).await["entry"];
        let is_html = entry["body_html"].as_str().expect("html");
        assert!(is_html.contains(html), "{body}: {is_html}");
        for bad in ["script", "onclick", "svg"] {
            assert!(!is_html.contains(bad), "{is_html}");
        }
        let is_text = entry["body_text"].as_str().expect("text");
        assert!(is_text.contains(text), "{body}: {is_text}");
        assert!(!is_text.contains("<p>"), "{is_text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_reaches_the_readers_as_it_was_sent() {
    let server = Server::start().await;
    let sent = json!({
        "id": "full-1",
        "headline": "“Number 1”, said Zoë – façade",
        "authors": [
            {"name": "Åsa Öhrn", "type": "person", "url": "https://a.example/asa"},
            {"name": "B. Second", "type": "person"},
            {"name": "Reuters", "type": "organization"},
        ],
        "sources": [{"name": "Port office", "url": "https://port.example/", "role": "statement"}, {"name": "dpa"}],
        "related_links": [{"title": "What it means", "url": "https://a.example/more?a=1&b=2"}],
        "tags": ["ferry", "fog"],
        "key_event": true,
        "pinned": true,
        "verification": "developing",
        "published_at": "2026-11-24T09:00:00.000Z",
    });
    let mut with_body = sent.clone();
    with_body["body"] = json!({"text": "Sails."});
    let published = server.publish_entry("t", with_body).await;
    let entry = &published["entry"];
    for (field, value) in sent.as_object().expect("fields") {
        assert_eq!(&entry[field], value, "{field}");
    }
    assert_eq!(entry["revision"], 1);
    assert_eq!(entry["created_at"], entry["updated_at"]);
    assert_eq!(server.snapshot("t").await, std::slice::from_ref(entry));
    let changes = server.changes("t", "start").await;
    assert_eq!(changes[0]["entry"], without_text(entry));
    assert_eq!(server.streamed("t", "start", 1).await, changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byline_may_be_empty_and_a_headline_alone_is_an_entry() {
    let server = Server::start().await;
    let bare = server
        .publish_entry("t", json!({"headline": "Alone"}))
        .await;
    let entry = &bare["entry"];
    assert_eq!(entry["authors"], json!([]));
    assert_eq!(
        (&entry["body_html"], &entry["body_text"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(
        (&entry["pinned"], &entry["key_event"]),
        (&json!(false), &json!(false))
    );
    for absent in ["verification", "correction", "released_at"] {
        assert!(entry.get(absent).is_none(), "{absent}");
    }
    // An author is a person unless it is said otherwise.
    let signed = json!({"headline": "x", "authors": [{"name": "Ada Lee"}]});
    let signed = server.publish_entry("t", signed).await;
    assert_eq!(
        signed["entry"]["authors"],
        json!([{"name": "Ada Lee", "type": "person"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stored_whole_at_one_position_each() {
    let server = Server::start().await;
    server.publish("t", "before").await;
    let entries: Vec<_> = (0..5)
        .map(|number| json!({"id": format!("b{number}"), "headline": format!("Number {number}")}))
        .collect();
    let answer = server
        .desk("POST", "/v1/topics/t/entries:batch")
        .json(&json!({ "entries": entries }))
        .expect(201)
        .await;
    let answers = answer["entries"].as_array().expect("answers");
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer["entry"]["id"], format!("b{index}"));
        assert_eq!(offset_of(&answer["position"]), index as u64 + 2);
    }
    assert_eq!(answers.len(), 5);
    let changes = server.changes("t", "start").await;
    assert_eq!(changes.len(), 6);
    assert_eq!(changes[5]["entry"]["id"], "b4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_bad_entry_stores_nothing() {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "taken", "headline": "x"}))
        .await;
    let before = server.position("t").await;
    let batch = |second: Value| {
        let body = json!({"entries": [{"id": "good", "headline": "Good"}, second]});
        server
            .desk("POST", "/v1/topics/t/entries:batch")
            .json(&body)
    };
    for (second, field) in [
        (json!({"headline": "x", "tags": [""]}), "entries[1].tags[0]"),
        (json!({"headline": "x", "byline": "y"}), "entries[1].byline"),
        (json!({}), "entries[1].body"),
    ] {
        let problem = batch(second).expect_problem(422, "invalid_field").await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    batch(json!({"id": "taken", "headline": "other"}))
        .expect_problem(409, "entry_exists")
        .await;
    server
        .desk("POST", "/v1/topics/t/entries:batch")
        .json(&json!({"entries": []}))
        .expect_problem(422, "invalid_field")
        .await;
    assert_eq!(server.position("t").await, before);
    server
        .get("/v1/topics/t/entries/good")
        .expect_problem(404, "entry_not_found")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_a_merge_patch_at_the_revision_it_was_made_for() {
    let server = Server::start().await;
    let entry = json!({
        "id": "e", "headline": "One", "body": {"text": "first"},
        "authors": [{"name": "Ada Lee"}], "tags": ["a", "b"], "verification": "unconfirmed",
    });
    server.publish_entry("t", entry).await;
    let revise = |patch: Value, if_match: Option<&str>| {
        let call = server.desk("PATCH", "/v1/topics/t/entries/e").json(&patch);
        match if_match {
            Some(revision) => call.header("if-match", revision),
            None => call,
        }
    };
    let second = revise(json!({"headline": "Two", "tags": ["c"]}), Some("\"1\""))
        .expect(200)
        .await;
    let entry = &second["entry"];
    assert_eq!((&entry["revision"], &entry["id"]), (&json!(2), &json!("e")));
    assert_eq!(
        (&entry["headline"], &entry["tags"]),
        (&json!("Two"), &json!(["c"]))
    );
    assert_eq!(entry["body_html"], "<p>first</p>", "what isn't named stays");
    assert_eq!(offset_of(&second["position"]), 2);

    let stale = revise(json!({"headline": "Late"}), Some("\"1\""))
        .expect_problem(412, "revision_stale")
        .await;
    assert_eq!(stale["current_revision"], 2);
    // Without If-Match, or with any, the last one wins; null takes away.
    revise(json!({"verification": null}), None)
        .expect(200)
        .await;
    let fourth = revise(
        json!({"headline": null, "body": {"text": null, "markdown": "*4*"}}),
        Some("*"),
    )
    .expect(200)
    .await;
    let entry = &fourth["entry"];
    assert_eq!(
        (&entry["revision"], &entry["body_text"]),
        (&json!(4), &json!("4"))
    );
    assert!(entry.get("headline").is_none() && entry.get("verification").is_none());
    // What changes nothing is no change.
    let same = revise(json!({"tags": ["c"]}), None).expect(200).await;
    assert_eq!(same, fourth);
    let changes = server.changes("t", "start").await;
    assert_eq!(
        kinds(&changes),
        [
            "entry.published",
            "entry.revised",
            "entry.revised",
            "entry.revised"
        ]
    );
    assert_eq!(changes[3]["entry"], without_text(entry));
    assert_eq!(server.snapshot("t").await, std::slice::from_ref(entry));
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_key_events_and_corrections_are_revisions() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        server
            .publish_entry("t", json!({"id": id, "headline": id}))
            .await;
    }
    for (id, patch) in [
        ("a", json!({"pinned": true, "key_event": true})),
        (
            "b",
            json!({"key_event": true, "correction": {"note": "It named the wrong quay."}}),
        ),
    ] {
        let path = format!("/v1/topics/t/entries/{id}");
        server.desk("PATCH", &path).json(&patch).expect(200).await;
    }
    let ids = async |filter: &str| -> Vec<String> {
        let path = format!("/v1/topics/t/entries?filter={filter}");
        let page = server.get(&path).expect(200).await;
        let entries = page["entries"].as_array().expect("entries").clone();
        entries
            .iter()
            .map(|entry| entry["id"].as_str().expect("id").to_owned())
            .collect()
    };
    assert_eq!(ids("key_events").await, ["b", "a"]);
    assert_eq!(ids("pinned").await, ["a"]);
    let corrected = server.get("/v1/topics/t/entries/b").expect(200).await;
    assert_eq!(
        corrected["correction"],
        json!({"note": "It named the wrong quay."})
    );
    let page = server.get("/t/t").send().await.text();
    assert!(page.contains("It named the wrong quay."));
    // A later revision keeps the note until it takes it away.
    let patch = async |patch: Value| {
        let call = server.desk("PATCH", "/v1/topics/t/entries/b");
        call.json(&patch).expect(200).await["entry"].clone()
    };
    assert!(
        patch(json!({"pinned": true}))
            .await
            .get("correction")
            .is_some()
    );
    assert!(
        patch(json!({"correction": null}))
            .await
            .get("correction")
            .is_none()
    );
    assert_eq!(ids("pinned").await, ["b", "a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_leaves_a_tombstone_with_its_reason() {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "e", "headline": "Wrong"}))
        .await;
    let retract = |reason: &str| {
        server
            .desk("DELETE", "/v1/topics/t/entries/e")
            .json(&json!({ "reason": reason }))
    };
    let first = retract("Last year’s figures.").expect(200).await;
    let tombstone = &first["tombstone"];
    assert_eq!(tombstone["id"], "e");
    assert_eq!(tombstone["retracted"], true);
    assert_eq!(tombstone["reason"], "Last year’s figures.");
    assert_eq!(offset_of(&first["position"]), 2);
    assert_eq!(
        retract("Another reason.").expect(200).await,
        first,
        "the first one stands"
    );
    let gone = server.get("/v1/topics/t/entries/e").expect(410).await;
    assert_eq!(&gone, tombstone);
    server
        .desk("PATCH", "/v1/topics/t/entries/e")
        .json(&json!({"headline": "Back"}))
        .expect_problem(410, "entry_retracted")
        .await;
    assert_eq!(server.snapshot("t").await, std::slice::from_ref(tombstone));
    let changes = server.changes("t", "start").await;
    assert_eq!(kinds(&changes), ["entry.redacted", "entry.retracted"]);
    assert_eq!(
        (&changes[1]["id"], &changes[1]["reason"]),
        (&json!("e"), &json!("Last year’s figures."))
    );
    // Without a body there is no reason.
    server
        .publish_entry("t", json!({"id": "f", "headline": "x"}))
        .await;
    let bare = server
        .desk("DELETE", "/v1/topics/t/entries/f")
        .expect(200)
        .await;
    assert!(bare["tombstone"].get("reason").is_none());
}
