//! Keys: who may publish and who may read what. A key is `tb_<id>_<secret>`; only its SHA-256 is kept.
//!
//! What a key may do is a [`Grant`]: a role on the topics that its globs match. Deny is the default. [`KeyFile`] keeps
//! the keys beside the log, in a file of their own; [`KeyRing`] answers from memory and follows that file, so a command
//! on the same folder takes effect while the server runs. Knows no HTTP: who asks brings the token. Tokens of other
//! issuers are the business of [`crate::tokens`].

mod file;
mod ring;
mod rules;
mod token;

use std::sync::Arc;

use jiff::Timestamp;
use wildmatch::WildMatch;

pub use file::{KEYS_FILE, KEYS_MAX, KeyError, KeyFile, KeyRecord, SharedKey};
pub use ring::KeyRing;
pub use rules::{GLOB_BYTES_MAX, GLOBS_MAX, NAME_BYTES_MAX, is_glob};
pub use token::Token;
pub(crate) use token::{TokenHash, push_secret};

use crate::model::TopicName;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads private topics.
    Reader,
    /// Publishes, revises, retracts, ends.
    Publisher,
    /// All of that, and sees what is held, and the audit trail.
    Desk,
    /// Everything on its topics.
    Admin,
}

/// What somebody wants to do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Read it where it is private.
    Read,
    /// Write it.
    Publish,
    /// See embargoed entries and the audit trail.
    Inspect,
}

/// What a key, or a reader token, may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Id of the key: for logs and the audit trail.
    pub id: Arc<str>,
    /// What it is for.
    pub role: Role,
    topics: Vec<WildMatch>,
    /// Each is a list of globs of which one has to match as well.
    fences: Vec<Vec<WildMatch>>,
    /// The reader token that it is out of, where it is out of one.
    token: Option<Arc<TokenClaims>>,
}

/// What a reader token says of itself, and the grant has to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who issued it.
    pub issuer: Arc<str>,
    /// The key that signed it, by its name.
    pub kid: Option<String>,
    /// Whom it is about.
    pub sub: Option<String>,
    /// Its own name.
    pub jti: Option<String>,
    /// From when on it is not good any more: the leeway is counted in.
    pub ends_at: Timestamp,
    /// Of what was signed: tells one token from another.
    pub(crate) digest: TokenHash,
}

/// Why a token gives no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A key that is not known, or something that is none.
    #[error("the key is not known, or it was revoked")]
    Unknown,
    /// A reader token that is not good, and why.
    #[error("the token is not good: {0}")]
    Token(&'static str),
    /// It can't be told yet.
    #[error("the keys of the token's issuer are being fetched: show it again in a moment")]
    NotNow,
}

/// Who can tell what a token may do.
pub trait Keys: Send + Sync + 'static {
    /// The grant of a token.
    ///
    /// Quick: answered from memory. An implementation may look at its medium for an id that it has not seen, but only a
    /// few times a second for all callers together.
    ///
    /// # Errors
    /// [`Denied`] for one that is unknown, revoked, or not good any more.
    fn authenticate(&self, token: &str) -> Result<Arc<Grant>, Denied>;

    /// Whether a grant that was given before still stands.
    fn stands(&self, grant: &Grant) -> bool;
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Publisher, Self::Desk, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Publisher => "publisher",
            Self::Desk => "desk",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether the role has the right on its topics.
    pub fn has(self, right: Right) -> bool {
        match right {
            Right::Read => true,
            Right::Publish => self >= Self::Publisher,
            Right::Inspect => self >= Self::Desk,
        }
    }
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 3] = [Self::Read, Self::Publish, Self::Inspect];

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Inspect => "inspect",
        }
    }
}

