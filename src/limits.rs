//! Rate limits: how much one address or one key may ask for, by GCRA (governor), in memory that is bounded.
//!
//! Readers are counted by address, publishers by their key alone: so whatever readers at an address do, a publisher there
//! is heard. It knows no HTTP but the one header field that proxies write addresses into.

mod address;
mod cells;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

pub use address::{Address, Proxies};

use self::cells::Cells;
use crate::config::{LimitsConfig, Rate};

/// Changes that a reader may be behind without being counted: whoever was away for a moment.
pub const REPLAY_FREE: u64 = 128;
/// How often idle state is let go of.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Most keys that are counted: more than a key file can have.
const KEYS_MAX: usize = 100_000;

/// All of them.
pub struct Limits {
    proxies: Proxies,
    /// Addresses that nothing is counted for.
    exempt: Vec<ipnet::IpNet>,
    /// Whether addresses are those of readers: behind an unknown proxy they all are the proxy's.
    by_address: bool,
    reads: Option<Limiter<Address>>,
    replays: Option<Limiter<Address>>,
    failures: Option<Limiter<Address>>,
    publishes: Option<Limiter<Arc<str>>>,
    refused: AtomicU64,
}

/// A limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which: a word for header fields.
    pub policy: &'static str,
    /// How much is allowed at once.
    pub burst: u32,
    /// In what time all of that comes back.
    pub window: Duration,
    /// When it is worth asking again.
    pub wait: Duration,
}

struct Limiter<K: std::hash::Hash + Eq + Clone> {
    policy: &'static str,
    quota: Quota,
    limiter: RateLimiter<K, Cells<K>, MonotonicClock, NoOpMiddleware<std::time::Instant>>,
    cells: Cells<K>,
}

impl Limits {
    /// Nobody has asked for anything yet. `by_address` says that peers are readers, or that the proxies are known.
    pub fn new(config: &LimitsConfig, proxies: Proxies, by_address: bool) -> Self {
        let addresses = |policy, rate: Option<Rate>| {
            rate.map(|rate| Limiter::new(policy, rate, config.addresses_max))
        };
        Self {
            proxies,
            exempt: config.exempt.clone(),
            by_address,
            reads: addresses("read", config.reads),
            replays: addresses("replay", config.replays),
            failures: addresses("auth", config.auth_failures),
            publishes: config
                .publishes
                .map(|rate| Limiter::new("publish", rate, KEYS_MAX)),
            refused: AtomicU64::new(0),
        }
    }

    /// Whom a request counts for; none for whom nothing is counted.
    pub fn client(
        &self,
        peer: std::net::IpAddr,
        headers: &axum::http::HeaderMap,
    ) -> Option<Address> {
        let client = self.proxies.client(peer, headers);
        let counted = self.by_address && !self.exempt.iter().any(|net| net.contains(&client));
        counted.then(|| Address::of(client))
    }

    /// Whom a connection counts for before it has said anything; none for proxies, which speak for many.
    pub fn peer(&self, peer: std::net::IpAddr) -> Option<Address> {
        self.client(peer, &axum::http::HeaderMap::new())
            .filter(|_| !self.proxies.are(peer.to_canonical()))
    }

