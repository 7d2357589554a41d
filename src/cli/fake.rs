//! A broker for tests that says what it is told to say, and remembers what it was asked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::api::{Api, Remote};
use super::retry::Retry;

/// Tries without pauses.
pub const AT_ONCE: Retry = Retry {
    retries: 3,
    base: Duration::ZERO,
    max: Duration::ZERO,
};

/// What the fake was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub key: Option<String>,
    pub if_match: Option<String>,
    pub authorization: Option<String>,
    pub body: Value,
}

/// What the fake answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This status and body.
    Json(u16, String),
    /// This status, with `Retry-After: 0`.
    Later(u16),
    /// Nothing: the connection breaks off after the request was read.
    Break,
}

/// What the fake does on a WebSocket.
#[derive(Debug, Clone)]
pub enum Act {
    /// Waits for a message.
    Hear,
    /// Sends this.
    Say(String),
    /// Closes with this code and reason.
    Close(u16, &'static str),
    /// Stays until the other side goes.
    Stay,
}

/// The fake.
pub struct Fake {
    pub remote: Remote,
    asked: Arc<Mutex<Vec<Asked>>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Answer {
    /// A problem document.
    pub fn problem(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"status":{status},"detail":"said {code}","code":"{code}"}}"#);
        Self::Json(status, body)
    }
}

impl Fake {
    /// A broker that gives these answers, one after the other, and then no more.
    pub async fn http(answers: Vec<Answer>) -> Self {
        let (fake, listener) = Self::listen().await;
        let asked = Arc::clone(&fake.asked);
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                let service = service_fn(move |request| {
                    let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
                    async move {
                        let noted = note(request).await;
                        asked.lock().expect("lock").push(noted);
                        answer(answers.lock().expect("lock").pop_front())
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        fake
    }

    /// A broker that plays one script a connection, and then refuses connections.
    pub async fn sockets(scripts: Vec<Vec<Act>>) -> Self {
        let (fake, listener) = Self::listen().await;
        let (asked, heard) = (Arc::clone(&fake.asked), Arc::clone(&fake.heard));
        tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.expect("accepts");
                play(stream, script, &asked, &heard).await;
            }
        });
        fake
    }

    async fn listen() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let url = format!("http://{address}/base").parse().expect("URL");
        let fake = Self {
            remote: Remote {
                url,
                key: Some("tb_k_secret".parse().expect("key")),
                ca: None,
            },
            asked: Arc::default(),
            heard: Arc::default(),
        };
        (fake, listener)
    }

    /// A connection to it that retries at once.
    pub fn api(&self) -> Api {
        Api::new(&self.remote, AT_ONCE).expect("API")
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("lock").clone()
    }

    /// The WebSocket messages that it heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("lock").clone()
    }
}

async fn note(request: Request<Incoming>) -> Asked {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(ToOwned::to_owned)
    };
    let mut asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        key: header("idempotency-key"),
        if_match: header("if-match"),
        authorization: header("authorization"),
        body: Value::Null,
    };
    let body = request.into_body().collect().await.expect("body");
    asked.body = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    asked
}

fn answer(answer: Option<Answer>) -> io::Result<Response<Full<Bytes>>> {
    let response = match answer {
        Some(Answer::Json(status, body)) => Response::builder().status(status).body(body.into()),
        Some(Answer::Later(status)) => Response::builder()
            .status(status)
            .header("Retry-After", "0")
            .body(Full::default()),
        Some(Answer::Break) => return Err(io::ErrorKind::ConnectionAborted.into()),
        None => Response::builder().status(418).body(Full::default()),
    };
    response.map_err(io::Error::other)
}

// The shape of the callback's error is tungstenite's.
#[expect(
    clippy::result_large_err,
    reason = "the callback's type is given by tungstenite"
)]
async fn play(
    stream: TcpStream,
    script: Vec<Act>,
    asked: &Mutex<Vec<Asked>>,
    heard: &Mutex<Vec<String>>,
) {
    let callback = |request: &server::Request, mut response: server::Response| {
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            value.to_str().ok().map(ToOwned::to_owned)
        };
        asked.lock().expect("lock").push(Asked {
            method: "GET".to_owned(),
            path: request.uri().to_string(),
            key: None,
            if_match: None,
            authorization: header("authorization"),
            body: Value::Null,
        });
        let protocol = request.headers()["sec-websocket-protocol"].clone();
        response
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Ok::<_, server::ErrorResponse>(response)
    };
    let mut socket = accept_hdr_async(stream, callback).await.expect("handshake");
    for act in script {
        match act {
            Act::Hear => {
                let message = socket.next().await.expect("a message").expect("readable");
                heard.lock().expect("lock").push(message.to_string());
            }
            Act::Say(text) => socket.send(Message::text(text)).await.expect("sends"),
            Act::Close(code, reason) => {
                let reason = reason.into();
                let frame = CloseFrame {
                    code: code.into(),
                    reason,
                };
                socket.close(Some(frame)).await.expect("closes");
            }
            Act::Stay => while let Some(Ok(_)) = socket.next().await {},
        }
    }
}
