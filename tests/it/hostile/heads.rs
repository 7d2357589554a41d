//! Heads and bodies beyond their bounds, to the byte; what is declared and never sent; what dribbles.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw::{UPGRADE, exchange, statuses, until_end};
use crate::support::{PATIENCE, Server};

const SOON: Duration = Duration::from_millis(400);

async fn impatient() -> Server {
    let server = Server::start_with(|config| {
        config.http.header_timeout = SOON;
        config.http.body_timeout = SOON;
    })
    .await;
    server.publish("t", "x").await;
    server
}

/// A request whose head has exactly so many bytes, and so many fields.
fn head(bytes: usize, fields: usize) -> Vec<u8> {
    let mut head = b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\n".to_vec();
    for number in 2..fields {
        head.extend(format!("X-{number}: y\r\n").bytes());
    }
    let rest = bytes - head.len() - b"X-Pad: \r\n\r\n".len();
    head.extend(format!("X-Pad: {}\r\n\r\n", "p".repeat(rest)).bytes());
    assert_eq!(head.len(), bytes);
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_8_kib_and_64_fields_and_not_one_more() {
    let server = impatient().await;
    for (bytes, fields, wanted) in [
        (8_192, 3, 200),
        (8_193, 3, 431),
        (12_000, 3, 431),
        (64_000, 3, 431),
        (2_000, 64, 200),
        (2_000, 65, 431),
        (8_192, 65, 431),
    ] {
        let request = head(bytes, fields);
        // At once, in two pieces, and a buffer that is nearly full already: the bound is the same.
        for cut in [0, 100, 8_000] {
            let cut = cut.min(bytes / 2);
            let mut stream = TcpStream::connect(server.address())
                .await
                .expect("connects");
            stream.set_nodelay(true).expect("is set");
            let _ = stream.write_all(&request[..cut]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = stream.write_all(&request[cut..]).await;
            let mut answer = Vec::new();
            let read = async { while stream.read_buf(&mut answer).await.unwrap_or(0) > 0 {} };
            tokio::time::timeout(PATIENCE, read).await.expect("in time");
            assert_eq!(
                statuses(&answer),
                [wanted],
                "{bytes} bytes, {fields} fields, cut at {cut}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_and_a_target_have_no_room_of_their_own() {
    let server = impatient().await;
    for (request, wanted) in [
        (
            format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(8_000)),
            vec![404],
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(9_000)),
            vec![431],
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(70_000)),
            vec![431],
        ),
        (
            format!("{} / HTTP/1.1\r\nHost: t\r\n\r\n", "A".repeat(9_000)),
            vec![431],
        ),
        (
            format!(
                "GET /t/t?{} HTTP/1.1\r\nHost: t\r\n\r\n",
                "a=b&".repeat(1_990)
            ),
            vec![200],
        ),
        ("\r\n".repeat(9_000), vec![431]),
    ] {
        let answer = until_end(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), wanted, "{}", &request[..40]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_are_refused_when_they_are_declared() {
    let server = impatient().await;
    let key = &server.desk;
    let post = |fields: &str, body: &str| {
        format!(
            "POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{fields}\r\n\r\n{body}"
        )
    };
    // A batch may be longer than an entry.
    let batch = post("Content-Length: 8388609", "").replace("/entries", "/entries:batch");
    let began = Instant::now();
    for (request, wanted) in [
        (post("Content-Length: 262145", ""), 413),
        (post("Content-Length: 1099511627776", ""), 413),
        (post("Content-Length: 9223372036854775807", ""), 413),
        (post("Content-Length: 18446744073709551615", ""), 431),
        (post("Content-Length: 18446744073709551616", ""), 400),
        (batch, 413),
        // A chunk's length makes room for nothing: its bytes are waited for, and counted as they come.
        (post("Transfer-Encoding: chunked", "40001\r\n"), 408),
        (
            post("Transfer-Encoding: chunked", "7fffffffffffffff\r\n"),
            408,
        ),
        (
            post("Transfer-Encoding: chunked", "fffffffffffffffff\r\n"),
            400,
        ),
    ] {
        // Not a byte of the body is sent, and nothing waits for one.
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(statuses(answer.as_bytes()), [wanted], "{request}: {answer}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_body_is_refused_unread() {
    let server = impatient().await;
    let key = &server.desk;
    // A thousand mebibytes of spaces would be a mebibyte of gzip: nothing is ever inflated here.
    for coding in [
        "gzip",
        "br",
        "deflate",
        "zstd",
        "gzip, gzip",
        "GZIP",
        "x",
        "identity, gzip",
    ] {
        let request = format!(
            "POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: 16\r\n\r\n{{\"headline\":\"x\"}}"
        );
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(statuses(answer.as_bytes()), [415], "{coding}: {answer}");
        assert!(answer.contains("Content-Encoding"), "{answer}");
    }
    let plain = server.desk("POST", "/v1/topics/t/entries");
    let plain = plain.header("content-encoding", "identity");
    plain
        .body("application/json", r#"{"headline":"x"}"#)
        .expect(201)
        .await;
}

/// How a socket can dribble: what it begins with, and what it is told.
fn ways(key: &str) -> [(Vec<u8>, Vec<u16>); 6] {
    // A message of 2,000 bytes begins behind it.
    let upgrade = format!("GET /v1/ws HTTP/1.1\r\nHost: t\r\n{UPGRADE}\r\n");
    let upgrade = [upgrade.as_bytes(), b"\x81\xfe\x07\xd0\0\0\0\0"].concat();
    let post = |key: &str| {
        let head = format!(
            "POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n"
        );
        head.into_bytes()
    };
    [
        (Vec::new(), vec![]),
        (
            b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\nX-".to_vec(),
            vec![],
        ),
        (
            b"GET /v1/topics/t HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(),
            vec![200],
        ),
        (upgrade, vec![101]),
        (post(key), vec![408]),
        (post("tb_no"), vec![401]),
    ]
}

/// Two hundred sockets that dribble each in a way of its own; how long they were there, and what they were told.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_dribbles_is_gone_in_time() {
    let server = Server::start_with(|config| {
        config.http.header_timeout = SOON;
        config.http.body_timeout = SOON;
        config.websocket.first_subscribe = SOON;
        config.limits.auth_failures = None;
    })
    .await;
    server.publish("t", "x").await;
    let ways = ways(&server.desk);
    let began = Instant::now();
    let mut sockets = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (begin, wanted) = ways[number % ways.len()].clone();
        let address = server.address().to_owned();
        sockets.spawn(async move {
            let stream = TcpStream::connect(address).await.expect("connects");
            let (mut read, mut write) = stream.into_split();
            write.write_all(&begin).await.expect("is sent");
            let begin = String::from_utf8_lossy(&begin);
            let dribble = async {
                // Nothing but a byte now and then, until nobody takes it.
                while write.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                std::future::pending::<()>().await
            };
            let mut answer = Vec::new();
            let reading = async { while read.read_buf(&mut answer).await.unwrap_or(0) > 0 {} };
            tokio::select! {
                () = reading => {}
                () = dribble => {}
                () = tokio::time::sleep(PATIENCE) => panic!("it is still open: {begin}"),
            }
            assert_eq!(statuses(&answer), wanted, "{begin}");
            if wanted == [101] {
                let text = String::from_utf8_lossy(&answer);
                assert!(text.ends_with("no subscribe in time"), "{text}");
            }
        });
    }
    // Meanwhile who has something to say is served.
    server.publish("t", "meanwhile").await;
    while let Some(ended) = sockets.join_next().await {
        ended.expect("as it should be");
    }
    // What is refused lingers for two seconds more, so that the reason arrives.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
