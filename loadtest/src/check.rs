//! The check that every reader makes on its own stream: offsets are 1, 2, 3 …, without a hole, a repeat or a step back.

use serde::{Deserialize, Serialize};

use crate::report::Report;

/// Most holes that one reader remembers; what fills a forgotten one counts as a duplicate.
const HOLES_MAX: usize = 64;

/// A reader's place in its topic.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    next: u64,
    holes: Vec<(u64, u64)>,
}

/// What an offset is to the reader that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The one that is due.
    Next,
    /// Offsets are missing before it.
    Gap {
        /// How many.
        missing: u64,
    },
    /// It was here before.
    Duplicate,
    /// It fills a gap, too late.
    Inversion,
}

/// Everything that may be wrong with the streams of many readers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Violations {
    /// Times that offsets were missing.
    pub gaps: u64,
    /// Offsets that were missing.
    pub missing: u64,
    /// Offsets that came twice.
    pub duplicates: u64,
    /// Offsets that came after a later one.
    pub inversions: u64,
    /// Changes whose bytes differ from what another reader got at the same offset.
    pub divergent: u64,
    /// Subscriptions that began at another place than was asked for.
    pub misplaced: u64,
    /// Epochs that changed without a reset.
    pub epochs: u64,
    /// Resets.
    pub resets: u64,
    /// Messages or frames outside the protocol, and error messages.
    pub protocol: u64,
    /// Connections that the server ended.
    pub closed: u64,
    /// Connections that could not be made after many tries.
    pub unconnected: u64,
    /// Readers that did not reach the head in time.
    pub behind: u64,
    /// An example of each of the first few, in words.
    pub examples: Vec<String>,
}

/// Most examples that are kept.
const EXAMPLES_MAX: usize = 8;

impl Cursor {
    /// A cursor behind `offset`.
    pub fn behind(offset: u64) -> Self {
        Self {
            next: offset + 1,
            holes: Vec::new(),
        }
    }

    /// The last offset that was due and came.
    pub fn offset(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// Takes an offset.
    pub fn step(&mut self, offset: u64) -> Step {
        if offset == self.next {
            self.next += 1;
            return Step::Next;
        }
        if offset > self.next {
            let missing = offset - self.next;
            if self.holes.len() < HOLES_MAX {
                self.holes.push((self.next, offset));
            }
            self.next = offset + 1;
            return Step::Gap { missing };
        }
        let Some(at) = self
            .holes
            .iter()
            .position(|(from, to)| (*from..*to).contains(&offset))
        else {
            return Step::Duplicate;
        };
        let (from, to) = self.holes.swap_remove(at);
        for part in [(from, offset), (offset + 1, to)] {
            if part.0 < part.1 {
                self.holes.push(part);
            }
        }
        Step::Inversion
    }
}

impl Violations {
    /// Counts a step; the next one that is due is none.
    pub fn step(&mut self, step: Step, offset: u64, reader: u64) {
        match step {
            Step::Next => return,
            Step::Gap { missing } => {
                self.gaps += 1;
                self.missing += missing;
            }
            Step::Duplicate => self.duplicates += 1,
            Step::Inversion => self.inversions += 1,
        }
        self.example(|| format!("reader {reader} at offset {offset}: {step:?}"));
    }

    /// Keeps an example, where there is room.
    pub fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Adds those of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.gaps += other.gaps;
        self.missing += other.missing;
        self.duplicates += other.duplicates;
        self.inversions += other.inversions;
        self.divergent += other.divergent;
        self.misplaced += other.misplaced;
        self.epochs += other.epochs;
        self.resets += other.resets;
        self.protocol += other.protocol;
        self.closed += other.closed;
        self.unconnected += other.unconnected;
        self.behind += other.behind;
        for example in &other.examples {
            self.example(|| example.clone());
        }
    }

    /// All counts with their names, in the order in which they are told.
    pub fn counts(&self) -> [(&'static str, u64); 12] {
        [
            ("gaps", self.gaps),
            ("missing", self.missing),
            ("duplicates", self.duplicates),
            ("inversions", self.inversions),
            ("divergent", self.divergent),
            ("misplaced", self.misplaced),
            ("epochs", self.epochs),
            ("resets", self.resets),
            ("protocol", self.protocol),
            ("closed", self.closed),
            ("unconnected", self.unconnected),
            ("behind", self.behind),
        ]
    }

    /// Writes what was wrong into the report; `prefix` goes before each.
    pub fn fail(&self, report: &mut Report, prefix: &str) {
        for (name, count) in self.counts() {
            if count > 0 {
                report.fail(format!("{prefix}{name}: {count}"));
            }
        }
        for example in &self.examples {
            report.fail(format!("{prefix}for example: {example}"));
        }
    }

    /// How many there are of all kinds.
    pub fn total(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(offsets: &[u64]) -> Violations {
        let mut cursor = Cursor::behind(0);
        let mut violations = Violations::default();
        for offset in offsets {
            violations.step(cursor.step(*offset), *offset, 0);
        }
        violations
    }

    fn counts(offsets: &[u64]) -> (u64, u64, u64, u64) {
        let found = steps(offsets);
        (
            found.gaps,
            found.missing,
            found.duplicates,
            found.inversions,
        )
    }

    #[test]
    fn a_dense_stream_has_nothing_wrong() {
        assert_eq!(steps(&[1, 2, 3, 4, 5]), Violations::default());
    }

    #[test]
    fn a_planted_gap_is_found() {
        assert_eq!(counts(&[1, 2, 5, 6]), (1, 2, 0, 0));
        assert_eq!(counts(&[2]), (1, 1, 0, 0));
    }

    #[test]
    fn a_planted_duplicate_is_found() {
        assert_eq!(counts(&[1, 2, 2, 3]), (0, 0, 1, 0));
        assert_eq!(counts(&[1, 2, 3, 1]), (0, 0, 1, 0));
        assert_eq!(counts(&[0]), (0, 0, 1, 0));
    }

    #[test]
    fn a_planted_inversion_is_a_gap_and_a_late_one() {
        assert_eq!(counts(&[1, 3, 2, 4]), (1, 1, 0, 1));
        assert_eq!(counts(&[1, 5, 3, 2, 4, 3]), (1, 3, 1, 3));
    }

    #[test]
    fn the_cursor_goes_on_from_where_it_was() {
        let mut cursor = Cursor::behind(41);
        assert_eq!(cursor.step(42), Step::Next);
        assert_eq!(cursor.offset(), 42);
        assert_eq!(Cursor::behind(0).offset(), 0);
    }

    #[test]
    fn every_single_fault_in_a_long_stream_is_found() {
        let good: Vec<u64> = (1..=40).collect();
        for at in 0..good.len() - 1 {
            let mut dropped = good.clone();
            dropped.remove(at);
            assert!(steps(&dropped).total() > 0, "dropped {at}");
            let mut doubled = good.clone();
            doubled.insert(at, good[at]);
            assert_eq!(counts(&doubled), (0, 0, 1, 0), "doubled {at}");
            let mut swapped = good.clone();
            swapped.swap(at, at + 1);
            assert_eq!(counts(&swapped), (1, 1, 0, 1), "swapped {at}");
        }
    }

    #[test]
    fn examples_are_bounded_and_merged() {
        let mut all = Violations::default();
        for _ in 0..20 {
            all.merge(&steps(&[1, 1]));
        }
        assert_eq!((all.duplicates, all.examples.len()), (20, EXAMPLES_MAX));
        assert_eq!(all.total(), 20);
    }
}
