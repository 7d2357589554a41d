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
    assert_eq!(text_at(&html, "[data-live=state]"), "Live");
    assert_eq!(text_at(&html, "[data-live=summary] em"), "summary");
    assert_eq!(all(&html, "[data-live=points] li").len(), 2);
    // What is live brings its own region for screen readers; without it there is nothing to announce.
    assert!(all(&html, "[aria-live], [role=status]").is_empty());
    let events = all(&html, "[data-live=events] a");
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
    let ids: Vec<_> = all(&html, "[data-live=feed] > article")
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
    let html = rendered(&topic(), &[item(entry("a"))]);
    let blog = all(&html, "main > live-blog[page]")[0];
    let attributes = ["topic", "position", "status", "order", "count", "first"];
    assert_eq!(
        attributes.map(|name| blog.attr(name).unwrap_or_default()),
        ["harbour", "k3v9q2-42", "live", "newest", "1", "1"]
    );
    assert_eq!(blog.attr("archive"), None);
    let article = all(&html, "[data-live=feed] > article")[0];
    let marks = ["data-entry", "data-offset", "data-revision"];
    assert_eq!(
        marks.map(|name| article.attr(name).unwrap_or_default()),
        ["a", "7", "1"]
    );
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
fn a_page_of_the_archive_has_an_address_of_its_own() {
    let (topic, position) = (topic(), position());
    let entries = [item(entry("b")), item(entry("a"))];
    let mut view = view(&topic, &position, &entries);
    view.archive = Some(2);
    view.first = 31;
    view.count = 90;
    view.older = Some("/t/harbour?page=1".into());
    view.newer = Some("/t/harbour?page=3".into());
    let html = Html::parse_document(&page(&view).expect("renders"));
    assert!(all(&html, "noscript").is_empty());
    assert_eq!(all(&html, "live-blog[archive='2'][first='31']").len(), 1);
    let href = |selector: &str| all(&html, selector)[0].attr("href").map(str::to_owned);
    let own = "https://live.example/t/harbour?page=2";
    assert_eq!(href("link[rel=canonical]").as_deref(), Some(own));
    assert_eq!(href("link[rel=prev]").as_deref(), Some("/t/harbour?page=1"));
    assert_eq!(href("link[rel=next]").as_deref(), Some("/t/harbour?page=3"));
    assert_eq!(href(".plain a").as_deref(), Some("/t/harbour"));
    assert!(text_at(&html, ".plain").contains("older updates"));
    assert_eq!(
        href("[data-live=feed] ~ [data-live=older] a").as_deref(),
        Some("/t/harbour?page=1")
    );
    // From the beginning, newer entries are further down.
    view.order = Order::Oldest;
    let html = Html::parse_document(&page(&view).expect("renders"));
    let ids: Vec<_> = all(&html, "[data-live=feed] > article")
        .iter()
        .filter_map(|article| article.attr("id"))
        .collect();
    assert_eq!(ids, ["e-a", "e-b"]);
    assert_eq!(
        all(&html, "[data-live=feed] ~ [data-live=newer] a").len(),
        1
    );
}

#[test]
fn a_shared_entry_is_announced_as_itself() {
    let (topic, position) = (topic(), position());
    let entries = [item(entry("a")), tombstone("b", None)];
    let mut view = view(&topic, &position, &entries);
    let (entry, gone) = (
        EntryId::parse("a").expect("id"),
        EntryId::parse("b").expect("id"),
    );
    let meta = |view: &View<'_>, property: &str| {
        let html = Html::parse_document(&page(view).expect("renders"));
        let selector = format!("meta[property='og:{property}']");
        all(&html, &selector)[0].attr("content").map(str::to_owned)
    };
    view.focus = Some(&entry);
    let shared = "https://live.example/t/harbour?entry=a#e-a";
    assert_eq!(meta(&view, "title").as_deref(), Some("Headline of a"));
    assert_eq!(meta(&view, "description").as_deref(), Some("Body of a."));
    assert_eq!(meta(&view, "url").as_deref(), Some(shared));
    // Of a retracted one nothing is announced.
    view.focus = Some(&gone);
    let blog = Some("The harbour reopens".to_owned());
    assert_eq!(meta(&view, "title"), blog);
}

#[test]
fn headings_in_bodies_are_below_those_of_the_page() {
    let mut long = entry("a");
    long.body_html = "<h1>Part one</h1><h2>Detail</h2>".into();
    let html = rendered(&topic(), &[item(long)]);
    assert_eq!(all(&html, "h1").len(), 1);
    assert_eq!(text_at(&html, ".body h4"), "Part one");
    assert_eq!(text_at(&html, ".body h5"), "Detail");
}

#[test]
fn pinned_entries_have_a_copy_on_top_and_stay_in_place() {
    let (topic, position) = (topic(), position());
    let pinned = |id| {
        let mut entry = entry(id);
        entry.pinned = true;
        item(entry)
    };
    let entries = [item(entry("a")), pinned("here")];
    let copies = [pinned("here"), pinned("elsewhere")];
    let mut view = view(&topic, &position, &entries);
    view.pinned = &copies;
    let html = Html::parse_document(&page(&view).expect("renders"));
    let ids: Vec<_> = all(&html, "article")
        .iter()
        .filter_map(|article| article.attr("id"))
        .collect();
    assert_eq!(ids, ["pin-here", "pin-elsewhere", "e-a", "e-here"]);
    let place = all(&html, "#pin-elsewhere .original a")[0].attr("href");
    assert_eq!(place, Some("/t/harbour?entry=elsewhere#e-elsewhere"));
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
        assert_eq!(text_at(&html, "[data-live=state]"), "Ended");
        let href = all(&html, "[data-live=handover] a").first().map(|link| {
            let href = link.attr("href").unwrap_or_default();
            (href.to_owned(), words(*link))
        });
        (text_at(&html, "[data-live=handover]"), href)
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
    assert_eq!(
        text_at(&html, "[data-live=empty]:not([hidden])"),
        "No updates yet."
    );
    assert_eq!(
        all(
            &html,
            "[data-live=points][hidden], [data-live=events][hidden]"
        )
        .len(),
        2
    );
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
