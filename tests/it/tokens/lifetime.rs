//! When a token ends, its connections do: at its `exp`, and when it is revoked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{server_with, status};
use crate::support::jwt::{ISSUER, Signer, claims, now_s};
use crate::support::sse::Sse;
use crate::support::ws::Ws;
use crate::support::{PATIENCE, Server};

/// The end of a token that has a moment left, so that a connection can be opened with it.
const LEFT_S: i64 = 3;

/// A server without leeway, with a file of revocations.
async fn server(signer: &Signer) -> (Server, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("folder");
    let revoked = folder.path().join("revoked.txt");
    std::fs::write(&revoked, "# nothing yet\n").expect("is written");
    let path = revoked.clone();
    let server = server_with(&[signer], |config| {
        config.tokens.leeway = Duration::ZERO;
        config.tokens.revocations = Some(path);
    })
    .await;
    (server, revoked, folder)
}

fn short(jti: &str) -> Value {
    let mut claims = claims(&["secret"]);
    claims["exp"] = json!(now_s() + LEFT_S);
    claims["jti"] = json!(jti);
    claims
}

async fn open(server: &Server, token: &str) -> Ws {
    let bearer = format!("Bearer {token}");
    let url = server.ws("?topic=secret&after=start");
    let mut ws = Ws::open_with(&url, &[("authorization", &bearer)]).await;
    ws.op("subscribed").await;
    ws
}

async fn open_stream(server: &Server, token: &str) -> Sse {
    let url = format!("{}/v1/topics/secret/stream", server.base);
    Sse::open(&url, None, Some(token)).await
}

/// Reads on to the end of the stream.
async fn ended(sse: &mut Sse) {
    let end = async { while sse.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_with_their_token() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let (server, ..) = server(&signer).await;
    let ending = signer.sign(&short("ending"));
    let position = server
        .get("/v1/topics/secret")
        .key(&ending)
        .expect(200)
        .await["position"]
        .clone();
    let position = position.as_str().expect("a position").to_owned();
    let (mut ws, mut renewed) = (open(&server, &ending).await, open(&server, &ending).await);
    let mut by_message = Ws::open(&server.ws("")).await;
    by_message.say(json!({"op": "auth", "token": ending})).await;
    by_message
        .say(json!({"op": "subscribe", "topic": "secret"}))
        .await;
    by_message.op("subscribed").await;
    let mut sse = open_stream(&server, &ending).await;
    let poll = server.get(&format!(
        "/v1/topics/secret/changes?after={position}&wait=20"
    ));
    let poll = poll.key(&ending);
    // A newer one, shown in time, keeps its connection.
    let newer = signer.good(&["secret"]);
    renewed.say(json!({"op": "auth", "token": newer})).await;
    let began = Instant::now();
    let (polled, ws_closed, message_closed, ()) = tokio::join!(
        poll.send(),
        ws.closed_with_reason(),
        by_message.closed(),
        ended(&mut sse)
    );
    let took = began.elapsed();
    assert_eq!(polled.status, 401, "{}", polled.text());
    assert_eq!(ws_closed.0, 4501, "{}", ws_closed.1);
    assert_eq!(message_closed, 4501);
    assert!(
        took < Duration::from_secs(LEFT_S.unsigned_abs() + 3),
        "{took:?}"
    );
    assert_eq!(status(&server, &ending).await, 401);
    server.publish("secret", "later").await;
    for offset in 1..=3 {
        assert_eq!(renewed.change().await["offset"], offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_on_a_public_topic_ends_its_connections_as_well() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let (server, ..) = server(&signer).await;
    server.publish("open", "x").await;
    let ending = signer.sign(&short("ending"));
    let url = format!("{}/v1/topics/open/stream", server.base);
    let mut sse = Sse::open(&url, None, Some(&ending)).await;
    let bearer = format!("Bearer {ending}");
    let mut ws = Ws::open_with(&server.ws("?topic=open"), &[("authorization", &bearer)]).await;
    let (closed, ()) = tokio::join!(ws.closed(), ended(&mut sse));
    assert_eq!(closed, 4501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_within_seconds() {
    let signer = Signer::new("ed", Algorithm::EdDSA);
    let (server, revoked, _folder) = server(&signer).await;
    let mut kept = claims(&["secret"]);
    kept["jti"] = json!("kept");
    kept["sub"] = json!("grace");
    let kept = signer.sign(&kept);
    let taken = signer.good(&["secret"]);
    for (rule, survives) in [
        ("https://other.example jti t1".to_owned(), true),
        (format!("{ISSUER} jti t11"), true),
        (format!("{ISSUER} jti t1"), false),
        (format!("{ISSUER} sub ada"), false),
        ("* sub ada".to_owned(), false),
    ] {
        std::fs::write(&revoked, "\n").expect("is written");
        until_status(&server, &taken, 200).await;
        until_status(&server, &kept, 200).await;
        let (mut ws, mut other) = (open(&server, &taken).await, open(&server, &kept).await);
        let mut sse = open_stream(&server, &taken).await;
        std::fs::write(&revoked, format!("{rule}\n")).expect("is written");
        if survives {
            // Once the file was read, the token that the marker is about is refused, and this one is not.
            std::fs::write(&revoked, format!("{rule}\n{ISSUER} jti kept\n")).expect("is written");
            until_status(&server, &kept, 401).await;
            assert_eq!(status(&server, &taken).await, 200, "{rule}");
            continue;
        }
        let began = Instant::now();
        let (closed, ()) = tokio::join!(ws.closed(), ended(&mut sse));
        assert_eq!(closed, 4501, "{rule}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{rule}: {:?}",
            began.elapsed()
        );
        assert_eq!(status(&server, &taken).await, 401, "{rule}");
        assert_eq!(status(&server, &kept).await, 200, "{rule}");
        server.publish("secret", "more").await;
        other.change().await;
    }
    std::fs::write(&revoked, format!("{ISSUER} kid ed\n")).expect("is written");
    until_status(&server, &kept, 401).await;
    // What can't be read changes nothing: it must not bring back what was taken.
    std::fs::write(&revoked, "nonsense\n").expect("is written");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(status(&server, &kept).await, 401);
}

async fn until_status(server: &Server, token: &str, expected: u16) {
    let until = Instant::now() + PATIENCE;
    while status(server, token).await != expected {
        assert!(Instant::now() < until, "never {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
