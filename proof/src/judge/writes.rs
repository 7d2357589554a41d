//! What was tried, acknowledged and refused, and where each value stands: R2, R3, R5 and R6 of the writers' side.

use std::collections::{HashMap, HashSet};

use super::{Case, Rule};
use crate::history::{Act, Place, Read, Try};

/// All writes of a history so far.
#[derive(Default)]
pub(super) struct Writes<'a> {
    /// Tries by their number.
    pub(super) tries: HashMap<u64, &'a Try>,
    /// Logical writes by their value.
    pub(super) values: HashMap<&'a str, Value<'a>>,
    /// The value of each canary.
    pub(super) canaries: HashMap<&'a str, &'a str>,
    /// What stands where.
    pub(super) places: HashMap<(&'a str, &'a Place), Standing<'a>>,
    /// Topics.
    pub(super) topics: HashMap<&'a str, Topic<'a>>,
    /// Entries by topic and id.
    pub(super) entries: HashMap<(&'a str, &'a str), Entry>,
}

/// A write, however often it was tried.
pub(super) struct Value<'a> {
    pub(super) first: &'a Try,
    /// Tries that are not refused: under way, acknowledged or unknown.
    pub(super) open: usize,
    pub(super) acked_at: Option<u64>,
    pub(super) acked: Option<&'a Place>,
    /// Where it stands, in each epoch.
    pub(super) stands: Vec<&'a Place>,
}

/// What is known of one place.
#[derive(Default)]
pub(super) struct Standing<'a> {
    pub(super) value: Option<&'a str>,
    /// When a redaction was first seen here, at each node: another one may be behind until the retraction is acknowledged.
    pub(super) redacted: HashMap<&'a str, u64>,
    /// Whether a reader got its value.
    pub(super) read: bool,
}

/// What is known of a topic.
#[derive(Default)]
pub(super) struct Topic<'a> {
    /// Its numbering, as acknowledgements and readers have it now.
    pub(super) epoch: Option<&'a str>,
    /// Numberings that were before a restore.
    pub(super) older: HashSet<&'a str>,
    /// Whether it was restored since the numbering became known.
    pub(super) restored: bool,
    /// The newest offset that was acknowledged or read, in each epoch.
    pub(super) heads: HashMap<&'a str, u64>,
    /// When the last snapshot was asked for, and the entries that it has.
    pub(super) snapshot: Option<(u64, HashSet<&'a str>)>,
}

/// What is known of an entry.
#[derive(Default)]
pub(super) struct Entry {
    /// Whether it came under an embargo: what readers get first is then its last revision under it.
    pub(super) held: bool,
    /// Nobody may see it before then.
    pub(super) hidden_until: Option<u64>,
    /// When somebody first tried to take it back.
    pub(super) retract_tried: Option<u64>,
    /// When a retraction was first acknowledged.
    pub(super) retracted: Option<u64>,
}

impl<'a> Case<'a> {
    pub(super) fn tried(&mut self, write: &'a Try) {
        self.writes.tries.insert(write.op, write);
        let value = self.writes.values.entry(&write.value).or_insert(Value {
            first: write,
            open: 0,
            acked_at: None,
            acked: None,
            stands: Vec::new(),
        });
        let again = value.open > 0 || value.acked_at.is_some();
        value.open += 1;
        for canary in &write.canaries {
            self.writes.canaries.insert(canary, &write.value);
        }
        let entry = self
            .writes
            .entries
            .entry((&write.topic, &write.entry))
            .or_default();
        match write.act {
            Act::Publish if again => {}
            Act::Publish => {
                entry.hidden_until = write.hidden_until;
                entry.held = write.hidden_until.is_some();
            }
            // The moment may move, or the embargo end with it: the earlier of the two is what can be asked for.
            Act::Revise => {
                let was = entry.hidden_until;
                entry.hidden_until = was.and_then(|was| Some(was.min(write.hidden_until?)));
            }
            Act::Retract => entry.retract_tried = entry.retract_tried.or(Some(self.now)),
            Act::Topic => {}
        }
    }

    pub(super) fn acked(&mut self, op: u64, place: Option<&'a Place>) {
        let Some(&write) = self.writes.tries.get(&op) else {
            return self.broken(
                Rule::R5,
                "",
                place,
                None,
                format!("an answer to {op}, which nobody tried"),
            );
        };
        if write.act == Act::Retract {
            let entry = self
                .writes
                .entries
                .entry((&write.topic, &write.entry))
                .or_default();
            entry.retracted = entry.retracted.or(Some(self.now));
        }
        let now = self.now;
        let Some(value) = self.writes.values.get_mut(write.value.as_str()) else {
            return;
        };
        value.acked_at = value.acked_at.or(Some(now));
        let Some(place) = place else {
            if write.act == Act::Publish && write.hidden_until.is_none() {
                let what = format!("{} was acknowledged, and has no position", write.value);
                self.broken(Rule::R1, &write.topic, None, None, what);
            }
            return;
        };
        let earlier = value.acked;
        value.acked = value.acked.or(Some(place));
        if let Some(earlier) = earlier
            && earlier.epoch == place.epoch
            && earlier.offset != place.offset
        {
            let what = format!("{} was acknowledged at {earlier} before", write.value);
            self.broken(Rule::R3, &write.topic, Some(place), None, what);
        }
        self.numbering(&write.topic, place);
        self.stand(&write.topic, place, &write.value, None);
    }

