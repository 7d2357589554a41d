//! WebSockets: the handshake, what may be said, keys, limits, patience, and the code of every way to be closed.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tenbells::keys::{KeyFile, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::slow::Slow;
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server};

async fn private_topic() -> Server {
    let server = Server::start().await;
    server
        .desk("PUT", "/v1/topics/secret")
        .json(&json!({"title": "Secret", "visibility": "private"}))
        .expect(201)
        .await;
    server.publish("secret", "one").await;
    server
}

fn subscribe(topic: &str, after: &str) -> Value {
    json!({"op": "subscribe", "topic": topic, "after": after})
}

#[tokio::test(flavor = "multi_thread")]
async fn several_topics_on_one_connection() {
    let server = Server::start().await;
    for topic in ["a", "b"] {
        server.publish(topic, "first").await;
    }
    let mut ws = Ws::open(&server.ws("")).await;
    ws.say(subscribe("a", "start")).await;
    assert_eq!(ws.op("subscribed").await["head"], 1);
    assert_eq!(ws.change().await["topic"], "a");
    ws.say(json!({"op": "subscribe", "topic": "b"})).await;
    assert_eq!(ws.op("subscribed").await["topic"], "b");
    server.publish("b", "second").await;
    assert_eq!(ws.change().await["topic"], "b");
    ws.say(json!({"op": "unsubscribe", "topic": "b"})).await;
    assert_eq!(
        ws.op("unsubscribed").await,
        json!({"op": "unsubscribed", "topic": "b"})
    );
    server.publish("b", "third").await;
    server.publish("a", "second").await;
    let change = ws.change().await;
    assert_eq!(
        (&change["topic"], &change["offset"]),
        (&json!("a"), &json!(2))
    );
    // Again from the start: what is followed is followed anew.
    ws.say(subscribe("a", "start")).await;
    ws.op("subscribed").await;
    assert_eq!(ws.change().await["offset"], 1);
    assert_eq!(ws.change().await["offset"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_asks_whether_the_connection_lives_as_often_as_it_likes() {
    let server = Server::start().await;
    let mut ws = Ws::open(&server.ws("")).await;
    // More often than messages outside the protocol are borne.
    for _ in 0..20 {
        ws.say(json!({"op": "ping"})).await;
        assert_eq!(ws.op("pong").await, json!({"op": "pong"}));
    }
    ws.say(json!({"op": "ping", "topic": "t"})).await;
    assert_eq!(ws.op("error").await["code"], "invalid_message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_outside_the_protocol_is_answered_and_once_too_often_ends_it() {
    let server = Server::start().await;
    let mut ws = Ws::open(&server.ws("")).await;
    for (message, code) in [
        (json!({"op": "shout"}), "invalid_message"),
        (
            json!({"op": "subscribe", "topic": "Not a topic"}),
            "invalid_topic",
        ),
        (subscribe("t", "soon"), "invalid_position"),
        (
            json!({"op": "subscribe", "topic": "t", "extra": 1}),
            "invalid_message",
        ),
    ] {
        ws.say(message).await;
        assert_eq!(ws.op("error").await["code"], code);
    }
    ws.say(json!({"op": "subscribe", "topic": "absent"})).await;
    let absent = ws.op("error").await;
    assert_eq!(
        (&absent["code"], &absent["topic"]),
        (&json!("topic_not_found"), &json!("absent"))
    );
    for _ in 0..5 {
        ws.raw(Message::text("{")).await;
    }
    assert_eq!(ws.closed().await, 4502);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_rfc_or_a_limit_has_its_close_code() {
    let server = Server::start().await;
    let masked = |first: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("short");
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        frame
    };
    let too_large = [0x81, 0x80 | 126, 0x10, 0x01, 0, 0, 0, 0];
    for (frame, code) in [
        (vec![0x81, 2, b'{', b'}'], 1002),
        (masked(0xc1, b"{}"), 1002),
        (masked(0x83, b"{}"), 1002),
        (masked(0x82, b"{}"), 1003),
        (masked(0x81, &[0xff]), 1007),
        (too_large.to_vec(), 1009),
    ] {
        let mut socket = raw_handshake(&server, "").await;
        socket.write_all(&frame).await.expect("sent");
        assert_eq!(raw_close(&mut socket).await, code, "{frame:?}");
    }
    // A close of the reader is echoed.
    let mut socket = raw_handshake(&server, "").await;
    socket
        .write_all(&masked(0x88, &[0x03, 0xe8]))
        .await
        .expect("sent");
    assert_eq!(raw_close(&mut socket).await, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_ends_the_connection() {
    let server = Server::start().await;
    let mut socket = raw_handshake(&server, "").await;
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    socket.write_all(&ping.repeat(400)).await.expect("sent");
    assert_eq!(raw_close(&mut socket).await, 4502);
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_and_pings_are_understood() {
    let server = Server::start().await;
    server.publish("t", "one").await;
    let mut ws = Ws::open(&server.ws("")).await;
    let text = subscribe("t", "start").to_string();
    let (first, second) = text.split_at(9);
    for (part, code, last) in [(first, Data::Text, false), (second, Data::Continue, true)] {
        let frame = Frame::message(part.to_owned().into_bytes(), OpCode::Data(code), last);
        ws.raw(Message::Frame(frame)).await;
        ws.raw(Message::Ping("between".into())).await;
    }
    ws.op("subscribed").await;
    assert_eq!(ws.change().await["offset"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_a_connection_are_limited() {
    let server = Server::start_with(|config| config.websocket.topics_per_connection_max = 2).await;
    for topic in ["a", "b", "c"] {
        server.publish(topic, "one").await;
    }
    let mut ws = Ws::open(&server.ws("?topic=a")).await;
    ws.op("subscribed").await;
    for topic in ["b", "c"] {
        ws.say(json!({"op": "subscribe", "topic": topic})).await;
    }
    ws.op("subscribed").await;
    let refused = ws.op("error").await;
    assert_eq!(
        (&refused["code"], &refused["topic"]),
        (&json!("limit_reached"), &json!("c"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_topic_needs_a_key_and_looks_absent_without() {
    let server = private_topic().await;
    let reader = server.key(Role::Reader, "secret");
    let mut ws = Ws::open(&server.ws("")).await;
    let mut answers = Vec::new();
    for topic in ["secret", "absent"] {
        ws.say(json!({"op": "subscribe", "topic": topic})).await;
        answers.push(ws.op("error").await.to_string().replace(topic, "TOPIC"));
    }
    assert_eq!(answers[0], answers[1]);
    ws.say(json!({"op": "auth", "token": reader})).await;
    ws.say(subscribe("secret", "start")).await;
    ws.op("subscribed").await;
    assert_eq!(ws.change().await["offset"], 1);
    // The key may come with the handshake as well.
    let bearer = format!("Bearer {reader}");
    let url = server.ws("?topic=secret&after=start");
    let mut ws = Ws::open_with(&url, &[("authorization", &bearer)]).await;
    ws.op("subscribed").await;
    // A key that is not known ends the connection.
    let mut ws = Ws::open(&server.ws("")).await;
    ws.say(json!({"op": "auth", "token": "tb_aaaaaaaa_nonsense"}))
        .await;
    assert_eq!(ws.closed().await, 4501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_connections() {
    let server = private_topic().await;
    let reader = server.key(Role::Reader, "secret");
    let mut ws = Ws::open(&server.ws("")).await;
    ws.say(json!({"op": "auth", "token": reader})).await;
    ws.say(subscribe("secret", "start")).await;
    ws.op("subscribed").await;
    let id = reader.split('_').nth(1).expect("id of the key");
    let file = KeyFile::open(server.folder.path()).expect("key file");
    assert!(file.revoke(id, jiff::Timestamp::now()).is_ok());
    assert_eq!(ws.closed().await, 4501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_becomes_private_leaves_those_without_a_key() {
    let server = Server::start().await;
    server.publish("t", "one").await;
    let reader = server.key(Role::Reader, "t");
    let bearer = format!("Bearer {reader}");
    let mut with = Ws::open_with(&server.ws("?topic=t"), &[("authorization", &bearer)]).await;
    let mut without = Ws::open(&server.ws("?topic=t")).await;
    with.op("subscribed").await;
    without.op("subscribed").await;
    server
        .desk("PATCH", "/v1/topics/t")
        .json(&json!({"visibility": "private"}))
        .expect(200)
        .await;
    server.publish("t", "for those with a key").await;
    assert_eq!(without.op("error").await["code"], "topic_not_found");
    assert_eq!(with.change().await["kind"], "topic.updated");
    assert_eq!(with.change().await["offset"], 3);
    without.say(json!({"op": "subscribe", "topic": "t"})).await;
    assert_eq!(without.op("error").await["code"], "topic_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_origins_are_refused_with_a_code_that_a_page_can_read() {
    let origin = "https://news.example";
    let server = Server::start_with(|config| config.origins = vec![origin.into()]).await;
    server.publish("t", "one").await;
    let url = server.ws("?topic=t");
    let mut ws = Ws::open_with(&url, &[("origin", origin)]).await;
    ws.op("subscribed").await;
    let mut ws = Ws::open_with(&url, &[("origin", "https://elsewhere.example")]).await;
    assert_eq!(ws.closed().await, 4503);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let server = Server::start_with(|config| {
        config.websocket.first_subscribe = Duration::from_millis(300);
        config.websocket.ping_every = Duration::from_millis(400);
        config.websocket.pong_within = Duration::from_millis(300);
    })
    .await;
    server.publish("t", "one").await;
    // No subscribe: dribbling bytes of a message are no excuse.
    let mut socket = raw_handshake(&server, "").await;
    socket.write_all(&[0x81, 0x84, 0]).await.expect("sent");
    assert_eq!(raw_close(&mut socket).await, 4003);
    // Subscribed, but no pong.
    let mut socket = raw_handshake(&server, "?topic=t").await;
    assert_eq!(raw_close(&mut socket).await, 4003);
    // tungstenite answers pings when it reads: it stays.
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.op("subscribed").await;
    for _ in 0..3 {
        ws.ping().await;
    }
    server.publish("t", "two").await;
    assert_eq!(ws.change().await["offset"], 2);
}

/// A ping waits unread in front of whatever fills a socket. Who reads on has the whole time for its pong.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_on_after_a_stall_has_time_for_its_pong() {
    let pong_within = Duration::from_secs(2);
    let server = Server::start_with(|config| {
        config.websocket.ping_every = Duration::from_millis(400);
        config.websocket.pong_within = pong_within;
    })
    .await;
    server.publish("t", "one").await;
    let mut socket = raw_handshake(&server, "?topic=t").await;
    while raw_frame(&mut socket).await.0 != 0x89 {}
    let pinged = tokio::time::Instant::now();
    // More than the socket's buffers hold, before the pong is due; and then that time goes by.
    let entries = 20;
    for _ in 0..entries {
        server.publish("t", &"z".repeat(100_000)).await;
    }
    assert!(pinged.elapsed() < pong_within, "it was full too late");
    tokio::time::sleep_until(pinged + pong_within + Duration::from_millis(300)).await;
    for _ in 0..entries {
        assert_eq!(raw_frame(&mut socket).await.0, 0x81, "a change");
    }
    tokio::time::sleep(pong_within / 4).await;
    socket
        .write_all(&[0x8A, 0x80, 0, 0, 0, 0])
        .await
        .expect("sent");
    server.publish("t", "live again").await;
    while raw_frame(&mut socket).await.0 == 0x89 {}
    // And who sends none is still closed.
    assert_eq!(raw_close(&mut socket).await, 4003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_everyone_when_to_come_back() {
    let server = Server::start_with(|config| config.drain = Duration::from_secs(2)).await;
    server.publish("t", "one").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut ws = Ws::open(&server.ws("?topic=t")).await;
        ws.op("subscribed").await;
        readers.push(ws);
    }
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Slow::asks(&server, "/v1/topics/t/stream", "").await;
        stream.until(": head 1").await;
        streams.push(stream);
    }
    let stopping = tokio::spawn(server.stop());
    let mut delays = HashSet::new();
    for mut ws in readers {
        let (code, reason) = ws.closed_with_reason().await;
        assert_eq!(code, 4001);
        let delay: u64 = reason.parse().expect("milliseconds");
        assert!(delay < 2_000, "{delay}");
        delays.insert(delay);
    }
    assert!(delays.len() > 10, "each has its own: {delays:?}");
    let mut delays = HashSet::new();
    for stream in streams {
        let text = stream.rest().await;
        let last = text.rsplit("retry: ").next().expect("its last words");
        let delay = last.lines().next().expect("a line").trim().to_owned();
        let millis: u32 = delay.parse().expect("milliseconds");
        assert!((2_000..20_000).contains(&millis), "{text}");
        delays.insert(delay);
    }
    assert!(delays.len() > 10, "each has its own: {delays:?}");
    stopping.await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_told_so() {
    let server = Server::start().await;
    let answer = server.get("/v1/ws").send().await;
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (426, "websocket")
    );
    let body = answer.json();
    assert_eq!(
        (&body["status"], &body["code"]),
        (&json!(426), &json!("invalid_parameter"))
    );
    let answer = handshake(&server, "?topic=Bad%20Name", "13").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = handshake(&server, "?after=start", "13").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = handshake(&server, "", "8").await;
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
}

async fn handshake_on(server: &Server, query: &str, version: &str) -> (TcpStream, String) {
    let address = server.base.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("connected");
    let request = format!(
        "GET /v1/ws{query} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read_byte(&mut socket).await.expect("an answer"));
    }
    (socket, String::from_utf8(head).expect("ASCII"))
}

async fn handshake(server: &Server, query: &str, version: &str) -> String {
    handshake_on(server, query, version).await.1
}

async fn raw_handshake(server: &Server, query: &str) -> TcpStream {
    let (socket, answer) = handshake_on(server, query, "13").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    // RFC 6455, section 1.3, has this key and this answer.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    socket
}

async fn read_byte(socket: &mut TcpStream) -> Option<u8> {
    tokio::time::timeout(PATIENCE, socket.read_u8())
        .await
        .expect("something arrives in time")
        .ok()
}

/// The first byte of the next frame, and its payload.
async fn raw_frame(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = read_byte(socket).await.expect("a frame");
    let length = match read_byte(socket).await.expect("a length") {
        127 => usize::try_from(socket.read_u64().await.expect("a length")).expect("a length"),
        126 => socket.read_u16().await.expect("a length").into(),
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await.expect("a payload");
    (first, payload)
}

/// The code of the close frame, past whatever comes before it; then the server ends the stream.
async fn raw_close(socket: &mut TcpStream) -> u16 {
    loop {
        let (first, payload) = raw_frame(socket).await;
        if first == 0x88 {
            assert_eq!(read_byte(socket).await, None, "nothing follows a close");
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}
