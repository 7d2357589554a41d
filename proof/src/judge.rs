//! The judge: the rules R1 to R8 over a history, with a verdict that names rule, topic, position and reader.
//!
//! - **R1** What was acknowledged is stored, and read by every reader that is caught up.
//! - **R2** One value for each topic, epoch and offset, everywhere and for ever; but for a redaction, which stays at the
//!   node that showed it.
//! - **R3** No value at two offsets.
//! - **R4** Each reader's offsets go up by one, but after an explicit reset.
//! - **R5** Nothing is read that nobody tried to publish, or that was refused.
//! - **R6** The epoch changes with a reset only, and only where something was restored.
//! - **R7** No canary of an embargo before its release, none of a retraction behind its acknowledgement.
//! - **R8** Within the limit after the faults stop, publishing works and every reader is at the head.
//!
//! A write whose outcome is not known may be there once or not at all. The judge knows nothing of how the history came
//! about.

mod ends;
mod readers;
mod writes;

use std::collections::BTreeMap;
use std::fmt;

use self::readers::Readers;
use self::writes::Writes;
use crate::history::{Event, Place, What};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Acknowledged is stored and read.
    R1,
    /// One value an offset.
    R2,
    /// One offset a value.
    R3,
    /// Dense for every reader.
    R4,
    /// Nothing from nowhere.
    R5,
    /// Epochs.
    R6,
    /// Canaries.
    R7,
    /// Liveness.
    R8,
}

/// A rule that was broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// The topic; empty where it is not about one.
    pub topic: String,
    /// The position, where it is about one.
    pub place: Option<Place>,
    /// The reader, where it is about one.
    pub reader: Option<String>,
    /// What is wrong.
    pub what: String,
    /// The line of the history that shows it, from 1; 0 for its end.
    pub line: usize,
}

/// What came of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was broken, in the order of the history; at most [`VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
    /// How many lines of each kind were judged.
    pub counted: BTreeMap<&'static str, u64>,
}

/// What may differ between a simulation and a network.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long after the faults stop everything has to be well, in microseconds.
    pub calm_us: u64,
    /// How long after its time, and after the faults stop, what was under embargo may take to come out, in microseconds.
    pub release_us: u64,
    /// How long after an acknowledgement a live reader may still take what was sent before it, in microseconds.
    pub grace_us: u64,
}

/// Most violations that are told of.
pub const VIOLATIONS_MAX: usize = 200;

impl Default for Options {
    fn default() -> Self {
        Self {
            calm_us: 30_000_000,
            release_us: 30_000_000,
            grace_us: 0,
        }
    }
}

impl Verdict {
    /// Whether no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// The rules that were broken.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = self.violations.iter().map(|found| found.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        let counted: Vec<_> = self
            .counted
            .iter()
            .map(|(what, n)| format!("{n} {what}"))
            .collect();
        write!(
            f,
            "{} violations in {}",
            self.violations.len(),
            counted.join(", ")
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.rule)?;
        if !self.topic.is_empty() {
            write!(f, " topic {}", self.topic)?;
        }
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        if let Some(reader) = &self.reader {
            write!(f, " reader {reader}")?;
        }
        write!(f, ": {}", self.what)?;
        match self.line {
            0 => write!(f, " (at the end)"),
            line => write!(f, " (line {line})"),
        }
    }
}

/// Judges a whole history.
pub fn judge(events: &[Event], options: Options) -> Verdict {
    let mut case = Case {
        options,
        line: 0,
        now: 0,
        node: "",
        calm: None,
        writes: Writes::default(),
        readers: Readers::default(),
        verdict: Verdict::default(),
    };
    for (index, event) in events.iter().enumerate() {
        case.line = index + 1;
        case.now = event.at;
        case.node = &event.node;
        case.take(event);
    }
    case.line = 0;
    case.close();
    case.verdict
}

/// A history in the middle of being judged.
struct Case<'a> {
    options: Options,
    line: usize,
    now: u64,
    /// With which node.
    node: &'a str,
    calm: Option<u64>,
    writes: Writes<'a>,
    readers: Readers<'a>,
    verdict: Verdict,
}

impl<'a> Case<'a> {
    fn take(&mut self, event: &'a Event) {
        if let Some(name) = counted(&event.what) {
            *self.verdict.counted.entry(name).or_default() += 1;
        }
        match &event.what {
            What::Try(write) => self.tried(write),
            What::Ack { op, place } => self.acked(*op, place.as_ref()),
            What::Refused { op, .. } => self.refused(*op),
            What::Unknown { op } => self.unknown(*op),
            What::Subscribe {
                reader,
                topic,
                after,
                ..
            } => self.subscribe(reader, topic, after),
            What::Subscribed {
                reader,
                topic,
                place,
            } => self.subscribed(reader, topic, place),
            What::Read(read) => self.read(read),
            What::Reset {
                reader,
                topic,
                place,
                reason,
            } => self.reset(reader, topic, place, reason),
            What::Left { reader } => self.left(reader),
            What::Gone { reader } => self.gone(reader),
            What::Snapshot {
                topic,
                place,
                asked,
                entries,
            } => self.snapshot(topic, place, *asked, entries),
            What::Seen {
                path,
                asked,
                canaries,
            } => self.seen(path, *asked, canaries),
            What::Restored { topic } => self.restored(topic),
            What::Fault { .. } => {}
            What::Calm => self.calm = Some(event.at),
        }
    }

