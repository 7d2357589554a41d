//! The parts of the page: what stands where, for live, ended, older, empty and private topics.
//!
//! Knows nothing of looks; those are judged by eye, in a browser.

use super::*;

#[test]
fn the_page_has_its_parts_in_order() {
    let mut topic = topic();
    topic.language = Some("de-AT".into());
    topic.summary_html = Some("<p>A <em>summary</em></p>".into());
    topic.summary = Some("A summary".into());
    topic.key_points = vec!["One".into(), "Two".into()];
    let mut key = entry("key");
    key.key_event = true;
    key.verification = Some(Verification::Unconfirmed);
    key.correction = Some(Correction {
        note: "It was two.".into(),
    });
    key.revision = 2;
    key.tags = vec!["tag".into()];
    let html = rendered(&topic, &[item(key), item(entry("plain"))]);

    assert_eq!(all(&html, "html")[0].attr("lang"), Some("de-AT"));
    assert_eq!(text_at(&html, "h1"), "The harbour reopens");
    assert_eq!(text_at(&html, "#state"), "Live");
    assert_eq!(text_at(&html, "#summary em"), "summary");
    assert_eq!(all(&html, "#points li").len(), 2);
    assert_eq!(all(&html, "[role=status]").len(), 1);
    assert!(all(&html, "[aria-live]").is_empty());
    let events = all(&html, "#events a");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].attr("href"), Some("#e-key"));
    let skip = all(&html, "a.skip")[0].attr("href").expect("href");
    assert_eq!(all(&html, skip).len(), 1);

    let mut level = 0;
    for heading in all(&html, "h1, h2, h3, h4, h5, h6") {
        let own: u32 = heading.value().name()[1..].parse().expect("level");
        assert!(own <= level + 1, "h{own} behind h{level}");
        level = own;
    }
    let ids: Vec<_> = all(&html, "#feed > article")
        .iter()
        .filter_map(|article| article.attr("id"))
        .collect();
    assert_eq!(ids, ["e-key", "e-plain"]);
    assert!(text_at(&html, "#e-key .badges").contains("Unconfirmed"));
    assert_eq!(text_at(&html, ".correction"), "Correction It was two.");
    assert_eq!(text_at(&html, ".revised"), "Updated 24 Nov 2026, 09:00 UTC");
    let time = all(&html, "#e-plain .stamp time");
    assert_eq!(time[0].attr("datetime"), Some("2026-11-24T09:00:00.000Z"));
    assert_eq!(text_at(&html, "#e-plain .body"), "Body of plain.");
}

#[test]
fn the_head_page_is_live_from_its_own_position() {
    let html = rendered(&topic(), &[]);
    let blog = all(&html, "main")[0];
    assert_eq!(blog.attr("data-position"), Some("k3v9q2-42"));
    assert_eq!(blog.attr("data-stream"), Some("/v1/topics/harbour/stream"));
    let canonical = all(&html, "link[rel=canonical]");
    assert_eq!(
        canonical[0].attr("href"),
        Some("https://live.example/t/harbour")
    );
    let alternates: Vec<_> = all(&html, "link[rel=alternate]")
        .iter()
        .filter_map(|link| link.attr("type"))
        .collect();
    assert_eq!(
        alternates,
        [
            "application/atom+xml",
            "application/feed+json",
            "application/ld+json",
            "application/json+oembed"
        ]
    );
    for asset_link in all(&html, "[src^='/assets/'], [href^='/assets/']") {
        let address = asset_link.attr("src").or(asset_link.attr("href"));
        let (path, version) = address.and_then(|a| a.split_once("?v=")).expect("version");
        let found = asset(path.trim_start_matches("/assets/")).expect("served");
        assert_eq!(found.etag(), format!("\"{version}\""));
    }
}

#[test]
fn an_older_page_is_not_live_and_says_so() {
    let (topic, position) = (topic(), position());
    let mut pinned = entry("pin");
    pinned.pinned = true;
    let entries = [item(entry("a")), item(pinned)];
    let mut view = view(&topic, &position, &entries);
    view.newest = Some("/t/harbour".into());
    view.older = Some("/t/harbour?before=3".into());
    view.readers = Some(9);
    let html = Html::parse_document(&page(&view).expect("renders"));
    assert!(
        all(
            &html,
            "[data-stream], #readers, noscript, link[rel=canonical]"
        )
        .is_empty()
    );
    assert!(text_at(&html, ".plain").contains("older updates"));
    let pager: Vec<_> = all(&html, ".pager a")
        .iter()
        .filter_map(|link| link.attr("href"))
        .collect();
    assert_eq!(pager, ["/t/harbour", "/t/harbour?before=3"]);
    // Here it stays at its place in time.
    assert_eq!(all(&html, "#feed > article").len(), 2);
    assert!(all(&html, "#pins > article").is_empty());
}

