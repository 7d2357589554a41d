//! A socket whose writes must make progress: a reader that takes nothing for too long loses its connection.
//!
//! tokio-io-timeout does the same, but pinned for good, so the socket could not be taken out for a WebSocket. The timer
//! exists only while a write waits.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::cut::Cut;

/// A socket with a bound on how long a write may wait.
#[derive(Debug)]
pub(super) struct StallGuard {
    stream: TcpStream,
    stall_max: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    cut: Arc<Cut>,
}

impl StallGuard {
    pub(super) fn new(stream: TcpStream, stall_max: Duration, cut: Arc<Cut>) -> Self {
        Self {
            stream,
            stall_max,
            waiting: None,
            cut,
        }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Passes the outcome of a write of so many bytes on, or ends the wait when it has been too long.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        if !matches!(&outcome, Poll::Ready(Ok(written)) if *written == bytes) {
            self.cut.is_stuck();
        }
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_max)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for StallGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for StallGuard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let waker = cx.waker().clone();
        let write = || Pin::new(&mut this.stream).poll_write(cx, buf);
        let Some(outcome) = this.cut.write(&waker, write) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        self.watch(cx, outcome, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let waker = cx.waker().clone();
        let write = || Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        let Some(outcome) = this.cut.write(&waker, write) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        self.watch(cx, outcome, bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever flushes has nothing left above.
        self.cut.all_sent();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_ends_the_write() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("address");
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _peer = peer.expect("connects");
        let (stream, _) = accepted.expect("accepts");
        let mut stream = StallGuard::new(stream, Duration::from_millis(50), Arc::default());
        let ended = stream.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(
            ended.expect_err("nobody reads").kind(),
            io::ErrorKind::TimedOut
        );
    }
}
