//! What a desk asks: what its key may do, its topics, sources and previews.

use serde_json::{Value, json};
use tenbells::keys::{KeyFile, Role};

use crate::support::{Answer, Server};

/// Every call of this file with a body that would do; `{}` is the topic.
const CALLS: [(&str, &str, &str); 7] = [
    ("GET", "/v1/key", ""),
    ("GET", "/v1/topics", ""),
    ("POST", "/v1/preview", r#"{"body":{"text":"x"}}"#),
    ("GET", "/v1/topics/{}/source", ""),
    ("GET", "/v1/topics/{}/entries/e/source", ""),
    ("PUT", "/v1/topics/{}/desks/abcdefgh", r#"{"name":"Ada"}"#),
    ("DELETE", "/v1/topics/{}/desks/abcdefgh", ""),
];

async fn ask(server: &Server, key: &str, call: (&str, &str, &str), topic: &str) -> Answer {
    let (method, path, body) = call;
    let method = method.parse().expect("a method");
    let ask = server.call(method, &path.replace("{}", topic));
    let ask = match key {
        "" => ask,
        key => ask.key(key),
    };
    match body {
        "" => ask.send().await,
        body => ask.body("application/json", body.to_owned()).send().await,
    }
}

fn names(list: &Value) -> Vec<&str> {
    let topics = list["topics"].as_array().expect("topics");
    topics
        .iter()
        .map(|topic| topic["topic"].as_str().expect("a name"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_desk_needs_a_key_and_no_cache_keeps_its_answer() {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "e", "headline": "x"}))
        .await;
    let unknown = format!("tb_{}_{}", "a".repeat(8), "b".repeat(43));
    for call in CALLS {
        for key in ["", "tb_no", &unknown] {
            let answer = ask(&server, key, call, "t").await;
            assert_eq!(answer.status, 401, "{call:?}: {}", answer.text());
            assert_eq!(answer.json()["code"], "unauthorized");
        }
        let answer = ask(&server, &server.desk, call, "t").await;
        assert_eq!(answer.status, 200, "{call:?}: {}", answer.text());
        assert_eq!(
            answer.header("cache-control"),
            "private, no-store",
            "{call:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_not_do_is_forbidden_whether_the_topic_exists_or_not() {
    let server = Server::start().await;
    server
        .publish_entry("t", json!({"id": "e", "headline": "x"}))
        .await;
    let (reader, publisher) = (
        server.key(Role::Reader, "*"),
        server.key(Role::Publisher, "*"),
    );
    let elsewhere = server.key(Role::Desk, "sport-*");
    // Status for a reader, a publisher, and a desk of other topics.
    for (call, statuses) in CALLS.into_iter().zip([
        [200, 200, 200],
        [200, 200, 200],
        [403, 200, 200],
        [403, 200, 403],
        [403, 200, 403],
        [403, 403, 403],
        [403, 403, 403],
    ]) {
        for (key, status) in [&reader, &publisher, &elsewhere].into_iter().zip(statuses) {
            let answer = ask(&server, key, call, "t").await;
            assert_eq!(answer.status, status, "{call:?}: {}", answer.text());
            if status == 403 {
                assert_eq!(answer.json()["code"], "forbidden");
                let absent = ask(&server, key, call, "absent").await;
                assert_eq!((absent.status, absent.body), (403, answer.body), "{call:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_told_what_it_may_do() {
    let server = Server::start().await;
    let globs = ["sport-*".to_owned(), "final-202?".to_owned()];
    let file = KeyFile::open(server.folder.path()).expect("keys");
    let now = jiff::Timestamp::now();
    let rights = json!(["read", "publish", "inspect"]);
    for (role, rights) in [
        (Role::Reader, json!(["read"])),
        (Role::Publisher, json!(["read", "publish"])),
        (Role::Desk, rights.clone()),
        (Role::Admin, rights.clone()),
    ] {
        let token = file.create(role, &globs, None, now).expect("a key");
        let told = server.get("/v1/key").key(token.reveal()).expect(200).await;
        let expected = json!({
            "key": token.id(), "role": role.as_str(), "topics": globs, "rights": rights,
        });
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_for_the_keys_that_are_for_them() {
    let server = Server::start().await;
    for topic in ["sport-a", "news"] {
        server.publish(topic, "first").await;
    }
    let fields = json!({"title": "Secret", "visibility": "private"});
    let put = server.desk("PUT", "/v1/topics/sport-secret").json(&fields);
    put.expect(201).await;
    let held = json!({"id": "h", "headline": "later", "released_at": "2999-01-01T00:00:00Z"});
    server.publish_entry("sport-held", held).await;

    let list = server.desk("GET", "/v1/topics").expect(200).await;
    assert_eq!(
        names(&list),
        ["sport-secret", "news", "sport-a", "sport-held"]
    );
    let sport = server.key(Role::Reader, "sport-*");
    let own = server.get("/v1/topics").key(&sport).expect(200).await;
    assert_eq!(names(&own), ["sport-secret", "sport-a", "sport-held"]);
    // Nothing tells of what the key is not for, and nothing of what is under embargo.
    let news = server.key(Role::Desk, "news");
    let own = server.get("/v1/topics").key(&news).send().await;
    assert_eq!(names(&own.json()), ["news"]);
    assert!(!own.text().contains("ecret"));
    let held = &list["topics"][3];
    assert_eq!((&held["head"], held.get("last_entry")), (&json!(0), None));
    assert!(!list.to_string().contains("later"));

    for (query, found) in [
        ("?limit=1", vec!["sport-secret"]),
        ("?match=*a", vec!["sport-a"]),
        ("?match=s*&limit=2", vec!["sport-secret", "sport-a"]),
        ("?match=nothing", vec![]),
    ] {
        let path = format!("/v1/topics{query}");
        let list = server.desk("GET", &path).expect(200).await;
        assert_eq!(names(&list), found, "{query}");
    }
    let long = format!("?match={}", "a".repeat(129));
    for query in ["?limit=0", "?limit=201", "?limit=x", &long] {
        let call = server.desk("GET", &format!("/v1/topics{query}"));
        call.expect_problem(400, "invalid_parameter").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_topic_has_its_status_its_readers_and_its_last_entry() {
    let server = Server::start().await;
    let url = format!("{}/v1/topics/t/stream", server.base);
    let words = format!("**One**\n\n{}", "word ".repeat(100));
    let entry = json!({"id": "e", "headline": "Head", "body": {"markdown": words}});
    server.publish_entry("t", entry).await;
    let _reader = crate::support::sse::Sse::open(&url, None, None).await;
    let one = async || {
        let list = server.desk("GET", "/v1/topics").expect(200).await;
        list["topics"][0].clone()
    };
    let topic = one().await;
    let whole = server.get("/v1/topics/t").expect(200).await;
    for field in ["topic", "status", "revision", "position", "head", "readers"] {
        assert_eq!(topic[field], whole[field], "{field}");
    }
    assert_eq!(
        (&topic["readers"], &topic["status"]),
        (&json!(1), &json!("live"))
    );
    let last = &topic["last_entry"];
    assert_eq!(
        (&last["id"], &last["headline"]),
        (&json!("e"), &json!("Head"))
    );
    let text = last["text"].as_str().expect("text");
    assert!(
        text.starts_with("One word word") && text.ends_with("word…"),
        "{text}"
    );
    assert!(text.chars().count() <= 161, "{text}");
    assert!(last["published_at"].is_string());

    server
        .desk("DELETE", "/v1/topics/t/entries/e")
        .expect(200)
        .await;
    let last = one().await["last_entry"].clone();
    assert_eq!(
        (&last["id"], &last["retracted"]),
        (&json!("e"), &json!(true))
    );
    assert!(last.get("headline").is_none() && last.get("text").is_none());
    server.desk("POST", "/v1/topics/t/end").expect(200).await;
    assert_eq!(one().await["status"], "ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_can_be_had_as_it_was_sent() {
    let server = Server::start().await;
    let entry = json!({
        "id": "e", "headline": "Head", "body": {"markdown": "*one*"}, "authors": [{"name": "Ada"}], "tags": ["a"],
    });
    server.publish_entry("t", entry).await;
    let path = "/v1/topics/t/entries/e";
    let answer = server.desk("GET", &format!("{path}/source")).send().await;
    assert_eq!(answer.header("etag"), "\"1\"");
    let source = answer.json();
    assert_eq!((&source["revision"], source.get("held")), (&json!(1), None));
    assert_eq!(source["entry"]["body"], json!({"markdown": "*one*"}));
    assert_eq!(
        source["entry"]["authors"],
        json!([{"name": "Ada", "type": "person"}])
    );

    // What was had can be sent back as it is: nothing changes.
    let patch = server.desk("PATCH", path).header("if-match", "\"1\"");
    let same = patch.json(&source["entry"]).expect(200).await;
    assert_eq!(same["entry"]["revision"], 1);
    let patch = json!({"body": {"markdown": "*two*"}, "correction": {"note": "n"}});
    server.desk("PATCH", path).json(&patch).expect(200).await;
    let source = server
        .desk("GET", &format!("{path}/source"))
        .expect(200)
        .await;
    assert_eq!(source["revision"], 2);
    assert_eq!(source["entry"]["body"], json!({"markdown": "*two*"}));
    assert_eq!(source["entry"]["correction"], json!({"note": "n"}));

    server.desk("DELETE", path).expect(200).await;
    let call = server.desk("GET", &format!("{path}/source"));
    call.expect_problem(410, "entry_retracted").await;
    for (path, code) in [
        ("/v1/topics/t/entries/none/source", "entry_not_found"),
        ("/v1/topics/none/entries/e/source", "topic_not_found"),
        ("/v1/topics/none/source", "topic_not_found"),
    ] {
        server.desk("GET", path).expect_problem(404, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_what_is_held_is_for_the_desk_alone() {
    let server = Server::start().await;
    let held = json!({"id": "h", "headline": "later", "released_at": "2999-01-01T00:00:00Z"});
    server.publish_entry("t", held).await;
    let path = "/v1/topics/t/entries/h/source";
    let source = server.desk("GET", path).expect(200).await;
    assert_eq!(
        (&source["held"], &source["revision"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(source["entry"]["released_at"], "2999-01-01T00:00:00.000Z");
    assert!(source["entry"].get("published_at").is_none());
    let publisher = server.key(Role::Publisher, "*");
    let hidden = server.get(path).key(&publisher).send().await;
    let absent = server.get("/v1/topics/t/entries/x/source").key(&publisher);
    let absent = absent.send().await.text().replace("entry x", "entry h");
    assert_eq!((hidden.status, hidden.text()), (404, absent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_can_be_had_as_it_was_sent() {
    let server = Server::start().await;
    let fields = json!({
        "title": "T", "summary": {"markdown": "*sum*"}, "key_points": ["a", "b"], "visibility": "private", "language": "en",
    });
    server
        .desk("PUT", "/v1/topics/t")
        .json(&fields)
        .expect(201)
        .await;
    let answer = server.desk("GET", "/v1/topics/t/source").send().await;
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.json(), json!({"topic": fields, "revision": 1}));
    // One that a publish made has nothing but its name.
    server.publish("bare", "x").await;
    let bare = server
        .desk("GET", "/v1/topics/bare/source")
        .expect(200)
        .await;
    let expected = json!({"topic": {"key_points": [], "visibility": "public"}, "revision": 1});
    assert_eq!(bare, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_what_a_publish_would_give() {
    let server = Server::start().await;
    let bodies = [
        json!({"markdown": "# A *b*\n\n<script>alert(1)</script>[c](javascript:x) <img src=x onerror=y>"}),
        json!({"html": "<p onclick=x>a<svg></svg></p>"}),
        json!({"text": "a\nb\n\n<b>"}),
        json!({"markdown": ""}),
    ];
    for body in bodies {
        let call = server.desk("POST", "/v1/preview");
        let preview = call.json(&json!({"body": body})).expect(200).await;
        let entry = json!({"headline": "x", "body": body});
        let entry = server.publish_entry("t", entry).await["entry"].clone();
        assert_eq!(preview["body_html"], entry["body_html"], "{body}");
        assert_eq!(preview["body_text"], entry["body_text"], "{body}");
        assert!(!preview.to_string().contains("script>"));
    }
    let preview = |body: &Value| server.desk("POST", "/v1/preview").json(body);
    let long = json!({"body": {"markdown": "x".repeat(192 * 1024 + 1)}});
    let wide = json!({"body": {"text": "&".repeat(190 * 1024)}});
    for (body, field) in [
        (&long, "body"),
        (&wide, "body"),
        (&json!({"body": {"markdown": "x", "text": "x"}}), "body"),
        (&json!({"body": {"text": "x"}, "headline": "x"}), "headline"),
    ] {
        let problem = preview(body).expect_problem(422, "invalid_field").await;
        assert_eq!(problem["field"], field, "{problem}");
    }
    let huge = json!({"body": {"text": "x".repeat(300 * 1024)}});
    preview(&huge).expect_problem(413, "too_large").await;
    let text = server.desk("POST", "/v1/preview").body("text/plain", "x");
    text.expect_problem(415, "unsupported_media_type").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desks_page_needs_no_key_and_runs_nothing_but_its_own_script() {
    let server = Server::start().await;
    let page = server.get("/desk").send().await;
    assert_eq!(page.status, 200);
    let text = page.text();
    let names: Vec<_> = ["desk/desk.js?v=", "desk/desk.css?v="]
        .into_iter()
        .map(|name| {
            let rest = &text[text.find(name).expect("named")..];
            format!("/{}", &rest[..rest.find('"').expect("quoted")])
        })
        .collect();
    let mut answers = vec![page];
    for name in &names {
        answers.push(server.get(name).send().await);
    }
    for answer in &answers {
        assert_eq!(answer.status, 200);
        let policy = answer.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{rule}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(answers[0].header("cache-control"), "no-cache");
    let [_, script, style] = &answers[..] else {
        panic!("three answers");
    };
    assert!(script.header("content-type").starts_with("text/javascript"));
    assert!(style.header("content-type").starts_with("text/css"));
    for absent in ["/desk/", "/desk/desk.html", "/desk/..%2fdesk.js"] {
        assert_eq!(server.get(absent).send().await.status, 404, "{absent}");
    }
}
