//! The token that a publisher or reader shows: `tb_<id>_<secret>`.
//!
//! The id is no secret: it is how a key is found, listed, revoked and named in the audit trail. The secret has as many
//! bits as 32 random bytes, so a plain SHA-256 of the whole token is all that is kept: nothing can be guessed from it.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "tb_";
const ID_LEN: usize = 8;
const ID_ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// 62^43 is just above 2^256.
const SECRET_LEN: usize = 43;
const SECRET_ALPHABET: &[u8; 62] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A whole token. Debug shows its id alone, and there is no Display: a secret is only shown by [`Token::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// SHA-256 of a whole token: what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl Token {
    /// A new one from the system's randomness.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut text = PREFIX.to_owned();
        push_secret(&mut text)?;
        Ok(Self(text))
    }

    /// The token that `text` is; none where it has not the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        id_of(text).map(|_| Self(text.to_owned()))
    }

    /// The id of its key.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID_LEN]
    }

    /// The whole of it, with the secret: to hand to its owner, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}{}_…)", self.id())
    }
}

impl TokenHash {
    /// The hash of a token.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash that was kept as `bytes`; none where they are no hash.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// What to keep.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are of the same token; how long that takes tells nothing.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The id in a token; none where the text has not the form of one.
pub(super) fn id_of(token: &str) -> Option<&str> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let formed = id.len() == ID_LEN
        && secret.len() == SECRET_LEN
        && id.bytes().all(|b| ID_ALPHABET.contains(&b))
        && secret.bytes().all(|b| b.is_ascii_alphanumeric());
    formed.then_some(id)
}

/// Appends an id, `_` and a secret of as many bits as 32 random bytes.
pub(crate) fn push_secret(text: &mut String) -> Result<(), getrandom::Error> {
    text.reserve(ID_LEN + 1 + SECRET_LEN);
    push_random(text, ID_ALPHABET, ID_LEN)?;
    text.push('_');
    push_random(text, SECRET_ALPHABET, SECRET_LEN)
}

/// Appends `len` characters, each equally likely.
fn push_random(text: &mut String, alphabet: &[u8], len: usize) -> Result<(), getrandom::Error> {
    // Bytes past the last whole multiple are thrown away: with them, the first characters would come more often.
    let fair = 256 - 256 % alphabet.len();
    let end = text.len() + len;
    let mut bytes = [0; 64];
    while text.len() < end {
        getrandom::fill(&mut bytes)?;
        let wanted = end - text.len();
        let fair_bytes = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair);
        text.extend(
            fair_bytes
                .take(wanted)
                .map(|b| char::from(alphabet[b % alphabet.len()])),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_token_round_trips() {
        let token = Token::generate().expect("randomness");
        assert_eq!(token.reveal().len(), 3 + 8 + 1 + 43);
        assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
        assert_eq!(id_of(token.reveal()), Some(token.id()));
    }

    #[test]
    fn tokens_use_their_whole_alphabets_and_never_repeat() {
        let tokens: Vec<Token> = (0..500)
            .map(|_| Token::generate().expect("randomness"))
            .collect();
        let distinct: HashSet<&str> = tokens.iter().map(Token::reveal).collect();
        assert_eq!(distinct.len(), tokens.len());
        let in_ids: HashSet<u8> = tokens.iter().flat_map(|t| t.id().bytes()).collect();
        assert_eq!(in_ids.len(), ID_ALPHABET.len());
        let in_secrets: HashSet<u8> = tokens
            .iter()
            .flat_map(|t| t.reveal()[12..].bytes())
            .collect();
        assert_eq!(in_secrets.len(), SECRET_ALPHABET.len());
    }

    #[test]
    fn what_has_not_the_form_is_no_token() {
        let secret = "s".repeat(43);
        assert!(Token::parse(&format!("tb_a1b2c3d4_{secret}")).is_some());
        for bad in [
            String::new(),
            "tb_".to_owned(),
            format!("a1b2c3d4_{secret}"),
            format!("TB_a1b2c3d4_{secret}"),
            format!("tb_a1b2c3d_{secret}"),
            format!("tb_A1b2c3d4_{secret}"),
            format!("tb_a1b2c3d4{secret}"),
            format!("tb_a1b2c3d4_{secret}s"),
            format!("tb_a1b2c3d4_{}_", "s".repeat(42)),
            format!("tb_a1b2c3d4_{}é", "s".repeat(41)),
            format!(" tb_a1b2c3d4_{secret}"),
            format!("tb_é1b2c3d_{secret}"),
        ] {
            assert!(Token::parse(&bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_the_id_and_not_the_secret() {
        let token = Token::generate().expect("randomness");
        let shown = format!("{token:?}");
        assert!(shown.contains(token.id()), "{shown}");
        assert!(!shown.contains(&token.reveal()[12..]), "{shown}");
    }

    #[test]
    fn a_hash_matches_its_own_token_alone() {
        let hash = TokenHash::of("tb_a_b");
        let kept = TokenHash::from_bytes(hash.as_bytes()).expect("32 bytes");
        assert!(kept.matches(&TokenHash::of("tb_a_b")));
        assert!(!kept.matches(&TokenHash::of("tb_a_c")));
        assert!(TokenHash::from_bytes(&[0; 31]).is_none());
    }
}
