//! Issuers of reader tokens: their keys, their key sets, and tokens that are good or that nobody should sign.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, RsaKeySize};
use serde_json::{Value, json};
use tenbells::config::{Config, IssuerConfig, KeySource};

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "tenbells";
/// What comes before the PKCS #1 form of a key of 2,048 bits in its PKCS #8 form, in bytes.
const PKCS8_HEAD: usize = 26;

/// A key that signs.
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    pub fn new(kid: &str, algorithm: Algorithm) -> Self {
        let mut edwards_point = None;
        let key = match algorithm {
            Algorithm::EdDSA => {
                let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
                edwards_point = Some(base64(pair.public_key_raw()));
                EncodingKey::from_ed_der(&pair.serialize_der())
            }
            Algorithm::ES256 => {
                let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
                EncodingKey::from_ec_der(&pair.serialize_der())
            }
            Algorithm::RS256 => {
                let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048);
                let der = pair.expect("a key").serialize_der();
                EncodingKey::from_rsa_der(&der[PKCS8_HEAD..])
            }
            Algorithm::HS256 => EncodingKey::from_secret(&random()),
            other => panic!("nobody uses {other:?}"),
        };
        let mut jwk = match edwards_point {
            Some(x) => json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}),
            None => {
                let jwk = Jwk::from_encoding_key(&key, algorithm).expect("a key set");
                serde_json::to_value(jwk).expect("JSON")
            }
        };
        jwk["kid"] = kid.into();
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
            jwk,
        }
    }

    /// Its public part; the secret of HS256.
    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.kid})
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header().to_string(), &claims.to_string())
    }

    /// A token of just these words, signed.
    pub fn sign_as(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        format!("{message}.{}", signature.expect("a signature"))
    }

    /// A good token for these topics.
    pub fn good(&self, topics: &[&str]) -> String {
        self.sign(&claims(topics))
    }
}

/// Claims that are good for ten minutes.
pub fn claims(topics: &[&str]) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "exp": now_s() + 600, "topics": topics, "sub": "ada", "jti": "t1"})
}

pub fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

pub fn base64(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// 32 random bytes.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    bytes
}

/// A key set in a file.
pub fn write_jwks(folder: &Path, keys: &[Value]) -> PathBuf {
    let path = folder.join("jwks.json");
    std::fs::write(&path, json!({ "keys": keys }).to_string()).expect("is written");
    path
}

/// Has a server believe tokens with these keys, on every topic.
pub fn believe(config: &mut Config, keys: KeySource) {
    config.tokens.issuers.push(IssuerConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys,
        topics: vec!["*".to_owned()],
        topics_claim: "topics".to_owned(),
    });
}

/// A host that gives out a key set over plain HTTP on loopback, and counts who asks.
pub struct KeyHost {
    pub url: String,
    pub asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
}

impl KeyHost {
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(Mutex::new(String::new()));
        let (counter, current) = (Arc::clone(&asked), Arc::clone(&answer));
        // Ends with the process: a test has nothing to wait for.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut head = [0; 4_096];
                let _ = stream.read(&mut head);
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = current.lock().expect("an answer").clone();
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let host = Self { url, asked, answer };
        host.answer_keys(keys);
        host
    }

    /// Answers with these keys from now on.
    pub fn answer_keys(&self, keys: &[Value]) {
        self.answer_with("200 OK", "", &json!({ "keys": keys }).to_string());
    }

    /// Answers with something of one's own from now on.
    pub fn answer_with(&self, status: &str, fields: &str, body: &str) {
        let len = body.len();
        *self.answer.lock().expect("an answer") = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{fields}Content-Length: {len}\r\n\r\n{body}"
        );
    }
}
