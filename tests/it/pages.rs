//! The pages of a topic: addresses that stay, what is on which of them, and the policy they are sent with.
//!
//! What a browser makes of them is tested in web/tests.

use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::support::Server;

/// Entries of a full page of the archive.
const PAGE: usize = 30;

fn name(number: usize) -> String {
    format!("e{number:03}")
}

/// A topic with entries e001 to `count`.
async fn with_entries(count: usize) -> Server {
    let server = Server::start().await;
    let entries: Vec<Value> = (1..=count)
        .map(|number| json!({"id": name(number), "body": {"text": format!("Text {number}.")}}))
        .collect();
    let call = server.desk("POST", "/v1/topics/t/entries:batch");
    call.json(&json!({"entries": entries})).expect(201).await;
    server
}

async fn page(server: &Server, path: &str) -> Html {
    let answer = server.get(path).send().await;
    assert_eq!(answer.status, 200, "{path}");
    Html::parse_document(&answer.text())
}

fn all(html: &Html, selector: &str, attribute: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("selector");
    let found = html.select(&selector);
    found
        .filter_map(|element| element.attr(attribute).map(str::to_owned))
        .collect()
}

fn ids(html: &Html) -> Vec<String> {
    all(html, "[data-live=feed] > article", "data-entry")
}

