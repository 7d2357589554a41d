//! Reader tokens: JSON Web Tokens (RFC 7519) of issuers that the configuration names, and the tickets that stand for
//! them in URLs.
//!
//! A token is believed in this order: its form, its issuer, the key that its `kid` names there, the algorithm that this
//! key is for, the signature, and then its claims, each of its type. What its header says about where keys could be had
//! is never looked at. [`Gate`] puts tokens beside the broker's own keys. Knows no HTTP: who asks brings the text.

mod claims;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod issuer;
mod jwks;
mod revoked;
mod tickets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::Deserialize;

use self::claims::Claims;
use self::issuer::Issuer;
use self::revoked::Revocations;
use crate::clock::Clock;
use crate::config::TokensConfig;
use crate::keys::{Denied, Grant, Keys, Role, TokenClaims, TokenHash};

pub use claims::REGISTERED as REGISTERED_CLAIMS;
pub use tickets::{TICKET_FOR, TicketError, Tickets};

/// Longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// Longest name of a key, in bytes.
const KID_BYTES_MAX: usize = 128;
/// What keys of this broker begin with, and no reader token does: that would be no JSON behind its base64.
const KEY_PREFIX: &str = "tb_";
/// The id of a grant out of a token. It is in no audit trail: tokens only read.
const GRANT_ID: &str = "token";

/// The issuers, with their keys, and what was revoked.
pub struct Tokens {
    issuers: Vec<Arc<Issuer>>,
    revocations: Option<Revocations>,
    times: Times,
    clock: Arc<dyn Clock>,
}

/// How a token's times are judged.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// How far clocks may be apart.
    leeway: Duration,
    /// How far ahead a token's end may be.
    lifetime_max: Duration,
}

/// Keys of this broker and tokens of others, behind one face.
pub struct Gate {
    keys: Arc<dyn Keys>,
    tokens: Arc<Tokens>,
}

/// Why tokens can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// A file with keys, a secret or revocations.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What fetches keys.
    #[error("keys of issuers can't be fetched: {0}")]
    Fetching(reqwest::Error),
}

/// What is read before anything is known to be true.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

impl Tokens {
    /// Reads the files that the configuration names. Keys behind a URL come once [`Tokens::run`] runs.
    ///
    /// # Errors
    /// [`TokensError`].
    pub fn open(config: &TokensConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, TokensError> {
        let client = fetch::client(config.jwks_timeout).map_err(TokensError::Fetching)?;
        let issuers = config.issuers.iter().map(|issuer| {
            let issuer = Issuer::open(issuer, config, client.clone())?;
            Ok(Arc::new(issuer))
        });
        Ok(Arc::new(Self {
            issuers: issuers.collect::<Result<_, TokensError>>()?,
            revocations: config
                .revocations
                .as_deref()
                .map(Revocations::open)
                .transpose()?,
            times: Times {
                leeway: config.leeway,
                lifetime_max: config.lifetime_max,
            },
            clock,
        }))
    }

    /// Fetches keys and follows files. Never ends.
    ///
    /// # Cancel safety
    /// Dropping it stops the following.
    pub async fn run(self: Arc<Self>) {
        let keys = self.issuers.iter().map(|issuer| issuer.follow());
        let revocations = async {
            match &self.revocations {
                Some(revocations) => revocations.follow().await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(futures_util::future::join_all(keys), revocations);
    }

    /// The grant of a token.
    ///
    /// # Errors
    /// [`Denied`].
    fn judge(&self, token: &str) -> Result<Arc<Grant>, Denied> {
        let Some((message, _)) = token.rsplit_once('.') else {
            return Err(Denied::Unknown);
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::Token("it has more than 4096 bytes"));
        }
        let header = decode_header(token)
            .map_err(|_| Denied::Token("its header can't be read, or has no algorithm of ours"))?;
        check_header(&header)?;
        let claimed: Claimed = insecure_decode_claims(token)
            .map_err(|_| Denied::Token("its claims can't be read, or have no iss"))?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| *issuer.name == *claimed.iss)
            .ok_or(Denied::Token("its issuer is not one of ours"))?;
        let key = issuer.key(header.kid.as_deref())?;
        if key.algorithm != header.alg {
            return Err(Denied::Token("its algorithm is not the one of its key"));
        }
        let claims = decode::<Claims>(token, &key.key, &validation(key.algorithm))
            .map_err(|error| match error.kind() {
                ErrorKind::Json(_) => {
                    Denied::Token("a claim is missing, there twice, or of another type")
                }
                _ => Denied::Token("its signature is wrong"),
            })?
            .claims;
        let judged = claims.judge(&issuer.expects(), self.times, self.clock.now())?;
        let grant = Grant::new(GRANT_ID, Role::Reader, &judged.topics)
            .within(&issuer.topics)
            .of_token(TokenClaims {
                issuer: Arc::clone(&issuer.name),
                kid: header.kid,
                sub: judged.sub,
                jti: judged.jti,
                ends_at: judged.ends_at,
                digest: TokenHash::of(message),
            });
        if grant.token().is_some_and(|token| self.is_revoked(token)) {
            return Err(Denied::Token("it was revoked"));
        }
        Ok(Arc::new(grant))
    }

    fn is_revoked(&self, token: &TokenClaims) -> bool {
        self.revocations
            .as_ref()
            .is_some_and(|revocations| revocations.has(token))
    }

    /// Whether a grant out of a token still holds: it has not ended, was not revoked, and its key is still its issuer's.
    fn stands(&self, token: &TokenClaims) -> bool {
        let has_key = |issuer: &Arc<Issuer>| {
            issuer.name == token.issuer && issuer.has_key(token.kid.as_deref())
        };
        self.clock.now() < token.ends_at
            && !self.is_revoked(token)
            && self.issuers.iter().any(has_key)
    }
}

impl Gate {
    /// Both of them.
    pub fn new(keys: Arc<dyn Keys>, tokens: Arc<Tokens>) -> Self {
        Self { keys, tokens }
    }
}

impl Keys for Gate {
    fn authenticate(&self, token: &str) -> Result<Arc<Grant>, Denied> {
        if token.starts_with(KEY_PREFIX) {
            self.keys.authenticate(token)
        } else {
            self.tokens.judge(token)
        }
    }

    fn stands(&self, grant: &Grant) -> bool {
        match grant.token() {
            Some(token) => self.tokens.stands(token),
            None => self.keys.stands(grant),
        }
    }
}

/// What a header may say. Where it says that keys could be had (`jku`, `jwk`, `x5u`, `x5c`) nobody looks.
fn check_header(header: &Header) -> Result<(), Denied> {
    if header.crit.is_some() {
        return Err(Denied::Token(
            "its header has crit, and no extension is understood",
        ));
    }
    let typed = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        matches!(
            typ.strip_prefix("application/").unwrap_or(&typ),
            "jwt" | "at+jwt"
        )
    };
    if !header.typ.as_deref().is_none_or(typed) {
        return Err(Denied::Token("its typ is not JWT or at+jwt"));
    }
    if header
        .kid
        .as_ref()
        .is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX)
    {
        return Err(Denied::Token("its kid is empty or has more than 128 bytes"));
    }
    Ok(())
}

/// The signature alone, by this algorithm alone: the claims are judged by their types, and by a clock that tests can set.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests;
