//! Names that travel in URLs: the topic's slug and the entry's id.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::{ENTRY_ID_BYTES_MAX, TOPIC_NAME_BYTES_MAX};

/// The slug of a topic: `[a-z0-9][a-z0-9-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(Arc<str>);

/// The id of an entry: `[A-Za-z0-9][A-Za-z0-9._~-]{0,127}`; a ULID where the server made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(Arc<str>);

/// A topic name or entry id outside its rule; the text says which and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(String);

impl TopicName {
    /// Checks `text` against the rule.
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty, too long, or has another character than `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        check(
            "topic name",
            text,
            TOPIC_NAME_BYTES_MAX,
            allowed,
            "a-z, 0-9 and -",
        )?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EntryId {
    /// Checks `text` against the rule.
    ///
    /// # Errors
    /// [`InvalidName`] when it is empty, too long, or has another character than letters, digits and `._~-`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
        check(
            "entry id",
            text,
            ENTRY_ID_BYTES_MAX,
            allowed,
            "letters, digits and . _ ~ -",
        )?;
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(
    what: &str,
    text: &str,
    max: usize,
    allowed: fn(u8) -> bool,
    legend: &str,
) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName(format!("{what} is empty")));
    }
    if text.len() > max {
        return Err(InvalidName(format!(
            "{what} has {} bytes, the limit is {max}",
            text.len()
        )));
    }
    if !text.as_bytes()[0].is_ascii_alphanumeric() || !text.bytes().all(allowed) {
        return Err(InvalidName(format!(
            "{what} may have {legend}, and starts with a letter or digit"
        )));
    }
    Ok(())
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TopicName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for EntryId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.as_str().to_owned()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_the_slug_rule() {
        for good in ["a", "0", "war-2026", &"a".repeat(128)] {
            assert!(TopicName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a/b",
            "a b",
            &"a".repeat(129),
        ] {
            assert!(TopicName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_error_names_the_limit() {
        let error = TopicName::parse(&"a".repeat(300)).expect_err("too long");
        assert_eq!(
            error.to_string(),
            "topic name has 300 bytes, the limit is 128"
        );
    }

    #[test]
    fn entry_ids_can_not_break_a_path_or_a_line() {
        assert!(EntryId::parse("01J9Z3-x.y_z~").is_ok());
        for bad in ["", ".a", "a/b", "a\nb", "a b", "é", "a:b"] {
            assert!(EntryId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