/// Names of entries, from a number down to another.
fn down(from: usize, to: usize) -> Vec<String> {
    (to..=from).rev().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_pages_keep_their_address_and_their_entries() {
    let server = with_entries(3 * PAGE + 5).await;
    // The topic's own page has the last two pages, and leads to the one before.
    let head = page(&server, "/t/t").await;
    assert_eq!(ids(&head), down(95, 61));
    assert_eq!(all(&head, "[data-live=older] a", "href"), ["/t/t?page=2"]);
    let second = page(&server, "/t/t?page=2").await;
    assert_eq!(ids(&second), down(60, 31));
    assert_eq!(all(&second, "[data-live=older] a", "href"), ["/t/t?page=1"]);
    assert_eq!(all(&second, "[data-live=newer] a", "href"), ["/t/t?page=3"]);
    for number in 1..=PAGE {
        server.publish("t", &format!("More {number}.")).await;
    }
    server
        .desk("DELETE", "/v1/topics/t/entries/e040")
        .expect(200)
        .await;
    let later = page(&server, "/t/t?page=2").await;
    assert_eq!(ids(&later), down(60, 31), "a tombstone keeps its place");
    assert_eq!(
        all(&later, "article.tombstone", "data-entry"),
        ["e040"],
        "on every page at once"
    );
    for path in [
        "/t/t?page=0",
        "/t/t?page=6",
        "/t/t?entry=none",
        "/t/t?entry=%20",
    ] {
        assert_eq!(server.get(path).send().await.status, 404, "{path}");
    }
    assert_eq!(server.get("/t/t?page=x").send().await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_an_entry_leads_to_the_page_that_has_it() {
    let server = with_entries(3 * PAGE + 5).await;
    let link = |html: &Html, entry: &str| {
        let selector = format!("#e-{entry} .stamp a");
        all(html, &selector, "href").pop().unwrap_or_default()
    };
    let head = page(&server, "/t/t").await;
    let (new, old) = (link(&head, "e095"), "/t/t?entry=e005#e-e005");
    assert_eq!(new, "/t/t?entry=e095#e-e095");
    let shown = page(&server, "/t/t?entry=e095").await;
    assert_eq!(ids(&shown), ids(&head), "it is on the topic's own page");
    assert!(all(&shown, "live-blog", "archive").is_empty());
    let shown = page(&server, "/t/t?entry=e005").await;
    assert_eq!(ids(&shown), down(30, 1));
    assert_eq!(link(&shown, "e005"), old);
    assert_eq!(all(&shown, "live-blog", "archive"), ["1"]);
    let canonical = all(&shown, "link[rel=canonical]", "href");
    assert!(canonical[0].ends_with("/t/t?page=1"), "{canonical:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_topic_is_read_from_its_beginning() {
    let server = with_entries(2 * PAGE + 5).await;
    server.desk("POST", "/v1/topics/t/end").expect(200).await;
    let up = |from, to| -> Vec<String> { (from..=to).map(name).collect() };
    let head = page(&server, "/t/t").await;
    assert_eq!(ids(&head), up(1, 30));
    assert_eq!(all(&head, "live-blog", "order"), ["oldest"]);
    assert_eq!(all(&head, "[data-live=newer] a", "href"), ["/t/t?page=2"]);
    assert_eq!(ids(&page(&server, "/t/t?page=3").await), up(61, 65));
    let newest = page(&server, "/t/t?order=newest").await;
    assert_eq!(ids(&newest), down(65, 31));
    // One that fits on a page is all on it.
    let short = with_entries(3).await;
    short.desk("POST", "/v1/topics/t/end").expect(200).await;
    assert_eq!(ids(&page(&short, "/t/t").await), up(1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_of_the_coverage_stays() {
    let server = Server::start().await;
    let early = "2026-11-24T05:30:00.000Z";
    let entry = json!({"id": "a", "headline": "The first", "published_at": early});
    server.publish_entry("t", entry).await;
    let start = async || {
        let answer = server.get("/v1/topics/t/liveblog.jsonld").send().await;
        let read: Value = serde_json::from_str(&answer.text()).expect("JSON");
        read["coverageStartTime"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(start().await, early);
    for number in 0..3 * PAGE {
        server.publish("t", &format!("Text {number}.")).await;
    }
    assert_eq!(start().await, early);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_or_gone_is_on_no_page() {
    let server = with_entries(2).await;
    let canary = |id: &str| json!({"id": id, "headline": "Canary", "body": {"text": "A canary sings."}, "pinned": true, "key_event": true});
    let mut held = canary("held");
    held["released_at"] = json!("2999-01-01T00:00:00Z");
    server.publish_entry("t", held).await;
    server.publish_entry("t", canary("gone")).await;
    let shown = server.get("/t/t").send().await.text();
    assert_eq!(
        shown.matches("A canary sings.").count(),
        3,
        "in place, pinned, metadata"
    );
    server
        .desk("DELETE", "/v1/topics/t/entries/gone")
        .expect(200)
        .await;
    for path in [
        "/t/t",
        "/t/t?page=1",
        "/t/t?order=oldest",
        "/t/t?entry=gone",
    ] {
        let shown = server.get(path).send().await.text().to_lowercase();
        assert!(!shown.contains("canary"), "{path}: {shown}");
    }
    // Under embargo it is as if it weren't there.
    let (held, none) = (
        server.get("/t/t?entry=held").send().await,
        server.get("/t/t?entry=none").send().await,
    );
    assert_eq!((held.status, held.body), (404, none.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_sent_with_a_policy_that_has_no_exception() {
    let server = with_entries(1).await;
    for path in ["/", "/t/t", "/t/t?page=1", "/t/none"] {
        let answer = server.get(path).send().await;
        let policy = answer.header("content-security-policy").to_owned();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types tenbells",
        ] {
            let has = policy.split(';').any(|part| part.trim() == rule);
            assert!(has, "{path}: {rule} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let html = Html::parse_document(&answer.text());
        for (selector, what) in [
            ("style", "a style element"),
            ("[style]", "a style attribute"),
            (
                "script:not([src]):not([type='application/ld+json'])",
                "an inline script",
            ),
        ] {
            let selector = Selector::parse(selector).expect("selector");
            assert!(html.select(&selector).next().is_none(), "{path}: {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_under_the_address_that_names_their_content() {
    let server = with_entries(1).await;
    let html = page(&server, "/t/t").await;
    let mut addresses = all(&html, "script[src]", "src");
    addresses.extend(all(&html, "link[rel=stylesheet]", "href"));
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for address in addresses {
        let kept = server.get(&address).send().await;
        assert_eq!(kept.status, 200, "{address}");
        let forever = "public, max-age=31536000, immutable";
        assert_eq!(kept.header("cache-control"), forever, "{address}");
        let (path, _) = address.split_once('?').expect("a version");
        for other in [path.to_owned(), format!("{path}?v=0123456789abcdef")] {
            let asked = server.get(&other).send().await;
            assert_eq!(
                asked.header("cache-control"),
                "public, max-age=1",
                "{other}"
            );
        }
    }
}
