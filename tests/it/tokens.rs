//! Reader tokens: which are believed, what they open, and when they end.

mod corpus;
mod jwks;
mod lifetime;
mod start;
mod tickets;

use jsonwebtoken::Algorithm;
use serde_json::json;
use tenbells::config::{Config, KeySource};

use crate::support::Server;
use crate::support::jwt::{Signer, believe, write_jwks};

/// A server with a private topic `secret` that has an entry `e`, and an issuer with these keys.
async fn server_with(signers: &[&Signer], change: impl FnOnce(&mut Config)) -> Server {
    let folder = tempfile::tempdir().expect("folder");
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    let path = write_jwks(folder.path(), &keys);
    let server = Server::start_in(folder, |config| {
        believe(config, KeySource::File(path));
        change(config);
    })
    .await;
    add_secret(&server).await;
    server
}

/// The private topic `secret`.
async fn add_secret(server: &Server) {
    let put = server.desk("PUT", "/v1/topics/secret");
    put.json(&json!({"visibility": "private"}))
        .expect(201)
        .await;
    let entry = json!({"id": "e", "headline": "x"});
    server.publish_entry("secret", entry).await;
}

/// One key for each algorithm.
fn signers() -> Vec<Signer> {
    [
        ("ed", Algorithm::EdDSA),
        ("es", Algorithm::ES256),
        ("rs", Algorithm::RS256),
        ("hs", Algorithm::HS256),
    ]
    .map(|(kid, algorithm)| Signer::new(kid, algorithm))
    .into()
}

/// The status that the private topic is answered with to whoever shows this.
async fn status(server: &Server, token: &str) -> u16 {
    server
        .get("/v1/topics/secret")
        .key(token)
        .send()
        .await
        .status
}
