//! Key sets (RFC 7517): which keys of a set are for us, each with the one algorithm that it is for. Pure.
//!
//! A set is refused whole where it shows carelessness (a private key, a name that is there twice, a secret from the
//! network); keys for other uses or of other kinds are left out.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::Value;

use super::KID_BYTES_MAX;

/// Longest key set, in bytes.
pub(super) const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Most keys of a set.
const KEYS_MAX: usize = 32;
/// Shortest and longest secret of HS256, in bytes: as many as the hash has (RFC 7518, section 3.2).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1_024;
/// Fewest different bytes of a secret: random ones have far more.
const SECRET_DIFFERENT_MIN: usize = 8;
/// Lengths of an RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// What secrets have in them that were copied from a page, or left as they were shipped.
const SAMPLES: [&str; 11] = [
    "your-256-bit-secret",
    "your-secret",
    "your_secret",
    "a-string-secret-at-least-256-bits-long",
    "changeme",
    "change-me",
    "change_me",
    "supersecret",
    "example",
    "placeholder",
    // RFC 7515, appendix A.1.
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ",
];

/// A key, for one algorithm.
#[derive(Debug)]
pub(super) struct VerifyKey {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// Where a key set came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file of the operator's, which may have secrets in it.
    File,
    /// The network, which may not.
    Network,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// What we know of a key. What else it says of itself (`x5c`, `x5u` …) is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
}

/// The keys of a set that tokens can be signed with.
///
/// # Errors
/// A reason for people, where the set is refused, or has none.
pub(super) fn parse(bytes: &[u8], origin: Origin) -> Result<Vec<Arc<VerifyKey>>, String> {
    let set: KeySet =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no JWK set: {error}"))?;
    if set.keys.len() > KEYS_MAX {
        let len = set.keys.len();
        return Err(format!("it has {len} keys, the limit is {KEYS_MAX}"));
    }
    let mut keys: Vec<Arc<VerifyKey>> = Vec::new();
    for (index, value) in set.keys.into_iter().enumerate() {
        let number = index + 1;
        if value.get("d").is_some() {
            return Err(format!(
                "key {number} is a private key, which nobody else should have"
            ));
        }
        let jwk: Jwk = serde_json::from_value(value)
            .map_err(|error| format!("key {number} can't be read: {error}"))?;
        let wrong = |reason: String| format!("key {number} {reason}");
        let Some(key) = verify_key(&jwk, origin).map_err(wrong)? else {
            continue;
        };
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(format!(
                "key {number} has the kid of another one, or none as another one"
            ));
        }
        keys.push(Arc::new(key));
    }
    if keys.is_empty() {
        return Err("it has no key for signatures by EdDSA, ES256, RS256 or HS256".to_owned());
    }
    Ok(keys)
}

/// The key of a secret.
///
/// # Errors
/// Why it is none.
pub(super) fn secret(bytes: &[u8]) -> Result<VerifyKey, String> {
    check_secret(bytes)?;
    Ok(VerifyKey {
        kid: None,
        algorithm: Algorithm::HS256,
        key: DecodingKey::from_secret(bytes),
    })
}

/// None for a key that is for something else.
fn verify_key(jwk: &Jwk, origin: Origin) -> Result<Option<VerifyKey>, String> {
    let for_signatures = jwk
        .used_for
        .as_deref()
        .is_none_or(|used_for| used_for == "sig")
        && jwk
            .key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    let Some(algorithm) = algorithm_of(jwk).filter(|_| for_signatures) else {
        return Ok(None);
    };
    if jwk
        .kid
        .as_ref()
        .is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX)
    {
        return Err(format!(
            "has a kid that is empty, or has more than {KID_BYTES_MAX} bytes"
        ));
    }
    let key = match algorithm {
        Algorithm::EdDSA => ed25519(jwk)?,
        Algorithm::ES256 => p256(jwk)?,
        Algorithm::RS256 => rsa(jwk)?,
        _ if origin == Origin::Network => {
            return Err("is a secret, and everybody can read it there".to_owned());
        }
        _ => octets(jwk)?,
    };
    Ok(Some(VerifyKey {
        kid: jwk.kid.clone(),
        algorithm,
        key,
    }))
}

