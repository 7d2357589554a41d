//! HTTP by hand, for what no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

/// The fields of a WebSocket's opening handshake.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a request is answered with, as text: its head and its body.
pub async fn exchange(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address())
        .await
        .expect("connects");
    stream.write_all(request).await.expect("is sent");
    // The request may be without its end, so the answer tells its own length.
    let mut answer = Vec::new();
    let read = async {
        while !is_whole(&answer) && stream.read_buf(&mut answer).await.expect("is read") > 0 {}
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer in time");
    String::from_utf8(answer).expect("UTF-8")
}

/// All that comes back for these bytes until the server ends the connection.
pub async fn until_end(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address())
        .await
        .expect("connects");
    // A server that has refused already may not take the rest.
    let _ = stream.write_all(bytes).await;
    let mut answers = Vec::new();
    let read = async {
        // An end by a reset is an end as well.
        while stream.read_buf(&mut answers).await.unwrap_or(0) > 0 {}
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the connection ends in time");
    answers
}

/// The statuses of the answers in these bytes.
pub fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let heads = text.split("HTTP/1.").skip(1);
    heads
        .filter_map(|head| head.get(2..5)?.parse().ok())
        .collect()
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    head.to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .is_some_and(|len| len.parse() == Ok(body.len()))
}
