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
