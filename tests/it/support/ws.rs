//! A WebSocket reader of a test: tungstenite, which is not what the server speaks.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::PATIENCE;

/// An open WebSocket.
pub struct Ws(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Ws {
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, &[]).await
    }

    /// Opens with small buffers: for tests with hundreds.
    pub async fn open_small(url: &str) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(4_096)
            .write_buffer_size(0);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(url, Some(limits), false)
            .await
            .expect("a WebSocket");
        Self(socket)
    }

    /// Opens with header fields of one's own.
    pub async fn open_with(url: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        let connector = Some(super::tls::connector());
        let connected = connect_async_tls_with_config(request, None, false, connector).await;
        Self(connected.expect("a WebSocket").0)
    }

    pub async fn say(&mut self, message: Value) {
        self.raw(Message::text(message.to_string())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.0.send(message).await.expect("sent");
    }

    async fn message(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.0.next())
            .await
            .expect("something arrives in time")
    }

    /// The next JSON message, or the close code and reason; none where the connection broke off.
    pub async fn next(&mut self) -> Option<Result<Value, (u16, String)>> {
        loop {
            match self.message().await? {
                Ok(Message::Text(text)) => {
                    return Some(Ok(serde_json::from_str(&text).expect("JSON")));
                }
                Ok(Message::Close(frame)) => {
                    let closed = frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Some(Err(closed));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next message of this kind; others than presence in between are an error.
    pub async fn op(&mut self, op: &str) -> Value {
        loop {
            let message = self
                .next()
                .await
                .expect("the connection stands")
                .expect("it is not closed");
            if message["op"] == op {
                return message;
            }
            assert_eq!(message["op"], "presence", "waiting for {op}");
        }
    }

    /// The next change, without its `op`.
    pub async fn change(&mut self) -> Value {
        let mut change = self.op("change").await;
        change.as_object_mut().expect("an object").remove("op");
        change
    }

    /// The close code that ends the connection.
    pub async fn closed(&mut self) -> u16 {
        self.closed_with_reason().await.0
    }

    /// The close code that ends the connection, and its reason; 0 where it broke off.
    pub async fn closed_with_reason(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Ok(_)) => {}
                Some(Err(closed)) => return closed,
                None => return (0, String::new()),
            }
        }
    }

    /// Waits for a ping; answering it is tungstenite's.
    pub async fn ping(&mut self) {
        loop {
            match self.message().await {
                Some(Ok(Message::Ping(_))) => break,
                Some(Ok(_)) => {}
                other => panic!("waiting for a ping: {other:?}"),
            }
        }
        self.0.flush().await.expect("the pong is sent");
    }
}
