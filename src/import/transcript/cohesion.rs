//! Where a run of paragraphs changes its subject, by the words that its two halves share.
//!
//! For each gap the words above and below are compared (cosine of their counts, each weighted down by the number of
//! paragraphs it stands in); the gap with the least in common wins. That is TextTiling (Hearst, 1997) with windows
//! that reach to both ends. It is a guess and its caller says so.

use std::collections::{HashMap, HashSet};

/// Letters of a word that count: enough to tell words apart, few enough to join their forms.
const STEM_CHARS: usize = 6;
/// Shorter words are mostly grammar.
const WORD_CHARS_MIN: usize = 4;

type Counts = HashMap<String, f64>;

/// The index, from 1 to the last, of the paragraph that starts the second half. At least two paragraphs.
pub(super) fn widest_gap(paragraphs: &[&str]) -> usize {
    let stems: Vec<Vec<String>> = paragraphs.iter().map(|text| stems(text)).collect();
    let mut spread: Counts = HashMap::new();
    for paragraph in &stems {
        for stem in paragraph.iter().collect::<HashSet<_>>() {
            *spread.entry(stem.clone()).or_default() += 1.0;
        }
    }
    let total = count_of(paragraphs.len());
    let weigh = |half: &[Vec<String>]| -> Counts {
        let mut counts: Counts = HashMap::new();
        for stem in half.iter().flatten() {
            let standing = spread.get(stem).copied().unwrap_or(total);
            *counts.entry(stem.clone()).or_default() += (1.0 + total / standing).ln();
        }
        counts
    };
    (1..paragraphs.len())
        .map(|at| (at, cosine(&weigh(&stems[..at]), &weigh(&stems[at..]))))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or(1, |(at, _)| at)
}

fn stems(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= WORD_CHARS_MIN)
        .map(|word| word.to_lowercase().chars().take(STEM_CHARS).collect())
        .collect()
}

fn cosine(a: &Counts, b: &Counts) -> f64 {
    let norm = |counts: &Counts| counts.values().map(|n| n * n).sum::<f64>().sqrt();
    let shared: f64 = a
        .iter()
        .filter_map(|(stem, n)| b.get(stem).map(|m| n * m))
        .sum();
    let norms = norm(a) * norm(b);
    if norms > 0.0 { shared / norms } else { 0.0 }
}

/// The number as a float; numbers of paragraphs are far below where that loses anything.
fn count_of(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_where_the_words_change() {
        let storm = [
            "The storm reached the harbour before dawn and tore ships from their moorings.",
            "Harbour pilots said the storm had pushed water over the quay and into the ships' sheds.",
            "Ships at anchor rode out the storm in the bay, the harbour office said.",
            "The council voted to raise school fees by a tenth from January.",
            "Parents called the fees a tax on schooling; the council said schools needed the money.",
        ];
        assert_eq!(widest_gap(&storm), 3);
        assert_eq!(widest_gap(&storm[2..]), 1);
        assert_eq!(widest_gap(&["a", "b"]), 1);
        assert_eq!(widest_gap(&["", ""]), 1);
    }
}
