//! When to try again: exponential back-off with full jitter, and what the broker asked for.
//!
//! Full jitter (a random pause between nothing and the present limit) keeps a newsroom's tools, or a thousand
//! readers, from coming back in step after an outage. Pure but for the random number; nobody sleeps here.

use std::time::Duration;

use jiff::Timestamp;

/// Longest pause that a `Retry-After` can ask for.
const ASKED_MAX: Duration = Duration::from_secs(120);

/// How often, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first one.
    pub retries: u32,
    /// Limit of the first pause; each further one doubles it.
    pub base: Duration,
    /// Limit of every pause.
    pub max: Duration,
}

impl Retry {
    /// `retries` tries after the first, pauses of up to 0.5, 1, 2 … 30 s.
    pub fn new(retries: u32) -> Self {
        Self {
            retries,
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
        }
    }

    /// The pause before retry number `retry` (from 0): at least what the broker asked for, plus jitter.
    pub fn pause(&self, retry: u32, asked: Option<Duration>) -> Duration {
        self.pause_with(retry, asked, fraction())
    }

    fn pause_with(&self, retry: u32, asked: Option<Duration>, fraction: f64) -> Duration {
        let limit = self
            .base
            .saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX))
            .min(self.max);
        asked.unwrap_or_default().min(ASKED_MAX) + limit.mul_f64(fraction)
    }
}

/// Reads `Retry-After`: seconds, or an HTTP date (RFC 9110, 10.2.3).
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(at.duration_since(now).try_into().unwrap_or_default())
}

/// A random number from 0 to 1; the middle where the system has none to give.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_jitter_down_to_nothing() {
        let retry = Retry::new(9);
        let longest = |n| retry.pause_with(n, None, 1.0).as_millis();
        assert_eq!(
            [0, 1, 2, 5, 6].map(longest),
            [500, 1_000, 2_000, 16_000, 30_000]
        );
        assert_eq!(longest(4_000), 30_000);
        assert_eq!(retry.pause_with(5, None, 0.0), Duration::ZERO);
    }

    #[test]
    fn what_the_broker_asks_for_is_the_least_but_not_for_ever() {
        let retry = Retry::new(9);
        let asked = |secs| {
            retry
                .pause_with(0, Some(Duration::from_secs(secs)), 0.0)
                .as_secs()
        };
        assert_eq!(asked(7), 7);
        assert_eq!(asked(86_400), 120);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-24T09:00:00Z".parse().expect("time");
        let read = |text| parse_retry_after(text, now).map(|pause| pause.as_secs());
        assert_eq!(read("12"), Some(12));
        assert_eq!(read("Tue, 24 Nov 2026 09:00:30 GMT"), Some(30));
        assert_eq!(read("Tue, 24 Nov 2026 08:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-3"), None);
    }
}
