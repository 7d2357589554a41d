//! A client that takes little.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

/// A client that takes an answer slowly: what the kernel does not keep for it waits in the server.
pub struct Slow {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Slow {
    pub async fn asks(server: &Server, path: &str, fields: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(32 << 10)
            .expect("a small buffer");
        let address = server.address().parse().expect("an address");
        let stream = socket.connect(address).await.expect("connects");
        let got = Vec::new();
        let mut slow = Self { stream, got };
        slow.says(&format!("GET {path} HTTP/1.1\r\nhost: t\r\n{fields}\r\n"))
            .await;
        slow
    }

    /// Asks once more, on the same connection, as soon as all that was asked before has come.
    pub async fn says(&mut self, request: &str) {
        self.got.clear();
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.expect("is sent");
    }

    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.got).contains(text) {
            self.more().await;
        }
    }

    /// What came, once it is so much.
    pub async fn all(&mut self, bytes: usize) -> String {
        while self.got.len() < bytes {
            self.more().await;
        }
        String::from_utf8_lossy(&self.got).into_owned()
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.got);
        let count = tokio::time::timeout(PATIENCE, read).await.expect("in time");
        assert!(count.expect("is read") > 0, "it goes on");
    }

    /// What came until the end of the connection: what the kernel had still comes, and then nothing any more.
    pub async fn rest(mut self) -> String {
        let rest = self.stream.read_to_end(&mut self.got);
        // Whether the end is a reset is the kernel's choice.
        let _ = tokio::time::timeout(PATIENCE, rest)
            .await
            .expect("the connection ends");
        String::from_utf8_lossy(&self.got).into_owned()
    }
}
