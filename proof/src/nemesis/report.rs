//! What a run did: rounds of each kind, how long healing took, and what publishers did beside plain entries.

use std::collections::BTreeMap;
use std::time::Duration;

use super::recorder::Repeats;
use crate::history::{Act, Event, What};

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    rounds: BTreeMap<&'static str, u32>,
    longest: Duration,
    worst: &'static str,
}

impl Done {
    /// A round of this kind, and how long everything took to be well behind it, where that was waited for.
    pub(super) fn count(&mut self, kind: &'static str, healed: Option<Duration>) {
        *self.rounds.entry(kind).or_default() += 1;
        if let Some(healed) = healed.filter(|healed| *healed > self.longest) {
            self.longest = healed;
            self.worst = kind;
        }
    }

    /// How long everything took to be well at the end.
    pub(super) fn waited(&mut self, healed: Duration) {
        if healed > self.longest {
            self.longest = healed;
            self.worst = "the last rounds";
        }
    }

    pub(super) fn tell(&self, events: &[Event], repeats: Repeats) -> String {
        let kinds: Vec<String> = self
            .rounds
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let tries = |wanted: fn(&What) -> bool| events.iter().filter(|e| wanted(&e.what)).count();
        let held = tries(|what| matches!(what, What::Try(write) if write.hidden_until.is_some()));
        let retracted = tries(|what| matches!(what, What::Try(write) if write.act == Act::Retract));
        let seconds = events.last().map_or(0, |last| last.at / 1_000_000);
        format!(
            "{} rounds in {seconds} s ({}); longest time to heal {:.1} s (after {}); {held} tries under embargo, \
             {retracted} of retractions, {} entries at two brokers at once, {} sent again after the servers' window",
            self.rounds.values().sum::<u32>(),
            kinds.join(", "),
            self.longest.as_secs_f64(),
            self.worst,
            repeats.twins,
            repeats.late,
        )
    }
}
