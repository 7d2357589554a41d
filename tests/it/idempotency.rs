//! Publishers retry blindly: the same key gives the same answer for ever, and never a second change.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Call, Server};

const KEY: &str = "idempotency-key";

/// The writes of a topic's life, each with a key of its own, in an order that works.
fn writes(server: &Server) -> Vec<Call> {
    let desk = |method: &str, path: &str, body: Value, key: &str| {
        let path = format!("/v1/topics/t{path}");
        server.desk(method, &path).header(KEY, key).json(&body)
    };
    let entries = json!({"entries": [{"headline": "Two"}, {"id": "three", "headline": "Three"}]});
    vec![
        desk("PUT", "", json!({"title": "T"}), "k-put"),
        desk(
            "POST",
            "/entries",
            json!({"body": {"markdown": "“One”"}}),
            "k-publish",
        ),
        desk("POST", "/entries:batch", entries, "k-batch"),
        desk(
            "PATCH",
            "/entries/three",
            json!({"pinned": true}),
            "k-revise",
        ),
        desk("PATCH", "", json!({"language": "en"}), "k-patch"),
        desk(
            "DELETE",
            "/entries/three",
            json!({"reason": "no"}),
            "k-retract",
        ),
        desk(
            "POST",
            "/end",
            json!({"successor": {"title": "Next"}}),
            "k-end",
        ),
        desk("POST", "/reopen", json!({}), "k-reopen"),
    ]
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

async fn all_again(server: &Server, first: &[Answer]) {
    for (call, first) in writes(server).into_iter().zip(first) {
        let again = call.send().await;
        assert!(is_replayed(&again), "{}", again.text());
        assert_eq!(again.status, first.status);
        let (was, is) = (first.json(), again.json());
        // What was retracted since is on no path, so not in a repeated answer either.
        if was.to_string().contains("Three") {
            assert!(!is.to_string().contains("Three"), "{is}");
            continue;
        }
        assert_eq!(is, was);
        assert_eq!(again.header("location"), first.header("location"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer_also_after_a_restart() {
    let server = Server::start().await;
    let mut first = Vec::new();
    for call in writes(&server) {
        let answer = call.send().await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        assert!(!is_replayed(&answer));
        first.push(answer);
    }
    let before = server.changes("t", "start").await;
    all_again(&server, &first).await;
    let server = Server::start_in(server.stop().await, |_| {}).await;
    all_again(&server, &first).await;
    assert_eq!(server.changes("t", "start").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request() {
    let server = Server::start().await;
    for call in writes(&server) {
        call.send().await;
    }
    let before = server.changes("t", "start").await;
    let other = json!({"headline": "Other"});
    for (method, path, key) in [
        ("POST", "/entries", "k-publish"),
        ("POST", "/entries", "k-batch"),
        ("PATCH", "/entries/three", "k-revise"),
        ("PATCH", "/entries/two", "k-publish"),
        ("POST", "/entries", "k-end"),
    ] {
        let path = format!("/v1/topics/t{path}");
        server
            .desk(method, &path)
            .header(KEY, key)
            .json(&other)
            .expect_problem(409, "idempotency_key_reused")
            .await;
    }
    let call = server.desk("PATCH", "/v1/topics/t").header(KEY, "k-patch");
    call.json(&json!({"language": "de"}))
        .expect_problem(409, "idempotency_key_reused")
        .await;
    assert_eq!(server.changes("t", "start").await, before);
    // In another topic the same key is another key.
    let call = server
        .desk("POST", "/v1/topics/u/entries")
        .header(KEY, "k-publish");
    call.json(&other).expect(201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_changes_nothing_is_remembered_as_well() {
    let server = Server::start().await;
    let desk = |server: &Server, method: &str, path: &str, body: Value| {
        server
            .desk(method, &format!("/v1/topics/t{path}"))
            .json(&body)
    };
    let entry = json!({"id": "e", "headline": "One"});
    let held = json!({"id": "h", "headline": "Held", "released_at": "2199-01-01T00:00:00Z"});
    let setup = [
        ("PUT", "", json!({"title": "A"})),
        ("POST", "/entries", entry),
        ("POST", "/entries", held),
        (
            "POST",
            "/entries",
            json!({"id": "gone", "headline": "Gone"}),
        ),
        ("DELETE", "/entries/gone", json!({"reason": "no"})),
    ];
    for (method, path, body) in setup {
        let answer = desk(&server, method, path, body).send().await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }
    let before = server.changes("t", "start").await;
    let writes = [
        ("PUT", "", json!({"title": "A"})),
        ("PATCH", "", json!({"title": "A"})),
        ("POST", "/reopen", json!({})),
        ("PATCH", "/entries/e", json!({"headline": "One"})),
        ("DELETE", "/entries/gone", json!({})),
    ];
    let keyed = |server: &Server, index: usize| {
        let (method, path, body) = writes[index].clone();
        desk(server, method, path, body).header(KEY, &format!("k{index}"))
    };
    let mut first = Vec::new();
    for index in 0..writes.len() {
        let answer = keyed(&server, index).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!is_replayed(&answer));
        first.push(answer.json());
    }
    let call = desk(&server, "PATCH", "/entries/h", json!({"headline": "Held"}));
    call.header(KEY, "k-held").expect(200).await;
    assert_eq!(server.changes("t", "start").await, before);
    // Someone else writes; then the retries come, late.
    let others = [
        ("PATCH", "", json!({"title": "B"})),
        ("POST", "/end", json!({})),
        ("PATCH", "/entries/e", json!({"headline": "Two"})),
        ("PATCH", "/entries/h", json!({"headline": "Other"})),
    ];
    for (method, path, body) in others {
        desk(&server, method, path, body).expect(200).await;
    }
    let after = server.changes("t", "start").await;
    let server = Server::start_in(server.stop().await, |_| {}).await;
    for (index, was) in first.iter().enumerate() {
        let again = keyed(&server, index).send().await;
        assert_eq!((again.status, &again.json()), (200, was), "{index}");
        assert!(is_replayed(&again));
    }
    let call = desk(&server, "PATCH", "/entries/h", json!({"headline": "Held"}));
    assert!(is_replayed(&call.header(KEY, "k-held").send().await));
    let call = desk(&server, "PUT", "", json!({"title": "C"}));
    call.header(KEY, "k0")
        .expect_problem(409, "idempotency_key_reused")
        .await;
    assert_eq!(server.changes("t", "start").await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeated_drop_leaves_the_next_entry_of_that_id_alone() {
    let server = Server::start().await;
    let publish = |entry: Value| server.desk("POST", "/v1/topics/t/entries").json(&entry);
    let drop = || {
        let call = server.desk("DELETE", "/v1/topics/t/entries/h");
        call.header(KEY, "k").json(&json!({}))
    };
    publish(json!({"id": "h", "headline": "Held", "released_at": "2199-01-01T00:00:00Z"}))
        .expect(201)
        .await;
    drop().expect(200).await;
    publish(json!({"id": "h", "headline": "Now"}))
        .expect(201)
        .await;
    let again = drop().send().await;
    assert_eq!((again.status, is_replayed(&again)), (200, true));
    assert_eq!(again.json()["position"], Value::Null);
    assert_eq!(server.topic("t").await["head"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_uses_no_key_up() {
    let server = Server::start().await;
    let publish = |entry: Value| {
        let call = server.desk("POST", "/v1/topics/t/entries");
        call.header(KEY, "k").json(&entry)
    };
    publish(json!({"headlin": "x"}))
        .expect_problem(422, "invalid_field")
        .await;
    publish(json!({"headline": "x"})).expect(201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_the_callers_own_is_enough() {
    let server = Server::start().await;
    let publish = |entry: Value| server.desk("POST", "/v1/topics/t/entries").json(&entry);
    let entry = json!({"id": "wire-1", "headline": "x"});
    let first = publish(entry.clone()).send().await;
    let again = publish(entry.clone()).send().await;
    assert_eq!((first.status, again.status), (201, 201));
    assert!(!is_replayed(&first) && is_replayed(&again));
    assert_eq!(first.json(), again.json());
    publish(json!({"id": "wire-1", "headline": "y"}))
        .expect_problem(409, "entry_exists")
        .await;
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let call = server.desk("POST", "/v1/topics/t/entries").json(&entry);
    assert_eq!(call.expect(201).await, first.json());
    assert_eq!(server.topic("t").await["head"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_retries_store_one_change() {
    let server = Server::start().await;
    let retries = (0..8).map(|_| {
        let call = server.desk("POST", "/v1/topics/t/entries");
        call.header(KEY, "k").json(&json!({"headline": "x"})).send()
    });
    let answers = join_all(retries).await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.json(), answers[0].json());
    }
    let firsts = answers.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(firsts, 1);
    assert_eq!(server.changes("t", "start").await.len(), 1);
}
