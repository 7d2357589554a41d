//! What caches and proxies may keep of an answer, validators, compression, and the methods that have no body.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::read::PATHS;
use crate::support::sse::Sse;

async fn busy() -> Server {
    let server = Server::start().await;
    for number in 0..20 {
        let entry = json!({
            "id": format!("e{number}"),
            "headline": format!("Number {number}"),
            "body": {"text": "Words that come again and again. ".repeat(20)},
            "pinned": true,
            "key_event": true,
        });
        server.publish_entry("t", entry).await;
    }
    // An acknowledged change reaches the readers a moment later.
    assert_eq!(server.changes("t", "start").await.len(), 20);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_sent_again_to_who_has_it() {
    let server = busy().await;
    let entry = "/v1/topics/t/entries/e1";
    for path in PATHS.into_iter().chain([entry, "/"]) {
        let path = path.replace("{}", "t");
        let first = server.get(&path).send().await;
        assert_eq!(first.status, 200, "{path}");
        assert_eq!(first.header("cache-control"), "public, max-age=1", "{path}");
        let etag = first.header("etag").to_owned();
        assert!(etag.ends_with('"'), "{path}: {etag}");
        for tag in [etag.clone(), format!("\"other\", {etag}"), "*".to_owned()] {
            let again = server.get(&path).header("if-none-match", &tag).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}: {tag}");
            assert_eq!(again.header("etag"), etag, "{path}");
            assert_eq!(again.header("cache-control"), "public, max-age=1", "{path}");
        }
        let other = server.get(&path).header("if-none-match", "\"other\"");
        assert_eq!(other.send().await.body, first.body, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_makes_a_new_validator() {
    let server = busy().await;
    let (snapshot, entry) = ("/v1/topics/t/entries", "/v1/topics/t/entries/e1");
    let tag = async |path: &str| server.get(path).send().await.header("etag").to_owned();
    let (before, entry_before) = (tag(snapshot).await, tag(entry).await);
    assert_eq!(entry_before, "\"1\"", "what If-Match takes");
    let call = server
        .desk("PATCH", entry)
        .header("if-match", &entry_before);
    call.json(&json!({"headline": "New"})).expect(200).await;
    assert_eq!(tag(entry).await, "\"2\"");
    let fresh = server
        .get(snapshot)
        .header("if-none-match", &before)
        .send()
        .await;
    assert_eq!(fresh.status, 200);
    assert!(fresh.text().contains("New"));
}

#[tokio::test(flavor = "multi_thread")]
async fn catch_up_pages_are_the_same_bytes_for_ever_and_from_any_side() {
    let server = busy().await;
    let epoch = server.position("t").await;
    let epoch = epoch.split('-').next().expect("an epoch").to_owned();
    let path = format!("/v1/topics/t/changes?after={epoch}-3&limit=5");
    let first = server.get(&path).send().await;
    let wait = format!("{path}&wait=20");
    server.publish("t", "one more").await;
    for path in [&path, &wait] {
        assert_eq!(server.get(path).send().await.body, first.body);
    }
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let again = server.get(&path).send().await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("etag"), first.header("etag"));
    // Only the head beside it moves; what says "nothing yet" is never kept.
    assert_eq!(
        (first.header("tenbells-head"), again.header("tenbells-head")),
        ("20", "21")
    );
    let at_head = server.get(&format!("/v1/topics/t/changes?after={epoch}-21"));
    let at_head = at_head.send().await;
    assert_eq!(at_head.header("cache-control"), "no-store");
    assert_eq!(at_head.json()["changes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_snapshot_meet_without_a_gap() {
    let server = busy().await;
    let mut ids = Vec::new();
    let mut path = "/v1/topics/t/entries?limit=7".to_owned();
    loop {
        let page = server.get(&path).expect(200).await;
        let entries = page["entries"].as_array().expect("entries");
        assert!(entries.len() <= 7);
        ids.extend(entries.iter().map(|entry| entry["id"].clone()));
        match &page["next"] {
            Value::String(next) => path = format!("/v1/topics/t/entries?limit=7&before={next}"),
            _ => break,
        }
    }
    let newest_first: Vec<_> = (0..20)
        .rev()
        .map(|number| json!(format!("e{number}")))
        .collect();
    assert_eq!(ids, newest_first);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_compressed_for_who_takes_it_but_no_event_stream() {
    let server = busy().await;
    for path in PATHS.iter().skip(1) {
        let path = path.replace("{}", "t");
        let plain = server.get(&path).send().await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for encoding in ["gzip", "br"] {
            let packed = server
                .get(&path)
                .header("accept-encoding", encoding)
                .send()
                .await;
            assert_eq!(packed.header("content-encoding"), encoding, "{path}");
            let mut vary = packed.headers.get_all("vary").into_iter();
            assert!(vary.any(|value| value == "accept-encoding"), "{path}");
            assert!(packed.body.len() < plain.body.len() / 2, "{path}");
            if encoding == "gzip" {
                assert_eq!(packed.body[..2], [0x1f, 0x8b], "{path}");
            }
        }
    }
    let http = reqwest::Client::new();
    let url = format!("{}/v1/topics/t/stream?after=start", server.base);
    let request = http.get(&url).header("accept-encoding", "gzip, br");
    let mut response = request.send().await.expect("a stream");
    assert!(response.headers().get("content-encoding").is_none());
    assert_eq!(response.headers()["cache-control"], "no-store");
    let first = response.chunk().await.expect("is read").expect("a chunk");
    assert!(first.starts_with(b"retry: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body_and_options_is_harmless() {
    let server = busy().await;
    let before = server.position("t").await;
    for path in PATHS {
        let path = path.replace("{}", "t");
        let get = server.get(&path).send().await;
        let head = server.call(Method::HEAD, &path).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for field in ["content-type", "etag", "cache-control", "content-length"] {
            assert_eq!(head.header(field), get.header(field), "{path}: {field}");
        }
        let options = server.call(Method::OPTIONS, &path).send().await;
        assert!(
            matches!(options.status, 200 | 204),
            "{path}: {}",
            options.status
        );
        assert_eq!(options.body.len(), 0, "{path}");
    }
    let absent = server.call(Method::HEAD, "/v1/topics/none").send().await;
    assert_eq!((absent.status, absent.body.len()), (404, 0));
    // A HEAD of a stream comes back at once and leaves no reader behind.
    let head = server
        .call(Method::HEAD, "/v1/topics/t/stream")
        .send()
        .await;
    assert_eq!(head.header("content-type"), "text/event-stream");
    assert_eq!(server.topic("t").await["readers"], 0);
    assert_eq!(server.position("t").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_readers_comes_and_goes() {
    let server = busy().await;
    let url = format!("{}/v1/topics/t/stream", server.base);
    let readers = async || server.topic("t").await["readers"].clone();
    let (one, two) = (
        Sse::open(&url, None, None).await,
        Sse::open(&url, None, None).await,
    );
    assert_eq!(readers().await, 2);
    drop((one, two));
    // The server learns of it when the socket closes.
    let began = std::time::Instant::now();
    while readers().await != 0 {
        assert!(began.elapsed() < crate::support::PATIENCE, "readers stay");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_made_otherwise_has_another_validator() {
    const MADE: [&str; 4] = [
        "/t/t",
        "/v1/topics/t/feed.atom",
        "/v1/topics/t/feed.json",
        "/v1/topics/t/liveblog.jsonld",
    ];
    let server = busy().await;
    let position = server.position("t").await;
    let mut tags = Vec::new();
    for path in MADE {
        tags.push(server.get(path).send().await.header("etag").to_owned());
    }
    // The same position, seen from another address: what an upgrade may do to a page as well.
    let server = Server::start_in(server.stop().await, |config| {
        config.public_url = Some("https://blogs.example.org".to_owned());
    })
    .await;
    assert_eq!(server.position("t").await, position);
    for (path, tag) in MADE.into_iter().zip(tags) {
        let again = server.get(path).header("if-none-match", &tag).send().await;
        assert_eq!(again.status, 200, "{path}");
        assert!(again.text().contains("https://blogs.example.org"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_has_the_topics_that_changed_last() {
    const TOPICS: usize = 201;
    let server = Server::start().await;
    for number in 0..TOPICS {
        let call = server.desk("PUT", &format!("/v1/topics/a{number:03}"));
        call.json(&json!({"title": "A"})).expect(201).await;
    }
    server.publish("z", "the last one").await;
    server.publish("a001", "the very last one").await;
    let html = server.get("/").send().await.text().replace("&#x2f;", "/");
    let listed: Vec<&str> = html
        .split("href=\"/t/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(listed.len(), 200);
    // By name the one would be second, and the other not there.
    assert_eq!(listed[0], "a001");
    assert!(listed.contains(&"z"));
}
