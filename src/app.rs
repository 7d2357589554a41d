//! Composition: a configuration becomes a store, a broker, the fan-out and two listeners, which run until the order to
//! stop. The only file that names a concrete store.
//!
//! Stopping goes from the outside in: no new connection, readers told when to come back, open requests finished, the
//! store closed last. A store that fails stops the server: it must not look alive while it keeps nothing.

mod engine;
mod readings;
mod shared_keys;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::engine::Engine;
pub(crate) use self::engine::nats_options;

use crate::broker::{Broker, BrokerOptions, Outlet, RingLimit};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::demo;
use crate::fanout::{FanOut, FanOutOptions, Shed};
use crate::http::{
    Admission, AdmissionLimit, Http, HttpOptions, Listener, ListenerOptions, Streams, admin_router,
    router,
};
use crate::keys::{KeyError, KeyRing, Keys};
use crate::limits::{Limits, Proxies};
use crate::metrics::Metrics;
use crate::pages::{TemplateError, Templates};
use crate::pressure::{Pressure, Step};
use crate::shutdown::Shutdown;
use crate::store::jetstream::JetStreamError;
use crate::store::sqlite::OpenError;
use crate::store::{Store, StoreOptions};
use crate::tls::{Tls, TlsError};
use crate::tokens::{Gate, Tickets, Tokens, TokensError};

/// How often the store is asked whether it still works.
const STORE_CHECK: Duration = Duration::from_millis(250);
/// What the kernel may hold of a connection that takes nothing, in bytes (Linux counts twice as much, for its own
/// records). Left to itself it would be megabytes, and a few hundred stalled readers would starve the others.
const SEND_BUFFER: u32 = 128 << 10;
/// Percent of all WebSockets that are closed each second while memory is at its shortest.
const SHED_PERCENT: usize = 5;
/// Connections of the admin listener, beside those of the public one.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// A server that has its sockets and its store, and waits to run.
pub struct App {
    config: Config,
    shutdown: Shutdown,
    engine: Engine,
    broker: Arc<Broker>,
    fanout: Arc<FanOut>,
    http: Arc<Http>,
    public: TcpListener,
    admin: TcpListener,
    tls: Option<Arc<Tls>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data folder.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log that it shares.
    #[error(transparent)]
    JetStream(#[from] JetStreamError),
    /// The keys in it.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificate and its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The keys of those who issue tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A newsroom's own templates.
    #[error(transparent)]
    Templates(#[from] TemplateError),
    /// An address that can't be listened on.
    #[error("{address} can't be listened on: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The threads that serve readers.
    #[error("the fan-out could not start: {0}")]
    FanOut(std::io::Error),
    /// The store failed while the server ran.
    #[error("the store failed, so nothing more can be acknowledged: {0}")]
    StoreFailed(String),
}

impl App {
    /// Opens the data folder and the sockets; nothing is answered before [`App::run`].
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: Config, shutdown: Shutdown) -> Result<Self, AppError> {
        let clock = Arc::new(SystemClock);
        let tls = tls(&config, clock.now())?;
        let tokens = Tokens::open(&config.tokens, clock.clone())?;
        let templates = Arc::new(Templates::open(config.pages.templates.as_deref())?);
        let engine = Engine::open(&config, clock.clone()).await?;
        let keys = KeyRing::open(&config.data_dir)?;
        let broker = engine.broker(clock.clone(), broker_options(&config));
        let gate = Gate::new(Arc::clone(&keys) as _, Arc::clone(&tokens));
        let as_keys: Arc<dyn Keys> = Arc::new(gate);
        let limits = Arc::new(limits(&config));
        let pressure = Arc::new(Pressure::new(&config.memory));
        let fanout = FanOut::start(
            fanout_options(&config),
            Arc::clone(&broker),
            Arc::clone(&as_keys),
            Arc::clone(&limits),
            tokio::runtime::Handle::current(),
        )
        .map(Arc::new)
        .map_err(AppError::FanOut)?;
        let admission = Arc::new(admission(&config));
        let parts = [
            readings::all(&broker, &fanout, &admission),
            readings::cluster(&broker),
            readings::limits(&limits, &pressure),
        ];
        let metrics = observed(parts, tls.as_ref());
        let http = Arc::new(Http {
            broker: Arc::clone(&broker),
            fanout: Arc::clone(&fanout),
            keys: as_keys,
            tickets: Tickets::new(config.tokens.tickets_max),
            metrics,
            shutdown: shutdown.clone(),
            options: http_options(&config, templates),
            admission,
            streams: deliver_by(&broker, &fanout),
            limits: Arc::clone(&limits),
            pressure: Arc::clone(&pressure),
        });
        let public = listen(config.listen).await?;
        let admin = listen(config.admin_listen).await?;
        let mut tasks = vec![
            tokio::spawn(Arc::clone(&broker).run()),
            tokio::spawn(keys.run()),
            tokio::spawn(tokens.run()),
            tokio::spawn(limits.run()),
            tokio::spawn(give_way(&http)),
        ];
        tasks.extend(engine.share_keys(&config.data_dir));
        tasks.extend(
            tls.iter()
                .map(|tls| tokio::spawn(Arc::clone(tls).watch(clock.clone()))),
        );
        Ok(Self {
            config,
            shutdown,
            engine,
            broker,
            fanout,
            http,
            public,
            admin,
            tls,
            tasks,
        })
    }

    /// Where publishers and readers connect.
    pub fn address(&self) -> SocketAddr {
        self.public.local_addr().unwrap_or(self.config.listen)
    }

    /// Where health and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr().unwrap_or(self.config.admin_listen)
    }

