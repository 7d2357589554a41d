//! HTTP by hand, for what no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

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
