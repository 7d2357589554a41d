//! What a page elsewhere asks for: the fragment and oEmbed. And a newsroom's own templates on a whole server.

use std::time::Instant;

use scraper::{Html, Selector};
use serde_json::{Value, json};
use tenbells::keys::Role;

use crate::support::process::{Process, free_address, run};
use crate::support::{Answer, PATIENCE, Server};

const LIVE: &str = "https://live.example";

async fn newsroom() -> Server {
    let server = Server::start_with(|config| config.public_url = Some(LIVE.into())).await;
    server
        .desk("PUT", "/v1/topics/harbour")
        .json(&json!({"title": "Storm at the harbour", "language": "en-GB"}))
        .expect(201)
        .await;
    let entry = json!({"id": "gate-3", "headline": "Gate <3> closes", "body": {"markdown": "At **20:31**."},
        "authors": [{"name": "Ada Lee", "url": "https://example.org/ada"}]});
    server.publish_entry("harbour", entry).await;
    server
}

fn encoded(url: &str) -> String {
    url::form_urlencoded::byte_serialize(url.as_bytes()).collect()
}

async fn oembed(server: &Server, url: &str, more: &str) -> Answer {
    let url = encoded(url);
    server.get(&format!("/oembed?url={url}{more}")).send().await
}

fn texts(html: &str, selector: &str) -> Vec<String> {
    let html = Html::parse_fragment(html);
    let selector = Selector::parse(selector).expect("selector");
    html.select(&selector)
        .map(|found| found.text().collect::<Vec<_>>().join(" ").trim().to_owned())
        .collect()
}

fn attributes(html: &str, selector: &str, name: &str) -> Vec<String> {
    let html = Html::parse_fragment(html);
    let selector = Selector::parse(selector).expect("selector");
    html.select(&selector)
        .filter_map(|found| found.attr(name).map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_blog_is_embedded_by_its_address() {
    let server = newsroom().await;
    let answer = oembed(&server, "https://live.example/t/harbour", "&format=json").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=1");
    let embed = answer.json();
    assert_eq!(embed["version"], "1.0");
    assert_eq!(embed["type"], "rich");
    assert_eq!(embed["title"], "Storm at the harbour");
    assert_eq!(embed["provider_name"], "live.example");
    assert_eq!(embed["provider_url"], "https://live.example/");
    assert_eq!(
        (&embed["width"], &embed["height"]),
        (&json!(600), &json!(600))
    );
    let html = embed["html"].as_str().expect("html");
    let src = attributes(html, "live-blog", "src");
    assert_eq!(src, [LIVE]);
    assert_eq!(attributes(html, "live-blog", "topic"), ["harbour"]);
    let link = attributes(html, "live-blog a", "href");
    assert_eq!(link, ["https://live.example/t/harbour"]);
    let etag = answer.headers["etag"].to_str().expect("ASCII");
    let url = encoded("https://live.example/t/harbour");
    let again = server
        .get(&format!("/oembed?url={url}"))
        .header("if-none-match", etag)
        .send()
        .await;
    assert_eq!(again.status, 304);
}

#[tokio::test]
async fn an_entry_is_embedded_by_its_place_without_what_it_says() {
    let server = newsroom().await;
    let url = "https://live.example/t/harbour?entry=gate-3#e-gate-3";
    let embed = oembed(&server, url, "").await.json();
    assert_eq!(embed["title"], "Gate <3> closes – Storm at the harbour");
    // Those who pass an address on may drop its anchor, or have it from an open page.
    for other in ["?entry=gate-3", "#e-gate-3"] {
        let other = format!("https://live.example/t/harbour{other}");
        assert_eq!(oembed(&server, &other, "").await.json(), embed, "{other}");
    }
    assert_eq!(embed["author_name"], "Ada Lee");
    assert_eq!(embed["author_url"], "https://example.org/ada");
    let html = embed["html"].as_str().expect("html");
    assert_eq!(attributes(html, "live-blog", "entry"), ["gate-3"]);
    assert_eq!(attributes(html, "live-blog a", "href"), [url]);
    assert!(html.contains("Gate &lt;3&gt; closes") && !html.contains("20:31"));
    server
        .desk("DELETE", "/v1/topics/harbour/entries/gate-3")
        .expect(200)
        .await;
    let gone = oembed(&server, url, "").await;
    assert_eq!(gone.status, 404);
    assert!(!gone.text().contains("closes"));
    let unknown = oembed(&server, "https://live.example/t/harbour#e-nothing", "").await;
    assert_eq!(unknown.json()["code"], "entry_not_found");
}

#[tokio::test]
async fn the_bounds_of_whoever_embeds_are_kept() {
    let server = newsroom().await;
    let url = "https://live.example/t/harbour";
    let size = |embed: Value| (embed["width"].clone(), embed["height"].clone());
    let embed = oembed(&server, url, "&maxwidth=320&maxheight=200").await;
    let html = embed.json()["html"].as_str().expect("html").to_owned();
    assert_eq!(size(embed.json()), (json!(320), json!(200)));
    assert_eq!(attributes(&html, "live-blog", "width"), ["320"]);
    assert_eq!(attributes(&html, "live-blog", "height"), ["200"]);
    let embed = oembed(&server, url, "&maxwidth=10000").await;
    assert_eq!(size(embed.json()), (json!(600), json!(600)));
    for (wrong, named) in [
        ("&maxwidth=0", "maxwidth"),
        ("&maxheight=tall", "maxheight"),
        ("&maxwidth=-1", "maxwidth"),
    ] {
        let answer = oembed(&server, url, wrong).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.text().contains(named), "{}", answer.text());
    }
    let answer = server.get("/oembed").send().await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("url is missing"));
}

