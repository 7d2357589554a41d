//! Tickets: what a page puts into a URL in place of its token.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};
use tenbells::keys::{KeyFile, Role};

use super::server_with;
use crate::support::jwt::{Signer, claims, now_s};
use crate::support::sse::Sse;
use crate::support::ws::Ws;
use crate::support::{Answer, Server, until};

async fn ask(server: &Server, token: &str, body: &Value) -> Answer {
    let call = server.call(Method::POST, "/v1/tickets").key(token);
    call.json(body).send().await
}

/// A ticket for all that the token is for.
async fn ticket(server: &Server, token: &str) -> String {
    let answer = server
        .call(Method::POST, "/v1/tickets")
        .key(token)
        .expect(201)
        .await;
    assert_eq!(answer["expires_in"], 60);
    answer["ticket"].as_str().expect("a ticket").to_owned()
}

/// The status of an event stream. HEAD: a stream has no end to wait for. It takes the ticket as GET does.
async fn stream(server: &Server, topic: &str, query: &str) -> Answer {
    let path = format!("/v1/topics/{topic}/stream{query}");
    server.call(Method::HEAD, &path).send().await
}

/// The status of a WebSocket's handshake that is refused; 101 where it is not.
async fn handshake(server: &Server, query: &str) -> u16 {
    use tokio_tungstenite::tungstenite::Error;
    match tokio_tungstenite::connect_async(server.ws(query)).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_connection_in_place_of_its_token() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let token = signer.good(&["secret"]);
    let answer = ask(&server, &token, &json!({})).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (201, "no-store")
    );

    let one = ticket(&server, &token).await;
    let url = server.ws(&format!("?topic=secret&after=start&ticket={one}"));
    let mut ws = Ws::open(&url).await;
    ws.op("subscribed").await;
    assert_eq!(ws.change().await["offset"], 1);
    // Used on one transport, it is used on the other.
    assert_eq!(handshake(&server, &format!("?ticket={one}")).await, 401);
    assert_eq!(
        stream(&server, "secret", &format!("?ticket={one}"))
            .await
            .status,
        401
    );

    let two = ticket(&server, &token).await;
    let url = format!(
        "{}/v1/topics/secret/stream?after=start&ticket={two}",
        server.base
    );
    let mut sse = Sse::open(&url, None, None).await;
    assert_eq!(sse.change().await.kind, "topic.updated");
    assert_eq!(
        stream(&server, "secret", &format!("?ticket={two}"))
            .await
            .status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_race_with_one_ticket_get_one_connection() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let token = signer.good(&["secret"]);
    for _ in 0..10 {
        let query = format!("?ticket={}", ticket(&server, &token).await);
        let racing = (0..10).map(|_| stream(&server, "secret", &query));
        let answers = futures_util::future::join_all(racing).await;
        let opened = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!((opened, refused), (1, 9));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_no_more_than_was_asked_and_may_be_had() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let put = server.desk("PUT", "/v1/topics/other");
    put.json(&json!({"visibility": "private"}))
        .expect(201)
        .await;
    let token = signer.good(&["secret", "other", "later-*"]);
    let answer = ask(&server, &token, &json!({"topics": ["secret", "later-1"]})).await;
    let narrow = answer.json()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let mut ws = Ws::open(&server.ws(&format!("?ticket={narrow}"))).await;
    ws.say(json!({"op": "subscribe", "topic": "other"})).await;
    assert_eq!(ws.op("error").await["code"], "topic_not_found");
    ws.say(json!({"op": "subscribe", "topic": "secret"})).await;
    ws.op("subscribed").await;

    for (body, status, code) in [
        (json!({"topics": ["secret", "elsewhere"]}), 403, "forbidden"),
        (json!({"topics": ["absent"]}), 403, "forbidden"),
        (json!({"topics": []}), 422, "invalid_field"),
        (json!({"topics": vec!["secret"; 33]}), 422, "invalid_field"),
        (json!({"topics": ["*"]}), 422, "invalid_field"),
        (json!({"topics": "secret"}), 422, "invalid_field"),
        (json!({"topic": "secret"}), 422, "invalid_field"),
    ] {
        let call = server.call(Method::POST, "/v1/tickets").key(&token);
        call.json(&body).expect_problem(status, code).await;
    }
    let without = server.call(Method::POST, "/v1/tickets");
    without.expect_problem(401, "unauthorized").await;
    // A ticket gets no ticket, and is no key.
    let another = ticket(&server, &token).await;
    let call = server.call(Method::POST, "/v1/tickets").key(&another);
    call.expect_problem(401, "unauthorized").await;
    let call = server.get("/v1/topics/secret").key(&another);
    call.expect_problem(401, "unauthorized").await;
    // Nor is it looked at where a request can have a header.
    let call = server.get(&format!("/v1/topics/secret?ticket={another}"));
    call.expect_problem(404, "topic_not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_is_none_is_refused_for_topics_there_and_not() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    server.publish("open", "x").await;
    let made_up = format!("tk_abcdefgh_{}", "A".repeat(43));
    for ticket in ["", "x", "tk_", "tk__", &made_up, &"x".repeat(2_000)] {
        for topic in ["secret", "absent", "open"] {
            let answer = stream(&server, topic, &format!("?ticket={ticket}")).await;
            assert_eq!(answer.status, 401, "{ticket} {topic}");
        }
        assert_eq!(
            handshake(&server, &format!("?ticket={ticket}")).await,
            401,
            "{ticket}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_for_urls() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let token = signer.good(&["secret"]);
    for name in ["token", "access_token"] {
        assert_eq!(handshake(&server, &format!("?{name}={token}")).await, 400);
        let path = format!("/v1/topics/secret/stream?{name}={token}");
        let problem = server
            .get(&path)
            .expect_problem(400, "invalid_parameter")
            .await;
        assert!(!problem.to_string().contains(&token), "{problem}");
    }
    let query = format!("?ticket={}", ticket(&server, &token).await);
    let call = server
        .get(&format!("/v1/topics/secret/stream{query}"))
        .key(&token);
    call.expect_problem(400, "invalid_parameter").await;
    // What was refused for its form has not been used.
    assert_eq!(stream(&server, "secret", &query).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_by_ticket_ends_with_what_the_ticket_was_got_with() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |config| config.tokens.leeway = Duration::ZERO).await;
    let mut ending = claims(&["secret"]);
    ending["exp"] = json!(now_s() + 3);
    let ending = signer.sign(&ending);
    let (used, unused) = (
        ticket(&server, &ending).await,
        ticket(&server, &ending).await,
    );
    let key = server.key(Role::Publisher, "secret");
    let by_key = ticket(&server, &key).await;
    let mut ws = Ws::open(&server.ws(&format!("?ticket={used}"))).await;
    assert_eq!(ws.closed().await, 4501);
    assert_eq!(
        stream(&server, "secret", &format!("?ticket={unused}"))
            .await
            .status,
        401
    );

    let mut ws = Ws::open(&server.ws(&format!("?topic=secret&ticket={by_key}"))).await;
    ws.op("subscribed").await;
    let file = KeyFile::open(server.folder.path()).expect("key file");
    let id = key.split('_').nth(1).expect("id of the key");
    assert!(file.revoke(id, jiff::Timestamp::now()).is_ok());
    assert_eq!(ws.closed().await, 4501);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_bounded_by_token_and_in_all() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |config| config.tokens.tickets_max = 20).await;
    let token = signer.good(&["secret"]);
    for _ in 0..16 {
        ticket(&server, &token).await;
    }
    let call = server.call(Method::POST, "/v1/tickets").key(&token);
    call.expect_problem(429, "limit_reached").await;
    for _ in 0..4 {
        ticket(&server, &server.desk).await;
    }
    let refused = ask(&server, &server.desk, &json!({})).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (503, Some("unavailable"))
    );
    assert_ne!(refused.header("retry-after"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_to_a_poll_by_ticket_has_the_next_one_in_it() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let token = signer.good(&["secret"]);
    let mut next = ticket(&server, &token).await;
    let mut after = "start".to_owned();
    for round in 0..40 {
        let path = format!("/v1/topics/secret/changes?after={after}&ticket={next}");
        let answer = server.get(&path).send().await;
        assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let again = server.get(&path).send().await;
        assert_eq!(again.status, 401, "it was used");
        answer.header("tenbells-ticket").clone_into(&mut next);
        let position = answer.json()["position"].clone();
        position.as_str().expect("position").clone_into(&mut after);
    }
    // A reset is an answer as well; and the next ticket opens a WebSocket as any other.
    let path = format!("/v1/topics/secret/changes?after=other-7&ticket={next}");
    let answer = server.get(&path).send().await;
    assert_eq!(answer.json()["reset"]["reason"], "epoch_changed");
    let next = answer.header("tenbells-ticket");
    let mut ws = Ws::open(&server.ws(&format!("?topic=secret&ticket={next}"))).await;
    ws.op("subscribed").await;
    // Of a public topic nobody else gets the answer, and the ticket in it, out of a shared cache.
    server.publish("open", "One").await;
    let one = ticket(&server, &token).await;
    let path = format!("/v1/topics/open/changes?after=start&ticket={one}");
    let answer = server.get(&path).send().await;
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let without = server
        .get("/v1/topics/open/changes?after=start")
        .send()
        .await;
    assert_eq!(without.header("tenbells-ticket"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_by_a_ticket_is_answered_by_a_retraction() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |_| {}).await;
    let path = "/v1/topics/secret/changes";
    let by_ticket = async |query: &str, ticket: &str| {
        let path = format!("{path}?{query}&ticket={ticket}");
        let answer = server.call(Method::GET, &path).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        (answer.json(), answer.header("tenbells-ticket").to_owned())
    };
    let token = signer.good(&["secret"]);
    let first = ticket(&server, &token).await;
    let (page, next) = by_ticket("after=start", &first).await;
    let position = page["position"].as_str().expect("a position");
    let query = format!("after={position}&wait=20");
    let retract = async {
        until(async || server.desk("GET", "/v1/topics/secret").expect(200).await["readers"] == 1)
            .await;
        let path = "/v1/topics/secret/entries/e";
        server.desk("DELETE", path).expect(200).await;
    };
    let ((page, next), ()) = tokio::join!(by_ticket(&query, &next), retract);
    assert_eq!(page["changes"][0]["kind"], "entry.retracted", "{page}");
    assert!(next.starts_with("tk_"), "{next}");
}
