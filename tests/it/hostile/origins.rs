//! Pages of other origins: every disguise on every transport, and who needs no origin.

use serde_json::json;
use tenbells::keys::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw::UPGRADE;
use crate::support::{PATIENCE, Server};

const LISTED: &str = "https://news.example";

/// What a page of an origin gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// It reads live, and its browser lets it see answers.
    Listed,
    /// It reads live, and is of the same origin for its browser.
    Own,
    /// It reads nothing live, and its browser keeps every answer from it.
    Foreign,
    /// No page sends this: refused before anything is looked at.
    Refused,
}

/// `Origin` fields with what is to come of them; `HOST` and `PORT` are the server's own.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn disguises() -> Vec<(Vec<u8>, Page)> {
    let foreign = [
        "http://news.example",
        "HTTPS://news.example",
        "https://NEWS.EXAMPLE",
        "https://news.example:443",
        "https://news.example:8443",
        "https://news.example.",
        "https://news.example/",
        "https://news.example/t/harbour",
        "https://news.example?",
        "https://news.example#",
        "https://news.example\\",
        "https://news.example.evil.example",
        "https://evil-news.example",
        "https://evilnews.example",
        "https://live.news.example",
        "https://example",
        "https://news.exampl",
        "https://news_example",
        "https://news.example@evil.example",
        "https://ada@news.example",
        "https://ada:secret@news.example",
        "https://news.example%00.evil.example",
        "https://news.example%2eevil.example",
        "https://xn--nws-qma.example",
        "https://xn--news-8kc.example",
        "https://[::1]",
        "http://[::1]:PORT",
        "http://[::ffff:127.0.0.1]:PORT",
        "http://127.1:PORT",
        "http://2130706433:PORT",
        "http://localhost:PORT",
        "http://127.0.0.1",
        "http://HOST.",
        "http://HOST/",
        "http://ada@HOST",
        "http://HOST:80",
        "file://",
        "file://HOST",
        "ftp://HOST",
        "ws://HOST",
        "chrome-extension://HOST",
        "javascript://HOST",
        "://HOST",
        "//HOST",
        "HOST",
        "http:HOST",
        "http://",
        "data:text/html,x",
        "about:blank",
        "null",
        "NULL",
        "*",
        "https://*.example",
        "",
        "https://news.example https://evil.example",
        "https://news.example,https://evil.example",
        "https://evil.example, https://news.example",
    ];
    let mut all: Vec<_> = foreign
        .into_iter()
        .map(|origin| (origin.as_bytes().to_vec(), Page::Foreign))
        .collect();
    // Cyrillic letters; bytes that are no text; and as long as a head may be.
    all.push(("https://nеws.example".as_bytes().to_vec(), Page::Foreign));
    all.push((b"https://news.example\xff".to_vec(), Page::Foreign));
    all.push((
        format!("{LISTED}{}", "a".repeat(7_000)).into_bytes(),
        Page::Foreign,
    ));
    all.push((LISTED.as_bytes().to_vec(), Page::Listed));
    all.push((b"http://HOST".to_vec(), Page::Own));
    // Behind a proxy that does TLS the page's scheme is another one than ours.
    all.push((b"https://HOST".to_vec(), Page::Own));
    for two in [
        [LISTED, "https://evil.example"],
        ["https://evil.example", LISTED],
        [LISTED, LISTED],
        ["http://HOST", "null"],
    ] {
        let joined = two.join("\r\nOrigin: ").into_bytes();
        all.push((joined, Page::Refused));
    }
    all
}

/// The head of the answer, and what comes right behind it.
async fn begin(server: &Server, request: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address())
        .await
        .expect("connects");
    stream.write_all(request).await.expect("is sent");
    let mut answer = Vec::new();
    let read = async {
        loop {
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end
                && (answer.len() > end + 4 || !answer.starts_with(b"HTTP/1.1 101"))
            {
                return end + 4;
            }
            assert!(stream.read_buf(&mut answer).await.expect("is read") > 0);
        }
    };
    let end = tokio::time::timeout(PATIENCE, read).await.expect("in time");
    let behind = answer.split_off(end);
    (
        String::from_utf8(answer).expect("ASCII").to_lowercase(),
        behind,
    )
}

struct Asker<'a> {
    server: &'a Server,
    /// The value of the field, or of several.
    origin: Vec<u8>,
}

