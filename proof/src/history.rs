//! The history of a run: what publishers tried and were told, and what readers saw, as JSON lines.
//!
//! It is written by whoever drives the run (the simulation, a test on real processes, a cluster under a nemesis) and
//! read by the judge. It knows no broker: nodes, epochs and transports are names. The order of the lines is the order
//! in which the driver learned of things; `at` is the driver's one clock, in microseconds since the run began. An id of
//! an entry is used once in a history, also where the broker would allow it again.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds since the run began.
    pub at: u64,
    /// With which node, where there is more than one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum What {
    /// A publisher sends a request. A retry is another `op` with the same `value`.
    Try(Try),
    /// It was acknowledged.
    Ack {
        /// Which try.
        op: u64,
        /// Where its change stands; none for what is held, or was dropped under embargo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// It was refused in a way that says that nothing was stored.
    Refused {
        /// Which try.
        op: u64,
        /// Why.
        code: String,
    },
    /// It ended in a way that says nothing: a lost connection, `outcome_unknown`.
    Unknown {
        /// Which try.
        op: u64,
    },
    /// A reader asks to follow a topic, or asks for a page of it.
    Subscribe {
        /// Who.
        reader: String,
        /// `ws`, `sse`, `poll` …
        transport: String,
        /// What.
        topic: String,
        /// From where.
        after: After,
    },
    /// It was told from where on changes come.
    Subscribed {
        /// Who.
        reader: String,
        /// What.
        topic: String,
        /// The position; the first change is the one behind it.
        place: Place,
    },
    /// It got a change.
    Read(Read),
    /// It was told to begin anew.
    Reset {
        /// Who.
        reader: String,
        /// What.
        topic: String,
        /// From where on changes come now.
        place: Place,
        /// Why.
        reason: String,
    },
    /// Its connection ended. It may come back.
    Left {
        /// Who.
        reader: String,
    },
    /// It never comes back, and nothing is asked of it any more.
    Gone {
        /// Who.
        reader: String,
    },
    /// A snapshot that has all entries of the topic.
    Snapshot {
        /// What.
        topic: String,
        /// At which it is true.
        place: Place,
        /// When it was asked for.
        asked: u64,
        /// Its entries.
        entries: Vec<Shown>,
    },
    /// Canaries were found in what left the system.
    Seen {
        /// Where: `feed.atom`, `metrics`, `log` …
        path: String,
        /// When it was asked for.
        asked: u64,
        /// Those that were found.
        canaries: Vec<String>,
    },
    /// The topic was restored from a backup: what came after it may be gone, in a new numbering.
    Restored {
        /// What.
        topic: String,
    },
    /// A fault began or ended. For people; nothing is judged by it.
    Fault {
        /// Which.
        what: String,
    },
    /// No more faults from here on.
    Calm,
}

/// A request to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Number of the try, unique in the history.
    pub op: u64,
    /// The publisher.
    pub who: String,
    /// The topic.
    pub topic: String,
    /// What it does.
    pub act: Act,
    /// The entry; empty for a change of the topic.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// What no other write has in it. Retries of one write have the same.
    pub value: String,
    /// Under embargo until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_until: Option<u64>,
    /// Tokens in its hidden fields, by which it would be known wherever it came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<String>,
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A new entry, under embargo or not.
    Publish,
    /// A new revision.
    Revise,
    /// Takes an entry back, or drops one that is held.
    Retract,
    /// Changes the topic.
    Topic,
}

/// Epoch and offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The numbering.
    pub epoch: String,
    /// The number.
    pub offset: u64,
}

/// From where a reader asks to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// What comes next.
    Head,
    /// Everything.
    Start,
    /// Behind this position.
    Place(Place),
}

/// A change that a reader got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Who.
    pub reader: String,
    /// The topic.
    pub topic: String,
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
    /// The entry; empty for a change of the topic.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The value of its write; empty for a redaction.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `entry.published`.
    Published,
    /// `entry.revised`.
    Revised,
    /// `entry.retracted`.
    Retracted,
    /// `entry.redacted`.
    Redacted,
    /// `topic.updated`.
    Topic,
}

/// An entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which.
    pub entry: String,
    /// The value of its last write; empty for a tombstone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A line that is no event.
#[derive(Debug)]
pub struct BadLine {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of the history: {}", self.line, self.why)
    }
}

impl std::error::Error for BadLine {}

impl Place {
    /// The position of `offset` in `epoch`.
    pub fn new(epoch: impl Into<String>, offset: u64) -> Self {
        Self {
            epoch: epoch.into(),
            offset,
        }
    }

    /// Reads `EPOCH-OFFSET`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, offset) = text.rsplit_once('-')?;
        Some(Self::new(epoch, offset.parse().ok()?))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl Kind {
    /// The kind of this name on the wire.
    pub fn from_wire(name: &str) -> Option<Self> {
        Some(match name {
            "entry.published" => Self::Published,
            "entry.revised" => Self::Revised,
            "entry.retracted" => Self::Retracted,
            "entry.redacted" => Self::Redacted,
            "topic.updated" => Self::Topic,
            _ => return None,
        })
    }

    /// The act that makes a change of this kind; a redaction stands in the place of one or another.
    pub fn act(self) -> Option<Act> {
        match self {
            Self::Published => Some(Act::Publish),
            Self::Revised => Some(Act::Revise),
            Self::Retracted => Some(Act::Retract),
            Self::Topic => Some(Act::Topic),
            Self::Redacted => None,
        }
    }
}

/// Writes a history, one event a line.
///
/// # Errors
/// When `to` can't be written.
pub fn write(events: &[Event], mut to: impl Write) -> std::io::Result<()> {
    for event in events {
        serde_json::to_writer(&mut to, event)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// Reads a history.
///
/// # Errors
/// [`BadLine`] for the first line that is no event.
pub fn read(from: impl BufRead) -> Result<Vec<Event>, BadLine> {
    let mut events = Vec::new();
    for (index, line) in from.lines().enumerate() {
        let bad = |why: String| BadLine {
            line: index + 1,
            why,
        };
        let line = line.map_err(|error| bad(error.to_string()))?;
        if !line.trim().is_empty() {
            events.push(serde_json::from_str(&line).map_err(|error| bad(error.to_string()))?);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_lines_of_json_and_comes_back_as_it_was() {
        let events = crate::legal::history(7);
        let mut text = Vec::new();
        write(&events, &mut text).expect("written");
        assert_eq!(read(&text[..]).expect("read"), events);
        let first = str::from_utf8(&text).expect("UTF-8").lines().next();
        assert!(
            first.is_some_and(|line| line.starts_with(r#"{"at":"#)),
            "{first:?}"
        );
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let error = read(&b"{\"at\":1,\"ev\":\"calm\"}\n{\"at\":2}\n"[..]).expect_err("refused");
        assert_eq!(error.line, 2);
        assert!(error.to_string().starts_with("line 2"), "{error}");
    }

    #[test]
    fn places_have_a_text_form() {
        let place = Place::new("k3v9q2", 42);
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        assert_eq!(Place::parse("k3v9q2"), None);
    }
}
