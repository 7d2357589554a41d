//! What readers gather: deliveries, latencies, what happened when, and what every change looked like.

use serde::{Deserialize, Serialize};

use crate::check::Violations;
use crate::latency::{Latency, Sparse};

/// One second of deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The second, on the machine's monotonic clock.
    pub second: u64,
    /// Changes delivered in it.
    pub deliveries: u64,
    /// The longest delivery in it, in microseconds.
    pub slowest_us: u64,
}

/// One change, as the readers of one thread, or of all, saw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Number of its topic.
    pub topic: u32,
    /// Its offset.
    pub offset: u64,
    /// When it was meant to be sent; 0 where its id does not say.
    pub intended_us: u64,
    /// Fingerprint of its bytes.
    pub fingerprint: u64,
    /// How many readers got it.
    pub readers: u64,
    /// When the last one got it.
    pub last_us: u64,
}

/// What was gathered since the last telling.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Changes delivered.
    pub deliveries: u64,
    /// Bytes of them, with their frame headers.
    pub bytes: u64,
    /// When the last reader reached the target; 0 where none was set or reached.
    pub reached_us: u64,
    /// When the last subscription began to stand; 0 where none did.
    pub stood_us: u64,
    /// What was wrong.
    pub violations: Violations,
    /// From the connection's start to the standing subscription.
    #[serde(with = "travel")]
    pub connect: Latency,
    /// From the intended send time to the delivery.
    #[serde(with = "travel")]
    pub delivery: Latency,
    /// From a connection's start to the target's head.
    #[serde(with = "travel")]
    pub recovery: Latency,
    /// Second by second.
    pub buckets: Vec<Bucket>,
    /// Change by change.
    pub seen: Vec<Seen>,
}

impl Tally {
    /// Counts one delivery of `bytes` at `now_us`, of a change that was meant to be sent at `intended_us`.
    #[inline]
    pub fn deliver(&mut self, now_us: u64, intended_us: u64, bytes: u64) {
        self.deliveries += 1;
        self.bytes += bytes;
        let mut latency = 0;
        if intended_us > 0 {
            latency = now_us.saturating_sub(intended_us);
            self.delivery.record_micros(latency);
        }
        let second = now_us / 1_000_000;
        match self.buckets.last_mut() {
            Some(bucket) if bucket.second == second => {
                bucket.deliveries += 1;
                bucket.slowest_us = bucket.slowest_us.max(latency);
            }
            _ => self.buckets.push(Bucket {
                second,
                deliveries: 1,
                slowest_us: latency,
            }),
        }
    }

    /// Adds another thread's or process's: the same change must have looked the same there.
    pub fn merge(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.reached_us = self.reached_us.max(other.reached_us);
        self.stood_us = self.stood_us.max(other.stood_us);
        self.violations.merge(&other.violations);
        self.connect.merge(&other.connect);
        self.delivery.merge(&other.delivery);
        self.recovery.merge(&other.recovery);
        self.buckets.extend_from_slice(&other.buckets);
        self.buckets.sort_by_key(|bucket| bucket.second);
        self.buckets.dedup_by(|later, kept| {
            let same = later.second == kept.second;
            if same {
                kept.deliveries += later.deliveries;
                kept.slowest_us = kept.slowest_us.max(later.slowest_us);
            }
            same
        });
        self.seen.extend_from_slice(&other.seen);
        self.seen.sort_by_key(|seen| (seen.topic, seen.offset));
        let violations = &mut self.violations;
        self.seen.dedup_by(|later, kept| {
            let same = (later.topic, later.offset) == (kept.topic, kept.offset);
            if same {
                if later.fingerprint != kept.fingerprint {
                    violations.divergent += 1;
                    violations.example(|| format!("offset {} has two contents", kept.offset));
                }
                kept.readers += later.readers;
                kept.last_us = kept.last_us.max(later.last_us);
            }
            same
        });
    }
}

mod travel {
    use super::{Latency, Sparse};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(latency: &Latency, serializer: S) -> Result<S::Ok, S::Error> {
        latency.sparse().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Latency, D::Error> {
        let mut latency = Latency::new();
        latency.merge_sparse(&Sparse::deserialize(deserializer)?);
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(offset: u64, fingerprint: u64) -> Seen {
        Seen {
            offset,
            fingerprint,
            readers: 2,
            last_us: offset,
            ..Seen::default()
        }
    }

    #[test]
    fn equal_changes_are_put_together() {
        let mut one = Tally::default();
        one.deliver(1_500_000, 1_400_000, 10);
        one.seen = vec![seen(1, 7), seen(2, 8)];
        let mut all = one.clone();
        let text = serde_json::to_string(&one).expect("json");
        all.merge(&serde_json::from_str(&text).expect("tally"));
        assert_eq!(
            (all.deliveries, all.bytes, all.delivery.count()),
            (2, 20, 2)
        );
        assert_eq!(all.buckets.len(), 1);
        assert_eq!((all.seen.len(), all.seen[0].readers), (2, 4));
        assert_eq!(all.violations.total(), 0);
    }

    #[test]
    fn two_contents_at_one_offset_are_found() {
        let mut one = Tally {
            seen: vec![seen(1, 7)],
            ..Tally::default()
        };
        one.merge(&Tally {
            seen: vec![seen(1, 9)],
            ..Tally::default()
        });
        assert_eq!(one.violations.divergent, 1);
    }
}
