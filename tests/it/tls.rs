//! TLS in the process: everything that works in the clear works inside it, and a certificate can be renewed.

use std::time::{Duration, Instant};

use serde_json::json;
use tenbells::app::{App, AppError};
use tenbells::config::Config;
use tenbells::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::readers;
use crate::support::process::{Process, free_address, run};
use crate::support::sse::Sse;
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server, make_key, raw, tls};

#[tokio::test(flavor = "multi_thread")]
async fn publishing_and_every_transport_work() {
    let server = Server::start_tls(|_| {}).await;
    server.publish("t", "one").await;
    let mut ws = Ws::open(&server.ws("?topic=t&after=start")).await;
    ws.op("subscribed").await;
    assert_eq!(ws.change().await["offset"], 1);
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    let mut sse = Sse::open(&url, None, None).await;
    assert_eq!(sse.change().await.data["offset"], 1);
    server.publish("t", "two").await;
    assert_eq!(ws.change().await["offset"], 2);
    assert_eq!(sse.change().await.data["offset"], 2);
    assert_eq!(server.changes("t", "start").await.len(), 2);
    ws.say(json!({"op": "subscribe", "topic": "nowhere"})).await;
    assert_eq!(ws.op("error").await["code"], "topic_not_found");
    let page = server.get("/t/t").send().await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("strict-transport-security"), "max-age=60");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_are_spoken_and_http_1_is_chosen() {
    let server = Server::start_tls(|config| {
        config.tls.as_mut().expect("TLS").hsts = Duration::ZERO;
    })
    .await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = tls::shake(server.address(), &[version]).await;
        let request = b"GET /v1/topics/t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("is sent");
        let mut answer = String::new();
        // The server's end of the session is said, so this is no truncation.
        stream.read_to_string(&mut answer).await.expect("is read");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "{answer}");
        let spoken = stream.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_catches_up_from_the_store() {
    readers::stalls_and_catches_up(Server::start_tls(readers::with_a_short_ring).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_closed() {
    readers::never_reads_and_resumes(Server::start_tls(readers::with_little_patience).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retracted_body_leaves_in_no_record() {
    readers::retracted_body_leaves_no_more(Server::start_tls(|_| {}).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_the_middle_of_a_record_is_cut_off_by_a_retraction() {
    // Frames of several records: one of them is sealed, the others are not yet.
    readers::cut_off_by_a_retraction(Server::start_tls(|_| {}).await, 60, 100_000).await;
    // Frames of one record: all of it is sealed, and only the kernel has no room for it.
    readers::cut_off_by_a_retraction(Server::start_tls(|_| {}).await, 1_000, 8_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_replay_is_whole_and_in_order() {
    let server = Server::start_tls(readers::with_a_short_ring).await;
    for batch in 0..10 {
        let entry =
            |n| json!({"headline": format!("{batch} {n}"), "body": {"text": "z".repeat(5_000)}});
        let entries: Vec<_> = (0..100).map(entry).collect();
        server
            .desk("POST", "/v1/topics/t/entries:batch")
            .json(&json!({ "entries": entries }))
            .expect(201)
            .await;
    }
    let mut ws = Ws::open(&server.ws("?topic=t&after=start")).await;
    ws.op("subscribed").await;
    for expected in 1..=1_000 {
        assert_eq!(ws.change().await["offset"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_the_handshake_is_not_lost() {
    let server = Server::start_tls(|_| {}).await;
    server.publish("t", "one").await;
    let mut stream = tls::shake(server.address(), rustls::ALL_VERSIONS).await;
    let mut sent =
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .to_vec();
    let op = br#"{"op":"subscribe","topic":"t","after":"start"}"#;
    // Masked with zeros: the text stays as it is. Many times over, so that the session reads in several goes.
    let frame = [&[0x81, 0x80 | op.len() as u8, 0, 0, 0, 0], &op[..]].concat();
    sent.extend(frame.repeat(100));
    stream.write_all(&sent).await.expect("is sent");
    let mut heard = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&heard).contains(r#""offset":1"#) {
            assert!(stream.read_buf(&mut heard).await.expect("is read") > 0);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_pair_is_shown_to_newcomers_and_the_others_stay() {
    let server = Server::start_tls(|_| {}).await;
    server.publish("t", "one").await;
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.op("subscribed").await;
    let before = tls::shown(server.address()).await;
    // No pair: the old one is kept.
    let (chain, key) = tls::pair(2098);
    tls::write(server.folder.path(), &chain, "");
    server
        .until_metric("tenbells_tls_reloads_failed_total", |failed| failed >= 1.0)
        .await;
    assert_eq!(tls::shown(server.address()).await, before);
    tls::write(server.folder.path(), &chain, &key);
    server
        .until_metric("tenbells_tls_reloads_total", |taken| taken >= 1.0)
        .await;
    let after = tls::shown(server.address()).await;
    assert_ne!(after, before);
    // 31 December 2098.
    server
        .until_metric("tenbells_tls_certificate_expiry_timestamp_seconds", |s| {
            s == 4_070_822_400.0
        })
        .await;
    server.publish("t", "two").await;
    assert_eq!(ws.change().await["offset"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_told_that_the_address_is_https() {
    let server = Server::start_tls(|_| {}).await;
    let answer = raw::exchange(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("the address is https"), "{answer}");
    let mut other = TcpStream::connect(server.address())
        .await
        .expect("connects");
    other.write_all(b"\0\0\0").await.expect("is sent");
    // Closed without a word; whether as an end or a reset is the kernel's to say.
    let closed = tokio::time::timeout(PATIENCE, other.read(&mut [0; 64])).await;
    assert!(matches!(closed.expect("in time"), Ok(0) | Err(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_loses_its_place() {
    let server = Server::start_tls(|config| {
        config.http.connections_max = 1;
        config.http.reserved_for_publishers = 0;
        let tls = config.tls.as_mut().expect("TLS");
        tls.handshake_timeout = Duration::from_millis(200);
    })
    .await;
    let mut silent = TcpStream::connect(server.address())
        .await
        .expect("connects");
    // The beginning of a record that says it has more.
    silent
        .write_all(&[22, 3, 1, 2, 0, 1])
        .await
        .expect("is sent");
    server
        .until_metric("tenbells_connections", |open| open == 1.0)
        .await;
    let closed = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 64])).await;
    assert!(matches!(closed.expect("in time"), Ok(0) | Err(_)));
    server
        .until_metric("tenbells_tls_handshakes_failed_total", |failed| {
            failed == 1.0
        })
        .await;
    server
        .until_metric("tenbells_connections", |open| open == 0.0)
        .await;
    server
        .get("/v1/topics/t")
        .expect_problem(404, "topic_not_found")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_everyone_when_to_come_back() {
    let server = Server::start_tls(|config| config.drain = Duration::from_millis(200)).await;
    server.publish("t", "one").await;
    let mut ws = Ws::open(&server.ws("?topic=t")).await;
    ws.op("subscribed").await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(ws.closed().await, 4001);
    drop(ws);
    stopping.await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_can_not_be_used_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("folder");
    let ((chain, key), (other, _), (expired, its_key)) =
        (tls::pair(2099), tls::pair(2099), tls::pair(2001));
    for (chain, key, says) in [
        (&other, &key, "is not the key of the first certificate"),
        (&expired, &its_key, "expired at 2001-12-31"),
        (&String::new(), &key, "has no certificate in it"),
    ] {
        let config = Config {
            data_dir: folder.path().join("data"),
            listen: "127.0.0.1:0".parse().expect("address"),
            admin_listen: "127.0.0.1:0".parse().expect("address"),
            tls: Some(tls::write(folder.path(), chain, key)),
            ..Config::default()
        };
        let Err(AppError::Tls(error)) = App::start(config, Shutdown::new()).await else {
            panic!("{says}: it starts");
        };
        assert!(error.to_string().contains(says), "{error}");
    }
    let files = tls::write(folder.path(), &chain, &its_key);
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let settings = format!("[tls]\ncertificate = '{certificate}'\nkey = '{key}'\n");
    let config = folder.path().join("tenbells.toml");
    std::fs::write(&config, settings).expect("is written");
    let config = config.to_str().expect("a path in UTF-8");
    for command in ["serve", "check-config"] {
        let (status, _, said) = run(&[command, "--config", config], &[]).await;
        assert_eq!(status.code(), Some(78), "{said}");
        assert!(said.contains("the two files must be a pair"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_trust_a_certificate_of_their_own_authority_and_sighup_renews_it() {
    let folder = tempfile::tempdir().expect("folder");
    let address = free_address();
    let (chain, key) = tls::pair_for(&address.ip().to_string(), 2099);
    let files = tls::write(folder.path(), &chain, &key);
    let text = |path: &std::path::Path| path.to_str().expect("a path in UTF-8").to_owned();
    let ca = text(&tls::write_ca(folder.path()));
    let data = folder.path().join("data");
    let more = vec![
        "--tls-certificate".to_owned(),
        text(&files.certificate),
        "--tls-key".to_owned(),
        text(&files.key),
    ];
    let process = Process::start_with(&data, address, more).await;
    let key = make_key(&data, tenbells::keys::Role::Publisher, "*");
    let url = format!("https://{address}");
    let environment = [("TENBELLS_URL", url.as_str()), ("TENBELLS_KEY", &key)];
    let publish = ["publish", "t", "--headline", "Polls have closed"];
    let (status, _, said) = run(&publish, &environment).await;
    assert_eq!(status.code(), Some(69), "not trusted: {said}");
    let trusting = [&publish[..], &["--ca", &ca]].concat();
    let (status, _, said) = run(&trusting, &environment).await;
    assert!(status.success(), "{said}");
    let (status, heard, said) = run(&["tail", "t", "--once", "--ca", &ca], &environment).await;
    assert!(status.success(), "{said}");
    assert!(heard.contains("Polls have closed"), "{heard}");

    let address = address.to_string();
    let before = tls::shown(&address).await;
    let (chain, key) = tls::pair(2098);
    tls::write(folder.path(), &chain, &key);
    process.signal("-HUP");
    let began = Instant::now();
    while tls::shown(&address).await == before {
        assert!(began.elapsed() < PATIENCE, "the pair is not renewed");
    }
}