#[test]
fn pinned_entries_stand_first_and_once() {
    let (topic, position) = (topic(), position());
    let pinned = |id| {
        let mut entry = entry(id);
        entry.pinned = true;
        item(entry)
    };
    let entries = [item(entry("a")), pinned("here")];
    let elsewhere = [pinned("elsewhere")];
    let mut view = view(&topic, &position, &entries);
    view.pinned = &elsewhere;
    let html = Html::parse_document(&page(&view).expect("renders"));
    let ids: Vec<_> = all(&html, "article")
        .iter()
        .filter_map(|article| article.attr("id"))
        .collect();
    assert_eq!(ids, ["e-here", "e-elsewhere", "e-a"]);
}

#[test]
fn bylines_name_people_and_agencies_and_nobody() {
    use AuthorType::{Organization, Person};
    let shown = |authors: &[Author]| {
        let mut signed = entry("a");
        signed.authors = authors.to_vec();
        let html = rendered(&topic(), &[item(signed)]);
        all(&html, ".byline").first().map(|line| words(*line))
    };
    let (ada, bo, wire) = (
        author("Ada", Person),
        author("Bo", Person),
        author("Sea Wire", Organization),
    );
    assert_eq!(shown(&[]), None);
    assert_eq!(shown(std::slice::from_ref(&ada)), Some("By Ada".into()));
    assert_eq!(shown(std::slice::from_ref(&wire)), Some("Sea Wire".into()));
    assert_eq!(
        shown(&[ada.clone(), bo.clone()]),
        Some("By Ada and Bo".into())
    );
    assert_eq!(
        shown(&[ada, bo, wire]),
        Some("By Ada, Bo and Sea Wire".into())
    );
}

#[test]
fn a_tombstone_keeps_its_place_and_tells_why() {
    let entries = [
        item(entry("a")),
        tombstone("b", Some("It was false.")),
        tombstone("c", None),
    ];
    let html = rendered(&topic(), &entries);
    assert_eq!(
        text_at(&html, "#e-b .content"),
        "This update was retracted. It was false."
    );
    assert_eq!(
        text_at(&html, "#e-c .content"),
        "This update was retracted."
    );
}

#[test]
fn an_ended_topic_sends_readers_on() {
    let ended = |successor: Option<TopicLink>| {
        let mut topic = topic();
        topic.status = TopicStatus::Ended;
        topic.ended_at = Some(at("2026-11-24T20:00:00Z"));
        topic.successor = successor;
        let html = rendered(&topic, &[]);
        assert_eq!(text_at(&html, "#state"), "Ended");
        let href = all(&html, "#handover a").first().map(|link| {
            let href = link.attr("href").unwrap_or_default();
            (href.to_owned(), words(*link))
        });
        (text_at(&html, "#handover"), href)
    };
    let link = |json: &str| Some(serde_json::from_str(json).expect("link"));
    let over = "This live blog has ended (24 Nov 2026, 20:00 UTC).";
    assert_eq!(ended(None), (over.to_owned(), None));
    assert_eq!(
        ended(link(r#"{"topic":"day-2","title":"Day two"}"#)).1,
        Some(("/t/day-2".into(), "Day two".into()))
    );
    assert_eq!(
        ended(link(r#"{"url":"https://a.example/x"}"#)).1,
        Some(("https://a.example/x".into(), "https://a.example/x".into()))
    );
    assert_eq!(
        ended(link(r#"{"title":"Day two"}"#)),
        (format!("{over} It continues: Day two"), None)
    );
}

#[test]
fn an_empty_topic_has_a_page() {
    let bare = Topic::new(
        TopicName::parse("bare").expect("name"),
        at("2026-11-24T07:00:00Z"),
    );
    let html = rendered(&bare, &[]);
    assert_eq!(text_at(&html, "h1"), "bare");
    assert_eq!(all(&html, "html")[0].attr("lang"), Some("en"));
    assert_eq!(text_at(&html, "#empty:not([hidden])"), "No updates yet.");
    assert_eq!(all(&html, "#points[hidden], #events[hidden]").len(), 2);
    assert!(all(&html, "meta[name=description], article").is_empty());
}

#[test]
fn the_index_lists_public_topics_alone() {
    let (mut live, mut over, mut hidden) = (topic(), topic(), topic());
    live.title = Some(HOSTILE.into());
    over.topic = TopicName::parse("over").expect("name");
    over.title = None;
    over.status = TopicStatus::Ended;
    hidden.title = Some("Hidden".into());
    hidden.visibility = Visibility::Private;
    let listed = [over, hidden, live].map(|topic| (topic, position()));
    let html = Html::parse_document(&built_in().index(&listed).expect("renders"));
    let links: Vec<_> = all(&html, ".topics a")
        .iter()
        .filter_map(|link| link.attr("href"))
        .collect();
    assert_eq!(links, ["/t/harbour", "/t/over"]);
    assert!(all(&html, "img").is_empty());
    let empty = Html::parse_document(&built_in().index(&[]).expect("renders"));
    assert!(text_at(&empty, ".empty").starts_with("No live blog yet."));
}

#[test]
fn private_pages_stay_out_of_search_engines() {
    let mut hidden = topic();
    hidden.visibility = Visibility::Private;
    let robots = |topic: &Topic| all(&rendered(topic, &[]), "meta[name=robots]").len();
    assert_eq!(robots(&hidden), 1);
    assert_eq!(robots(&topic()), 0);
    assert!(built_in().not_found().expect("renders").contains("noindex"));
}
