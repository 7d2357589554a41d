//! Reader tokens and key sets: nothing is accepted that no configured key has signed, or that says what it may not.
//!
//! Input: what it is (1 byte), then a token as it is, or a header and claims with a line break between, which are signed
//! here, well or badly, or a key set. Acceptance is checked by other code: the signature by aws-lc, the claims as JSON.
#![cfg_attr(fuzzing, no_main)]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, UnparsedPublicKey,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tenbells::clock::ManualClock;
use tenbells::config::{Config, IssuerConfig, KeySource};
use tenbells::fuzzing::key_set;
use tenbells::keys::{Denied, Grant, Keys, Right};
use tenbells::model::TopicName;
use tenbells::tokens::{Gate, TOKEN_BYTES_MAX, Tokens};

const NOW: i64 = 1_000_000;
const LEEWAY_S: f64 = 30.0;
const LIFETIME_S: f64 = 86_400.0;
const SECRET: &[u8] = b"q8Zr2mVb7Lw0Xc5Nf3Ty6Hj9Pk1Sd4Ga";
const OTHER_SECRET: &[u8] = b"Wm4Rt8Yx2Kc6Vb0Nq3Lz7Hg1Js5Df9Pe";

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

/// Keys that sign, and a gate that knows them.
struct Bench {
    edwards: Ed25519KeyPair,
    curve: EcdsaKeyPair,
    gate: Gate,
}

/// The broker's own keys: none.
struct NoKeys;

impl Keys for NoKeys {
    fn authenticate(&self, _: &str) -> Result<Arc<Grant>, Denied> {
        Err(Denied::Unknown)
    }

    fn stands(&self, _: &Grant) -> bool {
        false
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                judge(token);
            }
        }
        1 | 2 => {
            let at = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len());
            let (header, claims) = (&rest[..at], rest.get(at + 1..).unwrap_or_default());
            let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
            let mut signature = BENCH.sign(kind >> 2, message.as_bytes());
            if kind % 4 == 1 {
                judge(&format!("{message}.{}", BASE64.encode(signature)));
            } else {
                let at = usize::from(kind) % signature.len();
                signature[at] ^= 1 << (kind >> 5);
                let token = format!("{message}.{}", BASE64.encode(signature));
                assert!(BENCH.gate.authenticate(&token).is_err(), "a bad signature");
            }
        }
        _ => {
            let from_file = key_set(rest, false);
            if let Ok(count) = key_set(rest, true) {
                assert!((1..=32).contains(&count));
                assert_eq!(from_file, Ok(count));
            }
        }
    }
});

/// What is granted has to be signed and said.
fn judge(token: &str) {
    let Ok(grant) = BENCH.gate.authenticate(token) else {
        return;
    };
    assert!(token.len() <= TOKEN_BYTES_MAX);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("a token has three parts");
    };
    let message = format!("{header}.{claims}");
    let bytes = |part: &str| BASE64.decode(part).expect("base64");
    let json = |part: &str| serde_json::from_slice::<Value>(&bytes(part)).expect("JSON");
    let (header, claims, signature) = (json(header), json(claims), bytes(signature));
    assert!(header.get("crit").is_none());
    let iss = claims["iss"].as_str().expect("iss");
    BENCH.verify(iss, &header, message.as_bytes(), &signature);
    let exp = claims["exp"].as_f64().expect("exp");
    assert!(exp + LEEWAY_S > NOW as f64 && exp <= NOW as f64 + LIFETIME_S + LEEWAY_S);
    let is_ours = |aud: &Value| aud == "a";
    assert!(
        is_ours(&claims["aud"])
            || claims["aud"]
                .as_array()
                .is_some_and(|all| all.iter().any(is_ours))
    );
    let topics = claims["topics"].as_array().expect("topics");
    for name in ["t", "live-1", "members-1"] {
        let topic = TopicName::parse(name).expect("a name");
        assert!(!grant.may(Right::Publish, &topic), "a token only reads");
        let may = grant.may(Right::Read, &topic);
        assert!(!may || !topics.is_empty());
        assert!(
            !may || iss == "s" || name != "members-1",
            "beyond its issuer"
        );
    }
    assert!(BENCH.gate.stands(&grant));
}

