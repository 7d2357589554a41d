//! What can be told at the end alone: R1 (everything acknowledged was read) and R8 (all was well again in time).

use super::{Case, Rule};
use crate::history::{Act, Place};

impl<'a> Case<'a> {
    pub(super) fn close(&mut self) {
        self.everything_acked_is_read();
        self.everything_held_came_out();
        if let Some(calm) = self.calm {
            self.well_again(calm);
        }
    }

    /// R1: whoever has read past an acknowledged change, or is still there, has read that change.
    fn everything_acked_is_read(&mut self) {
        let mut acked: Vec<_> = self
            .writes
            .values
            .iter()
            .filter_map(|(value, known)| Some((known.first.topic.as_str(), known.acked?, *value)))
            .filter(|(topic, place, _)| self.is_present_epoch(topic, place))
            .collect();
        acked.sort_unstable();
        for (topic, place, value) in acked {
            let mut without: Vec<&str> = self
                .readers
                .follows
                .iter()
                .filter(|((_, follows), follow)| {
                    *follows == topic && !follow.gone && follow.from < place.offset
                })
                .filter(|(_, follow)| {
                    let last = follow.reached.last();
                    last.is_some_and(|(last, _)| {
                        last.epoch == place.epoch && last.offset < place.offset
                    })
                })
                .map(|((reader, _), _)| *reader)
                .collect();
            without.sort_unstable();
            if let (Some(first), Some(_)) = (without.first().copied(), self.calm) {
                let what = format!(
                    "{value} was acknowledged, and {} readers never got it",
                    without.len()
                );
                self.broken(Rule::R1, topic, Some(place), Some(first), what);
            }
        }
    }

    /// R1 for what was acknowledged as held: once its time has come, it is a change like any other.
    fn everything_held_came_out(&mut self) {
        let Some(calm) = self.calm else {
            return;
        };
        let end = self.now;
        let mut due: Vec<_> = self
            .writes
            .values
            .iter()
            .filter(|(_, known)| known.first.act == Act::Publish && known.acked_at.is_some())
            .filter_map(|(value, known)| Some((*value, known, known.first.hidden_until?)))
            .filter(|(_, known, until)| {
                let entry = self
                    .writes
                    .entries
                    .get(&(known.first.topic.as_str(), known.first.entry.as_str()));
                let stands = entry.is_some_and(|entry| entry.retract_tried.is_none());
                let topic = self.writes.topics.get(known.first.topic.as_str());
                let whole = topic.is_none_or(|topic| topic.older.is_empty());
                let revised = self.writes.values.values().any(|other| {
                    other.first.act == Act::Revise
                        && other.first.topic == known.first.topic
                        && other.first.entry == known.first.entry
                });
                let patience = (*until).max(calm).saturating_add(self.options.release_us);
                let due = stands && whole && !revised && patience <= end && known.stands.is_empty();
                due && self.was_looked_for(&known.first.topic, &known.first.entry, *until)
            })
            .map(|(value, known, until)| (known.first.topic.as_str(), value, until))
            .collect();
        due.sort_unstable();
        for (topic, value, until) in due {
            let what = format!("{value} was held until {until}, and never came out");
            self.broken(Rule::R1, topic, None, None, what);
        }
    }

    /// Whether somebody would have seen an entry that came out: a reader from the start on, or a snapshot without it.
    fn was_looked_for(&self, topic: &str, entry: &str, until: u64) -> bool {
        let known = self.writes.topics.get(topic);
        let present = known.and_then(|topic| topic.epoch);
        let read = self.readers.follows.iter().any(|((_, follows), follow)| {
            let last = follow.reached.last().map(|(place, _)| place.epoch.as_str());
            *follows == topic
                && !follow.gone
                && follow.from == 0
                && last.is_some()
                && last == present
        });
        let snapshot = known.and_then(|topic| topic.snapshot.as_ref());
        let in_it = snapshot.is_some_and(|(_, there)| there.contains(entry));
        !in_it
            && (read || snapshot.is_some_and(|(asked, _)| *asked > until + self.options.release_us))
    }

    /// R8.
    fn well_again(&mut self, calm: u64) {
        let limit = calm.saturating_add(self.options.calm_us);
        let mut topics: Vec<&'a str> = self.writes.topics.keys().copied().collect();
        topics.sort_unstable();
        for topic in topics {
            let first = self
                .writes
                .values
                .values()
                .filter(|value| value.first.topic == topic)
                .filter_map(|value| Some((value.acked_at?, value.acked?)))
                .filter(|(at, place)| *at >= calm && self.is_present_epoch(topic, place))
                .min_by_key(|(at, place)| (*at, place.offset));
            let Some((at, marker)) = first else {
                self.broken(
                    Rule::R8,
                    topic,
                    None,
                    None,
                    "nothing was acknowledged once the faults had stopped",
                );
                continue;
            };
            if at > limit {
                let what = format!("the first acknowledgement took {} us", at - calm);
                self.broken(Rule::R8, topic, Some(marker), None, what);
            }
            self.readers_are_at(topic, marker, calm, limit);
        }
    }

    fn readers_are_at(&mut self, topic: &str, marker: &Place, calm: u64, limit: u64) {
        let mut late: Vec<(&str, Option<u64>)> = self
            .readers
            .follows
            .iter()
            .filter(|((_, follows), follow)| *follows == topic && !follow.gone)
            .filter_map(|((reader, _), follow)| {
                let reached = follow
                    .reached
                    .iter()
                    .find(|(place, _)| place.epoch == marker.epoch && place.offset >= marker.offset)
                    .map(|(_, at)| *at);
                (reached.is_none_or(|at| at > limit)).then_some((*reader, reached))
            })
            .collect();
        late.sort_unstable();
        for (reader, reached) in late {
            let what = match reached {
                Some(at) => format!("it was here {} us after the faults had stopped", at - calm),
                None => "it never came here, though the faults had stopped".to_owned(),
            };
            self.broken(Rule::R8, topic, Some(marker), Some(reader), what);
        }
    }

    fn is_present_epoch(&self, topic: &str, place: &Place) -> bool {
        let known = self.writes.topics.get(topic).and_then(|topic| topic.epoch);
        known == Some(place.epoch.as_str())
    }
}
