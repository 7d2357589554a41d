//! Postings made up here, in the shapes that newsrooms use.

use serde_json::json;

use super::*;

fn posting() -> Value {
    json!({
        "@context": "https://schema.org",
        "@type": ["NewsArticle", "LiveBlogPosting"],
        "headline": "Storm “Ebba”",
        "description": "What we know.",
        "inLanguage": "en-GB",
        "coverageStartTime": "2026-11-01T06:00:00Z",
        "coverageEndTime": "2026-11-01T22:00:00Z",
        "liveBlogUpdate": [
            {
                "@type": "BlogPosting",
                "@id": "https://a.example/live#3",
                "headline": "Third",
                "articleBody": "<p>Ferry <b>back</b></p>",
                "datePublished": "2026-11-01T12:00:00+01:00",
                "author": [{"@type": "Person", "name": "Åsa Öhrn", "url": "https://a.example/asa"}, {"@type": "NewsMediaOrganization", "name": "dpa"}],
                "keywords": "ferry, storm"
            },
            {"@type": "BlogPosting", "identifier": "two", "articleBody": "a < b\nc", "datePublished": "2026-11-01T09:00:00", "author": "Sam", "image": {}},
            {"@type": "BlogPosting", "headline": "First", "datePublished": "2026-11-01T08:00:00Z", "author": {"name": "Lea", "url": "javascript:x"}},
            {"@type": "BlogPosting", "datePublished": "2026-11-01T07:00:00Z"}
        ]
    })
}

#[test]
fn a_posting_is_read_oldest_first() {
    let imported = parse(&posting().to_string()).expect("parses");
    let [first, second, third] = &imported.entries[..] else {
        panic!("three entries: {:?}", imported.entries);
    };
    assert_eq!(first.headline.as_deref(), Some("First"));
    assert_eq!(first.authors[0].url, None);
    assert_eq!(second.id.as_ref().map(EntryId::as_str), Some("two"));
    assert_eq!(second.body, Some(Body::Text("a < b\nc".to_owned())));
    assert_eq!(
        third.body,
        Some(Body::Html("<p>Ferry <b>back</b></p>".to_owned()))
    );
    assert_eq!(third.authors[1].kind, AuthorType::Organization);
    assert_eq!(third.tags, ["ferry", "storm"]);
    assert!(
        third
            .id
            .as_ref()
            .is_some_and(|id| id.as_str().starts_with("j-"))
    );
    assert_eq!(
        third.published_at.map(|at| at.to_string()).as_deref(),
        Some("2026-11-01T11:00:00Z")
    );
    assert_eq!(imported.topic.title.as_deref(), Some("Storm “Ebba”"));
    assert_eq!(imported.topic.language.as_deref(), Some("en-GB"));
    assert_eq!(imported.end, Some(End::default()));
    let guesses = imported.guesses.join("\n");
    for told in [
        "update 4 has neither",
        "update 2 has the time",
        "1 updates have images",
        "coverageEndTime",
    ] {
        assert!(guesses.contains(told), "{told}: {guesses}");
    }
}

#[test]
fn it_is_found_in_arrays_graphs_and_pages() {
    let bare = parse(&posting().to_string()).expect("bare");
    let other = json!({"@type": "WebSite"});
    let graph = json!({"@graph": [other, posting()]}).to_string();
    let page = format!(
        "<!doctype html><script>var a = 1 > 0;</script>\n<script type=\"application/ld+json\">{other}</script>\
         <script type='application/ld+json' id=x>{graph}</script><p>x"
    );
    for text in [json!([[other, posting()]]).to_string(), graph, page] {
        assert_eq!(parse(&text), Ok(bare.clone()), "{text}");
    }
}

#[test]
fn order_without_times_and_ids_used_twice_are_told() {
    let text = json!({"@type": "LiveBlogPosting", "liveBlogUpdate": [
        {"@id": "x", "headline": "New"}, {"@id": "x", "headline": "Old"}
    ]});
    let imported = parse(&text.to_string()).expect("parses");
    let headlines: Vec<_> = imported
        .entries
        .iter()
        .filter_map(|e| e.headline.as_deref())
        .collect();
    assert_eq!(headlines, ["Old", "New"]);
    assert_ne!(imported.entries[0].id, imported.entries[1].id);
    assert_eq!(imported.guesses.len(), 2, "{:?}", imported.guesses);
    assert_eq!(imported.end, None);
}

#[test]
fn what_is_no_posting_says_so() {
    for text in [
        "{}",
        "[]",
        "3",
        "<p>x</p>",
        "<script",
        "{\"@graph\":{\"@type\":\"Person\"}}",
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert_eq!(error, "there is no LiveBlogPosting in it", "{text}");
    }
    assert!(
        parse("{")
            .expect_err("broken")
            .to_string()
            .starts_with("is not JSON: EOF")
    );
    assert!(parse(&"[".repeat(100_000)).is_err());
}
