//! The broker over HTTP, as a publisher sees it: one keep-alive connection, one request at a time.
//!
//! Cheap on purpose (hyper without a pool), because it shares the machine with the server that it measures.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::line::Secret;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const JSON: &str = "application/json";
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the broker is, and what lets a publisher in.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address, resolved once.
    pub address: SocketAddr,
    /// Other nodes that take the same requests, where this one can't: see [`Target::or_at`].
    pub others: Vec<SocketAddr>,
    /// The `Host` header.
    pub authority: String,
    /// The certificates to trust, where it speaks TLS.
    pub ca: Option<PathBuf>,
    secret: Option<Secret>,
    authorization: Option<String>,
}

/// One connection to the broker; it is made anew when it was lost.
#[derive(Debug)]
pub struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// How often it went on to another node.
    turn: usize,
}

/// Where a change got its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The numbering.
    pub epoch: String,
    /// The number.
    pub offset: u64,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status; none where there was no answer.
    pub status: Option<StatusCode>,
    /// What was said.
    pub message: String,
}

impl Target {
    /// Reads `url` and finds its address.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL, the name has no address, or it is not said whom to trust.
    pub fn parse(url: &str, key: Option<&str>, ca: Option<&Path>) -> Result<Self> {
        let url = url::Url::parse(url).with_context(|| format!("{url} is not a URL"))?;
        let ca = match url.scheme() {
            "http" => None,
            "https" => Some(ca.context("https takes the certificates to trust: --ca FILE")?),
            scheme => bail!("scheme {scheme}: the harness speaks http and https"),
        };
        let host = url.host_str().context("the URL has no host")?;
        let port = url.port_or_known_default().context("the URL has no port")?;
        let authority = format!("{host}:{port}");
        let address = authority
            .to_socket_addrs()
            .with_context(|| format!("can't resolve {authority}"))?
            .next()
            .with_context(|| format!("{authority} has no address"))?;
        let secret = ca.map(|ca| Secret::read(ca, &authority)).transpose()?;
        Ok(Self {
            address,
            others: Vec::new(),
            authority,
            ca: ca.map(Path::to_owned),
            secret,
            authorization: key.map(|key| format!("Bearer {key}")),
        })
    }

    /// The same, that goes to one of these nodes where it has no answer, or one that it can't be done now.
    #[must_use]
    pub fn or_at(mut self, nodes: &[SocketAddr]) -> Self {
        self.others = nodes
            .iter()
            .copied()
            .filter(|node| *node != self.address)
            .collect();
        self
    }

    /// Where the connection of this turn goes.
    fn of_turn(&self, turn: usize) -> SocketAddr {
        match turn % (self.others.len() + 1) {
            0 => self.address,
            other => self.others[other - 1],
        }
    }

    /// The same, with another `Authorization` header.
    #[must_use]
    pub fn authorized(mut self, authorization: impl Into<String>) -> Self {
        self.authorization = Some(authorization.into());
        self
    }
}

/// A request.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    kind: &'static str,
    key: Option<&'a str>,
    body: Bytes,
}

impl Connection {
    /// A connection that is made with its first request.
    pub fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            sender: None,
            turn: 0,
        }
    }

    /// Publishes one entry.
    ///
    /// # Errors
    /// [`Refused`] with the status, or without one when the outcome is not known.
    pub async fn publish(
        &mut self,
        topic: &str,
        key: &str,
        entry: Bytes,
    ) -> Result<Placed, Refused> {
        let path = format!("/v1/topics/{topic}/entries");
        let answer = self
            .call(Ask {
                method: Method::POST,
                path: &path,
                kind: JSON,
                key: Some(key),
                body: entry,
            })
            .await?;
        placed(&answer).ok_or_else(|| Refused {
            status: None,
            message: format!("an answer without a position: {}", shortened(&answer)),
        })
    }

    /// Posts `body` to `path`, as `kind` of content.
    ///
    /// # Errors
    /// [`Refused`] with the status, or without one when the outcome is not known.
    pub async fn post(
        &mut self,
        path: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Bytes, Refused> {
        self.call(Ask {
            method: Method::POST,
            path,
            kind,
            key: None,
            body,
        })
        .await
    }

    /// Publishes one entry and repeats it with the same key until there is an answer, at most `tries` times.
    ///
    /// # Errors
    /// The last refusal; a refusal that no repeat can change is not repeated.
    pub async fn publish_surely(
        &mut self,
        topic: &str,
        key: &str,
        entry: Bytes,
        tries: u32,
    ) -> Result<Placed, Refused> {
        let mut tried = 1;
        loop {
            match self.publish(topic, key, entry.clone()).await {
                Err(refused) if refused.may_pass() && tried < tries => {
                    tokio::time::sleep(Duration::from_millis(50 << tried.min(6))).await;
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    /// The head of a topic.
    ///
    /// # Errors
    /// When the broker does not answer, or without a position.
    pub async fn head(&mut self, topic: &str) -> Result<Placed> {
        let path = format!("/v1/topics/{topic}");
        let answer = self
            .get(&path)
            .await
            .map_err(|refused| anyhow!("can't read topic {topic}: {refused}"))?;
        placed(&answer).ok_or_else(|| anyhow!("topic {topic} without a position"))
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// [`Refused`] with the status, or without one where there was no answer.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, Refused> {
        self.call(Ask {
            method: Method::GET,
            path,
            kind: JSON,
            key: None,
            body: Bytes::new(),
        })
        .await
    }

    async fn call(&mut self, ask: Ask<'_>) -> Result<Bytes, Refused> {
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(ask)).await;
        let outcome = match answered {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow!("no answer within {} s", REQUEST_TIMEOUT.as_secs())),
        };
        match outcome {
            Ok((status, body)) if status.is_success() => Ok(body),
            Ok((status, body)) => {
                if status.is_server_error() {
                    self.go_on();
                }
                Err(Refused {
                    status: Some(status),
                    message: shortened(&body),
                })
            }
            Err(error) => {
                self.sender = None;
                self.go_on();
                Err(Refused {
                    status: None,
                    message: format!("{error:#}"),
                })
            }
        }
    }

    /// Goes to another node next, where there is one.
    fn go_on(&mut self) {
        if !self.target.others.is_empty() {
            self.turn += 1;
            self.sender = None;
        }
    }

    async fn exchange(&mut self, ask: Ask<'_>) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header(header::HOST, &self.target.authority)
            .header(header::CONTENT_TYPE, ask.kind);
        if let Some(authorization) = &self.target.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(ask.body))?;
        let sender = self.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| anyhow!("the answer broke off: {error}"))?;
        Ok((status, body.to_bytes()))
    }

    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.sender = Some(self.connect().await?);
        }
        self.sender.as_mut().context("just connected")
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let address = self.target.of_turn(self.turn);
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("can't connect to {address}"))?;
        stream.set_nodelay(true)?;
        match &self.target.secret {
            None => speak(stream).await,
            Some(secret) => {
                let connector = TlsConnector::from(Arc::clone(&secret.config));
                speak(connector.connect(secret.name.clone(), stream).await?).await
            }
        }
    }
}

