//! The settings as they are written down: the shape of a configuration file, and every default.
//!
//! Whole numbers are TOML's own 64-bit integers here, so that a negative one is met by the bounds of its setting and
//! not by a type. What depends on the machine has no value before [`Form::settle`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::limits::{LimitsForm, MemoryForm, networks};
use super::tokens::TokensForm;
use super::{
    Config, HttpConfig, LogConfig, Machine, NatsConfig, PagesConfig, RingConfig, TlsConfig,
    TopicsConfig, WsConfig, machine,
};
use crate::telemetry::LogFormat;

/// Most connections where nothing is said and the machine allows more.
const CONNECTIONS: u64 = 100_000;
/// Connections that no reader may take where nothing is said, and the share of all that they are at the most.
const RESERVED: i64 = 256;
const RESERVED_SHARE: i64 = 4;

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Form {
    pub data_dir: String,
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "address")]
    pub admin_listen: SocketAddr,
    pub behind_proxy: bool,
    pub admin_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    pub origins: Vec<String>,
    pub shards: Option<i64>,
    pub drain_ms: i64,
    pub demo: bool,
    pub engine: Engine,
    pub nats: NatsForm,
    pub tls: TlsForm,
    pub http: HttpForm,
    pub topics: TopicsForm,
    pub pages: PagesForm,
    pub ring: RingForm,
    pub websocket: WsForm,
    pub memory: MemoryForm,
    pub limits: LimitsForm,
    pub tokens: TokensForm,
    pub log: LogForm,
}

/// What keeps the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    /// A database in the data folder.
    #[default]
    Sqlite,
    /// A log that several nodes share.
    Nats,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NatsForm {
    pub servers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    pub prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    pub connect_timeout_ms: i64,
    pub append_timeout_ms: i64,
    pub stale_after_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_loss: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub handshake_timeout_ms: i64,
    pub reload_every_ms: i64,
    pub hsts_s: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpForm {
    pub connections_max: Option<i64>,
    pub reserved_for_publishers: Option<i64>,
    pub body_bytes_max: i64,
    pub batch_bytes_max: i64,
    pub body_timeout_ms: i64,
    pub header_timeout_ms: i64,
    pub wait_max_ms: i64,
    pub sse_heartbeat_ms: i64,
    pub sse_retry_ms: i64,
    pub trusted_proxies: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TopicsForm {
    pub max: i64,
    pub idle_ms: i64,
    pub auto_create: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PagesForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RingForm {
    pub frames_max: i64,
    pub bytes_max: i64,
    pub page_bytes_max: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WsForm {
    pub topics_per_connection_max: i64,
    pub message_bytes_max: i64,
    pub first_subscribe_ms: i64,
    pub ping_every_ms: i64,
    pub pong_within_ms: i64,
    pub stall_max_ms: i64,
    pub deflate: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogForm {
    pub format: LogFormat,
    pub level: String,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            data_dir: "tenbells-data".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7010)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7011)),
            behind_proxy: false,
            admin_public: false,
            public_url: None,
            origins: Vec::new(),
            shards: None,
            drain_ms: 10_000,
            demo: false,
            engine: Engine::default(),
            nats: NatsForm::default(),
            tls: TlsForm::default(),
            http: HttpForm::default(),
            topics: TopicsForm::default(),
            pages: PagesForm::default(),
            ring: RingForm::default(),
            websocket: WsForm::default(),
            memory: MemoryForm::default(),
            limits: LimitsForm::default(),
            tokens: TokensForm::default(),
            log: LogForm::default(),
        }
    }
}

impl Default for NatsForm {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            credentials: None,
            ca: None,
            prefix: "tenbells".to_owned(),
            node: None,
            replicas: None,
            connect_timeout_ms: 30_000,
            append_timeout_ms: 10_000,
            stale_after_ms: 5_000,
            accept_loss: None,
        }
    }
}

impl Default for TlsForm {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            handshake_timeout_ms: 5_000,
            reload_every_ms: 60_000,
            hsts_s: 2_592_000,
        }
    }
}

