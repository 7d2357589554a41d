//! What readers saw: R4 (dense), R6 (epochs) and R7 (nothing hidden, nothing that was taken back).

use std::collections::{HashMap, HashSet};

use super::{Case, Rule};
use crate::history::{After, Place, Read, Shown};

/// All readers so far.
#[derive(Default)]
pub(super) struct Readers<'a> {
    /// By reader and topic.
    pub(super) follows: HashMap<(&'a str, &'a str), Follow<'a>>,
}

/// One reader in one topic.
pub(super) struct Follow<'a> {
    /// From where it asked.
    asked: &'a After,
    /// When.
    since: u64,
    /// Where it stands; none between asking and being told.
    cursor: Option<(&'a str, u64)>,
    /// Every place that it got to, and when.
    pub(super) reached: Vec<(&'a Place, u64)>,
    /// The offset behind which it has read everything, in its present epoch.
    pub(super) from: u64,
    pub(super) gone: bool,
}

impl<'a> Case<'a> {
    pub(super) fn subscribe(&mut self, reader: &'a str, topic: &'a str, after: &'a After) {
        let since = self.now;
        let follow = self
            .readers
            .follows
            .entry((reader, topic))
            .or_insert(Follow {
                asked: after,
                since,
                cursor: None,
                reached: Vec::new(),
                from: 0,
                gone: false,
            });
        follow.asked = after;
        follow.since = since;
        follow.cursor = None;
    }

    pub(super) fn subscribed(&mut self, reader: &'a str, topic: &'a str, place: &'a Place) {
        let now = self.now;
        let Some(follow) = self.readers.follows.get_mut(&(reader, topic)) else {
            let what = "told where it stands without having asked";
            return self.broken(Rule::R4, topic, Some(place), Some(reader), what);
        };
        let expected = match (&follow.cursor, follow.asked) {
            // Behind a reset the same position is told again.
            (Some((epoch, offset)), _) => Some(Place::new(*epoch, *offset)),
            (None, After::Place(asked)) => Some(asked.clone()),
            (None, After::Start) => Some(Place::new(place.epoch.clone(), 0)),
            (None, After::Head) => None,
        };
        if follow.cursor.is_none() && !matches!(follow.asked, After::Place(_)) {
            follow.from = place.offset;
        }
        follow.cursor = Some((&place.epoch, place.offset));
        follow.reached.push((place, now));
        match expected {
            Some(expected) if expected.epoch != place.epoch => {
                let what = format!("asked for {expected}, and got another epoch without a reset");
                self.broken(Rule::R6, topic, Some(place), Some(reader), what);
            }
            Some(expected) if expected != *place => {
                let what = format!("asked for {expected}, and was put elsewhere without a reset");
                self.broken(Rule::R4, topic, Some(place), Some(reader), what);
            }
            _ => {}
        }
    }

    pub(super) fn reset(
        &mut self,
        reader: &'a str,
        topic: &'a str,
        place: &'a Place,
        reason: &str,
    ) {
        let now = self.now;
        let head = self
            .writes
            .topics
            .get(topic)
            .and_then(|known| known.heads.get(place.epoch.as_str()))
            .copied()
            .unwrap_or(0);
        let Some(follow) = self.readers.follows.get_mut(&(reader, topic)) else {
            let what = "reset without having asked";
            return self.broken(Rule::R4, topic, Some(place), Some(reader), what);
        };
        let stood = match (&follow.cursor, follow.asked) {
            (Some((epoch, offset)), _) => Some(Place::new(*epoch, *offset)),
            (None, After::Place(asked)) => Some(asked.clone()),
            (None, _) => None,
        };
        follow.cursor = Some((&place.epoch, place.offset));
        follow.from = place.offset;
        follow.reached.push((place, now));
        let without_cause = match &stood {
            None => true,
            Some(stood) => stood.epoch == place.epoch && stood.offset <= head,
        };
        if without_cause {
            let stood = stood.map_or("no position".to_owned(), |stood| stood.to_string());
            let what = format!("reset ({reason}) from {stood}, though that can be gone on from");
            self.broken(Rule::R4, topic, Some(place), Some(reader), what);
        }
    }

    pub(super) fn left(&mut self, reader: &str) {
        for ((who, _), follow) in &mut self.readers.follows {
            if *who == reader {
                follow.cursor = None;
            }
        }
    }

    pub(super) fn gone(&mut self, reader: &str) {
        for ((who, _), follow) in &mut self.readers.follows {
            if *who == reader {
                follow.gone = true;
            }
        }
    }

    pub(super) fn read(&mut self, read: &'a Read) {
        let now = self.now;
        let (reader, place) = (Some(read.reader.as_str()), Some(&read.place));
        let key = (read.reader.as_str(), read.topic.as_str());
        let Some(follow) = self.readers.follows.get_mut(&key) else {
            let what = "got a change without having asked";
            return self.broken(Rule::R4, &read.topic, place, reader, what);
        };
        let cursor = follow.cursor;
        let since = follow.since;
        follow.cursor = Some((&read.place.epoch, read.place.offset));
        follow.reached.push((&read.place, now));
        match cursor {
            None => {
                let what = "got a change before being told where it stands";
                self.broken(Rule::R4, &read.topic, place, reader, what);
            }
            Some((epoch, _)) if epoch != read.place.epoch => {
                let what = format!("the epoch was {epoch}, and there was no reset");
                self.broken(Rule::R6, &read.topic, place, reader, what);
            }
            Some((_, offset)) if read.place.offset != offset + 1 => {
                let what = format!("{} comes behind {offset}", read.place.offset);
                self.broken(Rule::R4, &read.topic, place, reader, what);
            }
            Some(_) => {}
        }
        self.hidden_read(read, since);
        self.content(read);
    }

    /// R7 of a change, and R2 of one that is back after it was redacted.
    fn hidden_read(&mut self, read: &'a Read, since: u64) {
        if read.value.is_empty() || read.kind.act() == Some(crate::history::Act::Retract) {
            return;
        }
        let (reader, place) = (Some(read.reader.as_str()), Some(&read.place));
        if let Some(what) = self.leak(&read.topic, &read.entry, &read.value, since, self.now) {
            self.broken(Rule::R7, &read.topic, place, reader, what);
        }
        let redacted = self
            .writes
            .places
            .get(&(read.topic.as_str(), &read.place))
            .and_then(|standing| standing.redacted.get(self.node).copied());
        if redacted.is_some_and(|redacted| redacted < since) {
            let what = format!("{} is back where a redaction stood", read.value);
            self.broken(Rule::R2, &read.topic, place, reader, what);
        }
    }

    /// Why a body of this entry may not leave: asked for at `since`, and there at `at`.
    fn leak(&self, topic: &str, entry: &str, value: &str, since: u64, at: u64) -> Option<String> {
        let known = self.writes.entries.get(&(topic, entry))?;
        if let Some(until) = known.hidden_until
            && at < until
        {
            return Some(format!(
                "{value} of entry {entry} is under embargo until {until}, and there at {at}"
            ));
        }
        let retracted = known.retracted?;
        let late = since > retracted || at > retracted.saturating_add(self.options.grace_us);
        late.then(|| {
            format!("{value} of entry {entry} was taken back at {retracted}, and is there at {at}")
        })
    }

    pub(super) fn seen(&mut self, path: &str, asked: u64, canaries: &'a [String]) {
        let now = self.now;
        for canary in canaries {
            let Some(value) = self.writes.canaries.get(canary.as_str()) else {
                continue;
            };
            let Some(value) = self.writes.values.get(value) else {
                continue;
            };
            let write = value.first;
            // What was asked for before the acknowledgement may have been answered before it.
            let at = if self
                .writes
                .entries
                .get(&(&write.topic, &write.entry))
                .is_some_and(|entry| entry.retracted.is_some_and(|retracted| asked <= retracted))
            {
                asked
            } else {
                now
            };
            if let Some(what) = self.leak(&write.topic, &write.entry, canary, asked, at) {
                self.broken(
                    Rule::R7,
                    &write.topic,
                    None,
                    None,
                    format!("on {path}: {what}"),
                );
            }
        }
    }

    pub(super) fn snapshot(
        &mut self,
        topic: &'a str,
        place: &'a Place,
        asked: u64,
        entries: &'a [Shown],
    ) {
        for shown in entries.iter().filter(|shown| !shown.value.is_empty()) {
            let retracted = self
                .writes
                .entries
                .get(&(topic, &shown.entry))
                .and_then(|entry| entry.retracted);
            let at = if retracted.is_some_and(|at| asked <= at) {
                asked
            } else {
                self.now
            };
            if let Some(what) = self.leak(topic, &shown.entry, &shown.value, asked, at) {
                self.broken(
                    Rule::R7,
                    topic,
                    Some(place),
                    None,
                    format!("in a snapshot: {what}"),
                );
            }
            let tried = self.writes.values.get(shown.value.as_str());
            if tried
                .is_none_or(|value| value.first.topic != topic || value.first.entry != shown.entry)
            {
                let what = format!(
                    "a snapshot has {:?} as entry {}, which nobody tried",
                    shown.value, shown.entry
                );
                self.broken(Rule::R5, topic, Some(place), None, what);
            }
        }
        let there: HashSet<&str> = entries.iter().map(|shown| shown.entry.as_str()).collect();
        let missing: Vec<_> = self
            .writes
            .values
            .iter()
            .filter(|(_, value)| {
                value.first.topic == topic && value.first.act == crate::history::Act::Publish
            })
            .filter_map(|(_, value)| Some((value.acked?, value.first)))
            .filter(|(acked, _)| acked.epoch == place.epoch && acked.offset <= place.offset)
            .filter(|(_, write)| !there.contains(write.entry.as_str()))
            .collect();
        for (acked, write) in missing {
            let what = format!("a snapshot at {place} has not entry {}", write.entry);
            self.broken(Rule::R1, topic, Some(acked), None, what);
        }
        self.writes.topics.entry(topic).or_default().snapshot = Some((asked, there));
    }
}
