//! The times of a token to the second, by a clock that stands still.

use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::config::{Config, IssuerConfig, KeySource};

const SECRET: &[u8] = b"q8Zr2mVb7Lw0Xc5Nf3Ty6Hj9Pk1Sd4Ga";

/// Tokens by a clock that shows second 1,000,000, with a leeway of 30 s and lifetimes of 1,000 s.
fn tokens(folder: &std::path::Path) -> (Arc<Tokens>, ManualClock) {
    let path = folder.join("secret");
    std::fs::write(&path, SECRET).expect("write");
    let clock = ManualClock::new(Timestamp::from_second(1_000_000).expect("a time"));
    let mut config = Config::default().tokens;
    config.leeway = Duration::from_secs(30);
    config.lifetime_max = Duration::from_secs(1_000);
    config.issuers.push(IssuerConfig {
        issuer: "i".to_owned(),
        audience: "a".to_owned(),
        keys: KeySource::Secret(path),
        topics: vec!["*".to_owned()],
        topics_claim: "topics".to_owned(),
    });
    let tokens = Tokens::open(&config, Arc::new(clock.clone())).expect("opens");
    (tokens, clock)
}

fn token(times: &[(&str, f64)]) -> String {
    let mut claims = json!({"iss": "i", "aud": "a", "exp": 1_000_500, "topics": ["t"]});
    for (name, at) in times {
        claims[*name] = json!(at);
    }
    let key = EncodingKey::from_secret(SECRET);
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

#[test]
fn times_have_a_leeway_and_a_limit_to_the_second() {
    let folder = tempfile::tempdir().expect("folder");
    let (tokens, _) = tokens(folder.path());
    for (name, at, is_good) in [
        ("exp", 999_970.0, false),
        ("exp", 999_970.5, true),
        ("exp", 1_001_030.0, true),
        ("exp", 1_001_031.0, false),
        ("nbf", 1_000_030.0, true),
        ("nbf", 1_000_030.5, false),
        ("iat", 1_000_030.0, true),
        ("iat", 1_000_031.0, false),
        ("nbf", -1e18, true),
    ] {
        let judged = tokens.judge(&token(&[(name, at)]));
        assert_eq!(judged.is_ok(), is_good, "{name} {at}: {judged:?}");
    }
}

#[test]
fn a_grant_stands_until_the_end_of_its_token_and_the_leeway() {
    let folder = tempfile::tempdir().expect("folder");
    let (tokens, clock) = tokens(folder.path());
    let grant = tokens.judge(&token(&[("exp", 1_000_010.0)])).expect("good");
    let stands = || grant.token().is_some_and(|token| tokens.stands(token));
    for (second, expected) in [(1_000_039, true), (1_000_040, false), (1_000_041, false)] {
        clock.set(Timestamp::from_second(second).expect("a time"));
        assert_eq!(stands(), expected, "{second}");
    }
}

#[test]
fn nothing_of_a_token_is_in_what_is_printed_of_its_refusal() {
    let folder = tempfile::tempdir().expect("folder");
    let (tokens, _) = tokens(folder.path());
    let bad = token(&[("exp", 1.0)]);
    let refused = tokens.judge(&bad).expect_err("refused");
    assert_eq!(refused.to_string(), "the token is not good: it has expired");
}
