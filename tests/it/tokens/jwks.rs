//! Keys of issuers: by file and by URL, which sets are refused, and how often they are fetched.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tenbells::app::App;
use tenbells::config::{Config, KeySource};
use tenbells::shutdown::Shutdown;

use super::{add_secret, server_with, status};
use crate::support::jwt::{KeyHost, Signer, base64, believe, claims, random, write_jwks};
use crate::support::{PATIENCE, Server};

/// A server that fetches its keys from there, and may do so again after `gap`.
async fn server_at(host: &KeyHost, gap: Duration) -> Server {
    let url = host.url.clone();
    let server = Server::start_with(|config| {
        believe(config, KeySource::Url(url));
        config.tokens.jwks_gap = gap;
    })
    .await;
    add_secret(&server).await;
    server
}

async fn until_status(server: &Server, token: &str, expected: u16) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while status(server, token).await != expected {
        assert!(tokio::time::Instant::now() < until, "never {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_kids_have_keys_fetched_once_a_minute_at_the_most() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let host = KeyHost::start(&[signer.jwk()]);
    let server = server_at(&host, Duration::from_secs(60)).await;
    until_status(&server, &signer.good(&["secret"]), 200).await;
    for number in 0..200 {
        let header = json!({"alg": "EdDSA", "kid": format!("k{number}")}).to_string();
        let token = signer.sign_as(&header, &claims(&["secret"]).to_string());
        assert_eq!(status(&server, &token).await, 401);
    }
    assert_eq!(host.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let (old, new) = (
        Signer::new("k1", Algorithm::EdDSA),
        Signer::new("k2", Algorithm::ES256),
    );
    let host = KeyHost::start(&[old.jwk()]);
    let server = server_at(&host, Duration::ZERO).await;
    until_status(&server, &old.good(&["secret"]), 200).await;
    host.answer_keys(&[old.jwk(), new.jwk()]);
    // While it is fetched nothing is known of the token: not that it is bad, either.
    let first = server
        .get("/v1/topics/secret")
        .key(&new.good(&["secret"]))
        .send()
        .await;
    assert_eq!(first.status, 503, "{}", first.text());
    assert!((1..=5).contains(&first.header("retry-after").parse::<u32>().expect("seconds")));
    until_status(&server, &new.good(&["secret"]), 200).await;
    // A key that its issuer has taken away is believed no more once the set was fetched.
    host.answer_keys(&[new.jwk()]);
    let unknown = Signer::new("k3", Algorithm::EdDSA);
    status(&server, &unknown.good(&["secret"])).await;
    // Without the key, a token that names it has the set fetched as well, so it is either.
    let until = tokio::time::Instant::now() + PATIENCE;
    while status(&server, &old.good(&["secret"])).await == 200 {
        assert!(
            tokio::time::Instant::now() < until,
            "it is believed for ever"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status(&server, &new.good(&["secret"])).await, 200);
}

/// Answers of a key host that must not be believed: what is wrong, the status, header fields, the body.
fn bad_answers(
    theirs: &Signer,
    elsewhere: &str,
) -> Vec<(&'static str, &'static str, String, String)> {
    let set = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let secret = Signer::new("hs", Algorithm::HS256);
    let huge = json!({"keys": [theirs.jwk()], "padding": "p".repeat(300_000)}).to_string();
    let mut private = theirs.jwk();
    private["d"] = json!("AAAA");
    let named = |number: usize| {
        let mut key = theirs.jwk();
        key["kid"] = json!(format!("evil{number}"));
        key
    };
    let one = set(vec![theirs.jwk()]);
    let no_fields = String::new;
    let location = format!("Location: {elsewhere}\r\n");
    vec![
        ("an error", "500 Oops", no_fields(), one.clone()),
        ("a redirect", "302 Found", location, one),
        ("too long", "200 OK", no_fields(), huge),
        ("no JSON", "200 OK", no_fields(), "<html>".to_owned()),
        ("no set", "200 OK", no_fields(), theirs.jwk().to_string()),
        ("no keys", "200 OK", no_fields(), set(vec![])),
        (
            "a private key",
            "200 OK",
            no_fields(),
            set(vec![theirs.jwk(), private]),
        ),
        (
            "the same name twice",
            "200 OK",
            no_fields(),
            set(vec![theirs.jwk(), theirs.jwk()]),
        ),
        (
            "a secret for everybody",
            "200 OK",
            no_fields(),
            set(vec![theirs.jwk(), secret.jwk()]),
        ),
        (
            "too many",
            "200 OK",
            no_fields(),
            set((0..33).map(named).collect()),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_when_what_is_fetched_can_not_be_used() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let host = KeyHost::start(&[signer.jwk()]);
    let server = server_at(&host, Duration::ZERO).await;
    let good = signer.good(&["secret"]);
    until_status(&server, &good, 200).await;
    let theirs = Signer::new("evil", Algorithm::EdDSA);
    let other_host = KeyHost::start(&[theirs.jwk()]);
    for (what, state, fields, body) in bad_answers(&theirs, &other_host.url) {
        host.answer_with(state, &fields, &body);
        let before = host.asked.load(Ordering::SeqCst);
        let until = tokio::time::Instant::now() + PATIENCE;
        let unknown = theirs.good(&["secret"]);
        // Two more fetches: the second begins after the first was dealt with.
        while host.asked.load(Ordering::SeqCst) < before + 2 {
            assert_ne!(status(&server, &unknown).await, 200, "{what}");
            assert!(
                tokio::time::Instant::now() < until,
                "{what}: it is not fetched"
            );
        }
        assert_eq!(status(&server, &good).await, 200, "{what}");
        assert_ne!(status(&server, &unknown).await, 200, "{what}");
    }
    assert_eq!(
        other_host.asked.load(Ordering::SeqCst),
        0,
        "a redirect is not followed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_kinds_and_for_other_uses_are_left_out() {
    let good = Signer::new("good", Algorithm::EdDSA);
    let bent = |change: fn(&mut Value)| {
        let signer = Signer::new("bent", Algorithm::ES256);
        let mut jwk = signer.jwk();
        change(&mut jwk);
        (signer, jwk)
    };
    let claims = claims(&["secret"]);
    for (signer, jwk) in [
        bent(|jwk| jwk["use"] = json!("enc")),
        bent(|jwk| jwk["key_ops"] = json!(["sign"])),
        bent(|jwk| jwk["alg"] = json!("ES384")),
        bent(|jwk| jwk["crv"] = json!("P-384")),
        bent(|jwk| jwk["kty"] = json!("XY")),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let path = write_jwks(folder.path(), &[good.jwk(), jwk.clone()]);
        let server =
            Server::start_in(folder, |config| believe(config, KeySource::File(path))).await;
        add_secret(&server).await;
        assert_eq!(status(&server, &good.good(&["secret"])).await, 200, "{jwk}");
        assert_eq!(status(&server, &signer.sign(&claims)).await, 401, "{jwk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_issuers_have_each_their_own_keys() {
    let (one, two) = (
        Signer::new("k", Algorithm::EdDSA),
        Signer::new("k", Algorithm::EdDSA),
    );
    let other = "https://other.example";
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("two.json");
    std::fs::write(&path, json!({"keys": [two.jwk()]}).to_string()).expect("is written");
    let server = server_with(&[&one], |config| {
        believe(config, KeySource::File(path));
        config.tokens.issuers[1].issuer = other.to_owned();
    })
    .await;
    let mut theirs = claims(&["secret"]);
    theirs["iss"] = json!(other);
    for (signer, claims, expected) in [
        (&one, claims(&["secret"]), 200),
        (&two, theirs.clone(), 200),
        (&two, claims(&["secret"]), 401),
        (&one, theirs, 401),
    ] {
        assert_eq!(
            status(&server, &signer.sign(&claims)).await,
            expected,
            "{claims}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_right_length_signs() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("secret");
    let secret = "q8Zr2mVb7Lw0Xc5Nf3Ty6Hj9Pk1Sd4Ga";
    // A line break at the end is an editor's, and no part of the secret.
    std::fs::write(&path, format!("{secret}\n")).expect("is written");
    let server = Server::start_in(folder, |config| believe(config, KeySource::Secret(path))).await;
    add_secret(&server).await;
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    for kid in [None, Some("any".to_owned())] {
        let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
        header.kid = kid;
        let token = jsonwebtoken::encode(&header, &claims(&["secret"]), &key).expect("a token");
        assert_eq!(status(&server, &token).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_with_keys_that_it_can_not_use() {
    let folder = tempfile::tempdir().expect("folder");
    let rsa = Signer::new("rs", Algorithm::RS256).jwk();
    let changed = |name: &str, value: &str| {
        let mut jwk = rsa.clone();
        jwk[name] = json!(value);
        json!({"keys": [jwk]}).to_string()
    };
    let path = folder.path().join("keys.json");
    for (what, text, words) in [
        ("a short modulus", changed("n", &base64([0xab; 128])), "modulus of 1024 bits"),
        ("a long modulus", changed("n", &base64([0xab; 1_024])), "modulus of 8192 bits"),
        ("an exponent of 1", changed("e", "AQ"), "exponent"),
        ("an exponent of 3", changed("e", "Aw"), "exponent"),
        ("an even exponent", changed("e", "AQAA"), "exponent"),
        ("a private key", changed("d", "AAAA"), "private key"),
        ("no base64", changed("n", "*"), "base64url"),
        ("no keys", json!({"keys": []}).to_string(), "no key"),
        ("no set", "[]".to_owned(), "no JWK set"),
        ("a point that is none", json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}).to_string(), "32 bytes"),
        ("a secret of 31 bytes", json!({"keys": [{"kty": "oct", "alg": "HS256", "k": base64(&random()[..31])}]}).to_string(), "31 bytes"),
        ("the secret of the RFC", json!({"keys": [{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}).to_string(), "everybody knows"),
    ] {
        std::fs::write(&path, text).expect("is written");
        let refused = start(folder.path(), KeySource::File(path.clone())).await;
        assert!(refused.contains(words) && refused.contains("keys.json"), "{what}: {refused}");
    }
    let missing = start(
        folder.path(),
        KeySource::File(folder.path().join("none.json")),
    )
    .await;
    assert!(missing.contains("can't be read"), "{missing}");
}

/// Why a server with these keys does not start.
async fn start(folder: &std::path::Path, keys: KeySource) -> String {
    let mut config = Config {
        data_dir: folder.to_owned(),
        listen: "127.0.0.1:0".parse().expect("address"),
        admin_listen: "127.0.0.1:0".parse().expect("address"),
        ..Config::default()
    };
    believe(&mut config, keys);
    let refused = App::start(config, Shutdown::new()).await;
    refused.err().expect("it does not start").to_string()
}
