//! Our own accept loop on hyper: real header timeouts, a bounded read buffer, a cap on connections, a bounded drain.
//!
//! `axum::serve` has none of these. HTTP/1.1 only: the streams that matter are WebSockets and event streams, and
//! hyper has no WebSocket over HTTP/2.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::admission::{Admission, Place};
use super::cut::Cut;
use super::handshake::shake;
use super::problem::jitter_s;
use super::stall::StallGuard;
use crate::limits::Limits;
use crate::shutdown::Shutdown;
use crate::tls::Tls;

/// How long a head may take to arrive in one of the places that are kept for publishers.
const RESERVED_HEADER_TIMEOUT: Duration = Duration::from_secs(1);

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenerOptions {
    /// How long a request's head may take to arrive, and how long a connection may be idle between requests.
    pub header_timeout: Duration,
    /// Most bytes of a request's head.
    pub header_bytes_max: usize,
    /// Most fields of a request's head.
    pub headers_max: usize,
    /// How long a write may make no progress.
    pub stall_max: Duration,
    /// How long open requests may take to finish once the server stops.
    pub drain: Duration,
}

/// What a request knows of its connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Keeps the connection counted; a WebSocket takes it along.
    pub place: Arc<Place>,
    /// Cuts it off in the middle of what was retracted.
    pub cut: Arc<Cut>,
    /// Who is at the other end of it.
    pub address: IpAddr,
}

/// A bound socket with what it serves.
pub struct Listener {
    listener: TcpListener,
    router: Router,
    admission: Arc<Admission>,
    options: ListenerOptions,
    tls: Option<Arc<Tls>>,
    limits: Option<Arc<Limits>>,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
            header_bytes_max: 8 * 1024,
            headers_max: 64,
            stall_max: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

impl Listener {
    /// Serves `router` on `listener` once it runs.
    pub fn new(
        listener: TcpListener,
        router: Router,
        admission: Arc<Admission>,
        options: ListenerOptions,
    ) -> Self {
        Self {
            listener,
            router,
            admission,
            options,
            tls: None,
            limits: None,
        }
    }

    /// Counts the places that addresses take of those that are kept for publishers.
    #[must_use]
    pub fn with_limits(mut self, limits: Arc<Limits>) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Speaks TLS alone, where there is a pair for it.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Accepts until `shutdown`, then lets open requests finish within the drain time.
    pub async fn run(self, shutdown: Shutdown) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, address) = tokio::select! {
                () = shutdown.wait() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: let some close before trying again.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let counted = self
                .limits
                .as_ref()
                .and_then(|limits| limits.peer(address.ip()));
            let Some(place) = self.admission.connection(counted) else {
                // A refusal in plain HTTP means nothing to whoever expects a handshake.
                if self.tls.is_none() {
                    refuse(stream);
                }
                continue;
            };
            let peer = Peer {
                place: Arc::new(place),
                cut: Arc::default(),
                address: address.ip(),
            };
            connections.spawn(serve(
                stream,
                self.tls.clone(),
                Face {
                    peer,
                    router: self.router.clone(),
                    options: self.options,
                    shutdown: shutdown.clone(),
                },
            ));
        }
        drop(self.listener);
        let finish = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.drain, finish)
            .await
            .is_err()
        {
            tracing::warn!(
                open = connections.len(),
                "connections were still open when the drain time was over"
            );
        }
    }
}

/// What a connection is served with.
struct Face {
    peer: Peer,
    router: Router,
    options: ListenerOptions,
    shutdown: Shutdown,
}

async fn serve(stream: TcpStream, tls: Option<Arc<Tls>>, face: Face) {
    // Small answers go out at once; an error here only costs latency.
    let _ = stream.set_nodelay(true);
    let stall_max = face.options.stall_max;
    let cut = Arc::clone(&face.peer.cut);
    let Some(tls) = tls else {
        return converse(StallGuard::new(stream, stall_max, cut), face).await;
    };
    // Apart from the task's own memory, which is that of its largest part: most connections are in the clear.
    Box::pin(serve_sealed(stream, tls, face)).await;
}

async fn serve_sealed(stream: TcpStream, tls: Arc<Tls>, face: Face) {
    let cut = Arc::clone(&face.peer.cut);
    let shutdown = face.shutdown.clone();
    let shaken = tokio::select! {
        shaken = shake(stream, &tls, face.options.stall_max, cut) => shaken,
        () = shutdown.wait() => None,
    };
    if let Some(stream) = shaken {
        converse(stream, face).await;
    }
}

async fn converse<S>(stream: S, face: Face)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Face {
        peer,
        router,
        options,
        shutdown,
    } = face;
    // Who says nothing must not keep a place from publishers for long.
    let header_timeout = if peer.place.is_reserved {
        options.header_timeout.min(RESERVED_HEADER_TIMEOUT)
    } else {
        options.header_timeout
    };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let router = router.clone();
        async move { answer(router, request.map(Body::new)).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // The buffer alone is no bound: a head that comes in pieces may fill it more than once.
        .max_header_size(options.header_bytes_max)
        .max_buf_size(options.header_bytes_max)
        .max_headers(options.headers_max)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(router: Router, request: Request) -> Result<Response, Infallible> {
    router.oneshot(request).await
}

/// Says 503 and closes, without reading a byte and without waiting.
fn refuse(stream: TcpStream) {
    let retry_after_s = jitter_s();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: {retry_after_s}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    // A fresh socket takes so few bytes at once; if not, closing says enough.
    let _ = stream.try_write(answer.as_bytes());
}
