//! The feeds and metadata, read back by parsers that are not ours.
//!
//! What is checked is what a feed reader or a search engine would get, not how it is written.

use std::io::BufReader;

use atom_syndication::Feed;

use super::*;

fn parsed(xml: &str) -> Feed {
    Feed::read_from(BufReader::new(xml.as_bytes())).expect("an Atom feed")
}

fn sample() -> Vec<Item> {
    let mut signed = entry("signed");
    signed.authors = vec![
        author("Ada", AuthorType::Person),
        author("Sea Wire", AuthorType::Organization),
    ];
    signed.tags = vec!["boats".into()];
    signed.verification = Some(Verification::Disputed);
    signed.correction = Some(Correction {
        note: "Two, <not> three.".into(),
    });
    let mut unsigned = entry("unsigned");
    unsigned.headline = None;
    unsigned.body_html = "<p>“Quoted” &amp; Dæhlen</p>".into();
    vec![
        item(signed),
        tombstone("gone", Some("False.")),
        item(unsigned),
    ]
}

#[test]
fn atom_reads_back_with_bylines_and_corrections() {
    let (topic, position, entries) = (topic(), position(), sample());
    let feed = parsed(&atom(&view(&topic, &position, &entries)).expect("writes"));
    assert_eq!(feed.title.value, "The harbour reopens");
    assert_eq!(feed.id, "tag:live.example,2026-11-24:harbour");
    assert_eq!(feed.updated.to_rfc3339(), "2026-11-24T10:00:00+00:00");
    assert!(!feed.authors.is_empty(), "for entries without one");
    let [signed, unsigned] = &feed.entries[..] else {
        panic!("two entries, not {}", feed.entries.len());
    };
    let names: Vec<_> = signed.authors.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["Ada", "Sea Wire"]);
    assert_eq!(signed.id, "tag:live.example,2026-11-24:harbour/signed");
    assert_eq!(
        signed.links[0].href,
        "https://live.example/t/harbour?entry=signed#e-signed"
    );
    let content = signed.content.as_ref().and_then(|c| c.value.as_deref());
    let content = content.expect("content");
    assert!(content.contains("<strong>Disputed</strong>"), "{content}");
    assert!(content.contains("Two, &lt;not&gt; three."), "{content}");
    assert!(content.contains("<p>Body of signed.</p>"), "{content}");
    assert!(unsigned.authors.is_empty());
    assert_eq!(unsigned.title.value, "“Quoted” & Dæhlen");
}

#[test]
fn atom_tells_feed_readers_what_was_retracted() {
    let (topic, position, entries) = (topic(), position(), sample());
    let feed = parsed(&atom(&view(&topic, &position, &entries)).expect("writes"));
    let deleted = &feed.extensions["at"]["deleted-entry"];
    assert_eq!(deleted.len(), 1);
    assert_eq!(
        deleted[0].attrs["ref"],
        "tag:live.example,2026-11-24:harbour/gone"
    );
    assert_eq!(deleted[0].attrs["when"], "2026-11-24T10:00:00.000Z");
    assert_eq!(
        deleted[0].children["comment"][0].value.as_deref(),
        Some("False.")
    );
}

#[test]
fn atom_survives_hostile_text_and_control_characters() {
    let (mut topic, mut entries) = hostile();
    topic.title = Some("a\u{0}b]]>c".into());
    topic.language = None;
    let mut control = entry("control");
    control.headline = Some("x\u{8}y".into());
    control.body_html = "<p>z\u{b}z]]></p>".into();
    entries.push(item(control));
    let xml = atom(&view(&topic, &position(), &entries)).expect("writes");
    assert!(!xml.contains(['\u{0}', '\u{8}', '\u{b}']));
    let feed = parsed(&xml);
    assert_eq!(feed.title.value, "ab]]>c");
    assert_eq!(feed.entries[0].title.value, HOSTILE);
    assert_eq!(feed.entries[0].authors[0].uri, None);
    assert_eq!(feed.entries[1].title.value, "xy");
}

#[test]
fn the_json_feed_follows_version_1_1() {
    let (topic, position, entries) = (topic(), position(), sample());
    let text = json_feed(&view(&topic, &position, &entries)).expect("writes");
    let feed: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
    assert_eq!(
        feed["feed_url"],
        "https://live.example/v1/topics/harbour/feed.json"
    );
    let items = feed["items"].as_array().expect("items");
    assert_eq!(items.len(), 2, "no retracted entry");
    assert_eq!(items[0]["authors"][1]["name"], "Sea Wire");
    assert_eq!(items[0]["date_published"], "2026-11-24T09:00:00.000Z");
    assert_eq!(items[1]["content_html"], "<p>“Quoted” &amp; Dæhlen</p>");
    assert!(items[1].get("title").is_none());
    assert!(items[1].get("authors").is_none());
}

#[test]
fn the_metadata_is_a_live_blog_posting() {
    let (mut topic, position, mut entries) = (topic(), position(), sample());
    let mut early = entry("early");
    let early_start = at("2026-11-24T05:30:00Z");
    early.published_at = early_start;
    entries.push(item(early));
    let read = |topic: &Topic| -> Value {
        let mut view = view(topic, &position, &entries);
        view.start = early_start;
        let text = jsonld(&view).expect("writes");
        serde_json::from_str(&text).expect("JSON")
    };
    let live = read(&topic);
    assert_eq!(live["@type"], "LiveBlogPosting");
    assert_eq!(live["coverageStartTime"], "2026-11-24T05:30:00.000Z");
    assert!(live.get("coverageEndTime").is_none());
    let updates = live["liveBlogUpdate"].as_array().expect("updates");
    assert_eq!(updates.len(), 3, "no retracted entry");
    assert_eq!(updates[0]["@type"], "BlogPosting");
    assert_eq!(updates[0]["author"][1]["@type"], "Organization");
    assert_eq!(updates[1]["articleBody"], "“Quoted” & Dæhlen");
    assert!(updates[1].get("author").is_none());

    topic.status = TopicStatus::Ended;
    topic.ended_at = Some(at("2026-11-24T20:00:00Z"));
    assert_eq!(read(&topic)["coverageEndTime"], "2026-11-24T20:00:00.000Z");
    // Reopened: the old end is no end.
    topic.status = TopicStatus::Live;
    assert!(read(&topic).get("coverageEndTime").is_none());
}

#[test]
fn without_a_base_url_links_are_relative_and_ids_still_absolute() {
    let (topic, position, entries) = (topic(), position(), sample());
    let mut view = view(&topic, &position, &entries);
    view.base_url = "";
    let feed = parsed(&atom(&view).expect("writes"));
    assert_eq!(feed.id, "tag:localhost,2026-11-24:harbour");
    assert_eq!(
        feed.entries[0].links[0].href,
        "/t/harbour?entry=signed#e-signed"
    );
}