/// The one algorithm that a key of this kind is for, where it is one of ours; `alg` can't make it another.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let (algorithm, names): (_, &[&str]) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, &["EdDSA", "Ed25519"]),
        ("EC", Some("P-256")) => (Algorithm::ES256, &["ES256"]),
        ("RSA", _) => (Algorithm::RS256, &["RS256"]),
        ("oct", _) => (Algorithm::HS256, &["HS256"]),
        _ => return None,
    };
    let named = |alg: &str| names.contains(&alg);
    jwk.alg.as_deref().is_none_or(named).then_some(algorithm)
}

fn ed25519(jwk: &Jwk) -> Result<DecodingKey, String> {
    let key = DecodingKey::from_ed_components(needed(&jwk.x, "x")?).map_err(|_| garbled("x"))?;
    of_len(key, 32)
}

fn p256(jwk: &Jwk) -> Result<DecodingKey, String> {
    let (x, y) = (needed(&jwk.x, "x")?, needed(&jwk.y, "y")?);
    // 32 bytes each are 43 characters: one that is too long must not be made up for by the other.
    if x.len() != 43 || y.len() != 43 {
        return Err("has coordinates of another length than 32 bytes".to_owned());
    }
    let key = DecodingKey::from_ec_components(x, y).map_err(|_| garbled("x or y"))?;
    of_len(key, 65)
}

fn rsa(jwk: &Jwk) -> Result<DecodingKey, String> {
    let (n, e) = (needed(&jwk.n, "n")?, needed(&jwk.e, "e")?);
    let key = DecodingKey::from_rsa_components(n, e).map_err(|_| garbled("n or e"))?;
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
        return Err("is no RSA key".to_owned());
    };
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    let bits = n.get(zeros).map_or(0, |first| {
        (n.len() - zeros) * 8 - first.leading_zeros() as usize
    });
    if !RSA_BITS.contains(&bits) {
        let (min, max) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(format!(
            "has a modulus of {bits} bits; it can have {min} to {max}"
        ));
    }
    let exponent = e
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if e.len() > 4 || exponent < 65_537 || exponent.is_multiple_of(2) {
        return Err("has an exponent that is even, or not from 65537 to 2^32".to_owned());
    }
    Ok(key)
}

fn octets(jwk: &Jwk) -> Result<DecodingKey, String> {
    let k = needed(&jwk.k, "k")?;
    if k.contains(SAMPLES[SAMPLES.len() - 1]) {
        return Err("is a sample that everybody knows".to_owned());
    }
    let parameters = jsonwebtoken::jwk::OctetKeyParameters {
        key_type: jsonwebtoken::jwk::OctetKeyType::Octet,
        value: k.to_owned(),
    };
    let key = DecodingKey::from_jwk(&jsonwebtoken::jwk::Jwk {
        common: jsonwebtoken::jwk::CommonParameters::default(),
        algorithm: jsonwebtoken::jwk::AlgorithmParameters::OctetKey(parameters),
    })
    .map_err(|_| garbled("k"))?;
    check_secret(key.try_get_as_bytes().unwrap_or_default())?;
    Ok(key)
}

/// Whether a secret can be one.
fn check_secret(bytes: &[u8]) -> Result<(), String> {
    let (min, max) = (SECRET_BYTES.start(), SECRET_BYTES.end());
    if !SECRET_BYTES.contains(&bytes.len()) {
        let len = bytes.len();
        return Err(format!(
            "has a secret of {len} bytes; HS256 takes {min} to {max}, at random (openssl rand -hex 32)"
        ));
    }
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    if SAMPLES
        .iter()
        .any(|sample| text.contains(&sample.to_lowercase()))
    {
        return Err("has a sample for a secret, which everybody knows".to_owned());
    }
    let mut seen = [false; 256];
    bytes
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    if different < SECRET_DIFFERENT_MIN {
        return Err(format!(
            "has a secret of {different} different bytes, which can be guessed: take random ones (openssl rand -hex 32)"
        ));
    }
    Ok(())
}

fn of_len(key: DecodingKey, len: usize) -> Result<DecodingKey, String> {
    match key.try_get_as_bytes() {
        Ok(bytes) if bytes.len() == len => Ok(key),
        _ => Err("has coordinates of another length than 32 bytes".to_owned()),
    }
}

fn needed<'a>(member: &'a Option<String>, name: &str) -> Result<&'a str, String> {
    member.as_deref().ok_or_else(|| format!("has no {name}"))
}

fn garbled(name: &str) -> String {
    format!("has something else than base64url in {name}")
}
