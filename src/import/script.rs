//! Stand-in for the script reader with its signatures; the real one replaces it at the merge.

use std::time::Duration;

use super::ImportError;
use crate::model::{End, EntryId, NewEntry};

/// A sample.
pub const DEMO: &str = "";

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Pause before it.
    pub after: Duration,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Publish.
    Publish(Box<NewEntry>),
    /// Revise.
    Revise {
        /// Entry.
        id: EntryId,
        /// Merge patch.
        patch: serde_json::Value,
    },
    /// Retract.
    Retract {
        /// Entry.
        id: EntryId,
        /// Why.
        reason: Option<String>,
    },
    /// Change the topic.
    Topic {
        /// Merge patch.
        patch: serde_json::Value,
    },
    /// End.
    End(End),
}

/// Reads a script.
///
/// # Errors
/// When it can't be read.
pub fn parse_script(_text: &str) -> Result<Vec<Step>, ImportError> {
    Ok(Vec::new())
}