    /// TLS of the public listener, where it has any.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// How short memory is, and the limit that it goes by.
    pub fn pressure(&self) -> &Arc<Pressure> {
        &self.http.pressure
    }

    /// What pages are rendered by.
    pub fn templates(&self) -> &Arc<Templates> {
        &self.http.options.templates
    }

    /// The broker, for what runs beside the listeners.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Serves until the order to stop, then stops in good order.
    ///
    /// # Errors
    /// [`AppError::StoreFailed`] when the store gave up.
    pub async fn run(self) -> Result<(), AppError> {
        let store = self.engine.store();
        let options = listener_options(&self.config);
        let admin_admission = Arc::new(Admission::new(AdmissionLimit {
            connections_max: ADMIN_CONNECTIONS_MAX,
            publishers_reserved: 0,
        }));
        let public = Listener::new(
            self.public,
            router(Arc::clone(&self.http)),
            Arc::clone(&self.http.admission),
            options,
        )
        .with_tls(self.tls)
        .with_limits(Arc::clone(&self.http.limits));
        let admin = Listener::new(
            self.admin,
            admin_router(Arc::clone(&self.http)),
            admin_admission,
            options,
        );
        // Health and metrics answer until the very end.
        let closed = Shutdown::new();
        let admin = tokio::spawn(admin.run(closed.clone()));
        let public = tokio::spawn(public.run(self.shutdown.clone()));
        let demo = self.config.demo.then(|| {
            let (broker, shutdown) = (Arc::clone(&self.broker), self.shutdown.clone());
            tokio::spawn(async move {
                if let Err(error) = demo::run(broker, shutdown).await {
                    tracing::error!(%error, "the demo stopped");
                }
            })
        });
        let failed = tokio::select! {
            () = self.shutdown.wait() => None,
            reason = store_failure(&store) => Some(reason),
        };
        self.shutdown.trigger();
        self.fanout.drain(self.config.drain).await;
        for task in [Some(public), demo].into_iter().flatten() {
            // A task that panicked has said so; the rest still stops in order.
            let _ = task.await;
        }
        self.fanout.stop();
        let engine = self.engine.clone();
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        let _ = tokio::task::spawn_blocking(move || engine.close()).await;
        closed.trigger();
        let _ = admin.await;
        match failed {
            None => {
                tracing::info!("stopped; everything acknowledged is kept");
                Ok(())
            }
            Some(reason) => Err(AppError::StoreFailed(reason)),
        }
    }
}

/// Tells the broker who delivers: the shards, and the event streams.
fn deliver_by(broker: &Broker, fanout: &FanOut) -> Arc<Streams> {
    let streams = Arc::<Streams>::default();
    let as_outlet: Arc<dyn Outlet> = Arc::clone(&streams) as _;
    broker.set_outlets(fanout.outlets().into_iter().chain([as_outlet]).collect());
    streams
}

