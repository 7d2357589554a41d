//! A WebSocket reader of a test: tungstenite, which is not what the server speaks.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::PATIENCE;

/// An open WebSocket.
pub struct Ws(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Ws {
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, &[]).await
    }

    /// Opens with header fields of one's own.
    pub async fn open_with(url: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        let (socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .expect("a WebSocket");
        Self(socket)
    }

    pub async fn say(&mut self, message: Value) {
        self.raw(Message::text(message.to_string())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.0.send(message).await.expect("sent");
    }

    /// The next JSON message, or the close code; none where the connection broke off.
    pub async fn next(&mut self) -> Option<Result<Value, u16>> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .expect("something arrives in time")?;
            match message {
                Ok(Message::Text(text)) => {
                    return Some(Ok(serde_json::from_str(&text).expect("JSON")));
                }
                Ok(Message::Close(frame)) => {
                    return Some(Err(frame.map_or(1005, |frame| frame.code.into())));
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
        loop {
            match self.next().await {
                Some(Ok(_)) => {}
                Some(Err(code)) => return code,
                None => return 0,
            }
        }
    }
}