impl Bench {
    fn new() -> Self {
        let edwards = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let scalar = [9; 32];
        let point = PrivateKey::from_private_key(&ECDH_P256, &scalar).expect("a key");
        let point = point.compute_public_key().expect("a key");
        let point = point.as_ref();
        let curve = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &scalar,
            point,
        );
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": BASE64.encode(edwards.public_key().as_ref())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..])},
            {"kty": "RSA", "kid": "rs", "n": BASE64.encode(modulus()), "e": "AQAB"},
            {"kty": "oct", "kid": "hs", "k": BASE64.encode(SECRET)},
        ]});
        let folder = tempfile::tempdir().expect("a folder");
        let (keys, secret) = (
            folder.path().join("keys.json"),
            folder.path().join("secret"),
        );
        std::fs::write(&keys, set.to_string()).expect("written");
        std::fs::write(&secret, OTHER_SECRET).expect("written");
        let mut config = Config::default().tokens;
        config.leeway = std::time::Duration::from_secs_f64(LEEWAY_S);
        config.lifetime_max = std::time::Duration::from_secs_f64(LIFETIME_S);
        config.issuers = vec![
            issuer("i", KeySource::File(keys), &["t", "live-*"]),
            issuer("s", KeySource::Secret(secret), &["*"]),
        ];
        let clock = ManualClock::new(Timestamp::from_second(NOW).expect("a time"));
        let tokens = Tokens::open(&config, Arc::new(clock)).expect("keys that can be read");
        Self {
            edwards,
            curve: curve.expect("a key"),
            gate: Gate::new(Arc::new(NoKeys), tokens),
        }
    }

    fn sign(&self, key: u8, message: &[u8]) -> Vec<u8> {
        let mac = |secret| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message)
                .as_ref()
                .to_vec()
        };
        match key % 4 {
            0 => self.edwards.sign(message).as_ref().to_vec(),
            1 => self
                .curve
                .sign(&SystemRandom::new(), message)
                .expect("signed")
                .as_ref()
                .to_vec(),
            2 => mac(SECRET),
            _ => mac(OTHER_SECRET),
        }
    }

    /// Fails unless the key that this issuer has under this name signed it, by the algorithm that the key is for.
    fn verify(&self, iss: &str, header: &Value, message: &[u8], signature: &[u8]) {
        let mac = |secret| {
            hmac::verify(
                &hmac::Key::new(hmac::HMAC_SHA256, secret),
                message,
                signature,
            )
            .is_ok()
        };
        let is_signed = match (iss, header["kid"].as_str(), header["alg"].as_str()) {
            ("i", Some("ed"), Some("EdDSA")) => {
                UnparsedPublicKey::new(&ED25519, self.edwards.public_key())
                    .verify(message, signature)
                    .is_ok()
            }
            ("i", Some("ec"), Some("ES256")) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.curve.public_key())
                    .verify(message, signature)
                    .is_ok()
            }
            ("i", Some("hs"), Some("HS256")) => mac(SECRET),
            ("s", _, Some("HS256")) => mac(OTHER_SECRET),
            other => panic!("accepted by no key: {other:?}"),
        };
        assert!(is_signed);
    }
}

fn issuer(name: &str, keys: KeySource, topics: &[&str]) -> IssuerConfig {
    IssuerConfig {
        issuer: name.to_owned(),
        audience: "a".to_owned(),
        keys,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        topics_claim: "topics".to_owned(),
    }
}

/// 2,048 bits that are the product of nobody's primes: no token can be signed for it.
fn modulus() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..8_u8)
        .flat_map(|part| digest::digest(&digest::SHA256, &[part]).as_ref().to_vec())
        .collect();
    bytes[0] |= 0x80;
    bytes[255] |= 1;
    bytes
}
