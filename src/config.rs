//! stub
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
/// s
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub public_url: Option<String>,
    pub shards: usize,
    pub drain: Duration,
    pub origins: Vec<String>,
    pub demo: bool,
    pub http: HttpConfig,
    pub topics: TopicsConfig,
    pub ring: RingConfig,
    pub websocket: WsConfig,
    pub log: LogConfig,
    pub behind_proxy: bool,
}
/// s
#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub connections_max: usize,
    pub reserved_for_publishers: usize,
    pub body_bytes_max: usize,
    pub batch_bytes_max: usize,
    pub body_timeout: Duration,
    pub header_timeout: Duration,
    pub wait_max: Duration,
    pub sse_heartbeat: Duration,
    pub sse_retry: Duration,
}
/// s
#[derive(Debug, Clone)]
pub struct TopicsConfig {
    pub max: usize,
    pub idle: Duration,
    pub auto_create: bool,
}
/// s
#[derive(Debug, Clone)]
pub struct RingConfig {
    pub frames_max: usize,
    pub bytes_max: usize,
    pub page_bytes_max: usize,
}
/// s
#[derive(Debug, Clone)]
pub struct WsConfig {
    pub topics_per_connection_max: usize,
    pub message_bytes_max: usize,
    pub first_subscribe: Duration,
    pub ping_every: Duration,
    pub pong_within: Duration,
    pub stall_max: Duration,
}
/// s
#[derive(Debug, Clone)]
pub struct LogConfig {
    pub format: crate::telemetry::LogFormat,
    pub level: String,
}
impl Default for Config {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            data_dir: "tenbells-data".into(),
            listen: ([127, 0, 0, 1], 7010).into(),
            admin_listen: ([127, 0, 0, 1], 7011).into(),
            public_url: None,
            shards: 2,
            drain: s(10),
            origins: vec![],
            demo: false,
            behind_proxy: false,
            http: HttpConfig {
                connections_max: 19000,
                reserved_for_publishers: 256,
                body_bytes_max: 256 * 1024,
                batch_bytes_max: 8 << 20,
                body_timeout: s(10),
                header_timeout: s(5),
                wait_max: s(60),
                sse_heartbeat: s(15),
                sse_retry: s(2),
            },
            topics: TopicsConfig {
                max: 10000,
                idle: s(300),
                auto_create: true,
            },
            ring: RingConfig {
                frames_max: 1024,
                bytes_max: 8 << 20,
                page_bytes_max: 64 << 20,
            },
            websocket: WsConfig {
                topics_per_connection_max: 32,
                message_bytes_max: 4096,
                first_subscribe: s(10),
                ping_every: s(25),
                pong_within: s(10),
                stall_max: s(60),
            },
            log: LogConfig {
                format: Default::default(),
                level: "info".into(),
            },
        }
    }
}