    /// A request of a reader.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn read(&self, address: Address) -> Result<(), Exceeded> {
        self.count(self.reads.as_ref(), &address, 1)
    }

    /// A request under a key that may publish.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn publish(&self, key: &Arc<str>) -> Result<(), Exceeded> {
        self.count(self.publishes.as_ref(), key, 1)
    }

    /// A key, token or ticket that was not good.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn auth_failure(&self, address: Address) -> Result<(), Exceeded> {
        self.count(self.failures.as_ref(), &address, 1)
    }

    /// A replay to a reader that is so many changes behind, and gets so many of them now.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn replay(
        &self,
        address: Option<Address>,
        behind: u64,
        changes: u64,
    ) -> Result<(), Exceeded> {
        match address {
            Some(address) if behind > REPLAY_FREE => {
                let changes = u32::try_from(changes).unwrap_or(u32::MAX);
                self.count(self.replays.as_ref(), &address, changes)
            }
            _ => Ok(()),
        }
    }

    /// How often somebody was refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Lets go of what has not been used for so long that it says nothing any more. Never ends.
    ///
    /// # Cancel safety
    /// Dropping it stops the letting go: the state stays within its bound, and whoever is new then shares one budget.
    pub async fn run(self: Arc<Self>) {
        let mut tick = tokio::time::interval(SWEEP_EVERY);
        loop {
            tick.tick().await;
            for limiter in [&self.reads, &self.replays, &self.failures]
                .into_iter()
                .flatten()
            {
                limiter.cells.sweep();
            }
            if let Some(limiter) = &self.publishes {
                limiter.cells.sweep();
            }
        }
    }

    fn count<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: Option<&Limiter<K>>,
        key: &K,
        amount: u32,
    ) -> Result<(), Exceeded> {
        let Some(limiter) = limiter else {
            return Ok(());
        };
        limiter.take(key, amount).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl<K: std::hash::Hash + Eq + Clone> Limiter<K> {
    fn new(policy: &'static str, rate: Rate, max: usize) -> Self {
        let quota = Quota::with_period(rate.one_per)
            .unwrap_or_else(|| Quota::per_second(rate.burst))
            .allow_burst(rate.burst);
        let cells = Cells::new(max, quota.burst_size_replenished_in());
        Self {
            policy,
            quota,
            limiter: RateLimiter::new(quota, cells.clone(), MonotonicClock),
            cells,
        }
    }

    /// Takes so much, or as much as there can be where that is less.
    fn take(&self, key: &K, amount: u32) -> Result<(), Exceeded> {
        let burst = self.quota.burst_size();
        let amount = NonZeroU32::new(amount)
            .unwrap_or(NonZeroU32::MIN)
            .min(burst);
        let Ok(Err(until)) = self.limiter.check_key_n(key, amount) else {
            return Ok(());
        };
        Err(Exceeded {
            policy: self.policy,
            burst: burst.get(),
            window: self.quota.burst_size_replenished_in(),
            wait: until.wait_time_from(MonotonicClock.now()),
        })
    }
}

impl Exceeded {
    /// Whole seconds to wait, at least one.
    pub fn retry_after_s(&self) -> u64 {
        self.wait.as_secs()
            + u64::from(self.wait.subsec_nanos() > 0).max(u64::from(self.wait.is_zero()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(burst: u32, one_per: Duration) -> Rate {
        Rate {
            burst: NonZeroU32::new(burst).expect("more than none"),
            one_per,
        }
    }

    fn address(last: u8) -> Address {
        Address::of([192, 0, 2, last].into())
    }

    #[test]
    fn a_burst_is_exact_and_each_address_has_its_own() {
        let limiter = Limiter::new("read", rate(5, Duration::from_secs(60)), 10);
        for last in 0..3 {
            for _ in 0..5 {
                limiter.take(&address(last), 1).expect("within the burst");
            }
            let refused = limiter.take(&address(last), 1).expect_err("beyond it");
            assert_eq!(
                (refused.burst, refused.window),
                (5, Duration::from_secs(300))
            );
            assert!((59..=60).contains(&refused.retry_after_s()), "{refused:?}");
        }
    }

    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        let limiter = Limiter::new("read", rate(1_000, Duration::from_secs(3_600)), 10);
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let got = limiter.take(&address(1), 1).is_ok();
                        taken.fetch_add(u64::from(got), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1_000);
    }

    #[test]
    fn an_amount_counts_whole_and_one_beyond_the_burst_counts_as_the_burst() {
        let limiter = Limiter::new("replay", rate(100, Duration::from_secs(60)), 10);
        limiter.take(&address(1), 60).expect("within");
        assert!(limiter.take(&address(1), 60).is_err());
        limiter
            .take(&address(1), 40)
            .expect("the refused one cost nothing");
        limiter
            .take(&address(2), 1_000_000)
            .expect("all there can be");
        assert!(limiter.take(&address(2), 1).is_err());
    }

    #[test]
    fn beyond_the_bound_newcomers_share_one_budget_and_the_others_keep_theirs() {
        let limiter = Limiter::new("read", rate(2, Duration::from_secs(60)), 3);
        for last in 0..3 {
            limiter.take(&address(last), 1).expect("known");
        }
        limiter.take(&address(100), 1).expect("the shared budget");
        limiter.take(&address(101), 1).expect("the shared budget");
        assert!(limiter.take(&address(102), 1).is_err());
        limiter.take(&address(0), 1).expect("its own");
        assert_eq!(limiter.cells.len(), 3);
        limiter.cells.sweep();
        assert_eq!(limiter.cells.len(), 3, "they still say something");
    }

    #[test]
    fn state_that_says_nothing_any_more_is_let_go_of() {
        let limiter = Limiter::new("read", rate(2, Duration::from_nanos(1)), 3);
        for last in 0..3 {
            limiter.take(&address(last), 1).expect("known");
        }
        std::thread::sleep(Duration::from_millis(5));
        limiter.cells.sweep();
        assert_eq!(limiter.cells.len(), 0);
        limiter.take(&address(9), 1).expect("room again");
        assert_eq!(limiter.cells.len(), 1);
    }
}
