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

pub(super) fn first_subscribe(
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
    handshake_key(request.headers())
}

/// The answer to the key among the fields of a handshake.
pub(super) fn handshake_key(headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
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
    // These two may be there once (RFC 6455, sections 11.3.1 and 11.3.5).
    if only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err("the WebSocket version is 13 (RFC 6455)");
    }
    let key = only(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or("the Sec-WebSocket-Key header is 16 bytes in base64")?;
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| "the key is not ASCII")
}

/// The value of a field that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    values.next().filter(|_| values.next().is_none())
}

/// 16 bytes in base64: 22 digits, of which the last has four bits that stand for nothing, and two signs for padding.
fn is_key(key: &[u8]) -> bool {
    let [digits @ .., last, b'=', b'='] = key else {
        return false;
    };
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || b"+/".contains(b);
    digits.len() == 21 && digits.iter().all(is_digit) && b"AQgw".contains(last)
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
    if http.options.deflate && offers_deflate(headers) {
        Wire::Deflated
    } else {
        Wire::Plain
    }
}

pub(super) fn offers_deflate(headers: &HeaderMap) -> bool {
    headers
        .get_all(EXTENSIONS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(takes_deflate)
}

pub(super) fn offers_subprotocol(headers: &HeaderMap) -> bool {
    headers
        .get_all(PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|offered| offered.trim() == SUBPROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn accepted(fields: &[(&'static str, &'static str)]) -> Result<HeaderValue, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        handshake_key(&headers)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let accept = accepted(&GOOD).expect("RFC 6455, section 1.3");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn key_and_version_are_there_once_and_are_what_they_have_to_be() {
        for (name, value) in [
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=a"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZR=="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ-=="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSBh"),
            // Two in a row, of 14 and 2 bytes, and of 13 and 3.
            ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAA=AAA="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBuZQ==25bj"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-version", "13, 8"),
            ("sec-websocket-version", "013"),
        ] {
            let changed = GOOD.map(|(own, good)| (own, if own == name { value } else { good }));
            assert!(accepted(&changed).is_err(), "{name}: {value}");
        }
        for twice in GOOD {
            let mut fields = GOOD.to_vec();
            fields.push(twice);
            let is_list = matches!(twice.0, "connection" | "upgrade");
            assert_eq!(accepted(&fields).is_ok(), is_list, "{} twice", twice.0);
        }
    }
}
