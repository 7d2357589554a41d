//! Following a topic: resuming, stopping, and never taking a hole for an answer.

use super::*;
use crate::cli::fake::{AT_ONCE, Act, Answer, Fake};

fn say(text: impl Into<String>) -> Act {
    Act::Say(text.into())
}

fn subscribed(offset: u64, head: u64) -> Act {
    say(format!(
        r#"{{"op":"subscribed","topic":"t","position":"k-{offset}","head":{head}}}"#
    ))
}

fn change(offset: u64) -> Act {
    say(format!(
        r#"{{"op":"change","topic":"t","offset":{offset},"at":"","kind":"entry.redacted","id":"e"}}"#
    ))
}

fn args(fake: &Fake, after: Option<&str>) -> TailArgs {
    TailArgs {
        topic: TopicName::parse("t").expect("name"),
        after: after.map(|after| After::parse(after).expect("after")),
        json: false,
        once: true,
        remote: fake.remote.clone(),
        retries: 3,
    }
}

/// Follows to the end, and gives the offsets that came with how it ended.
async fn offsets(args: &TailArgs) -> (Vec<u64>, Result<(), Failure>) {
    let mut offsets = Vec::new();
    let mut print = |heard: &Heard, _: &str| {
        if let Heard::Change(change) = heard {
            offsets.push(change.offset);
        }
        Ok(())
    };
    let ended = follow(args, AT_ONCE, &mut print).await;
    (offsets, ended)
}

#[tokio::test]
async fn it_resumes_behind_the_last_change_after_every_kind_of_loss() {
    let fake = Fake::sockets(vec![
        vec![
            Act::Hear,
            subscribed(0, 6),
            change(1),
            change(2),
            Act::Close(4001, "1 ms, draining"),
        ],
        vec![
            Act::Hear,
            subscribed(2, 6),
            change(3),
            Act::Close(4002, "lagged"),
        ],
        // The connection breaks off without a word.
        vec![Act::Hear, subscribed(3, 6), change(4)],
        vec![Act::Hear, subscribed(4, 6), change(5), Act::Close(1011, "")],
        vec![Act::Hear, subscribed(5, 6), change(6), Act::Stay],
    ])
    .await;
    let (offsets, ended) = offsets(&args(&fake, None)).await;
    assert_eq!(ended, Ok(()));
    assert_eq!(offsets, [1, 2, 3, 4, 5, 6]);
    let after: Vec<_> = fake
        .heard()
        .iter()
        .map(|heard| {
            let heard: serde_json::Value = serde_json::from_str(heard).expect("JSON");
            heard["after"].as_str().map(ToOwned::to_owned)
        })
        .collect();
    let expected = ["start", "k-2", "k-3", "k-4", "k-5"];
    assert_eq!(after, expected.map(|after| Some(after.to_owned())));
    let asked = fake.asked();
    assert_eq!(asked[0].path, "/base/v1/ws");
    assert_eq!(
        asked[0].authorization.as_deref(),
        Some("Bearer tb_k_secret")
    );
}

#[tokio::test]
async fn a_missing_or_repeated_change_stops_it() {
    for (wrong, what) in [(3, "missing"), (1, "sent twice")] {
        let script = vec![
            Act::Hear,
            subscribed(0, 6),
            change(1),
            change(wrong),
            Act::Stay,
        ];
        let fake = Fake::sockets(vec![script]).await;
        let (offsets, ended) = offsets(&args(&fake, None)).await;
        let failure = ended.expect_err(what);
        assert_eq!(offsets, [1]);
        assert_eq!(failure.exit(), Exit::Data);
        assert!(failure.to_string().contains(what), "{failure}");
    }
}

#[tokio::test]
async fn a_reset_goes_on_from_the_given_position() {
    let reset = r#"{"op":"reset","topic":"t","position":"z-7","reason":"other epoch"}"#;
    let stop = r#"{"op":"error","code":"forbidden","message":"enough","topic":"t"}"#;
    let fake = Fake::sockets(vec![
        vec![Act::Hear, say(reset), change(8), Act::Close(4000, "")],
        vec![Act::Hear, say(stop), Act::Stay],
    ])
    .await;
    let mut args = args(&fake, Some("k-4"));
    args.once = false;
    let (seen, ended) = offsets(&args).await;
    assert_eq!(seen, [8]);
    assert_eq!(ended.expect_err("stopped").exit(), Exit::Denied);
    assert!(fake.heard()[1].contains("z-8"));

    let fake = Fake::sockets(vec![vec![Act::Hear, say(reset), Act::Stay]]).await;
    args.remote = fake.remote.clone();
    args.once = true;
    let failure = offsets(&args).await.1.expect_err("nothing to go on with");
    assert_eq!(failure.exit(), Exit::Data);
}

#[tokio::test]
async fn final_close_codes_stop_it_with_their_exit() {
    for (code, exit) in [
        (4501, Exit::Denied),
        (4503, Exit::Denied),
        (4502, Exit::Unavailable),
        (4999, Exit::Unavailable),
        (1009, Exit::Unavailable),
    ] {
        let fake = Fake::sockets(vec![vec![Act::Hear, Act::Close(code, "why\u{1b}[2J")]]).await;
        let failure = offsets(&args(&fake, None)).await.1.expect_err("stops");
        assert_eq!(failure.exit(), exit, "{code}");
        assert!(!failure.to_string().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_refused_handshake_is_told_and_a_busy_one_tried_again() {
    let fake = Fake::http(vec![
        Answer::Later(503),
        Answer::Later(429),
        Answer::problem(401, "unauthorized"),
    ])
    .await;
    let failure = offsets(&args(&fake, None)).await.1.expect_err("refused");
    assert_eq!(failure.exit(), Exit::Denied);
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn a_broker_that_is_gone_is_tried_a_few_times() {
    let fake = Fake::sockets(Vec::new()).await;
    let (offsets, ended) = offsets(&args(&fake, None)).await;
    assert_eq!(ended.expect_err("gone").exit(), Exit::Unavailable);
    assert!(offsets.is_empty());
}

#[tokio::test]
async fn once_stops_at_once_where_there_is_nothing() {
    let fake = Fake::sockets(vec![vec![Act::Hear, subscribed(0, 0), Act::Stay]]).await;
    assert_eq!(offsets(&args(&fake, None)).await, (Vec::new(), Ok(())));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it() {
    let fake = Fake::sockets(vec![vec![
        Act::Hear,
        subscribed(0, 6),
        change(1),
        Act::Stay,
    ]])
    .await;
    let mut gone = |_: &Heard, _: &str| Err(Failure::reader_gone());
    let ended = follow(&args(&fake, None), AT_ONCE, &mut gone).await;
    assert_eq!(ended.expect_err("gone").exit(), Exit::Ok);
}

#[test]
fn the_delay_of_a_drain_is_the_first_number_in_its_reason() {
    for (reason, millis) in [
        ("1500", 1_500),
        ("draining; reconnect in 250 ms (node 3)", 250),
        ("draining", 0),
        ("", 0),
        ("99999999999999999999999", 0),
        ("86400000", 300_000),
    ] {
        assert_eq!(first_millis(reason).as_millis(), millis, "{reason}");
    }
}

#[test]
fn the_socket_is_where_the_broker_is() {
    let url = |base: &str| socket_url(&base.parse().expect("URL")).to_string();
    assert_eq!(url("http://127.0.0.1:7010"), "ws://127.0.0.1:7010/v1/ws");
    assert_eq!(url("https://a.example/live"), "wss://a.example/live/v1/ws");
}
