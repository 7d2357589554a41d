//! Requests that a proxy and the broker could cut in different places. Each is sent on a connection of its own, with a
//! publish behind it or within it; the answers are counted, and the publish must not have been served.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;
use crate::support::raw::{UPGRADE, statuses, until_end};

const ENTRY: &str = r#"{"headline":"x"}"#;

struct Attack {
    server: Server,
    /// A publish to the topic that must not come to be.
    smuggled: String,
}

impl Attack {
    async fn new() -> Self {
        let server = Server::start_with(|config| {
            // A connection that stays open shows itself by this.
            config.http.header_timeout = Duration::from_millis(250);
        })
        .await;
        server.publish("t", "x").await;
        let key = &server.desk;
        let smuggled = format!(
            "POST /v1/topics/smuggled/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{ENTRY}",
            ENTRY.len()
        );
        Self { server, smuggled }
    }

    /// A publish to `t` with these fields and this body.
    fn post(&self, fields: &str, body: &str) -> String {
        let key = &self.server.desk;
        format!(
            "POST /v1/topics/t/entries HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\n{fields}\r\n\r\n{body}"
        )
    }

    /// The entry in one chunk.
    fn chunked() -> String {
        format!("{:x}\r\n{ENTRY}\r\n0\r\n\r\n", ENTRY.len())
    }