async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    };
    socket
        .and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(address)?;
            // A storm of reconnects must fit until it is accepted; the kernel cuts this to its own limit.
            socket.listen(4_096)
        })
        .map_err(|source| AppError::Listen { address, source })
}

async fn store_failure(store: &Arc<dyn Store>) -> String {
    loop {
        if let Some(reason) = store.failed() {
            return reason;
        }
        tokio::time::sleep(STORE_CHECK).await;
    }
}

fn admission(config: &Config) -> Admission {
    Admission::new(AdmissionLimit {
        connections_max: config.http.connections_max,
        publishers_reserved: config.http.reserved_for_publishers,
    })
}

fn limits(config: &Config) -> Limits {
    let proxies = Proxies::new(config.http.trusted_proxies.clone());
    let by_address = !config.behind_proxy || !config.http.trusted_proxies.is_empty();
    if !by_address {
        tracing::warn!(
            "behind a proxy that is not named: no address is counted; http.trusted_proxies tells whom it speaks for"
        );
    }
    Limits::new(&config.limits, proxies, by_address)
}

/// Has readers give way while memory is short: newcomers first, then those that are behind, then a share of all.
fn give_way(http: &Arc<Http>) -> impl Future<Output = ()> + Send + use<> {
    let (admission, fanout) = (Arc::clone(&http.admission), Arc::clone(&http.fanout));
    let streams = Arc::clone(&http.streams);
    Arc::clone(&http.pressure).run(move |step| {
        admission.set_short(step >= Step::Refuse);
        if step >= Step::Drop {
            fanout.shed(Shed::Laggards);
            streams.give_way();
        }
        if step >= Step::Close {
            fanout.shed(Shed::Percent(SHED_PERCENT));
        }
    })
}

fn tls(config: &Config, now: Timestamp) -> Result<Option<Arc<Tls>>, TlsError> {
    let files = config.tls.as_ref();
    files.map(|files| Tls::open(files, now)).transpose()
}

/// Metrics with what the parts count for themselves.
fn observed(parts: [Vec<readings::Metric>; 3], tls: Option<&Arc<Tls>>) -> Arc<Metrics> {
    let metrics = Metrics::new();
    for part in parts {
        metrics.observe(part);
    }
    if let Some(tls) = tls {
        metrics.observe(readings::tls(tls));
    }
    Arc::new(metrics)
}

fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        topics_max: config.topics.max,
        ..StoreOptions::default()
    }
}

fn broker_options(config: &Config) -> BrokerOptions {
    BrokerOptions {
        ring: RingLimit {
            frames_max: config.ring.frames_max,
            bytes_max: config.ring.bytes_max,
        },
        page_bytes_max: config.ring.page_bytes_max,
        idle: config.topics.idle,
        ..BrokerOptions::default()
    }
}

fn fanout_options(config: &Config) -> FanOutOptions {
    FanOutOptions {
        shards: config.shards,
        topics_per_connection_max: config.websocket.topics_per_connection_max,
        message_bytes_max: config.websocket.message_bytes_max,
        first_subscribe: config.websocket.first_subscribe,
        ping_every: config.websocket.ping_every,
        pong_within: config.websocket.pong_within,
        stall_max: config.websocket.stall_max,
        ..FanOutOptions::default()
    }
}

fn http_options(config: &Config, templates: Arc<Templates>) -> HttpOptions {
    HttpOptions {
        body_bytes_max: config.http.body_bytes_max,
        batch_bytes_max: config.http.batch_bytes_max,
        body_timeout: config.http.body_timeout,
        wait_max: config.http.wait_max,
        sse_heartbeat: config.http.sse_heartbeat,
        sse_retry: config.http.sse_retry,
        deflate: config.websocket.deflate,
        origins: config.origins.clone(),
        auto_create: config.topics.auto_create,
        public_url: config.public_url.clone().unwrap_or_default(),
        templates,
        hsts: config
            .tls
            .as_ref()
            .map(|tls| tls.hsts)
            .filter(|age| !age.is_zero()),
    }
}

fn listener_options(config: &Config) -> ListenerOptions {
    ListenerOptions {
        header_timeout: config.http.header_timeout,
        drain: config.drain,
        ..ListenerOptions::default()
    }
}