    fn broken(
        &mut self,
        rule: Rule,
        topic: &str,
        place: Option<&Place>,
        reader: Option<&str>,
        what: impl Into<String>,
    ) {
        if self.verdict.violations.len() < VIOLATIONS_MAX {
            self.verdict.violations.push(Violation {
                rule,
                topic: topic.to_owned(),
                place: place.cloned(),
                reader: reader.map(str::to_owned),
                what: what.into(),
                line: self.line,
            });
        }
    }
}

/// What a verdict counts.
fn counted(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Try(_) => "tries",
        What::Ack { .. } => "acknowledgements",
        What::Refused { .. } => "refusals",
        What::Unknown { .. } => "unknown outcomes",
        What::Subscribe { .. } => "subscriptions",
        What::Read(_) => "reads",
        What::Reset { .. } => "resets",
        What::Snapshot { .. } => "snapshots",
        What::Seen { .. } => "looks at what left",
        What::Restored { .. } => "restores",
        What::Fault { .. } => "faults",
        What::Subscribed { .. } | What::Left { .. } | What::Gone { .. } | What::Calm => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{legal, plant};
    use proptest::prelude::*;

    #[test]
    fn every_planted_bug_is_caught_by_its_rule() {
        assert!(plant::ALL.len() >= 20, "{} bugs", plant::ALL.len());
        for bug in plant::ALL {
            let mut planted = 0;
            for seed in 0..60 {
                let mut events = legal::history(seed);
                let mut random = fastrand::Rng::with_seed(seed);
                if (bug.plant)(&mut events, &mut random).is_none() {
                    continue;
                }
                planted += 1;
                let verdict = judge(&events, Options::default());
                assert!(
                    verdict.rules().contains(&bug.rule),
                    "{} (seed {seed}) is not caught by {:?}: {verdict}",
                    bug.name,
                    bug.rule
                );
            }
            assert!(
                planted >= 5,
                "{} found {planted} places to be planted",
                bug.name
            );
        }
    }

    #[test]
    fn a_verdict_names_rule_topic_position_and_reader() {
        let bug = plant::ALL
            .iter()
            .find(|bug| bug.name == "a change is left out");
        let bug = bug.expect("is there");
        let mut events = legal::history(3);
        (bug.plant)(&mut events, &mut fastrand::Rng::with_seed(3)).expect("planted");
        let verdict = judge(&events, Options::default());
        let first = verdict.violations.first().expect("caught");
        assert_eq!(first.rule, Rule::R4);
        assert!(first.reader.is_some() && first.place.is_some() && first.line > 0);
        let text = verdict.to_string();
        assert!(text.starts_with("R4 topic "), "{text}");
        assert!(
            text.contains(" reader ") && text.contains("(line "),
            "{text}"
        );
    }

    /// A body that is read at `node`, after a redaction was read in its place at node `a`.
    fn back_at(node: &str) -> Vec<Rule> {
        let reads = |reader: &str, node: &str, at: u64, what: &str| {
            format!(
                r#"{{"at":{at},"node":"{node}","ev":"subscribe","reader":"{reader}","transport":"poll","topic":"t","after":"start"}}
                {{"at":{at},"node":"{node}","ev":"subscribed","reader":"{reader}","topic":"t","place":{{"epoch":"e","offset":0}}}}
                {{"at":{at},"node":"{node}","ev":"read","reader":"{reader}","topic":"t","place":{{"epoch":"e","offset":1}},"entry":"n",{what}}}
                "#
            )
        };
        let text = [
            r#"{"at":1,"ev":"try","op":1,"who":"p","topic":"t","act":"publish","entry":"n","value":"v"}
            {"at":2,"ev":"ack","op":1,"place":{"epoch":"e","offset":1}}
            {"at":3,"ev":"try","op":2,"who":"p","topic":"t","act":"retract","entry":"n","value":"x"}
            "#
            .to_owned(),
            reads("one", "a", 4, r#""kind":"redacted""#),
            reads("other", node, 5, r#""kind":"published","value":"v""#),
        ]
        .concat();
        let events = crate::history::read(text.as_bytes()).expect("a history");
        judge(&events, Options::default()).rules()
    }

    #[test]
    fn a_redaction_stays_at_the_node_that_showed_it_and_others_may_be_behind() {
        assert_eq!(back_at("b"), []);
        assert_eq!(back_at("a"), [Rule::R2]);
    }

    #[test]
    fn an_empty_history_is_clean() {
        assert!(judge(&[], Options::default()).is_clean());
    }

    proptest! {
        #[test]
        fn a_legal_history_is_clean(seed: u64) {
            let verdict = judge(&legal::history(seed), Options::default());
            prop_assert!(verdict.is_clean(), "seed {seed}: {verdict}");
        }
    }
}
