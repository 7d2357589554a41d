//! What the publishers say: entries with the sizes of a real live blog's, made from a seed.
//!
//! Sizes follow the quantiles of a day's blog (180 to 2,210 bytes, median about 690). The words are ours, the order is
//! chance; the same seed gives the same text, so two runs move the same bytes.

use serde_json::json;

/// Share of bodies in thousandths, and their size in bytes at that share.
const QUANTILES: [(u64, u64); 8] = [
    (0, 180),
    (100, 290),
    (250, 440),
    (500, 690),
    (750, 1_040),
    (900, 1_480),
    (970, 1_900),
    (1_000, 2_210),
];

const WORDS: &[&str] = &[
    "the",
    "council",
    "said",
    "on",
    "Tuesday",
    "that",
    "trains",
    "would",
    "run",
    "again",
    "after",
    "crews",
    "cleared",
    "a",
    "fallen",
    "tree",
    "from",
    "line",
    "near",
    "harbour",
    "where",
    "water",
    "had",
    "risen",
    "by",
    "two",
    "metres",
    "since",
    "morning",
    "officials",
    "asked",
    "residents",
    "to",
    "stay",
    "away",
    "until",
    "evening",
    "and",
    "schools",
    "remain",
    "closed",
    "in",
    "three",
    "districts",
    "while",
    "the",
    "mayor",
    "thanked",
    "volunteers",
    "who",
    "worked",
    "through",
    "night",
    "a",
    "spokeswoman",
    "added",
    "no",
    "one",
    "was",
    "hurt",
    "but",
    "power",
    "may",
    "fail",
    "for",
    "hours",
    "as",
    "engineers",
    "check",
    "every",
    "station",
    "along",
    "coast",
    "results",
    "are",
    "expected",
    "before",
    "midnight",
    "with",
    "turnout",
    "higher",
    "than",
    "four",
    "years",
    "ago",
    "according",
    "to",
    "first",
    "counts",
];

/// How long bodies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// As in a real live blog.
    Real,
    /// All of one size, in bytes.
    Fixed(usize),
}

/// A small generator of chance numbers (splitmix64): the same seed, the same numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

/// Makes entries.
#[derive(Debug, Clone)]
pub struct Writer {
    chance: Chance,
    sizes: Sizes,
}

impl Chance {
    /// A generator with `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, any of 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

impl Writer {
    /// A writer with `seed`.
    pub fn new(seed: u64, sizes: Sizes) -> Self {
        Self {
            chance: Chance::new(seed),
            sizes,
        }
    }

    /// The next entry as a publisher sends it; `id` is the caller's own.
    pub fn entry(&mut self, id: &str) -> String {
        let body = self.body();
        json!({
            "id": id,
            "body": {"text": body},
            "authors": [{"name": "Load Desk", "type": "organization"}],
        })
        .to_string()
    }

    /// The next body, of exactly the size that is its turn.
    pub fn body(&mut self) -> String {
        let bytes = match self.sizes {
            Sizes::Real => self.real_size(),
            Sizes::Fixed(bytes) => bytes,
        };
        self.prose(bytes)
    }

    fn real_size(&mut self) -> usize {
        let share = self.chance.below(1_001);
        let above = QUANTILES
            .iter()
            .position(|(upto, _)| *upto >= share)
            .unwrap_or(QUANTILES.len() - 1)
            .max(1);
        let ((x0, y0), (x1, y1)) = (QUANTILES[above - 1], QUANTILES[above]);
        let size = y0 + (y1 - y0) * (share - x0) / (x1 - x0);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        let mut words_left = 0_u64;
        while text.len() < bytes {
            if words_left == 0 {
                if !text.is_empty() {
                    text.push_str(if self.chance.below(4) == 0 {
                        ".\n\n"
                    } else {
                        ". "
                    });
                }
                words_left = 6 + self.chance.below(14);
                let word = self.word();
                let (first, rest) = word.split_at(1);
                text.push_str(&first.to_uppercase());
                text.push_str(rest);
            } else {
                text.push(' ');
                text.push_str(self.word());
            }
            words_left -= 1;
        }
        text.truncate(bytes.saturating_sub(1));
        if bytes > 0 {
            text.push('.');
        }
        text
    }

    fn word(&mut self) -> &'static str {
        let index = self.chance.below(WORDS.len() as u64);
        WORDS[usize::try_from(index).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY_BYTES_MIN: usize = 180;
    const BODY_BYTES_MAX: usize = 2_210;

    #[test]
    fn sizes_are_a_real_blogs() {
        let mut writer = Writer::new(7, Sizes::Real);
        let mut sizes: Vec<usize> = (0..10_000).map(|_| writer.body().len()).collect();
        sizes.sort_unstable();
        assert!(sizes[0] >= BODY_BYTES_MIN && sizes[9_999] <= BODY_BYTES_MAX);
        assert!(
            (640..=740).contains(&sizes[5_000]),
            "median {}",
            sizes[5_000]
        );
        assert!(
            sizes[100] < 220 && sizes[9_900] > 1_900,
            "the ends are reached"
        );
    }

    #[test]
    fn fixed_sizes_are_exact() {
        for bytes in [0, 1, 2, 17, 180, 690, 2_210, 100_000] {
            let body = Writer::new(1, Sizes::Fixed(bytes)).body();
            assert_eq!(body.len(), bytes);
            assert!(body.is_ascii());
        }
    }

    #[test]
    fn the_seed_decides_the_text() {
        let text = |seed| Writer::new(seed, Sizes::Real).entry("lt-a-1-1");
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
    }

    #[test]
    fn an_entry_is_json_with_the_callers_id() {
        let entry = Writer::new(3, Sizes::Real).entry("lt-a-1-1");
        let value: serde_json::Value = serde_json::from_str(&entry).expect("json");
        assert_eq!(value["id"], "lt-a-1-1");
        assert!(
            value["body"]["text"]
                .as_str()
                .is_some_and(|text| text.len() >= BODY_BYTES_MIN)
        );
    }
}