async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // A connection that ends with an error shows in the request that was on it.
        let _ = connection.await;
    });
    Ok(sender)
}

impl Refused {
    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        match self.status {
            None => true,
            // Every publish of ours has a key: one whose outcome is not known is stored once, however often it is sent.
            Some(status) => {
                status == StatusCode::TOO_MANY_REQUESTS
                    || status == StatusCode::SERVICE_UNAVAILABLE
                    || self.message.contains("outcome_unknown")
            }
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Finds the last `"position":"EPOCH-OFFSET"` of an answer, without parsing the entry before it.
pub fn placed(answer: &[u8]) -> Option<Placed> {
    const NAME: &[u8] = b"\"position\":\"";
    let start = memmem::rfind(answer, NAME)? + NAME.len();
    let rest = &answer[start..];
    let end = memchr::memchr(b'"', rest)?;
    let (epoch, offset) = split_position(std::str::from_utf8(&rest[..end]).ok()?)?;
    Some(Placed {
        epoch: epoch.to_owned(),
        offset,
    })
}

/// Takes `EPOCH-OFFSET` apart.
pub fn split_position(text: &str) -> Option<(&str, u64)> {
    let (epoch, offset) = text.rsplit_once('-')?;
    Some((epoch, offset.parse().ok()?))
}

/// The start of an answer, for people.
pub fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_position_behind_the_entry() {
        let answer =
            br#"{"entry":{"id":"a","body_html":"\"position\":\"no-1\""},"position":"k3v9q2-42"}"#;
        let placed = placed(answer).expect("a position");
        assert_eq!((placed.epoch.as_str(), placed.offset), ("k3v9q2", 42));
        assert_eq!(super::placed(br#"{"position":null}"#), None);
    }

    #[test]
    fn https_takes_somebody_to_trust() {
        assert!(Target::parse("https://127.0.0.1:1", None, None).is_err());
        assert!(Target::parse("ftp://127.0.0.1:1", None, None).is_err());
        assert!(Target::parse("no url", None, None).is_err());
        let target = Target::parse("http://127.0.0.1:7010/", None, None).expect("target");
        assert_eq!(target.address.port(), 7010);
    }

    #[test]
    fn where_one_node_fails_the_others_have_their_turn() {
        let node = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let target = Target::parse("http://127.0.0.1:1", None, None).expect("target");
        assert_eq!((target.of_turn(0), target.of_turn(1)), (node(1), node(1)));
        let target = target.or_at(&[node(1), node(2), node(3)]);
        let turns: Vec<_> = (0..4).map(|turn| target.of_turn(turn)).collect();
        assert_eq!(turns, [node(1), node(2), node(3), node(1)]);
    }

    #[test]
    fn a_refusal_for_good_is_not_repeated() {
        let refused = |status| Refused {
            status,
            message: String::new(),
        };
        assert!(refused(None).may_pass());
        assert!(refused(Some(StatusCode::SERVICE_UNAVAILABLE)).may_pass());
        assert!(!refused(Some(StatusCode::FORBIDDEN)).may_pass());
        assert!(!refused(Some(StatusCode::CONFLICT)).may_pass());
        assert!(!refused(Some(StatusCode::INTERNAL_SERVER_ERROR)).may_pass());
        let unknown = Refused {
            status: Some(StatusCode::INTERNAL_SERVER_ERROR),
            message: r#"{"code":"outcome_unknown"}"#.into(),
        };
        assert!(unknown.may_pass());
    }
}