#[tokio::test]
async fn the_statuses_are_those_of_oembed() {
    let server = newsroom().await;
    let own = format!("http://{}/t/harbour", server.address());
    for known in [
        "https://live.example/t/harbour/",
        "http://live.example/t/harbour?before=7",
        "https://LIVE.example/t/harbour",
        own.as_str(),
    ] {
        assert_eq!(oembed(&server, known, "").await.status, 200, "{known}");
    }
    for unknown in [
        "https://live.example/t/nowhere",
        "https://live.example/t/Harbour",
        "https://live.example/",
        "https://live.example/x/harbour",
        "https://live.example:8443/t/harbour",
        "https://live.example.evil.example/t/harbour",
        "https://evil.example/t/harbour",
        "ftp://live.example/t/harbour",
        "/t/harbour",
        "https://live.example/t/harbour#e-",
    ] {
        assert_eq!(oembed(&server, unknown, "").await.status, 404, "{unknown}");
    }
    for format in ["xml", "yaml", "JSON"] {
        let more = format!("&format={format}");
        let answer = oembed(&server, "https://live.example/t/harbour", &more).await;
        assert_eq!(answer.status, 501, "{format}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn a_private_blog_is_embedded_by_nobody_and_known_to_its_own_alone() {
    let server = newsroom().await;
    server
        .desk("PATCH", "/v1/topics/harbour")
        .json(&json!({"visibility": "private"}))
        .expect(200)
        .await;
    let private = oembed(&server, "https://live.example/t/harbour", "").await;
    let absent = oembed(&server, "https://live.example/t/nowhere", "").await;
    assert_eq!((private.status, &private.body), (404, &absent.body));
    let path = format!("/oembed?url={}", encoded("https://live.example/t/harbour"));
    let reader = server.key(Role::Reader, "harbour");
    let known = loop {
        // The server learns of the new key by itself.
        let answer = server.get(&path).key(&reader).send().await;
        if !answer.text().contains("not known") {
            break answer;
        }
    };
    assert_eq!(known.status, 401);
    assert!(known.text().contains("private"), "{}", known.text());
    let fragment = server.get("/t/harbour/fragment").send().await;
    let nowhere = server.get("/t/nowhere/fragment").send().await;
    assert_eq!((fragment.status, &fragment.body), (404, &nowhere.body));
    let own = server.get("/t/harbour/fragment").key(&reader).send().await;
    assert_eq!(own.status, 200);
    assert_eq!(own.headers["cache-control"], "private, no-store");
}

#[tokio::test]
async fn without_a_public_url_the_address_asked_for_counts() {
    let server = Server::start().await;
    server.publish("harbour", "One").await;
    let own = format!("http://{}/t/harbour", server.address());
    let embed = oembed(&server, &own, "").await.json();
    let html = embed["html"].as_str().expect("html");
    assert_eq!(
        attributes(html, "live-blog", "src"),
        std::slice::from_ref(&server.base)
    );
    assert_eq!(attributes(html, "a", "href"), [own]);
    let other = oembed(&server, "https://live.example/t/harbour", "").await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn the_page_says_how_it_is_embedded() {
    let server = newsroom().await;
    let page = server.get("/t/harbour").send().await.text();
    let page = Html::parse_document(&page);
    let selector = r#"link[rel="alternate"][type="application/json+oembed"]"#;
    let selector = Selector::parse(selector).expect("selector");
    let link = page.select(&selector).next().expect("a link");
    let href = link.attr("href").expect("href");
    let path = href.strip_prefix(LIVE).expect("absolute");
    assert_eq!(server.get(path).expect(200).await["type"], "rich");
}

#[tokio::test]
async fn the_fragment_has_the_newest_entries_for_another_page() {
    let server = newsroom().await;
    let entry = json!({"id": "gate-4", "headline": "Gate 4", "body": {"html": "<script>x()</script><p>Shut.</p>"}});
    server.publish_entry("harbour", entry).await;
    let answer = server.get("/t/harbour/fragment").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "public, max-age=1");
    let html = answer.text();
    assert_eq!(
        texts(&html, "live-blog article h3"),
        ["Gate 4", "Gate <3> closes"]
    );
    assert_eq!(texts(&html, "live-blog script, live-blog style"), [""; 0]);
    let src = attributes(&html, "live-blog", "src");
    assert_eq!(src, [LIVE]);
    let position = attributes(&html, "live-blog", "position");
    let topic = server.get("/v1/topics/harbour").expect(200).await;
    assert_eq!(position, [topic["position"].as_str().expect("position")]);
    for href in attributes(&html, "a", "href") {
        assert!(
            href.starts_with("https://") || href.starts_with("#e-"),
            "{href}"
        );
    }
    let one = server
        .get("/t/harbour/fragment?limit=1")
        .send()
        .await
        .text();
    assert_eq!(texts(&one, "article h3"), ["Gate 4"]);
    assert_eq!(texts(&one, ".more-of"), ["Older updates"]);
    for wrong in ["limit=0", "limit=51", "entry=%2F"] {
        let path = format!("/t/harbour/fragment?{wrong}");
        assert_eq!(server.get(&path).send().await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn the_fragment_of_an_entry_has_that_alone_and_its_tombstone_later() {
    let server = newsroom().await;
    server.publish("harbour", "Another").await;
    let path = "/t/harbour/fragment?entry=gate-3";
    let html = server.get(path).send().await.text();
    assert_eq!(attributes(&html, "live-blog", "entry"), ["gate-3"]);
    assert_eq!(texts(&html, "article h3"), ["Gate <3> closes"]);
    server
        .desk("DELETE", "/v1/topics/harbour/entries/gate-3")
        .json(&json!({"reason": "It was another."}))
        .expect(200)
        .await;
    let html = server.get(path).send().await.text();
    assert_eq!(texts(&html, ".tombstone .reason"), ["It was another."]);
    assert!(
        !html.contains("20:31") && !html.contains("closes"),
        "{html}"
    );
    let absent = server.get("/t/harbour/fragment?entry=nothing").send().await;
    assert_eq!(absent.status, 404);
}

#[tokio::test]
async fn an_entry_under_embargo_is_in_no_fragment() {
    let server = newsroom().await;
    let held = json!({"id": "later", "headline": "Later", "released_at": "2099-01-01T00:00:00Z"});
    server.publish_entry("harbour", held).await;
    let html = server.get("/t/harbour/fragment").send().await.text();
    assert!(!html.contains("Later"));
    let desk = server.desk("GET", "/t/harbour/fragment?entry=later");
    assert_eq!(desk.send().await.status, 404);
    let url = "https://live.example/t/harbour#e-later";
    assert_eq!(oembed(&server, url, "").await.status, 404);
}

#[tokio::test]
async fn a_newsrooms_templates_are_what_readers_get() {
    let templates = tempfile::tempdir().expect("folder");
    let own = "<!doctype html><title>{{ title }}</title><h1>The Harbour Times</h1>{% from 'link.html' import link, time %}\
               {% for item in entries %}{% include 'article.html' %}{% endfor %}";
    std::fs::write(templates.path().join("page.html"), own).expect("written");
    let folder = templates.path().to_owned();
    let server = Server::start_with(|config| config.pages.templates = Some(folder)).await;
    let entry = json!({"headline": "<b>bold</b>"});
    server.publish_entry("harbour", entry).await;
    let answer = server.get("/t/harbour").send().await;
    let html = answer.text();
    assert_eq!(texts(&html, "h1"), ["The Harbour Times"]);
    assert_eq!(texts(&html, "h3"), ["<b>bold</b>"]);
    assert!(answer.headers.contains_key("content-security-policy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_template_is_refused_at_the_start_and_kept_out_at_sighup() {
    let folder = tempfile::tempdir().expect("folder");
    let templates = folder.path().join("templates");
    std::fs::create_dir(&templates).expect("made");
    let write =
        |text: &str| std::fs::write(templates.join("not_found.html"), text).expect("written");
    let config = folder.path().join("tenbells.toml");
    let settings = format!("[pages]\ntemplates = '{}'\n", templates.display());
    std::fs::write(&config, settings).expect("written");
    let config = config.to_str().expect("a path in UTF-8").to_owned();
    write("<p>first</p>\n{{ reader }}\n");
    for command in ["serve", "check-config"] {
        let (status, _, said) = run(&[command, "--config", &config], &[]).await;
        assert_eq!(status.code(), Some(78), "{said}");
        let place = format!("{}, line 2,", templates.join("not_found.html").display());
        assert!(
            said.contains(&place) && said.contains("undefined"),
            "{said}"
        );
    }
    write("<p>first</p>");
    let (status, _, said) = run(&["check-config", "--config", &config], &[]).await;
    assert!(status.success(), "{said}");
    let more = vec!["--config".to_owned(), config];
    let process = Process::start_with(&folder.path().join("data"), free_address(), more).await;
    let shown = || async {
        let answer = reqwest::get(format!("{}/t/nowhere", process.base)).await;
        answer.expect("an answer").text().await.expect("a body")
    };
    assert_eq!(shown().await, "<p>first</p>");
    // A broken one is kept out, and the next good one comes in: the signals are taken in turn.
    write("{{ broken");
    process.signal("-HUP");
    assert_eq!(shown().await, "<p>first</p>");
    write("<p>second</p>");
    process.signal("-HUP");
    let began = Instant::now();
    while shown().await != "<p>second</p>" {
        assert!(
            began.elapsed() < PATIENCE,
            "the templates are not read anew"
        );
    }
}

#[tokio::test]
async fn the_script_for_pages_elsewhere_names_what_it_loads_by_its_content() {
    let server =
        Server::start_with(|config| config.origins = vec!["https://news.example".into()]).await;
    let origin = ("origin", "https://news.example");
    let script = server
        .get("/embed.js")
        .header(origin.0, origin.1)
        .send()
        .await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(script.header("cache-control"), "public, max-age=1");
    let text = script.text();
    assert!(!text.contains("_VERSION"), "{text}");
    server.publish("harbour", "One").await;
    let fragment = server.get("/t/harbour/fragment").send().await.text();
    let sheet = attributes(&fragment, "link", "href").remove(0);
    let (_, sheet_version) = sheet.split_once("?v=").expect("a version");
    assert!(text.contains(&format!("?v={sheet_version}")), "{text}");
    let (_, rest) = text
        .split_once("/assets/live-blog-embed.js?v=")
        .expect("the element");
    let version: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    for path in [
        sheet.clone(),
        format!("/assets/live-blog-embed.js?v={version}"),
    ] {
        let asset = server.get(&path).header(origin.0, origin.1).send().await;
        assert!(
            asset.header("cache-control").contains("immutable"),
            "{path}"
        );
        assert_eq!(asset.header("access-control-allow-origin"), origin.1);
    }
}