impl Grant {
    /// The grant of the key `id`: `role` on the topics that one of the globs (`*` and `?`) matches.
    pub fn new(id: impl Into<Arc<str>>, role: Role, topics: &[impl AsRef<str>]) -> Self {
        Self {
            id: id.into(),
            role,
            topics: topics
                .iter()
                .map(|glob| WildMatch::new(glob.as_ref()))
                .collect(),
            fences: Vec::new(),
            token: None,
        }
    }

    /// The same on no more topics than one of these globs matches.
    #[must_use]
    pub fn within(mut self, globs: &[impl AsRef<str>]) -> Self {
        let fence = globs.iter().map(|glob| WildMatch::new(glob.as_ref()));
        self.fences.push(fence.collect());
        self
    }

    /// The same, out of a reader token.
    #[must_use]
    pub fn of_token(mut self, claims: TokenClaims) -> Self {
        self.token = Some(Arc::new(claims));
        self
    }

    /// The same for a reader, which ends with this one.
    #[must_use]
    pub fn for_reader(&self) -> Self {
        Self {
            role: Role::Reader,
            ..self.clone()
        }
    }

    /// The reader token that it is out of, where it is out of one.
    pub fn token(&self) -> Option<&Arc<TokenClaims>> {
        self.token.as_ref()
    }

    /// The globs of its topics, as the key was made with.
    pub fn globs(&self) -> impl Iterator<Item = String> {
        self.topics.iter().map(WildMatch::pattern)
    }

    /// Whether it has the right on this topic.
    pub fn may(&self, right: Right, topic: &TopicName) -> bool {
        let one_of = |globs: &[WildMatch]| globs.iter().any(|glob| glob.matches(topic.as_str()));
        self.role.has(right)
            && one_of(&self.topics)
            && self.fences.iter().all(|fence| one_of(fence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> TopicName {
        TopicName::parse(name).expect("a topic name")
    }

    #[test]
    fn a_role_has_the_rights_below_it_and_no_more() {
        let rights =
            |role: Role| [Right::Read, Right::Publish, Right::Inspect].map(|right| role.has(right));
        assert_eq!(rights(Role::Reader), [true, false, false]);
        assert_eq!(rights(Role::Publisher), [true, true, false]);
        assert_eq!(rights(Role::Desk), [true, true, true]);
        assert_eq!(rights(Role::Admin), [true, true, true]);
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_name("Desk"), None);
    }

    #[test]
    fn a_grant_is_good_for_the_topics_its_globs_match_whole() {
        let grant = Grant::new("a1b2c3d4", Role::Publisher, &["sport-*", "final-202?"]);
        for good in ["sport-", "sport-tennis", "final-2026"] {
            assert!(grant.may(Right::Publish, &topic(good)), "{good}");
        }
        for bad in ["sport", "a-sport-x", "final-202", "final-20266", "news"] {
            assert!(!grant.may(Right::Publish, &topic(bad)), "{bad}");
        }
        assert!(!grant.may(Right::Inspect, &topic("sport-tennis")));
        assert!(!Grant::new("x", Role::Admin, &[] as &[&str]).may(Right::Read, &topic("a")));
        assert!(Grant::new("x", Role::Admin, &["*"]).may(Right::Inspect, &topic("a")));
    }

    #[test]
    fn fences_take_away_and_never_give() {
        let grant = Grant::new("x", Role::Reader, &["sport-*", "news"]).within(&["*-tennis", "a"]);
        assert!(grant.may(Right::Read, &topic("sport-tennis")));
        for bad in ["sport-golf", "news", "a", "b-tennis"] {
            assert!(!grant.may(Right::Read, &topic(bad)), "{bad}");
        }
        assert!(
            !grant
                .within(&["sport-golf"])
                .may(Right::Read, &topic("sport-tennis"))
        );
        let admin = Grant::new("x", Role::Admin, &["*"]);
        let reader = admin.for_reader().within(&["t"]);
        assert!(reader.may(Right::Read, &topic("t")));
        assert!(!reader.may(Right::Publish, &topic("t")));
        assert_eq!(reader.id, admin.id);
    }
}
