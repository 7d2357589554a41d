//! A day's real live blog, imported by the command line, and read the same on every path.
//!
//! The file is no part of the project, so what is expected is counted in it. Without it the test says that it skips.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::frames::{Bare, OFFER};
use crate::support::process::run;
use crate::support::sse::Sse;
use crate::support::ws::Ws;

/// The folder `TENBELLS_CORPUS`, or the one beside the project.
fn corpus() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus");
    let folder =
        std::env::var_os("TENBELLS_CORPUS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let mut files = std::fs::read_dir(folder).ok()?;
    files.find_map(|file| {
        let path = file.ok()?.path();
        (path.extension()? == "txt").then_some(path)
    })
}

async fn import(server: &Server, file: &std::path::Path) -> String {
    let file = file.to_str().expect("a path in UTF-8");
    let args = ["import", file, "--format", "transcript", "--topic", "t"];
    let environment = [
        ("TENBELLS_URL", server.base.as_str()),
        ("TENBELLS_KEY", &server.desk),
    ];
    let (status, out, err) = run(&args, &environment).await;
    assert!(status.success(), "{err}");
    out
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn byline(entry: &Value) -> String {
    let authors = entry["authors"].as_array().expect("authors");
    let names: Vec<_> = authors.iter().map(|author| text(&author["name"])).collect();
    names.join(", ")
}

/// The newest entry first, page by page.
async fn snapshot_pages(server: &Server) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut path = "/v1/topics/t/entries?limit=4".to_owned();
    loop {
        let page = server.get(&path).expect(200).await;
        entries.extend(page["entries"].as_array().expect("entries").iter().cloned());
        match &page["next"] {
            Value::String(next) => path = format!("/v1/topics/t/entries?limit=4&before={next}"),
            _ => return entries,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_live_blog_is_read_whole_on_every_path() {
    let Some(file) = corpus() else {
        // Past the capture of the test runner: who runs it should know.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: no corpus in TENBELLS_CORPUS or ../shared/corpus\n",
        );
        return;
    };
    let corpus = std::fs::read_to_string(&file).expect("the corpus");
    let lines: Vec<&str> = corpus
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let server = Server::start().await;
    let said = import(&server, &file).await;
    let entries = snapshot_pages(&server).await;
    let topic = server.topic("t").await;
    assert!(said.contains(text(&topic["position"])), "{said}");

    is_the_file(&lines, &topic, &entries);
    is_signed_as_in_the_file(&lines, &entries);
    let all = is_the_same_on_every_path(&server, &entries).await;
    shows_every_line(&server, &lines).await;
    is_shorter_compressed(&server, all.len()).await;
    // Importing it again, also after a restart, changes nothing.
    let server = Server::start_in(server.stop().await, |_| {}).await;
    import(&server, &file).await;
    assert_eq!(server.changes("t", "start").await, all);
}

/// All changes of it, compressed, are at most 0.60 of their plain bytes.
async fn is_shorter_compressed(server: &Server, count: usize) {
    let query = "?topic=t&after=start";
    let mut plain = Bare::open(server, query, &[]).await;
    let mut compressed = Bare::open(server, query, &[OFFER]).await;
    let (mut before, mut after) = (0, 0);
    // The first one says that the subscription stands.
    for _ in 0..=count {
        let (large, small) = (plain.frame().await, compressed.frame().await);
        assert_eq!(large.json(), small.json());
        before += large.payload.len();
        after += small.payload.len();
    }
    assert!(after * 100 <= before * 60, "{after} of {before} bytes");
}

/// Every line but the first, in order and letter by letter: summary, entries with their bylines, predecessor.
fn is_the_file(lines: &[&str], topic: &Value, entries: &[Value]) {
    let (first, rest) = lines.split_first().expect("lines");
    let mut back: Vec<String> = Vec::new();
    back.extend(text(&topic["summary"]).split("\n\n").map(str::to_owned));
    for entry in entries {
        back.extend(entry["headline"].as_str().map(str::to_owned));
        back.extend(text(&entry["body_text"]).split("\n\n").map(str::to_owned));
        let byline = byline(entry);
        back.extend((!byline.is_empty()).then(|| format!("— {byline}")));
    }
    back.push(text(&topic["predecessor"]["title"]).to_owned());
    assert_eq!(back, rest);
    assert_eq!(topic["status"], "ended");
    for told in [&topic["successor"]["title"], &topic["title"]] {
        assert!(first.contains(text(told)), "{told}");
    }
    let words = rest.concat();
    for quote in ['“', '”', '’'] {
        assert!(
            words.contains(quote),
            "the file has {quote}, so it was compared"
        );
    }
    let foreign = |letter: char| letter.is_alphabetic() && !letter.is_ascii();
    assert!(
        words.contains(foreign),
        "the file has names that are not ASCII"
    );
}

fn is_signed_as_in_the_file(lines: &[&str], entries: &[Value]) {
    let bylines: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("— "))
        .collect();
    let signed: Vec<String> = entries
        .iter()
        .map(byline)
        .filter(|byline| !byline.is_empty())
        .collect();
    assert_eq!(signed, bylines);
    assert_eq!((signed.len(), entries.len()), (18, 19), "one is not signed");
    let authors = |entry: &&Value| entry["authors"].as_array().expect("authors").len();
    assert_eq!(
        entries.iter().filter(|entry| authors(entry) == 2).count(),
        1
    );
    let agencies: Vec<String> = entries
        .iter()
        .filter(|entry| entry["authors"][0]["type"] == "organization")
        .map(byline)
        .collect();
    let in_file = bylines
        .iter()
        .filter(|byline| **byline == "Reuters")
        .count();
    assert_eq!(agencies, vec!["Reuters"; in_file]);
    assert_eq!(in_file, 2);
}

/// WebSockets, event streams, polls and snapshot pages tell the same; gives the changes.
async fn is_the_same_on_every_path(server: &Server, entries: &[Value]) -> Vec<Value> {
    let all = server.changes("t", "start").await;
    let position = server.position("t").await;
    let epoch = position.split('-').next().expect("an epoch");
    let published = all
        .iter()
        .filter(|change| change["kind"] == "entry.published");
    let newest_first: Vec<_> = published
        .rev()
        .map(|change| change["entry"].clone())
        .collect();
    let without_text = entries.iter().map(|entry| {
        let mut entry = entry.clone();
        entry.as_object_mut().expect("an entry").remove("body_text");
        entry
    });
    assert_eq!(without_text.collect::<Vec<_>>(), newest_first);
    for middle in [0, all.len() / 2, all.len() - 1] {
        let after = format!("{epoch}-{middle}");
        let url = format!("{}/v1/topics/t/stream", server.base);
        let mut sse = Sse::open(&url, Some(&after), None).await;
        for change in &all[middle..] {
            assert_eq!(&sse.change().await.data, change);
        }
        let mut ws = Ws::open(&server.ws(&format!("?topic=t&after={after}"))).await;
        ws.op("subscribed").await;
        for change in &all[middle..] {
            assert_eq!(&ws.change().await, change);
        }
        let mut polled = Vec::new();
        while polled.len() < all.len() - middle {
            let after = middle + polled.len();
            let path = format!("/v1/topics/t/changes?after={epoch}-{after}&limit=5&wait=20");
            let page = server.get(&path).expect(200).await;
            polled.extend(page["changes"].as_array().expect("changes").iter().cloned());
        }
        assert_eq!(polled, all[middle..]);
    }
    let last = all.last().expect("changes");
    assert_eq!(
        (&last["kind"], &last["state"]["status"]),
        (&json!("topic.updated"), &json!("ended"))
    );
    all
}

/// The page and the JSON feed have every line of the entries in them.
async fn shows_every_line(server: &Server, lines: &[&str]) {
    let flat = |html: &str| -> String {
        let html = scraper::Html::parse_document(html);
        let words: String = html.root_element().text().collect();
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let page = flat(&server.get("/t/t").send().await.text());
    let feed = server.get("/v1/topics/t/feed.json").expect(200).await;
    let items = feed["items"].as_array().expect("items").iter();
    let feed: String = items
        .map(|item| flat(&format!("{} ", text(&item["content_html"]))))
        .collect();
    let atom = server.get("/v1/topics/t/feed.atom").send().await.text();
    let paragraphs = lines[1..lines.len() - 1]
        .iter()
        .filter(|line| !line.starts_with("— "));
    let mut in_feed = 0;
    for line in paragraphs {
        assert!(
            page.contains(line),
            "the page lacks a line of {} bytes",
            line.len()
        );
        in_feed += usize::from(feed.contains(line));
    }
    assert!(
        in_feed > lines.len() / 2,
        "{in_feed} of {} lines",
        lines.len()
    );
    assert_eq!(atom.matches("<entry>").count(), 19);
}
