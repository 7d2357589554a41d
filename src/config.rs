//! The configuration: what a default, a file, the environment and the command line say, made into one checked [`Config`].
//!
//! In two stages. [`Settings`] gathers the four layers, each of which goes before the one above, remembers where every
//! setting came from, and refuses what is unknown, out of bounds or unsafe. [`Config`] is what the rest of the crate
//! sees: plain values, in the types it computes with. Nothing here opens the data folder or a socket.

mod bounds;
mod check;
mod error;
mod form;
mod limits;
mod machine;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, Origin};
pub use machine::Machine;
pub use settings::{Flag, Settings, Sources};

use ipnet::IpNet;

use crate::telemetry::LogFormat;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder with everything that is kept.
    pub data_dir: PathBuf,
    /// Where publishers and readers connect.
    pub listen: SocketAddr,
    /// Where health and metrics are.
    pub admin_listen: SocketAddr,
    /// `https://host` for absolute links, without a slash at its end; relative links where there is none.
    pub public_url: Option<String>,
    /// Threads that serve readers.
    pub shards: usize,
    /// How long stopping may take.
    pub drain: Duration,
    /// Origins whose pages may read, beside the broker's own.
    pub origins: Vec<String>,
    /// Whether a sample blog is played.
    pub demo: bool,
    /// Whether a proxy in front does TLS.
    pub behind_proxy: bool,
    /// The log that this node shares with others; its own alone where there is none.
    pub nats: Option<NatsConfig>,
    /// TLS of the public listener; plain HTTP where there is none.
    pub tls: Option<TlsConfig>,
    /// The public listener.
    pub http: HttpConfig,
    /// Topics.
    pub topics: TopicsConfig,
    /// Pages.
    pub pages: PagesConfig,
    /// What is kept in memory for readers that are behind.
    pub ring: RingConfig,
    /// WebSockets.
    pub websocket: WsConfig,
    /// When readers give way to memory that runs short.
    pub memory: MemoryConfig,
    /// How much one address or key may ask for.
    pub limits: LimitsConfig,
    /// Reader tokens.
    pub tokens: TokensConfig,
    /// Log lines.
    pub log: LogConfig,
}

/// When readers give way to memory that runs short, in percent of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryConfig {
    /// The limit, in bytes; none for what the machine and its containers set.
    pub limit_bytes: Option<u64>,
    /// From where on there are no new readers.
    pub refuse_percent: u64,
    /// From where on those that are far behind go.
    pub drop_percent: u64,
    /// From where on a share of all readers goes.
    pub close_percent: u64,
}

/// The log that several nodes share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// The servers, as `nats://host:port`.
    pub servers: Vec<String>,
    /// File with the credentials of a NATS user.
    pub credentials: Option<PathBuf>,
    /// File with the authority of the servers' certificates; TLS is required then.
    pub ca: Option<PathBuf>,
    /// The first part of all subjects; in capitals the name of the stream.
    pub prefix: String,
    /// The name of this node.
    pub node: String,
    /// Replicas of the streams where they are made; none leaves it to the number of servers.
    pub replicas: Option<usize>,
    /// How long the servers may take at the start.
    pub connect_timeout: Duration,
    /// How long a write may take.
    pub append_timeout: Duration,
    /// How long nothing may be heard of the log until this node counts as cut off.
    pub stale_after: Duration,
    /// The sequence of a lost record that this node may put behind although another node, which does not answer, may have it.
    pub accept_loss: Option<u64>,
}

/// How much one address or key may ask for; what is none has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Networks whose addresses are not counted.
    pub exempt: Vec<IpNet>,
    /// Most addresses that are counted, each.
    pub addresses_max: usize,
    /// Requests of readers, by address.
    pub reads: Option<Rate>,
    /// Changes replayed to readers that are far behind, by address.
    pub replays: Option<Rate>,
    /// Keys, tokens and tickets that are not good, by address.
    pub auth_failures: Option<Rate>,
    /// Requests under a key that may publish, by key.
    pub publishes: Option<Rate>,
}