impl Default for HttpForm {
    fn default() -> Self {
        Self {
            connections_max: None,
            reserved_for_publishers: None,
            body_bytes_max: 256 << 10,
            batch_bytes_max: 8 << 20,
            body_timeout_ms: 10_000,
            header_timeout_ms: 5_000,
            wait_max_ms: 60_000,
            sse_heartbeat_ms: 15_000,
            sse_retry_ms: 2_000,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for TopicsForm {
    fn default() -> Self {
        Self {
            max: 10_000,
            idle_ms: 300_000,
            auto_create: true,
        }
    }
}

impl Default for RingForm {
    fn default() -> Self {
        Self {
            frames_max: 1_024,
            bytes_max: 8 << 20,
            page_bytes_max: 64 << 20,
        }
    }
}

impl Default for WsForm {
    fn default() -> Self {
        Self {
            topics_per_connection_max: 32,
            message_bytes_max: 4_096,
            first_subscribe_ms: 10_000,
            ping_every_ms: 25_000,
            pong_within_ms: 10_000,
            stall_max_ms: 60_000,
            deflate: true,
        }
    }
}

impl Default for LogForm {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

impl Form {
    /// Gives a value to every setting whose default depends on the machine.
    pub fn settle(&mut self, machine: Machine) {
        let threads = i64::try_from(machine.cores).unwrap_or(i64::MAX);
        self.shards.get_or_insert(threads.clamp(1, 1_024));
        let allowed = machine.connections_max().unwrap_or(CONNECTIONS);
        // At least 1, so that it is the check against the machine that refuses a machine which is too small.
        let connections = i64::try_from(allowed.clamp(1, CONNECTIONS)).unwrap_or(i64::MAX);
        let connections = *self.http.connections_max.get_or_insert(connections);
        self.http
            .reserved_for_publishers
            .get_or_insert(RESERVED.min(connections / RESERVED_SHARE));
    }

    /// The configuration that a settled and checked form stands for.
    pub fn config(&self) -> Config {
        Config {
            data_dir: PathBuf::from(&self.data_dir),
            listen: self.listen,
            admin_listen: self.admin_listen,
            public_url: self
                .public_url
                .as_ref()
                .map(|url| url.trim_end_matches('/').to_owned()),
            shards: number(self.shards.unwrap_or(1)),
            drain: duration(self.drain_ms),
            origins: self.origins.clone(),
            demo: self.demo,
            behind_proxy: self.behind_proxy,
            nats: (self.engine == Engine::Nats).then(|| self.nats.config(self.listen)),
            tls: self.tls.config(),
            http: self.http.config(),
            topics: TopicsConfig {
                max: number(self.topics.max),
                idle: duration(self.topics.idle_ms),
                auto_create: self.topics.auto_create,
            },
            pages: PagesConfig {
                templates: self.pages.templates.as_ref().map(PathBuf::from),
            },
            ring: RingConfig {
                frames_max: number(self.ring.frames_max),
                bytes_max: number(self.ring.bytes_max),
                page_bytes_max: number(self.ring.page_bytes_max),
            },
            websocket: WsConfig {
                topics_per_connection_max: number(self.websocket.topics_per_connection_max),
                message_bytes_max: number(self.websocket.message_bytes_max),
                first_subscribe: duration(self.websocket.first_subscribe_ms),
                ping_every: duration(self.websocket.ping_every_ms),
                pong_within: duration(self.websocket.pong_within_ms),
                stall_max: duration(self.websocket.stall_max_ms),
                deflate: self.websocket.deflate,
            },
            memory: self.memory.config(),
            limits: self.limits.config(),
            tokens: self.tokens.config(),
            log: LogConfig {
                format: self.log.format,
                level: self.log.level.clone(),
            },
        }
    }
}

impl NatsForm {
    fn config(&self, listen: SocketAddr) -> NatsConfig {
        NatsConfig {
            servers: self.servers.clone(),
            credentials: self.credentials.as_ref().map(PathBuf::from),
            ca: self.ca.as_ref().map(PathBuf::from),
            prefix: self.prefix.clone(),
            node: self
                .node
                .clone()
                .unwrap_or_else(|| machine::node_name(listen.port())),
            replicas: self.replicas.map(number),
            connect_timeout: duration(self.connect_timeout_ms),
            append_timeout: duration(self.append_timeout_ms),
            stale_after: duration(self.stale_after_ms),
            accept_loss: self.accept_loss.map(i64::unsigned_abs),
        }
    }
}

impl TlsForm {
    fn config(&self) -> Option<TlsConfig> {
        Some(TlsConfig {
            certificate: PathBuf::from(self.certificate.as_ref()?),
            key: PathBuf::from(self.key.as_ref()?),
            handshake_timeout: duration(self.handshake_timeout_ms),
            reload_every: duration(self.reload_every_ms),
            hsts: Duration::from_secs(self.hsts_s.unsigned_abs()),
        })
    }
}

impl HttpForm {
    fn config(&self) -> HttpConfig {
        HttpConfig {
            connections_max: number(self.connections_max.unwrap_or(1)),
            reserved_for_publishers: number(self.reserved_for_publishers.unwrap_or(0)),
            body_bytes_max: number(self.body_bytes_max),
            batch_bytes_max: number(self.batch_bytes_max),
            body_timeout: duration(self.body_timeout_ms),
            header_timeout: duration(self.header_timeout_ms),
            wait_max: duration(self.wait_max_ms),
            sse_heartbeat: duration(self.sse_heartbeat_ms),
            sse_retry: duration(self.sse_retry_ms),
            trusted_proxies: networks(&self.trusted_proxies),
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| {
        D::Error::custom(
            "an address is an IP address with a port, such as 127.0.0.1:7010 or [::1]:7010",
        )
    })
}

/// A number within its bounds, none of which is negative.
pub(super) fn number(checked: i64) -> usize {
    usize::try_from(checked).unwrap_or(usize::MAX)
}

pub(super) fn duration(checked_ms: i64) -> Duration {
    Duration::from_millis(checked_ms.unsigned_abs())
}
