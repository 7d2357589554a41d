//! Every setting by its name, with its kind and its bounds: the table that files, variables and flags are read by.
//!
//! The values themselves stand in the form (`form.rs`); a test keeps the two and the example file in step.

use Kind::{Integer, List, Switch, Tables, Text};

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its name in a file, with its table: `http.connections_max`.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number within bounds, both included.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// What it counts.
        unit: &'static str,
    },
    /// `true` or `false`.
    Switch,
    /// Text; an address, a path and a choice as well.
    Text,
    /// A list of texts; with commas between them in a variable.
    List,
    /// A list of tables, which a file alone can say.
    Tables,
}

const KIB: i64 = 1_024;
const MIB: i64 = 1_024 * KIB;
const GIB: i64 = 1_024 * MIB;
const MILLION: i64 = 1_000_000;
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// More than a log ever has.
const SEQUENCE_MAX: i64 = 1_000_000_000_000_000;

/// Every setting.
pub(super) const SETTINGS: &[Setting] = &[
    setting("data_dir", Text),
    setting("listen", Text),
    setting("admin_listen", Text),
    setting("behind_proxy", Switch),
    setting("admin_public", Switch),
    setting("public_url", Text),
    setting("origins", List),
    setting("shards", count(1, 1_024, "threads")),
    setting("drain_ms", ms(0, 10 * MINUTE_MS)),
    setting("demo", Switch),
    setting("http.connections_max", count(1, 1_000_000, "connections")),
    setting(
        "http.reserved_for_publishers",
        count(0, 100_000, "connections"),
    ),
    setting("http.body_bytes_max", bytes(KIB, 8 * MIB)),
    setting("http.batch_bytes_max", bytes(KIB, 256 * MIB)),
    setting("http.body_timeout_ms", ms(100, 10 * MINUTE_MS)),
    setting("http.header_timeout_ms", ms(100, 10 * MINUTE_MS)),
    setting("http.wait_max_ms", ms(SECOND_MS, 10 * MINUTE_MS)),
    setting("http.sse_heartbeat_ms", ms(SECOND_MS, 5 * MINUTE_MS)),
    setting("http.sse_retry_ms", ms(100, MINUTE_MS)),
    setting("http.trusted_proxies", List),
    setting("topics.max", count(1, 1_000_000, "topics")),
    setting("topics.idle_ms", ms(SECOND_MS, DAY_MS)),
    setting("topics.auto_create", Switch),
    setting("pages.templates", Text),
    setting("ring.frames_max", count(16, 1_000_000, "changes")),
    setting("ring.bytes_max", bytes(64 * KIB, GIB)),
    setting("ring.page_bytes_max", bytes(MIB, 64 * GIB)),
    setting(
        "websocket.topics_per_connection_max",
        count(1, 1_000, "topics"),
    ),
    setting("websocket.message_bytes_max", bytes(256, MIB)),
    setting("websocket.first_subscribe_ms", ms(100, 5 * MINUTE_MS)),
    setting("websocket.ping_every_ms", ms(SECOND_MS, 10 * MINUTE_MS)),
    setting("websocket.pong_within_ms", ms(100, 5 * MINUTE_MS)),
    setting("websocket.stall_max_ms", ms(SECOND_MS, 10 * MINUTE_MS)),
    setting("websocket.deflate", Switch),
    setting("engine", Text),
    setting("nats.servers", List),
    setting("nats.credentials", Text),
    setting("nats.ca", Text),
    setting("nats.prefix", Text),
    setting("nats.node", Text),
    setting("nats.replicas", count(1, 5, "replicas")),
    setting("nats.connect_timeout_ms", ms(SECOND_MS, 60 * MINUTE_MS)),
    setting("nats.append_timeout_ms", ms(SECOND_MS, MINUTE_MS)),
    setting("nats.stale_after_ms", ms(2 * SECOND_MS, 5 * MINUTE_MS)),
    setting("nats.accept_loss", count(1, SEQUENCE_MAX, "as a sequence")),
    setting("tls.certificate", Text),
    setting("tls.key", Text),
    setting("tls.handshake_timeout_ms", ms(100, MINUTE_MS)),
    setting("tls.reload_every_ms", ms(SECOND_MS, DAY_MS)),
    setting("tls.hsts_s", count(0, 63_072_000, "s")),
    setting("memory.limit_bytes", bytes(16 * MIB, 16 * 1_024 * GIB)),
    setting("memory.refuse_percent", count(1, 100, "percent")),
    setting("memory.drop_percent", count(1, 100, "percent")),
    setting("memory.close_percent", count(1, 100, "percent")),
    setting("limits.exempt", List),
    setting(
        "limits.addresses_max",
        count(1_000, 10_000_000, "addresses"),
    ),
    setting("limits.reads_per_s", count(0, MILLION, "requests")),
    setting("limits.reads_burst", count(1, MILLION, "requests")),
    setting("limits.replays_per_s", count(0, 100 * MILLION, "changes")),
    setting("limits.replays_burst", count(1, 100 * MILLION, "changes")),
    setting(
        "limits.auth_failures_per_min",
        count(0, MILLION, "failures"),
    ),
    setting("limits.auth_failures_burst", count(1, MILLION, "failures")),
    setting("limits.publishes_per_s", count(0, MILLION, "requests")),
    setting("limits.publishes_burst", count(1, MILLION, "requests")),
    setting("tokens.leeway_s", count(0, 120, "s")),
    setting("tokens.lifetime_max_s", count(60, 31_536_000, "s")),
    setting("tokens.revocations", Text),
    setting("tokens.jwks_refresh_s", count(60, 86_400, "s")),
    setting("tokens.jwks_timeout_ms", ms(100, 30 * SECOND_MS)),
    setting("tokens.tickets_max", count(16, 1_000_000, "tickets")),
    setting("tokens.issuers", Tables),
    setting("log.format", Text),
    setting("log.level", Text),
];

impl Setting {
    /// The setting of this name.
    pub fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable that sets it: `TENBELLS_HTTP_CONNECTIONS_MAX`.
    pub fn variable(&self) -> String {
        format!("TENBELLS_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The table it stands in, if any, and its name there.
    pub fn path(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((table, name)) => (Some(table), name),
            None => (None, self.key),
        }
    }
}

const fn setting(key: &'static str, kind: Kind) -> Setting {
    Setting { key, kind }
}

const fn count(min: i64, max: i64, unit: &'static str) -> Kind {
    Integer { min, max, unit }
}

const fn bytes(min: i64, max: i64) -> Kind {
    count(min, max, "bytes")
}

const fn ms(min: i64, max: i64) -> Kind {
    count(min, max, "ms")
}