/// So many at once, and one more each so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In what time one comes back.
    pub one_per: Duration,
    /// Most at once.
    pub burst: NonZeroU32,
}

/// Reader tokens, and the tickets that stand for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensConfig {
    /// Whose tokens are believed.
    pub issuers: Vec<IssuerConfig>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How far ahead a token's end may be.
    pub lifetime_max: Duration,
    /// File with what was revoked.
    pub revocations: Option<PathBuf>,
    /// How often the keys of an issuer are read or fetched anew.
    pub jwks_refresh: Duration,
    /// How long a fetch of keys may take.
    pub jwks_timeout: Duration,
    /// Shortest time between two fetches of one issuer's keys, whoever asks.
    pub jwks_gap: Duration,
    /// Most tickets within a minute.
    pub tickets_max: usize,
}

/// Somebody whose tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Its `iss`, exactly.
    pub issuer: String,
    /// What has to be in `aud`.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Globs of what its tokens can grant at the most.
    pub topics: Vec<String>,
    /// The claim that grants topics.
    pub topics_claim: String,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A key set behind this URL.
    Url(String),
    /// A file with a key set.
    File(PathBuf),
    /// A file with a secret for HS256.
    Secret(PathBuf),
}

/// TLS of the public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// File with the certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// File with its private key, PEM.
    pub key: PathBuf,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How often it is looked whether the files changed.
    pub reload_every: Duration,
    /// How long browsers are told to use nothing but https for this host; zero says nothing.
    pub hsts: Duration,
}

/// Bounds of the public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Most connections, WebSockets included.
    pub connections_max: usize,
    /// How many of them no reader may take; fewer than [`HttpConfig::connections_max`].
    pub reserved_for_publishers: usize,
    /// Longest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Longest body of a batch, in bytes.
    pub batch_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a request's head may take to arrive, and a connection be idle between requests.
    pub header_timeout: Duration,
    /// Longest wait of a long poll.
    pub wait_max: Duration,
    /// How often an event stream without changes gets a comment.
    pub sse_heartbeat: Duration,
    /// When a reader of an event stream is told to come back.
    pub sse_retry: Duration,
    /// Networks of proxies that are believed about whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
}

/// Bounds of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicsConfig {
    /// Most topics.
    pub max: usize,
    /// How long a topic without readers stays in memory.
    pub idle: Duration,
    /// Whether a publisher may make a topic by its first publish.
    pub auto_create: bool,
}

/// How pages look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagesConfig {
    /// Folder with a newsroom's own templates, in place of built-in ones of the same name.
    pub templates: Option<PathBuf>,
}

/// Bounds of what is kept in memory for readers that are behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingConfig {
    /// Most changes in a topic's ring.
    pub frames_max: usize,
    /// Most bytes in a topic's ring.
    pub bytes_max: usize,
    /// Most bytes of pages read from the store, for all topics together.
    pub page_bytes_max: usize,
}

/// Bounds of a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsConfig {
    /// Most topics of one connection.
    pub topics_per_connection_max: usize,
    /// Longest message from a reader, in bytes.
    pub message_bytes_max: usize,
    /// How long the first subscribe may take.
    pub first_subscribe: Duration,
    /// How often a quiet reader is pinged.
    pub ping_every: Duration,
    /// How long the answer to a ping may take.
    pub pong_within: Duration,
    /// How long a reader may take nothing of what is sent to it.
    pub stall_max: Duration,
    /// Whether readers that ask for it get compressed messages.
    pub deflate: bool,
}

/// How log lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// A level, or a filter such as `info,tenbells::store=debug`.
    pub level: String,
}

impl Config {
    /// A configuration file with every setting, its default, its unit and its bounds.
    pub fn example() -> &'static str {
        include_str!("../docs/config.example.toml")
    }
}

impl Default for Config {
    /// The configuration of a server that was told nothing, on this machine.
    fn default() -> Self {
        Settings::defaults(Machine::this()).config()
    }
}
