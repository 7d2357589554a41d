//! Keys: who may publish and who may read what. A key is `tb_<id>_<secret>`; only its SHA-256 is kept.
//!
//! What a key may do is a [`Grant`]: a role on the topics that its globs match. Deny is the default.

use std::sync::Arc;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Id of the key: for logs and the audit trail.
    pub id: Arc<str>,
    /// What it is for.
    pub role: Role,
    /// Globs (`*` and `?`) of the topics it is good for.
    pub topics: Vec<String>,
}

/// Who can tell what a token may do.
pub trait Keys: Send + Sync + 'static {
    /// The grant of a token; none for one that is unknown or revoked. Quick, never blocks on a disk.
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

impl Grant {
    /// Whether it has the right on this topic.
    pub fn may(&self, right: Right, topic: &TopicName) -> bool {
        self.role.has(right)
            && self
                .topics
                .iter()
                .any(|glob| wildmatch::WildMatch::new(glob).matches(topic.as_str()))
    }
}
