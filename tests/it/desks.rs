//! Who else is at a topic's desk: sessions that say they are there, their rules and their limits.

use reqwest::Method;
use serde_json::{Value, json};
use tenbells::keys::Role;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn desks_of_a_topic_see_each_other() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    server.publish("u", "x").await;
    let other = server.key(Role::Desk, "*");
    let stay = async |key: &str, topic: &str, session: &str, body: Value| {
        let path = format!("/v1/topics/{topic}/desks/{session}");
        server
            .call(Method::PUT, &path)
            .key(key)
            .json(&body)
            .expect(200)
            .await
    };
    let first = stay(&server.desk, "t", "session-1", json!({"name": " Ada "})).await;
    assert_eq!(
        (&first["topic"], &first["expires_in"]),
        (&json!("t"), &json!(30))
    );
    assert_eq!(first["desks"][0]["name"], "Ada");
    assert_eq!(first["desks"][0]["own"], true);
    let body = json!({"name": "Ben", "entry": "gate-3"});
    let second = stay(&other, "t", "session-2", body).await;
    let desks = second["desks"].as_array().expect("desks");
    let seen: Vec<_> = desks
        .iter()
        .map(|desk| {
            (
                desk["name"].as_str(),
                desk["entry"].as_str(),
                desk.get("own"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some("Ada"), None, None),
            (Some("Ben"), Some("gate-3"), Some(&json!(true)))
        ]
    );
    assert_eq!(desks[0]["key"], server.desk[3..11]);
    assert!(
        !second.to_string().contains("session-"),
        "sessions are shown to nobody"
    );
    let elsewhere = stay(&other, "u", "session-2", json!({"name": "Ben"})).await;
    assert_eq!(elsewhere["desks"].as_array().map(Vec::len), Some(1));

    // The list of topics has their number, for those who may know.
    let listed = async |key: &str| {
        let list = server.get("/v1/topics?match=t").key(key).expect(200).await;
        list["topics"][0].get("desks").cloned()
    };
    assert_eq!(listed(&other).await, Some(json!(2)));
    let publisher = server.key(Role::Publisher, "*");
    assert_eq!(listed(&publisher).await, None);

    // A key can't close another one's desk, and closing twice is no error.
    for (key, left) in [(&other, 2), (&server.desk, 1), (&server.desk, 1)] {
        let path = "/v1/topics/t/desks/session-1";
        server.call(Method::DELETE, path).key(key).expect(200).await;
        let seen = stay(&other, "t", "session-2", json!({"name": "Ben"})).await;
        assert_eq!(seen["desks"].as_array().map(Vec::len), Some(left));
    }
    // Readers are told of no desk, in no answer.
    for path in ["/v1/topics/t", "/t/t", "/v1/topics/t/entries"] {
        assert!(
            !server.get(path).send().await.text().contains("Ben"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_keeps_to_its_rules_and_limits() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    let stay = |session: &str, body: Value| {
        let path = format!("/v1/topics/t/desks/{session}");
        server.desk("PUT", &path).json(&body)
    };
    for session in ["short", &"a".repeat(65), "with.dots.in.it"] {
        let call = stay(session, json!({"name": "Ada"}));
        call.expect_problem(400, "invalid_parameter").await;
    }
    for (body, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"name": "a".repeat(101)}), "name"),
        (json!({"name": "Ada", "entry": ".."}), "entry"),
        (json!({"name": "Ada", "colour": "red"}), "colour"),
    ] {
        let problem = stay("session-1", body)
            .expect_problem(422, "invalid_field")
            .await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    let call = server.desk("PUT", "/v1/topics/none/desks/session-1");
    let call = call.json(&json!({"name": "Ada"}));
    call.expect_problem(404, "topic_not_found").await;
    for n in 0..32 {
        let call = stay(&format!("session-{n}"), json!({"name": "Ada"}));
        call.expect(200).await;
    }
    let one_more = stay("session-more", json!({"name": "Ada"}));
    one_more.expect_problem(429, "limit_reached").await;
    stay("session-0", json!({"name": "Ada"})).expect(200).await;
}
