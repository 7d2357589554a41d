//! HTTP: the route table, and what its handlers share.
//!
//! Handlers translate: a request into a call of the broker, its answer into a response. What a change is, who gets it
//! and when it is kept is decided behind them. Errors leave as problem documents (RFC 9457), all from [`problem`].

mod admission;
mod auth;
mod body;
mod changes;
mod cut;
mod desk;
mod desk_page;
mod entries;
mod feeds;
mod fragment;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod guard;
mod handshake;
mod head;
mod linger;
mod listener;
mod oembed;
mod ops;
mod pages;
mod problem;
mod read;
mod response;
mod shown;
mod sse;
mod stall;
mod tickets;
mod topics;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY,
};
use axum::http::{HeaderValue, Method};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

pub use admission::{Admission, AdmissionLimit, Admitted, Place};
pub use cut::Streams;
pub use listener::{Listener, ListenerOptions};
pub use ops::admin_router;

use self::problem::Problem;
use crate::broker::Broker;
use crate::fanout::FanOut;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::pages::Templates;
use crate::pressure::Pressure;
use crate::protocol::Code;
use crate::shutdown::Shutdown;
use crate::tokens::Tickets;

/// Bounds and choices of the HTTP face.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Longest body of a single write, in bytes.
    pub body_bytes_max: usize,
    /// Longest body of a batch, in bytes.
    pub batch_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Longest long poll.
    pub wait_max: Duration,
    /// How often a silent event stream says something.
    pub sse_heartbeat: Duration,
    /// How soon a reader of an event stream reconnects.
    pub sse_retry: Duration,
    /// Whether a WebSocket may be compressed.
    pub deflate: bool,
    /// Origins whose pages may read, beside the broker's own.
    pub origins: Vec<String>,
    /// Whether a publisher may make a topic by its first publish.
    pub auto_create: bool,
    /// `https://host` for absolute links in feeds and pages; empty for relative ones.
    pub public_url: String,
    /// What pages are rendered by.
    pub templates: Arc<Templates>,
    /// How long browsers are told to use nothing but https for this host; none where it is not for TLS, or says nothing.
    pub hsts: Option<Duration>,
}

/// What handlers share.
pub struct Http {
    pub(crate) broker: Arc<Broker>,
    pub(crate) fanout: Arc<FanOut>,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) tickets: Tickets,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: Shutdown,
    pub(crate) options: HttpOptions,
    pub(crate) admission: Arc<Admission>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) pressure: Arc<Pressure>,
}

type State = axum::extract::State<Arc<Http>>;

/// The route table of the public listener.
pub fn router(http: Arc<Http>) -> Router {
    let cors = cors(&http.options.origins);
    let hsts = http.options.hsts.map(hsts);
    let current = axum::middleware::from_fn_with_state(Arc::clone(&http), shown::current);
    routes()
        .route_layer(current)
        .merge(waiting())
        .fallback(|| async { Problem::new(Code::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                Code::MethodNotAllowed,
                "this path takes other methods: see the Allow header",
            )
        })
        .layer(CatchPanicLayer::custom(|_| {
            use axum::response::IntoResponse;
            Problem::new(Code::Internal, "the request hit an error of the server").into_response()
        }))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&http),
            guard::guard,
        ))
        .layer(cors)
        .layer(tower::util::option_layer(hsts))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn(shown::sent))
        .layer(axum::middleware::map_request(head::check))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&http),
            ops::measure,
        ))
        .layer(axum::middleware::map_request(
            |request: axum::extract::Request| async { linger::lingering(request) },
        ))
        .with_state(http)
}

/// Paths and methods, and what answers them.
fn routes() -> Router<Arc<Http>> {
    Router::new()
        .route("/", get(pages::index))
        .route("/t/{topic}", get(pages::page))
        .route("/t/{topic}/fragment", get(fragment::fragment))
        .route("/oembed", get(oembed::oembed))
        .route("/embed.js", get(pages::embed))
        .route("/assets/{name}", get(pages::asset))
        .route("/desk", get(desk_page::page))
        .route("/desk/{name}", get(desk_page::asset))
        .route("/v1/key", get(desk::key))
        .route("/v1/tickets", post(tickets::give))
        .route("/v1/preview", post(desk::preview))
        .route("/v1/topics", get(desk::topics))
        .route(
            "/v1/topics/{topic}",
            get(read::topic).put(topics::put).patch(topics::patch),
        )
        .route("/v1/topics/{topic}/end", post(topics::end))
        .route("/v1/topics/{topic}/reopen", post(topics::reopen))
        .route(
            "/v1/topics/{topic}/entries",
            get(read::entries).post(entries::publish),
        )
        .route("/v1/topics/{topic}/entries:batch", post(entries::batch))
        .route(
            "/v1/topics/{topic}/entries/{id}",
            get(read::entry)
                .patch(entries::revise)
                .delete(entries::retract),
        )
        .route("/v1/topics/{topic}/source", get(desk::topic_source))
        .route(
            "/v1/topics/{topic}/entries/{id}/source",
            get(desk::entry_source),
        )
        .route(
            "/v1/topics/{topic}/desks/{session}",
            put(desk::stay).delete(desk::leave),
        )
        .route("/v1/topics/{topic}/audit", get(read::audit))
        .route("/v1/topics/{topic}/feed.atom", get(feeds::atom))
        .route("/v1/topics/{topic}/feed.json", get(feeds::json))
        .route("/v1/topics/{topic}/liveblog.jsonld", get(feeds::jsonld))
}

/// What waits, or goes on until somebody ends it, and notes by itself at which count of redactions it was read.
fn waiting() -> Router<Arc<Http>> {
    Router::new()
        .route("/v1/topics/{topic}/changes", get(changes::changes))
        .route("/v1/ws", get(websocket::upgrade))
        .route("/v1/topics/{topic}/stream", get(sse::stream))
}

/// Strict-Transport-Security (RFC 6797) on every answer.
fn hsts(age: Duration) -> SetResponseHeaderLayer<Option<HeaderValue>> {
    let value = format!("max-age={}", age.as_secs());
    let value = HeaderValue::from_str(&value).ok();
    SetResponseHeaderLayer::overriding(STRICT_TRANSPORT_SECURITY, value)
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = AllowOrigin::list(
        origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok()),
    );
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            problem::RATE_LIMIT,
            problem::RATE_LIMIT_POLICY,
            response::HEAD_HEADER,
            response::TICKET_HEADER,
            response::REPLAYED_HEADER,
        ])
        .max_age(Duration::from_secs(600))
}
