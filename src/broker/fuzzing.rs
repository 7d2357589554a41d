//! The door to the rule between what a publisher sends and what readers get, in builds for fuzzing alone.

use jiff::Timestamp;

use super::document::{self, Stamp};
use crate::model::{Entry, EntryId, Invalid, NewEntry};

/// An entry on its way through a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// As readers get it.
    pub entry: Entry,
    /// Its JSON, as the log has it.
    pub json: String,
    /// What a merge patch would be applied to.
    pub input: NewEntry,
}

/// Makes the first revision of an entry.
///
/// # Errors
/// The field that is beyond a limit once rendered.
pub fn render_entry(new: &NewEntry, id: EntryId, now: Timestamp) -> Result<Rendered, Invalid> {
    let stamp = Stamp {
        id,
        revision: 1,
        created_at: now,
        now,
    };
    let entry = document::entry(new, stamp)?;
    let json = document::json(&entry);
    let input = document::input(&entry, &document::json(&new.body));
    Ok(Rendered { entry, json, input })
}
