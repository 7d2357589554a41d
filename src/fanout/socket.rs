//! The socket of a reader: written and read without waiting, in the clear or through a TLS session.
//!
//! A session costs those without one a pointer that is null, and the question whether it is. What frames are and who
//! is behind is not known here.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use rustls::ServerConnection;

use super::session::Session;

/// How far a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    Whole,
    /// So many bytes; the kernel has no room for more. With TLS they may be all there are: sealed, and not all taken.
    Part(usize),
    /// The connection is broken.
    Gone,
}

/// A socket.
pub(super) struct Socket {
    stream: TcpStream,
    session: Option<Box<Session>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, session: Option<Box<ServerConnection>>) -> Self {
        Self {
            stream,
            session: session.map(|connection| Box::new(Session::new(*connection))),
        }
    }

    /// The bare socket, for the event queue.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Writes bytes behind what waits in the session, as far as the kernel takes them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Sent {
        if let Some(session) = &mut self.session {
            return session.write(&mut self.stream, bytes);
        }
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(0) => return Sent::Gone,
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Part(sent);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Sent::Gone,
            }
        }
        Sent::Whole
    }

    /// Reads into `buffer`: the count, 0 at the end of the stream, none where nothing waits.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(session) = &mut self.session {
            return session.read(&mut self.stream, buffer);
        }
        loop {
            match self.stream.read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a read of `count` bytes into a buffer of `length` says that nothing more waits: less than was asked for
    /// means that the socket is empty (epoll(7), question 9), but a session may have stopped short of its end.
    pub(super) fn is_drained(&self, count: usize, length: usize) -> bool {
        count < length && self.session.is_none()
    }

    /// Whether the session has sealed bytes that the kernel did not take.
    pub(super) fn has_tail(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.has_tail())
    }

    /// Whether the kernel has taken some of the session's sealed bytes since the last time this was asked.
    pub(super) fn take_progress(&mut self) -> bool {
        self.session
            .as_mut()
            .is_some_and(|session| session.take_progress())
    }

    /// Says the last word of the session, if there is one and the kernel has room for it.
    pub(super) fn take_leave(&mut self) {
        if let Some(session) = &mut self.session {
            session.close(&mut self.stream);
        }
    }

    /// Ends what is sent; what the peer sends can still be read.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.take_leave();
        self.stream.shutdown(Shutdown::Write)
    }
}