    pub(super) fn refused(&mut self, op: u64) {
        if let Some(write) = self.writes.tries.get(&op)
            && let Some(value) = self.writes.values.get_mut(write.value.as_str())
        {
            value.open = value.open.saturating_sub(1);
        }
    }

    pub(super) fn unknown(&mut self, op: u64) {
        if !self.writes.tries.contains_key(&op) {
            self.broken(
                Rule::R5,
                "",
                None,
                None,
                format!("an end of {op}, which nobody tried"),
            );
        }
    }

    pub(super) fn restored(&mut self, topic: &'a str) {
        self.writes.topics.entry(topic).or_default().restored = true;
    }

    /// A numbering was used: it may be another than before only where something was restored.
    pub(super) fn numbering(&mut self, topic: &'a str, place: &'a Place) {
        let known = self.writes.topics.entry(topic).or_default();
        let head = known.heads.entry(&place.epoch).or_default();
        *head = (*head).max(place.offset);
        match known.epoch {
            None => known.epoch = Some(&place.epoch),
            Some(epoch) if epoch == place.epoch => {}
            // What was under way when it was restored.
            Some(_) if known.older.contains(place.epoch.as_str()) => {}
            Some(epoch) if known.restored => {
                known.older.insert(epoch);
                known.epoch = Some(&place.epoch);
                known.restored = false;
            }
            Some(epoch) => {
                let what = format!("the epoch was {epoch} before, and nothing was restored");
                known.epoch = Some(&place.epoch);
                self.broken(Rule::R6, topic, Some(place), None, what);
            }
        }
    }

    /// `value` was seen at `place`, by a reader or in an acknowledgement.
    fn stand(&mut self, topic: &'a str, place: &'a Place, value: &'a str, reader: Option<&str>) {
        let standing = self.writes.places.entry((topic, place)).or_default();
        standing.read |= reader.is_some();
        let other = standing.value.filter(|other| *other != value);
        standing.value.get_or_insert(value);
        if let Some(other) = other {
            let what = format!("{value} stands where {other} stood");
            return self.broken(Rule::R2, topic, Some(place), reader, what);
        }
        let Some(known) = self.writes.values.get_mut(value) else {
            return;
        };
        let elsewhere = known
            .stands
            .iter()
            .find(|stands| stands.epoch == place.epoch && stands.offset != place.offset)
            .copied();
        if known.stands.iter().all(|stands| *stands != place) {
            known.stands.push(place);
        }
        if let Some(elsewhere) = elsewhere {
            let what = format!("{value} stands at {elsewhere} as well");
            self.broken(Rule::R3, topic, Some(place), reader, what);
        }
    }

    /// R2, R3 and R5 of a change that a reader got.
    pub(super) fn content(&mut self, read: &'a Read) {
        let reader = Some(read.reader.as_str());
        let place = Some(&read.place);
        self.numbering(&read.topic, &read.place);
        let Some(act) = read.kind.act() else {
            return self.redaction(read);
        };
        let entry = (read.topic.as_str(), read.entry.as_str());
        let held = self
            .writes
            .entries
            .get(&entry)
            .is_some_and(|entry| entry.held);
        let may_be =
            |made: Act| made == act || (held && act == Act::Publish && made == Act::Revise);
        let from_nowhere = match self.writes.values.get(read.value.as_str()) {
            None => Some(format!("{:?} was never tried", read.value)),
            Some(value) if value.first.topic != read.topic => Some(format!(
                "{} was written to topic {}",
                read.value, value.first.topic
            )),
            Some(value) if !may_be(value.first.act) || value.first.entry != read.entry => {
                Some(format!(
                    "{} was a {:?} of entry {:?}, not a {:?} of {:?}",
                    read.value, value.first.act, value.first.entry, act, read.entry
                ))
            }
            Some(value) if value.open == 0 && value.acked_at.is_none() => {
                Some(format!("{} was refused each time", read.value))
            }
            Some(_) => None,
        };
        if let Some(what) = from_nowhere {
            return self.broken(Rule::R5, &read.topic, place, reader, what);
        }
        self.stand(&read.topic, &read.place, &read.value, reader);
    }

    /// A redaction may stand in the place of a change whose entry somebody tried to take back.
    fn redaction(&mut self, read: &'a Read) {
        let (now, node) = (self.now, self.node);
        let standing = self
            .writes
            .places
            .entry((&read.topic, &read.place))
            .or_default();
        standing.redacted.entry(node).or_insert(now);
        let value = standing.value;
        let other = value
            .and_then(|value| self.writes.values.get(value))
            .is_some_and(|value| value.first.entry != read.entry);
        let tried = self
            .writes
            .entries
            .get(&(read.topic.as_str(), read.entry.as_str()))
            .is_some_and(|entry| entry.retract_tried.is_some());
        if other || !tried {
            let what = if other {
                format!(
                    "a redaction of entry {} stands where another entry stood",
                    read.entry
                )
            } else {
                format!(
                    "a redaction of entry {}, which nobody tried to take back",
                    read.entry
                )
            };
            self.broken(
                Rule::R2,
                &read.topic,
                Some(&read.place),
                Some(&read.reader),
                what,
            );
        }
    }
}
