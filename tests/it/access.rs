//! Who may do what: keys, roles and globs, private topics, revocation, and pages of other origins.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tenbells::keys::{KeyFile, Role};

use crate::support::sse::Sse;
use crate::support::{Answer, PATIENCE, Server, until};

/// Every call that writes, with a body that would do.
const WRITES: [(&str, &str, &str); 8] = [
    ("POST", "/entries", r#"{"headline":"x"}"#),
    (
        "POST",
        "/entries:batch",
        r#"{"entries":[{"headline":"x"}]}"#,
    ),
    ("PATCH", "/entries/e", r#"{"headline":"y"}"#),
    ("DELETE", "/entries/e", "{}"),
    ("PUT", "", r#"{"title":"x"}"#),
    ("PATCH", "", r#"{"title":"y"}"#),
    ("POST", "/end", "{}"),
    ("POST", "/reopen", "{}"),
];

/// Every call that reads.
const READS: [&str; 11] = [
    "/v1/topics/{}",
    "/v1/topics/{}/entries",
    "/v1/topics/{}/entries?filter=pinned",
    "/v1/topics/{}/entries/e",
    "/v1/topics/{}/changes?after=start",
    "/v1/topics/{}/changes?after=abcdefg-9&wait=1",
    "/v1/topics/{}/stream",
    "/v1/topics/{}/feed.atom",
    "/v1/topics/{}/feed.json",
    "/v1/topics/{}/liveblog.jsonld",
    "/t/{}",
];

/// A private topic `secret` with an entry `e`.
async fn with_a_secret() -> Server {
    let server = Server::start().await;
    let fields = json!({"title": "Secret", "visibility": "private"});
    let put = server.desk("PUT", "/v1/topics/secret").json(&fields);
    put.expect(201).await;
    let entry = json!({"id": "e", "headline": "x", "pinned": true});
    server.publish_entry("secret", entry).await;
    server
}

async fn write(
    server: &Server,
    key: Option<&str>,
    topic: &str,
    write: (&str, &str, &str),
) -> Answer {
    let (method, path, body) = write;
    let method = method.parse().expect("a method");
    let call = server.call(method, &format!("/v1/topics/{topic}{path}"));
    let call = call.body("application/json", body.to_owned());
    match key {
        Some(key) => call.key(key).send().await,
        None => call.send().await,
    }
}

/// Status, headers but for the date, and body, with the topic's name taken out.
fn anonymous(answer: &Answer, topic: &str) -> (u16, Vec<String>, String) {
    let fields = answer.headers.iter().filter(|(name, _)| *name != "date");
    let fields = fields.map(|(name, value)| format!("{name}: {value:?}"));
    let text = answer.text().replace(topic, "TOPIC");
    (answer.status, fields.collect(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_a_key_of_the_right_role_for_the_topic() {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "e", "headline": "x"}))
        .await;
    let before = server.changes("t", "start").await;
    let (reader, elsewhere) = (
        server.key(Role::Reader, "*"),
        server.key(Role::Desk, "sport-*"),
    );
    let (broken, unknown) = ("tb_no", format!("tb_{}_{}", "a".repeat(8), "b".repeat(43)));
    for call in WRITES {
        for topic in ["t", "fresh"] {
            for (key, status, code) in [
                (None, 401, "unauthorized"),
                (Some(broken), 401, "unauthorized"),
                (Some(unknown.as_str()), 401, "unauthorized"),
                (Some(reader.as_str()), 403, "forbidden"),
                (Some(elsewhere.as_str()), 403, "forbidden"),
            ] {
                let answer = write(&server, key, topic, call).await;
                assert_eq!(answer.status, status, "{call:?}: {}", answer.text());
                assert_eq!(answer.json()["code"], code);
                let challenge = answer.header("www-authenticate").starts_with("Bearer");
                assert_eq!(challenge, status == 401, "{call:?}");
            }
        }
    }
    assert_eq!(server.changes("t", "start").await, before);
    let fresh = server.desk("GET", "/v1/topics/fresh");
    fresh.expect_problem(404, "topic_not_found").await;
    // Another scheme is no key; nor does a body help before the key is known.
    let call = server.call(Method::POST, "/v1/topics/t/entries");
    let call = call
        .header("authorization", "Basic dGI6eA==")
        .body("text/plain", "x");
    call.expect_problem(401, "unauthorized").await;

    // Unknown keys are looked up in the file a few times a second only, so after so many a new one takes its time.
    let publisher = server.key(Role::Publisher, "sport-*");
    let may_read = async || {
        server
            .get("/v1/topics/t")
            .key(&publisher)
            .send()
            .await
            .status
            == 200
    };
    until(may_read).await;
    let answer = write(&server, Some(&publisher), "sport-tennis", WRITES[0]).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answer = write(&server, Some(&publisher), "sport", WRITES[0]).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_topic_is_read_with_a_key_for_it() {
    let server = with_a_secret().await;
    let reader = server.key(Role::Reader, "sec*");
    for path in READS {
        if path.ends_with("/stream") || path.contains("wait") {
            continue;
        }
        let path = path.replace("{}", "secret");
        let answer = server.get(&path).key(&reader).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(
            answer.header("cache-control"),
            "private, no-store",
            "{path}"
        );
    }
    let url = format!("{}/v1/topics/secret/stream?after=start", server.base);
    let mut sse = Sse::open(&url, None, Some(&reader)).await;
    assert_eq!(sse.change().await.kind, "topic.updated");
    assert_eq!(sse.change().await.data["entry"]["id"], "e");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_topic_answers_as_an_absent_one() {
    let server = with_a_secret().await;
    let elsewhere = server.key(Role::Desk, "sport-*");
    for path in READS {
        for key in [None, Some(elsewhere.as_str()), Some("tb_no")] {
            let ask = async |topic: &str| {
                let call = server.get(&path.replace("{}", topic));
                let call = match key {
                    Some(key) => call.key(key),
                    None => call,
                };
                anonymous(&call.send().await, topic)
            };
            let (hidden, absent) = (ask("secret").await, ask("absent").await);
            assert_eq!(hidden, absent, "{path}");
            assert_eq!(
                hidden.0,
                if key == Some("tb_no") { 401 } else { 404 },
                "{path}"
            );
        }
    }
    for call in WRITES {
        for key in [None, Some(elsewhere.as_str())] {
            let ask = async |topic: &str| anonymous(&write(&server, key, topic, call).await, topic);
            assert_eq!(ask("secret").await, ask("absent").await, "{call:?}");
        }
    }
    for method in [Method::HEAD, Method::OPTIONS] {
        let ask = async |topic: &str| {
            let path = format!("/v1/topics/{topic}/entries");
            anonymous(&server.call(method.clone(), &path).send().await, topic)
        };
        assert_eq!(ask("secret").await, ask("absent").await, "{method}");
    }
    let index = server.get("/").send().await.text();
    assert!(!index.contains("secret") && !index.contains("Secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_becomes_private_leaves_its_readers() {
    let server = Server::start().await;
    server.publish("t", "open").await;
    let reader = server.key(Role::Reader, "t");
    let position = server.position("t").await;
    let url = format!("{}/v1/topics/t/stream?after={position}", server.base);
    let mut anyone = Sse::open(&url, None, None).await;
    let mut known = Sse::open(&url, None, Some(&reader)).await;
    let poll = server.get(&format!("/v1/topics/t/changes?after={position}&wait=20"));
    let hide = async {
        // Once the poll is counted, it waits.
        until(async || server.desk("GET", "/v1/topics/t").expect(200).await["readers"] == 3).await;
        let patch = server.desk("PATCH", "/v1/topics/t");
        patch
            .json(&json!({"visibility": "private"}))
            .expect(200)
            .await;
        server.publish("t", "closed").await;
    };
    let (polled, ()) = tokio::join!(poll.send(), hide);
    assert_eq!(polled.status, 404, "{}", polled.text());
    assert_eq!(
        next_change(&mut anyone).await,
        None,
        "the stream ends before the first hidden byte"
    );
    assert_eq!(known.change().await.data["state"]["visibility"], "private");
    assert_eq!(
        known.change().await.data["entry"]["body_html"],
        "<p>closed</p>"
    );
    // And back.
    let patch = server.desk("PATCH", "/v1/topics/t");
    patch
        .json(&json!({"visibility": "public"}))
        .expect(200)
        .await;
    assert_eq!(server.changes("t", &position).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_within_seconds() {
    let server = with_a_secret().await;
    let (publisher, reader) = (
        server.key(Role::Publisher, "*"),
        server.key(Role::Reader, "secret"),
    );
    let url = format!("{}/v1/topics/secret/stream", server.base);
    let mut sse = Sse::open(&url, None, Some(&reader)).await;
    let answer = write(&server, Some(&publisher), "t", WRITES[0]).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let file = KeyFile::open(server.folder.path()).expect("the key file");
    for key in [&publisher, &reader] {
        let id = key.split('_').nth(1).expect("an id");
        assert!(file.revoke(id, Timestamp::now()).expect("is written"));
    }
    let refused = async |key: &str| {
        let call = server.get("/v1/topics/secret").key(key);
        call.send().await.status == 401
    };
    until(async || refused(&reader).await && refused(&publisher).await).await;
    let answer = write(&server, Some(&publisher), "t", WRITES[0]).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(server.changes("t", "start").await.len(), 1);
    // A stream that was opened with it ends before it tells anything more.
    server.publish("secret", "later").await;
    assert_eq!(next_change(&mut sse).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_listed_origins_may_read() {
    let listed = "https://news.example";
    let server = Server::start_with(|config| config.origins = vec![listed.to_owned()]).await;
    server.publish("t", "x").await;
    let own = server.base.clone();
    for (origin, allowed, status) in [
        (listed, listed, 200),
        (own.as_str(), "", 200),
        ("https://evil.example", "", 403),
        ("https://news.example.evil.example", "", 403),
        ("http://news.example", "", 403),
        ("null", "", 403),
    ] {
        let answer = server
            .get("/v1/topics/t/entries")
            .header("origin", origin)
            .send()
            .await;
        let header = answer.header("access-control-allow-origin");
        assert_eq!((answer.status, header), (200, allowed), "{origin}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert_eq!(stream_status(&server, origin).await, status, "{origin}");
        let preflight = server
            .call(Method::OPTIONS, "/v1/topics/t/entries")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,idempotency-key",
            )
            .send()
            .await;
        assert_eq!(
            preflight.header("access-control-allow-origin"),
            allowed,
            "{origin}"
        );
    }
    let preflight = server
        .call(Method::OPTIONS, "/v1/topics/t/entries")
        .header("origin", listed)
        .header("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(preflight.status, 200);
    assert!(
        preflight
            .header("access-control-allow-methods")
            .contains("POST")
    );
    for field in [
        "authorization",
        "if-match",
        "idempotency-key",
        "last-event-id",
    ] {
        let allowed = preflight.header("access-control-allow-headers");
        assert!(allowed.contains(field), "{allowed}");
    }
}

/// The status of an event stream that is asked for by a page of this origin. HEAD: a stream has no end to wait for.
async fn stream_status(server: &Server, origin: &str) -> u16 {
    let call = server.call(Method::HEAD, "/v1/topics/t/stream");
    call.header("origin", origin).send().await.status
}

/// The next change; none where the stream ends first.
async fn next_change(sse: &mut Sse) -> Option<Value> {
    loop {
        match sse.next().await {
            Some(event) if event.kind == "presence" => {}
            other => return other.map(|event| event.data),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cache_keeps_a_tombstone_of_a_private_topic() {
    let server = Server::start().await;
    let gone = async |topic: &str| {
        let path = format!("/v1/topics/{topic}/entries/e");
        server
            .desk("DELETE", &path)
            .json(&json!({}))
            .expect(200)
            .await;
        let answer = server.desk("GET", &path).send().await;
        assert_eq!(answer.status, 410);
        answer.header("cache-control").to_owned()
    };
    for (topic, visibility) in [("open", "public"), ("closed", "private")] {
        let call = server.desk("PUT", &format!("/v1/topics/{topic}"));
        call.json(&json!({"visibility": visibility}))
            .expect(201)
            .await;
        server
            .publish_entry(topic, json!({"id": "e", "headline": "x"}))
            .await;
    }
    assert_eq!(gone("open").await, "");
    assert_eq!(gone("closed").await, "private, no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_nobody_uses_can_become_private() {
    const TOPICS: usize = 60;
    let server = Server::start().await;
    for number in 0..TOPICS {
        server.publish(&format!("t{number}"), "open").await;
    }
    // After a restart none of them is in memory. Which of them is loaded before its change comes by is a matter of luck.
    let server = Server::start_in(server.stop().await, |_| {}).await;
    for number in 0..TOPICS {
        let path = format!("/v1/topics/t{number}");
        let call = server.desk("PATCH", &path);
        let hidden = call.json(&json!({"visibility": "private"})).expect(200);
        tokio::time::timeout(PATIENCE, hidden)
            .await
            .expect("it is answered");
        assert_eq!(server.get(&path).send().await.status, 404);
    }
}
