//! Where a reader stands in a topic: epoch and offset, and the text form that travels in URLs and SSE ids.
//!
//! An offset alone is a number; only with the epoch of the numbering it belongs to does it say where to go on.
//! Example: `k3v9q2-42` is the 42nd change of the numbering `k3v9q2`; `k3v9q2-0` is before the first change.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Number of a change in its topic: 1, 2, 3 … without holes. 0 is before the first change.
pub type Offset = u64;

/// Identity of one numbering of a topic: a short random string, made when the numbering begins.
///
/// It changes only when offsets could come to mean something else, as after a restore from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(Arc<str>);

/// Epoch and offset: names one change of one topic for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    /// The numbering.
    pub epoch: Epoch,
    /// The number in it.
    pub offset: Offset,
}

/// Where a reader asks to go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// From the head on: only what comes next.
    Head,
    /// From the beginning: the text form is `start`.
    Start,
    /// From behind this position.
    Position(Position),
}

/// Text that is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a position is EPOCH-OFFSET, such as k3v9q2-42, or the word start")]
pub struct InvalidPosition;

const EPOCH_BYTES_MAX: usize = 16;

impl Epoch {
    /// An epoch from 4 random bytes' worth of `seed`: 6 characters of `a-z` and `0-9`.
    pub fn from_seed(seed: u64) -> Self {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut rest = seed;
        let text: String = (0..6)
            .map(|_| {
                let index = usize::try_from(rest % 36).unwrap_or(0);
                rest /= 36;
                char::from(ALPHABET[index])
            })
            .collect();
        Self(text.into())
    }

    /// Checks `text`: 1 to 16 of `a-z` and `0-9`.
    ///
    /// # Errors
    /// [`InvalidPosition`] otherwise.
    pub fn parse(text: &str) -> Result<Self, InvalidPosition> {
        let ok = !text.is_empty()
            && text.len() <= EPOCH_BYTES_MAX
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPosition)
        }
    }

    /// The epoch as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The position of `offset` in this numbering.
    pub fn at(&self, offset: Offset) -> Position {
        Position {
            epoch: self.clone(),
            offset,
        }
    }
}

impl TryFrom<String> for Epoch {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, InvalidPosition> {
        Self::parse(&text)
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.0.as_ref().to_owned()
    }
}

impl Position {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`InvalidPosition`] when it isn't `EPOCH-OFFSET` with an offset in canonical decimal.
    pub fn parse(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, offset) = text.split_once('-').ok_or(InvalidPosition)?;
        let canonical = offset == "0"
            || (!offset.starts_with('0') && offset.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return Err(InvalidPosition);
        }
        Ok(Self {
            epoch: Epoch::parse(epoch)?,
            offset: offset.parse().map_err(|_| InvalidPosition)?,
        })
    }
}

impl After {
    /// Reads `start` or a position.
    ///
    /// # Errors
    /// [`InvalidPosition`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidPosition> {
        if text == "start" {
            Ok(Self::Start)
        } else {
            Position::parse(text).map(Self::Position)
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, InvalidPosition> {
        Self::parse(&text)
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        for good in ["k3v9q2-42", "k3v9q2-0", "a-18446744073709551615"] {
            assert_eq!(Position::parse(good).expect(good).to_string(), good);
        }
        for bad in [
            "",
            "-",
            "k3",
            "k3-",
            "-4",
            "K3-4",
            "k3-04",
            "k3-+4",
            "k3--4",
            "k3-4 ",
            "k3-18446744073709551616",
        ] {
            assert!(Position::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_seed_gives_an_epoch_that_parses(seed: u64, offset: u64) {
            let position = Epoch::from_seed(seed).at(offset);
            prop_assert_eq!(Position::parse(&position.to_string()), Ok(position));
        }

        #[test]
        fn arbitrary_text_never_panics_and_round_trips(text in "\\PC{0,40}") {
            if let Ok(position) = Position::parse(&text) {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }
}
