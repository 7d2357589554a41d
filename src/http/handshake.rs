//! The TLS handshake of an accepted connection, within its time; whoever speaks plain HTTP here is told so.
//!
//! A connection in its handshake is counted like any other: it has its place of admission already, and loses it when
//! the time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::cut::Cut;
use super::stall::StallGuard;
use crate::tls::Tls;

/// First byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// What a plain request is answered with; what it had in its head has travelled in the clear by then.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
                            Content-Length: 44\r\nConnection: close\r\n\r\n\
                            This port speaks TLS: the address is https.\n";
/// Bytes and time for the rest of a plain request, so that its sender is not reset before it has read the answer.
const PLAIN_BYTES_MAX: usize = 16 << 10;
const PLAIN_LINGER: Duration = Duration::from_secs(1);

/// Shakes hands; none where that failed or took too long.
pub(super) async fn shake(
    stream: TcpStream,
    tls: &Arc<Tls>,
    stall_max: Duration,
    cut: Arc<Cut>,
) -> Option<TlsStream<StallGuard>> {
    let outcome = tokio::time::timeout(tls.handshake_timeout(), async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            refuse_plain(stream, first[0]).await;
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        TlsAcceptor::from(tls.server_config())
            .accept(StallGuard::new(stream, stall_max, cut))
            .await
    })
    .await;
    match outcome {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
    tls.handshake_failed();
    None
}

/// Answers what looks like a request in plain HTTP; anything else is just closed.
async fn refuse_plain(mut stream: TcpStream, first: u8) {
    if !first.is_ascii_uppercase() {
        return;
    }
    let answered = stream.write_all(PLAIN_ANSWER.as_bytes()).await;
    if answered.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut rest = [0; 1_024];
        let mut drained = 0;
        while drained < PLAIN_BYTES_MAX {
            match tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await {
                Ok(0) | Err(_) => break,
                Ok(count) => drained += count,
            }
        }
    };
    // Whoever is still there afterwards has had its answer.
    let _ = tokio::time::timeout(PLAIN_LINGER, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_length_it_says() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
