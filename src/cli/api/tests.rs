//! The broker over HTTP: retries, refusals, and what goes on the wire.

use serde_json::json;

use super::*;
use crate::cli::exit::Exit;
use crate::cli::fake::{Answer, Fake};

fn ok() -> Answer {
    Answer::Json(201, r#"{"position":"k-1"}"#.to_owned())
}

async fn publish(fake: &Fake) -> Result<Value, Refused> {
    let path = ["v1", "topics", "t", "entries"];
    let call = Call::new("publish to t", Method::POST, &path).body(json!({"headline": "h"}));
    fake.api().send(call).await
}

#[tokio::test]
async fn every_retry_has_the_same_key_and_body() {
    for passing in [
        Answer::Later(429),
        Answer::Later(503),
        Answer::problem(502, "bad_gateway"),
        Answer::problem(408, "timeout"),
        Answer::problem(507, "storage_full"),
        Answer::problem(500, "outcome_unknown"),
        Answer::Break,
    ] {
        let fake = Fake::http(vec![passing.clone(), passing.clone(), ok()]).await;
        let answer = publish(&fake).await.expect("at last");
        assert_eq!(answer, json!({"position": "k-1"}));
        let asked = fake.asked();
        assert_eq!(asked.len(), 3, "{passing:?}");
        assert_eq!(asked[0].path, "/base/v1/topics/t/entries");
        assert_eq!(
            asked[0].authorization.as_deref(),
            Some("Bearer tb_k_secret")
        );
        assert_eq!(asked[0].key.as_deref().map(str::len), Some(26));
        for again in &asked[1..] {
            assert_eq!(again.key, asked[0].key);
            assert_eq!(again.body, json!({"headline": "h"}));
        }
    }
}

#[tokio::test]
async fn two_calls_have_two_keys_and_a_given_one_is_used() {
    let fake = Fake::http(vec![ok(), ok(), ok()]).await;
    publish(&fake).await.expect("first");
    publish(&fake).await.expect("second");
    let path = ["v1"];
    let call = Call::new("try", Method::PATCH, &path)
        .idempotency_key("mine")
        .if_match(Some(3));
    fake.api().send(call).await.expect("third");
    let asked = fake.asked();
    assert_ne!(asked[0].key, asked[1].key);
    assert_eq!(asked[2].key.as_deref(), Some("mine"));
    assert_eq!(asked[2].if_match.as_deref(), Some("\"3\""));
}

#[tokio::test]
async fn retries_are_used_up() {
    let fake = Fake::http(vec![Answer::problem(503, "unavailable"); 9]).await;
    let failure = Failure::from(publish(&fake).await.expect_err("never"));
    assert_eq!(failure.exit(), Exit::Temporary);
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    for (status, code, exit) in [
        (401, "unauthorized", Exit::Denied),
        (404, "topic_not_found", Exit::NoInput),
        (409, "idempotency_key_reused", Exit::Data),
        (429, "limit_reached", Exit::Data),
        (500, "internal", Exit::Unavailable),
        (301, "moved", Exit::Other),
    ] {
        let fake = Fake::http(vec![Answer::problem(status, code), ok()]).await;
        let refused = publish(&fake).await.expect_err(code);
        assert!(matches!(&refused, Refused::Problem { problem, .. } if problem.code == code));
        let failure = Failure::from(refused);
        assert_eq!(failure.exit(), exit, "{code}");
        assert_eq!(
            failure.to_string(),
            format!("can't publish to t: said {code}")
        );
        assert_eq!(fake.asked().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}/", listener.local_addr().expect("address"));
    drop(listener);
    let remote = Remote {
        url: parse_base(&url).expect("URL"),
        key: None,
        ca: None,
    };
    let api = Api::new(&remote, crate::cli::fake::AT_ONCE).expect("API");
    let call = Call::new("try", Method::GET, &["v1"]);
    let failure = Failure::from(api.send(call).await.expect_err("nobody"));
    assert_eq!(failure.exit(), Exit::Unavailable);
    assert!(failure.to_string().contains("refused"), "{failure}");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_somebody_elses() {
    let fake = Fake::http(vec![Answer::Json(200, "<html>".to_owned())]).await;
    let failure = Failure::from(publish(&fake).await.expect_err("not JSON"));
    assert_eq!(failure.exit(), Exit::Unavailable);
}

#[test]
fn addresses_are_checked_and_joined() {
    for bad in [
        "",
        "nope",
        "ftp://a/",
        "http://a/?x",
        "http://a/#x",
        "http://u:p@a/",
    ] {
        assert!(parse_base(bad).is_err(), "{bad}");
    }
    let base = parse_base("https://a.example/live/").expect("URL");
    let joined = join(&base, &["v1", "a/b?c", "entries:batch"]);
    assert_eq!(
        joined.as_str(),
        "https://a.example/live/v1/a%2Fb%3Fc/entries:batch"
    );
}

#[test]
fn a_key_is_shown_by_no_debug_print() {
    let key: Key = " tb_x_y\n".parse().expect("key");
    assert_eq!(key.bearer(), "Bearer tb_x_y");
    assert_eq!(format!("{key:?}"), "Key(…)");
    for bad in ["", "a b", "a\nb", "é"] {
        assert!(bad.parse::<Key>().is_err(), "{bad:?}");
    }
}