impl Asker<'_> {
    async fn ask(&self, line: &str, more: &str, body: &str) -> (String, Vec<u8>) {
        let host = self.server.address();
        let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}Origin: ").into_bytes();
        request.extend(&self.origin);
        request.extend(format!("\r\n\r\n{body}").bytes());
        begin(self.server, &request).await
    }

    /// What a WebSocket is closed with, once it is open; none where it stays open.
    async fn websocket(&self) -> (u16, Option<u16>) {
        let (head, frame) = self.ask("GET /v1/ws?topic=t", UPGRADE, "").await;
        let closed =
            (frame.first() == Some(&0x88)).then(|| u16::from_be_bytes([frame[2], frame[3]]));
        (status(&head), closed)
    }
}

fn status(head: &str) -> u16 {
    head.get(9..12)
        .and_then(|text| text.parse().ok())
        .expect(head)
}

fn allowed(head: &str) -> Option<&str> {
    head.lines()
        .find_map(|line| line.strip_prefix("access-control-allow-origin: "))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_disguise_of_an_origin_reads_live_on_any_transport() {
    let server = Server::start_with(|config| config.origins = vec![LISTED.to_owned()]).await;
    server.publish("t", "x").await;
    let (host, port) = (
        server.address(),
        server.address().rsplit(':').next().expect("a port"),
    );
    let key = &server.desk;
    let disguises = disguises();
    assert!(disguises.len() > 60);
    for (number, (origin, page)) in disguises.into_iter().enumerate() {
        let shown = String::from_utf8_lossy(&origin).into_owned();
        let origin = match String::from_utf8(origin) {
            Ok(text) => text
                .replace("HOST", host)
                .replace("PORT", port)
                .into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        };
        let asker = Asker {
            server: &server,
            origin,
        };
        let (socket, stream, others) = match page {
            Page::Listed | Page::Own => ((101, None), 200, (200, 201)),
            Page::Foreign => ((101, Some(4503)), 403, (200, 201)),
            Page::Refused => ((400, None), 400, (400, 400)),
        };
        assert_eq!(asker.websocket().await, socket, "{shown}");
        let expected = (page == Page::Listed).then_some(LISTED);
        let write = format!(
            "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"
        );
        let preflight = "Access-Control-Request-Method: POST\r\n";
        let answered = if page == Page::Refused {
            None
        } else {
            Some(200)
        };
        for (line, more, body, status_wanted) in [
            ("GET /v1/topics/t/stream", "", "", Some(stream)),
            (
                "GET /v1/topics/t/changes?after=start",
                "",
                "",
                Some(others.0),
            ),
            ("GET /v1/topics/t/entries", "", "", Some(others.0)),
            (
                "POST /v1/topics/t/entries",
                write.as_str(),
                "{\"headline\":\"x\"}",
                Some(others.1),
            ),
            // A preflight is answered by what CORS alone knows.
            ("OPTIONS /v1/topics/t/entries", preflight, "", answered),
        ] {
            let (head, _) = asker.ask(line, more, body).await;
            if let Some(wanted) = status_wanted {
                assert_eq!(status(&head), wanted, "{number} {shown}: {line}: {head}");
                assert_eq!(allowed(&head), expected, "{shown}: {line}");
            }
            assert!(!head.contains("access-control-allow-credentials"), "{head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_origin_there_is_what_is_public_or_what_the_key_is_for() {
    let server = Server::start().await;
    server.publish("t", "x").await;
    let fields = json!({"visibility": "private"});
    server
        .desk("PUT", "/v1/topics/secret")
        .json(&fields)
        .expect(201)
        .await;
    server.publish("secret", "x").await;
    let key = server.key(Role::Reader, "secret");
    let host = server.address();
    let bearer = format!("Authorization: Bearer {key}\r\n");
    for (topic, field, status_wanted, op) in [
        ("t", "", 200, "subscribed"),
        ("secret", "", 404, "topic_not_found"),
        ("secret", bearer.as_str(), 200, "subscribed"),
    ] {
        for path in ["stream", "changes?after=start", "entries"] {
            let request =
                format!("GET /v1/topics/{topic}/{path} HTTP/1.1\r\nHost: {host}\r\n{field}\r\n");
            let (head, _) = begin(&server, request.as_bytes()).await;
            assert_eq!(status(&head), status_wanted, "{topic} {path} {field}");
        }
        let request =
            format!("GET /v1/ws?topic={topic} HTTP/1.1\r\nHost: {host}\r\n{UPGRADE}{field}\r\n");
        let (head, frame) = begin(&server, request.as_bytes()).await;
        assert_eq!(status(&head), 101);
        assert!(
            String::from_utf8_lossy(&frame).contains(op),
            "{topic} {field}"
        );
    }
}
