//! Rate limits: exact, by the client's own address, and never in a publisher's way.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use tenbells::config::{Config, Rate};
use tenbells::keys::Role;

use crate::support::sse::Sse;
use crate::support::ws::Ws;
use crate::support::{Answer, Server};

/// So many at once, and none that comes back while a test runs.
fn at_once(burst: u32) -> Option<Rate> {
    Some(Rate {
        one_per: Duration::from_secs(600),
        burst: NonZeroU32::new(burst).expect("more than none"),
    })
}

/// A server that counts this machine's addresses as well, and has no limits but those that are set.
async fn server_with(change: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config| {
        config.limits.exempt.clear();
        config.limits.reads = None;
        config.limits.replays = None;
        config.limits.auth_failures = None;
        config.limits.publishes = None;
        change(config);
    })
    .await
}

/// A server that believes its peer about whom it speaks for.
async fn server_behind(change: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
        change(config);
    })
    .await
}

async fn read(server: &Server, forwarded_for: Option<&str>) -> Answer {
    let call = server.get("/v1/topics/t");
    match forwarded_for {
        Some(field) => call.header("x-forwarded-for", field).send().await,
        None => call.send().await,
    }
}

fn assert_limited(answer: &Answer, policy: &str, burst: u32) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["code"], "rate_limited");
    let seconds: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((595..=600).contains(&seconds), "{seconds}");
    assert_eq!(
        answer.header("ratelimit"),
        format!("\"{policy}\";r=0;t={seconds}")
    );
    let window = 600 * u64::from(burst);
    assert_eq!(
        answer.header("ratelimit-policy"),
        format!("\"{policy}\";q={burst};w={window}")
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_an_address_are_exact_and_no_header_field_makes_more_of_them() {
    let server = server_with(|config| config.limits.reads = at_once(5)).await;
    server.publish("t", "x").await;
    for _ in 0..5 {
        assert_eq!(read(&server, None).await.status, 200);
    }
    assert_limited(&read(&server, None).await, "read", 5);
    // Nobody is trusted to say whom it speaks for.
    for field in [
        "203.0.113.7",
        "127.0.0.1",
        "::1",
        "203.0.113.8, 203.0.113.9",
        "",
        "x",
    ] {
        assert_limited(&read(&server, Some(field)).await, "read", 5);
    }
    for (name, value) in [
        ("forwarded", "for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
        ("true-client-ip", "203.0.113.7"),
        ("cf-connecting-ip", "203.0.113.7"),
        ("x-client-ip", "203.0.113.7"),
    ] {
        let answer = server.get("/v1/topics/t").header(name, value).send().await;
        assert_limited(&answer, "read", 5);
    }
    // Whatever is asked for: what is there, what is not, and what is no path.
    for path in [
        "/",
        "/t/t",
        "/v1/topics/absent",
        "/v1/topics/t/stream",
        "/v1/ws",
        "/nowhere",
    ] {
        assert_limited(&server.get(path).send().await, "read", 5);
    }
    let limited = tokio_tungstenite::connect_async(server.ws("")).await;
    let Err(tungstenite::Error::Http(response)) = limited else {
        panic!("a WebSocket is a request as well");
    };
    assert_eq!(response.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_comes_back_one_by_one() {
    let server = server_with(|config| {
        config.limits.reads = Some(Rate {
            one_per: Duration::from_secs(1),
            burst: NonZeroU32::new(3).expect("three"),
        });
    })
    .await;
    let began = tokio::time::Instant::now();
    let mut good = 0;
    let mut asked = 0;
    while began.elapsed() < Duration::from_millis(2_500) {
        asked += 1;
        let answer = server.get("/v1/topics/absent").send().await;
        good += u32::from(answer.status == 404);
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
    // Three at once, and one more after each whole second.
    assert!((5..=6).contains(&good), "{good} of {asked}");
    assert!(asked > 10, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_proxies_the_rightmost_hop_that_is_not_one_counts() {
    let server = server_behind(|config| config.limits.reads = at_once(3)).await;
    server.publish("t", "x").await;
    let one = "203.0.113.7";
    for _ in 0..3 {
        assert_eq!(read(&server, Some(one)).await.status, 200);
    }
    assert_limited(&read(&server, Some(one)).await, "read", 3);
    // What a client writes in front of what the proxy adds changes nothing.
    for forged in [
        "198.51.100.1",
        "127.0.0.1",
        "198.51.100.1, 198.51.100.2",
        "x",
        ",",
    ] {
        let field = format!("{forged}, {one}");
        assert_limited(&read(&server, Some(&field)).await, "read", 3);
        let field = format!("{forged}, {one}, 127.0.0.1");
        assert_limited(&read(&server, Some(&field)).await, "read", 3);
    }
    for other in ["203.0.113.8", "1.1.1.1, 203.0.113.8:4711", "2001:db8::1"] {
        assert_eq!(read(&server, Some(other)).await.status, 200, "{other}");
    }
    // Of IPv6 a client has a whole /64.
    assert_eq!(read(&server, Some("2001:db8::2")).await.status, 200);
    assert_eq!(read(&server, Some("2001:db8::ffff:3")).await.status, 200);
    assert_limited(&read(&server, Some("2001:db8::4")).await, "read", 3);
    assert_eq!(read(&server, Some("2001:db8:0:1::4")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_never_stop_a_publisher_at_their_address() {
    let server = server_with(|config| {
        config.limits.reads = at_once(2);
        config.limits.auth_failures = at_once(2);
        config.limits.replays = at_once(1);
        config.limits.publishes = at_once(40);
    })
    .await;
    let (publisher, reader) = (
        server.key(Role::Publisher, "*"),
        server.key(Role::Reader, "*"),
    );
    for _ in 0..20 {
        read(&server, None).await;
        let wrong = server.get("/v1/topics/t").key("tb_no").send().await;
        assert!(matches!(wrong.status, 401 | 429), "{}", wrong.status);
    }
    assert_limited(&read(&server, None).await, "read", 2);
    // A reader's key is a reader's.
    let answer = server.get("/v1/topics/t").key(&reader).send().await;
    assert_limited(&answer, "read", 2);
    for _ in 0..20 {
        let call = server.call(reqwest::Method::POST, "/v1/topics/t/entries");
        call.key(&publisher)
            .json(&json!({"headline": "x"}))
            .expect(201)
            .await;
        server
            .get("/v1/topics/t/entries")
            .key(&publisher)
            .expect(200)
            .await;
    }
    // The key's own rate is exact as well, and no other key's.
    let call = server.call(reqwest::Method::POST, "/v1/topics/t/entries");
    let answer = call
        .key(&publisher)
        .json(&json!({"headline": "x"}))
        .send()
        .await;
    assert_limited(&answer, "publish", 40);
    server.publish("t", "by another key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_counted_wherever_it_is_used() {
    let server = server_behind(|config| config.limits.publishes = at_once(4)).await;
    let key = server.key(Role::Publisher, "*");
    let publish = async |from: &str| {
        let call = server.call(reqwest::Method::POST, "/v1/topics/t/entries");
        let call = call.key(&key).header("x-forwarded-for", from);
        call.json(&json!({"headline": "x"})).send().await
    };
    for last in 0..4 {
        assert_eq!(publish(&format!("203.0.113.{last}")).await.status, 201);
    }
    assert_limited(&publish("203.0.113.99").await, "publish", 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_an_address_are_counted_and_good_keys_let_in() {
    let server = server_with(|config| config.limits.auth_failures = at_once(5)).await;
    server.publish("t", "x").await;
    let wrong = async |value: &str| {
        let call = server.get("/v1/topics/t").header("authorization", value);
        call.send().await
    };
    for value in ["Bearer tb_no", "Bearer a.b.c", "Basic eDp4"] {
        assert_eq!(wrong(value).await.status, 401, "{value}");
    }
    for name in ["ticket", "%74icket"] {
        let path = format!("/v1/topics/t/stream?{name}=x");
        let ticket = server.call(reqwest::Method::HEAD, &path).send().await;
        assert_eq!(ticket.status, 401, "{name}");
    }
    for value in ["Bearer tb_no", "Bearer a.b.c", "Basic eDp4"] {
        assert_limited(&wrong(value).await, "auth", 5);
    }
    // What is shown on a WebSocket counts with the rest.
    let mut ws = Ws::open(&server.ws("")).await;
    ws.say(json!({"op": "auth", "token": "tb_aaaaaaaa_nonsense"}))
        .await;
    let error = ws.op("error").await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["retry_after"].as_u64() >= Some(1), "{error}");
    assert_eq!(ws.closed().await, 4501);
    server.desk("GET", "/v1/key").expect(200).await;
    assert_eq!(read(&server, None).await.status, 200);
    // Without a key nothing has failed.
    let without = server.get("/v1/key").send().await;
    assert_eq!(without.status, 401);
}

/// A topic `t` with so many changes.
async fn with_changes(server: &Server, count: usize) {
    let entries: Vec<Value> = (0..count)
        .map(|n| json!({"headline": format!("{n}")}))
        .collect();
    let call = server.desk("POST", "/v1/topics/t/entries:batch");
    call.json(&json!({ "entries": entries })).expect(201).await;
    assert_eq!(server.changes("t", "start").await.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_fail_on_websockets_count_for_their_address() {
    let server = server_with(|config| config.limits.auth_failures = at_once(2)).await;
    server.publish("t", "x").await;
    for code in ["unauthorized", "unauthorized", "rate_limited"] {
        let mut ws = Ws::open(&server.ws("?topic=t")).await;
        ws.op("subscribed").await;
        ws.say(json!({"op": "auth", "token": "tb_aaaaaaaa_nonsense"}))
            .await;
        assert_eq!(ws.op("error").await["code"], code);
        assert_eq!(ws.closed().await, 4501);
    }
    let wrong = server.get("/v1/topics/t").key("tb_no").send().await;
    assert_limited(&wrong, "auth", 2);
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.say(json!({"op": "auth", "token": server.desk})).await;
    ws.op("subscribed").await;
    server
        .until_metric("tenbells_websocket_auth_failures_total", |count| {
            count == 3.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_from_far_back_are_counted_by_the_change_on_every_transport() {
    let server = server_behind(|config| config.limits.replays = at_once(400)).await;
    with_changes(&server, 150).await;
    let position = server.position("t").await;
    let (epoch, _) = position.split_once('-').expect("a position");
    let changes = async |from: &str, query: &str| {
        let call = server.get(&format!("/v1/topics/t/changes?{query}"));
        call.header("x-forwarded-for", from).send().await
    };
    // 150 + 150 + 100 are all there is: whoever asks for more gets nothing, and an explicit answer.
    let one = "203.0.113.1";
    for query in [
        "after=start&limit=150",
        "after=start&limit=150",
        "after=start",
    ] {
        assert_eq!(changes(one, query).await.status, 200, "{query}");
    }
    assert_limited(&changes(one, "after=start&limit=1").await, "replay", 400);
    // Those who were away for a moment are not counted, nor is whoever reads on from the head.
    for _ in 0..10 {
        let answer = changes(one, &format!("after={epoch}-22&limit=1000")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json()["changes"].as_array().expect("changes").len(),
            128
        );
    }
    assert_limited(
        &changes(one, &format!("after={epoch}-21&limit=1")).await,
        "replay",
        400,
    );

    let forwarded = [("x-forwarded-for", one)];
    let mut ws = Ws::open_with(&server.ws("?topic=t&after=start"), &forwarded).await;
    let refused = ws.op("error").await;
    assert_eq!(
        (&refused["code"], &refused["topic"]),
        (&json!("rate_limited"), &json!("t"))
    );
    let seconds = refused["retry_after"].as_u64().expect("seconds");
    assert!(seconds > 595, "{seconds}");
    ws.say(json!({"op": "subscribe", "topic": "t"})).await;
    ws.op("subscribed").await;

    let call = server.get("/v1/topics/t/stream?after=start");
    let answer = call.header("x-forwarded-for", one).send().await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (429, Some("rate_limited"))
    );

    // Another address has its own, for WebSockets and streams together.
    let forwarded = [("x-forwarded-for", "203.0.113.2")];
    let mut ws = Ws::open_with(&server.ws("?topic=t&after=start"), &forwarded).await;
    ws.op("subscribed").await;
    ws.say(json!({"op": "subscribe", "topic": "t", "after": "start"}))
        .await;
    for _ in 0..2 {
        for offset in 1..=150 {
            let message = ws.next().await.expect("stands").expect("is open");
            if message["op"] == "change" && message["offset"] == 150 {
                break;
            }
            assert!(offset <= 150);
        }
    }
    ws.say(json!({"op": "subscribe", "topic": "t", "after": "start"}))
        .await;
    loop {
        let message = ws.next().await.expect("stands").expect("is open");
        if message["op"] == "error" {
            assert_eq!(message["code"], "rate_limited");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_not_counted_unless_it_is_told_to() {
    let server = Server::start_with(|config| {
        config.limits.reads = at_once(1);
        config.limits.replays = at_once(1);
        config.limits.publishes = at_once(1);
    })
    .await;
    with_changes(&server, 150).await;
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    for _ in 0..3 {
        assert_eq!(read(&server, None).await.status, 200);
        let mut sse = Sse::open(&url, None, None).await;
        assert_eq!(sse.change().await.data["offset"], 1);
    }
    // Nor is anybody, where all come from a proxy that is not named.
    let server = server_with(|config| {
        config.limits.reads = at_once(1);
        config.behind_proxy = true;
    })
    .await;
    for _ in 0..3 {
        assert_eq!(read(&server, Some("203.0.113.1")).await.status, 404);
    }
}
