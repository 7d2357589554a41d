//! `[limits]`, `[memory]` and `http.trusted_proxies`: how much one address or key may ask for, and when readers give way.
//! Form, defaults and checks in one place.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::check::refused;
use super::form::number;
use super::settings::Layers;
use super::{ConfigError, LimitsConfig, MemoryConfig, Rate};

/// Most networks on a list: it is gone through at every request.
const NETWORKS_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsForm {
    pub exempt: Vec<String>,
    pub addresses_max: i64,
    pub reads_per_s: i64,
    pub reads_burst: i64,
    pub replays_per_s: i64,
    pub replays_burst: i64,
    pub auth_failures_per_min: i64,
    pub auth_failures_burst: i64,
    pub publishes_per_s: i64,
    pub publishes_burst: i64,
}

impl Default for LimitsForm {
    fn default() -> Self {
        Self {
            exempt: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            addresses_max: 100_000,
            reads_per_s: 200,
            reads_burst: 4_000,
            replays_per_s: 10_000,
            replays_burst: 200_000,
            auth_failures_per_min: 60,
            auth_failures_burst: 60,
            publishes_per_s: 100,
            publishes_burst: 1_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MemoryForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<i64>,
    pub refuse_percent: i64,
    pub drop_percent: i64,
    pub close_percent: i64,
}

impl Default for MemoryForm {
    fn default() -> Self {
        Self {
            limit_bytes: None,
            refuse_percent: 80,
            drop_percent: 88,
            close_percent: 95,
        }
    }
}

impl MemoryForm {
    /// The configuration that a checked form stands for.
    pub(super) fn config(&self) -> MemoryConfig {
        MemoryConfig {
            limit_bytes: self.limit_bytes.map(i64::unsigned_abs),
            refuse_percent: self.refuse_percent.unsigned_abs(),
            drop_percent: self.drop_percent.unsigned_abs(),
            close_percent: self.close_percent.unsigned_abs(),
        }
    }
}

impl LimitsForm {
    /// The configuration that a checked form stands for.
    pub(super) fn config(&self) -> LimitsConfig {
        let second = Duration::from_secs(1);
        LimitsConfig {
            exempt: networks(&self.exempt),
            addresses_max: number(self.addresses_max),
            reads: rate(self.reads_per_s, second, self.reads_burst),
            replays: rate(self.replays_per_s, second, self.replays_burst),
            auth_failures: rate(
                self.auth_failures_per_min,
                60 * second,
                self.auth_failures_burst,
            ),
            publishes: rate(self.publishes_per_s, second, self.publishes_burst),
        }
    }
}

/// None for a limit that is turned off.
fn rate(count: i64, per: Duration, burst: i64) -> Option<Rate> {
    let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
    Some(Rate {
        one_per: per / count,
        burst: u32::try_from(burst).ok().and_then(NonZeroU32::new)?,
    })
}

/// The networks of a checked list.
pub(super) fn networks(list: &[String]) -> Vec<IpNet> {
    list.iter().filter_map(|text| network(text)).collect()
}

/// A network, or one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| {
        text.parse()
            .ok()
            .map(|ip: std::net::IpAddr| IpNet::from(ip))
    })
}

/// Checks the two lists of networks, and that steps come one after the other.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    let memory = &layers.form.memory;
    for (key, value, other, least) in [
        (
            "memory.drop_percent",
            memory.drop_percent,
            "memory.refuse_percent",
            memory.refuse_percent,
        ),
        (
            "memory.close_percent",
            memory.close_percent,
            "memory.drop_percent",
            memory.drop_percent,
        ),
    ] {
        if value < least {
            let reason = format!(
                "which is less than {other}, {least} ({}): the milder step comes first",
                layers.origin(other)
            );
            return Err(refused(layers, key, value, reason));
        }
    }
    for (key, list) in [
        ("limits.exempt", &layers.form.limits.exempt),
        ("http.trusted_proxies", &layers.form.http.trusted_proxies),
    ] {
        if list.len() > NETWORKS_MAX {
            let value = format!("{} networks long", list.len());
            let reason = format!("the limit is {NETWORKS_MAX}");
            return Err(refused(layers, key, value, reason));
        }
        for text in list {
            let Some(network) = network(text) else {
                let value = format!("a list with {text:?}");
                let reason =
                    "which is no address and no network such as 10.0.0.0/8 or 2001:db8::/32";
                return Err(refused(layers, key, value, reason));
            };
            if key == "http.trusted_proxies" && network.prefix_len() == 0 {
                let value = format!("a list with {text:?}");
                let reason = "which trusts everybody to say who they are: name the proxies";
                return Err(refused(layers, key, value, reason));
            }
        }
    }
    Ok(())
}
