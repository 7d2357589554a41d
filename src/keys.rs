//! Keys: who may publish and who may read what. A key is `tb_<id>_<secret>`; only its SHA-256 is kept.
//!
//! What a key may do is a [`Grant`]: a role on the topics that its globs match. Deny is the default. [`KeyFile`] keeps
//! the keys beside the log, in a file of their own; [`KeyRing`] answers from memory and follows that file, so a command
//! on the same folder takes effect while the server runs. Knows no HTTP: who asks brings the token.

mod file;
mod ring;
mod rules;
mod token;

use std::sync::Arc;

use wildmatch::WildMatch;

pub use file::{KEYS_FILE, KEYS_MAX, KeyError, KeyFile, KeyRecord, SharedKey};
pub use ring::KeyRing;
pub use rules::{GLOB_BYTES_MAX, GLOBS_MAX, NAME_BYTES_MAX};
pub use token::Token;

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

/// What a key may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Id of the key: for logs and the audit trail.
    pub id: Arc<str>,
    /// What it is for.
    pub role: Role,
    topics: Vec<WildMatch>,
}

/// Who can tell what a token may do.
pub trait Keys: Send + Sync + 'static {
    /// The grant of a token; none for one that is unknown or revoked.
    ///
    /// Quick: answered from memory. An implementation may look at its medium for an id that it has not seen, but only a
    /// few times a second for all callers together.
    fn authenticate(&self, token: &str) -> Option<Arc<Grant>>;

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
        }
    }

    /// The globs of its topics, as the key was made with.
    pub fn globs(&self) -> impl Iterator<Item = String> {
        self.topics.iter().map(WildMatch::pattern)
    }

    /// Whether it has the right on this topic.
    pub fn may(&self, right: Right, topic: &TopicName) -> bool {
        self.role.has(right) && self.topics.iter().any(|glob| glob.matches(topic.as_str()))
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
}
