//! `GET /v1/ws`: the opening handshake (RFC 6455, section 4.2), then the socket leaves HTTP for the fan-out engine.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{RawQuery, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::auth::topic_name;
use super::guard::Client;
use super::head::ends_connection;
use super::listener::Peer;
use super::problem::Problem;
use super::read::Query;
use super::stall::StallGuard;
use super::{Http, State};
use crate::fanout::{Handover, Hello};
use crate::protocol::{
    CloseCode, Code, DEFLATE_RESPONSE, SUBPROTOCOL, Wire, close_frame, takes_deflate,
};

const ACCEPT: header::HeaderName = header::SEC_WEBSOCKET_ACCEPT;
const EXTENSIONS: header::HeaderName = header::SEC_WEBSOCKET_EXTENSIONS;
const PROTOCOL: header::HeaderName = header::SEC_WEBSOCKET_PROTOCOL;

/// Answers the handshake and hands the socket over. Where it is refused the connection ends: a proxy may take what
/// follows for the frames of a WebSocket, and it must not be served as requests.
pub(super) async fn upgrade(
    Extract(http): State,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    open(http, query.as_deref(), request).unwrap_or_else(refused)
}

fn open(http: Arc<Http>, query: Option<&str>, request: Request) -> Result<Response, Problem> {
    let accept = accept_key(&request).map_err(|detail| {
        Problem::new(Code::InvalidParameter, detail).with_status(StatusCode::UPGRADE_REQUIRED)
    })?;
    let headers = request.headers();
    let origin_allowed = http.origin_allowed(headers);
    let query = Query::parse(query);
    let subscribe = first_subscribe(&query)?;
    let grant = http.caller(headers, &query)?;
    let speaks_ours = offers_subprotocol(headers);
    let wire = wire(&http, headers);
    if http.shutdown.is_triggered() {
        return Err(Problem::unavailable("the server is draining"));
    }
    let reader = http
        .admission
        .reader()
        .ok_or_else(|| Problem::unavailable("as many readers as may be are here"))?;
    let connection = request
        .extensions()
        .get::<Peer>()
        .map(|peer| Arc::clone(&peer.place));
    let client = request.extensions().get::<Client>().copied();
    let hello = Hello {
        grant,
        client: client.and_then(|client| client.0),
        subscribe,
        wire,
        admission: Box::new((reader, connection)),
    };
    let upgrading = hyper::upgrade::on(request);
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) if origin_allowed => hand_over(&http, upgraded, hello),
            Ok(upgraded) => refuse_origin(upgraded).await,
            Err(error) => tracing::debug!(%error, "a WebSocket handshake did not finish"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(ACCEPT, accept);
    if speaks_ours {
        fields.insert(PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    if wire == Wire::Deflated {
        fields.insert(EXTENSIONS, HeaderValue::from_static(DEFLATE_RESPONSE));
    }
    Ok(response)
}

fn hand_over(http: &Http, upgraded: Upgraded, hello: Hello) {
    let Some((socket, left_over)) = take_socket(upgraded) else {
        tracing::error!("an upgraded connection is not the listener's own kind of stream");
        return;
    };
    let (stream, session) = match socket {
        Socket::Plain(guard) => (guard.into_inner(), None),
        Socket::Tls(stream) => {
            let (guard, session) = stream.into_inner();
            (guard.into_inner(), Some(Box::new(session)))
        }
    };
    match stream.into_std() {
        Ok(stream) => http.fanout.adopt(
            Handover {
                stream,
                session,
                left_over,
            },
            hello,
        ),
        Err(error) => tracing::debug!(%error, "a WebSocket was gone before it was handed over"),
    }
}

/// A browser's page can't read the status of a refused handshake; it can read a close code.
async fn refuse_origin(upgraded: Upgraded) {
    let Some((socket, _)) = take_socket(upgraded) else {
        return;
    };
    let mut stream: Box<dyn AsyncWrite + Send + Unpin> = match socket {
        Socket::Plain(guard) => Box::new(guard),
        Socket::Tls(stream) => stream,
    };
    let frame = close_frame(CloseCode::Origin, "this origin is not on the list");
    // A peer that is gone needs no reason.
    if stream.write_all(&frame).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// What the listener made of a connection, out of hyper again.
enum Socket {
    Plain(StallGuard),
    Tls(Box<TlsStream<StallGuard>>),
}

/// The bare socket, and what the peer has sent behind its handshake.
fn take_socket(upgraded: Upgraded) -> Option<(Socket, Bytes)> {
    match upgraded.downcast::<TokioIo<StallGuard>>() {
        Ok(parts) => Some((Socket::Plain(parts.io.into_inner()), parts.read_buf)),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TlsStream<StallGuard>>>().ok()?;
            let stream = Box::new(parts.io.into_inner());
            Some((Socket::Tls(stream), parts.read_buf))
        }
    }
}

fn first_subscribe(
    query: &Query,
) -> Result<Option<(crate::model::TopicName, crate::model::After)>, Problem> {
    match query.get("topic") {
        Some(topic) => Ok(Some((topic_name(topic)?, query.after()?))),
        None if query.get("after").is_some() => Err(Problem::new(
            Code::InvalidParameter,
            "after goes with a topic: ?topic=T&after=POSITION",
        )),
        None => Ok(None),
    }
}

fn accept_key(request: &Request) -> Result<HeaderValue, &'static str> {
    if request.version() != Version::HTTP_11 {
        return Err("a WebSocket handshake is a request of HTTP/1.1");
    }
    if !request.body().is_end_stream() {
        return Err("a WebSocket handshake has no body");
    }
    let headers = request.headers();
    let has = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        return Err("this path is a WebSocket: connect with ws:// or wss://");
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err("the WebSocket version is 13 (RFC 6455)");
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        // 16 bytes in base64 are 24 characters.
        .filter(|key| key.len() == 24)
        .ok_or("the Sec-WebSocket-Key header is 16 bytes in base64")?;
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| "the key is not ASCII")
}

/// The answer to a handshake that is refused, and the last one on its connection.
fn refused(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        let fields = response.headers_mut();
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
    }
    ends_connection(&mut response);
    response
}

/// What the reader offers and the configuration allows.
fn wire(http: &Http, headers: &HeaderMap) -> Wire {
    let offers_it = headers
        .get_all(EXTENSIONS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(takes_deflate);
    if offers_it && http.options.deflate {
        Wire::Deflated
    } else {
        Wire::Plain
    }
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|offered| offered.trim() == SUBPROTOCOL)
}