    async fn expect(&self, lines: Vec<(String, Vec<u16>)>) {
        let attempts = lines
            .iter()
            .map(|(bytes, _)| until_end(&self.server, bytes.as_bytes()));
        let answers = futures_util::future::join_all(attempts).await;
        for ((bytes, wanted), answer) in lines.into_iter().zip(answers) {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert_eq!(statuses(answer.as_bytes()), wanted, "{bytes}\n=>\n{answer}");
        }
        self.server
            .get("/v1/topics/smuggled")
            .expect_problem(404, "topic_not_found")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_in_a_row_are_two_requests() {
    // What the others are measured by: a request that is one is served, and would be noticed.
    let attack = Attack::new().await;
    let two = format!(
        "GET /v1/topics/t HTTP/1.1\r\nHost: t\r\n\r\n{}",
        attack.smuggled
    );
    assert_eq!(
        statuses(&until_end(&attack.server, two.as_bytes()).await),
        [200, 201]
    );
    attack.server.get("/v1/topics/smuggled").expect(200).await;
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_one_length() {
    let attack = Attack::new().await;
    let (chunked, smuggled, length) = (Attack::chunked(), &attack.smuggled, ENTRY.len());
    let both = format!("{chunked}{smuggled}");
    let all = format!("Content-Length: {}", both.len());
    let hidden = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let mut lines = vec![
        // Both lengths: the chunks count (RFC 9112, section 6.3), and the connection ends.
        (
            attack.post(&format!("{all}\r\nTransfer-Encoding: chunked"), &both),
            vec![201],
        ),
        (
            attack.post(&format!("Transfer-Encoding: chunked\r\n{all}"), &both),
            vec![201],
        ),
        (
            attack.post("Content-Length: 4\r\nTransfer-Encoding: chunked", &hidden),
            vec![400],
        ),
        (
            attack.post("Transfer-Encoding: chunked\r\nContent-Length: 4", &hidden),
            vec![400],
        ),
        (
            attack.post("Content-Length: 0\r\nTransfer-Encoding: chunked", &both),
            vec![201],
        ),
        (
            attack.post(
                "Connection: Content-Length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked",
                &both,
            ),
            vec![201],
        ),
        // Two lengths.
        (
            attack.post(
                &format!("Content-Length: {length}\r\nContent-Length: 0"),
                &format!("{ENTRY}{smuggled}"),
            ),
            vec![400],
        ),
        (
            attack.post(
                &format!("Content-Length: 0\r\nContent-Length: {length}"),
                &format!("{ENTRY}{smuggled}"),
            ),
            vec![400],
        ),
    ];
    for value in [
        format!("+{length}"),
        format!("-{length}"),
        format!("{length}, {length}"),
        format!("{length},0"),
        format!("0x{length:x}"),
        format!("{length}.0"),
        format!("{length};"),
        format!("{length} 0"),
        "1e1".to_owned(),
        String::new(),
        format!("\"{length}\""),
        format!("{length}\u{b}"),
        "99999999999999999999".to_owned(),
    ] {
        let request = attack.post(
            &format!("Content-Length: {value}"),
            &format!("{ENTRY}{smuggled}"),
        );
        lines.push((request, vec![400]));
    }
    for coding in [
        "xchunked",
        "chunkedx",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "gzip",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ", chunked",
        "\u{b}chunked",
        "chunk\0ed",
        "cow",
        "",
    ] {
        let request = attack.post(
            &format!("Transfer-Encoding: {coding}\r\nContent-Length: {length}"),
            &both,
        );
        lines.push((request, vec![400]));
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tchunked",
        "Transfer-Encoding\r\n: chunked",
        "Transfer\0-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        ": chunked",
        "Transfer-Encoding",
    ] {
        lines.push((
            attack.post(&format!("{fields}\r\nContent-Length: 4"), &both),
            vec![400],
        ));
    }
    // In other letters it is what it is. A bare line feed ends a line (section 2.2), so it hides nothing either.
    lines.push((
        attack.post(&format!("transfer-encoding: CHUNKED\r\n{all}"), &both),
        vec![201],
    ));
    lines.push((
        attack.post(&format!("X: y\nTransfer-Encoding: chunked\r\n{all}"), &both),
        vec![201],
    ));
    attack.expect(lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_read_strictly() {
    let attack = Attack::new().await;
    let smuggled = &attack.smuggled;
    let size = format!("{:x}", ENTRY.len());
    let mut lines = Vec::new();
    for body in [
        format!("{size}\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("{size}\r\n{ENTRY}\n0\r\n\r\n{smuggled}"),
        format!("{size}\r\n{ENTRY}0\r\n\r\n{smuggled}"),
        format!("{size}\r\n{ENTRY}xx0\r\n\r\n{smuggled}"),
        format!("{size};a=\nb\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!(
            "{size};{}\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}",
            "a".repeat(20_000)
        ),
        format!("0x{size}\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("+{size}\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("-{size}\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("{size}g\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!("10000000000000010\r\n{ENTRY}\r\n0\r\n\r\n{smuggled}"),
        format!(
            "{size}\r\n{ENTRY}\r\n0\r\n{}\r\n\r\n{smuggled}",
            "X: y\r\n".repeat(2_000)
        ),
    ] {
        lines.push((attack.post("Transfer-Encoding: chunked", &body), vec![400]));
    }
    // What is well-formed, and said of more than the body: left aside.
    for body in [
        format!("{size};name=value\r\n{ENTRY}\r\n0\r\n\r\n"),
        format!("000{size}\r\n{ENTRY}\r\n0\r\n\r\n"),
        format!(
            "{size}\r\n{ENTRY}\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
    ] {
        lines.push((attack.post("Transfer-Encoding: chunked", &body), vec![201]));
    }
    attack.expect(lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_host_and_no_field_twice_that_counts() {
    let attack = Attack::new().await;
    let get = |fields: &str| {
        format!(
            "GET /v1/topics/t HTTP/1.1\r\n{fields}\r\n{}",
            attack.smuggled
        )
    };
    let key = &attack.server.desk;
    let lines = vec![
        (get(""), vec![400]),
        (get("Host: t\r\nHost: t\r\n"), vec![400]),
        (get("Host: t\r\nHost: evil.example\r\n"), vec![400]),
        (
            get(&format!(
                "Host: t\r\nAuthorization: Bearer tb_no\r\nAuthorization: Bearer {key}\r\n"
            )),
            vec![400],
        ),
        (
            get("Host: t\r\nOrigin: null\r\nOrigin: http://t\r\n"),
            vec![400],
        ),
        (
            attack.post(
                "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 16",
                ENTRY,
            ),
            vec![400],
        ),
        (
            attack.post("Content-Type: text/plain\r\nContent-Length: 16", ENTRY),
            vec![400],
        ),
        (
            format!(
                "GET /v1/topics/t/stream HTTP/1.1\r\nHost: t\r\nLast-Event-ID: a-1\r\nLast-Event-ID: b-1\r\n\r\n{}",
                attack.smuggled
            ),
            vec![400],
        ),
        // HTTP/1.0 knows no Host, no chunks, and no connection that stays unless it is asked for.
        (
            format!("GET /v1/topics/t HTTP/1.0\r\n\r\n{}", attack.smuggled),
            vec![200],
        ),
        (
            format!(
                "GET /v1/topics/t HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n{}",
                attack.smuggled
            ),
            vec![200],
        ),
        (
            attack
                .post("Transfer-Encoding: chunked", &Attack::chunked())
                .replacen("HTTP/1.1", "HTTP/1.0", 1),
            vec![400],
        ),
        (
            get("Host: t\r\nConnection: close\r\nConnection: keep-alive\r\n"),
            vec![200],
        ),
    ];
    attack.expect(lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_has_one_form() {
    let attack = Attack::new().await;
    let smuggled = &attack.smuggled;
    let line = |line: &str| format!("{line}\r\nHost: t\r\nConnection: close\r\n\r\n{smuggled}");
    let lines = vec![
        (line("GET  /v1/topics/t HTTP/1.1"), vec![400]),
        (line("GET\t/v1/topics/t HTTP/1.1"), vec![400]),
        (line("GET /v1/topics/t  HTTP/1.1"), vec![400]),
        (line("GET /v1/topics/t\tHTTP/1.1"), vec![400]),
        (line("GET /v1/topics/t HTTP/1.1 "), vec![400]),
        (line("GET /v1/topics/t"), vec![400]),
        (line("GET /v1/topics/t HTTP/0.9"), vec![400]),
        (line("GET /v1/topics/t HTTP/1.2"), vec![400]),
        (line("GET /v1/topics/t HTTP/3.0"), vec![400]),
        (line("GET /v1/topics/t http/1.1"), vec![400]),
        (line("GET /v1/topics/\0t HTTP/1.1"), vec![400]),
        (line("GET /v1/topics/t\u{7f} HTTP/1.1"), vec![400]),
        (line("G{ET /v1/topics/t HTTP/1.1"), vec![400]),
        (line(" GET /v1/topics/t HTTP/1.1"), vec![400]),
        (line("get /v1/topics/t HTTP/1.1"), vec![405]),
        // Whatever names the authority, the path is what is served, and nothing is a tunnel.
        (line("GET http://t/v1/topics/t HTTP/1.1"), vec![200]),
        (
            line("GET http://evil.example/v1/topics/t HTTP/1.1"),
            vec![200],
        ),
        (line("GET http://evil.example HTTP/1.1"), vec![200]),
        (line("GET t:80 HTTP/1.1"), vec![404]),
        (line("CONNECT t:80 HTTP/1.1"), vec![404]),
        (line("CONNECT 169.254.169.254:80 HTTP/1.1"), vec![404]),
        (line("CONNECT /v1/topics/t HTTP/1.1"), vec![405]),
        (line("GET * HTTP/1.1"), vec![404]),
        (line("TRACE /v1/topics/t HTTP/1.1"), vec![405]),
        (line("TRACK /v1/topics/t HTTP/1.1"), vec![405]),
        (line("PRI * HTTP/2.0"), vec![400]),
        (line("GET /v1/topics/t/../smuggled HTTP/1.1"), vec![404]),
        (line("GET //v1/topics/t HTTP/1.1"), vec![404]),
        (line("GET /v1/topics/t/ HTTP/1.1"), vec![404]),
        (line("GET /v1\\topics\\t HTTP/1.1"), vec![404]),
        (line("GET /v1/topics/%2e%2e/t HTTP/1.1"), vec![404]),
        (line("GET /v1/topics/%74 HTTP/1.1"), vec![200]),
        (line("GET /v1/topics/t%0d%0aX:%20y HTTP/1.1"), vec![400]),
        (line("GET /v1/topics/t%ff HTTP/1.1"), vec![400]),
    ];
    attack.expect(lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_is_no_request() {
    let attack = Attack::new().await;
    let smuggled = &attack.smuggled;
    let length = smuggled.len();
    let mut lines = Vec::new();
    for (begin, wanted) in [
        ("GET /v1/topics/t", 200),
        ("HEAD /v1/topics/t", 200),
        ("DELETE /v1/topics/t", 405),
        ("GET /nowhere", 404),
        ("POST /v1/topics/t/entries", 401),
        ("OPTIONS /v1/topics/t", 200),
    ] {
        lines.push((
            format!("{begin} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{smuggled}"),
            vec![wanted],
        ));
        lines.push((format!("{begin} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{smuggled}\r\n0\r\n\r\n"), vec![wanted]));
        // A client that waits for a go-ahead, and does not.
        lines.push((format!("{begin} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{smuggled}"), vec![wanted]));
    }
    attack.expect(lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_handshake_is_a_request() {
    let attack = Attack::new().await;
    let smuggled = &attack.smuggled;
    let length = smuggled.len();
    let ws = |line: &str, fields: &str| format!("{line}\r\nHost: t\r\n{fields}\r\n{smuggled}");
    let other = UPGRADE.replace("13", "12");
    let lines = vec![
        // Taken: what follows is a frame, and none that is masked.
        (ws("GET /v1/ws HTTP/1.1", UPGRADE), vec![101]),
        // Refused: a proxy may take it for a tunnel all the same.
        (ws("GET /v1/ws HTTP/1.1", &other), vec![426]),
        (ws("GET /v1/ws?topic=T HTTP/1.1", UPGRADE), vec![400]),
        (ws("GET /v1/ws?after=start HTTP/1.1", UPGRADE), vec![400]),
        (
            ws(
                "GET /v1/ws HTTP/1.1",
                &format!("{UPGRADE}Authorization: Bearer tb_no\r\n"),
            ),
            vec![401],
        ),
        (
            ws(
                "GET /v1/ws HTTP/1.1",
                "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            ),
            vec![426],
        ),
        (ws("GET /v1/ws HTTP/1.1", ""), vec![426]),
        (ws("GET /v1/ws HTTP/1.0", UPGRADE), vec![426]),
        (
            ws(
                "GET /v1/ws HTTP/1.1",
                &format!("{UPGRADE}Content-Length: {length}\r\n"),
            ),
            vec![426],
        ),
        (
            ws(
                "GET /v1/ws HTTP/1.1",
                &format!("{UPGRADE}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
            ),
            vec![400],
        ),
        (
            format!(
                "GET /v1/ws HTTP/1.1\r\nHost: t\r\n{UPGRADE}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{smuggled}\r\n0\r\n\r\n"
            ),
            vec![426],
        ),
    ];
    attack.expect(lines).await;
    // The smuggled bytes end a WebSocket by its own rules.
    let answer = until_end(
        &attack.server,
        ws("GET /v1/ws HTTP/1.1", UPGRADE).as_bytes(),
    )
    .await;
    let end = &answer[answer.len()
        - 2
        - answer[answer
            .iter()
            .rposition(|byte| *byte == 0x88)
            .expect("a close")
            + 1] as usize..];
    assert_eq!(end[2..4], 1002_u16.to_be_bytes(), "{end:?}");
    // Unasked, another path stays what it is.
    let plain = format!(
        "GET /v1/topics/t HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n{smuggled}"
    );
    attack.expect(vec![(plain, vec![200])]).await;
    assert_eq!(
        attack.server.desk("GET", "/v1/key").expect(200).await["role"],
        json!("desk")
    );
}
