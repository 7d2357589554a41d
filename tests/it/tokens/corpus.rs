//! Tokens that nobody may believe: each with the one thing that is wrong with it.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{server_with, signers, status};
use crate::support::Server;
use crate::support::jwt::{AUDIENCE, ISSUER, Signer, base64, claims, now_s};

/// The good claims with one of them changed, or taken away by null.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims(&["secret"]);
    match value {
        Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn refused(server: &Server, what: &str, token: &str) {
    for path in ["/v1/topics/secret", "/v1/topics/absent", "/v1/topics/open"] {
        let problem = server
            .get(path)
            .key(token)
            .expect_problem(401, "unauthorized");
        let problem = problem.await;
        assert!(!problem.to_string().contains(token), "{what}: {problem}");
    }
}

async fn all_keys() -> (Server, Vec<Signer>) {
    let signers = signers();
    let server = server_with(&signers.iter().collect::<Vec<_>>(), |_| {}).await;
    server.publish("open", "x").await;
    (server, signers)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_algorithm_opens_what_its_token_grants_and_nothing_else() {
    let (server, signers) = all_keys().await;
    for signer in &signers {
        assert_eq!(
            status(&server, &signer.good(&["secret"])).await,
            200,
            "{}",
            signer.kid
        );
        assert_eq!(status(&server, &signer.good(&["sec*"])).await, 200);
        assert_eq!(status(&server, &signer.good(&["other"])).await, 404);
        // A token only reads, whatever it says of itself.
        let mut claims = claims(&["*"]);
        claims["role"] = json!("admin");
        let call = server.call(reqwest::Method::POST, "/v1/topics/secret/entries");
        let call = call
            .key(&signer.sign(&claims))
            .json(&json!({"headline": "x"}));
        call.expect_problem(403, "forbidden").await;
    }
    let key = server
        .get("/v1/key")
        .key(&signers[0].good(&["secret"]))
        .expect(200)
        .await;
    assert_eq!(
        (&key["role"], &key["rights"]),
        (&json!("reader"), &json!(["read"]))
    );
    let listed = server
        .get("/v1/topics")
        .key(&signers[0].good(&["secret"]))
        .expect(200)
        .await;
    assert_eq!(listed["topics"].as_array().expect("topics").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_no_algorithm() {
    let (server, signers) = all_keys().await;
    let claims = base64(claims(&["secret"]).to_string());
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "hs256",
        "HS256 ",
        "EdDSA\u{0}",
    ] {
        for kid in ["ed", "hs", "no-such"] {
            let header = base64(json!({"alg": alg, "kid": kid}).to_string());
            refused(&server, alg, &format!("{header}.{claims}.")).await;
        }
    }
    // A good header with no signature, or with that of other claims.
    let good = signers[0].good(&["secret"]);
    let other = signers[0].good(&["other"]);
    let (message, _) = good.rsplit_once('.').expect("a signature");
    let (_, signature) = other.rsplit_once('.').expect("a signature");
    refused(&server, "no signature", &format!("{message}.")).await;
    refused(
        &server,
        "another signature",
        &format!("{message}.{signature}"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_its_own_algorithm() {
    let (server, signers) = all_keys().await;
    let claims = claims(&["secret"]).to_string();
    // Every key's name with every other key's signature, and every algorithm's name over it.
    for named in &signers {
        for signing in &signers {
            for alg in [
                "EdDSA", "ES256", "RS256", "HS256", "HS384", "HS512", "RS384", "PS256", "ES384",
            ] {
                let is_good = named.kid == signing.kid && format!("{:?}", named.algorithm) == alg;
                let header = json!({"alg": alg, "kid": named.kid}).to_string();
                let token = signing.sign_as(&header, &claims);
                let expected = if is_good { 200 } else { 401 };
                assert_eq!(
                    status(&server, &token).await,
                    expected,
                    "{} {} {alg}",
                    named.kid,
                    signing.kid
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_no_secret_of_hs256() {
    // The oldest trick: an HMAC with the bytes of the public key, in every form that somebody could take for it.
    let (server, signers) = all_keys().await;
    let claims = claims(&["secret"]).to_string();
    for signer in &signers[..3] {
        let jwk = signer.jwk();
        let mut forms = vec![jwk.to_string().into_bytes()];
        for member in ["x", "y", "n"] {
            if let Some(text) = jwk[member].as_str() {
                forms.push(text.as_bytes().to_vec());
                let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
                forms.push(base64::Engine::decode(&engine, text).expect("base64"));
            }
        }
        for form in forms {
            let header = json!({"alg": "HS256", "typ": "JWT", "kid": signer.kid}).to_string();
            let message = format!("{}.{}", base64(&header), base64(&claims));
            let key = jsonwebtoken::EncodingKey::from_secret(&form);
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
            let token = format!("{message}.{}", signature.expect("a signature"));
            refused(&server, &signer.kid, &token).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kids_are_names_and_nothing_else() {
    let (server, signers) = all_keys().await;
    let claims = claims(&["secret"]).to_string();
    let ed = &signers[0];
    let long = "k".repeat(129);
    for kid in [
        "",
        " ed",
        "ed ",
        "ED",
        "ed\u{0}",
        "no-such",
        "../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "https://evil.example/key",
        "ed' OR '1'='1",
        "ed|id",
        "*",
        "e?",
        "0",
        "-1",
        "\u{202e}de",
        &long,
    ] {
        let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
        refused(&server, kid, &ed.sign_as(&header, &claims)).await;
    }
    for header in [
        // Several keys and no name; a name that is no string; a name that is there twice.
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"alg":"EdDSA","kid":0}"#,
        r#"{"alg":"EdDSA","kid":["ed"]}"#,
        r#"{"alg":"EdDSA","kid":{"ed":"ed"}}"#,
        r#"{"alg":"EdDSA","kid":"es","kid":"ed"}"#,
        r#"{"alg":"HS256","alg":"EdDSA","kid":"ed"}"#,
    ] {
        refused(&server, header, &ed.sign_as(header, &claims)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_header_are_never_used() {
    let (server, signers) = all_keys().await;
    let claims = claims(&["secret"]).to_string();
    let host = crate::support::jwt::KeyHost::start(&[]);
    let theirs = Signer::new("ed", Algorithm::EdDSA);
    host.answer_keys(&[theirs.jwk()]);
    for (name, value) in [
        ("jwk", theirs.jwk()),
        ("jku", json!(host.url)),
        ("x5u", json!(host.url)),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = theirs.header();
        header[name] = value;
        let header = header.to_string();
        refused(&server, name, &theirs.sign_as(&header, &claims)).await;
        // Beside a good signature they mean nothing.
        assert_eq!(
            status(&server, &signers[0].sign_as(&header, &claims)).await,
            200,
            "{name}"
        );
    }
    assert_eq!(host.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    for header in [
        r#"{"alg":"EdDSA","kid":"ed","crit":["exp"],"exp":1}"#,
        r#"{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}"#,
        r#"{"alg":"EdDSA","kid":"ed","crit":[]}"#,
        r#"{"alg":"EdDSA","kid":"ed","crit":"x"}"#,
        r#"{"alg":"EdDSA","kid":"ed","typ":"JOSE"}"#,
        r#"{"alg":"EdDSA","kid":"ed","typ":"secevent+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"ed","typ":1}"#,
    ] {
        refused(&server, header, &signers[0].sign_as(header, &claims)).await;
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = json!({"alg": "EdDSA", "kid": "ed", "typ": typ}).to_string();
        assert_eq!(
            status(&server, &signers[0].sign_as(&header, &claims)).await,
            200,
            "{typ}"
        );
    }
}

/// What each claim must not be. Null stands for a claim that is not there.
fn wrong_claims() -> Value {
    let now = now_s();
    json!({
        "iss": [null, [ISSUER], 1, "", "https://id.example/", "HTTPS://id.example", "https://id.example.evil.example"],
        "aud": [null, [], ["other"], "other", {"0": AUDIENCE}, true, "", "tenbells ", [[AUDIENCE]], [AUDIENCE, 1]],
        "exp": [null, (now + 600).to_string(), true, [now + 600], {}, 0, -1, now - 31, now + 86_500, 1e300, i64::MAX],
        "nbf": ["0", false, [], now + 120, 1e300],
        "iat": ["0", {}, now + 120],
        "sub": [1, [], "", "s".repeat(256)],
        "jti": [1, {}, "", "j".repeat(256)],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_required_and_of_their_types() {
    let (server, signers) = all_keys().await;
    let now = now_s();
    for (name, values) in wrong_claims().as_object().expect("an object") {
        for value in values.as_array().expect("an array") {
            let token = signers[0].sign(&with(name, value.clone()));
            refused(&server, &format!("{name} {value}"), &token).await;
        }
    }
    for null in ["nbf", "iat", "sub", "jti"] {
        let mut claims = claims(&["secret"]);
        claims[null] = Value::Null;
        refused(&server, null, &signers[0].sign(&claims)).await;
    }
    for good in [
        with("aud", json!(["other", AUDIENCE])),
        with("exp", json!(now as f64 + 600.5)),
        with("exp", json!(now - 20)),
        with("nbf", json!(now + 20)),
        with("sub", Value::Null),
        with("jti", Value::Null),
        with("unknown", json!({"deep": [1, 2, {"a": null}]})),
    ] {
        assert_eq!(
            status(&server, &signers[0].sign(&good)).await,
            200,
            "{good}"
        );
    }
    // A claim that is there twice has no value that everybody would agree on.
    let header = signers[0].header().to_string();
    let text = claims(&["secret"]).to_string();
    for (name, value) in [
        ("iss", json!(ISSUER)),
        ("exp", json!(now + 60)),
        ("aud", json!(AUDIENCE)),
    ] {
        let twice = text.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        refused(&server, &twice, &signers[0].sign_as(&header, &twice)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_grants_have_no_way_out() {
    let (server, signers) = all_keys().await;
    let many = vec!["a"; 33];
    for topics in [
        Value::Null,
        json!("secret"),
        json!("*"),
        json!({"secret": true}),
        json!(["secret", 1]),
        json!([["secret"]]),
        json!([""]),
        json!(["SECRET"]),
        json!(["secret/../other"]),
        json!(["se[a-z]ret"]),
        json!(["{secret,x}"]),
        json!(["secret\u{0}"]),
        json!(["secret\n"]),
        json!(["^secret$"]),
        json!([".*"]),
        json!(["%"]),
        json!(["!other"]),
        json!(["ｓecret"]),
        json!(["\\*"]),
        json!(["a".repeat(129)]),
        json!(many),
        json!(true),
        json!(1),
    ] {
        let token = signers[0].sign(&with("topics", topics.clone()));
        refused(&server, &topics.to_string(), &token).await;
    }
    for (topics, expected) in [
        (json!([]), 404),
        (json!(["secre"]), 404),
        (json!(["ecret"]), 404),
        (json!(["secret-"]), 404),
        (json!(["s?cret"]), 200),
        (json!(["s?ret"]), 404),
        (json!(["*"]), 200),
        (json!(["sec*ret"]), 200),
        (json!(["a", "b", "secret"]), 200),
    ] {
        let token = signers[0].sign(&with("topics", topics.clone()));
        assert_eq!(status(&server, &token).await, expected, "{topics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_grants_no_more_than_the_configuration_lets_it() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let server = server_with(&[&signer], |config| {
        config.tokens.issuers[0].topics = vec!["members-*".to_owned(), "club".to_owned()];
        config.tokens.issuers[0].topics_claim = "https://id.example/blogs".to_owned();
    })
    .await;
    for topic in ["members-1", "club"] {
        let call = server.desk("PUT", &format!("/v1/topics/{topic}"));
        call.json(&json!({"visibility": "private"}))
            .expect(201)
            .await;
    }
    let mut claims = claims(&["*"]);
    // The claim of the default name means nothing here.
    refused(&server, "topics", &signer.sign(&claims)).await;
    claims["https://id.example/blogs"] = json!(["*"]);
    let token = signer.sign(&claims);
    for (topic, expected) in [
        ("members-1", 200),
        ("club", 200),
        ("secret", 404),
        ("absent", 404),
    ] {
        let answer = server
            .get(&format!("/v1/topics/{topic}"))
            .key(&token)
            .send()
            .await;
        assert_eq!(answer.status, expected, "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_the_form_of_a_token_is_none() {
    let (server, signers) = all_keys().await;
    let good = signers[0].good(&["secret"]);
    let parts: Vec<&str> = good.split('.').collect();
    let long = {
        let mut claims = claims(&["secret"]);
        claims["padding"] = json!("p".repeat(3_000));
        signers[0].sign(&claims)
    };
    assert!(long.len() > 4_096);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = format!(r#"{{"iss":"{ISSUER}","x":{deep}}}"#);
    for (what, token) in [
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("five parts, as if encrypted", format!("{good}.a.b")),
        (
            "padding",
            format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        ),
        (
            "a part that is empty",
            format!("{}..{}", parts[0], parts[2]),
        ),
        (
            "the JSON form",
            json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string(),
        ),
        ("a longer one than may be", long),
        (
            "claims that are deep",
            signers[0].sign_as(&signers[0].header().to_string(), &deep),
        ),
        (
            "claims that are no object",
            signers[0].sign_as(&signers[0].header().to_string(), "[]"),
        ),
        (
            "claims that are no JSON",
            signers[0].sign_as(&signers[0].header().to_string(), "x"),
        ),
        (
            "a header that is no object",
            signers[0].sign_as("[]", &claims(&["secret"]).to_string()),
        ),
        ("a key's beginning", format!("tb_{good}")),
    ] {
        refused(&server, what, &token).await;
    }
    assert_eq!(status(&server, &good).await, 200);
    for scheme in ["", "Basic ", "bearer", "Token "] {
        let call = server
            .get("/v1/topics/secret")
            .header("authorization", &format!("{scheme}{good}"));
        call.expect_problem(401, "unauthorized").await;
    }
}
