//! Latencies as they are gathered, merged and passed between processes: a histogram in microseconds with three
//! significant digits, up to an hour.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

const HOUR_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// A distribution of latencies.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

/// The recorded values and how often each occurred: how a [`Latency`] travels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparse(Vec<(u64, u64)>);

impl Latency {
    /// An empty distribution.
    pub fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, HOUR_MICROS, DIGITS)
                .unwrap_or_else(|_| unreachable_bounds()),
        )
    }

    /// Adds one latency in microseconds; beyond an hour it counts as an hour.
    pub fn record_micros(&mut self, value: u64) {
        self.0.saturating_record(value.min(HOUR_MICROS));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so nothing is out of range.
        let _ = self.0.add(&other.0);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// How many values there are up to this one, in microseconds.
    pub fn count_up_to(&self, value: u64) -> u64 {
        self.0.count_between(0, value.min(HOUR_MICROS))
    }

    /// The latency below which `share` percent are, in microseconds.
    pub fn percentile(&self, share: f64) -> u64 {
        self.0.value_at_percentile(share)
    }

    /// The longest, in microseconds.
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// The mean, in microseconds.
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// As it travels.
    pub fn sparse(&self) -> Sparse {
        Sparse(
            self.0
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        )
    }

    /// Adds what came from another process.
    pub fn merge_sparse(&mut self, sparse: &Sparse) {
        for (value, count) in &sparse.0 {
            self.0
                .saturating_record_n((*value).min(HOUR_MICROS), *count);
        }
    }
}

fn unreachable_bounds() -> Histogram<u64> {
    unreachable!("1, an hour and 3 digits are bounds that the histogram takes")
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut latency = Latency::new();
        for value in 1..=1_000 {
            latency.record_micros(value);
        }
        assert_eq!(latency.percentile(50.0), 500);
        assert_eq!(latency.percentile(99.0), 990);
        assert_eq!((latency.max(), latency.count()), (1_000, 1_000));
    }

    #[test]
    fn what_travels_is_what_arrives() {
        let mut chance = crate::text::Chance::new(1);
        let (mut here, mut there) = (Latency::new(), Latency::new());
        for _ in 0..5_000 {
            here.record_micros(chance.below(2_000_000));
        }
        let text = serde_json::to_string(&here.sparse()).expect("json");
        there.merge_sparse(&serde_json::from_str(&text).expect("sparse"));
        assert_eq!(there.count(), here.count());
        for share in [1.0, 50.0, 90.0, 99.0, 99.9] {
            assert_eq!(there.percentile(share), here.percentile(share), "{share}");
        }
    }

    #[test]
    fn beyond_an_hour_is_an_hour() {
        let mut latency = Latency::new();
        latency.record_micros(u64::MAX);
        assert_eq!(latency.count(), 1);
        assert!(latency.max() >= HOUR_MICROS);
    }
}
